//! A board from its first boot on: Debian's kernel in an emulator, 64 MB, a clock at 1970, our program, our init script
//! and our user, and a disk. The cloud is the real server, on the emulator's host.
//!
//! `make test-boot` runs it, for each architecture, and prints what a board would want to know.
#![allow(clippy::unwrap_used)]

#[path = "../agent/harness/mod.rs"]
mod harness;

mod arch;
mod backlog;
mod machine;
mod measures;

use arch::Arch;
use backlog::BACKLOG;
use harness::{
    Server, Stored, eventually, file_names,
    image::{CONFIG, INIT, PIDFILE},
};
use machine::{Disk, Image, Machine};
use measures::{Measures, seconds};
use std::fs;

/// The host, as the emulator's network has it.
const HOST: &str = "10.0.2.2";
/// Of the first capture; the next ones are seconds later.
const TIME: u64 = 1_529_842_538;
/// Of the capture that is cut off.
const CUT: u64 = TIME + 10;
/// Where the camera records: on the disk of the spool, so that a segment costs no copy.
const CAMERA: &str = "/var/lib/camera";
const SPOOL: &str = "/var/lib/cloudtalker/spool";

#[test]
fn an_armv7_board_boots_and_what_a_power_cut_interrupts_completes_once() {
    lives(Arch::Armv7);
}

#[test]
fn an_aarch64_board_boots_and_what_a_power_cut_interrupts_completes_once() {
    lives(Arch::Aarch64);
}

fn lives(arch: Arch) {
    let mut life = Life::begin(arch);
    life.runs_as_its_user();
    life.hears_the_cloud();
    life.uploads_a_capture();
    life.rests();
    life.wears_the_disk();
    life.obeys_its_script();
    life.says_what_is_wrong();
    life.carries_a_backlog();
    let owed = life.uploads_slowly();
    let mut life = life.boots_again_after_a_cut(&owed);
    life.completes(&owed);
    life.measures.tell(arch);
    life.hangs_and_is_rebooted();
}

/// A segment on its way.
struct Owed {
    segment: Stored,
    /// The server's name for its upload.
    upload: String,
}

/// An upload that has not come to its end.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Arriving {
    bytes: u64,
    upload: String,
}

/// A board and its cloud, from its first boot on.
struct Life {
    machine: Machine,
    disk: Disk,
    image: Image,
    server: Server,
    measures: Measures,
}

impl Life {
    fn begin(arch: Arch) -> Life {
        let server = Server::with(&["--host", HOST]);
        let endpoint = server.endpoint();
        let (_, port) = endpoint.split_once(':').expect("it has a port");
        let more = "cam_sock = /run/cloudtalker/camera.sock\nmin_free = 8M\n";
        let image = Image::build(arch, &server.add("porch"), &format!("{HOST}:{port}"), more);
        let disk = Disk::make(96);
        let machine = image.boot(&disk, &backlog::disk());
        let mut measures = Measures::default();
        measures.add("from the kernel's begin to init's", seconds(machine.init_began));
        measures
            .add("from init's begin to accepting", seconds(machine.init_was_through - machine.init_began));
        Life { machine, disk, image, server, measures }
    }

    fn runs_as_its_user(&mut self) {
        let Life { machine, .. } = self;
        assert!(machine.log().lines().any(|line| line.trim_end().ends_with("Starting cloudtalker: OK")));
        assert_eq!(machine.ok(&format!("cat /proc/$(cat {PIDFILE})/oom_score_adj")), "-500");
        let ids = machine.ok(&format!("grep -E '^(Uid|Groups):' /proc/$(cat {PIDFILE})/status"));
        let ids: Vec<&str> = ids.split_whitespace().collect();
        assert_eq!(ids, ["Uid:", "990", "990", "990", "990", "Groups:", "44", "991"], "44 is video");
        self.is_connected();
    }

