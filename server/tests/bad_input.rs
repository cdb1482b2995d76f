//! What a person can get wrong about the server's arguments and files, and what the program says then.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use cloudtalker_server::pki::Pki;
use common::{program, text};
use std::{fs, net::TcpListener, path::Path, process::Output};

/// Exit status of arguments that can't be meant (EX_USAGE).
const USAGE: i32 = 64;

fn run(arguments: &[&str], data: &Path) -> Output {
    program().args(arguments).arg("--data").arg(data).output().unwrap()
}

/// It says this alone, in one line, and ends with this status.
#[track_caller]
fn says(output: &Output, status: i32, message: &str) {
    let said = text(&output.stderr);
    let message = format!("cloudtalker-server: {message}\n");
    assert_eq!((said.as_ref(), output.status.code()), (message.as_str(), Some(status)));
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_made() {
    let address = "expected ADDRESS:PORT, as in 127.0.0.1:8080, but came";
    let bytes = "expected bytes above 0, perhaps with K, M, G or T: 64G, but came";
    let name = "expected 1 to 64 letters, digits, '-', '_' or '.', the first a letter or digit, but came";
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("never"), dir.path().join("out").display().to_string());
    let rows: &[(&[&str], &str)] = &[
        (&["serve", "--web-addr", "here"], &format!("--web-addr: {address} \"here\"")),
        (&["serve", "--camera-addr", "8443"], &format!("--camera-addr: {address} \"8443\"")),
        (
            &["serve", "--web-addr", "0.0.0.0:0"],
            "--web-addr 0.0.0.0:0 is beyond loopback, where plain HTTP would show passwords and videos to others: give \
             --web-cert and --web-key, --web-self-signed, or --behind-proxy",
        ),
        (&["serve", "--web-cert", "c.pem"], "--web-cert needs --web-key"),
        (&["serve", "--web-key", "k.pem"], "--web-key needs --web-cert"),
        (
            &["serve", "--web-self-signed", "--behind-proxy"],
            "--web-cert, --web-self-signed and --behind-proxy exclude each other",
        ),
        (
            &["serve", "--host", "a b"],
            "--host: expected a name or an address without a port, but came \"a b\"",
        ),
        (&["serve", "--host", ""], "--host: expected a name or an address without a port, but came \"\""),
        (&["serve", "--camera-quota", "much"], &format!("--camera-quota: {bytes} \"much\"")),
        (&["serve", "--camera-quota", "-1"], &format!("--camera-quota: {bytes} \"-1\"")),
        (&["serve", "--camera-quota", "0"], &format!("--camera-quota: {bytes} \"0\"")),
        (&["serve", "--camera-quota", "99999999T"], &format!("--camera-quota: {bytes} \"99999999T\"")),
        (
            &["serve", "--log-level", "loud"],
            "--log-level: expected error, warn, info, debug or trace, but came \"loud\"",
        ),
        (&["serve", "--data", "elsewhere"], "--data is given twice: leave one out"),
        (&["serve", "--colour", "red"], "unknown argument \"--colour\"; see --help"),
        (&["serve", "now"], "unknown argument \"now\"; see --help"),
        (&["camera", "list", "lst"], "unknown argument \"lst\"; see --help"),
        (&["camera", "add"], "missing: name, --out; see --help"),
        (&["camera", "add", "po rch", "--out", &out], &format!("name: {name} \"po rch\"")),
        (&["camera", "add", "../porch", "--out", &out], &format!("name: {name} \"../porch\"")),
        (&["serve", "--camera", "", "--out", &out], &format!("--camera: {name} \"\"")),
        (&["camera", "command", "porch"], "missing: command; see --help"),
        (
            &["camera", "command", "porch", "dance"],
            "command: expected arm, disarm or capture, but came \"dance\"",
        ),
        (
            &["captures", "export", "x", "video.mp4"],
            "id: expected a capture's number, as `captures list` prints it, but came \"x\"",
        ),
    ];
    for (arguments, message) in rows {
        says(&run(arguments, &data), USAGE, message);
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "neither data nor files");
}

