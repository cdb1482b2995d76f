//! `send`, `listen` and `status`, as shell scripts use them, and what the program says of itself.

use crate::harness::{Board, Process, Server, eventually, free_port, program, tool};
use serde_json::Value;
use std::{
    fs::{self, File},
    io,
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    process::Output,
    time::{Duration, SystemTime},
};

const TIME: u64 = 1_529_842_538;

#[test]
fn send_hands_files_over_as_one_capture() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 4000, 5000]);
    let sent = send(&board, &[segments[0].path(), segments[1].path(), segments[2].path()]);
    assert_eq!((sent.status.code(), said(&sent)), (Some(0), String::new()));
    agent.owes_nothing();
    assert!(matches!(&server.captures()[..], [capture] if capture.is("pir", TIME, &segments)));
}

#[test]
fn send_names_what_has_no_name_of_the_scheme() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let segments = [board.record("front door.mp4", 3000), board.record("a.b.c.d.mp4", 4000)];
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(TIME);
    File::open(&segments[0].path).unwrap().set_modified(changed).unwrap();
    let sent = send(&board, &["--name", "pir", segments[0].path(), segments[1].path()]);
    assert_eq!(sent.status.code(), Some(0), "{}", said(&sent));
    agent.owes_nothing();
    let captures = server.captures();
    let numbered = {
        let mut numbered = segments.clone();
        numbered[1].stored.seg_no = 1;
        numbered
    };
    assert!(matches!(&captures[..], [capture] if capture.is("pir", TIME, &numbered)), "{captures:#?}");
}

#[test]
fn send_waits_for_the_agent() {
    let server = Server::start();
    let board = Board::new(&server);
    let segments = board.record_capture(TIME, &[3000]);
    let sock = board.input_sock();
    let mut send = Process::start(
        "send",
        program().args(["send", "--wait", "50", "--input_sock"]).arg(&sock).arg(segments[0].path()),
    );
    send.says("waiting for the agent at ");
    let agent = board.start();
    assert_eq!(send.ends().code(), Some(0));
    agent.owes_nothing();
    assert_eq!(server.captures().len(), 1);
}

#[test]
fn send_tells_which_file_was_refused_and_why() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000]);
    let missing = board.capture_dir().join(format!("pir.{TIME}.1.mp4"));
    let sent = send(&board, &[missing.to_str().unwrap(), segments[0].path()]);
    assert_eq!(sent.status.code(), Some(1));
    let expected =
        format!("cloudtalker send: the agent refused {}: there is no such file", missing.display());
    assert_eq!(said(&sent).trim_end(), expected);
    agent.owes_nothing();
    assert!(
        matches!(&server.captures()[..], [capture] if capture.is("pir", TIME, &segments)),
        "the other is safe"
    );
}

#[test]
fn send_and_status_without_an_agent_say_where_they_looked() {
    let board = Board::alone();
    let sock = board.input_sock();
    let sent = send(&board, &["--wait", "0", "pir.1.0.mp4"]);
    let status = tool(&["status", "--input_sock", sock.to_str().unwrap()]);
    for (command, output) in [("send", sent), ("status", status)] {
        assert_eq!(output.status.code(), Some(69));
        let expected = format!("cloudtalker {command}: expected the agent at {}, but: ", sock.display());
        assert!(said(&output).starts_with(&expected), "{}", said(&output));
    }
}

#[test]
fn an_agent_that_lets_nobody_in_keeps_nobody() {
    let board = Board::alone();
    let sock = board.input_sock();
    let listener = UnixListener::bind(&sock).unwrap();
    // Whoever is next waits until this one is let in.
    rustix::net::listen(&listener, 0).unwrap();
    let _first = UnixStream::connect(&sock).unwrap();
    let sent = send(&board, &["--wait", "0", "pir.1.0.mp4"]);
    let status = tool(&["status", "--input_sock", sock.to_str().unwrap()]);
    for (command, seconds, output) in [("send", 1, sent), ("status", 5, status)] {
        assert_eq!(output.status.code(), Some(69));
        let expected = format!(
            "cloudtalker {command}: the agent at {} did not answer within {seconds} s\n",
            sock.display()
        );
        assert_eq!(said(&output), expected);
    }
}