    fn hears_the_cloud(&mut self) {
        let Life { machine, server, .. } = self;
        machine.ok(&format!(
            "start-stop-daemon --start --background --make-pidfile --pidfile /run/listen.pid --chuid cloudtalker \
             --exec /usr/bin/cloudtalker -- listen --config {CONFIG} --exec 'logger -t camera'"
        ));
        server.tell("porch", "arm");
        machine.says("camera: arm");
    }

    fn uploads_a_capture(&mut self) {
        let segments = [self.records(TIME, 0, 200)];
        self.hands_over(TIME, 1);
        self.reaches_the_cloud(TIME, &segments);
        self.owes_nothing();
    }

    /// Nothing happens but a ping, and maybe a heartbeat.
    fn rests(&mut self) {
        const SECONDS: u64 = 60;
        let before = self.machine.written();
        self.machine.ok(&format!("sleep {SECONDS}"));
        let written = self.machine.written() - before;
        let what = format!("written to the disk within {SECONDS} s without anything to do");
        self.measures.add(&what, format!("{written}")).aim("0", written.disk == 0);
        self.takes_memory("with nothing to do");
    }

    fn wears_the_disk(&mut self) {
        const COUNT: u32 = 20;
        let time = TIME + 1;
        let segments: Vec<Stored> = (0..COUNT).map(|number| self.records(time, number, 50)).collect();
        let before = self.machine.written();
        self.hands_over(time, COUNT);
        self.owes_nothing();
        let written = self.machine.written() - before;
        self.reaches_the_cloud(time, &segments);
        let what = format!(
            "written to the disk for each of {COUNT} segments, from its being named to its being forgotten"
        );
        self.measures.add(&what, format!("{}", written / u64::from(COUNT)));
    }

    fn obeys_its_script(&mut self) {
        let Life { machine, .. } = self;
        let process = machine.ok(&format!("cat {PIDFILE}"));
        assert!(
            machine
                .ok(&format!("{INIT} start"))
                .ends_with(&format!("OK: it runs already, process {process}"))
        );
        assert_eq!(machine.ok(&format!("{INIT} reload")), "Reloading cloudtalker: OK");
        machine.says("certificate, key and configuration are read again");
        assert_eq!(machine.ok(&format!("{INIT} status")), format!("cloudtalker runs, process {process}"));
        assert_eq!(
            machine.ok(&format!("{INIT} restart")),
            "Stopping cloudtalker: OK\nStarting cloudtalker: OK"
        );
        assert_ne!(machine.ok(&format!("cat {PIDFILE}")), process);
        assert_eq!(machine.ok(&format!("{INIT} stop")), "Stopping cloudtalker: OK");
        assert_eq!(machine.run(&format!("{INIT} status")).code, 3);
        assert_eq!(machine.ok(&format!("{INIT} start")), "Starting cloudtalker: OK");
    }

