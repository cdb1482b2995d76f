//! `--metrics`: numbers for Prometheus, as its own programs read them. What is no place for them is in `bad_input`.

use crate::harness::{
    Board, Camera, Disk, Happenings, Process, Server, TempDir, eventually, file_names, free_port,
};
use rustix::{
    fs::inotify::{ReadFlags, WatchFlags},
    process::Signal,
};
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

const TIME: u64 = 1_529_842_538;

fn measured(board: Board, path: &Path) -> Board {
    board.with(&["--metrics", path.to_str().unwrap()])
}

/// Waits until the file says this line.
fn page_with(path: &Path, line: &str) -> String {
    let page = || fs::read_to_string(path).unwrap_or_default();
    eventually("the metrics say so", page, |page| page.lines().any(|told| told == line))
}

#[test]
fn a_start_that_waits_for_a_disk_can_be_ended() {
    for (option, name) in [("--metrics", "porch.prom"), ("--pidfile", "agent.pid")] {
        let disk = Disk::mount();
        let board = Board::alone().with(&[option, disk.at(name).to_str().unwrap()]);
        disk.cut_after(0);
        let mut agent = board.launch();
        // From here on it has to go before the agent, should the test fail.
        let disk = disk;
        disk.is_cut();
        agent.signal(Signal::TERM);
        agent.says("stopped");
        // Its thread ends with the call.
        disk.power_up(0);
        assert_eq!(agent.ends().code(), Some(0), "{option}");
    }
}

#[test]
fn prometheus_takes_what_a_busy_agent_tells() {
    let (server, dir) = (Server::start(), TempDir::new());
    let file = dir.at("porch.prom");
    let board = measured(Board::new(&server).with_camera(), &file);
    let camera = Camera::at(&board.cam_sock());
    let agent = board.start();
    server.tell("porch", "arm");
    assert_eq!(camera.hears(), r#"{"command":"arm"}"#);
    agent.takes(&board.record_capture(TIME, &[3000, 4000]));
    agent.owes_nothing();
    let page = page_with(&file, "cloudtalker_receipts_total 1");
    for line in [
        concat!("cloudtalker_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "cloudtalker_session_up 1",
        "cloudtalker_sessions_total 1",
        "cloudtalker_armed 1",
        "cloudtalker_spool_captures 0",
        "cloudtalker_segments_accepted_total 2",
        "cloudtalker_segments_accepted_bytes_total 7000",
        "cloudtalker_segments_confirmed_total 2",
        "cloudtalker_segments_confirmed_bytes_total 7000",
        "cloudtalker_segments_lost_total{reason=\"missing\"} 0",
    ] {
        assert!(page.lines().any(|told| told == line), "{line:?}: {page}");
    }
    let linted = tool(Command::new("promtool").args(["check", "metrics"]).stdin(File::open(&file).unwrap()));
    assert!(linted.status.success() && linted.stderr.is_empty(), "{linted:?}");
    let scraped = scraped(dir.path());
    for line in ["node_textfile_scrape_error 0", "cloudtalker_receipts_total 1", "cloudtalker_armed 1"] {
        assert!(scraped.lines().any(|told| told == line), "{line:?}: {scraped}");
    }
}

/// What node_exporter tells of a directory's files, and of itself.
fn scraped(dir: &Path) -> String {
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new("prometheus-node-exporter");
    command.args(["--collector.disable-defaults", "--collector.textfile"]);
    command.arg(format!("--collector.textfile.directory={}", dir.display()));
    command.arg(format!("--web.listen-address={address}"));
    let exporter = Process::start("node_exporter", &mut command);
    let url = format!("http://{address}/metrics");
    let ask = || tool(Command::new("curl").args(["--silent", "--show-error", "--fail", &url]));
    let answered = eventually("node_exporter answers", ask, |answer| answer.status.success());
    // What it could not put on one page with the rest it leaves out, and says so.
    assert!(!exporter.log().contains("level=error"), "{}", exporter.log());
    String::from_utf8(answered.stdout).unwrap()
}

/// `make test` installs them.
fn tool(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}: `scripts/install-tools test` installs it, and make has it in PATH")
    })
}

