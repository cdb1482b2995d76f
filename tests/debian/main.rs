//! The Debian packages on a real Debian with systemd, in a container: installed, used, upgraded, removed and purged. Camera
//! and cloud are in it both, by their packages alone.
//!
//! `make test-deb` makes the packages, in dist/ and, with a higher version, in target/deb/next/, and runs it.
#![allow(clippy::unwrap_used)]

#[path = "../agent/harness/mod.rs"]
mod harness;

#[path = "../systemd/container.rs"]
mod container;

use container::Container;
use harness::{Capture, Segment, TempDir, file_names, write_program};
use std::{env, fs, path::Path, process::Command};

const TIME: u64 = 1_529_842_538;
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Of the packages to upgrade to.
const NEXT: &str = "99.0-1";
/// Of their configuration, too.
const MORE: &str = "# More is known by now.";
const UNITS: [&str; 3] = ["cloudtalker-server.service", "cloudtalker.service", "cloudtalker.socket"];
const DATA: &str = "--data /var/lib/cloudtalker-server";

#[test]
fn packages_are_installed_used_upgraded_removed_and_purged() {
    let mut life = Life::begin();
    life.the_server_serves_once_it_is_installed();
    life.the_agent_waits_for_its_certificate();
    life.a_capture_arrives(TIME);
    life.is_upgraded_and_keeps_what_was_configured();
    life.a_capture_arrives(TIME + 1);
    life.leaves_what_is_the_owners_when_it_is_removed();
    life.leaves_nothing_when_it_is_purged();
}

#[test]
fn each_architecture_has_the_same_files_and_a_program_for_its_machines() {
    let files = |deb: &str| {
        let listed = said(Command::new("dpkg-deb").args(["--contents", deb]));
        // The compressed list of components differs in its size.
        let name = |line: &str| line.split_whitespace().last().map(str::to_owned);
        listed.lines().filter_map(name).collect::<Vec<_>>()
    };
    let expected = files(&package("cloudtalker", "amd64"));
    assert!(expected.iter().any(|file| file == "./usr/bin/cloudtalker"), "{expected:?}");
    for (architecture, machine) in
        [("amd64", "Advanced Micro Devices X86-64"), ("arm64", "AArch64"), ("armhf", "ARM")]
    {
        let (deb, dir) = (package("cloudtalker", architecture), TempDir::new());
        assert_eq!(files(&deb), expected, "{architecture}");
        assert_eq!(
            said(Command::new("dpkg-deb").args(["--field", &deb, "Architecture"])).trim(),
            architecture
        );
        said(Command::new("dpkg-deb").args(["--extract", &deb]).arg(dir.path()));
        let header = said(Command::new("readelf").arg("--file-header").arg(dir.at("usr/bin/cloudtalker")));
        assert!(header.lines().any(|line| line.ends_with(&format!(" {machine}"))), "{header}");
    }
}

#[test]
fn an_older_cpu_that_has_the_same_name_is_refused() {
    let dir = TempDir::new();
    said(Command::new("dpkg-deb").args(["--control", &package("cloudtalker", "armhf")]).arg(dir.path()));
    let code_on = |machine: &str| {
        write_program(&dir.at("uname"), &format!("#!/bin/sh\necho {machine}\n"));
        let path = format!("{}:{}", dir.path().display(), env::var("PATH").unwrap());
        let mut preinst = Command::new(dir.at("preinst"));
        preinst.arg("install").env("PATH", path).env("DPKG_MAINTSCRIPT_ARCH", "armhf");
        preinst.status().unwrap().code()
    };
    assert_eq!(code_on("armv6l"), Some(1));
    assert_eq!(code_on("armv7l"), Some(0));
    assert_eq!(code_on("aarch64"), Some(0));
}

struct Life {
    container: Container,
    /// What the container sees, too.
    dir: TempDir,
}

