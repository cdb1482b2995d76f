//! A room for the init script.

use super::harness::{
    Console, LISTENER, Process, Said, Server, TempDir, eventually,
    image::{self, INIT, PIDFILE, PROGRAM, UID, within},
};
use std::{
    fs,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::Command,
};

/// Mounts what belongs to the running system, and becomes the room's first process. `$0` is the room's directory, `$1`
/// the agent's program; the system's libraries are for a program that is not static.
const ENTER: &str = r#"set -e
mount --bind "$0" "$0"
mount -t proc none "$0/proc"
mount -t tmpfs none "$0/dev"
for device in null urandom; do touch "$0/dev/$device"; mount --bind "/dev/$device" "$0/dev/$device"; done
for dir in /lib /lib64 /usr/lib /usr/lib64; do
	if [ -L "$dir" ]; then ln -s "$(readlink "$dir")" "$0$dir"
	elif [ -d "$dir" ]; then mkdir -p "$0$dir"; mount --bind "$dir" "$0$dir"
	fi
done
touch "$0/usr/bin/cloudtalker"
mount --bind "$1" "$0/usr/bin/cloudtalker"
exec chroot "$0" /bin/sh -c "mkdir -p /var/log; syslogd -O /var/log/messages; until [ -S /dev/log ]; do sleep 0.1; done; $2""#;

pub struct Room {
    /// Ends before its directory goes.
    console: Console,
    dir: TempDir,
    /// What runs the init script.
    pub shell: &'static str,
    /// Its cloud, which is never there.
    _server: Server,
}

impl Room {
    /// With all that the agent needs, as an image's builder would leave it.
    pub fn new() -> Room {
        let (dir, server) = (TempDir::new(), Server::stopped());
        image::lay_out(dir.path(), &found("busybox"), &server.add("porch"), &server.endpoint());
        ok(Command::new("chown").arg("-R").arg(UID.to_string()).arg(dir.at("etc/cloudtalker")));
        image::install(&found("dash"), &dir.at("bin/dash"));
        ok(Command::new("chroot").arg(dir.path()).args(["/bin/busybox", "--install", "-s", "/bin"]));
        let mut enter = Command::new("unshare");
        enter.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER]).arg(dir.path());
        enter
            .arg(env!("CARGO_BIN_EXE_cloudtalker"))
            .arg(LISTENER)
            .env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin");
        let console = Console::of(Process::start_told("room", &mut enter));
        Room { console, dir, shell: "ash", _server: server }
    }

    /// What the script says to a word.
    pub fn init(&mut self, word: &str) -> Said {
        let command = format!("{} {word}", self.script());
        self.run(&command)
    }

    pub fn script(&self) -> String {
        format!("{} {INIT}", self.shell)
    }

    /// The agent's process, in the room's numbers.
    pub fn process(&mut self) -> String {
        self.ok(&format!("cat {PIDFILE}"))
    }

    /// How many run.
    pub fn agents(&mut self) -> usize {
        self.called(PROGRAM).len()
    }

    /// The processes that were called so, whatever else they were told.
    pub fn called(&mut self, command: &str) -> Vec<String> {
        let each =
            "for dir in /proc/[0-9]*; do echo ${dir#/proc/} $(tr '\\0' ' ' <$dir/cmdline); done 2>/dev/null";
        let all = self.run(each).text;
        let of_it =
            all.lines().filter_map(|line| line.split_once(' ').filter(|(_, of)| of.starts_with(command)));
        of_it.map(|(process, _)| process.to_owned()).collect()
    }

    /// Waits for one that was called so.
    pub fn calls(&mut self, command: &str) -> String {
        eventually(command, || self.called(command), |processes| !processes.is_empty()).remove(0)
    }

    pub fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// The system's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.at("/var/log/messages")).unwrap_or_default()
    }

    /// Waits until the system's log has these words.
    pub fn logs(&self, words: &str) {
        eventually(words, || self.log(), |log| log.contains(words));
    }

    /// Where a path of the room's lies outside of it.
    pub fn at(&self, path: &str) -> PathBuf {
        within(self.dir.path(), path)
    }
}

impl Deref for Room {
    type Target = Console;

    fn deref(&self) -> &Console {
        &self.console
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut Console {
        &mut self.console
    }
}

/// A program of this machine's.
pub fn found(program: &str) -> PathBuf {
    let dirs = ["/bin", "/usr/bin"].map(|dir| Path::new(dir).join(program));
    dirs.into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{program} is missing: `make test` installs it"))
}

fn ok(command: &mut Command) {
    assert!(
        command.status().is_ok_and(|status| status.success()),
        "{command:?}: it takes root, and coreutils"
    );
}
