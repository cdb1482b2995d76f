//! Starting, stopping and reloading, as init scripts and supervisors do it.

use crate::harness::{
    Agent, Board, Camera, Disk, Process, Server, Source, eventually, file_names, free_port, program,
};
use rustix::process::Signal;
use std::{
    fs,
    io::{self, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixStream},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const TIME: u64 = 1_529_842_538;
/// Some seconds' worth at [`RATE`].
const LONG: usize = 3_200_000;
const RATE: &str = "400K";
/// Within which the agent has to end.
const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn sigterm_ends_an_idle_agent() {
    let server = Server::start();
    let board = Board::new(&server).with_port();
    for signal in [Signal::TERM, Signal::INT] {
        let mut agent = board.start();
        agent.says("connected to the cloud");
        agent.signal(signal);
        ends_well(&board, agent, Instant::now());
    }
}

#[test]
fn sigterm_ends_an_agent_in_mid_upload_and_nothing_is_lost() {
    let server = Server::start();
    let board = Board::new(&server).with(&["--max_rate", RATE]);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[LONG]);
    agent.takes(&segments);
    agent.has_sent(0);
    agent.signal(Signal::TERM);
    ends_well(&board, agent, Instant::now());
    let agent = board.start();
    agent.owes_nothing();
    assert!(matches!(&server.captures()[..], [capture] if capture.is("pir", TIME, &segments)));
}

#[test]
fn sigterm_ends_an_agent_whose_server_hangs() {
    let server = Server::start();
    let board = Board::new(&server).with(&["--max_rate", RATE]);
    let agent = board.start();
    agent.takes(&board.record_capture(TIME, &[LONG]));
    agent.has_sent(0);
    server.freeze();
    agent.signal(Signal::TERM);
    ends_well(&board, agent, Instant::now());
}

#[test]
fn sigterm_ends_an_agent_that_is_still_connecting() {
    let server = Server::start();
    let board = Board::new(&server);
    server.freeze();
    let agent = board.start();
    agent.status_when("it connects", |status| status.session.state == "connecting");
    agent.signal(Signal::TERM);
    ends_well(&board, agent, Instant::now());
}

#[test]
fn sigterm_ends_an_agent_that_still_reads_its_spool() {
    let board = Board::alone();
    let capture = board.state_dir().join("spool/35.pir");
    fs::create_dir_all(&capture).unwrap();
    fs::write(capture.join("0.mp4"), "film").unwrap();
    // Opening it takes until somebody writes there.
    let endless = std::process::Command::new("mkfifo").arg(capture.join("0.mp4.from")).status();
    assert!(endless.unwrap().success());
    let mut agent = board.launch();
    agent.says("listening on ");
    // The worker that reads is the next that a start begins.
    let threads = format!("/proc/{}/task", agent.id());
    let names = || -> Vec<String> {
        let threads = fs::read_dir(&threads).unwrap().flatten();
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok()).collect()
    };
    eventually("its disk worker", names, |names| names.iter().any(|name| name == "disk\n"));
    let asked = Instant::now();
    agent.signal(Signal::TERM);
    let ended = agent.ends();
    assert!(asked.elapsed() < LIMIT, "{:?}: {}", asked.elapsed(), ended.log);
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(!board.input_sock().exists());
}

#[test]
fn sighup_takes_a_new_certificate() {
    let server = Server::start();
    let board = Board::new(&server);
    let mut agent = board.start();
    agent.says("connected to the cloud");
    server.add("yard").copy_to(board.dir.path());
    agent.reload();
    agent.says("certificate, key and configuration are read again");
    agent.says("connected to the cloud");
    server.remove("porch");
    let segments = board.record_capture(TIME, &[3000]);
    agent.takes(&segments);
    agent.owes_nothing();
    assert!(matches!(&server.captures()[..], [capture] if capture.camera == "yard"));
}

#[test]
fn sighup_helps_a_camera_that_was_removed_and_added_again() {
    let server = Server::start();
    let board = Board::new(&server);
    let mut agent = board.start();
    agent.says("connected to the cloud");
    server.remove("porch");
    agent.says("no connection to the cloud: expected a WebSocket, but the server answered 403");
    server.add("porch").copy_to(board.dir.path());
    agent.reload();
    agent.says("connected to the cloud");
}

#[test]
fn sighup_in_mid_upload_loses_nothing() {
    let server = Server::start();
    let board = Board::new(&server).with(&["--max_rate", RATE]);
    let mut agent = board.start();
    let segments = board.record_capture(TIME, &[LONG]);
    agent.takes(&segments);
    agent.has_sent(0);
    agent.reload();
    agent.says("certificate, key and configuration are read again");
    agent.owes_nothing();
    assert!(matches!(&server.captures()[..], [capture] if capture.is("pir", TIME, &segments)));
}