#[test]
fn status_is_for_people_and_for_programs() {
    let server = Server::start();
    let board = Board::new(&server).with_port();
    let mut agent = board.start();
    agent.says("connected to the cloud");
    agent.takes(&board.record_capture(TIME, &[3000]));
    agent.owes_nothing();
    let port = board.port.unwrap().to_string();
    let status = tool(&["status", "--input_port", &port]);
    assert_eq!(status.status.code(), Some(0));
    let table = printed(&status);
    for row in
        ["session       up since 20", "waiting       0 captures, 0 segments, 0 bytes", "last receipt  20"]
    {
        assert!(table.contains(row), "expected {row:?}: {table}");
    }
    let json = printed(&tool(&["status", "--json", "--input_sock", board.input_sock().to_str().unwrap()]));
    assert_eq!(json.lines().count(), 1);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["session"]["state"], &json["session"]["endpoint"]),
        (&"up".into(), &server.endpoint().into())
    );
    assert!(json["certificate_expires"].as_u64().is_some_and(|end| end > TIME));
}

#[test]
fn listen_prints_each_command_and_removes_its_socket() {
    let server = Server::start();
    let board = Board::new(&server).with_camera();
    let mut listen = Process::start("listen", program().args(["listen", "--cam_sock"]).arg(board.cam_sock()));
    listen.says("listening at ");
    let _agent = board.start();
    for command in ["arm", "capture", "disarm"] {
        server.tell("porch", command);
        assert_eq!(listen.says(command), command);
    }
    let ended = listen.terminate();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(!board.cam_sock().exists());
}

#[test]
fn listen_runs_a_program_with_each_command_in_order() {
    let server = Server::start();
    let port = free_port();
    let board = Board::new(&server);
    let heard = board.dir.at("heard");
    let address = format!("127.0.0.1:{port}");
    // The first takes until the second has long been there.
    let gate = board.dir.at("gate");
    let script = board.dir.at("on-command");
    let text = format!(
        "#!/bin/sh\necho \"begins $1\"\n[ \"$1\" = arm ] && cat '{}'\necho \"$1\" >> '{}'\necho \"ends $1\"\n",
        gate.display(),
        heard.display()
    );
    fs::write(&script, text).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let run = format!("sh {}", script.display());
    let mut listen =
        Process::start("listen", program().args(["listen", "--cam_addr", &address, "--exec", &run]));
    listen.says("listening at ");
    let board = board.with(&["--cam_addr", &address]);
    let mut agent = board.start();
    server.tell("porch", "arm");
    listen.says("begins arm");
    server.tell("porch", "disarm");
    server.tell("porch", "capture");
    agent.says("told the camera program: capture");
    fs::write(&gate, "go on\n").unwrap();
    listen.says("ends capture");
    assert_eq!(fs::read_to_string(&heard).unwrap(), "arm\ndisarm\ncapture\n");
    assert_eq!(listen.terminate().code(), Some(0));
}

