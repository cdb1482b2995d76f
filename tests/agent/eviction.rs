//! A spool that is full while the server is down.

use crate::harness::{Board, Server};
use std::fs;

const TIME: u64 = 1_529_842_538;

#[test]
fn the_oldest_goes_and_everybody_hears_of_it() {
    let mut server = Server::stopped();
    let board = Board::new(&server).with(&["--spool_max", "100K"]);
    let mut agent = board.start();
    let captures: Vec<_> = (0..4).map(|number| board.record_capture(TIME + number, &[30_000])).collect();
    for capture in &captures[..3] {
        agent.takes(capture);
    }
    agent.takes(&captures[3]);
    agent.says(&format!("{TIME}.pir was given up with 1 segment, for want of space (see lost.log)"));
    let ledger = fs::read_to_string(board.state_dir().join("lost.log")).unwrap();
    assert_eq!(ledger.matches("unix").count(), 1, "{ledger}");
    assert!(ledger.contains(&format!("spool/{TIME}.pir/0.mp4")) && ledger.contains("evicted"), "{ledger}");
    let status = agent.status();
    assert_eq!((status.lost, status.spool.segments, status.spool.bytes), (1, 3, 90_000));

    server.go_on();
    agent.owes_nothing();
    let stored = server.captures();
    assert_eq!(stored.len(), 4, "{stored:#?}");
    assert_eq!((stored[0].trigger_timestamp, stored[0].state.as_str()), (TIME, "broken"));
    assert_eq!(stored[0].error.as_deref(), Some("segment 0 is lost: evicted"));
    for (number, capture) in (0..).zip(&captures).skip(1) {
        assert!(stored[number].is("pir", TIME + number as u64, capture), "{stored:#?}");
    }
}

#[test]
fn requested_captures_go_before_motion_and_a_part_never_goes_alone() {
    let mut server = Server::stopped();
    let board = Board::new(&server).with(&["--spool_max", "100K"]);
    let mut agent = board.start();
    let motion = board.record_capture(TIME, &[30_000]);
    let request = [0, 1].map(|number| board.record(&format!("cap.{}.{number}.mp4", TIME + 1), 20_000));
    let newest = board.record_capture(TIME + 2, &[40_000]);
    agent.takes(&motion);
    agent.takes(&request);
    agent.takes(&newest);
    agent.says(&format!("{}.cap was given up with 2 segments", TIME + 1));
    server.go_on();
    agent.owes_nothing();
    let stored = server.captures();
    assert!(stored[0].is("pir", TIME, &motion) && stored[2].is("pir", TIME + 2, &newest), "{stored:#?}");
    assert!(stored[1].is("request", TIME + 1, &[]) && stored[1].state == "broken", "{stored:#?}");
}

#[test]
fn a_segment_larger_than_the_spool_is_turned_away_and_nothing_goes_for_it() {
    let board = Board::alone().with(&["--spool_max", "100K"]);
    let mut agent = board.start();
    agent.takes(&board.record_capture(TIME, &[30_000]));
    let large = board.record(&format!("pir.{}.0.mp4", TIME + 1), 200_000);
    let refusal = agent.source().refusal(large.path());
    assert!(refusal.contains("the spool is full: --spool_max allows 102400 bytes"), "{refusal}");
    agent.says("is not taken: the spool is full");
    assert_eq!(agent.status().spool.segments, 1);
    agent.takes(&board.record_capture(TIME + 2, &[3000]));
}