#[test]
fn metrics_are_replaced_as_a_whole_and_go_with_the_agent() {
    let dir = TempDir::new();
    let file = dir.at("porch.prom");
    let kinds = WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::MOVED_TO;
    let mut happenings = Happenings::within(dir.path(), kinds);
    let board = measured(Board::alone().run_by(&["sh", "-c", r#"umask 077; exec "$0" "$@""#]), &file);
    let agent = board.start();
    let mut replaced = 0;
    while replaced < 2 {
        let (name, event) = happenings.next();
        if name == "porch.prom" {
            assert_eq!(event, ReadFlags::MOVED_TO);
            replaced += 1;
        } else {
            assert!(name.starts_with("porch.prom.") && !name.ends_with(".prom"), "{name}");
        }
    }
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(agent.terminate().code(), Some(0));
    assert_eq!(file_names(dir.path()), [""; 0]);
}

#[test]
fn metrics_of_a_killed_agent_go_at_the_next_start() {
    let dir = TempDir::new();
    let file = dir.at("porch.prom");
    let board = measured(Board::alone(), &file);
    let agent = board.start();
    page_with(&file, "cloudtalker_session_up 0");
    agent.kill();
    assert!(file.exists(), "a kill leaves them");
    let mut happenings = Happenings::within(dir.path(), WatchFlags::DELETE | WatchFlags::MOVED_TO);
    let _agent = board.start();
    let mut next = || loop {
        let (name, event) = happenings.next();
        if name == "porch.prom" {
            return event;
        }
    };
    assert_eq!((next(), next()), (ReadFlags::DELETE, ReadFlags::MOVED_TO));
}

#[test]
fn metrics_that_can_not_be_written_are_told_once_and_again_when_that_is_mended() {
    let dir = TempDir::new();
    let (home, elsewhere) = (dir.at("home"), dir.at("elsewhere"));
    fs::create_dir(&home).unwrap();
    let file = home.join("porch.prom");
    let board = measured(Board::alone(), &file);
    let mut agent = board.start();
    page_with(&file, "cloudtalker_session_up 0");
    fs::rename(&home, &elsewhere).unwrap();
    let told = agent.says("--metrics: expected to write ");
    assert!(told.contains("home/porch.prom, but: No such file or directory (os error 2)"), "{told}");
    assert!(told.contains(" WARN ") && told.ends_with("; trying again"), "{told}");
    fs::rename(&elsewhere, &home).unwrap();
    agent.says("home/porch.prom is written again");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    agent.says("porch.prom: expected an agent's metrics or nothing, but a directory is there; remove it, or");
    let ended = agent.terminate();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert_eq!(ended.log.matches("expected to write").count(), 1, "{}", ended.log);
    assert_eq!(file_names(&home), ["porch.prom"], "what is no file of the agent's stays");
}

#[test]
fn the_thread_that_writes_metrics_ends() {
    let dir = TempDir::new();
    let file = dir.at("porch.prom");
    let board = measured(Board::alone(), &file);
    let agent = board.start();
    page_with(&file, "cloudtalker_session_up 0");
    let threads = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", agent.id())).unwrap().flatten();
        tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).collect::<Vec<_>>()
    };
    // Else an idle board would be woken by it twice a second.
    eventually("it ends", threads, |names| !names.iter().any(|name| name.starts_with("blocking")));
}

#[test]
fn sighup_moves_metrics() {
    let dir = TempDir::new();
    let [former, next] = ["former.prom", "next.prom"].map(|name| dir.at(name));
    let board = Board::alone();
    let config = board.dir.at("agent.conf");
    fs::write(&config, format!("metrics = {}\n", former.display())).unwrap();
    let board = board.with(&["--config", config.to_str().unwrap()]);
    let agent = board.start();
    page_with(&former, "cloudtalker_session_up 0");
    fs::write(&config, format!("metrics = {}\n", next.display())).unwrap();
    agent.reload();
    page_with(&next, "cloudtalker_session_up 0");
    eventually("the former file goes", || former.exists(), |exists| !exists);
    fs::write(&config, "").unwrap();
    agent.reload();
    eventually("the file goes", || next.exists(), |exists| !exists);
}

#[test]
fn sighup_with_no_place_for_metrics_leaves_them_where_they_were() {
    let dir = TempDir::new();
    let former = dir.at("former.prom");
    let board = Board::alone();
    let config = board.dir.at("agent.conf");
    fs::write(&config, format!("metrics = {}\n", former.display())).unwrap();
    let board = board.with(&["--config", config.to_str().unwrap()]);
    let mut agent = board.start();
    page_with(&former, "cloudtalker_session_up 0");
    for next in [dir.at("nowhere").join("next.prom"), dir.at("taken.prom")] {
        if next.ends_with("taken.prom") {
            fs::create_dir(&next).unwrap();
        }
        fs::write(&config, format!("metrics = {}\n", next.display())).unwrap();
        agent.reload();
        let told = agent.says("; what --metrics was before stays");
        assert!(told.contains("SIGHUP: --metrics: ") && told.contains(next.to_str().unwrap()), "{told}");
        assert!(former.exists());
    }
    // They are still its own.
    assert_eq!(agent.terminate().code(), Some(0));
    assert!(!former.exists());
}

#[test]
fn a_place_where_they_wear_out_flash_is_told_once() {
    let disk = Disk::mount();
    let (metrics, alive) = (disk.at("porch.prom"), disk.at("alive"));
    let board = measured(Board::alone(), &metrics).with(&["--watchdog", alive.to_str().unwrap()]);
    let agent = board.start();
    let disk = disk;
    page_with(&metrics, "cloudtalker_session_up 0");
    let written = || fs::metadata(&metrics).and_then(|about| about.modified()).ok();
    let first = written();
    eventually("they are written again", written, |again| again.is_some() && *again != first);
    let ended = agent.terminate();
    drop(disk);
    for (option, path) in [("--metrics", metrics), ("--watchdog", alive)] {
        let told = format!(
            "{option}: {} is not on tmpfs: written as often as it is, it wears out flash",
            path.display()
        );
        assert_eq!(ended.log.matches(&told).count(), 1, "{}", ended.log);
    }
}
