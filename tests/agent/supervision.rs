//! What init scripts and supervisors are told: the log.

use crate::harness::{Board, Camera, Process, Source};
use rustix::fs::fstat;
use serde_json::json;
use std::io;

/// Its agent's `/dev/log` is a socket in the board's own directory.
fn with_a_syslog(mut board: Board) -> Board {
    // The kernel keeps ten datagrams for a daemon that is slow: not all that the agent says at once as it starts.
    board.log_level = "info";
    let log = board.dir.at("syslog.sock");
    board
        .mounting(&format!("mount -t tmpfs none /dev && ln -s '{}' /dev/log", log.display()))
        .with(&["--log_to", "syslog"])
}

/// Waits for a message with these words.
fn hears(daemon: &Camera, words: &str) -> String {
    loop {
        let message = daemon.hears();
        if message.contains(words) {
            return message;
        }
    }
}

#[test]
fn the_systems_log_hears_everything_and_is_found_again_when_it_was_started_anew() {
    let board = with_a_syslog(Board::alone());
    let daemon = Camera::at(&board.dir.at("syslog.sock"));
    let mut agent = board.launch();
    let id = agent.id();
    let started = hears(&daemon, "started; ");
    assert!(started.starts_with(&format!("<30>cloudtalker[{id}]: [cloudtalker::")), "{started}");
    assert_eq!(agent.log(), "", "nothing is told twice");
    drop(daemon);
    let ask = |weather: &str| Source::at(&board.input_sock()).ask(&json!({"query": weather, "ack": true}));
    ask("rain");
    agent.says(r#""query" should be "status", not "rain""#);
    let daemon = Camera::at(&board.dir.at("syslog.sock"));
    ask("snow");
    hears(&daemon, "before this one at /dev/log");
    let snow = hears(&daemon, r#"not "snow""#);
    assert!(snow.starts_with(&format!("<28>cloudtalker[{id}]: ")), "{snow}");
    assert_eq!(agent.terminate().code(), Some(0));
    hears(&daemon, "stopped");
}

#[test]
fn a_wrong_configuration_is_told_in_the_systems_log_too() {
    let board = with_a_syslog(Board::alone().with(&["--max_rate", "fast"]));
    let daemon = Camera::at(&board.dir.at("syslog.sock"));
    let ended = board.launch().ends();
    assert_eq!(ended.code(), Some(64), "{}", ended.log);
    assert!(ended.log.starts_with("cloudtalker: --max_rate: expected bytes a second"), "{}", ended.log);
    let told = daemon.hears();
    assert!(told.starts_with("<27>cloudtalker[") && told.contains("--max_rate: expected bytes"), "{told}");
}

#[test]
fn the_journal_gets_priorities() {
    let board = Board::alone();
    let (log, stream) = io::pipe().unwrap();
    let about = fstat(&stream).unwrap();
    let named = format!("{}:{}", about.st_dev, about.st_ino);
    let mut command = board.command();
    let mut agent = Process::start_with("agent", command.env("JOURNAL_STREAM", named).stderr(stream), log);
    let started = agent.says("started; ");
    assert!(started.starts_with("<6>[cloudtalker::"), "{started}");
    Source::at(&board.input_sock()).ask(&json!({"query": "weather", "ack": true}));
    let warned = agent.says(r#"not "weather""#);
    assert!(warned.starts_with("<4>[cloudtalker::"), "{warned}");
}

#[test]
fn a_stream_that_is_not_the_journals_has_lines_for_people() {
    let board = Board::alone();
    let mut command = board.command();
    let mut agent = Process::start("agent", command.env("JOURNAL_STREAM", "1:1"));
    let started = agent.says("started; ");
    assert!(started.contains("Z INFO  [cloudtalker::"), "{started}");
}

#[test]
fn the_same_message_is_counted_when_it_comes_again() {
    let mut board = Board::alone();
    board.log_level = "info";
    let agent = board.start();
    let mut source = agent.source();
    for _ in 0..5 {
        source.ask(&json!({"query": "weather", "ack": true}));
    }
    source.ask(&json!({"query": "news", "ack": true}));
    let ended = agent.terminate();
    let told = |words: &str| ended.log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
    let weather = told(r#"not "weather""#);
    assert_eq!(weather.len(), 2, "{}", ended.log);
    assert!(
        !weather[0].contains("more within") && weather[1].contains(" (4 times more within "),
        "{weather:?}"
    );
    assert_eq!(told(r#"not "news""#).len(), 1, "{}", ended.log);
}
