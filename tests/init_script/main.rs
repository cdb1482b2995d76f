//! The init script as it lies in the package, run by BusyBox in a room of its own: a root directory, processes and
//! mounts that nobody else sees. It takes root, as the script does.
#![allow(clippy::unwrap_used)]

#[path = "../agent/harness/mod.rs"]
mod harness;

mod alpine;
mod buildroot;
mod camera;
mod network;
mod room;

use harness::{
    Said,
    image::{CONFIG, PIDFILE, PROGRAM, STATE_DIR, UID},
};
use room::Room;
use std::{fs, path::Path};

#[track_caller]
fn assert_said(said: &Said, code: i32, words: &str) {
    assert!(said.code == code && said.text.contains(words), "expected {code} and {words:?}: {said:#?}");
}

#[test]
fn it_starts_the_agent_as_its_user_with_the_users_groups() {
    let mut room = Room::new();
    assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
    let ids = room.ok(&format!("grep -E '^(Uid|Gid|Groups):' /proc/$(cat {PIDFILE})/status"));
    let ids: Vec<Vec<&str>> = ids.lines().map(|line| line.split_whitespace().collect()).collect();
    let [user, group, groups] = &ids[..] else { panic!("{ids:?}") };
    assert_eq!((&user[1..], &group[1..]), (&["990"; 4][..], &["991"; 4][..]));
    assert_eq!(groups, &["Groups:", "44", "991"], "video is 44");
    for dir in ["/run/cloudtalker", STATE_DIR] {
        assert_eq!(room.ok(&format!("stat -c %U:%G {dir}")), "cloudtalker:cloudtalker", "{dir}");
    }
    room.logs("started; the spool is empty");
}

#[test]
fn where_memory_runs_out_the_agent_goes_as_it_is_told() {
    let mut room = Room::new();
    // Less than that takes a privilege which a room may lack: the boot test has it.
    room.ok("echo CLOUDTALKER_OOM_SCORE_ADJ=200 >>/etc/default/cloudtalker");
    let said = room.init("start");
    assert_eq!((said.code, &*said.text), (0, "Starting cloudtalker: OK"));
    assert_eq!(room.ok(&format!("cat /proc/$(cat {PIDFILE})/oom_score_adj")), "200");
    assert_ne!(room.ok("cat /proc/self/oom_score_adj"), "200", "of others nothing was said");
}

#[test]
fn what_the_kernel_does_not_let_it_say_of_memory_is_no_failure() {
    let mut room = Room::new();
    room.ok("echo CLOUDTALKER_OOM_SCORE_ADJ=-9999 >>/etc/default/cloudtalker");
    let said = room.init("start");
    assert_eq!((said.code, &*said.text), (0, "Starting cloudtalker: OK"));
}

#[test]
fn inits_own_line_starts_the_agent_as_its_user_and_anew_and_waits_where_it_fails() {
    let mut room = Room::new();
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let line = readme.lines().find(|line| line.starts_with("::respawn:")).expect("the README has one");
    fs::write(room.at("/etc/inittab"), format!("{line}\n")).unwrap();
    room.ok("mkdir -p /run/cloudtalker /var/lib/cloudtalker; chown cloudtalker /run/cloudtalker /var/lib/cloudtalker");
    // Without a pidfile, start-stop-daemon would take this for the agent.
    room.ok(&format!("{PROGRAM} listen --cam_addr 127.0.0.1:0 >/dev/null 2>&1 &"));
    room.ok(&format!("echo 'max_rate = fast' >>{CONFIG}"));
    // init is the first process of its own numbers; the room sees all.
    room.ok("unshare -m -p -f sh -c 'mount -t proc none /proc && exec init' >/dev/null 2>&1 &");
    room.logs("max_rate: expected");
    room.calls("sleep 10");
    room.ok(&format!("sed -i /max_rate/d {CONFIG}"));
    let agent = format!("{PROGRAM} --config");
    let first = room.calls(&agent);
    let ids = room.ok(&format!("grep Uid: /proc/{first}/status"));
    assert!(ids.split_whitespace().skip(1).all(|id| id == UID.to_string()), "{ids}");
    room.ok(&format!("kill -9 {first}; while kill -0 {first} 2>/dev/null; do sleep 0.1; done"));
    room.calls(&agent);
    room.ok(&format!("until {PROGRAM} status >/dev/null 2>&1; do sleep 0.1; done"));
}

