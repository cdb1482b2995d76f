//! `bundle`: what a stranger reads of a board, and what nobody does.

use crate::harness::{Board, Server, Terminal, free_port, program, write_program};
use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
};

const TIME: u64 = 1_529_842_538;
const MIB: usize = 1 << 20;
/// Each is somewhere where one could be.
const SECRETS: [&str; 8] = [
    "commentsecret",
    "usersecret",
    "passsecret",
    "pathsecret",
    "querysecret",
    "livesecret",
    "tokensecret",
    "environsecret",
];

/// A board whose server is away, with secrets wherever a URL or a file has room for one.
struct Scene {
    board: Board,
    file: PathBuf,
    key: String,
}

impl Scene {
    fn new() -> Scene {
        let mut board = Board::alone();
        board.flags[1] = format!("127.0.0.1:{}/livesecret?token=tokensecret", free_port());
        let config = board.dir.at("agent.conf");
        let url = format!("https://usersecret:passsecret@127.0.0.1:{}/pathsecret?querysecret", free_port());
        let text = format!("# password: commentsecret\nupload_url = {url} # commentsecret\nmin_free = 1M\n");
        fs::write(&config, text).unwrap();
        let key = fs::read_to_string(&board.identity.key).unwrap();
        let key = key.lines().nth(1).expect("a key has a line between its frame's").to_owned();
        let file = board.dir.at("bundle.txt");
        Scene { board: board.with(&["--config", config.to_str().unwrap()]), file, key }
    }

    fn config(&self) -> PathBuf {
        self.board.dir.at("agent.conf")
    }

    fn bundling(&self) -> Command {
        let mut bundle = self.board.bundling(&self.file);
        bundle.env("CLOUDTALKER_PASSWORD", "environsecret");
        bundle
    }

    /// Makes it; what a stranger reads.
    fn bundle(&self) -> String {
        let made = self.bundling().output().unwrap();
        let said = String::from_utf8(made.stderr).unwrap();
        assert_eq!((made.status.code(), made.stdout.len()), (Some(0), 0), "{said}");
        assert!(said.contains("bundle.txt is written; "), "{said}");
        assert_eq!(fs::metadata(&self.file).unwrap().permissions().mode() & 0o7777, 0o600);
        self.is_clean(fs::read_to_string(&self.file).unwrap())
    }

    fn is_clean(&self, text: String) -> String {
        assert!(text.len() <= MIB, "{} bytes", text.len());
        for secret in SECRETS.into_iter().chain([self.key.as_str()]) {
            assert!(!text.contains(secret), "{secret} is told: {text}");
        }
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()));
        text
    }
}

/// What stands under a heading.
fn section<'t>(text: &'t str, name: &str) -> &'t str {
    let heading = format!("\n== {name} ==\n\n");
    let (_, rest) = text.split_once(&heading).unwrap_or_else(|| panic!("there is no {name}: {text}"));
    rest.split("\n== ").next().unwrap()
}

#[track_caller]
fn tells(section: &str, expected: &[&str]) {
    for expected in expected {
        assert!(section.contains(expected), "expected {expected:?}: {section}");
    }
}

#[test]
fn a_running_agent_tells_its_status_and_its_log() {
    let scene = Scene::new();
    let mut agent = scene.board.start();
    agent.takes(&scene.board.record_capture(TIME, &[3000]));
    agent.says("could not be sent: ");
    agent.says("no connection to the cloud: ");
    let text = scene.bundle();
    tells(section(&text, "system"), &["program       cloudtalker 0.", "kernel        Linux ", "\nmachine "]);
    let configuration = section(&text, "configuration");
    let from = format!("({}:3)", scene.config().display());
    tells(
        configuration,
        &["endpoint = 127.0.0.1:", "/… (the command line)", &format!("min_free = 1M {from}")],
    );
    tells(configuration, &["upload_url = https://…@127.0.0.1:", "/key.pem\n"]);
    tells(section(&text, "status"), &["waiting       1 capture, 1 segment", "{\"version\":\""]);
    tells(
        section(&text, "log"),
        &[" INFO  [cloudtalker", "no connection to the cloud: ", "could not be sent: "],
    );
    tells(
        section(&text, "state directory"),
        &["/spool/1529842538.pir/0.mp4\n", "\nlost.log: nothing was lost\n"],
    );
    tells(section(&text, "check"), &["configuration ok      ", "tcp           FAILED  "]);
}

#[test]
fn a_stopped_agent_leaves_the_rest_to_tell() {
    let scene = Scene::new();
    let agent = scene.board.start();
    agent.takes(&scene.board.record_capture(TIME, &[3000]));
    agent.kill();
    let text = scene.bundle();
    tells(section(&text, "status"), &["expected the agent at ", "does it run, and with this input socket?"]);
    tells(section(&text, "log"), &["expected the agent at ", "journalctl"]);
    tells(section(&text, "state directory"), &["/spool/1529842538.pir/0.mp4\n"]);
    tells(section(&text, "check"), &["state_dir     "]);
}

