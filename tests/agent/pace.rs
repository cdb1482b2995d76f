//! How fast uploads go, and how far: rates by the time of day, and a month's budget.

use crate::harness::{Agent, Board, BudgetStatus, Server};
use std::{
    fs,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

const TIME: u64 = 1_529_842_538;
const MIB: u64 = 1 << 20;

/// A board, and a configuration file of its own with this line. Where it is, no month ends within an hour.
fn configured(server: &Server, line: &str) -> (Board, PathBuf) {
    let board = Board::new(server);
    let file = board.dir.at("agent.conf");
    fs::write(&file, line).unwrap();
    let is_late = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600 % 24 == 23;
    let zone = if is_late { "TZ=WEST12" } else { "TZ=UTC0" };
    let board = board.with(&["--config", file.to_str().unwrap()]).run_by(&["env", zone]);
    (board, file)
}

fn budget(agent: &Agent) -> BudgetStatus {
    agent.status().budget.expect("it has a budget")
}

#[test]
fn a_budget_stops_an_upload_which_goes_on_once_it_is_raised() {
    const LENGTH: usize = 4_000_000;
    let server = Server::start();
    let (board, file) = configured(&server, "monthly_budget = 2M\n");
    let mut agent = board.start();
    let segments = board.record_capture(TIME, &[LENGTH]);
    agent.takes(&segments);
    agent.says("the data budget of 2097152 bytes is used up: nothing is uploaded until ");
    agent.status_when("the upload has ended", |status| status.upload.is_none());
    let used_up = budget(&agent);
    assert!((2 * MIB - 65_536..=2 * MIB).contains(&used_up.spent), "{used_up:?}");
    assert_eq!((used_up.limit, used_up.standing.as_str()), (2 * MIB, "used_up"));
    // A power cut changes nothing about it.
    agent.kill();
    let mut agent = board.start();
    agent.says("the data budget of 2097152 bytes is used up");
    agent.says("connected to the cloud");
    assert!(budget(&agent).spent >= used_up.spent, "{:?} after {used_up:?}", budget(&agent));
    fs::write(&file, "monthly_budget = 16M\n").unwrap();
    agent.reload();
    agent.owes_nothing();
    assert!(matches!(&server.captures()[..], [capture] if capture.is("pir", TIME, &segments)));
    // It went on where it had been stopped: once more from the beginning it would be 6 MB.
    let spent = budget(&agent).spent;
    assert!((4_000_000..5_000_000).contains(&spent), "{spent}");
}

#[test]
fn another_rate_counts_in_the_middle_of_an_upload() {
    let server = Server::start();
    // At this rate the upload would take longer than any test waits.
    let (board, file) = configured(&server, "max_rate = 4K\n");
    let agent = board.start();
    let segments = board.record_capture(TIME, &[4_000_000]);
    agent.takes(&segments);
    agent.has_sent(0);
    fs::write(&file, "max_rate = 100M\n").unwrap();
    agent.reload();
    agent.owes_nothing();
    assert!(matches!(&server.captures()[..], [capture] if capture.is("pir", TIME, &segments)));
}

#[test]
fn times_of_day_are_those_of_the_boards_zone() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // Within two hours of now, where clocks are five hours ahead of UTC.
    let minute = |shift: u64| (now / 60 + 5 * 60 + shift) % 1440;
    let time = |minute: u64| format!("{:02}:{:02}", minute / 60, minute % 60);
    let window = format!("{}-{}=7", time(minute(1440 - 120)), time(minute(120)));
    for (zone, rate) in [("TZ=HERE-5", Some(7)), ("TZ=THERE5", None), ("TZ=UTC0", None), ("TZ=no/such", None)]
    {
        let board = Board::alone().with(&["--max_rate", &window]).run_by(&["env", zone]);
        let status = board.start().status();
        assert_eq!((status.rate.bytes_per_second, status.rate.is_timely), (rate, true), "{zone}");
    }
}