#[test]
fn each_shell_starts_reloads_restarts_and_stops_it() {
    for shell in ["ash", "dash"] {
        let mut room = Room::new();
        room.shell = shell;
        assert_said(&room.init("status"), 3, "cloudtalker does not run");
        assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
        let first = room.process();
        assert_said(&room.init("status"), 0, &format!("cloudtalker runs, process {first}"));
        assert_said(&room.init("reload"), 0, "Reloading cloudtalker: OK");
        room.logs("certificate, key and configuration are read again");
        assert_eq!(room.process(), first);
        assert_said(&room.init("restart"), 0, "Stopping cloudtalker: OK\nStarting cloudtalker: OK");
        assert_ne!(room.process(), first);
        assert_said(&room.init("stop"), 0, "Stopping cloudtalker: OK");
        assert_said(&room.init("status"), 3, "cloudtalker does not run");
        assert!(!room.has(PIDFILE));
        assert_eq!(room.agents(), 0);
    }
}

#[test]
fn a_second_start_starts_nothing_and_a_second_stop_stops_nothing() {
    let mut room = Room::new();
    assert_said(&room.init("start"), 0, "OK");
    let process = room.process();
    assert_said(&room.init("start"), 0, &format!("OK: it runs already, process {process}"));
    assert_eq!((room.agents(), room.process()), (1, process));
    assert_said(&room.init("stop"), 0, "OK");
    assert_said(&room.init("stop"), 0, "Stopping cloudtalker: OK: it was not running");
    assert_said(&room.init("reload"), 7, "Reloading cloudtalker: FAIL: it does not run");
    assert_said(&room.init("restart"), 0, "OK: it was not running\nStarting cloudtalker: OK");
}

#[test]
fn of_two_starts_at_once_one_starts_the_agent() {
    let mut room = Room::new();
    let script = room.script();
    let said = room
        .ok(&format!("{script} start >/tmp/one & {script} start >/tmp/other; wait; cat /tmp/one /tmp/other"));
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    let refused = "Starting cloudtalker: FAIL: another start is under way, process ";
    // Where the first was done before the other one looked.
    let is_late = "Starting cloudtalker: OK: it runs already, process ";
    let one_is = |words| lines.iter().any(|line| line.starts_with(words));
    assert!(lines.contains(&"Starting cloudtalker: OK") && (one_is(refused) || one_is(is_late)), "{said}");
    assert_eq!(room.agents(), 1);
    let process = room.process();
    assert_said(&room.init("status"), 0, &format!("cloudtalker runs, process {process}"));
}

#[test]
fn while_another_start_is_under_way_nothing_is_started() {
    let mut room = Room::new();
    let other = room.ok("sh -c 'sleep 1000; :' S92cloudtalker >/dev/null 2>&1 & echo $!");
    room.ok(&format!("ln -s {other} /var/run/cloudtalker.start"));
    let words = format!("Starting cloudtalker: FAIL: another start is under way, process {other}");
    assert_said(&room.init("start"), 1, &words);
    assert_eq!(room.agents(), 0);
    assert_eq!(room.ok("readlink /var/run/cloudtalker.start"), other, "it is the other's");
}

#[test]
fn a_start_that_was_killed_is_in_nobodys_way() {
    let others = ["sleep 0 & echo $!; wait", "sleep 1000 >/dev/null 2>&1 & echo $!"];
    for its_number in others {
        let mut room = Room::new();
        let number = room.ok(its_number);
        room.ok(&format!("ln -s {number} /var/run/cloudtalker.start"));
        // One that was about to take its place was killed, too.
        room.ok(&format!("ln -s {number} /var/run/cloudtalker.start.{number}"));
        assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
        assert!(room.run("ls /var/run | grep start").text.is_empty());
    }
}

