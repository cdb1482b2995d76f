//! The program's commands, with and without a process that serves.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use common::{Camera, Serving, program, text};
use std::{
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

fn refused(output: &Output, why: &str) {
    let error = text(&output.stderr);
    assert!(
        !output.status.success() && error.contains(why),
        "expected {why:?}, not {:?}: {error}",
        output.status
    );
}

#[tokio::test]
async fn a_second_process_on_the_directory_is_refused_and_a_dead_ones_lock_is_not_stale() {
    let mut serving = Serving::start();
    let second = ["serve", "--camera-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"];
    refused(&serving.command(&second), "served by another process");
    serving.add("porch").session().await.nothing_else().await;
    serving.kill();
    serving.go_on();
    assert!(serving.command(&["camera", "list"]).status.success(), "its socket is a new one");
}

#[tokio::test]
async fn what_can_not_be_written_is_no_success() {
    let serving = Serving::start();
    serving.add("porch");
    for command in [&["camera", "list"][..], &["captures", "list", "--json"], &["password"]] {
        let mut full = serving.commanding(command);
        let full = full.stdout(std::fs::File::create("/dev/full").unwrap()).output().unwrap();
        refused(&full, "expected to write standard output, but: No space left on device");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert!(serving.commanding(command).stdout(writer).status().unwrap().success(), "{command:?}");
    }
}

#[tokio::test]
async fn it_ends_cleanly_and_says_goodbye() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    let mut session = camera.session().await;
    // An idle connection and one in the middle of a request are open, too.
    let _idle = camera.connect().await;
    let began = Instant::now();
    let ended = tokio::task::spawn_blocking(move || (serving.terminate(), serving));
    assert!(session.next().await.retry_after.is_some());
    assert_eq!(session.closed().await, 1001);
    let (status, serving) = ended.await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!serving.data.path().join("control.sock").exists());
    assert!(serving.json(&["camera", "list", "--json"])[0]["online"] == false);
}

#[test]
fn commands_do_without_a_process_that_serves() {
    let data = tempfile::tempdir().unwrap();
    let (data, out) = (data.path().join("made"), data.path().join("out"));
    let run = |arguments: &[&str]| program().args(arguments).arg("--data").arg(&data).output().unwrap();
    let added = run(&["camera", "add", "porch", "--out", out.to_str().unwrap()]);
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert!(text(&added.stderr).contains("new data is begun in"), "{}", text(&added.stderr));
    let line = text(&added.stdout);
    assert!(line.starts_with("cloudtalker --endpoint ") && line.contains(":8443/ --cert "), "{line}");
    for (file, mode) in [("porch.pem", 0o644), ("porch-key.pem", 0o600), ("ca.pem", 0o644)] {
        let found = std::fs::metadata(out.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{file}");
    }
    refused(&run(&["camera", "add", "porch", "--out", out.to_str().unwrap()]), "already");
    refused(&run(&["camera", "command", "porch", "capture"]), "nobody serves");
    refused(&run(&["camera", "command", "porch", "dance"]), "expected arm, disarm or capture");
    refused(&run(&["camera", "command", "shed", "arm"]), "there is no camera \"shed\"");
    refused(&run(&["captures", "export", "7", "never.mp4"]), "there is no capture 7");
    assert!(run(&["camera", "command", "porch", "arm"]).status.success());
    assert_eq!(text(&run(&["captures", "list", "--json"]).stdout), "[]\n");
    assert!(run(&["camera", "remove", "porch"]).status.success());
    assert_eq!(text(&run(&["camera", "list"]).stdout), "CAMERA  SESSION  STATE  VERSION\n");
    refused(&run(&["camera", "remove", "porch"]), "there is no camera");
}

#[test]
fn a_directory_without_data_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, empty) = (dir.path().join("dtbb"), dir.path().join("empty"));
    std::fs::create_dir(&empty).unwrap();
    for arguments in [
        ["camera", "list"].as_slice(),
        &["camera", "remove", "porch"],
        &["camera", "command", "porch", "arm"],
        &["captures", "list", "--json"],
        &["captures", "export", "3", "never.mp4"],
        &["password"],
    ] {
        for data in [&missing, &empty] {
            let output = program().args(arguments).arg("--data").arg(data).output().unwrap();
            let why = format!("no server's data in {}: run serve first, or mend --data\n", data.display());
            refused(&output, &why);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        }
        assert!(!missing.exists(), "{arguments:?}");
        assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn a_start_makes_the_files_of_a_camera_that_has_none_and_leaves_those_that_are_there() {
    let out = tempfile::tempdir().unwrap();
    let dir = out.path().join("porch");
    let mut serving = Serving::with(&["--camera", "porch", "--out", dir.to_str().unwrap()]);
    let read = || ["porch.pem", "porch-key.pem", "ca.pem"].map(|file| std::fs::read(dir.join(file)).unwrap());
    let made = read();
    assert_eq!(serving.json(&["camera", "list", "--json"])[0]["name"], "porch");
    serving.kill();
    serving.go_on();
    assert_eq!(read(), made);

    // A key that is lost is not made anew behind its owner's back.
    serving.kill();
    std::fs::remove_file(dir.join("porch-key.pem")).unwrap();
    let again = ["serve", "--camera", "porch", "--out", dir.to_str().unwrap()];
    refused(&serving.command(&again), "there is a camera \"porch\" already");
}

#[tokio::test]
async fn a_camera_added_before_the_first_start_is_let_in() {
    let mut serving = Serving::start();
    serving.kill();
    let out = tempfile::tempdir().unwrap();
    serving.ok(&["camera", "add", "porch", "--out", out.path().to_str().unwrap()]);
    serving.go_on();
    Camera::of(serving.cameras, out.path(), "porch").session().await.nothing_else().await;
}

#[tokio::test]
async fn a_capture_by_a_camera_that_is_offline_says_what_it_waits_for() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let mut command = program();
    command.args(["camera", "command", "porch", "capture", "--data"]).arg(serving.data.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "cloudtalker-server: porch is offline: waiting up to 60 s\n");
    let mut session = camera.session().await;
    assert_eq!(session.next().await.capture_asap, Some(true));
    session.state(false).await;
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "porch is told to capture\n");
}

