//! The agent under OpenRC: Debian's, in a container, with our init script. The cloud is the real server, outside.
//!
//! `make test-openrc` runs it.
#![allow(clippy::unwrap_used)]

#[path = "../agent/harness/mod.rs"]
mod harness;

#[path = "../systemd/container.rs"]
mod container;

use container::Container;
use harness::{Segment, Server, TempDir, file_names, program_file};
use std::{env, fs, path::Path};

const TIME: u64 = 1_529_842_538;
const SERVICE: &str = "rc-service cloudtalker";

#[test]
fn a_service_is_started_as_its_user_reloaded_started_again_and_stopped() {
    let mut life = Life::begin();
    life.is_not_started_without_its_configuration();
    life.is_not_started_where_no_start_would_do();
    life.is_started_as_its_user_with_the_users_groups();
    life.reloads();
    life.is_started_again_when_it_is_killed();
    life.is_stopped();
}

struct Life {
    container: Container,
    server: Server,
    /// What the container sees, too.
    dir: TempDir,
}

impl Life {
    /// A system with OpenRC beside its own init, as in a container that is never booted by it.
    fn begin() -> Life {
        let (dir, server) = (TempDir::new(), Server::start());
        let packages =
            Path::new(&env::var("TOOLS").expect("the Makefile says where tools are")).join("openrc");
        for name in file_names(&packages).iter().filter(|name| name.ends_with(".deb")) {
            fs::copy(packages.join(name), dir.at(name)).unwrap();
        }
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/openrc");
        fs::copy(ours.join("cloudtalker"), dir.at("script")).unwrap();
        fs::copy(ours.join("cloudtalker.confd"), dir.at("confd")).unwrap();
        fs::copy(program_file(), dir.at("cloudtalker")).unwrap();
        server.add("porch").copy_to(dir.path());
        let mut life = Life { container: Container::boot("systemd", dir.path()), server, dir };
        let here = life.dir.path().display().to_string();
        // dpkg would put directories in the place of the links that lead into /usr.
        life.ok(&format!("for deb in {here}/*.deb; do dpkg-deb --fsys-tarfile $deb | tar -x --keep-directory-symlink -C / || exit; done"));
        life.ok(
            "touch /etc/insserv.conf; mkdir -p /run/openrc; touch /run/openrc/softlevel; rc-status --all",
        );
        life.ok("useradd --system --user-group --groups video cloudtalker");
        life.ok(&format!(
            "install {here}/script /etc/init.d/cloudtalker; install {here}/cloudtalker /usr/bin/"
        ));
        life.ok(&format!("mkdir /etc/conf.d; install -m 0644 {here}/confd /etc/conf.d/cloudtalker"));
        life.ok("sed -i 's/^#respawn_delay=.*/respawn_delay=1/' /etc/conf.d/cloudtalker");
        life
    }

    fn is_not_started_without_its_configuration(&mut self) {
        let said = self.container.console.run(&format!("{SERVICE} start"));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(
            said.text.contains("expected the agent's configuration at /etc/cloudtalker.conf"),
            "{said:?}"
        );
        let here = self.dir.path().display().to_string();
        self.ok("install -d -m 0750 -g cloudtalker /etc/cloudtalker");
        self.ok(&format!("install -m 0640 -g cloudtalker {here}/*.pem /etc/cloudtalker/"));
        let endpoint = self.server.endpoint();
        let lines = [
            format!("endpoint = {endpoint}"),
            "cert = /etc/cloudtalker/cert.pem".to_owned(),
            "key = /etc/cloudtalker/key.pem".to_owned(),
            "ca = /etc/cloudtalker/ca.pem".to_owned(),
        ];
        fs::write(self.dir.at("conf"), format!("{}\n", lines.join("\n"))).unwrap();
        self.ok(&format!("install -m 0644 {here}/conf /etc/cloudtalker.conf"));
    }

