//! The agent as a service of a real systemd: Debian's, in a container, with our units; of Debian 12's, and of a newer one with
//! the drop-in for it. The cloud is the real server, outside.
//!
//! `make test-systemd` runs it.
#![allow(clippy::unwrap_used)]

#[path = "../agent/harness/mod.rs"]
mod harness;

mod container;

use container::Container;
use harness::{Segment, Server, TempDir, program_file};
use std::{fs, path::Path};

const TIME: u64 = 1_529_842_538;
const CAMERA: &str = "/var/lib/camera";
const SPOOL: &str = "/var/lib/cloudtalker/spool";
const SOCKET: &str = "/run/cloudtalker/input.sock";
/// Files of dist/systemd, and where they belong.
const FILES: [(&str, &str); 5] = [
    ("cloudtalker.service", "/etc/systemd/system/"),
    ("cloudtalker.socket", "/etc/systemd/system/"),
    ("cloudtalker-listen.service", "/etc/systemd/system/"),
    ("cloudtalker.sysusers", "/usr/lib/sysusers.d/cloudtalker.conf"),
    ("cloudtalker.tmpfiles", "/usr/lib/tmpfiles.d/cloudtalker.conf"),
];

#[test]
fn a_service_takes_links_sends_reloads_restarts_and_is_restarted_when_it_hangs() {
    let mut life = Life::begin("systemd");
    life.waits_for_its_configuration();
    life.is_used_and_disturbed();
}

/// By what systemd has from 253 on.
#[test]
fn a_newer_systemd_waits_until_everything_is_read_again() {
    let mut life = Life::begin("systemd-newer");
    life.waits_for_its_configuration();
    let here = life.dir.path().display().to_string();
    let place = "/etc/systemd/system/cloudtalker.service.d";
    life.ok(&format!("install -d {place} && install -m 0644 {here}/notify-reload.conf {place}/"));
    life.ok("systemctl daemon-reload && systemd-analyze verify cloudtalker.service");
    assert_eq!(life.property("Type"), "notify-reload");
    life.is_used_and_disturbed();
}

