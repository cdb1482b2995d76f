//! What init scripts and supervisors go by: the log, the pidfile, exit codes.

use crate::harness::{Board, Camera, Process, Source, eventually, file_names};
use rustix::fs::fstat;
use serde_json::json;
use std::{fs, io, os::unix::fs::symlink};

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

#[test]
fn a_pidfile_names_the_agent_while_it_runs() {
    let board = Board::alone();
    let pidfile = board.dir.at("agent.pid");
    let board = board.with(&["--pidfile", pidfile.to_str().unwrap()]);
    let agent = board.start();
    assert_eq!(fs::read_to_string(&pidfile).unwrap(), format!("{}\n", agent.id()));
    agent.kill();
    assert!(pidfile.exists(), "a kill leaves it");
    let agent = board.start();
    assert_eq!(fs::read_to_string(&pidfile).unwrap(), format!("{}\n", agent.id()));
    assert_eq!(agent.terminate().code(), Some(0));
    assert_eq!(file_names(board.dir.path()).iter().filter(|name| name.contains("agent.pid")).count(), 0);
}

#[test]
fn of_two_agents_that_start_at_once_one_has_the_pidfile() {
    let boards = [Board::alone(), Board::alone()];
    let pidfile = boards[0].dir.at("agent.pid");
    let path = pidfile.to_str().unwrap().to_owned();
    let boards = boards.map(|board| board.with(&["--pidfile", &path]));
    for left in [None, Some("4194304\n")] {
        if let Some(left) = left {
            fs::write(&pidfile, left).unwrap();
        }
        let [one, other] = boards.each_ref().map(Board::launch);
        let is_claimed = || fs::read_to_string(&pidfile).unwrap_or_default();
        let has_one_of = |id: &String| [&one, &other].iter().any(|agent| *id == format!("{}\n", agent.id()));
        let id = eventually("one has it", is_claimed, has_one_of);
        let (mut winner, loser) = if id == format!("{}\n", one.id()) { (one, other) } else { (other, one) };
        let ended = loser.ends();
        assert_eq!(ended.code(), Some(69), "{}", ended.log);
        assert!(ended.log.contains("agent.pid: another agent has this file, process "), "{}", ended.log);
        winner.says("started; ");
        assert_eq!(fs::read_to_string(&pidfile).unwrap(), id);
        assert_eq!(winner.terminate().code(), Some(0));
        assert!(!pidfile.exists());
    }
}

#[test]
fn a_pidfile_that_is_something_else_stays_and_ends_the_agent() {
    let board = Board::alone();
    let (precious, link) = (board.dir.at("precious"), board.dir.at("agent.pid"));
    fs::write(&precious, "precious\n").unwrap();
    symlink(&precious, &link).unwrap();
    let nowhere = board.dir.at("nowhere/agent.pid");
    for (pidfile, code, why) in [
        (
            &precious,
            78,
            "precious: expected a dead agent's file or nothing, but a file that holds no process's",
        ),
        (&link, 78, "agent.pid: expected a dead agent's file or nothing, but a symbolic link is there"),
        (&nowhere, 69, "nowhere/agent.pid, but: No such file or directory"),
    ] {
        let ended = Process::start("agent", board.command().arg("--pidfile").arg(pidfile)).ends();
        assert_eq!(ended.code(), Some(code), "{}", ended.log);
        assert!(ended.log.contains("can't start: --pidfile: ") && ended.log.contains(why), "{}", ended.log);
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious\n");
    assert_eq!(fs::read_link(&link).unwrap(), precious);
}
