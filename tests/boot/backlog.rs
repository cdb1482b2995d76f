//! A disk on which segments wait in great number, as an agent of this machine has left them: handing them over within an
//! emulator would take long.

use crate::{
    harness::{
        Board,
        image::{GID, UID},
    },
    machine::{format, ok},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
    thread,
};

/// Segments.
pub const BACKLOG: usize = 10_000;
const SEGMENTS_OF_A_CAPTURE: usize = 10;

/// Its file system has the state directory `state`.
pub fn disk() -> PathBuf {
    static MADE: Once = Once::new();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("backlog");
    MADE.call_once(|| make(&path));
    path
}

fn make(path: &Path) {
    let board = Board::alone();
    let (root, state_dir) = (board.dir.at("root"), board.dir.at("root/state"));
    fs::create_dir(&root).unwrap();
    let mut board = board.keeping_at(state_dir.clone());
    board.log_level = "info";
    fill(&board);
    ok(Command::new("chown").arg("-R").arg(format!("{UID}:{GID}")).arg(&state_dir));
    format(path, 200, &["-N", "32768", "-d", root.to_str().expect("tests' paths are text")]);
}

/// In several captures at a time, or it would last.
fn fill(board: &Board) {
    const SIDE_BY_SIDE: usize = 8;
    let agent = board.start();
    let captures: Vec<usize> = (0..BACKLOG / SEGMENTS_OF_A_CAPTURE).collect();
    thread::scope(|scope| {
        for captures in captures.chunks(captures.len().div_ceil(SIDE_BY_SIDE)) {
            let agent = &agent;
            scope.spawn(move || {
                for capture in captures {
                    let segments = board.record_capture(*capture as u64 + 1, &[1_000; SEGMENTS_OF_A_CAPTURE]);
                    agent.takes(&segments);
                }
            });
        }
    });
    assert_eq!(agent.status().spool.segments, BACKLOG as u64);
    assert_eq!(agent.terminate().code(), Some(0));
}