#[test]
fn listen_takes_a_dead_listeners_place_and_no_living_ones() {
    let board = Board::alone();
    let sock = board.cam_sock();
    drop(UnixDatagram::bind(&sock).unwrap());
    let connect = || UnixDatagram::unbound().unwrap().connect(&sock).map_err(|error| error.kind());
    eventually("nobody has it", connect, Result::is_err).unwrap_err();
    let mut listen = Process::start("listen", program().args(["listen", "--cam_sock"]).arg(&sock));
    listen.says("listening at ");
    let second = tool(&["listen", "--cam_sock", sock.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("expected to receive commands at"), "{}", said(&second));
    UnixDatagram::unbound().unwrap().send_to(br#"{"command":"arm"}"#, &sock).unwrap();
    listen.says("arm");
    listen.kill();
    assert!(sock.exists(), "a kill leaves it");
}

#[test]
fn listen_goes_on_where_nobody_reads_its_log() {
    let board = Board::alone();
    let sock = board.cam_sock();
    let (reader, broken) = io::pipe().unwrap();
    drop(reader);
    let (heard, told) = io::pipe().unwrap();
    let mut command = program();
    command.args(["listen", "--cam_sock"]).arg(&sock).stdout(told).stderr(broken);
    let mut listen = Process::start_with("listen", &mut command, heard);
    drop(command);
    let camera = UnixDatagram::unbound().unwrap();
    eventually("it listens", || camera.connect(&sock).is_ok(), |listens| *listens);
    for datagram in ["nonsense", r#"{"command":"arm"}"#] {
        camera.send(datagram.as_bytes()).unwrap();
    }
    listen.says("arm");
    assert_eq!(listen.terminate().code(), Some(0));
}

#[test]
fn the_program_tells_what_it_is_and_takes() {
    let version = tool(&["--version"]);
    assert_eq!(printed(&version), format!("cloudtalker {}\n", env!("CARGO_PKG_VERSION")));
    let help = printed(&tool(&["--help"]));
    for flag in [
        "--endpoint",
        "--cert",
        "--key",
        "--input_sock",
        "--input_port",
        "--cam_sock",
        "--cam_addr",
        "--motion_file_list",
    ] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
    for command in ["send", "listen", "status", "check", "bundle"] {
        let help = tool(&[command, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        assert!(printed(&help).starts_with("Usage: cloudtalker"), "{}", printed(&help));
    }
}

#[test]
fn status_that_nobody_reads_is_no_error() {
    let board = Board::alone();
    let _agent = board.start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut status = program();
    status.args(["status", "--input_sock"]).arg(board.input_sock()).stdout(writer);
    assert_eq!(status.status().unwrap().code(), Some(0));
}

#[test]
fn what_can_not_be_printed_is_an_error() {
    let board = Board::alone().with_camera();
    let _agent = board.start();
    let no_room = || File::options().write(true).open("/dev/full").unwrap();
    let expected = "expected to write standard output, but: No space left on device";
    for flags in [&[][..], &["--json"], &["--watch"], &["--watch", "--json"]] {
        let mut status = program();
        status.args(["status", "--input_sock"]).arg(board.input_sock()).args(flags);
        let told = status.stdout(no_room()).output().unwrap();
        assert_eq!(told.status.code(), Some(1), "{flags:?}");
        assert!(said(&told).starts_with(&format!("cloudtalker status: {expected}")), "{}", said(&told));
    }
    for flags in [&[][..], &["--json"]] {
        let told = board.checking(flags).stdout(no_room()).output().unwrap();
        assert_eq!(told.status.code(), Some(1), "{flags:?}");
        assert!(said(&told).starts_with(&format!("cloudtalker check: {expected}")), "{}", said(&told));
    }
    let (log, errors) = io::pipe().unwrap();
    let mut listen = program();
    listen.args(["listen", "--cam_sock"]).arg(board.cam_sock()).stdout(no_room()).stderr(errors);
    let mut listen = Process::start_with("listen", &mut listen, log);
    listen.says("listening at ");
    UnixDatagram::unbound().unwrap().send_to(br#"{"command":"arm"}"#, board.cam_sock()).unwrap();
    let ended = listen.ends();
    assert_eq!(ended.code(), Some(1));
    assert!(ended.log.contains(&format!("cloudtalker listen: {expected}")), "{}", ended.log);
}

fn send(board: &Board, arguments: &[&str]) -> Output {
    let sock = board.input_sock();
    tool(&[&["send", "--input_sock", sock.to_str().unwrap()], arguments].concat())
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