#[test]
fn of_two_starts_that_find_a_killed_one_one_starts_the_agent() {
    for _ in 0..5 {
        let mut room = Room::new();
        let number = room.ok("sleep 0 & echo $!; wait");
        room.ok(&format!("ln -s {number} /var/run/cloudtalker.start"));
        let start = format!("{} start", room.script());
        room.ok(&format!("for number in 1 2 3 4; do {start} >/tmp/$number & done; wait"));
        let said = room.ok("cat /tmp/1 /tmp/2 /tmp/3 /tmp/4");
        assert_eq!(said.lines().filter(|line| *line == "Starting cloudtalker: OK").count(), 1, "{said}");
        assert_eq!(room.agents(), 1);
        let process = room.process();
        assert_said(&room.init("status"), 0, &format!("cloudtalker runs, process {process}"));
        assert!(room.run("ls /var/run | grep start").text.is_empty());
    }
}

#[test]
fn what_only_the_agent_can_know_is_told_in_its_words() {
    let mut room = Room::new();
    room.ok(&format!("mkdir -p /run/cloudtalker /var/lib/cloudtalker; {PROGRAM} --config {CONFIG} --input_sock /tmp/other >/dev/null 2>&1 &"));
    room.ok(&format!("until {PROGRAM} status --input_sock /tmp/other; do sleep 0.1; done"));
    let words =
        "Starting cloudtalker: FAIL: /var/lib/cloudtalker: another agent has this state directory; stop it, ";
    assert_said(&room.init("start"), 1, words);
    assert_eq!(room.agents(), 1);
    // This one says nothing.
    room.ok("umount -l /usr/bin/cloudtalker && echo '#!/bin/sh' >/usr/bin/cloudtalker && chmod 755 /usr/bin/cloudtalker");
    room.ok("echo '[ \"$1\" = --version ] && echo cloudtalker 1' >>/usr/bin/cloudtalker");
    let words = "Starting cloudtalker: FAIL: the system's log says why the agent ended";
    assert_said(&room.init("start"), 1, words);
}

#[test]
fn a_full_run_is_told_and_leaves_nothing_in_the_way() {
    let mut room = Room::new();
    room.ok("mount -t tmpfs -o nr_inodes=1 none /run");
    let words = "Starting cloudtalker: FAIL: /var/run/cloudtalker.start: No space left on device";
    assert_said(&room.init("start"), 1, words);
    room.ok("umount /run");
    assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
}

#[test]
fn an_agent_that_was_started_by_other_means_is_left_alone() {
    let mut room = Room::new();
    room.ok(&format!("mkdir -p /run/cloudtalker; {PROGRAM} --config {CONFIG} >/dev/null 2>&1 &"));
    room.ok(&format!("until {PROGRAM} status; do sleep 0.1; done"));
    assert_said(
        &room.init("start"),
        1,
        "FAIL: an agent answers that was started by other means; stop that one",
    );
    assert_eq!(room.agents(), 1);
    assert!(!room.has(PIDFILE));
}

#[test]
fn a_dead_agents_pidfile_is_taken_over() {
    let mut room = Room::new();
    assert_said(&room.init("start"), 0, "OK");
    let dead = room.process();
    room.ok(&format!("kill -9 {dead}; while kill -0 {dead} 2>/dev/null; do sleep 0.1; done"));
    assert_said(&room.init("status"), 1, "cloudtalker is dead, and /var/run/cloudtalker.pid is still there");
    assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
    assert_ne!(room.process(), dead);
}

#[test]
fn a_dead_agents_number_that_another_program_has_is_not_its_own() {
    let mut room = Room::new();
    let other = room.ok("sleep 1000 >/dev/null 2>&1 & echo $!");
    let is_there = format!("kill -0 {other}");
    room.ok(&format!("echo {other} >{PIDFILE}"));
    assert_said(&room.init("status"), 1, "is dead");
    assert_said(&room.init("stop"), 0, "OK: it was not running");
    room.ok(&is_there);
    room.ok(&format!("echo {other} >{PIDFILE}"));
    assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
    assert_ne!(room.process(), other);
    room.ok(&is_there);
}