    fn is_not_started_where_no_start_would_do(&mut self) {
        let rows = [
            (
                "mv /etc/cloudtalker/cert.pem /tmp",
                "mv /tmp/cert.pem /etc/cloudtalker",
                "--cert: expected a certificate (PEM) in /etc/cloudtalker/cert.pem, but: No such file",
            ),
            (
                "chgrp root /etc/cloudtalker/key.pem",
                "chgrp cloudtalker /etc/cloudtalker/key.pem",
                "/etc/cloudtalker/key.pem, but: Permission denied",
            ),
            (
                "echo max_rate = fast >>/etc/cloudtalker.conf",
                "sed -i /max_rate/d /etc/cloudtalker.conf",
                "/etc/cloudtalker.conf:5: max_rate: expected bytes a second",
            ),
            (
                "echo 'cloudtalker_args=\"--log_level debug --wings\"' >>/etc/conf.d/cloudtalker",
                "sed -i /wings/d /etc/conf.d/cloudtalker",
                "--wings",
            ),
            (
                // An ELF file for a machine that nobody has.
                r"mv /usr/bin/cloudtalker /tmp && printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\377\376\1\0\0\0' >/usr/bin/cloudtalker && chmod 755 /usr/bin/cloudtalker",
                "mv /tmp/cloudtalker /usr/bin",
                "/usr/bin/cloudtalker does not run on this machine (",
            ),
        ];
        for (spoil, mend, words) in rows {
            self.ok(spoil);
            let said = self.container.console.run(&format!("{SERVICE} start"));
            assert!(said.code == 1 && said.text.contains(words), "{spoil}: {said:?}");
            assert_eq!(self.container.console.run(&format!("{SERVICE} status")).code, 3, "{spoil}");
            self.ok(mend);
        }
    }

    fn is_started_as_its_user_with_the_users_groups(&mut self) {
        self.ok(&format!("{SERVICE} start && {SERVICE} status"));
        self.answers();
        let groups = self.ok("id --groups cloudtalker | tr ' ' '\\n' | sort");
        let process = self.process();
        let found = self.ok(&format!(
            "sed -n 's/^Groups://p' /proc/{process}/status | tr -s '\\t ' '\\n' | sed '/^$/d' | sort"
        ));
        assert_eq!(found, groups);
        assert_eq!(
            self.ok(&format!("stat -c %U:%G /proc/{process} /run/cloudtalker /var/lib/cloudtalker")),
            ["cloudtalker:cloudtalker"; 3].join("\n")
        );
        self.sends(TIME);
    }

    fn reloads(&mut self) {
        let process = self.process();
        self.ok(&format!("{SERVICE} reload"));
        self.ok("until journalctl | grep 'are read again'; do sleep 0.1; done");
        assert_eq!(self.process(), process);
    }

    fn is_started_again_when_it_is_killed(&mut self) {
        let supervisor = self.ok("tr '\\0' ' ' </proc/$(cat /run/supervise-cloudtalker.pid)/cmdline");
        assert!(supervisor.contains(" --respawn-delay 1 "), "{supervisor}");
        let process = self.process();
        self.ok(&format!("kill -9 {process}"));
        self.ok(&format!("until pidof cloudtalker | grep -vx {process}; do sleep 0.1; done"));
        self.answers();
        self.sends(TIME + 1);
    }

    fn is_stopped(&mut self) {
        self.ok(&format!("{SERVICE} stop"));
        assert_eq!(self.container.console.run("pidof cloudtalker").code, 1);
        assert_eq!(self.container.console.run(&format!("{SERVICE} status")).code, 3);
    }

    fn sends(&mut self, time: u64) {
        let segments = [Segment::write(self.dir.at(&format!("pir.{time}.0.mp4")), 0, 50_000)];
        self.ok(&format!("cloudtalker send {}", segments[0].path()));
        self.server.captures_when("the capture is complete", |captures| {
            captures.iter().any(|capture| capture.is("pir", time, &segments))
        });
    }

    fn answers(&mut self) {
        self.ok("until cloudtalker status >/dev/null 2>&1; do sleep 0.1; done");
    }

    fn process(&mut self) -> String {
        self.ok("pidof cloudtalker")
    }

    #[track_caller]
    fn ok(&mut self, command: &str) -> String {
        self.container.console.ok(command)
    }
}
