use super::*;
use cli::{Command, Run};
use std::{ffi::OsString, fs, path::PathBuf, process};

fn run(line: &str) -> Run {
    let args = std::iter::once("cloudtalker").chain(line.split_whitespace()).map(OsString::from);
    match cli::parse(args) {
        Ok(Command::Run(run)) => *run,
        other => panic!("expected run, not {other:?}"),
    }
}

fn config(line: &str) -> Result<Config, String> {
    Config::load(&run(&format!("-e cloud.example {line}"))).map_err(|error| error.to_string())
}

/// A configuration file for one test.
struct File(PathBuf);

impl File {
    fn new(test: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("cloudtalker-{test}-{}.conf", process::id()));
        fs::write(&path, text).unwrap();
        File(path)
    }

    fn load(&self, flags: &str) -> Result<Config, String> {
        let run = run(&format!("--config {} {flags}", self.0.display()));
        Config::load(&run).map_err(|error| error.to_string().replace(&self.0.display().to_string(), "FILE"))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn an_endpoint_alone_is_enough() {
    let expected = Config {
        endpoint: Endpoint { host: "cloud.example".into(), port: 443, path: "/".into() },
        cert: "cert.pem".into(),
        key: "key.pem".into(),
        ca: None,
        input: InputConfig { unix: Some("/run/cloudtalker/input.sock".into()), mode: 0o660, tcp: None },
        motion_file_list: None,
        commands: None,
        spool: SpoolConfig {
            state_dir: "/var/lib/cloudtalker".into(),
            max: None,
            min_free: 64 << 20,
            copy: false,
            capture_dirs: Vec::new(),
            delete_uploaded: false,
        },
        upload_url: None,
        max_rate: Rates::default(),
        monthly_budget: None,
        log_level: LevelFilter::Info,
        log_to: LogTo::Stderr,
        pidfile: None,
        watchdog: None,
        metrics: None,
    };
    assert_eq!(config(""), Ok(expected));
}

#[test]
fn without_an_endpoint_there_is_nothing_to_do() {
    let error = Config::load(&run("")).unwrap_err().to_string();
    assert_eq!(error, "expected the cloud's address: give --endpoint HOST:PORT/PATH");
}

#[test]
fn the_usual_socket_opens_only_where_no_input_is_named() {
    let input = |line: &str| config(line).unwrap().input;
    let tcp = input("--input_port 9000");
    assert_eq!((tcp.unix, tcp.tcp), (None, Some("127.0.0.1:9000".parse().unwrap())));
    let unix = input("--input_sock s --input_mode 0600");
    assert_eq!((unix.unix, unix.mode, unix.tcp), (Some("s".into()), 0o600, None));
    let both = input("--input_sock s --input_port 9000 --input_bind ::1");
    assert_eq!((both.unix, both.tcp), (Some("s".into()), Some("[::1]:9000".parse().unwrap())));
}

#[test]
fn a_port_beyond_loopback_needs_a_directory_to_confine_it() {
    for address in ["0.0.0.0", "::", "192.168.1.2", "::ffff:10.0.0.1"] {
        let line = format!("--input_port 9000 --input_bind {address}");
        let error = config(&line).unwrap_err();
        assert!(error.starts_with(&format!("--input_bind: {address} is open to the network")), "{error}");
        assert!(config(&format!("{line} --capture_dir /video")).is_ok(), "{address}");
    }
    for address in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", "localhost"] {
        assert!(config(&format!("--input_port 9000 --input_bind {address}")).is_ok(), "{address}");
    }
}

#[test]
fn commands_go_to_one_place() {
    let commands = |line: &str| config(line).map(|config| config.commands);
    assert_eq!(commands("--cam_sock s"), Ok(Some(CommandTarget::Unix("s".into()))));
    let udp = CommandTarget::Udp { host: "actuator".into(), port: 9001 };
    assert_eq!(commands("--cam_addr actuator:9001"), Ok(Some(udp)));
    let error = "--cam_sock and --cam_addr exclude each other: commands go to one place, leave one out";
    assert_eq!(commands("--cam_sock s --cam_addr a:1"), Err(error.into()));
}