#[test]
fn what_is_not_configured_is_told_and_nothing_runs() {
    let mut room = Room::new();
    let rows = [
        (format!("rm {CONFIG}"), "expected the agent's configuration at /etc/cloudtalker.conf"),
        (
            format!("chmod 600 {CONFIG}"),
            "expected a configuration file at /etc/cloudtalker.conf, but: Permission denied",
        ),
        (
            format!("echo 'max_rate = fast' >>{CONFIG}"),
            "/etc/cloudtalker.conf:5: max_rate: expected bytes a second, or K, M or G of them, as 200K, or a list by local time",
        ),
        (
            "rm /etc/cloudtalker/cert.pem".into(),
            "/etc/cloudtalker/cert.pem, but: No such file or directory (os error 2)",
        ),
        ("chown root /etc/cloudtalker/key.pem".into(), "/etc/cloudtalker/key.pem, but: Permission denied"),
        (
            "mkdir /run/cloudtalker; echo >/run/cloudtalker/input.sock".into(),
            "/run/cloudtalker/input.sock: expected a socket or nothing, but something else is there",
        ),
        (
            format!("echo 'watchdog = /dev/watchdog' >>{CONFIG}"),
            "--watchdog: expected a watchdog at /dev/watchdog, but there is no such device",
        ),
        (
            format!("echo 'metrics = /nowhere/metrics.prom' >>{CONFIG}"),
            "--metrics: expected to write /nowhere/metrics.prom, but: No such file",
        ),
        (r#"echo CLOUDTALKER_ARGS=--wings >/etc/default/cloudtalker"#.into(), "--wings"),
        (
            "sed -i /^cloudtalker/d /etc/passwd".into(),
            "there is no user cloudtalker; make it, or set CLOUDTALKER_USER",
        ),
    ];
    for (what, words) in rows {
        let mut room = std::mem::replace(&mut room, Room::new());
        room.ok(&what);
        let said = room.init("start");
        assert_said(&said, 6, words);
        assert!(
            said.text.starts_with("Starting cloudtalker: FAIL: ") && said.text.lines().count() == 1,
            "{said:?}"
        );
        assert_eq!(room.agents(), 0, "{what}");
        assert!(!room.has(PIDFILE), "{what}");
    }
}

#[test]
fn a_program_that_is_missing_or_another_machines_is_told() {
    let mut room = Room::new();
    room.ok(&format!("umount {PROGRAM} && rm {PROGRAM}"));
    assert_said(&room.init("start"), 5, "FAIL: expected the program at /usr/bin/cloudtalker");
    // An ELF file for a machine that nobody has.
    room.ok(&format!(
        r"printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\377\376\1\0\0\0' >{PROGRAM}; chmod 755 {PROGRAM}"
    ));
    let said = room.init("start");
    assert_said(&said, 5, "FAIL: /usr/bin/cloudtalker does not run on this machine (");
    assert!(!room.has(PIDFILE));
}

#[test]
fn it_takes_root() {
    let mut room = Room::new();
    let script = room.script();
    let said = room.run(&format!("su -s /bin/sh cloudtalker -c '{script} start'"));
    assert_said(&said, 4, "FAIL: it takes root to start the agent as its user");
}

#[test]
fn a_wrong_word_gets_the_right_ones() {
    let mut room = Room::new();
    for word in ["", "begin"] {
        let usage = "Usage: /etc/init.d/S92cloudtalker {start|stop|restart|reload|status}";
        assert_said(&room.init(word), 2, usage);
    }
}

#[test]
fn directories_that_are_missing_are_made() {
    let mut room = Room::new();
    room.ok("rmdir /var/lib");
    assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
    let modes = room.ok(&format!("stat -c '%U %a' {STATE_DIR} /run/cloudtalker"));
    assert_eq!(modes, "cloudtalker 750\ncloudtalker 755");
}

#[test]
fn a_state_directory_that_cant_be_made_is_told_and_commands_go_on() {
    let mut room = Room::new();
    room.ok("mount -t tmpfs -o ro none /var/lib");
    let said = room.init("start");
    assert_said(&said, 0, "/var/lib/cloudtalker': Read-only file system");
    assert!(said.text.ends_with("OK"), "{said:?}");
    room.logs("/var/lib/cloudtalker can't be made");
    assert_eq!(room.agents(), 1);
}

#[test]
fn an_agent_that_does_not_end_is_told() {
    let mut room = Room::new();
    assert_said(&room.init("start"), 0, "OK");
    let process = room.process();
    room.ok(&format!("kill -STOP {process}"));
    let words = format!("FAIL: process {process} was asked to end, and still runs after 6 s");
    let said = room.init("restart");
    assert_said(&said, 1, &words);
    assert!(!said.text.contains("Starting"), "{said:?}");
    assert_said(&room.init("status"), 0, "cloudtalker runs");
    room.ok(&format!("kill -CONT {process}"));
    assert_said(&room.init("stop"), 0, "OK");
}

#[test]
fn what_an_earlier_system_left_is_the_agents_under_its_new_number_too() {
    let mut room = Room::new();
    room.ok(&format!(
        "mkdir -p {STATE_DIR}/refused && cd {STATE_DIR}/refused && touch own linked /tmp/outside"
    ));
    room.ok(&format!("ln -s /tmp/outside {STATE_DIR}/refused/link"));
    // `linked` is a recording that the spool shares with a camera program of another user.
    room.ok(&format!(
        "chown -hR 4711:4712 {STATE_DIR} /tmp/outside && chown 4713 {STATE_DIR}/refused/linked"
    ));
    assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
    let owners = room.ok(&format!("cd {STATE_DIR} && stat -c '%U:%G' . refused refused/own refused/link"));
    assert_eq!(owners, ["cloudtalker:cloudtalker"; 4].join("\n"));
    assert_eq!(room.ok(&format!("stat -c %u {STATE_DIR}/refused/linked /tmp/outside")), "4713\n4711");
    assert!(room.has(&format!("{STATE_DIR}/spool")), "it can write there");
}

#[test]
fn what_root_has_in_a_new_state_directory_stays_roots() {
    let mut room = Room::new();
    room.ok(&format!("mkdir -p {STATE_DIR}/lost+found"));
    assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
    assert_eq!(room.ok(&format!("stat -c %U {STATE_DIR} {STATE_DIR}/lost+found")), "cloudtalker\nroot");
}

#[test]
fn the_defaults_file_names_what_the_script_has_anyway() {
    let mut room = Room::new();
    let set = "^CLOUDTALKER_.*=";
    let script =
        room.ok(&format!("sed 's/$DAEMON/cloudtalker/' /etc/init.d/S92cloudtalker | grep {set} | sort"));
    let defaults = room.ok(&format!("sed 's/^#//' /etc/default/cloudtalker | grep {set} | sort"));
    assert_eq!(script, defaults);
}

#[test]
fn the_defaults_file_changes_what_the_script_has() {
    let mut room = Room::new();
    room.ok("mkdir /data && mv /etc/cloudtalker.conf /data/agent.conf");
    room.ok("echo state_dir = /data/state >>/data/agent.conf");
    for line in [
        "CLOUDTALKER_CONFIG=/data/agent.conf",
        "CLOUDTALKER_STATE_DIR=/data/state",
        r#"CLOUDTALKER_ARGS=\"--log_level debug --input_sock /run/cloudtalker/other.sock\""#,
    ] {
        room.ok(&format!("echo {line} >>/etc/default/cloudtalker"));
    }
    assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
    assert!(room.has("/data/state/spool") && !room.has(STATE_DIR));
    let process = room.process();
    let arguments = room.ok(&format!("tr '\\0' ' ' </proc/{process}/cmdline"));
    assert!(
        arguments.contains("--config /data/agent.conf") && arguments.ends_with("/run/cloudtalker/other.sock"),
        "{arguments}"
    );
}

#[test]
fn a_dash_is_an_underscore_in_the_arguments_too() {
    let mut room = Room::new();
    room.ok(
        r#"echo CLOUDTALKER_ARGS=\"--input-sock=/run/cloudtalker/other.sock\" >>/etc/default/cloudtalker"#,
    );
    assert_said(&room.init("start"), 0, "Starting cloudtalker: OK");
}
