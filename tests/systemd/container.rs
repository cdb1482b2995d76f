//! A Debian with systemd in a container, which has the machine's network and forgets all that was written into it.

use crate::harness::{Console, LISTENER, Process, eventually};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

pub struct Container {
    pub console: Console,
    /// Its first process, in this machine's numbers.
    init: Pid,
    // Ended after its console.
    _nspawn: Process,
    // Empty by then.
    _group: Group,
    // Held for as long: systemd-nspawn boots none that is up.
    _alone: MutexGuard<'static, ()>,
}

static UP: Mutex<()> = Mutex::new(());
static NEWER_UP: Mutex<()> = Mutex::new(());

impl Container {
    /// Boots the one of this name, which `scripts/install-tools` has made. It sees this directory under the same name.
    pub fn boot(debian: &str, dir: &Path) -> Container {
        let up = if debian == "systemd-newer" { &NEWER_UP } else { &UP };
        let alone = up.lock().unwrap_or_else(PoisonError::into_inner);
        let group = Group { name: dir.file_name().unwrap().display().to_string() };
        let mut nspawn = group.command();
        // There is no systemd outside that would keep a list of containers.
        nspawn.args([
            "systemd-nspawn",
            "--quiet",
            "--boot",
            "--volatile=overlay",
            "--register=no",
            "--keep-unit",
            "--console=pipe",
        ]);
        nspawn
            .arg(format!("--machine={}", group.name))
            .arg(format!("--directory={}", root(debian).display()))
            .arg(format!("--bind={}", dir.display()));
        let nspawn = Process::start("nspawn", &mut nspawn);
        let init = init_of(nspawn.id());
        let target = init.as_raw_nonzero().to_string();
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &target, "--mount", "--uts", "--ipc", "--pid", "--root", "--wd"]);
        enter.args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", LISTENER]);
        let console = Console::of(Process::start_told("container", &mut enter));
        let mut container = Container { console, init, _nspawn: nspawn, _group: group, _alone: alone };
        container.console.ok("until systemctl is-system-running --wait 2>/dev/null | grep -E 'running|degraded'; do sleep 0.1; done");
        container
    }
}

impl Drop for Container {
    /// All others end with the first, which nspawn's own end does not bring about.
    fn drop(&mut self) {
        let Ok(init) = pidfd_open(self.init, PidfdFlags::empty()) else { return };
        let _ = kill_process(self.init, Signal::KILL);
        let _ = poll(&mut [PollFd::new(&init, PollFlags::IN)], None);
    }
}

/// A control group of the container's own. A systemd ends all that is in its service's group, and two systemds in one group
/// have the same one for services of the same name.
struct Group {
    name: String,
}

impl Group {
    /// Where groups are: of version 2, beside version 1 or by themselves, and those by which systemd goes beside version 1.
    const TREES: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];

    /// Runs the command that its arguments are, in the group.
    fn command(&self) -> Command {
        let enter = "for group in $GROUPS; do mkdir -p $group && echo $$ >$group/cgroup.procs || exit; done; exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", enter, "sh"]).env("GROUPS", self.places().join(" "));
        command
    }

    fn places(&self) -> Vec<String> {
        let there = Group::TREES.into_iter().filter(|tree| Path::new(tree).join("cgroup.procs").exists());
        there.map(|tree| format!("{tree}/{}", self.name)).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for place in self.places() {
            let _ = remove(Path::new(&place));
        }
    }
}

/// Removes a group with those in it, which are directories among files that can't be removed.
fn remove(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

fn root(debian: &str) -> PathBuf {
    let tools = env::var("TOOLS").expect("TOOLS names where tools are installed, as the Makefile has it");
    Path::new(&tools).join(debian)
}

/// The container's first process, once it runs systemd.
fn init_of(nspawn: u32) -> Pid {
    let children = format!("/proc/{nspawn}/task/{nspawn}/children");
    let look = || {
        let child = fs::read_to_string(&children).ok()?.split_whitespace().next()?.to_owned();
        let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        if name.trim_end() == "systemd" { Pid::from_raw(child.parse().ok()?) } else { None }
    };
    eventually("the container runs systemd", look, Option::is_some).expect("it does")
}