#[test]
fn the_command_line_names_where_the_server_is() {
    let serving = Serving::with(&["--host", "cameras.example.org"]);
    let out = tempfile::tempdir().unwrap();
    let line = serving.ok(&["camera", "add", "porch", "--out", out.path().to_str().unwrap()]);
    let endpoint = format!("--endpoint cameras.example.org:{}/ ", serving.cameras.port());
    assert!(line.contains(&endpoint), "{line}");
}

#[test]
fn the_address_that_is_listened_at_is_in_the_certificate() {
    let mut serving = Serving::start();
    serving.kill();
    serving.cameras = "127.0.0.2:0".parse().unwrap();
    serving.go_on();
    let out = tempfile::tempdir().unwrap();
    let line = serving.ok(&["camera", "add", "porch", "--out", out.path().to_str().unwrap()]);
    assert!(line.contains(&format!("--endpoint {}/ ", serving.cameras)), "{line}");
    let [ca, certificate, key] = ["ca.pem", "porch.pem", "porch-key.pem"].map(|file| out.path().join(file));
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--output", "/dev/null", "--cacert"]).arg(ca);
    curl.arg("--cert").arg(certificate).arg("--key").arg(key);
    let output = curl.arg(format!("https://{}/", serving.cameras)).output().expect("curl is installed");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn the_control_socket_is_the_owners_alone() {
    let serving = Serving::start();
    let socket = std::fs::metadata(serving.data.path().join("control.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_password_is_printed_once() {
    let mut serving = Serving::start();
    assert!(serving.password.as_ref().is_some_and(|password| password.len() > 12));
    serving.kill();
    let mut child = program()
        .args(["serve", "--camera-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0", "--data"])
        .arg(serving.data.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    while !printed.contains("people: ") {
        assert_ne!(out.read_line(&mut printed).unwrap(), 0, "it ended after {printed:?}");
    }
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    out.read_to_string(&mut printed).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!printed.contains("password"), "{printed}");
}

#[test]
fn it_opens_as_many_files_as_the_administrator_allows() {
    let data = tempfile::tempdir().unwrap();
    let mut child = Command::new("prlimit")
        .args(["--nofile=256:512", program().get_program().to_str().unwrap()])
        .args(["serve", "--camera-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let serves = lines.any(|line| line.contains("people: "));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(serves);
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().collect::<Vec<_>>(), ["512", "512", "files"]);
}

#[test]
fn people_are_served_by_https_with_our_own_certificate_or_theirs() {
    let curl = |serving: &Serving, ca: &Path| {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            "--cacert",
        ]);
        let output = curl.arg(ca).arg(&serving.people).output().expect("curl is installed");
        assert_eq!(text(&output.stdout), "200", "{}", text(&output.stderr));
    };
    let own = Serving::with(&["--web-self-signed"]);
    assert!(own.people.starts_with("https://"), "{}", own.people);
    let pki = own.data.path().join("pki");
    curl(&own, &pki.join("ca.pem"));
    let [certificate, key] =
        ["server.pem", "server-key.pem"].map(|file| pki.join(file).display().to_string());
    let theirs = Serving::with(&["--web-cert", &certificate, "--web-key", &key]);
    curl(&theirs, &pki.join("ca.pem"));
}

#[test]
fn help_of_serve_shows_how_it_is_called_and_what_its_exit_codes_mean() {
    let help = program().args(["serve", "--help"]).output().unwrap();
    let help = text(&help.stdout);
    assert!(help.starts_with("Usage: cloudtalker-server serve --data DIR [OPTION...]\n"), "{help}");
    let words: Vec<_> = help.split_whitespace().collect();
    let words = words.join(" ");
    for part in [
        "beyond loopback it needs --web-cert with --web-key, --web-self-signed or --behind-proxy",
        "Examples: cloudtalker-server serve --data /srv/cloudtalker --host cam.example.org cloudtalker-server serve",
        "Error codes: 0 asked to stop 1 the directory",
        "64 wrong usage",
    ] {
        assert!(words.contains(part), "{part:?} in {help}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    let help = program().args(["serve", "--help"]).output().unwrap();
    assert!(help.status.success() && text(&help.stdout).contains("--camera-addr"), "{help:?}");
    let version = program().arg("--version").output().unwrap();
    assert_eq!(text(&version.stdout), concat!("cloudtalker-server ", env!("CARGO_PKG_VERSION"), "\n"));
}
