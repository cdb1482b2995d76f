//! From the camera's file to the server's list and back to an empty spool.

use crate::harness::{Board, Server, Source, file_names};
use serde_json::json;

const TIME: u64 = 1_529_842_538;

#[test]
fn three_segments_arrive_as_one_capture_and_the_spool_is_empty_again() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 70_000, 1]);
    let mut source = agent.source();
    for (number, segment) in segments.iter().enumerate() {
        let ack = source.hand_over(segment);
        assert_eq!((&ack["trigger_timestamp"], &ack["seg_no"]), (&json!(TIME), &json!(number)));
    }
    drop(source);
    agent.owes_nothing();
    let captures = server.captures();
    assert!(captures.len() == 1 && captures[0].is("pir", TIME, &segments), "{captures:#?}");
    assert_eq!(file_names(&board.state_dir().join("spool")), [""; 0]);
    assert_eq!(file_names(&board.capture_dir()).len(), 3, "the camera's own files stay");
}

#[test]
fn the_originals_sample_client_is_understood() {
    let server = Server::start();
    let board = Board::new(&server).with_port();
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 4000, 5000]);
    let mut client = Source::at_port(board.port.unwrap());
    client.say(
        segments.iter().map(|segment| json!({"segment": segment.name()}).to_string()).collect::<String>(),
    );
    assert_eq!(client.rest(), "", "nothing is written to who did not ask for it");
    server.captures_when(
        "the capture is there",
        |captures| matches!(captures, [capture] if capture.is("pir", TIME, &segments)),
    );
    agent.owes_nothing();
}