#[test]
fn sighup_reads_the_configuration_again() {
    let server = Server::start();
    let board = Board::new(&server);
    let other = board.dir.at("other.sock");
    let mut agent = start_by_file(&board);
    agent.says("connected to the cloud");
    configure(&board, &other);
    agent.reload();
    agent.says("certificate, key and configuration are read again");
    let segments = board.record_capture(TIME, &[3000]);
    Source::at(&other).hand_over(&segments[0]);
    assert!(!board.input_sock().exists(), "the former socket has gone");
    server.captures_when(
        "the capture is there",
        |captures| matches!(captures, [capture] if capture.is("pir", TIME, &segments)),
    );
}

/// All that it is told is in a file.
fn start_by_file(board: &Board) -> Agent {
    configure(board, &board.input_sock());
    let mut agent = board.agent(Process::start("agent", program().arg("--config").arg(configuration(board))));
    agent.says("started; ");
    agent
}

fn configuration(board: &Board) -> PathBuf {
    board.dir.at("agent.conf")
}

fn configure(board: &Board, input_sock: &Path) {
    let flags = board.flags.as_chunks::<2>().0.iter();
    let lines = flags.map(|[name, value]| format!("{} = {value}\n", name.trim_start_matches('-')));
    let paths = format!(
        "state_dir = {} # kept\ninput_sock = {}\n",
        board.state_dir().display(),
        input_sock.display()
    );
    fs::write(configuration(board), lines.collect::<String>() + &paths).unwrap();
}

#[test]
fn sighup_opens_the_same_port_again() {
    let board = Board::alone().with_port();
    let file = board.dir.at("agent.conf");
    fs::write(&file, "").unwrap();
    let board = board.with(&["--config", file.to_str().unwrap()]);
    let mut agent = board.start();
    for (number, mode) in (0..).zip([0o600, 0o620]) {
        fs::write(&file, format!("input_mode = {mode:o}\n")).unwrap();
        agent.reload();
        agent.says("certificate, key and configuration are read again");
        let segment = board.record(&format!("pir.{}.0.mp4", TIME + number), 3000);
        Source::at_port(board.port.unwrap()).hand_over(&segment);
        assert_eq!(fs::metadata(board.input_sock()).unwrap().permissions().mode() & 0o777, mode);
    }
    assert!(!agent.log().contains("SIGHUP: "), "nothing was in the way");
}

#[test]
fn sighup_confines_a_port_to_directories_before_it_is_open_to_the_network() {
    let board = Board::alone();
    let (file, port) = (board.dir.at("agent.conf"), free_port());
    fs::write(&file, "").unwrap();
    let board = board.with(&["--config", file.to_str().unwrap()]);
    let mut agent = board.start();
    let segment = board.record(&format!("pir.{TIME}.0.mp4"), 3000);
    let outside = board.dir.at(&format!("pir.{TIME}.1.mp4"));
    fs::write(&outside, "secret").unwrap();
    let open = format!("input_port = {port}\ninput_bind = 0.0.0.0\n");
    fs::write(&file, format!("{open}capture_dir = {}\n", board.capture_dir().display())).unwrap();
    agent.reload();
    agent.says("certificate, key and configuration are read again");
    let mut source = Source::at_port(port);
    let refusal = source.refusal(outside.to_str().unwrap());
    assert!(refusal.contains("outside the directories given by --capture_dir"), "{refusal}");
    source.hand_over(&segment);
    fs::write(&file, "").unwrap();
    agent.reload();
    agent.says("takes a restart; the former --capture_dir stays");
    agent.says("certificate, key and configuration are read again");
    let refusal = source.refusal(outside.to_str().unwrap());
    assert!(refusal.contains("outside the directories given by --capture_dir"), "{refusal}");
}