    fn says_what_is_wrong(&mut self) {
        let time = TIME + 2;
        let segments = [self.records(time, 0, 50)];
        let Life { machine, .. } = self;
        // The flash is full.
        machine.run("dd if=/dev/zero of=/var/lib/full bs=1M");
        let said = machine.run(&send(time, 1));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.text.contains("the disk is full: ") && said.text.contains("(--min_free)"), "{said:?}");
        machine.ok(&format!("rm /var/lib/full; {}", send(time, 1)));
        // The agent is dead, and its pidfile is there.
        machine.ok(&format!("kill -9 $(cat {PIDFILE})"));
        assert_eq!(machine.ok(&format!("{INIT} start")), "Starting cloudtalker: OK");
        machine.ok(&format!("{INIT} stop"));
        // The certificate is missing.
        machine.ok("mv /etc/cloudtalker/cert.pem /tmp/away");
        let said = machine.run(&format!("{INIT} start"));
        assert!(
            said.code == 6 && said.text.contains("/etc/cloudtalker/cert.pem, but: No such file"),
            "{said:?}"
        );
        machine.ok("mv /tmp/away /etc/cloudtalker/cert.pem");
        // The program is another machine's.
        machine.ok("mv /usr/bin/cloudtalker /tmp/away; mv /usr/bin/another-machines /usr/bin/cloudtalker");
        let said = machine.run(&format!("{INIT} start"));
        assert!(said.code == 5 && said.text.contains("does not run on this machine ("), "{said:?}");
        machine.ok("mv /tmp/away /usr/bin/cloudtalker");
        assert_eq!(machine.ok(&format!("{INIT} start")), "Starting cloudtalker: OK");
        self.reaches_the_cloud(time, &segments);
    }

    /// 10,000 segments wait on another disk, and go as slowly as can be.
    fn carries_a_backlog(&mut self) {
        let Life { machine, .. } = self;
        machine.ok("mount -t ext4 -o noatime /dev/vdb /mnt");
        machine.ok(&format!(
            "(cat {CONFIG}; echo state_dir = /mnt/state; echo max_rate = 1K) >/etc/backlog.conf"
        ));
        machine.ok("(echo CLOUDTALKER_CONFIG=/etc/backlog.conf; echo CLOUDTALKER_STATE_DIR=/mnt/state) >/etc/default/cloudtalker");
        let before = machine.uptime();
        machine.ok(&format!("{INIT} restart"));
        // The kernel may have ended it for want of memory.
        machine.ok(&format!(
            "while kill -0 $(cat {PIDFILE}) && ! cloudtalker status >/dev/null 2>&1; do sleep 0.1; done; \
             cloudtalker status"
        ));
        let owing = format!("with {BACKLOG} segments not sent yet");
        machine.has_said(&owing);
        let after = machine.uptime() - before;
        self.is_connected();
        let what = format!("from stopping to accepting, with {BACKLOG} segments spooled");
        self.measures.add(&what, seconds(after));
        self.takes_memory(&format!("with {BACKLOG} segments spooled"));
        let Life { machine, .. } = self;
        machine.ok(&format!("{INIT} stop; rm /etc/default/cloudtalker; umount /mnt; {INIT} start"));
    }

    /// Gives a segment that is on its way.
    fn uploads_slowly(&mut self) -> Owed {
        self.machine.ok(&format!("echo max_rate = 100K >>{CONFIG}; {INIT} reload"));
        self.machine.says("certificate, key and configuration are read again");
        let segment = self.records(CUT, 0, 3_000);
        self.hands_over(CUT, 1);
        let arriving = || arriving(&self.server);
        let Arriving { upload, .. } =
            eventually("a part has arrived", arriving, |arriving| arriving.bytes > 400_000);
        self.takes_memory("while it uploads");
        // The agent notes a long upload at once and never syncs the note: half a minute later the kernel does.
        self.machine.ok("sync");
        Owed { segment, upload }
    }

    /// On the same disk.
    fn boots_again_after_a_cut(self, owed: &Owed) -> Life {
        self.machine.cut_off();
        let Life { disk, image, server, measures, .. } = self;
        let Arriving { upload, bytes } = arriving(&server);
        assert!(
            upload == owed.upload && bytes < owed.segment.bytes,
            "{bytes} bytes of {upload} have arrived"
        );
        let machine = image.boot(&disk, &backlog::disk());
        Life { machine, disk, image, server, measures }
    }

    fn completes(&mut self, Owed { segment, upload }: &Owed) {
        let Life { machine, .. } = self;
        assert!(machine.log().lines().any(|line| line.trim_end().ends_with("Starting cloudtalker: OK")));
        let owing = "started; still owed to the cloud: 1 capture, with 1 segment not sent yet";
        machine.has_said(owing);
        self.owes_nothing();
        self.reaches_the_cloud(CUT, std::slice::from_ref(segment));
        let copies = self.server.blobs().into_iter().filter(|blob| blob.sha256 == segment.sha256).count();
        assert_eq!(copies, 1);
        let stored = format!("segment 0 of {} bytes is stored ({upload})", segment.bytes);
        assert!(self.server.log().contains(&stored), "another upload was made than the one that was cut off");
    }

    /// By the kernel's watchdog, and only then.
    fn hangs_and_is_rebooted(self) {
        // In which the agent feeds it three times, or a little less on a busy machine.
        const LIMIT_S: u32 = 8;
        let Life { mut machine, .. } = self;
        machine.ok(&format!("insmod /lib/softdog.ko soft_margin={LIMIT_S}"));
        machine.ok(&format!("chown cloudtalker /dev/watchdog; echo watchdog = /dev/watchdog >>{CONFIG}"));
        assert!(machine.ok(&format!("{INIT} restart")).ends_with("Starting cloudtalker: OK"));
        machine.ok(&format!("sleep {}", 2 * LIMIT_S));
        machine.ok(&format!("{INIT} stop; sleep {}", 2 * LIMIT_S));
        assert_eq!(machine.ok(&format!("{INIT} start")), "Starting cloudtalker: OK");
        machine.ok(&format!("kill -STOP $(cat {PIDFILE})"));
        machine.reboots();
    }

    /// A segment of the camera's, of so many KiB without a pattern.
    fn records(&mut self, time: u64, seg_no: u32, kilobytes: u32) -> Stored {
        let path = segment(time, seg_no);
        let printed = self.machine.ok(&format!(
            "mkdir -p {CAMERA} && dd if=/dev/urandom of={path} bs=1024 count={kilobytes} 2>/dev/null && \
             chown -R cloudtalker {CAMERA} && sha256sum {path}"
        ));
        let sha256 = printed.split(' ').next().expect("there is always one part").to_owned();
        Stored { seg_no, bytes: u64::from(kilobytes) * 1024, sha256 }
    }

    /// As a camera program's hook does. They are safe afterwards.
    fn hands_over(&mut self, time: u64, count: u32) {
        self.machine.ok(&send(time, count));
    }

    fn is_connected(&mut self) {
        self.machine.ok(r#"until cloudtalker status --json | grep -q '"state":"up"'; do sleep 0.1; done"#);
    }

    fn owes_nothing(&mut self) {
        self.machine.ok(&format!("while [ -n \"$(ls {SPOOL})\" ]; do sleep 0.1; done"));
    }

    /// Waits until the cloud has this capture, once and whole.
    fn reaches_the_cloud(&self, time: u64, segments: &[Stored]) {
        let of_time = || {
            let captures = self.server.captures().into_iter();
            captures.filter(|capture| capture.trigger_timestamp == time).collect::<Vec<_>>()
        };
        let captures = eventually("the capture is at the server", of_time, |captures| {
            captures.iter().map(|capture| capture.segments.len()).sum::<usize>() >= segments.len()
        });
        assert!(matches!(&captures[..], [capture] if capture.segments == segments), "{captures:#?}");
    }

    fn takes_memory(&mut self, when: &str) {
        let [resident, own] = ["Rss", "Anonymous"].map(|name| self.machine.memory(name));
        let figure = format!("{resident} kB, of which {own} kB are no file's");
        self.measures.add(&format!("resident {when}"), figure).aim("4096 kB at most", resident <= 4096);
    }
}

/// The upload that has got furthest, and how far.
fn arriving(server: &Server) -> Arriving {
    let uploads = server.dir.at("data/uploads");
    let arriving = |upload: String| {
        let bytes = fs::metadata(uploads.join(&upload)).ok()?.len();
        Some(Arriving { bytes, upload })
    };
    file_names(&uploads).into_iter().filter_map(arriving).max().unwrap_or_default()
}

fn segment(time: u64, seg_no: u32) -> String {
    format!("{CAMERA}/pir.{time}.{seg_no}.mp4")
}

fn send(time: u64, count: u32) -> String {
    let segments = (0..count).map(|seg_no| segment(time, seg_no));
    format!("cloudtalker send {}", segments.collect::<Vec<_>>().join(" "))
}
