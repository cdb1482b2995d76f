//! `status --watch`: in a terminal, in a pipe and for a program, while the agent works, goes and comes back.

use crate::harness::{Agent, Board, Camera, Process, Segment, Server, Terminal, program};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    io::{self, BufRead, BufReader},
    process::Stdio,
};

const TIME: u64 = 1_529_842_538;
/// At the rate below it takes longer than any test.
const LONG: usize = 16 << 20;

/// A board that uploads something long, and has been told to arm.
struct Scene {
    agent: Agent,
    board: Board,
    _camera: Camera,
    _server: Server,
}

impl Scene {
    fn new() -> Scene {
        let server = Server::start();
        let board = Board::new(&server).with_camera().with(&["--max_rate", "64K"]);
        let camera = Camera::at(&board.cam_sock());
        let mut agent = board.start();
        agent.says("connected to the cloud");
        server.tell("porch", "arm");
        agent.says("armed by the cloud");
        agent.takes(&board.record_capture(TIME, &[LONG]));
        agent.has_sent(0);
        Scene { agent, board, _camera: camera, _server: server }
    }

    fn watching(&self, flags: &[&str]) -> std::process::Command {
        watching(&self.board, flags)
    }
}

fn watching(board: &Board, flags: &[&str]) -> std::process::Command {
    let mut watch = program();
    watch.args(["status", "--watch", "--input_sock"]).arg(board.input_sock()).args(flags);
    watch
}

#[test]
fn a_terminal_shows_the_upload_go_on_and_is_left_as_it_was() {
    let scene = Scene::new();
    for (columns, signal) in [(80, Signal::INT), (40, Signal::TERM), (200, Signal::HUP)] {
        let mut terminal = Terminal::run(&mut scene.watching(&[]), columns, 24);
        terminal.shows(&["camera     armed", "upload     1529842538.pir/0.mp4", "░", "arm "]);
        terminal.shows(&["KiB/s, ", " left"]);
        let widest = terminal.lines().iter().map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns.into()), "{columns}: {:#?}", terminal.lines());
        terminal.signal(signal);
        let written = terminal.ends();
        assert!(written.starts_with("\x1b[?1049h\x1b[?25l"), "{written:?}");
        assert!(written.ends_with("\x1b[?25h\r\n\x1b[?1049l"), "the cursor is back: {written:?}");
    }
}

#[test]
fn a_terminal_that_is_resized_is_filled_anew() {
    let scene = Scene::new();
    let mut terminal = Terminal::run(&mut scene.watching(&[]), 120, 24);
    terminal.shows(&["upload     1529842538.pir/0.mp4", "░", "arm "]);
    let widest = terminal.lines().iter().map(|line| line.chars().count()).max();
    assert!(widest > Some(40), "{:#?}", terminal.lines());
    terminal.resize(40, 24);
    terminal.narrows_to(40);
    terminal.resize(40, 3);
    terminal.shows_no_more("arm ");
    assert_eq!(terminal.lines().len(), 3, "{:#?}", terminal.lines());
    terminal.resize(120, 24);
    terminal.shows(&["░", "arm "]);
}

#[test]
fn a_terminal_says_when_the_agent_goes_and_goes_on_when_it_is_back() {
    let board = Board::alone();
    let mut terminal = Terminal::run(&mut watching(&board, &[]), 100, 24);
    terminal.shows(&["no answer for ", "expected the agent at "]);
    let agent = board.start();
    terminal.shows(&["session    ", "waiting    nothing"]);
    agent.kill();
    terminal.shows(&["no answer for ", "Connection refused", "waiting    nothing"]);
    let _agent = board.start();
    terminal.shows_no_more("no answer for ");
}

#[test]
fn a_stopped_watch_gives_the_terminal_back_meanwhile() {
    let board = Board::alone();
    let _agent = board.start();
    let mut terminal = Terminal::run(&mut watching(&board, &[]), 80, 24);
    terminal.shows(&["waiting    nothing"]);
    for _ in 0..5 {
        terminal.signal(Signal::TSTP);
        terminal.prompts("$ ");
        terminal.writes("\x1b[?25h\r\n\x1b[?1049l$ ");
        terminal.signal(Signal::CONT);
        terminal.writes("\x1b[?1049h\x1b[?25l");
        terminal.shows(&["waiting    nothing"]);
    }
}

#[test]
fn a_watch_in_the_background_writes_lines_and_leaves_the_screen_alone() {
    let board = Board::alone();
    let _agent = board.start();
    let script = r#""$@" & read -r; kill %1"#;
    let mut terminal = Terminal::run_by_a_shell(script, &watching(&board, &[]), 80, 24);
    terminal.writes("; nothing waits");
    terminal.types("\n");
    let written = terminal.ends();
    assert!(!written.contains('\x1b'), "{written:?}");
}

