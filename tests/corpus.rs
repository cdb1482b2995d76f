//! Replays the agent's fuzz corpora: what must hold of hostile bytes, held to what the fuzzer once found interesting.

#![allow(clippy::unwrap_used)]

#[path = "../fuzz/replay.rs"]
mod replay;

use cloudtalker::fuzz;
use replay::Target;
use std::path::Path;

const TARGETS: [Target; 6] = [
    ("local_input", fuzz::local_input),
    ("cloud_text", fuzz::cloud_text),
    ("segment_names", fuzz::segment_names),
    ("configuration", fuzz::configuration),
    ("tus_answers", fuzz::tus_answers),
    ("spool_scan", fuzz::spool_scan),
];

fn fuzz_dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}

#[test]
fn every_corpus_holds() {
    for target in TARGETS {
        replay::replay(fuzz_dir(), target);
    }
}

#[test]
fn every_target_is_replayed() {
    replay::expect_all(fuzz_dir(), "cloudtalker", &TARGETS);
}