#[test]
fn each_setting_says_what_it_expects() {
    let long = "x".repeat(108);
    let rows = [
        ("endpoint", "cloud:x", "HOST:PORT/PATH (wss:// is implied)"),
        ("cert", "", "a path"),
        ("key", "", "a path"),
        ("ca", "", "a path"),
        ("input_sock", &long, "a path of 1 to 107 bytes, which is all that a socket's name holds"),
        ("input_mode", "0066", "an octal mode that lets its owner write, as 0660"),
        ("input_port", "65536", "a port, 1 to 65535"),
        ("input_bind", "here", "an address, as 127.0.0.1"),
        ("motion_file_list", "", "a path"),
        ("cam_sock", "", "a path of 1 to 107 bytes, which is all that a socket's name holds"),
        ("cam_addr", "nowhere", "HOST:PORT"),
        ("capture_dir", "", "a directory"),
        ("state_dir", "", "a path"),
        ("spool_max", "0", "bytes above 0, or K, M or G of them, as 500M or 2G"),
        ("min_free", "-1", "bytes, or K, M or G of them, as 64M or 1G"),
        ("spool_copy", "perhaps", "true or false"),
        ("delete_uploaded", "2", "true or false"),
        ("upload_url", "ftp://a/", "https://HOST:PORT/PATH"),
        ("max_rate", "0", "a rate above 0 at some time of the day, as 0,22:00-06:00=1M"),
        ("monthly_budget", "1T", "at least 1M, in bytes or K, M or G of them, as 500M or 2G"),
        ("log_level", "loud", "error, warn, info, debug or trace"),
        ("log_to", "printer", "stderr or syslog"),
        ("pidfile", "", "a path"),
        ("watchdog", "", "a path"),
        ("metrics", "", "a path"),
    ];
    assert_eq!(rows.map(|(name, ..)| name), NAMES);
    for (name, value, expected) in rows {
        let endpoint = if name == "endpoint" { "" } else { "-e cloud.example" };
        let error = Config::load(&run(&format!("{endpoint} --{name}={value}"))).unwrap_err();
        assert_eq!(error.to_string(), format!("--{name}: expected {expected}, but came {value:?}"));
    }
}

#[test]
fn of_a_servers_address_that_is_wrong_only_the_server_is_told() {
    let url = "upload_url: expected https://HOST:PORT/PATH, but came ";
    let endpoint = "endpoint: expected HOST:PORT/PATH (wss:// is implied), but came ";
    let path = "expected a path as URLs have it, in ASCII, without spaces and #, but came ";
    for (line, expected) in [
        ("upload_url = tus.example/files/secret", format!("{url}\"tus.example/…\"")),
        ("upload_url = ftp://u:secret@tus.example:1/", format!("{url}\"ftp://…@tus.example:1/\"")),
        (
            "upload_url = https://u:secret@tus.example/ü secret",
            format!("upload_url: {path}\"https://…@tus.example/…\""),
        ),
        ("endpoint = cam.example:abc/secret", format!("{endpoint}\"cam.example:abc/…\"")),
        ("endpoint = secret@cam.example:1", format!("{endpoint}\"…@cam.example:1\"")),
        ("endpoint = cam.example?token=secret", format!("{endpoint}\"cam.example/…\"")),
        ("endpoint = cam.example/secret secret", format!("endpoint: {path}\"cam.example/…\"")),
        ("endpoint = secret secret", format!("{endpoint}\"…\"")),
    ] {
        let flags = if line.starts_with("endpoint") { "" } else { "-e cloud.example" };
        let error = File::new("secret", line).load(flags).unwrap_err();
        assert_eq!(error, format!("FILE:1: {expected}"));
    }
}

#[test]
fn rates_by_time_of_day_are_read_from_flags_and_files() {
    let expected = config("--max_rate=1M,06:00-22:00=64K --monthly-budget 2G").unwrap();
    assert_eq!((expected.max_rate.at(360).bytes(), expected.monthly_budget), (Some(65_536), Some(2 << 30)));
    let file = File::new("rates", "max-rate = 1M, 06:00-22:00=64K # by day\nmonthly_budget = 2G\n");
    assert_eq!(file.load("-e cloud.example"), Ok(expected));
    let error = config("--max_rate=06:00-22:00=64K,21:00-23:00=1M").unwrap_err();
    assert_eq!(
        error,
        "--max_rate: expected windows that do not overlap, as 06:00-22:00=64K,22:00-06:00=2M, but came \
         \"06:00-22:00=64K,21:00-23:00=1M\""
    );
}

#[test]
fn what_is_wrong_is_told_where_the_flags_say() {
    assert_eq!(LogTo::find(&run("--log_to syslog --max_rate fast")), LogTo::Syslog);
    for flags in ["", "--log_to stderr", "--log_to printer"] {
        assert_eq!(LogTo::find(&run(flags)), LogTo::Stderr, "{flags}");
    }
    let file = File::new("find", "log_to = syslog\nmax_rate = fast\n");
    let found = |flags: &str| LogTo::find(&run(&format!("--config {} {flags}", file.0.display())));
    assert_eq!(found(""), LogTo::Syslog);
    assert_eq!(found("--log_to stderr"), LogTo::Stderr);
    fs::write(&file.0, "no entry").unwrap();
    assert_eq!(found("--log_to syslog"), LogTo::Syslog);
}

