//! Replays the server's fuzz corpora: what must hold of hostile bytes, held to what the fuzzer once found interesting.

#![allow(clippy::unwrap_used, reason = "a failed step of the scenery fails the test")]

#[path = "../../fuzz/replay.rs"]
mod replay;

use cloudtalker_server::fuzz;
use replay::Target;
use std::path::Path;

const TARGETS: [Target; 5] = [
    ("tus_requests", fuzz::tus_requests),
    ("janus_messages", fuzz::janus_messages),
    ("join_mp4", fuzz::join_mp4),
    ("join_ts", fuzz::join_ts),
    ("room_talk", fuzz::room_talk),
];

fn fuzz_dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz"))
}

#[test]
fn every_corpus_holds() {
    for target in TARGETS {
        replay::replay(fuzz_dir(), target);
    }
}

#[test]
fn every_target_is_replayed() {
    replay::expect_all(fuzz_dir(), "cloudtalker_server", &TARGETS);
}
