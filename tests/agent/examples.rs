//! What `examples/` shows works: each is run as it stands.

use crate::harness::{
    Board, Capture, Process, Segment, Server, file_names, free_port, program, write_program,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const TIME: u64 = 1_529_842_538;

#[test]
fn the_python_sender_hands_over_a_capture() {
    let server = Server::start();
    let board = Board::new(&server).with_port();
    let mut agent = board.start();
    for (time, ack) in [(TIME, None), (TIME + 1, Some("--ack"))] {
        let segments = board.record_capture(time, &[3000, 4000, 5000]);
        let names = segments.iter().map(Segment::name);
        let sender = python("sender.py").args(["--port", &port_of(&board)]).args(ack).args(names).output();
        assert_succeeded(&sender.unwrap());
        agent.says(&format!("{time}.pir has ended"));
        agent.owes_nothing();
        let captures = server.captures();
        assert!(captures.last().is_some_and(|capture| capture.is("pir", time, &segments)), "{captures:#?}");
    }
    let refused =
        python("sender.py").args(["--port", &port_of(&board), "--ack", "pir.5.0.mp4"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&refused.stderr), "pir.5.0.mp4: there is no such file\n");
}

#[test]
fn the_python_listener_hears_by_udp() {
    let server = Server::start();
    let address = format!("127.0.0.1:{}", free_port());
    let board = Board::new(&server).with(&["--cam_addr", &address]);
    let listener = Process::start("listener", python("listener.py").args(["--cam_addr", &address]));
    hears_each_command(&server, &board, listener);
}

#[test]
fn the_python_listener_hears_at_a_unix_socket() {
    let server = Server::start();
    let board = Board::new(&server).with_camera();
    fs::write(board.cam_sock(), "left behind").unwrap();
    let listener = Process::start("listener", python("listener.py").arg("--cam_sock").arg(board.cam_sock()));
    hears_each_command(&server, &board, listener);
    assert!(!board.cam_sock().exists(), "it has removed its socket");
}

#[test]
fn a_movie_of_motions_becomes_a_capture() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let movie = board.record("01-20180624121538.mp4", 3000);
    assert_succeeded(&script(&board, "on_movie_end.sh").arg(&movie.path).output().unwrap());
    agent.owes_nothing();
    let [Capture { trigger, segments, .. }] = &server.captures()[..] else { panic!("there should be one") };
    assert_eq!((trigger.as_str(), segments), ("pir", &vec![movie.stored]));

    let failed = script(&board, "on_movie_end.sh").arg("/nowhere.mp4").output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("the agent refused /nowhere.mp4: there is no such file"), "{said}");
}

#[test]
fn an_order_of_the_clouds_becomes_a_capture_of_rpicam_vid() {
    let server = Server::start();
    let board = Board::new(&server).with_camera();
    let on_command = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rpicam-vid.sh");
    // It records its own arguments, so that no two segments are the same.
    let bin = bin(&board);
    let fake = "#!/bin/sh\nfor file; do :; done\nprintf '%s\\n' \"$@\" > \"$file\"\n";
    write_program(&bin.join("rpicam-vid"), fake);
    let mut listen = program();
    listen.args(["listen", "--cam_sock"]).arg(board.cam_sock()).arg("--exec").arg(on_command);
    let mut listen = Process::start("listen", with_environment(&board, &mut listen));
    listen.says("listening at");
    let agent = board.start();
    server.tell("porch", "arm");
    server.tell("porch", "capture");
    let captures = server.captures_when("the capture is whole", |captures| {
        captures.iter().any(|capture| capture.segments.len() == 3)
    });
    agent.owes_nothing();
    let [capture] = &captures[..] else { panic!("expected one capture: {captures:#?}") };
    let names = file_names(&board.capture_dir());
    let segments: Vec<Segment> =
        (0..).zip(names).map(|(number, name)| Segment::of(board.capture_dir().join(name), number)).collect();
    assert!(capture.is("request", capture.trigger_timestamp, &segments), "{capture:#?}");
    let arguments = fs::read_to_string(&segments[0].path).unwrap();
    assert!(arguments.starts_with("--nopreview\n--timeout\n4000\n--codec\nlibav\n"), "{arguments}");
    assert_eq!(listen.terminate().code(), Some(0));
}