#[test]
fn a_wrong_flag_is_named() {
    for (line, expected) in [
        ("--input_bind 127.0.0.1", "--input_bind has no port to open: give --input_port too"),
        (
            "--config /nonexistent/a",
            "expected a configuration file at /nonexistent/a, but: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(config(line), Err(expected.into()), "{line}");
    }
}

#[test]
fn a_file_holds_what_flags_hold() {
    let file = File::new(
        "whole",
        "# a board\n\nendpoint = cloud.example:8443/ws#1 # the cloud\n cert=a.pem\ncapture-dir = /a\ncapture_dir = /b c\n\
         spool_copy = yes\nlog_level = DEBUG\n",
    );
    let error = file.load("").unwrap_err();
    assert!(error.starts_with("FILE:3: endpoint: expected a path as URLs have it"), "{error}");
    let config = file.load("-e wss://other.example --spool_copy=false").unwrap();
    assert_eq!((config.endpoint.host.as_str(), config.cert), ("other.example", "a.pem".into()));
    assert_eq!(config.spool.capture_dirs, [PathBuf::from("/a"), PathBuf::from("/b c")]);
    assert_eq!((config.spool.copy, config.log_level), (false, LevelFilter::Debug));
    assert_eq!(file.load("-e a --capture_dir /c").unwrap().spool.capture_dirs, [PathBuf::from("/c")]);
}

#[test]
fn a_flag_for_commands_puts_the_files_aside() {
    let file = File::new("commands", "endpoint = a\ncam_sock = s\n");
    let udp = CommandTarget::Udp { host: "b".into(), port: 1 };
    assert_eq!(file.load("--cam_addr b:1").unwrap().commands, Some(udp));
    assert_eq!(file.load("").unwrap().commands, Some(CommandTarget::Unix("s".into())));
    let both = File::new("both", "endpoint = a\ncam_sock = s\ncam_addr = b:1\n");
    assert!(both.load("").unwrap_err().starts_with("FILE:2: cam_sock and FILE:3: cam_addr exclude"));
}

#[test]
fn a_mark_of_byte_order_is_no_part_of_the_first_line() {
    let file = File::new("marked", "\u{feff}endpoint = cloud.example\r\n");
    assert_eq!(file.load(""), config(""));
}

#[test]
fn a_value_in_quotes_is_told_as_such() {
    for line in ["pidfile = \"/run/agent.pid\"", "pidfile = '/run/agent.pid'"] {
        let error = File::new("quoted", line).load("-e cloud.example").unwrap_err();
        assert_eq!(
            error,
            "FILE:1: pidfile: expected a value as it is, but it came in quotes: leave them out"
        );
    }
    assert!(File::new("quote", "pidfile = /run/a\"b\"").load("-e cloud.example").is_ok());
}

#[test]
fn no_two_files_are_one() {
    let error = config("--metrics /run/a --input_sock /run/a").unwrap_err();
    assert_eq!(error, "--input_sock and --metrics name the same file, /run/a: give each its own");
    let file = File::new("same", "pidfile = /run/./a\n");
    let error = file.load("-e cloud.example --watchdog /run//a").unwrap_err();
    assert_eq!(error, "--pidfile and --watchdog name the same file, /run//a: give each its own");
    let error = config(&format!("--cam_sock {DEFAULT_INPUT}")).unwrap_err();
    assert!(error.starts_with("--input_sock and --cam_sock name the same file, "), "{error}");
    assert!(config("--cert /a.pem --key /a.pem").is_ok(), "both may be in one file");
}

#[test]
fn a_wrong_line_is_named() {
    for (text, expected) in [
        ("endpoint a", r#"FILE:1: expected name = value, but came "endpoint a""#),
        ("\nend_point = a", r#"FILE:2: unknown name "end_point": did you mean endpoint?"#),
        ("cert = a\ncert = b", "FILE:2: cert is already set at FILE:1: leave one out"),
        ("config = b", r#"FILE:1: unknown name "config""#),
        (
            "endpoint = a\nmin_free = all",
            r#"FILE:2: min_free: expected bytes, or K, M or G of them, as 64M or 1G, but came "all""#,
        ),
    ] {
        let file = File::new("wrong", text);
        let error = file.load("").unwrap_err();
        assert!(error.split(": did you").next() == expected.split(": did you").next(), "{error}");
    }
}

#[test]
fn tools_find_the_agent_by_its_file() {
    let file = File::new("tools", "input_port = 9000\ninput_bind = 0.0.0.0\ncam_addr = a:1\n");
    let name = file.0.to_str();
    let input = InputConfig::find(Vec::new(), name).unwrap();
    assert_eq!(input.tcp, Some("0.0.0.0:9000".parse().unwrap()));
    let input = InputConfig::find(vec![("input_sock", "s".into())], name).unwrap();
    assert_eq!((input.unix, input.tcp), (Some("s".into()), None));
    let target = CommandTarget::find(Vec::new(), name).unwrap();
    assert_eq!(target, Some(CommandTarget::Udp { host: "a".into(), port: 1 }));
}
