//! A watchdog's device, as far as the agent can tell: `watchdog.py`.

use super::{Board, Process};
use rustix::process::geteuid;
use std::{fs, path::Path, process::Command};

/// A character device that takes food, and never bites.
pub struct WatchdogDevice {
    process: Process,
    pub path: String,
}

impl WatchdogDevice {
    pub fn new() -> WatchdogDevice {
        WatchdogDevice::with(&[])
    }

    /// One that somebody else has open.
    pub fn busy() -> WatchdogDevice {
        WatchdogDevice::with(&["--busy"])
    }

    fn with(flags: &[&str]) -> WatchdogDevice {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/harness/watchdog.py");
        let mut process = Process::start("watchdog", Command::new("python3").arg(program).args(flags));
        let path = process.says("/dev/");
        WatchdogDevice { process, path }
    }

    /// Waits until it is fed once more.
    pub fn is_fed(&mut self) {
        self.process.says("fed");
    }

    /// Waits until it is told to stop.
    pub fn is_stopped(&mut self) {
        self.process.says("farewell");
    }

    /// All that was written there so far, a word for each byte.
    pub fn meals(&mut self) -> Vec<String> {
        // What was written before this came before it.
        fs::write(&self.path, ".").unwrap();
        self.process.says("byte 46");
        let log = self.process.log();
        log.lines().skip(1).filter(|word| *word != "byte 46").map(str::to_owned).collect()
    }
}

impl Board {
    /// Its agent may not open a device that somebody else has open, though it may be root.
    pub fn respecting_others(self) -> Board {
        match geteuid().is_root() {
            true => self.run_by(&["setpriv", "--bounding-set", "-sys_admin"]),
            false => self,
        }
    }
}
