//! Wrong arguments and files: each with exit code 64 and a message, before anything is opened.

use crate::harness::{Board, Process, Segment, has_words, program, tool};
use std::{
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::ffi::OsStrExt,
};

#[test]
fn a_bad_configuration_is_told_before_anything_is_opened() {
    let board = Board::alone();
    for (flags, why) in [
        (
            &["--endpoint", "cloud:x/"][..],
            "--endpoint: expected HOST:PORT/PATH (wss:// is implied), but came \"cloud:x/\"",
        ),
        (&["--endpoint", "https://cloud/"], "--endpoint: expected HOST:PORT/PATH"),
        (&["--input_port", "0"], "--input_port: expected a port, 1 to 65535, but came \"0\""),
        (&["--input_port", "http"], "--input_port: expected a port, 1 to 65535, but came \"http\""),
        (
            &["--input_port", "9000", "--input_bind", "0.0.0.0"],
            "--input_bind: 0.0.0.0 is open to the network",
        ),
        (&["--input_bind", "127.0.0.1"], "--input_bind has no port to open: give --input_port too"),
        (
            &["--input_mode", "rw"],
            "--input_mode: expected an octal mode that lets its owner write, as 0660, but",
        ),
        (
            &["--input_mode", "66"],
            "--input_mode: expected an octal mode that lets its owner write, as 0660, but",
        ),
        (
            &["--pidfile", "/run/same", "--watchdog", "/run/same"],
            "--pidfile and --watchdog name the same file, /run/same: give each its own",
        ),
        (
            &["--spool_max", "much"],
            "--spool_max: expected bytes above 0, or K, M or G of them, as 500M or 2G, but came \"much\"",
        ),
        (
            &["--min_free", "-1"],
            "--min_free: expected bytes, or K, M or G of them, as 64M or 1G, but came \"-1\"",
        ),
        (
            &["--max_rate", "0"],
            "--max_rate: expected a rate above 0 at some time of the day, as 0,22:00-06:00=1M, but came \"0\"",
        ),
        (&["--max_rate", "25:00-26:00=1K"], "as 1M,06:00-22:00=64K, but came \"25:00-26:00=1K\""),
        (&["--max_rate=06:00-22:00=64K,21:00-23:00=1M"], "--max_rate: expected windows that do not overlap"),
        (&["--max_rate=0,06:00-22:00=0"], "--max_rate: expected a rate above 0 at some time of the day"),
        (
            &["--monthly_budget", "64K"],
            "--monthly_budget: expected at least 1M, in bytes or K, M or G of them, as 500M or 2G, but came \"64K\"",
        ),
        (&["--spool_copy=maybe"], "--spool_copy: expected true or false, but came \"maybe\""),
        (&["--cam_addr", "localhost"], "--cam_addr: expected HOST:PORT, but came \"localhost\""),
        (&["--cam_addr", "a:1", "--cam_sock", "/b"], "--cam_sock and --cam_addr exclude each other"),
        (
            &["--upload_url", "ftp://a/"],
            "--upload_url: expected https://HOST:PORT/PATH, but came \"ftp://a/\"",
        ),
        (
            &["--log_level", "loud"],
            "--log_level: expected error, warn, info, debug or trace, but came \"loud\"",
        ),
        (&["--config", "/nowhere"], "expected a configuration file at /nowhere, but: No such file"),
        (&["--inptu_port", "1"], "unknown option --inptu_port: did you mean --input_port?"),
        (&["rnu"], "expected an option, but came \"rnu\""),
        (&["--cert"], "--cert: expected a value, but none came"),
        (&["--cert", "a", "--cert", "b"], "--cert is given twice: leave one out"),
    ] {
        let mut agent = program();
        agent.arg("--state_dir").arg(board.state_dir());
        if !flags.contains(&"--endpoint") {
            agent.args(["--endpoint", "localhost:1/"]);
        }
        agent.args(flags);
        let ended = agent.output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{flags:?}: {said}");
        assert!(said.starts_with("cloudtalker: ") && said.contains(why), "{flags:?}: {said}");
        assert!(!board.state_dir().exists(), "{flags:?}");
    }
}

