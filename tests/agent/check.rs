//! `check`, beside an agent and alone: what a person or a program reads of it.

mod faults;

use crate::harness::{
    Board, Camera, Disk, Happenings, Identity, Server, WatchdogDevice, file_names, free_port, program,
};
use cloudtalker::wire::utc::Utc;
use rustix::{fs::inotify::WatchFlags, process::Signal};
use serde_json::{Value, json};
use std::{
    fs,
    io::{self, BufRead, BufReader},
    net::TcpListener,
    os::unix::fs::chown,
    path::Path,
    process::{Command, Output, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

const TIME: u64 = 1_529_842_538;
const DAY: u64 = 24 * 60 * 60;

/// A board that lacks nothing: its spool is on what no power cut empties, wherever the tests run.
struct Scene {
    board: Board,
    _camera: Option<Camera>,
    disk: Disk,
    server: Server,
}

impl Scene {
    fn new() -> Scene {
        let (server, disk) = (Server::start(), Disk::mount());
        let board = Board::new(&server).on(&disk).with_camera();
        fs::create_dir(board.state_dir()).unwrap();
        let _camera = Some(Camera::at(&board.cam_sock()));
        Scene { board, _camera, disk, server }
    }

    fn with(self, flags: &[&str]) -> Scene {
        Scene { board: self.board.with(flags), ..self }
    }

    fn calling(mut self, endpoint: &str) -> Scene {
        self.board.flags[1] = endpoint.to_owned();
        self
    }

    /// Its commands go to this address, and to no socket.
    fn commanding(mut self, address: &str) -> Scene {
        let socket = self.board.flags.iter().position(|flag| flag == "--cam_sock").unwrap();
        self.board.flags[socket..socket + 2].clone_from_slice(&["--cam_addr".into(), address.to_owned()]);
        self
    }

    /// Whoever asks for a name is refused at once, whatever network this machine has.
    fn without_dns(self) -> Scene {
        let resolv = self.board.dir.at("resolv.conf");
        fs::write(&resolv, "nameserver 127.0.0.1\n").unwrap();
        let script = format!("mount --bind '{}' /etc/resolv.conf", resolv.display());
        Scene { board: self.board.mounting(&script), ..self }
    }

    /// It shows another camera's certificate.
    fn being(self, other: &Identity) -> Scene {
        fs::copy(&other.cert, &self.board.identity.cert).unwrap();
        fs::copy(&other.key, &self.board.identity.key).unwrap();
        self
    }
}

#[test]
fn a_board_that_lacks_nothing_passes() {
    let scene = Scene::new();
    let checked = scene.board.check(&[]);
    let lines = told(&checked);
    assert_eq!(checked.status.code(), Some(0), "{lines:#?}");
    let (endpoint, state) = (scene.server.endpoint(), scene.board.state_dir());
    let port = endpoint.trim_end_matches('/');
    let expected = [
        format!("configuration ok      the cloud is {endpoint}"),
        format!("certificate   ok      {}", scene.board.identity.cert.display()),
        "expiry        ok      until 20".to_owned(),
        "clock         ok      20".to_owned(),
        format!("input_sock    ok      {} can be opened by root", scene.board.input_sock().display()),
        "input_port    ok      none (--input_port)".to_owned(),
        "motion_list   ok      none (--motion_file_list)".to_owned(),
        format!("state_dir     ok      {} takes files of root", state.display()),
        format!("flash         ok      the file system of {} outlasts a power cut", state.display()),
        "free_space    ok      ".to_owned(),
        "quota         ok      none (--spool_max)".to_owned(),
        "capture_dir   ok      none (--capture_dir)".to_owned(),
        "log           ok      standard error (--log_to)".to_owned(),
        "pidfile       ok      none (--pidfile)".to_owned(),
        "watchdog      ok      none (--watchdog)".to_owned(),
        "metrics       ok      none (--metrics)".to_owned(),
        "dns           ok      127.0.0.1".to_owned(),
        format!("tcp           ok      connected to {port}"),
        "tls           ok      the server is the right one (TLSv1_3, TLS13_".to_owned(),
        format!("websocket     ok      {endpoint} takes a session; it was ended at once"),
        format!("uploads       ok      {} speaks tus 1.0.0", scene.server.upload_url()),
        format!("camera        ok      somebody listens at {}", scene.board.cam_sock().display()),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.starts_with(expected), "expected {expected:?}: {line:?}");
    }
    assert_eq!(fs::read_dir(state).unwrap().count(), 0, "what it tried is removed");
    assert!(!scene.board.input_sock().exists());
}

#[test]
fn an_address_that_commands_go_to_is_fine() {
    for host in ["127.0.0.1", "localhost"] {
        let scene = Scene::new().commanding(&format!("{host}:9001")).without_dns();
        let checked = scene.board.check(&[]);
        let fine = format!(
            "camera        ok      commands go to {host}:9001; whether somebody listens, UDP does not tell"
        );
        assert_eq!((checked.status.code(), told(&checked).last()), (Some(0), Some(&fine)));
    }
}

#[test]
fn a_watchdogs_device_is_not_opened() {
    let device = WatchdogDevice::new();
    let mut happenings = Happenings::within(Path::new(&device.path), WatchFlags::OPEN | WatchFlags::ATTRIB);
    let checked = Scene::new().with(&["--watchdog", &device.path]).board.check(&[]);
    let fine = format!("watchdog      ok      {} may be written by root; whether", device.path);
    assert!(told(&checked).iter().any(|line| line.starts_with(&fine)), "{checked:?}");
    // Were it opened, that would come first.
    let permissions = fs::metadata(&device.path).unwrap().permissions();
    fs::set_permissions(&device.path, permissions).unwrap();
    assert_eq!(happenings.next().1.bits(), WatchFlags::ATTRIB.bits());
}

#[test]
fn what_stands_on_something_that_failed_is_not_asked() {
    let scene = Scene::new().calling(&format!("127.0.0.1:{}/", free_port()));
    let lines = told(&scene.board.check(&[]));
    for (line, name) in lines[18..].iter().zip(["tls", "websocket", "uploads"]) {
        assert_eq!(line, &format!("{name:<14}skipped tcp has to work first"));
    }
    let elsewhere = scene.server.upload_url();
    let lines = told(&scene.with(&["--upload_url", &elsewhere]).board.check(&[]));
    assert!(lines[20].starts_with("uploads       ok "), "another server may be there: {lines:#?}");
}

#[test]
fn what_can_be_lived_with_is_a_warning() {
    let scene = Scene::new();
    let tomorrow = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + DAY;
    fs::write(scene.board.state_dir().join("state.json"), json!({"good_time": tomorrow}).to_string())
        .unwrap();
    let board = Board::of(&scene.server.endpoint(), &scene.board.identity).on(&scene.disk);
    let (alive, metrics) = (scene.disk.at("alive"), scene.disk.at("cloudtalker.prom"));
    let flags = ["--watchdog", alive.to_str().unwrap(), "--metrics", metrics.to_str().unwrap()];
    let checked = board.check(&flags);
    let lines = told(&checked);
    assert_eq!(checked.status.code(), Some(0), "{lines:#?}");
    assert!(lines[3].contains(&format!("but it is {} at least", Utc(tomorrow))), "{lines:#?}");
    let warnings: Vec<&str> =
        lines.iter().filter(|line| line.contains(" warning ")).map(|line| &line[..14]).collect();
    assert_eq!(warnings, ["clock         ", "watchdog      ", "metrics       ", "camera        "]);
    assert!(lines[14].ends_with("alive is not on tmpfs: written as often as it is, it wears out flash; give a path on tmpfs, as in /run"), "{lines:#?}");
    assert_eq!(file_names(&scene.disk.at("")), ["state"], "what it tried is removed");
}

#[test]
fn an_overlay_is_as_lasting_as_what_it_is_kept_on() {
    let memory = "is on an overlay in memory, which a power cut empties: give a --state_dir on flash or disk";
    let unseen = "is on an overlay, and it is not seen from here what that is kept on";
    for (afterwards, code, outcome, words) in
        [("true", 1, " FAILED ", memory), ("umount --lazy memory", 0, " warning ", unseen)]
    {
        let scene = Scene::new();
        let dir = scene.board.dir.at("over");
        fs::create_dir(&dir).unwrap();
        let script = format!(
            "cd '{0}' && mkdir lower memory state && mount -t tmpfs none memory && mkdir memory/upper memory/work && \
             mount -t overlay -o 'lowerdir={0}/lower,upperdir={0}/memory/upper,workdir={0}/memory/work' overlay state && \
             {afterwards}",
            dir.display()
        );
        let board = scene.board.keeping_at(dir.join("state")).mounting(&script);
        let checked = board.check(&["--min_free", "0"]);
        let lines = told(&checked);
        let flash = lines.iter().find(|line| line.starts_with("flash ")).unwrap();
        assert!(flash.contains(outcome) && flash.contains(words), "{flash}");
        assert_eq!(checked.status.code(), Some(code), "{lines:#?}");
    }
}

#[test]
fn a_state_that_is_no_file_or_endless_holds_up_nothing() {
    let board = Board::alone();
    fs::create_dir(board.state_dir()).unwrap();
    let state = board.state_dir().join("state.json");
    fs::File::create(&state).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(told(&board.check(&[])).len(), 22);
    fs::remove_file(&state).unwrap();
    assert!(Command::new("mkfifo").arg(&state).status().unwrap().success());
    assert_eq!(told(&board.check(&[])).len(), 22);
}

#[test]
fn what_the_running_agent_has_is_its_own() {
    let scene = Scene::new();
    let (pidfile, port) = (scene.board.dir.at("agent.pid"), free_port().to_string());
    let scene = scene.with(&["--pidfile", pidfile.to_str().unwrap(), "--input_port", &port]);
    let _agent = scene.board.start();
    let checked = scene.board.check(&[]);
    let lines = told(&checked);
    assert_eq!(checked.status.code(), Some(0), "{lines:#?}");
    let input_sock = scene.board.input_sock();
    let id = fs::read_to_string(&pidfile).unwrap();
    let id = id.trim();
    for line in [
        format!("input_sock    ok      the running agent listens at {}", input_sock.display()),
        format!("input_port    ok      the running agent listens at 127.0.0.1:{port}"),
        format!("state_dir     ok      {} takes files of root", scene.board.state_dir().display()),
        format!("pidfile       ok      {} is the running agent's, process {id}", pidfile.display()),
    ] {
        assert!(lines.contains(&line), "expected {line:?}: {lines:#?}");
    }
}

#[test]
fn what_an_agent_with_another_socket_has_is_not_ours() {
    let scene = Scene::new();
    let pidfile = scene.board.dir.at("agent.pid");
    let scene = scene.with(&["--pidfile", pidfile.to_str().unwrap()]);
    let _agent = scene.board.start();
    let id = fs::read_to_string(&pidfile).unwrap();
    let id = id.trim();
    let elsewhere = checked_at(&scene.board, &scene.board.dir.at("elsewhere.sock"));
    for (name, cure) in [
        ("state_dir", "another agent has this state directory; stop it, or give --state_dir".to_owned()),
        ("pidfile", format!("another agent has this file, process {id}; stop it, or give another --pidfile")),
    ] {
        let is_told =
            |line: &&String| line.starts_with(name) && line.contains(" FAILED ") && line.ends_with(&cure);
        assert_eq!(elsewhere.iter().filter(is_told).count(), 1, "{name}: {elsewhere:#?}");
    }
    let session = "websocket     warning not tried, as it would end the session of the agent that has this state directory: ";
    assert!(elsewhere[19].starts_with(session), "{elsewhere:#?}");
}

#[test]
fn a_socket_where_nothing_can_be_made_is_told_with_its_cure() {
    let lines = checked_at(&Board::alone(), Path::new("/proc/agent.sock"));
    let begins = "input_sock    FAILED  --input_sock: expected to open a socket at /proc/agent.sock, but: ";
    let ends = "; give its directory to this user, or give another --input_sock";
    assert!(lines[4].starts_with(begins) && lines[4].ends_with(ends), "{lines:#?}");
}

#[test]
fn who_waits_to_write_into_the_list_is_not_woken() {
    let scene = Scene::new();
    let list = scene.board.dir.at("list");
    assert!(Command::new("mkfifo").arg(&list).status().unwrap().success());
    let mut happenings = Happenings::within(&list, WatchFlags::OPEN | WatchFlags::ATTRIB);
    let lines = told(&scene.board.check(&["--motion_file_list", list.to_str().unwrap()]));
    assert!(
        lines.contains(&format!("motion_list   ok      {} can be read by root", list.display())),
        "{lines:#?}"
    );
    // Were it opened, that would come first.
    fs::set_permissions(&list, fs::metadata(&list).unwrap().permissions()).unwrap();
    assert_eq!(happenings.next().1.bits(), WatchFlags::ATTRIB.bits());
}

#[test]
fn a_state_directory_of_another_user_is_a_warning() {
    let board = Board::alone();
    fs::create_dir(board.state_dir()).unwrap();
    chown(board.state_dir(), Some(990), None).unwrap();
    let lines = told(&board.check(&[]));
    let expected = format!(
        "state_dir     warning {} takes files of root, but is user 990's",
        board.state_dir().display()
    );
    assert!(lines.iter().any(|line| line.starts_with(&expected)), "{lines:#?}");
}

#[test]
fn the_session_of_the_running_agent_is_left_alone() {
    let scene = Scene::new();
    let mut agent = scene.board.start();
    agent.says("connected to the cloud");
    let checked = scene.board.check(&[]);
    let lines = told(&checked);
    assert_eq!(checked.status.code(), Some(0), "{lines:#?}");
    assert_eq!(lines[19], "websocket     ok      the running agent has its session");
    let segments = scene.board.record_capture(TIME, &[3000]);
    agent.takes(&segments);
    agent.owes_nothing();
    assert!(!agent.log().contains("no connection to the cloud"), "{}", agent.log());
    assert!(!scene.server.log().contains("another session"), "{}", scene.server.log());
    assert_eq!(scene.server.log().matches("session began").count(), 1);

    agent.signal(Signal::STOP);
    let lines = told(&scene.board.check(&[]));
    agent.signal(Signal::CONT);
    let expected =
        "websocket     warning not tried, as it would end the session of an agent that does not tell";
    assert!(lines[19].starts_with(expected), "{lines:#?}");
    assert!(lines[4].starts_with("input_sock    FAILED  the agent at "), "{lines:#?}");
    assert_eq!(scene.server.log().matches("session began").count(), 1);
}

#[test]
fn programs_have_it_as_one_line() {
    let scene = Scene::new();
    let file = scene.board.dir.at("agent.conf");
    fs::write(&file, "spool_max = 1000G\n").unwrap();
    let checked = scene.board.check(&["--json", "--config", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let [line] = &told(&checked)[..] else { panic!("expected one line: {checked:?}") };
    let json: Value = serde_json::from_str(line).unwrap();
    let checks = json["checks"].as_array().unwrap();
    assert_eq!((&json["ok"], checks.len()), (&false.into(), 22));
    let quota = checks.iter().find(|check| check["name"] == "quota").unwrap();
    assert_eq!(quota["outcome"], "failed");
    assert!(quota["says"].as_str().unwrap().contains("lower --spool_max to "), "{quota}");
    assert!(checks.iter().all(|check| check == quota || check["outcome"] == "ok"), "{json:#}");
}

#[test]
fn a_check_that_nobody_reads_is_no_error() {
    let scene = Scene::new();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut check = scene.board.checking(&[]);
    assert_eq!(check.stdout(writer).status().unwrap().code(), Some(0));
}

#[test]
fn a_check_whose_reader_has_seen_enough_waits_for_no_server() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let scene = Scene::new().calling(&format!("{}/", silent.local_addr().unwrap()));
    let mut check = scene.board.checking(&[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(check.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.starts_with("tcp ")).expect("the server takes connections");
    drop(lines);
    assert_eq!(check.wait().unwrap().code(), Some(0), "it is not told that the server does not answer");
}

/// What is told of a board whose agent would have another input socket.
fn checked_at(board: &Board, input_sock: &Path) -> Vec<String> {
    let mut check = program();
    check.arg("check").args(&board.flags).arg("--input_sock").arg(input_sock);
    told(&check.arg("--state_dir").arg(board.state_dir()).output().unwrap())
}

/// What it printed, line by line; it has nothing else to say.
fn told(checked: &Output) -> Vec<String> {
    assert_eq!(String::from_utf8_lossy(&checked.stderr), "");
    String::from_utf8(checked.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}
