//! A disk that fails when a test wants it to: `tests/faultfs`, mounted.

use super::{Agent, DEADLINE, Process, Segment, TempDir};
use serde_json::json;
use std::{
    env, fs,
    fs::File,
    io::{BufRead, BufReader, Write},
    net::Shutdown,
    os::unix::{net::UnixStream, process::CommandExt},
    path::PathBuf,
    process::Command,
};

/// A mounted file system, empty at first, which goes with its owner. A program that waits for it can't be killed: where
/// a test may fail meanwhile, the disk has to go first.
pub struct Disk {
    control: UnixStream,
    process: Process,
    dir: TempDir,
}

impl Disk {
    pub fn mount() -> Disk {
        let program = env::var_os("CLOUDTALKER_FAULTFS").map_or_else(built, PathBuf::from);
        assert!(
            program.exists(),
            "there is no {}: `cargo build` in tests/faultfs makes it",
            program.display()
        );
        let dir = TempDir::new();
        let (mounted, socket) = (dir.at("disk"), dir.at("control"));
        fs::create_dir(&mounted).unwrap();
        // In a group of its own, so that Ctrl-C doesn't end it before it has unmounted.
        let mut command = Command::new(program);
        command.arg(&mounted).arg(&socket).process_group(0);
        let mut process = Process::start("faultfs", &mut command);
        process.says("mounted");
        let control = UnixStream::connect(socket).unwrap();
        control.set_read_timeout(Some(DEADLINE)).unwrap();
        Disk { control, process, dir }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.at("disk").join(name)
    }

    /// Makes a directory that no power cut takes.
    pub fn make_dir(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        fs::create_dir(&path).unwrap();
        File::open(self.at("")).and_then(|root| root.sync_all()).unwrap();
        path
    }

    /// Cuts the power so many changes from now: whoever uses the disk then waits for [`Disk::power_up`].
    pub fn cut_after(&self, changes: usize) {
        self.tell(&format!("cut {changes}"));
    }

    /// Waits until the power is cut, and says at which operation it was.
    pub fn is_cut(&self) -> String {
        self.tell("wait cut")
    }

    pub fn is_dark(&self) -> bool {
        self.tell("power") == "cut"
    }

    /// The power comes back, without some of what was not synced. What waits for the disk fails.
    pub fn power_up(&self, seed: u64) -> String {
        self.tell(&format!("up {seed}"))
    }

    /// From now on every fsync waits.
    pub fn hold(&self) {
        self.tell("hold");
    }

    /// Waits until an fsync is held.
    pub fn holds(&self) {
        self.tell("wait held");
    }

    /// Those that wait are done, and no more are held; says how many waited.
    pub fn release(&self) -> u64 {
        self.tell("release").parse().unwrap()
    }

    /// Has the agent take this segment, whose fsync waits while this happens, and is done afterwards. Should that fail, the
    /// disk goes before the agent.
    pub fn hold_while(self, agent: &Agent, segment: &Segment, meanwhile: impl FnOnce()) {
        let mut source = agent.source();
        self.hold();
        source.say(json!({"segment": segment.path(), "ack": true}).to_string());
        self.holds();
        meanwhile();
        assert_eq!(self.release(), 1, "an fsync was held all the time");
        assert_eq!(source.answer()["ok"], true);
    }

    /// One operation in so many fails from now on.
    pub fn fail(&self, errno: &str, one_in: u64) {
        self.tell(&format!("fail {errno} {one_in}"));
    }

    pub fn recover(&self) {
        self.tell("fail none");
    }

    /// How often each operation was asked for: `create=12 …`.
    pub fn count(&self) -> String {
        self.tell("count")
    }

    fn tell(&self, command: &str) -> String {
        writeln!(&self.control, "{command}").unwrap();
        let mut answer = String::new();
        BufReader::new(&self.control).read_line(&mut answer).expect("it answers before the deadline");
        let rest = answer.strip_prefix("ok").unwrap_or_else(|| panic!("{command}: {answer:?}"));
        rest.trim().to_owned()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.control.shutdown(Shutdown::Both);
        // It unmounts first. Where it does not end, it is killed with its owner.
        self.process.has_ended();
    }
}

fn built() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/faultfs/target/debug/faultfs")
}
