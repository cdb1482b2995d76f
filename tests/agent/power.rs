//! The state directory on a disk that fails: the power is cut in the middle of any change, or the disk is full, broken
//! or read-only for a while. What was acknowledged is at the server at the end.

use crate::harness::{Answer, Board, Disk, Server, Toll, Trial, file_names, number, seed};
use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt};

/// As many as `make test` has time for; `CLOUDTALKER_CUTS` asks for more.
const CUTS: u64 = 70;

/// What the disk answers, to one operation in so many.
const FAULTS: [(&str, u64); 9] = [
    ("ENOSPC", 1),
    ("EIO", 1),
    ("EROFS", 1),
    ("ENOSPC", 4),
    ("EIO", 4),
    ("EROFS", 4),
    ("ENOSPC", 30),
    ("EIO", 30),
    ("EROFS", 30),
];

/// So many are handed over in each half of a spell of that.
const CAPTURES: usize = 4;

/// What is shown here of links would else be shown of copies.
#[test]
fn a_segment_on_this_disk_is_linked() {
    let disk = Disk::mount();
    let board = Board::alone().on(&disk).filming_on(&disk);
    let agent = board.start();
    let segments = board.record_capture(1_529_842_538, &[3000]);
    agent.takes(&segments);
    let kept = fs::metadata(board.state_dir().join("spool/1529842538.pir/0.mp4")).unwrap();
    let recorded = fs::metadata(&segments[0].path).unwrap();
    assert_eq!((kept.dev(), kept.ino(), kept.nlink()), (recorded.dev(), recorded.ino(), 2));
}

#[test]
fn nothing_is_lost_or_doubled_when_the_power_is_cut() {
    let (disk, server) = (Disk::mount(), Server::start());
    let board = Board::new(&server).on(&disk);
    cut_the_power(&disk, Trial::begin(board, server, seed())).is_none("power cuts beneath the spool");
}

#[test]
fn nothing_is_lost_or_doubled_when_the_power_is_cut_beneath_the_camera_too() {
    let (disk, server) = (Disk::mount(), Server::start());
    let board = Board::new(&server).on(&disk).filming_on(&disk);
    cut_the_power(&disk, Trial::begin(board, server, seed())).is_none("power cuts beneath spool and camera");
}

#[test]
fn a_disk_that_fails_for_a_while_holds_nothing_up_for_good() {
    let (disk, server) = (Disk::mount(), Server::start());
    let board = Board::new(&server).on(&disk);
    let mut trial = Trial::begin(board, server, seed());
    fail_for_a_while(&disk, &mut trial, |_| {});
    trial.comes_home();
    // Remains of what was refused are looked for again after minutes, or at the next start.
    trial.restart_agent();
    trial.end().is_none("spells of a failing disk");
}

#[test]
fn an_agent_that_is_killed_on_a_failing_disk_loses_nothing() {
    let (disk, server) = (Disk::mount(), Server::start());
    let board = Board::new(&server).on(&disk);
    let mut trial = Trial::begin(board, server, seed());
    fail_for_a_while(&disk, &mut trial, Trial::kill_agent);
    // What a start could not read is looked for again at the same times.
    trial.restart_agent();
    trial.end().is_none("spells and kills on a failing disk");
}

fn cut_the_power(disk: &Disk, mut trial: Trial) -> Toll {
    let mut operations: BTreeMap<String, u32> = BTreeMap::new();
    trial.end_agent();
    for _ in 0..number("CLOUDTALKER_CUTS").unwrap_or(CUTS) {
        // More changes come of each: a capture that is taken in and confirmed, and one that waits in the spool.
        const OF_A_NEW_ONE: usize = 20;
        const OF_A_WAITING_ONE: usize = 4;
        let captures = 1 + trial.below(3);
        let waiting = file_names(&trial.board.state_dir().join("spool")).len();
        let changes = trial.below(OF_A_NEW_ONE * captures + OF_A_WAITING_ONE * waiting);
        let operation = trial.live_until_cut(disk, changes, captures);
        *operations.entry(operation).or_default() += 1;
    }
    println!("cut at {operations:?} of {}", disk.count());
    trial.start_agent();
    trial.end()
}

fn fail_for_a_while(disk: &Disk, trial: &mut Trial, meanwhile: impl Fn(&mut Trial)) {
    for (errno, one_in) in FAULTS {
        let is_awaited = |answer| one_in > 1 || answer == Answer::Refused;
        trial.blows += 1;
        disk.fail(errno, one_in);
        trial.record(CAPTURES);
        trial.hears(CAPTURES, is_awaited);
        meanwhile(trial);
        trial.record(CAPTURES);
        trial.hears(CAPTURES, is_awaited);
        disk.recover();
        trial.record(1);
        trial.hears(1, |answer| answer == Answer::Acked);
    }
}