#[test]
fn a_bad_line_of_a_file_is_named() {
    let board = Board::alone();
    let file = board.dir.at("agent.conf");
    for (text, why) in [
        ("endpoint = cloud/\nspool_max\n", ":2: expected name = value, but came \"spool_max\""),
        ("endpoint = cloud/\n\n# max\nmax-size = 1\n", ":4: unknown name \"max_size\""),
        ("endpoint = cloud/\nendpoint = other/\n", ":2: endpoint is already set at "),
        (
            "endpoint = cloud/\ninput_port = 99999\n",
            ":2: input_port: expected a port, 1 to 65535, but came \"99999\"",
        ),
        ("log_level = info\n", "expected the cloud's address: give --endpoint HOST:PORT/PATH"),
    ] {
        fs::write(&file, text).unwrap();
        let ended =
            program().arg("--config").arg(&file).arg("--state_dir").arg(board.state_dir()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{text:?}: {said}");
        assert!(said.contains(why), "{text:?}: {said}");
        assert!(!board.state_dir().exists(), "{text:?}");
    }
}

#[test]
fn a_file_that_is_no_configuration_is_named() {
    let board = Board::alone();
    let text = board.dir.at("agent.conf");
    fs::write(&text, b"endpoint = cloud\xff/\n").unwrap();
    for (file, why) in
        [(board.dir.path(), "but: Is a directory"), (&text, "but: stream did not contain valid UTF-8")]
    {
        let ended = program().arg("--config").arg(file).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{said}");
        let expected = format!("cloudtalker: expected a configuration file at {}, {why}", file.display());
        assert!(said.starts_with(&expected), "expected {expected:?}: {said}");
    }
}

#[test]
fn arguments_that_are_no_text_are_named() {
    let ended = program().arg(OsStr::from_bytes(b"--cert=\xff.pem")).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(64), "{said}");
    assert!(
        said.starts_with(r#"cloudtalker: expected arguments in UTF-8, but one is "--cert=\xFF.pem""#),
        "{said}"
    );
}

#[test]
fn an_input_that_can_not_be_opened_is_named_with_its_option() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let board = Board::alone();
    let ca = board.identity.ca.display();
    for (option, value, code, why) in [
        (
            "--input_port",
            port.as_str(),
            69,
            format!("--input_port: expected to open {address}, but: Address …in use (os error 98)"),
        ),
        (
            "--input_sock",
            &format!("{ca}/in.sock"),
            69,
            format!("--input_sock: expected to open a socket at {ca}/in.sock, but: "),
        ),
        (
            "--input_sock",
            &ca.to_string(),
            78,
            format!(
                "{ca}: expected a socket or nothing, but something else is there; give another --input_sock"
            ),
        ),
    ] {
        let mut agent = program();
        agent.args([option, value, "--state_dir"]).arg(board.state_dir()).args(&board.flags);
        let ended = Process::start("agent", &mut agent).ends();
        assert_eq!(ended.code(), Some(code), "{}", ended.log);
        assert!(has_words(&ended.log, &format!("can't start: {why}")), "expected {why:?}: {}", ended.log);
    }
}

#[test]
fn the_tools_have_the_same_manners() {
    for (arguments, why) in [
        (&["sned", "a.mp4"][..], "expected an option or a command, but came \"sned\": did you mean send?"),
        (&["send"], "cloudtalker send: expected files to send: cloudtalker send FILE..."),
        (&["send", "--name", "dog", "a.mp4"], "--name: expected pir or cap, but came \"dog\""),
        (
            &["send", "--wait", "soon", "a.mp4"],
            "--wait: expected seconds, 86400 (a day) at most, but came \"soon\"",
        ),
        (&["send", "--wait", "18446744073709551615", "a.mp4"], "expected seconds, 86400 (a day) at most"),
        (
            &["listen"],
            "cloudtalker listen: expected a place to receive commands at: give --cam_sock or --cam_addr",
        ),
        (&["check", "--jsno"], "cloudtalker: unknown option --jsno: did you mean --json?"),
        (&["status", "--jsno"], "cloudtalker: unknown option --jsno: did you mean --json?"),
        (&["status", "--input_port", "0"], "cloudtalker status: --input_port: expected a port, 1 to 65535"),
    ] {
        let ended = tool(arguments);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}

#[test]
fn a_place_for_recordings_that_is_not_there_is_told_and_may_come_later() {
    let board = Board::alone();
    let later = board.dir.at("later");
    let board = board.with(&["--capture_dir", later.to_str().unwrap()]);
    let mut agent = board.agent(board.launch());
    let told = agent.says("--capture_dir: expected a directory at ");
    let expected = format!(
        "{}, but: No such file or directory (os error 2); make it, then send SIGHUP",
        later.display()
    );
    assert!(told.contains(" WARN ") && told.ends_with(&expected), "{told}");
    agent.says("started; ");
    fs::create_dir(&later).unwrap();
    agent.reload();
    agent.says("certificate, key and configuration are read again");
    let segment = Segment::write(later.join("pir.1529842538.0.mp4"), 0, 3000);
    agent.source().hand_over(&segment);
    assert_eq!(agent.log().matches("--capture_dir: expected").count(), 1, "it is there now");
}
