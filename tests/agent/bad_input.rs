//! What is fed wrong: each has a message in the log, and in the ack where one was asked for, and the agent goes on.

use crate::harness::{
    Agent, Board, Process, Server, Source, TempDir, WatchdogDevice, eventually, file_names, has_words,
    is_emulated,
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Write,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

const TIME: u64 = 1_529_842_538;
/// Times of segments that show that the agent goes on.
const LATER: u64 = TIME + 100_000;

#[test]
fn a_message_that_says_nothing_is_refused_and_the_connection_goes_on() {
    let board = Board::alone();
    let mut agent = board.start();
    let mut source = agent.source();
    for (message, why) in [
        (json!({}), r#"expected "segment", "event" or "query", but the object is empty"#),
        (json!({"segmnt": "a"}), r#"but the object has ["segmnt"]"#),
        (json!({"segment": 5}), r#""segment" should be a path, not 5"#),
        (json!({"segment": ["a"]}), r#""segment" should be a path, not ["a"]"#),
        (json!({"event": "party"}), r#""event" should be "alarm", not "party""#),
        (json!({"event": "alarm", "gpio": "left"}), r#""gpio" should be a whole number, not "left""#),
        (json!({"event": "alarm", "gpio": -1}), r#""gpio" should be a whole number, not -1"#),
        (json!({"event": null}), r#""event" should be "alarm", not null"#),
        (json!({"query": "weather"}), r#""query" should be "status" or "log", not "weather""#),
        (
            json!({"segment": "a.mp4", "trigger": "dog"}),
            r#""trigger" should be "pir" or "request", not "dog""#,
        ),
        (json!({"segment": "a.mp4", "trigger": 5}), r#""trigger" should be "pir" or "request", not 5"#),
        (
            json!({"segment": "a.mp4", "trigger": "pir", "trigger_timestamp": "now"}),
            r#""trigger_timestamp" should be a whole number, not "now""#,
        ),
        (
            json!({"segment": "a.mp4", "trigger": "pir", "seg_no": u64::from(u32::MAX) + 1}),
            r#""seg_no" should be a whole number, not 4294967296"#,
        ),
        (json!({"query": "x".repeat(9_000)}), r#""query" should be "status" or "log", not "xxxxx"#),
        (
            json!({"segment": "a.mp4", "trigger": "pir", "trigger_timestamp": 0}),
            r#""trigger_timestamp" should be a number of seconds above 0, not 0"#,
        ),
    ] {
        let mut message = message;
        message["ack"] = true.into();
        let answer = source.ask(&message);
        assert_eq!(answer["ok"], false, "{message}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(why)), "{message}: {answer}");
        let told = agent.says("a local message is not taken: ");
        assert!(told.contains(why) && told.contains(" WARN "), "{told}");
    }
    source.hand_over(&board.record(&format!("pir.{LATER}.0.mp4"), 3000));
}

#[test]
fn an_ack_that_is_neither_true_nor_false_is_told_in_the_log() {
    let board = Board::alone();
    let mut agent = board.start();
    agent.source().say(r#"{"segment":"a","ack":"yes"}"#);
    agent.says(r#""ack" should be true or false, not "yes""#);
    goes_on(&board, &agent, 0);
}

#[test]
fn an_unknown_key_is_told_and_does_no_harm() {
    let board = Board::alone();
    let mut agent = board.start();
    let segment = board.record(&format!("pir.{TIME}.0.mp4"), 3000);
    let ack = agent.source().ask(&json!({"segment": segment.path(), "colour": "red", "ack": true}));
    assert_eq!(ack["ok"], true, "{ack}");
    agent.says(r#"a local message has keys that say nothing to this version: ["colour"]"#);
}

#[test]
fn a_file_that_is_no_segment_is_refused() {
    let board = Board::alone().with_port();
    let mut agent = board.start();
    let captures = board.capture_dir();
    let at = |name: &str| captures.join(name);
    let outside = board.dir.at(&format!("pir.{TIME}.9.mp4"));
    fs::write(&outside, "secret").unwrap();
    symlink(&outside, at(&format!("pir.{TIME}.8.mp4"))).unwrap();
    fs::create_dir(at(&format!("pir.{TIME}.2.mp4"))).unwrap();
    make_fifo(&at(&format!("pir.{TIME}.3.mp4")));
    let _socket = UnixListener::bind(at(&format!("pir.{TIME}.5.mp4"))).unwrap();
    symlink(format!("pir.{TIME}.6.mp4"), at(&format!("pir.{TIME}.6.mp4"))).unwrap();
    fs::write(at(&format!("pir.{TIME}.4.mp4")), "").unwrap();
    for name in ["holiday.mp4", "pir.0.0.mp4", "dog.5.0.mp4", "pir.5.x.mp4", "pir.5.0.avi"] {
        fs::write(at(name), "film").unwrap();
    }
    let scheme = "expected <pir|cap>.<utc seconds>.<segment number>.<mp4|ts>, but ";
    let mut source = agent.source();
    for (name, why) in [
        (
            "holiday.mp4".to_owned(),
            format!(
                "{scheme}there are not four parts; one of any name is taken with \"trigger\" in its message"
            ),
        ),
        ("pir.0.0.mp4".to_owned(), format!("{scheme}timestamp 0 is no time: set the clock or count from 1")),
        ("pir.now.0.mp4".to_owned(), format!("{scheme}\"now\" is no number of seconds")),
        ("pir.-5.0.mp4".to_owned(), format!("{scheme}\"-5\" is no number of seconds")),
        ("pir.5.4294967296.mp4".to_owned(), format!("{scheme}\"4294967296\" is no segment number")),
        (String::new(), format!("{scheme}the path ends in no file name")),
        ("..".to_owned(), format!("{scheme}the path ends in no file name")),
        ("dog.5.0.mp4".to_owned(), format!("{scheme}it begins with \"dog\"")),
        ("pir.5.x.mp4".to_owned(), format!("{scheme}\"x\" is no segment number")),
        ("pir.5.0.avi".to_owned(), format!("{scheme}it ends in \"avi\"")),
        (format!("pir.{TIME}.1.mp4"), "there is no such file".to_owned()),
        (format!("pir.{TIME}.2.mp4"), "expected a regular file, but it is a directory".to_owned()),
        (format!("pir.{TIME}.3.mp4"), "expected a regular file, but it is a named pipe".to_owned()),
        (format!("pir.{TIME}.4.mp4"), "the file is empty: name a segment once it is finished".to_owned()),
        (format!("pir.{TIME}.5.mp4"), "expected a regular file, but it is a socket".to_owned()),
        (format!("pir.{TIME}.6.mp4"), "it can't be read: … (os error 40)".to_owned()),
        (format!("{}/pir.{TIME}.7.mp4", "x".repeat(300)), "it can't be read: … (os error 36)".to_owned()),
        (
            format!("x\0/pir.{TIME}.7.mp4"),
            "it can't be read: file name contained an unexpected NUL byte".to_owned(),
        ),
        (format!("pir.{TIME}.4.mp4/pir.{TIME}.7.mp4"), "there is no such file".to_owned()),
        (format!("pir.{TIME}.8.mp4"), "it lies outside the directories given by --capture_dir".to_owned()),
        (format!("../pir.{TIME}.9.mp4"), "it lies outside the directories given by --capture_dir".to_owned()),
    ] {
        let path = at(&name);
        let refusal = source.refusal(path.to_str().unwrap());
        assert!(has_words(&refusal, &why), "{name}: {refusal}");
        let told = agent.says(" is not taken: ");
        assert!(has_words(&told, &why) && told.contains(&format!("{path:?}")), "{told}");
    }
    let trailer = at("trailer.avi");
    let named = source.ask(&json!({"segment": trailer, "trigger": "pir", "ack": true}));
    assert_eq!(named["error"], "expected a file that ends in .mp4 or .ts", "{named}");
    goes_on(&board, &agent, 0);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_refused_until_it_is_finished() {
    let board = Board::alone();
    let mut agent = board.start();
    let segment = board.record(&format!("pir.{TIME}.0.mp4"), 3000);
    // Reading it takes far longer than a scheduler keeps the writer waiting; in an emulator much longer than that.
    let length = if is_emulated() { 20 << 20 } else { 200 << 20 };
    File::options().append(true).open(&segment.path).unwrap().set_len(length).unwrap();
    let growth = Growth::of(&segment.path);
    let refusal = agent.source().refusal(segment.path());
    assert_eq!(refusal, "the file is still being written: name a segment once it is finished");
    drop(growth);
    agent.says("the file is still being written");
    agent.source().hand_over(&segment);
}

#[test]
fn the_same_segment_twice_is_one_segment() {
    let mut server = Server::stopped();
    let board = Board::new(&server);
    let mut agent = board.start();
    let segments = board.record_capture(TIME, &[3000]);
    let mut source = agent.source();
    let acks = [source.hand_over(&segments[0]), source.hand_over(&segments[0])];
    assert_eq!((&acks[0]["repeated"], &acks[1]["repeated"]), (&Value::Null, &true.into()));
    assert_eq!(acks[0]["capture"], acks[1]["capture"]);
    drop(source);
    agent.says("was here already");
    server.go_on();
    agent.owes_nothing();
    assert!(matches!(&server.captures()[..], [capture] if capture.is("pir", TIME, &segments)));
}

#[test]
fn a_stream_that_is_no_json_is_closed_and_nothing_of_it_counts() {
    let board = Board::alone().with_port();
    let mut agent = board.start();
    let segment = board.record(&format!("pir.{TIME}.0.mp4"), 3000);
    let message = json!({"segment": segment.path(), "ack": true});
    let post = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{message}");
    for (stream, why) in [
        (format!("hello {message}"), "expected a JSON object ({…}), but it begins with 'h'"),
        (post, "expected a JSON object ({…}), but it begins with 'P'"),
        (format!("[{message}]"), "expected a JSON object ({…}), but it begins with '['"),
        (format!("{{hello}}{message}"), "expected a JSON object, but 'h' can't continue one"),
        (format!("{{\"a\":\"\u{7}\"}}{message}"), r"expected a JSON object, but '\u{7}' can't continue one"),
        (format!("{{\"a\":[}}{message}"), "expected a JSON object, but '}' can't continue one"),
        (format!("{{1:2}}{message}"), "expected a JSON object, but it is not JSON: key must be a string"),
        (
            "{\"segment\":".to_owned(),
            "expected a whole JSON object, but the connection ended in the middle of one",
        ),
        (
            "{\"segment\":\"".to_owned() + &"x".repeat(1 << 20),
            "expected a JSON object of at most 65536 bytes",
        ),
    ] {
        for mut source in [agent.source(), Source::at_port(board.port.unwrap())] {
            // It may be closed before all has been said.
            let _ = source.try_say(&stream);
            assert_eq!(source.rest(), "", "{why}");
            let told = agent.says("a local connection is closed: ");
            assert!(told.contains(why) && told.contains(" WARN "), "expected {why:?}: {told}");
        }
    }
    assert_eq!(agent.status().spool.segments, 0);
    goes_on(&board, &agent, 0);
}

#[test]
fn idle_connections_keep_no_camera_out() {
    let board = Board::alone().with_port();
    let mut agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 4000]);
    let mut camera = agent.source();
    camera.hand_over(&segments[0]);
    let port = board.port.unwrap();
    let _idle: Vec<Source> = (0..200).map(|_| Source::at_port(port)).collect();
    agent.says("more than 64 local connections: the one that was silent longest is closed");
    let ack = camera.hand_over(&segments[1]);
    assert_eq!(ack["seg_no"], 1, "its capture is still open");
    goes_on(&board, &agent, 0);
}

#[test]
fn a_program_that_reads_no_answers_is_closed() {
    let board = Board::alone();
    let mut agent = board.start();
    let mut deaf = agent.source();
    deaf.say_until_unheard(&r#"{"query":"status"}"#.repeat(1000));
    let watchers = (0..8).map(|_| {
        let mut watcher = agent.source();
        watcher.ask(&json!({"query": "status"}));
        watcher
    });
    let _watchers: Vec<Source> = watchers.collect();
    agent.says("more than 8 local connections that only ask: the one that was silent longest is closed");
    assert!(deaf.is_closed(), "although nobody has read");
    goes_on(&board, &agent, 0);
}

#[test]
fn a_full_disk_refuses_what_does_not_fit_and_takes_what_does() {
    let mut server = Server::stopped();
    let board = mounted(Board::new(&server).with(&["--min_free", "0"]), "mount -t tmpfs -o size=1m none");
    let mut agent = board.start();
    let fits = board.record(&format!("pir.{TIME}.0.mp4"), 600_000);
    agent.takes(std::slice::from_ref(&fits));
    for number in 1..4 {
        let too_long = board.record(&format!("pir.{}.0.mp4", TIME + number), 1_200_000);
        let refusal = agent.source().refusal(too_long.path());
        assert!(refusal.contains("and the spool has less to give up"), "{refusal}");
        agent.says("is not taken: the disk is full: ");
        goes_on(&board, &agent, number);
    }
    let status = agent.source().ask(&json!({"query": "status"}));
    assert_eq!(status["inputs_refused"], 3);
    assert!(status["last_refusal"]["why"].as_str().unwrap().starts_with("the disk is full: "), "{status}");
    server.go_on();
    agent.owes_nothing();
    assert!(server.captures()[0].is("pir", TIME, &[fits]));
}

#[test]
fn a_disk_below_the_floor_refuses_what_it_can_not_make_room_for() {
    let board = mounted(Board::alone(), "mount -t tmpfs -o size=1m none");
    let mut agent = board.start();
    let segment = board.record(&format!("pir.{TIME}.0.mp4"), 3000);
    let refusal = agent.source().refusal(segment.path());
    assert!(refusal.contains("bytes are free, 67108864 should be (--min_free)"), "{refusal}");
    agent.says("is not taken: the disk is full: ");
}

#[test]
fn a_read_only_state_directory_refuses_segments_and_keeps_the_session() {
    let server = Server::start();
    let board = Board::new(&server);
    board.start().kill();
    let dir = board.state_dir();
    let read_only = format!("mount --bind '{0}' '{0}' && mount -o remount,ro,bind", dir.display());
    let board = mounted(board, &read_only);
    let mut agent = board.start();
    let segment = board.record(&format!("pir.{TIME}.0.mp4"), 3000);
    let refusal = agent.source().refusal(segment.path());
    assert!(refusal.contains("it can't be kept: Read-only file system"), "{refusal}");
    agent.says("is not taken: it can't be kept: Read-only file system");
    server.tell("porch", "arm");
    agent.says("armed by the cloud");
    let why = format!("{}: Read-only file system (os error 30); trying again", dir.display());
    agent.says(&format!("the state directory can't be written: {why}"));
    let disk_failure = agent.source().ask(&json!({"query": "status"}))["disk_failure"].clone();
    assert_eq!(disk_failure["why"], format!("{}: Read-only file system (os error 30)", dir.display()));
    // The disk is mended.
    let id = agent.id().to_string();
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &id, "--mount"]);
    if !is_root() {
        enter.args(["--user", "--preserve-credentials"]);
    }
    let mended = enter.args(["mount", "-o", "remount,rw,bind"]).arg(&dir).status();
    assert!(mended.is_ok_and(|status| status.success()), "expected to mount {} anew", dir.display());
    agent.takes(std::slice::from_ref(&segment));
    agent.owes_nothing();
    assert!(server.captures()[0].is("pir", TIME, &[segment]));
    eventually(
        "what was not taken is tried again",
        || agent.source().ask(&json!({"query": "status"}))["disk_failure"].clone(),
        Value::is_null,
    );
}

#[test]
fn a_state_directory_that_can_not_be_made_is_told_and_made_later() {
    let board = Board::alone();
    fs::write(board.state_dir(), "a file").unwrap();
    let mut agent = board.launch();
    let dir = board.state_dir().display().to_string();
    agent.says(&format!("{dir} can't be made: File exists (os error 17); remove what is in its place, or"));
    agent.says(&format!("the state directory {dir}: spool/ can't be made: Not a directory"));
    let segment = board.record(&format!("pir.{TIME}.0.mp4"), 3000);
    let refusal = Source::at(&board.input_sock()).refusal(segment.path());
    assert!(refusal.contains("Not a directory"), "{refusal}");
    fs::remove_file(board.state_dir()).unwrap();
    fs::create_dir(board.state_dir()).unwrap();
    Source::at(&board.input_sock()).hand_over(&segment);
}

#[test]
fn what_is_no_watchdog_ends_the_start_and_stays_as_it_is() {
    let (busy, dir) = (WatchdogDevice::busy(), TempDir::new());
    let at = |name: &str| dir.at(name);
    fs::create_dir(at("dir")).unwrap();
    fs::write(at("precious"), "precious").unwrap();
    fs::write(at("empty"), "").unwrap();
    symlink(at("empty"), at("link")).unwrap();
    symlink(at("nothing"), at("dangling")).unwrap();
    make_fifo(&at("pipe"));
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let names = file_names(dir.path());
    let expected = |came: &str| {
        format!(
            "expected a watchdog's device, an empty file or nothing, but {came} is there; remove it, or give another"
        )
    };
    for (path, code, why) in [
        (
            busy.path.clone().into(),
            69,
            format!("expected a device that nobody feeds, but somebody has {} open", busy.path),
        ),
        (
            "/dev/nowatchdog".into(),
            69,
            "expected a watchdog at /dev/nowatchdog, but there is no such device".into(),
        ),
        (
            "/dev/null".into(),
            78,
            "expected a watchdog at /dev/null, but it is a device of the class mem; give another".into(),
        ),
        (
            at("missing/alive"),
            69,
            "missing/alive, but: No such file or directory (os error 2); is its directory".into(),
        ),
        (
            at("precious/alive"),
            69,
            "precious/alive, but: Not a directory (os error 20); is its directory".into(),
        ),
        (at("dir"), 78, expected("a directory")),
        (at("precious"), 78, expected("a file with something in it")),
        (at("link"), 78, expected("a symbolic link")),
        (at("dangling"), 78, expected("a symbolic link")),
        (at("pipe"), 78, expected("a named pipe")),
        (at("socket"), 78, expected("a socket")),
    ] {
        let board = Board::alone().respecting_others();
        let ended = Process::start("agent", board.command().arg("--watchdog").arg(&path)).ends();
        assert_eq!(ended.code(), Some(code), "{}: {}", path.display(), ended.log);
        let told = ended.log.lines().find(|line| line.contains(" can't start: --watchdog: "));
        assert!(told.is_some_and(|told| told.contains(&why)), "expected {why:?}: {}", ended.log);
        assert_eq!(file_names(board.dir.path()).iter().filter(|name| name.ends_with(".sock")).count(), 0);
    }
    assert_eq!(file_names(dir.path()), names);
    assert_eq!(fs::read_to_string(at("precious")).unwrap(), "precious");
    assert!(!Path::new("/dev/nowatchdog").exists());
}

#[test]
fn what_is_no_place_for_metrics_ends_the_start_and_stays_as_it_is() {
    let dir = TempDir::new();
    let at = |name: &str| dir.at(name);
    fs::create_dir(at("dir")).unwrap();
    fs::write(at("precious"), "# HELP precious\n").unwrap();
    fs::write(at("target"), "# HELP cloudtalker_\n").unwrap();
    symlink(at("target"), at("link")).unwrap();
    make_fifo(&at("pipe"));
    let names = file_names(dir.path());
    let expected =
        |came: &str| format!("expected an agent's metrics or nothing, but {came} is there; remove it, or");
    for (path, code, why) in [
        (
            at("missing/porch.prom"),
            69,
            "missing/porch.prom, but: No such file or directory (os error 2); is its".into(),
        ),
        (
            at("precious/porch.prom"),
            69,
            "precious/porch.prom, but: Not a directory (os error 20); is its".into(),
        ),
        ("/proc/porch.prom".into(), 69, "expected to write /proc/porch.prom, but: ".into()),
        ("/dev/null".into(), 78, expected("a character device")),
        (at("dir"), 78, expected("a directory")),
        (at("precious"), 78, expected("a file with something else in it")),
        (at("link"), 78, expected("a symbolic link")),
        (at("pipe"), 78, expected("a named pipe")),
    ] {
        let board = Board::alone();
        let ended = Process::start("agent", board.command().arg("--metrics").arg(&path)).ends();
        assert_eq!(ended.code(), Some(code), "{}: {}", path.display(), ended.log);
        let told = ended.log.lines().find(|line| line.contains(" can't start: --metrics: "));
        assert!(told.is_some_and(|told| told.contains(&why)), "expected {why:?}: {}", ended.log);
    }
    assert_eq!(file_names(dir.path()), names);
    assert_eq!(fs::read_to_string(at("precious")).unwrap(), "# HELP precious\n");
}

/// A good segment is taken afterwards.
fn goes_on(board: &Board, agent: &Agent, number: u64) {
    let segments = board.record_capture(LATER + number, &[3000]);
    agent.takes(&segments);
}

/// The agent has a file system of its own mounted at its state directory, which goes with it.
fn mounted(board: Board, mount: &str) -> Board {
    let dir = board.state_dir();
    fs::create_dir_all(&dir).unwrap();
    board.mounting(&format!("{mount} '{}'", dir.display()))
}

/// A file that grows, a little at a time and without a pause, until this is dropped.
struct Growth {
    is_over: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Growth {
    fn of(path: &Path) -> Growth {
        let mut file = File::options().append(true).open(path).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = is_over.clone();
        let (begun, has_begun) = mpsc::channel();
        let writer = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                file.write_all(b"more").unwrap();
                let _ = begun.send(());
            }
        });
        has_begun.recv().unwrap();
        Growth { is_over, writer: Some(writer) }
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.writer.take().map(JoinHandle::join);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}