impl Life {
    /// A system to which somebody has copied the packages.
    fn begin() -> Life {
        let dir = TempDir::new();
        for (from, to) in [("dist", "now"), ("target/deb/next", "next")] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(from);
            fs::create_dir(dir.at(to)).unwrap();
            for name in file_names(&from).iter().filter(|name| name.ends_with("_amd64.deb")) {
                fs::copy(from.join(name), dir.at(to).join(name)).unwrap();
            }
        }
        say_more_in_the_configuration(&dir.at("next"), &dir.at("work"));
        Life { container: Container::boot("systemd", dir.path()), dir }
    }

    fn the_server_serves_once_it_is_installed(&mut self) {
        self.install("now", "cloudtalker-server");
        self.is("active", "cloudtalker-server.service");
        self.ok(&format!("until cloudtalker-server camera list {DATA}; do sleep 0.1; done"));
        assert_eq!(
            self.ok("stat -c '%U %G %a' /var/lib/cloudtalker-server"),
            "cloudtalker-server cloudtalker-server 750"
        );
        let log = self.ok("journalctl --unit cloudtalker-server");
        assert!(!log.contains("password"), "{log}");
        // In tenths: below 2 is what is wanted.
        self.ok("systemd-analyze security --threshold=19 cloudtalker-server.service");
    }

    fn the_agent_waits_for_its_certificate(&mut self) {
        self.install("now", "cloudtalker");
        self.ok("getent passwd cloudtalker");
        for unit in ["cloudtalker.service", "cloudtalker.socket"] {
            self.is("inactive", unit);
            assert_eq!(self.ok(&format!("systemctl is-enabled {unit}")), "enabled");
        }
        assert_eq!(self.ok("systemctl list-units --failed --no-legend 'cloudtalker*'"), "");
        assert_eq!(self.ok("stat -c '%U %G %a' /etc/cloudtalker"), "root cloudtalker 750");

        self.ok(&format!("cloudtalker-server camera add porch {DATA} --out /root/porch"));
        for (from, to) in [("porch.pem", "cert.pem"), ("porch-key.pem", "key.pem"), ("ca.pem", "ca.pem")] {
            self.ok(&format!("install -m 0640 -g cloudtalker /root/porch/{from} /etc/cloudtalker/{to}"));
        }
        self.ok("sed -i 's/^#endpoint = .*/endpoint = 127.0.0.1:8443/' /etc/cloudtalker.conf");
        self.ok("systemctl start cloudtalker.socket cloudtalker.service");
    }

    /// In the middle of an upload.
    fn is_upgraded_and_keeps_what_was_configured(&mut self) {
        let (before, socket) = (self.processes(), self.socket());
        self.ok(&format!("kill -STOP {}", before[0]));
        let segments = self.hands_over(TIME + 2);
        self.install("next", "cloudtalker");
        self.ok(&format!("kill -CONT {}", before[0]));
        self.install("next", "cloudtalker-server");
        let versions = "dpkg-query --show --showformat '${Version}\\n' cloudtalker cloudtalker-server";
        assert_eq!(self.ok(versions), [NEXT; 2].join("\n"));
        self.arrives(TIME + 2, &segments);
        for unit in UNITS {
            self.is("active", unit);
        }
        assert!(
            self.processes().iter().zip(&before).all(|(now, before)| now != before),
            "both are started anew"
        );
        assert_eq!(self.socket(), socket, "what comes meanwhile waits in it");
        assert_eq!(self.ok("grep ^endpoint /etc/cloudtalker.conf"), "endpoint = 127.0.0.1:8443");
        assert_eq!(self.ok("tail -n 1 /etc/cloudtalker.conf.dpkg-dist"), MORE);
    }

    fn leaves_what_is_the_owners_when_it_is_removed(&mut self) {
        self.ok("dpkg --remove cloudtalker cloudtalker-server");
        for unit in UNITS {
            self.is("inactive", unit);
        }
        self.ok("ls /etc/cloudtalker.conf /etc/cloudtalker/key.pem /var/lib/cloudtalker/spool");
        self.ok("ls /etc/default/cloudtalker-server /var/lib/cloudtalker-server");
    }

    /// But a partition that was mounted for it.
    fn leaves_nothing_when_it_is_purged(&mut self) {
        self.ok("rm -r /var/lib/cloudtalker/* && mount -t tmpfs none /var/lib/cloudtalker");
        self.ok("touch /var/lib/cloudtalker/video");
        self.ok("mv /var/lib/cloudtalker-server /data && ln -s /data /var/lib/cloudtalker-server");
        self.ok("mount --bind /etc/cloudtalker /etc/cloudtalker");
        self.ok("dpkg --purge cloudtalker cloudtalker-server");
        assert_eq!(self.ok("ls /var/lib/cloudtalker"), "");
        self.ok("umount /var/lib/cloudtalker && rmdir /var/lib/cloudtalker && rmdir /data");
        self.ok("umount /etc/cloudtalker && rmdir /etc/cloudtalker");
        let left = self.ok(
            "find / -xdev -name '*cloudtalker*' -not -path '/proc/*' -not -path '/tmp/*' -not -path '/run/*'",
        );
        assert_eq!(left, "");
    }

    fn a_capture_arrives(&mut self, time: u64) {
        let segments = self.hands_over(time);
        self.arrives(time, &segments);
    }

    /// By somebody of the camera's group.
    fn hands_over(&mut self, time: u64) -> [Segment; 1] {
        let name = format!("pir.{time}.0.mp4");
        let segments = [Segment::write(self.dir.at(&name), 0, 50_000)];
        let send = format!("cloudtalker send {}", segments[0].path());
        self.ok(&format!("setpriv --reuid nobody --regid nogroup --groups video {send}"));
        segments
    }

    fn arrives(&mut self, time: u64, segments: &[Segment; 1]) {
        let list = format!("cloudtalker-server captures list --json {DATA}");
        harness::eventually(
            "the capture arrives",
            || serde_json::from_str::<Vec<Capture>>(&self.ok(&list)).unwrap(),
            |captures| captures.iter().filter(|capture| capture.is("pir", time, segments)).count() == 1,
        );
    }

    fn install(&mut self, which: &str, package: &str) {
        let here = self.dir.at(which).display().to_string();
        let quietly = "DEBIAN_FRONTEND=noninteractive dpkg --force-confold";
        self.ok(&format!("{quietly} --install {here}/{package}_*.deb"));
    }

    #[track_caller]
    fn is(&mut self, state: &str, unit: &str) {
        assert_eq!(self.ok(&format!("systemctl show --value -p ActiveState {unit}")), state, "{unit}");
    }

    /// Those of server and agent.
    fn processes(&mut self) -> Vec<String> {
        let units = ["cloudtalker-server.service", "cloudtalker.service"];
        units.map(|unit| self.ok(&format!("systemctl show --value -p MainPID {unit}"))).into()
    }

    /// Since when it is open.
    fn socket(&mut self) -> String {
        self.ok("systemctl show --value -p ActiveEnterTimestampMonotonic cloudtalker.socket")
    }

    #[track_caller]
    fn ok(&mut self, command: &str) -> String {
        self.container.console.ok(command)
    }
}

/// A newer agent may bring a newer configuration, which is the owner's to take.
fn say_more_in_the_configuration(packages: &Path, work: &Path) {
    let name = file_names(packages).into_iter().find(|name| name.starts_with("cloudtalker_")).unwrap();
    let deb = packages.join(name);
    said(Command::new("dpkg-deb").arg("--raw-extract").args([&deb, work]));
    let configuration = work.join("etc/cloudtalker.conf");
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, format!("{text}{MORE}\n")).unwrap();
    said(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).args([work, &deb]));
}

/// Where `make deb` puts it.
fn package(name: &str, architecture: &str) -> String {
    format!("{}/dist/{name}_{VERSION}-1_{architecture}.deb", env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