#[test]
fn sighup_follows_another_list_of_files() {
    let server = Server::start();
    let board = Board::new(&server).with_camera();
    let camera = Camera::at(&board.cam_sock());
    let [former, next] = ["former", "next"].map(|name| board.dir.at(name));
    for list in [&former, &next] {
        assert!(std::process::Command::new("mkfifo").arg(list).status().unwrap().success());
    }
    let file = board.dir.at("agent.conf");
    fs::write(&file, format!("motion_file_list = {}\n", former.display())).unwrap();
    let board = board.with(&["--config", file.to_str().unwrap()]);
    let mut agent = board.start();
    server.tell("porch", "arm");
    assert_eq!(camera.hears(), r#"{"command":"arm"}"#);
    let segments = [board.record_capture(TIME, &[3000]), board.record_capture(TIME + 1, &[3000])];
    let mut writer = fs::File::create(&former).unwrap();
    writeln!(writer, "{}", segments[0][0].path()).unwrap();
    agent.says(".pir/0.mp4 is safe");
    fs::write(&file, format!("motion_file_list = {}\n", next.display())).unwrap();
    agent.reload();
    agent.says(&format!("{TIME}.pir has ended"));
    fs::write(&next, format!("{}\n", segments[1][0].path())).unwrap();
    agent.says(&format!("{}.pir has ended", TIME + 1));
}

#[test]
fn a_bad_configuration_at_sighup_leaves_the_former_one() {
    let server = Server::start();
    let board = Board::new(&server);
    let file = board.dir.at("agent.conf");
    fs::write(&file, "max_rate = 1G\n").unwrap();
    let board = board.with(&["--config", file.to_str().unwrap()]);
    let mut agent = board.start();
    agent.says("connected to the cloud");
    for (config, why) in [
        (
            "max_rate = fast\n",
            "agent.conf:1: max_rate: expected bytes a second, or K, M or G of them, as 200K, or a list",
        ),
        ("colour = red\n", "agent.conf:1: unknown name \"colour\""),
    ] {
        fs::write(&file, config).unwrap();
        agent.reload();
        let told = agent.says("the former configuration stays");
        assert!(told.contains(why), "expected {why:?}: {told}");
    }
    fs::write(&file, "").unwrap();
    fs::copy(server.add("yard").key, &board.identity.key).unwrap();
    agent.reload();
    let told = agent.says("the former configuration stays");
    assert!(told.contains("does not belong to the first certificate"), "{told}");
    let segments = board.record_capture(TIME, &[3000]);
    agent.takes(&segments);
    agent.owes_nothing();
    assert!(matches!(&server.captures()[..], [capture] if capture.camera == "porch"));
}

#[test]
fn sighup_holds_nothing_up_while_a_file_takes_its_time() {
    let board = Board::alone();
    let file = board.dir.at("agent.conf");
    fs::write(&file, "").unwrap();
    let board = board.with(&["--config", file.to_str().unwrap()]);
    let mut agent = board.start();
    // Opening it takes until somebody writes there.
    fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    agent.reload();
    agent.takes(&board.record_capture(TIME, &[3000]));
    fs::write(&file, "max_rate = 1M\n").unwrap();
    agent.says("certificate, key and configuration are read again");
    agent.reload();
    agent.signal(Signal::TERM);
    ends_well(&board, agent, Instant::now());
}

#[test]
fn sighup_holds_nothing_up_while_the_time_zone_takes_its_time() {
    let board = Board::alone().with(&["--monthly_budget", "1G"]);
    let zone = board.dir.at("zone");
    let board = board.run_by(&["env", &format!("TZ={}", zone.display())]);
    let mut agent = board.start();
    assert!(std::process::Command::new("mkfifo").arg(&zone).status().unwrap().success());
    agent.reload();
    // This waits until it is being read, which then takes until it is closed.
    let writer = fs::OpenOptions::new().write(true).open(&zone).unwrap();
    agent.takes(&board.record_capture(TIME, &[3000]));
    drop(writer);
    agent.says("certificate, key and configuration are read again");
    agent.signal(Signal::TERM);
    ends_well(&board, agent, Instant::now());
}

#[test]
fn sighup_holds_nothing_up_while_a_socket_takes_its_time() {
    // The former socket is closed before, as that may be in its place.
    let mut moved = Moved::to_a_disk_that_hangs("input.sock");
    let segments = moved.board.record_capture(TIME, &[3000, 3000]);
    moved.source.hand_over(&segments[0]);
    moved.disk.power_up(1);
    moved.agent.says("the former input stays");
    moved.agent.says("certificate, key and configuration are read again");
    moved.agent.takes(&segments[1..]);
}

#[test]
fn the_former_socket_is_open_until_the_new_one_is() {
    let mut moved = Moved::to_a_disk_that_hangs("other.sock");
    let segments = moved.board.record_capture(TIME, &[3000, 3000]);
    moved.agent.takes(&segments[..1]);
    moved.agent.says("the input sockets are not open after 10 s");
    moved.disk.power_up(1);
    moved.agent.says("the former input stays");
    moved.agent.says("certificate, key and configuration are read again");
    moved.agent.takes(&segments[1..]);
}

#[test]
fn sigterm_ends_an_agent_whose_socket_takes_its_time() {
    for name in ["input.sock", "other.sock"] {
        let mut moved = Moved::to_a_disk_that_hangs(name);
        moved.agent.signal(Signal::TERM);
        moved.agent.says("stopping");
        moved.disk.power_up(1);
        ends_well(&moved.board, moved.agent, Instant::now());
    }
}

/// An agent that was told to listen elsewhere, where opening a socket takes until the power is back.
struct Moved {
    /// Goes first: a program that waits for it can't be killed.
    disk: Disk,
    agent: Agent,
    /// Came in by the former socket.
    source: Source,
    /// Last: an agent that closes a capture would write into a directory that is being removed.
    board: Board,
}

impl Moved {
    fn to_a_disk_that_hangs(name: &str) -> Moved {
        let (disk, board) = (Disk::mount(), Board::alone());
        let agent = start_by_file(&board);
        let source = agent.source();
        // The directory is the first change.
        configure(&board, &disk.at("new").join(name));
        disk.cut_after(0);
        agent.reload();
        disk.is_cut();
        Moved { disk, board, agent, source }
    }
}

#[test]
fn a_closed_log_does_not_stop_it() {
    let server = Server::start();
    let board = Board::new(&server);
    let board = board.run_by(&["sh", "-c", r#"exec "$0" "$@" >&- 2>&-"#]);
    works_unheard(&server, &board, board.launch());
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_it() {
    let server = Server::start();
    let board = Board::new(&server);
    let (reader, broken) = io::pipe().unwrap();
    drop(reader);
    let (silence, _) = io::pipe().unwrap();
    let also_broken = broken.try_clone().unwrap();
    let agent = Process::start_with("agent", board.command().stdout(broken).stderr(also_broken), silence);
    works_unheard(&server, &board, agent);
}

#[test]
fn a_dead_agents_socket_is_replaced() {
    let server = Server::start();
    let board = Board::new(&server);
    board.start().kill();
    assert!(board.input_sock().exists(), "a kill leaves it");
    board.start().takes(&board.record_capture(TIME, &[3000]));
}

#[test]
fn a_socket_that_answers_is_an_error() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let second = board.launch().ends();
    assert_eq!(second.code(), Some(69), "{}", second.log);
    assert!(second.log.contains("input.sock: another agent answers there; stop it, or give --input_sock"));
    agent.takes(&board.record_capture(TIME, &[3000]));
}

#[test]
fn a_state_directory_has_one_agent() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000]);
    let other = board.dir.at("other.sock");
    let mut second = program();
    second.arg("--input_sock").arg(&other).arg("--state_dir").arg(board.state_dir()).args(&board.flags);
    let ended = Process::start("second", &mut second).ends();
    assert_eq!(ended.code(), Some(69), "{}", ended.log);
    let why = "state: another agent has this state directory; stop it, or give --state_dir";
    assert!(ended.log.contains(why), "{}", ended.log);
    assert!(!other.exists());
    agent.takes(&segments);
    agent.owes_nothing();
    agent.kill();
    board.start();
}

