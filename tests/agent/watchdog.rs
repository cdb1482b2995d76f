//! `--watchdog`: a device that is fed, or a file that is touched, while the agent gets on. What is no watchdog is in
//! `bad_input`.

use crate::harness::{
    Board, Disk, Happenings, Process, Source, TempDir, WatchdogDevice, eventually, file_names,
};
use rustix::fs::inotify::WatchFlags;
use serde_json::json;
use std::{
    fs::{self, File},
    io,
    path::Path,
};

fn watched(board: Board, path: impl AsRef<Path>) -> Board {
    board.with(&["--watchdog", path.as_ref().to_str().unwrap()])
}

#[test]
fn a_device_is_fed_until_the_agent_is_asked_to_end() {
    let mut device = WatchdogDevice::new();
    let board = watched(Board::alone(), &device.path);
    let mut agent = board.launch();
    let told = agent.says("--watchdog: ");
    assert!(told.ends_with(&format!("{} is fed every 5.0 s", device.path)), "{told}");
    device.is_fed();
    device.is_fed();
    assert_eq!(agent.terminate().code(), Some(0));
    device.is_stopped();
    let meals = device.meals();
    assert_eq!(meals.iter().filter(|meal| *meal == "farewell").count(), 1, "{meals:?}");
    assert_eq!(meals.last().map(String::as_str), Some("farewell"), "{meals:?}");
}

#[test]
fn a_device_is_left_running_by_an_agent_that_is_killed() {
    let mut device = WatchdogDevice::new();
    let board = watched(Board::alone(), &device.path);
    let agent = board.start();
    device.is_fed();
    agent.kill();
    assert!(device.meals().iter().all(|meal| meal == "fed"), "the board is to be rebooted");
}

#[test]
fn a_device_is_not_opened_by_a_start_that_fails() {
    let board = Board::alone();
    let _other = board.start();
    let device = WatchdogDevice::new();
    let path = Path::new(&device.path);
    let mut happenings = Happenings::within(path, WatchFlags::OPEN | WatchFlags::ATTRIB);
    let ended = watched(board, path).launch().ends();
    assert_eq!(ended.code(), Some(69), "{}", ended.log);
    assert!(ended.log.contains("another agent answers there"), "{}", ended.log);
    // Were it opened, that would come first.
    let permissions = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, permissions).unwrap();
    assert_eq!(happenings.next().1.bits(), WatchFlags::ATTRIB.bits());
}

#[test]
fn a_device_is_fed_while_the_disk_is_slow() {
    let mut device = WatchdogDevice::new();
    let disk = Disk::mount();
    let board = watched(Board::alone().on(&disk), &device.path);
    let agent = board.start();
    device.is_fed();
    disk.hold_while(&agent, &board.record("pir.1529842538.0.mp4", 3000), || {
        device.is_fed();
        device.is_fed();
    });
}

#[test]
fn a_device_is_fed_while_the_log_is_a_file_whose_disk_hangs() {
    let mut device = WatchdogDevice::new();
    let board = watched(Board::alone(), &device.path);
    let _agent;
    // Goes first: a program that waits for it can't be killed.
    let disk = Disk::mount();
    let log = File::create(disk.at("log")).unwrap();
    let mut command = board.command();
    command.stderr(log);
    let (nothing, _) = io::pipe().unwrap();
    _agent = Process::start_with("agent", &mut command, nothing);
    let source = || Source::try_at(&board.input_sock()).map_err(|error| error.kind());
    let mut source = eventually("it lets local programs in", source, Result::is_ok).unwrap();
    device.is_fed();
    disk.cut_after(0);
    for number in 0..100 {
        source.ask(&json!({"query": format!("weather {number}"), "ack": true}));
    }
    disk.is_cut();
    for _ in 0..3 {
        device.is_fed();
        source.ask(&json!({"query": "weather", "ack": true}));
    }
    disk.power_up(1);
}

#[test]
fn a_file_is_touched_until_the_agent_is_asked_to_end_and_goes_with_it() {
    let dir = TempDir::new();
    let board = watched(Board::alone(), dir.at("alive"));
    let mut happenings =
        Happenings::within(dir.path(), WatchFlags::CREATE | WatchFlags::ATTRIB | WatchFlags::DELETE);
    let agent = board.start();
    let mut next = || {
        let (name, event) = happenings.next();
        assert_eq!(name, "alive");
        event.bits()
    };
    assert_eq!(next(), WatchFlags::CREATE.bits());
    for _ in 0..3 {
        assert_eq!(next(), WatchFlags::ATTRIB.bits());
    }
    assert_eq!(agent.terminate().code(), Some(0));
    while next() != WatchFlags::DELETE.bits() {}
    assert_eq!(file_names(dir.path()), [""; 0]);
    // What a killed agent has left is taken over.
    board.start().kill();
    assert_eq!(file_names(dir.path()), ["alive"]);
    assert_eq!(board.start().terminate().code(), Some(0));
    assert_eq!(file_names(dir.path()), [""; 0]);
}

#[test]
fn a_file_that_can_not_be_touched_is_told_once_and_again_when_it_is_mended() {
    let dir = TempDir::new();
    let home = dir.at("home");
    fs::create_dir(&home).unwrap();
    let board = watched(Board::alone(), home.join("alive"));
    let mut agent = board.start();
    fs::rename(&home, dir.at("elsewhere")).unwrap();
    let told = agent.says("--watchdog: expected to write ");
    assert!(told.contains("home/alive, but: No such file or directory") && told.contains(" WARN "), "{told}");
    fs::create_dir(&home).unwrap();
    agent.says("home/alive is written again");
    let ended = agent.terminate();
    assert_eq!(ended.log.matches("expected to write").count(), 1, "{}", ended.log);
    assert_eq!(file_names(&home), [""; 0]);
}

#[test]
fn another_watchdog_takes_a_restart() {
    let (mut device, other) = (WatchdogDevice::new(), TempDir::new());
    let board = Board::alone();
    let file = board.dir.at("agent.conf");
    fs::write(&file, format!("watchdog = {}\n", device.path)).unwrap();
    let board = board.with(&["--config", file.to_str().unwrap()]);
    let mut agent = board.start();
    device.is_fed();
    fs::write(&file, format!("watchdog = {}\n", other.at("alive").display())).unwrap();
    agent.reload();
    agent.says("SIGHUP: another --watchdog takes a restart; the former one stays");
    device.is_fed();
    assert_eq!(file_names(other.path()), [""; 0]);
}
