//! Boards that lack something, each with its cure.

use super::{Scene, told};
use crate::harness::{Identity, Server, free_port, has_words};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::fs;

#[test]
fn each_thing_that_is_wrong_is_told_with_its_cure() {
    let other = Server::stopped();
    let stranger = other.add("stranger");
    let rows: [(&str, Spoil, &[&str]); 29] = [
        (
            "a file in the camera socket's place",
            &|mut scene| {
                scene._camera = None;
                let _ = fs::remove_file(scene.board.cam_sock());
                fs::write(scene.board.cam_sock(), "precious").unwrap();
                scene
            },
            &[
                "camera        FAILED  nobody can be told commands at …; something that is no socket is there; is --cam_sock right?",
            ],
        ),
        (
            "a value that makes no sense",
            &|scene| scene.with(&["--min_free", "much"]),
            &["configuration FAILED  --min_free: expected …as 64M or 1G, but came \"much\""],
        ),
        (
            "no certificate",
            &|scene| {
                fs::remove_file(&scene.board.identity.cert).unwrap();
                scene
            },
            &[
                "certificate   FAILED  --cert: expected a certificate (PEM) in …; is it there, and this user's to read?",
            ],
        ),
        (
            "another camera's key",
            &|scene| {
                fs::copy(&stranger.key, &scene.board.identity.key).unwrap();
                scene
            },
            &["certificate   FAILED  the key in …: give the two that were made together"],
        ),
        (
            "a certificate that has expired",
            &|scene| {
                expire(&scene.board.identity);
                scene
            },
            &[
                "expiry        FAILED  this camera's certificate expired on 2026-01-01T00:00:00Z: …(`cloudtalker-server camera add`)",
                "websocket     FAILED  the server refuses this camera's certificate: …; is --cert the one that it issued?",
                "uploads       FAILED  https://…; is --cert the one that it issued?",
            ],
        ),
        (
            "a file in the input socket's place",
            &|scene| {
                fs::write(scene.board.input_sock(), "precious").unwrap();
                scene
            },
            &["input_sock    FAILED  /…but something else is there; give another --input_sock"],
        ),
        (
            "an input port that another program has",
            &|scene| {
                let port = scene.server.endpoint();
                let port = port.trim_end_matches('/').rsplit(':').next().unwrap();
                scene.with(&["--input_port", port])
            },
            &["input_port    FAILED  expected the agent at 127.0.0.1:…; is --input_port right?"],
        ),
        (
            "no list of files",
            &|scene| scene.with(&["--motion_file_list", "/nowhere/list"]),
            &[
                "motion_list   FAILED  expected a file or a named pipe at /nowhere/list that root may read, but: …; make it (mkfifo), or give another --motion_file_list",
            ],
        ),
        (
            "a pidfile where nothing can be made",
            &|scene| scene.with(&["--pidfile", "/proc/agent.pid"]),
            &[
                "pidfile       FAILED  --pidfile: expected to write /proc/agent.pid, but: …; is its directory there, and this user's?",
            ],
        ),
        (
            "something else in the pidfile's place",
            &|scene| {
                let file = scene.board.identity.ca.to_str().unwrap().to_owned();
                scene.with(&["--pidfile", &file])
            },
            &[
                "pidfile       FAILED  --pidfile: …holds no process's number is there; remove it, or give another --pidfile",
            ],
        ),
        (
            "a file in the state directory's place",
            &|scene| {
                let file = scene.disk.at("file");
                fs::write(&file, "").unwrap();
                Scene { board: scene.board.keeping_at(file), ..scene }
            },
            &[
                "state_dir     FAILED  expected a directory at …is there: remove it, or give another --state_dir",
            ],
        ),
        (
            "a state directory whose disk can't be written",
            &|scene| {
                scene.disk.fail("EROFS", 1);
                scene
            },
            &["state_dir     FAILED  /…; mount it for writing, or give another --state_dir"],
        ),
        (
            "a state directory in memory",
            &|scene| Scene { board: scene.board.keeping_at("/dev/shm/cloudtalker".into()), ..scene },
            &[
                "flash         FAILED  /dev/shm is on tmpfs, which a power cut empties: …give a --state_dir on flash or disk",
            ],
        ),
        (
            "a full disk",
            &|scene| scene.with(&["--min_free", "1000G"]),
            &["free_space    FAILED  …: remove something, or lower --min_free"],
        ),
        (
            "a quota that the disk does not have",
            &|scene| scene.with(&["--min_free", "1M", "--spool_max", "1000G"]),
            &[
                "quota         FAILED  1000.0 GiB (--spool_max) and 1.0 MiB that stay free (--min_free) do not fit into …B or less",
            ],
        ),
        (
            "a place for recordings that is not there",
            &|scene| scene.with(&["--capture_dir", "/nowhere/at/all"]),
            &[
                "capture_dir   FAILED  expected a directory at /nowhere/at/all, but: …; make it, or give another --capture_dir",
            ],
        ),
        (
            "no camera program",
            &|scene| Scene { _camera: None, ..scene },
            &[
                "camera        FAILED  nobody can be told commands at …; start the camera program, or `cloudtalker listen --cam_sock …`",
            ],
        ),
        (
            "a camera program at a name without an address",
            &|scene| scene.commanding("nowhere.invalid:9001").without_dns(),
            &[
                "camera        FAILED  nobody can be told commands at nowhere.invalid:9001: no address is found for \"nowhere.invalid\": …; is --cam_addr right, and does the board have a network?",
            ],
        ),
        (
            "a watchdog without a driver",
            &|scene| scene.with(&["--watchdog", "/dev/no-such-watchdog"]),
            &[
                "watchdog      FAILED  --watchdog: expected a watchdog at /dev/no-such-watchdog, but there is no such device…or leave --watchdog out",
            ],
        ),
        (
            "a place for numbers that is not there",
            &|scene| scene.with(&["--metrics", "/nowhere/at/all.prom"]),
            &[
                "metrics       FAILED  --metrics: expected to write /nowhere/at/all.prom, but: …; is its directory there, and this user's?",
            ],
        ),
        (
            "a name without an address",
            &|scene| scene.calling("nowhere.invalid/").without_dns(),
            &[
                "dns           FAILED  no address is found for \"nowhere.invalid\": …; is --endpoint right, and does the board have a network?",
            ],
        ),
        (
            "a name that DNS does not know",
            &|scene| scene.calling("server.local/").without_dns(),
            &[
                "dns           FAILED  no address is found for \"server.local\": …; names in .local are none of DNS', which is all that a static program asks: give an address, or another name",
            ],
        ),
        (
            "a server that does not run",
            &|scene| scene.calling(&format!("127.0.0.1:{}/", free_port())),
            &[
                "tcp           FAILED  127.0.0.1:…; does the board have a network, does the server run, and is nothing between?",
            ],
        ),
        (
            "a server of another authority",
            &|scene| {
                fs::copy(&stranger.ca, &scene.board.identity.ca).unwrap();
                scene
            },
            &[
                "tls           FAILED  the server's certificate is signed by no authority that this board trusts: …and --ca its authority's certificate?",
            ],
        ),
        (
            "a camera that was removed",
            &|scene| {
                scene.server.remove("porch");
                scene
            },
            &[
                "websocket     FAILED  expected a WebSocket, but the server answered 403 Forbidden: …; is --cert the one that it issued, and the camera still known there?",
                "uploads       FAILED  https://…: is --cert the one that this server issued?",
            ],
        ),
        (
            "a camera of another authority",
            &|scene| scene.being(&stranger),
            &[
                "websocket     FAILED  the server refuses this camera's certificate: another authority signed it…; is --cert the one that it issued?",
                "uploads       FAILED  https://…; is --cert the one that it issued?",
            ],
        ),
        (
            "uploads to what takes none",
            &|scene| {
                let elsewhere = format!("https://{}elsewhere", scene.server.endpoint());
                scene.with(&["--upload_url", &elsewhere])
            },
            &["uploads       FAILED  https://…: is --upload_url right, or --endpoint without it?"],
        ),
        (
            "uploads to a server that does not run",
            &|scene| scene.with(&["--upload_url", &format!("https://127.0.0.1:{}/files/", free_port())]),
            &["uploads       FAILED  https://127.0.0.1:…; does the server run, and is nothing between?"],
        ),
        (
            "a server that hangs",
            &|scene| {
                scene.server.freeze();
                scene
            },
            &[
                "tls           FAILED  no answer within 10 s; …is --endpoint's port right, and is nothing between?",
            ],
        ),
    ];
    for (what, spoil, expected) in rows {
        let scene = spoil(Scene::new());
        let checked = scene.board.check(&[]);
        let lines = told(&checked);
        assert_eq!((checked.status.code(), lines.len()), (Some(1), 22), "{what}: {lines:#?}");
        let failed: Vec<&String> = lines.iter().filter(|line| line.contains(" FAILED ")).collect();
        let is_so = failed.iter().zip(expected).all(|(line, expected)| {
            let (begin, cure) = expected.split_once('…').expect("each has a cure");
            line.starts_with(begin) && has_words(&line[begin.len()..], cure) && line.ends_with(last(cure))
        });
        assert!(is_so && failed.len() == expected.len(), "{what}: expected {expected:#?}: {lines:#?}");
        scene.server.thaw();
        scene.disk.recover();
    }
}

/// The words after which nothing comes.
fn last(cure: &str) -> &str {
    cure.rsplit('…').next().expect("a text has an end")
}

/// Makes something wrong.
type Spoil<'a> = &'a dyn Fn(Scene) -> Scene;

/// Makes it a certificate that nobody signed, and that ended in the first days of 2026.
fn expire(identity: &Identity) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2026, 1, 1));
    let key = KeyPair::generate().unwrap();
    fs::write(&identity.cert, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&identity.key, key.serialize_pem()).unwrap();
}
