//! A link between board and cloud that is as bad as it is told to be.

use super::Process;
use rustix::process::geteuid;
use std::{path::Path, process::Command};

/// In the link's namespaces there is nobody else, so addresses and ports are free in each.
const BOARD: &str = "10.0.0.1";
const CLOUD: &str = "10.0.0.2";
const PORT: u16 = 8443;

/// Two network namespaces and what passes packets between them. They go with their owner.
pub struct Link {
    relay: Process,
    board: String,
    cloud: String,
}

impl Link {
    /// A link with these flags of `link.py`.
    pub fn with(faults: &[&str]) -> Link {
        assert!(geteuid().is_root(), "expected to be root: only root can make network namespaces");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/harness/link.py");
        let mut relay =
            Process::start("link", Command::new("python3").arg(program).args(faults).args([BOARD, CLOUD]));
        let line = relay.says(" are ready");
        let mut namespaces = line.split(' ').map(str::to_owned);
        let mut next = || namespaces.next().expect("it says both");
        Link { board: next(), cloud: next(), relay }
    }

    /// Where the cloud listens.
    pub fn cloud_address() -> String {
        format!("{CLOUD}:{PORT}")
    }

    /// What runs a program at the board's end.
    pub fn board(&self) -> [String; 2] {
        enter(&self.board)
    }

    /// What runs a program at the cloud's end.
    pub fn cloud(&self) -> [String; 2] {
        enter(&self.cloud)
    }

    /// Waits until nothing passes any more: `--stall-after`.
    pub fn stalls(&mut self) {
        self.relay.says("stalled");
    }

    /// Waits until something passes again, and gives how many packets of the board's have been dropped.
    pub fn passes_again(&mut self) -> u32 {
        let line = self.relay.says("passes again, without ");
        numbers(&line)[0]
    }

    /// Ends it, and gives how many packets were lost by chance, and of how many.
    pub fn lost(self) -> (u32, u32) {
        let ended = self.relay.terminate();
        let numbers = numbers(ended.log.lines().last().expect("it says what was lost"));
        (numbers[0], numbers[1])
    }
}

fn enter(namespace: &str) -> [String; 2] {
    ["nsenter".to_owned(), format!("--net={namespace}")]
}

fn numbers(line: &str) -> Vec<u32> {
    line.split(' ').filter_map(|word| word.parse().ok()).collect()
}
