//! Either end is killed, as by a power cut, and nothing is lost or doubled.

use crate::harness::{Board, Capture, Segment, Server, file_names};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::{fs, os::unix::fs::symlink};

const TIME: u64 = 1_529_842_538;
/// Some seconds' worth at [`RATE`].
const LONG: usize = 3_200_000;
const RATE: &str = "400K";
/// More than a second takes.
const SOME: u64 = 700_000;

#[test]
fn what_was_acked_outlives_the_agent() {
    let mut server = Server::stopped();
    let board = Board::new(&server);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 70_000, 5000]);
    agent.takes(&segments);
    agent.kill();
    let mut agent = board.start();
    agent.says("no connection to the cloud");
    server.go_on();
    agent.owes_nothing();
    assert_only(&server.captures(), &segments);
}

#[test]
fn a_capture_that_was_cut_off_is_closed_at_the_next_start() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 4000]);
    let mut source = agent.source();
    source.hand_over(&segments[0]);
    source.hand_over(&segments[1]);
    agent.kill();
    let agent = board.start();
    agent.owes_nothing();
    assert_only(&server.captures(), &segments);
}

#[test]
fn what_a_person_put_into_the_spool_outlives_the_captures_there_and_holds_up_none() {
    let mut server = Server::stopped();
    let board = Board::new(&server);
    let mut agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 4000]);
    agent.takes(&segments);
    let (spool, refused) = (board.state_dir().join("spool"), board.state_dir().join("refused"));
    let capture = format!("{TIME}.pir");
    let thumbs = spool.join(&capture).join("thumbs");
    fs::create_dir(&thumbs).unwrap();
    fs::write(thumbs.join("0.jpg"), "a picture").unwrap();
    symlink("/dev/null", spool.join(&capture).join("1.ts")).unwrap();
    server.go_on();
    agent.owes_nothing();
    let aside = refused.join(format!("stray.{capture}.thumbs"));
    agent.says(&format!("thumbs is no part of a capture: it is refused/stray.{capture}.thumbs now"));
    assert_eq!(fs::read_to_string(aside.join("0.jpg")).unwrap(), "a picture");
    assert!(refused.join(format!("stray.{capture}.1.ts")).is_symlink());
    assert_eq!(fs::read_dir(spool).unwrap().count(), 0);
    assert_only(&server.captures(), &segments);
}

#[test]
fn neither_a_pipe_nor_a_link_that_leads_nowhere_holds_up_a_start_or_is_replaced() {
    let board = Board::new(&Server::start());
    let (spool, refused) = (board.state_dir().join("spool"), board.state_dir().join("refused"));
    board.start().kill();
    for path in [spool.join("pipe"), refused.join("stray.pipe")] {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }
    for path in [spool.join("link"), refused.join("stray.link")] {
        symlink("/nowhere", path).unwrap();
    }
    let _agent = board.start();
    let aside = file_names(&refused);
    assert_eq!(aside, ["stray.link", "stray.link.2", "stray.pipe", "stray.pipe.2"]);
}

#[test]
fn an_upload_goes_on_where_it_was_when_the_server_died() {
    let mut server = Server::start();
    let board = Board::new(&server).with(&["--max_rate", RATE]);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[LONG]);
    agent.takes(&segments);
    let stored = server.has_stored(SOME);
    server.kill();
    agent.status_when("the upload has ended", |status| status.upload.is_none());
    server.go_on();
    assert_resumed(agent.has_sent(0), stored);
    agent.owes_nothing();
    assert_only(&server.captures(), &segments);
}

#[test]
fn an_upload_goes_on_where_it_was_when_the_agent_died() {
    let server = Server::start();
    let board = Board::new(&server).with(&["--max_rate", RATE]);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[LONG]);
    agent.takes(&segments);
    let stored = server.has_stored(SOME);
    agent.kill();
    let agent = board.start();
    assert_resumed(agent.has_sent(0), stored);
    agent.owes_nothing();
    assert_only(&server.captures(), &segments);
}

#[test]
fn a_capture_handed_over_again_after_a_kill_is_there_once() {
    let mut server = Server::stopped();
    let board = Board::new(&server);
    let segments = board.record_capture(TIME, &[3000, 4000]);
    let agent = board.start();
    agent.takes(&segments[..1]);
    agent.kill();
    let agent = board.start();
    let mut source = agent.source();
    assert_eq!(source.hand_over(&segments[0])["repeated"], true);
    assert_eq!(source.hand_over(&segments[1])["repeated"], serde_json::Value::Null);
    drop(source);
    server.go_on();
    agent.owes_nothing();
    assert_only(&server.captures(), &segments);
}

/// Progress is told each second: one that began anew would have come only as far as a second takes it.
#[track_caller]
fn assert_resumed(first_seen: u64, stored: u64) {
    assert!(first_seen >= stored, "the server had {stored}, then the agent sent from {first_seen} on");
}

#[track_caller]
fn assert_only(captures: &[Capture], segments: &[Segment]) {
    assert!(matches!(captures, [capture] if capture.is("pir", TIME, segments)), "{captures:#?}");
}