#[test]
fn a_word_in_a_commands_place_is_answered_with_the_commands_and_the_near_one() {
    let top = "expected one of the commands serve, room, camera, captures, password, but came";
    let camera = "expected one of the commands add, list, remove, command, but came";
    let captures = "expected one of the commands list, export, but came";
    for (arguments, message) in [
        (["serv"].as_slice(), format!("{top} \"serv\": did you mean serve?")),
        (&["sevre", "--data", "d"], format!("{top} \"sevre\": did you mean serve?")),
        (&["capture", "list"], format!("{top} \"capture\": did you mean captures?")),
        (&["sing"], format!("{top} \"sing\"")),
        (&[""], format!("{top} \"\"")),
        (&["camera", "lst", "--data", "d"], format!("{camera} \"lst\": did you mean list?")),
        (&["camera", "delete"], format!("{camera} \"delete\"")),
        (&["captures", "exprt", "1"], format!("{captures} \"exprt\": did you mean export?")),
        (&["serve", "serve"], "unknown argument \"serve\"; see --help".into()),
        (&["camera", "list", "list"], "unknown argument \"list\"; see --help".into()),
        (&["--serve"], "unknown argument \"--serve\"; see --help".into()),
    ] {
        says(&program().args(arguments).output().unwrap(), USAGE, &message);
    }
}

#[test]
fn arguments_that_are_missing_are_named() {
    for (arguments, message) in [
        ([].as_slice(), "expected a command: serve, room, camera, captures, password"),
        (&["camera"], "expected a command: add, list, remove, command"),
        (&["serve"], "missing: --data; see --help"),
        (&["serve", "--data"], "--data: expected a value, but none came"),
        (&["serve", "--data="], "--data: expected a directory, but came \"\""),
    ] {
        says(&program().args(arguments).output().unwrap(), USAGE, message);
    }
}

#[test]
fn what_is_wrong_with_a_file_or_a_port_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let [file, below, missing, data] = ["file", "file/data", "missing", "data"].map(at);
    fs::write(&file, "no certificate").unwrap();
    let [(certificate, _), (_, key)] = [(); 2].map(|()| certified(dir.path()));
    let serve = ["serve", "--camera-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"];
    let with = |certificate, key| [&serve[..], &["--web-cert", certificate, "--web-key", key]].concat();
    let no_file = "--data: expected a directory, with no file in its place or above it, but came";
    let rows: &[(Vec<&str>, &str, String)] = &[
        (serve.to_vec(), &file, format!("{no_file} {file:?}")),
        (vec!["camera", "list"], &below, format!("{no_file} {below:?}")),
        (with(&missing, &file), &data, format!("{missing}: No such file or directory (os error 2)")),
        (
            with(&file, &file),
            &data,
            format!("{file}: expected a certificate or key in PEM: it holds no certificate"),
        ),
        (
            with(&certificate, &key),
            &data,
            format!(
                "--web-cert {certificate} and --web-key {key} don't fit: keys may not be consistent: KeyMismatch"
            ),
        ),
    ];
    for (arguments, data, message) in rows {
        says(&run(arguments, Path::new(data)), USAGE, message);
    }
    assert!(!Path::new(&data).exists(), "nothing is made");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--camera-addr", &taken, "--web-addr", "127.0.0.1:0"], Path::new(&data));
    says(
        &output,
        1,
        &format!("the port for cameras, {taken}, can't be had: Address already in use (os error 98)"),
    );
}

#[test]
fn a_directory_that_cant_be_made_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let why = |option: &str| {
        format!(
            "the directory /proc/x can't be made: No such file or directory (os error 2); see that this user may make it, \
             or mend {option}"
        )
    };
    let serve = ["serve", "--camera-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"];
    for data in ["/proc/x", "/proc/x/y"] {
        says(&run(&serve, Path::new(data)), 1, &why("--data"));
    }
    let data = dir.path().join("data");
    says(&run(&["camera", "add", "porch", "--out", "/proc/x/y"], &data), 1, &why("--out"));
    assert!(!data.exists(), "nothing is made");
}

/// A certificate and its key, in a directory of their own below this one.
fn certified(dir: &Path) -> (String, String) {
    let dir = tempfile::tempdir_in(dir).unwrap().keep();
    let issued = Pki::open(&dir).unwrap().camera("porch").unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| dir.join(name));
    fs::write(&certificate, issued.certificate).unwrap();
    fs::write(&key, issued.key).unwrap();
    (certificate.display().to_string(), key.display().to_string())
}