/// Of the documentation's units, as they stand there.
#[test]
fn a_room_takes_its_lines_from_a_pipe_which_outlives_it() {
    let (dir, project) = (TempDir::new(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let text = fs::read_to_string(project.join("docs/janus/README.md")).unwrap();
    for (unit, line) in [("room.socket", "ListenFIFO="), ("room.service", "StandardInput=socket")] {
        let block = text.split("```\n").find(|block| block.contains(line)).unwrap();
        fs::write(dir.at(unit), block).unwrap();
    }
    fs::write(dir.at("room.json"), r#"{"port": 0, "janusURL": "http://127.0.0.1:9/janus"}"#).unwrap();
    fs::copy(Server::program_file(), dir.at("cloudtalker-server")).unwrap();
    let console = &mut Container::boot("systemd", dir.path()).console;
    let here = dir.path().display();
    console.ok(&format!(
        "install {here}/cloudtalker-server /usr/bin/ && install -m 0600 {here}/room.json /etc/"
    ));
    console.ok(&format!("install -m 0644 {here}/room.socket {here}/room.service /etc/systemd/system/"));
    console.ok("systemctl daemon-reload && systemd-analyze verify room.service");
    console.ok("systemctl start room.socket room.service");
    assert_eq!(console.ok("stat -c '%U %a %F' /run/room"), "root 600 fifo");
    for word in ["dance", "sing"] {
        console.ok(&format!("echo {word} >/run/room"));
        console.ok(&format!(
            "until journalctl -u room.service | grep 'but came \"{word}\"'; do sleep 0.1; done"
        ));
        console.ok("systemctl restart room.service");
    }
}

/// With the drop-ins of the documentation, as they stand there, and those of the Debian package.
#[test]
fn an_images_configuration_and_key_may_come_from_a_data_partition() {
    let mut life = Life::begin("systemd");
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(project.join("docs/image-builders.md")).unwrap();
    let block = text.split("```\n").find(|block| block.starts_with("[Unit]\n")).unwrap();
    fs::write(life.dir.at("data.conf"), block).unwrap();
    fs::copy(project.join("dist/debian/certificate.conf"), life.dir.at("certificate.conf")).unwrap();
    let here = life.dir.path().display().to_string();
    for unit in ["service", "socket"] {
        let of_package = format!("/usr/lib/systemd/system/cloudtalker.{unit}.d");
        let of_image = format!("/etc/systemd/system/cloudtalker.{unit}.d");
        life.ok(&format!("install -D -m 0644 -t {of_package} {here}/certificate.conf"));
        life.ok(&format!("install -D -m 0644 -t {of_image} {here}/data.conf"));
    }
    let mount = format!("[Mount]\nWhat={here}/partition\nWhere=/data\nType=none\nOptions=bind\n");
    fs::write(life.dir.at("data.mount"), mount).unwrap();
    life.ok(&format!("install -m 0644 {here}/data.mount /etc/systemd/system/ && systemctl daemon-reload"));
    life.ok(&format!("mkdir -p {here}/partition/identity /data"));
    life.ok("ln -s /data/identity/cloudtalker.conf /etc/cloudtalker.conf");
    life.ok("systemctl start cloudtalker.service");
    assert_eq!(life.property("ConditionResult"), "no", "it has no key yet");
    life.ok(&format!("cd {here} && install -m 0640 -g cloudtalker *.pem partition/identity/"));
    life.ok("systemctl start cloudtalker.service");
    assert_eq!(life.property("ConditionResult"), "no", "it has no configuration yet");

    life.ok(&format!("install -d -m 0750 -o cloudtalker -g cloudtalker {here}/partition/cloudtalker"));
    let endpoint = life.server.endpoint();
    let files = ["cert", "key", "ca"].map(|name| format!("{name} = /data/identity/{name}.pem\n")).concat();
    let configuration = format!("endpoint = {endpoint}\nstate_dir = /data/cloudtalker\n{files}");
    fs::write(life.dir.at("partition/identity/cloudtalker.conf"), configuration).unwrap();
    life.ok("systemctl stop data.mount && systemctl start cloudtalker.service");
    let is_active = "systemctl is-active data.mount cloudtalker.socket cloudtalker.service";
    assert_eq!(life.ok(is_active), ["active"; 3].join("\n"));
    life.ok("test -d /data/cloudtalker/spool && cloudtalker status");
}

struct Life {
    container: Container,
    server: Server,
    /// What the container sees, too.
    dir: TempDir,
}

impl Life {
    fn is_used_and_disturbed(&mut self) {
        self.is_woken_by_a_capture_of_the_cameras_group();
        self.has_no_more_rights_than_it_needs();
        self.reloads();
        self.takes_what_came_while_it_was_stopped();
        self.records_what_the_cloud_asks_for();
        self.is_restarted_when_it_hangs();
        self.does_not_spin_where_it_can_not_start();
    }

    /// A system into which a person has put our files.
    fn begin(debian: &str) -> Life {
        let (dir, server) = (TempDir::new(), Server::start());
        let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/systemd");
        for (file, _) in FILES {
            fs::copy(units.join(file), dir.at(file)).unwrap();
        }
        let drop_in = "notify-reload.conf";
        fs::copy(units.join("cloudtalker.service.d").join(drop_in), dir.at(drop_in)).unwrap();
        fs::copy(program_file(), dir.at("cloudtalker")).unwrap();
        server.add("porch").copy_to(dir.path());
        let mut life = Life { container: Container::boot(debian, dir.path()), server, dir };
        let here = life.dir.path().display().to_string();
        for (file, place) in FILES {
            life.ok(&format!("install -m 0644 {here}/{file} {place}"));
        }
        life.ok(&format!("install {here}/cloudtalker /usr/bin/"));
        life.ok("systemd-sysusers cloudtalker.conf && systemd-tmpfiles --create cloudtalker.conf && systemctl daemon-reload");
        life.ok("systemd-analyze verify /etc/systemd/system/cloudtalker*");
        life.ok(&format!("install -d -m 2775 -o nobody -g video {CAMERA}"));
        life
    }

    fn waits_for_its_configuration(&mut self) {
        for unit in ["cloudtalker.service", "cloudtalker.socket"] {
            self.ok(&format!("systemctl start {unit}"));
            for (name, value) in [("ActiveState", "inactive"), ("ConditionResult", "no")] {
                assert_eq!(self.ok(&format!("systemctl show --value -p {name} {unit}")), value, "{unit}");
            }
        }
        let here = self.dir.path().display().to_string();
        self.ok("install -d -m 0750 -g cloudtalker /etc/cloudtalker");
        self.ok(&format!("install -m 0640 -g cloudtalker {here}/*.pem /etc/cloudtalker/"));
        let endpoint = self.server.endpoint();
        let lines = [
            format!("endpoint = {endpoint}"),
            "cert = /etc/cloudtalker/cert.pem".to_owned(),
            "key = /etc/cloudtalker/key.pem".to_owned(),
            "ca = /etc/cloudtalker/ca.pem".to_owned(),
            format!("capture_dir = {CAMERA}"),
            "cam_sock = /run/cloudtalker/camera.sock".to_owned(),
        ];
        self.ok(&format!(
            "printf '%s\\n' {} >/etc/cloudtalker.conf",
            lines.map(|line| format!("'{line}'")).join(" ")
        ));
    }

    /// However long somebody waits at its socket; and that is open again once it can start.
    fn does_not_spin_where_it_can_not_start(&mut self) {
        self.ok("systemctl stop cloudtalker-listen.service cloudtalker.service");
        self.ok("mv /etc/cloudtalker/key.pem /root/ && systemctl start cloudtalker.socket");
        let starts = "journalctl --sync; journalctl -u cloudtalker.service -o cat | grep -c '^Starting '";
        let before: u32 = self.ok(starts).parse().unwrap();
        self.records(TIME + 3);
        let send = format!("cloudtalker send {CAMERA}/pir.{}.0.mp4", TIME + 3);
        self.ok(&format!("! setpriv --reuid nobody --regid nogroup --groups video {send}"));
        let result = "systemctl show --value -p Result cloudtalker.socket";
        self.ok(&format!("until [ \"$({result})\" = trigger-limit-hit ]; do sleep 0.1; done"));
        let more = self.ok(starts).parse::<u32>().unwrap() - before;
        assert!((1..=10).contains(&more), "{more} starts");
        self.ok("mv /root/key.pem /etc/cloudtalker/ && systemctl start cloudtalker.service");
        assert_eq!(self.property("ActiveState"), "active");
        assert_eq!(self.ok(&format!("stat -c '%U %G %a' {SOCKET}")), "cloudtalker video 660");
    }

    fn is_woken_by_a_capture_of_the_cameras_group(&mut self) {
        self.ok("systemctl enable --now cloudtalker.socket");
        assert_eq!(self.ok(&format!("stat -c '%U %G %a' {SOCKET}")), "cloudtalker video 660");
        self.server.freeze();
        let segment = self.records(TIME);
        self.hands_over(TIME);
        assert_eq!(self.property("ActiveState"), "active");
        assert_eq!(self.ok(&format!("stat -c '%U %G %a' {SOCKET}")), "cloudtalker video 660", "as it was");
        let links = self.ok(&format!("stat -c %h {CAMERA}/pir.{TIME}.0.mp4 {SPOOL}/{TIME}.pir/0.mp4"));
        assert_eq!(links, "2\n2", "the spool has a link, not a copy");
        self.server.thaw();
        self.reaches_the_cloud(TIME, segment);
    }

    fn has_no_more_rights_than_it_needs(&mut self) {
        let process = self.property("MainPID");
        let status = self.ok(&format!("grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/{process}/status"));
        let status: Vec<&str> = status.split_whitespace().collect();
        assert_eq!(status, ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]);
        assert_eq!(self.ok(&format!("stat -c '%U %G' /proc/{process}")), "cloudtalker cloudtalker");
        // In tenths: below 2 is what is wanted.
        self.ok("systemd-analyze security --threshold=19 cloudtalker.service");
    }

    fn reloads(&mut self) {
        self.ok("echo 'log_level = debug' >>/etc/cloudtalker.conf");
        self.ok("systemctl reload cloudtalker.service");
        let is_read = "journalctl --sync; journalctl -u cloudtalker | grep 'are read again'";
        // Of an older systemd a reload is a signal, which nobody waits for.
        if self.property("Type") != "notify-reload" {
            self.ok(&format!("until ({is_read}); do sleep 0.1; done"));
        }
        self.ok(is_read);
        assert_eq!(self.property("NRestarts"), "0");
    }

    fn takes_what_came_while_it_was_stopped(&mut self) {
        self.ok("systemctl stop cloudtalker.socket");
        assert_eq!(self.property("ActiveState"), "inactive", "it would be deaf");
        self.ok("systemctl start cloudtalker.service");
        assert_eq!(self.ok(&format!("stat -c '%U %G %a' {SOCKET}")), "cloudtalker video 660");
        self.ok("systemctl stop cloudtalker.service");
        assert_eq!(self.property("ActiveState"), "inactive");
        let segment = self.records(TIME + 1);
        self.hands_over(TIME + 1);
        self.reaches_the_cloud(TIME + 1, segment);
    }

    /// By our recording script, with a stand-in for the Raspberry Pi's program.
    fn records_what_the_cloud_asks_for(&mut self) {
        let segments = [0, 1].map(|seg_no| Segment::write(self.dir.at("recording"), seg_no, 50_000));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rpicam-vid.sh");
        fs::copy(script, self.dir.at("on-command")).unwrap();
        let program = "#!/bin/sh\nfor file; do :; done\ncp /usr/share/recording \"$file\"\n";
        fs::write(self.dir.at("rpicam-vid"), program).unwrap();
        let here = self.dir.path().display().to_string();
        self.ok(&format!("install {here}/rpicam-vid /usr/bin/"));
        self.ok(&format!("install -m 0644 {here}/recording /usr/share/"));
        self.ok(&format!("install -D {here}/on-command /usr/libexec/cloudtalker/on-command"));
        let directory = format!("{CAMERA}/asked");
        let settings = format!("CAPTURE_DIR=\"{directory}\"\\nCAPTURE_SEGMENTS=2\\n");
        self.ok(&format!("printf '{settings}' >/etc/default/cloudtalker-listen"));
        self.ok("systemctl start cloudtalker-listen.service");
        self.ok("until [ -S /run/cloudtalker/camera.sock ]; do sleep 0.1; done");
        self.server.tell("porch", "capture");
        self.server.captures_when("what was asked for is complete", |captures| {
            captures.iter().any(|capture| capture.is("request", capture.trigger_timestamp, &segments))
        });
        let owners = self.ok(&format!("stat -c '%U %G' {directory} {directory}/*"));
        assert_eq!(owners, ["cloudtalker cloudtalker"; 3].join("\n"));
    }

    fn is_restarted_when_it_hangs(&mut self) {
        self.ok("install -d /run/systemd/system/cloudtalker.service.d");
        let soon = "[Service]\\nWatchdogSec=5\\nTimeoutAbortSec=1\\nRestartSec=0\\n";
        self.ok(&format!("printf '{soon}' >/run/systemd/system/cloudtalker.service.d/soon.conf"));
        self.ok("systemctl daemon-reload && systemctl restart cloudtalker.service");
        let process = self.property("MainPID");
        self.ok(&format!("kill -STOP {process}"));
        self.ok("until [ \"$(systemctl show --value -p NRestarts cloudtalker)\" -ge 1 ]; do sleep 0.1; done");
        self.ok("until systemctl is-active cloudtalker; do sleep 0.1; done");
        assert_ne!(self.property("MainPID"), process);
        let segment = self.records(TIME + 2);
        self.hands_over(TIME + 2);
        self.reaches_the_cloud(TIME + 2, segment);
        self.ok("rm /run/systemd/system/cloudtalker.service.d/soon.conf && systemctl daemon-reload");
    }

    /// A finished file of the camera program's, whose group may write it.
    fn records(&mut self, time: u64) -> Segment {
        let name = format!("pir.{time}.0.mp4");
        let segment = Segment::write(self.dir.at(&name), 0, 50_000);
        self.ok(&format!("install -m 0664 -o nobody -g video {} {CAMERA}/", segment.path()));
        segment
    }

    /// As a user who has nothing but the camera's group. It wakes the agent where it is not there.
    fn hands_over(&mut self, time: u64) {
        let send = format!("cloudtalker send {CAMERA}/pir.{time}.0.mp4");
        self.ok(&format!("setpriv --reuid nobody --regid nogroup --groups video {send}"));
    }

    fn reaches_the_cloud(&self, time: u64, segment: Segment) {
        let segments = [segment];
        self.server.captures_when("the capture is complete", |captures| {
            captures.iter().any(|capture| capture.is("pir", time, &segments))
        });
    }

    fn property(&mut self, name: &str) -> String {
        self.ok(&format!("systemctl show --value -p {name} cloudtalker.service"))
    }

    #[track_caller]
    fn ok(&mut self, command: &str) -> String {
        self.container.console.ok(command)
    }
}