#[test]
fn a_watch_that_is_sent_into_the_background_stops_until_it_is_back() {
    let board = Board::alone();
    let _agent = board.start();
    let script = r#""$@"; bg >/dev/null; until jobs | grep -q Stopped; do sleep 0.1; done; echo behind; fg"#;
    let mut terminal = Terminal::run_by_a_shell(script, &watching(&board, &[]), 80, 24);
    terminal.shows(&["waiting    nothing"]);
    terminal.types("\x1a");
    terminal.writes("\x1b[?1049l");
    let meanwhile = terminal.writes("behind");
    assert!(!meanwhile.contains('\x1b'), "others have the terminal: {meanwhile:?}");
    terminal.writes("\x1b[?1049h\x1b[?25l");
    terminal.shows(&["waiting    nothing"]);
    terminal.types("\x03");
    terminal.ends();
}

#[test]
fn a_terminal_that_takes_nothing_holds_up_no_end() {
    let board = Board::alone();
    let _agent = board.start();
    let mut terminal = Terminal::run(&mut watching(&board, &[]), 80, 24);
    terminal.shows(&["waiting    nothing"]);
    terminal.pauses();
    terminal.signal(Signal::TERM);
    terminal.ends();
}

#[test]
fn a_pipe_gets_a_line_for_each_change() {
    let scene = Scene::new();
    let mut watch = Process::start("watch", &mut scene.watching(&[]));
    let line =
        watch.says(" up, armed; arm delivered; at most 64.0 KiB/s; 1 capture, 1 segment, 16.0 MiB wait");
    assert!(
        line.starts_with("20") && line.contains("; 1529842538.pir/0.mp4 ") && !line.contains('\x1b'),
        "{line}"
    );
    watch.says(" KiB/s, ");
    scene.agent.kill();
    watch.says(" away: ");
    let _agent = scene.board.start();
    watch.says(" up, armed; ");
}

#[test]
fn a_watch_that_is_asked_to_stop_has_not_failed() {
    let board = Board::alone();
    let _agent = board.start();
    for (flags, signal) in [(&[][..], Signal::TERM), (&[][..], Signal::INT), (&["--json"][..], Signal::TERM)]
    {
        let mut watch = Process::start("watch", &mut watching(&board, flags));
        watch.says("");
        watch.signal(signal);
        assert_eq!(watch.ends().code(), Some(0), "{flags:?} {signal:?}");
    }
}

#[test]
fn a_program_gets_an_object_a_second_also_while_the_agent_is_away() {
    let board = Board::alone();
    let agent = board.start();
    let mut watch = watching(&board, &["--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    for _ in 0..2 {
        assert_eq!(next()["session"]["state"].as_str().map(|state| state == "up"), Some(false));
    }
    agent.kill();
    let gone = std::iter::repeat_with(&mut next).find(|object| object.get("session").is_none()).unwrap();
    assert!(gone["ok"] == false && gone["error"].as_str().unwrap().contains("the agent at "), "{gone}");
    drop(lines);
    assert!(watch.wait().unwrap().success(), "nobody reading it is no error");
}

#[test]
fn a_watch_that_nobody_reads_ends_although_nothing_changes() {
    let board = Board::alone();
    let _agent = board.start();
    let (reader, writer) = io::pipe().unwrap();
    let mut watch = watching(&board, &[]).stdout(writer).spawn().unwrap();
    BufReader::new(reader).read_line(&mut String::new()).unwrap();
    assert!(watch.wait().unwrap().success());
}

#[test]
fn a_watch_keeps_no_camera_out_and_no_capture_open() {
    let board = Board::alone();
    let agent = board.start();
    let mut terminal = Terminal::run(&mut watching(&board, &[]), 80, 24);
    terminal.shows(&["waiting    nothing"]);
    // Every place of a camera's is taken, and the watch goes on beside them.
    let segments: Vec<Segment> =
        (0..64).map(|number| board.record(&format!("pir.{}.0.mp4", TIME + number), 100)).collect();
    let mut cameras: Vec<_> = segments.iter().map(|_| agent.source()).collect();
    for (camera, segment) in cameras.iter_mut().zip(&segments) {
        camera.hand_over(segment);
    }
    terminal.shows(&["waiting    64 captures, 64 segments"]);
    let repeated = cameras[0].hand_over(&segments[0]);
    assert_eq!(repeated["repeated"], true, "its connection is still there");
    drop(cameras);
    let mut agent = agent;
    agent.says(&format!("{TIME}.pir has ended"));
}

#[test]
fn what_is_wrong_from_the_first_is_an_error() {
    let board = Board::alone();
    std::fs::write(board.input_sock(), "precious").unwrap();
    let ended = Process::start("watch", &mut watching(&board, &[])).ends();
    assert_eq!(ended.code(), Some(69));
    let expected = "something that is no socket is there; is --input_sock right?";
    assert!(ended.log.contains(expected), "{}", ended.log);
}