#[test]
fn of_the_systems_logs_the_agents_own_lines_are_told_and_nobody_elses() {
    let scene = Scene::new();
    let logs = scene.board.dir.at("logs");
    fs::create_dir(&logs).unwrap();
    fs::write(
        logs.join("messages"),
        "Nov 28 23:00:00 porch user.info cloudtalker[12]: expected name = value, but came livesecret\n\
         Nov 28 23:00:01 porch daemon.info cloudtalker-server[44]: password: passsecret\n\
         Nov 28 23:00:02 porch auth.info su[7]: cloudtalker: tokensecret\n\
         Nov 28 23:00:03 porch user.warn cloudtalker: no connection to the cloud\n",
    )
    .unwrap();
    fs::write(
        logs.join("syslog"),
        "2026-11-28T23:00:04.5+01:00 porch cloudtalker[12]: stopped\n\
         2026-11-28T23:00:05.5+01:00 porch CRON[9]: (root) CMD (cloudtalker send --password usersecret)\n",
    )
    .unwrap();
    let programs = scene.board.dir.at("programs");
    fs::create_dir(&programs).unwrap();
    for (name, said) in [
        (
            "journalctl",
            "2026-11-28T23:00:06+0100 porch cloudtalker[12]: --cert: expected a certificate\n\
             2026-11-28T23:00:07+0100 porch sudo[9]: porch : COMMAND=/usr/bin/cloudtalker --password usersecret\n",
        ),
        (
            "logread",
            "Sat Nov 28 23:00:08 2026 daemon.info cloudtalker[12]: started\n\
             Sat Nov 28 23:00:09 2026 authpriv.info dropbear[4]: password passsecret\n",
        ),
    ] {
        let script = format!("#!/bin/sh\ncat <<'END'\n{said}END\necho \"\\033[1m$0: no more\" >&2; exit 1\n");
        write_program(&programs.join(name), &script);
    }
    let script =
        format!("mount --bind '{}' /var/log && export PATH='{}':$PATH", logs.display(), programs.display());
    let text = Scene { board: scene.board.mounting(&script), ..scene }.bundle();
    let log = section(&text, "log");
    tells(
        log,
        &[
            "/var/log/messages, its last lines of cloudtalker: 2\n",
            "cloudtalker[12]: expected name = value, but came …\n",
            "cloudtalker: no connection to the cloud\n",
            "/var/log/syslog, its last lines of cloudtalker: 1\n2026-11-28T23:00:04.5+01:00 porch cloudtalker[12]: stopped\n",
            "journalctl ",
            ", its last lines of cloudtalker: 1\n2026-11-28T23:00:06+0100 porch cloudtalker[12]: --cert: expected a certificate\n",
            "there may be more: exit status: 1: ",
            "/journalctl: no more\n",
            "logread, its last lines of cloudtalker: 1\nSat Nov 28 23:00:08 2026 daemon.info cloudtalker[12]: started\n",
        ],
    );
}

#[test]
fn a_wrong_configuration_is_told_and_hides_as_much() {
    let scene = Scene::new();
    let good = fs::read_to_string(scene.config()).unwrap();
    let key = fs::read_to_string(&scene.board.identity.key).unwrap();
    for (added, why) in [
        ("livesecret and tokensecret\n", "agent.conf:4: expected name = value, but came \"…\""),
        ("min_fre = 1\n", "agent.conf:4: unknown name \"min_fre\": did you mean min_free?"),
        (key.as_str(), "agent.conf:4: expected name = value, but came \"…\""),
        (&scene.key, "agent.conf:4: "),
        (
            "cam_addr = livesecret@host?querysecret\n",
            "agent.conf:4: cam_addr: expected HOST:PORT, but came \"…@host?…\"",
        ),
    ] {
        let _ = fs::remove_file(&scene.file);
        fs::write(scene.config(), format!("{good}{added}")).unwrap();
        let text = scene.bundle();
        tells(section(&text, "configuration"), &["it is wrong: ", why]);
        tells(
            section(&text, "check"),
            &["configuration FAILED  ", why, "uploads       skipped configuration has to work"],
        );
        tells(section(&text, "state directory"), &["/state: No such file or directory"]);
    }
}

