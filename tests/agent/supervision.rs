//! What init scripts and supervisors go by: the log, the pidfile, exit codes, sd_notify.

use crate::harness::{
    Board, Camera, DEADLINE, Disk, Process, Server, Source, TempDir, eventually, file_names, program,
};
use cloudtalker::cli::exit;
use rustix::{
    fs::fstat,
    process::Signal,
    time::{ClockId, clock_gettime},
};
use serde_json::json;
use std::{
    fs, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::symlink,
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::Path,
};

const TIME: u64 = 1_529_842_538;

/// Its agent's `/dev/log` is a socket in the board's own directory.
fn with_a_syslog(mut board: Board) -> Board {
    // The kernel keeps ten datagrams for a daemon that is slow: not all that the agent says at once as it starts.
    board.log_level = "info";
    let log = board.dir.at("syslog.sock");
    board
        .mounting(&format!("mount -t tmpfs none /dev && ln -s '{}' /dev/log", log.display()))
        .with(&["--log_to", "syslog"])
}

/// Waits for a message with these words.
fn hears(daemon: &Camera, words: &str) -> String {
    loop {
        let message = daemon.hears();
        if message.contains(words) {
            return message;
        }
    }
}

#[test]
fn the_systems_log_hears_everything_and_is_found_again_when_it_was_started_anew() {
    let board = with_a_syslog(Board::alone());
    let daemon = Camera::at(&board.dir.at("syslog.sock"));
    let mut agent = board.launch();
    let id = agent.id();
    let started = hears(&daemon, "started; ");
    assert!(started.starts_with(&format!("<30>cloudtalker[{id}]: [cloudtalker::")), "{started}");
    assert_eq!(agent.log(), "", "nothing is told twice");
    drop(daemon);
    let ask = |weather: &str| Source::at(&board.input_sock()).ask(&json!({"query": weather, "ack": true}));
    ask("rain");
    agent.says(r#"not "rain""#);
    let daemon = Camera::at(&board.dir.at("syslog.sock"));
    ask("snow");
    hears(&daemon, "not taken: nobody was at /dev/log");
    let snow = hears(&daemon, r#"not "snow""#);
    assert!(snow.starts_with(&format!("<28>cloudtalker[{id}]: ")), "{snow}");
    assert_eq!(agent.terminate().code(), Some(0));
    hears(&daemon, "stopped");
}

#[test]
fn a_wrong_configuration_is_told_in_the_systems_log_too() {
    let board = Board::alone();
    let file = board.dir.at("agent.conf");
    fs::write(&file, "log_to = syslog\nmax_rate = fast\n").unwrap();
    let log = board.dir.at("syslog.sock");
    let board = board
        .mounting(&format!("mount -t tmpfs none /dev && ln -s '{}' /dev/log", log.display()))
        .with(&["--config", file.to_str().unwrap()]);
    let daemon = Camera::at(&board.dir.at("syslog.sock"));
    let ended = board.launch().ends();
    assert_eq!(ended.code(), Some(64), "{}", ended.log);
    assert!(
        ended.log.starts_with("cloudtalker: ") && ended.log.contains("max_rate: expected bytes a second"),
        "{}",
        ended.log
    );
    let told = daemon.hears();
    assert!(told.starts_with("<27>cloudtalker[") && told.contains("max_rate: expected bytes"), "{told}");
}

/// An agent whose standard error is the journal's.
fn with_a_journal(board: &Board) -> Process {
    let (log, stream) = io::pipe().unwrap();
    let about = fstat(&stream).unwrap();
    let named = format!("{}:{}", about.st_dev, about.st_ino);
    Process::start_with("agent", board.command().env("JOURNAL_STREAM", named).stderr(stream), log)
}

#[test]
fn the_journal_gets_the_priority_of_what_keeps_an_agent_from_starting() {
    let unfit = |flags: &[&str]| Board::alone().with(flags);
    let unknown = Board::alone();
    fs::remove_file(&unknown.identity.cert).unwrap();
    for (board, code, told) in [
        (unfit(&["--max_rate", "fast"]), 64, "<3>cloudtalker: --max_rate: expected bytes a second"),
        (unfit(&["--no_such", "flag"]), 64, "<3>cloudtalker: unknown option --no_such"),
        (unknown, 64, "<3>[cloudtalker::shell] can't start: "),
    ] {
        let ended = with_a_journal(&board).ends();
        assert_eq!(ended.code(), Some(code), "{}", ended.log);
        assert!(ended.log.contains(told), "{}", ended.log);
    }
    // Nobody takes it there.
    let board = Board::alone().mounting("mount -t tmpfs none /dev").with(&["--log_to", "syslog"]);
    let mut agent = with_a_journal(&board);
    assert!(agent.says("started; ").starts_with("<6>[cloudtalker::"), "{}", agent.log());
}

#[test]
fn the_journal_gets_priorities() {
    let board = Board::alone();
    let mut agent = with_a_journal(&board);
    let started = agent.says("started; ");
    assert!(started.starts_with("<6>[cloudtalker::"), "{started}");
    Source::at(&board.input_sock()).ask(&json!({"query": "weather", "ack": true}));
    let warned = agent.says(r#"not "weather""#);
    assert!(warned.starts_with("<4>[cloudtalker::"), "{warned}");
}

#[test]
fn a_stream_that_is_not_the_journals_has_lines_for_people() {
    let board = Board::alone();
    let mut command = board.command();
    let mut agent = Process::start("agent", command.env("JOURNAL_STREAM", "1:1"));
    let started = agent.says("started; ");
    assert!(started.contains("Z INFO  [cloudtalker::"), "{started}");
}

/// Where a card hangs beneath it: `watchdog`.
#[test]
fn a_file_has_every_line_up_to_the_last() {
    let board = Board::alone();
    let path = board.dir.at("log");
    let (nothing, _) = io::pipe().unwrap();
    let mut command = board.command();
    command.stderr(fs::File::create(&path).unwrap());
    let agent = Process::start_with("agent", &mut command, nothing);
    let log = || fs::read_to_string(&path).unwrap();
    eventually("it has started", log, |log| log.contains("started; "));
    assert_eq!(agent.terminate().code(), Some(0));
    let log = log();
    assert!(
        log.lines().any(|line| line.contains("Z INFO  [cloudtalker::") && line.contains("started; ")),
        "{log}"
    );
    assert!(log.ends_with("stopped\n"), "{log}");
}

#[test]
fn the_same_message_is_counted_when_it_comes_again() {
    let mut board = Board::alone();
    board.log_level = "info";
    let agent = board.start();
    let mut source = agent.source();
    for _ in 0..5 {
        source.ask(&json!({"query": "weather", "ack": true}));
    }
    source.ask(&json!({"query": "news", "ack": true}));
    let ended = agent.terminate();
    let told = |words: &str| ended.log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
    let weather = told(r#"not "weather""#);
    assert_eq!(weather.len(), 2, "{}", ended.log);
    assert!(
        !weather[0].contains("more within") && weather[1].contains(" (4 times more within "),
        "{weather:?}"
    );
    assert_eq!(told(r#"not "news""#).len(), 1, "{}", ended.log);
}

#[test]
fn a_pidfile_names_the_agent_while_it_runs() {
    let board = Board::alone();
    let pidfile = board.dir.at("agent.pid");
    let board = board.with(&["--pidfile", pidfile.to_str().unwrap()]);
    let agent = board.start();
    assert_eq!(fs::read_to_string(&pidfile).unwrap(), format!("{}\n", agent.id()));
    agent.kill();
    assert!(pidfile.exists(), "a kill leaves it");
    let agent = board.start();
    assert_eq!(fs::read_to_string(&pidfile).unwrap(), format!("{}\n", agent.id()));
    assert_eq!(agent.terminate().code(), Some(0));
    assert_eq!(file_names(board.dir.path()).iter().filter(|name| name.contains("agent.pid")).count(), 0);
}

#[test]
fn of_two_agents_that_start_at_once_one_has_the_pidfile() {
    let boards = [Board::alone(), Board::alone()];
    let pidfile = boards[0].dir.at("agent.pid");
    let path = pidfile.to_str().unwrap().to_owned();
    let boards = boards.map(|board| board.with(&["--pidfile", &path]));
    for left in [None, Some("4194304\n")] {
        if let Some(left) = left {
            fs::write(&pidfile, left).unwrap();
        }
        let [one, other] = boards.each_ref().map(Board::launch);
        let is_claimed = || fs::read_to_string(&pidfile).unwrap_or_default();
        let has_one_of = |id: &String| [&one, &other].iter().any(|agent| *id == format!("{}\n", agent.id()));
        let id = eventually("one has it", is_claimed, has_one_of);
        let (mut winner, loser) = if id == format!("{}\n", one.id()) { (one, other) } else { (other, one) };
        let ended = loser.ends();
        assert_eq!(ended.code(), Some(69), "{}", ended.log);
        assert!(ended.log.contains("agent.pid: another agent has this file, process "), "{}", ended.log);
        winner.says("started; ");
        assert_eq!(fs::read_to_string(&pidfile).unwrap(), id);
        assert_eq!(winner.terminate().code(), Some(0));
        assert!(!pidfile.exists());
    }
}

#[test]
fn a_pidfile_that_is_something_else_stays_and_ends_the_agent() {
    let board = Board::alone();
    let (precious, link) = (board.dir.at("precious"), board.dir.at("agent.pid"));
    fs::write(&precious, "precious\n").unwrap();
    symlink(&precious, &link).unwrap();
    let nowhere = board.dir.at("nowhere/agent.pid");
    for (pidfile, code, why) in [
        (
            &precious,
            78,
            "precious: expected a dead agent's file or nothing, but a file that holds no process's",
        ),
        (&link, 78, "agent.pid: expected a dead agent's file or nothing, but a symbolic link is there"),
        (&nowhere, 69, "nowhere/agent.pid, but: No such file or directory"),
    ] {
        let ended = Process::start("agent", board.command().arg("--pidfile").arg(pidfile)).ends();
        assert_eq!(ended.code(), Some(code), "{}", ended.log);
        assert!(ended.log.contains("can't start: --pidfile: ") && ended.log.contains(why), "{}", ended.log);
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious\n");
    assert_eq!(fs::read_link(&link).unwrap(), precious);
}

#[test]
fn a_full_run_is_told_and_not_made_fuller() {
    let board = Board::alone();
    let run = board.dir.at("run");
    fs::create_dir(&run).unwrap();
    let pidfile = run.join("agent.pid");
    let board = board.with(&["--pidfile", pidfile.to_str().unwrap()]).mounting(&format!(
        "mount -t tmpfs -o size=4k none '{0}' && echo full >'{0}/full' && {{ \"$0\" \"$@\"; code=$?; ls '{0}'; exit $code; }}",
        run.display()
    ));
    let ended = board.launch().ends();
    assert_eq!(ended.code(), Some(i32::from(exit::UNAVAILABLE)), "{}", ended.log);
    let expected = format!(
        "--pidfile: expected to write {}, but: No space left on device (os error 28); remove something there\nfull",
        pidfile.display()
    );
    assert!(ended.log.trim_end().ends_with(&expected), "{}", ended.log);
}

#[test]
fn a_supervisor_is_told_when_the_agent_is_ready_reads_again_and_stops() {
    let server = Server::start();
    let dir = TempDir::new();
    let path = dir.at("notify");
    let name = format!("cloudtalker-{}", std::process::id());
    let at_path = SocketAddr::from_pathname(&path).unwrap();
    let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
    let board = Board::new(&server);
    for (address, named) in [(at_path, path.display().to_string()), (abstract_name, format!("@{name}"))] {
        let supervisor = Supervisor::at(&address);
        let mut command = board.command();
        let agent = board.agent(Process::start("agent", command.env("NOTIFY_SOCKET", named)));
        supervisor.hears("READY=1");
        agent.takes(&board.record_capture(TIME, &[3000]));
        supervisor.hears("STATUS=the session is up, ");
        let asked = clock_gettime(ClockId::Monotonic).tv_sec;
        agent.reload();
        let told = supervisor.hears("RELOADING=1");
        let since: i64 = told.split_once("MONOTONIC_USEC=").unwrap().1.parse().unwrap();
        assert!((asked..=clock_gettime(ClockId::Monotonic).tv_sec).contains(&(since / 1_000_000)), "{told}");
        supervisor.hears("READY=1");
        agent.signal(Signal::TERM);
        supervisor.hears("STOPPING=1");
        assert_eq!(agent.ends().code(), Some(0));
    }
}

#[test]
fn a_sighup_that_comes_while_one_is_heeded_is_heeded_too() {
    let board = Board::alone();
    let file = board.dir.at("agent.conf");
    fs::write(&file, "").unwrap();
    let board = board.with(&["--config", file.to_str().unwrap()]);
    let supervisor = Supervisor::at(&SocketAddr::from_pathname(board.dir.at("notify")).unwrap());
    let mut command = board.command();
    let agent = board.agent(Process::start("agent", command.env("NOTIFY_SOCKET", board.dir.at("notify"))));
    supervisor.hears("READY=1");
    // Opening it takes until somebody writes there.
    fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    agent.reload();
    supervisor.hears("RELOADING=1");
    agent.reload();
    for _ in 0..2 {
        fs::write(&file, "").unwrap();
        supervisor.hears("READY=1");
    }
}

#[test]
fn a_watchdog_hears_of_the_agent_while_the_disk_is_slow() {
    let (disk, dir) = (Disk::mount(), TempDir::new());
    let board = Board::alone().on(&disk);
    let supervisor = Supervisor::at(&SocketAddr::from_pathname(dir.at("notify")).unwrap());
    let mut command = board.command();
    command.env("NOTIFY_SOCKET", dir.at("notify")).env("WATCHDOG_USEC", "600000");
    let agent = board.agent(Process::start("agent", &mut command));
    supervisor.hears("READY=1");
    supervisor.hears("WATCHDOG=1");
    disk.hold_while(&agent, &board.record(&format!("pir.{TIME}.0.mp4"), 3000), || {
        supervisor.forgets();
        for _ in 0..3 {
            supervisor.hears("WATCHDOG=1");
        }
    });
}

#[test]
fn the_unit_for_systemd_starts_the_agent_as_it_expects() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/systemd/cloudtalker.service");
    let unit = fs::read_to_string(unit).unwrap();
    let of = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
    assert_eq!(of("RestartPreventExitStatus"), format!("{} {}", exit::USAGE, exit::CONFIG));
    let words: Vec<&str> = of("ExecStart").split(' ').collect();
    let ["/usr/bin/cloudtalker", options @ .., _] = &words[..] else { panic!("{words:?}") };
    let board = Board::alone();
    let config = board.dir.at("agent.conf");
    let flags = board.flags.as_chunks::<2>().0.iter();
    let lines = flags.map(|[name, value]| format!("{} = {value}\n", name.trim_start_matches('-')));
    let paths = format!(
        "state_dir = {}\ninput_sock = {}\n",
        board.state_dir().display(),
        board.input_sock().display()
    );
    fs::write(&config, lines.collect::<String>() + &paths).unwrap();
    let supervisor = Supervisor::at(&SocketAddr::from_pathname(board.dir.at("notify")).unwrap());
    let mut command = program();
    command.args(options).arg(&config);
    let seconds: u64 = of("WatchdogSec").parse().unwrap();
    command
        .env("NOTIFY_SOCKET", board.dir.at("notify"))
        .env("WATCHDOG_USEC", (seconds * 1_000_000).to_string());
    let agent = Process::start("agent", &mut command);
    assert_eq!(of("Type"), "notify");
    supervisor.hears("READY=1");
    assert_eq!(of("ExecReload"), "/bin/kill -HUP $MAINPID");
    agent.signal(Signal::HUP);
    supervisor.hears("RELOADING=1");
    supervisor.hears("READY=1");
    assert_eq!(agent.terminate().code(), Some(0));
}

/// As systemd: a datagram socket.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn at(address: &SocketAddr) -> Supervisor {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Supervisor(socket)
    }

    /// Waits until it is told this, among other things.
    fn hears(&self, words: &str) -> String {
        loop {
            let told = self.next().expect("it is told before the deadline");
            if told.contains(words) {
                return told;
            }
        }
    }

    /// Puts aside what it was told so far.
    fn forgets(&self) {
        self.0.set_nonblocking(true).unwrap();
        while self.next().is_ok() {}
        self.0.set_nonblocking(false).unwrap();
    }

    fn next(&self) -> io::Result<String> {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer)?;
        Ok(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }
}