#[test]
fn a_file_in_the_sockets_place_is_an_error_and_stays() {
    let server = Server::start();
    let board = Board::new(&server);
    fs::write(board.input_sock(), "precious").unwrap();
    let ended = board.launch().ends();
    assert_eq!(ended.code(), Some(78), "{}", ended.log);
    assert!(ended.log.contains("input.sock: expected a socket or nothing, but something else is there"));
    assert_eq!(fs::read_to_string(board.input_sock()).unwrap(), "precious");
}

#[test]
fn a_camera_programs_socket_in_the_sockets_place_is_an_error_and_stays() {
    let board = Board::alone();
    let camera = Camera::at(&board.input_sock());
    let ended = board.launch().ends();
    assert_eq!(ended.code(), Some(78), "{}", ended.log);
    let why = "input.sock: expected a dead agent's socket or nothing, but: Protocol wrong type for socket";
    assert!(ended.log.contains(why), "{}", ended.log);
    UnixDatagram::unbound().unwrap().send_to(b"arm", board.input_sock()).unwrap();
    assert_eq!(camera.hears(), "arm");
}

fn ends_well(board: &Board, agent: Agent, asked: Instant) {
    let ended = agent.ends();
    assert!(asked.elapsed() < LIMIT, "{:?}: {}", asked.elapsed(), ended.log);
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(ended.log.ends_with("stopped"), "{}", ended.log);
    assert!(!file_names(board.dir.path()).contains(&"input.sock".to_owned()));
}

fn works_unheard(server: &Server, board: &Board, agent: Process) {
    let connects = || UnixStream::connect(board.input_sock()).is_ok();
    eventually("it listens", connects, |connects| *connects);
    let segments = board.record_capture(TIME, &[3000]);
    let mut source = Source::at(&board.input_sock());
    source.say("nonsense");
    assert_eq!(source.rest(), "", "and something was to be logged");
    Source::at(&board.input_sock()).hand_over(&segments[0]);
    server.captures_when(
        "the capture is there",
        |captures| matches!(captures, [capture] if capture.is("pir", TIME, &segments)),
    );
    assert_eq!(agent.terminate().code(), Some(0));
}