#[test]
fn a_line_that_a_running_agent_did_not_understand_is_not_told() {
    let scene = Scene::new();
    let mut agent = scene.board.start();
    let good = fs::read_to_string(scene.config()).unwrap();
    fs::write(scene.config(), format!("{good}livesecret and tokensecret\n")).unwrap();
    agent.reload();
    agent.says("expected name = value, but came \"livesecret and tokensecret\"");
    tells(section(&scene.bundle(), "log"), &["agent.conf:4: expected name = value, but came …\n"]);
}

#[test]
fn a_servers_address_that_a_running_agent_did_not_understand_is_in_no_log() {
    let mut board = Board::alone();
    let config = board.dir.at("agent.conf");
    board.flags.splice(0..2, ["--config".to_owned(), config.to_str().unwrap().to_owned()]);
    let good = "endpoint = 127.0.0.1:9/\n";
    fs::write(&config, good).unwrap();
    let (file, key) = (board.dir.at("bundle.txt"), "-----BEGIN".to_owned());
    let scene = Scene { board, file, key };
    let mut agent = scene.board.start();
    for (text, told) in [
        (
            "endpoint = 127.0.0.1:9/\nupload_url = tus.example/files/pathsecret\n",
            "agent.conf:2: upload_url: expected https://HOST:PORT/PATH, but came \"tus.example/…\"",
        ),
        (
            "endpoint = cam.example:abc/livesecret?tokensecret\n",
            "agent.conf:1: endpoint: expected HOST:PORT/PATH (wss:// is implied), but came \"cam.example:abc/…\"",
        ),
    ] {
        fs::write(&config, text).unwrap();
        agent.reload();
        agent.says(told);
        fs::write(&config, good).unwrap();
        agent.reload();
        agent.says("read again");
        let _ = fs::remove_file(&scene.file);
        tells(section(&scene.bundle(), "log"), &[told]);
    }
    scene.is_clean(agent.log());
}

#[test]
fn a_bundle_of_a_large_spool_is_bounded() {
    let scene = Scene::new();
    for capture in 0..3_000 {
        let dir = scene.board.state_dir().join(format!("spool/{}.pir", TIME + capture));
        fs::create_dir_all(&dir).unwrap();
        for name in ["id", "0.mp4", "0.mp4.from", "closed"] {
            fs::write(dir.join(name), "1").unwrap();
        }
    }
    fs::write(scene.board.state_dir().join("lost.log"), "{\"lost\":\"something\"}\n".repeat(20_000)).unwrap();
    let text = scene.bundle();
    tells(
        section(&text, "state directory"),
        &["/spool/: 15000 names, ", " lines left out below]", "lost.log, its end:"],
    );
}

#[test]
fn nothing_that_is_there_is_written_over() {
    let scene = Scene::new();
    let precious = scene.board.dir.at("precious");
    fs::write(&precious, "precious").unwrap();
    let is_refused = || {
        let made = scene.bundling().output().unwrap();
        let said = String::from_utf8(made.stderr).unwrap();
        let expected = format!(
            "cloudtalker bundle: expected to make {}, but something is there already: give another name\n",
            scene.file.display()
        );
        assert_eq!((made.status.code(), said), (Some(1), expected));
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    };
    fs::hard_link(&precious, &scene.file).unwrap();
    is_refused();
    fs::remove_file(&scene.file).unwrap();
    symlink(&precious, &scene.file).unwrap();
    is_refused();
    fs::remove_file(&scene.file).unwrap();
    symlink(scene.board.dir.at("nothing"), &scene.file).unwrap();
    is_refused();
    assert!(!scene.board.dir.at("nothing").exists());
}

#[test]
fn standard_output_takes_it_too_and_need_not_be_read() {
    let scene = Scene { file: "-".into(), ..Scene::new() };
    let made = scene.bundling().output().unwrap();
    assert_eq!((made.status.code(), made.stderr.len()), (Some(0), 0));
    let text = scene.is_clean(String::from_utf8(made.stdout).unwrap());
    tells(section(&text, "check"), &["configuration ok "]);
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    assert_eq!(scene.bundling().stdout(writer).status().unwrap().code(), Some(0));
}

#[test]
fn who_waits_for_a_bundle_is_told_for_what() {
    let scene = Scene::new();
    let mut terminal = Terminal::run(&mut scene.bundling(), 200, 24);
    terminal.writes("waiting for 127.0.0.1:");
    terminal.writes("bundle.txt is written; ");
    let written = terminal.ends();
    assert!(!SECRETS.iter().any(|secret| written.contains(secret)), "{written}");
}

#[test]
fn without_options_it_says_what_is_missing() {
    let server = Server::stopped();
    let made = program().args(["bundle", "-"]).current_dir(server.dir.path()).output().unwrap();
    assert_eq!(made.status.code(), Some(0));
    let text = String::from_utf8(made.stdout).unwrap();
    tells(section(&text, "configuration"), &["it is wrong: expected the cloud's address: give --endpoint"]);
}