#[test]
fn motion_is_told_what_the_cloud_wants() {
    let server = Server::start();
    let board = Board::new(&server);
    let told = board.capture_dir().join("told");
    let wget = format!("#!/bin/sh\nfor url; do :; done\necho \"$url\" >>{}\n", told.display());
    write_program(&bin(&board).join("wget"), &wget);
    let tell = |command: &str| {
        let mut script = Command::new("sh");
        script.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("buildroot/package/cloudtalker/motion.sh"));
        with_environment(&board, script.arg(command)).env("CAPTURE_SECONDS", "0").output().unwrap()
    };
    for command in ["arm", "capture", "disarm"] {
        assert_succeeded(&tell(command));
    }
    let urls = fs::read_to_string(&told).unwrap();
    let paths: Vec<&str> =
        urls.lines().map(|url| url.strip_prefix("http://127.0.0.1:8080/0/").unwrap()).collect();
    assert_eq!(paths, ["detection/start", "action/eventstart", "action/eventend", "detection/pause"]);

    let refused = tell("dance");
    assert_eq!(refused.status.code(), Some(64));
    assert_eq!(String::from_utf8_lossy(&refused.stderr), "expected arm, disarm or capture, got 'dance'\n");
}

#[test]
fn the_sample_configuration_lacks_the_endpoint_alone() {
    let sample = fs::read_to_string(example("cloudtalker.conf")).unwrap();
    let server = Server::start();
    let board = Board::new(&server);
    let written = board.capture_dir().join("sample.conf");
    let check = |text: &str| {
        fs::write(&written, text).unwrap();
        let output = program().args(["check", "--config"]).arg(&written).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(check(&sample).contains("expected the cloud's address"), "{}", check(&sample));
    // What is commented out may be had: those lines are `name = value`, too.
    let all: String = sample.lines().map(|line| format!("{}\n", setting(line).unwrap_or(line))).collect();
    let said = check(&all);
    assert!(said.contains("configuration ok "), "{said}");
}

/// The setting in a line that is commented out.
fn setting(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.contains(" = ") && !rest.starts_with(' '))
}

#[test]
fn the_shell_scripts_are_posix() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let scripts: Vec<String> =
        file_names(&directory).into_iter().filter(|name| name.ends_with(".sh")).collect();
    assert_eq!(scripts, ["on_movie_end.sh", "rpicam-vid.sh"]);
    for script in scripts {
        assert_succeeded(&Command::new("sh").arg("-n").arg(directory.join(script)).output().unwrap());
    }
}

fn hears_each_command(server: &Server, board: &Board, mut listener: Process) {
    listener.says("listening");
    let _agent = board.start();
    for command in ["arm", "capture", "disarm"] {
        server.tell("porch", command);
        assert_eq!(listener.says(command), command);
    }
    let ended = listener.terminate();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
}

fn python(name: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(example(name));
    command
}

/// A shell script, with the agent's program in its PATH.
fn script(board: &Board, name: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(example(name));
    bin(board);
    with_environment(board, &mut command);
    command
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn port_of(board: &Board) -> String {
    board.port.expect("it has one").to_string()
}

/// A directory for PATH, with the agent's program under its own name.
fn bin(board: &Board) -> PathBuf {
    let bin = board.dir.at("bin");
    fs::create_dir_all(&bin).unwrap();
    let command = program();
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_str().expect("tests' paths are text")))
        .collect();
    write_program(&bin.join("cloudtalker"), &format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" ")));
    bin
}

fn with_environment<'a>(board: &Board, command: &'a mut Command) -> &'a mut Command {
    let config = board.dir.at("agent.conf");
    fs::write(&config, format!("input_sock = {}\n", board.input_sock().display())).unwrap();
    let path = format!("{}:{}", board.dir.at("bin").display(), env::var("PATH").unwrap());
    command.env("PATH", path).env("CLOUDTALKER_CONFIG", config).env("CAPTURE_DIR", board.capture_dir())
}

#[track_caller]
fn assert_succeeded(output: &Output) {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}
