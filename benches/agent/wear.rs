//! What a segment costs the flash: calls of the agent that make the disk write, counted by strace.

use crate::{
    Plan,
    harness::{Board, TempDir},
    idle::at_rest,
    report::{Report, Row},
    upload::serving,
};
use std::{fs, ops::Sub, path::Path};

const SYNCS: [&str; 4] = ["fsync(", "fdatasync(", "syncfs(", "sync_file_range("];
const WRITES: [&str; 4] = ["write(", "writev(", "pwrite64(", "copy_file_range("];
/// Segments of the longer capture beyond those of the shorter one.
const MORE: usize = 50;
const LENGTH: usize = 200_000;

pub fn measure(_plan: &Plan, report: &mut Report) {
    let Calls { syncs, bytes } = of_captures(&[]);
    let per = |count: u64| count as f64 / MORE as f64;
    report.add(Row::new(
        "flash: fsyncs and bytes written for each segment, from its being named to its being forgotten",
        format!("{:.1} and {:.0}", per(syncs), per(bytes)),
    ));
    let Calls { syncs, bytes } = of_captures(&["--spool_copy"]);
    report.add(Row::new(
        format!("the same with --spool_copy, for a segment of {LENGTH} bytes"),
        format!("{:.1} and {:.0}", per(syncs), per(bytes)),
    ));
}

/// What a capture costs beyond one that is shorter by [`MORE`].
fn of_captures(flags: &[&str]) -> Calls {
    let strace = Strace::new();
    let server = serving();
    let board = Board::new(&server).with(flags).run_by(&strace.command());
    let mut agent = at_rest(&board);
    let mut cost_of = |timestamp: u64, count: usize| {
        let before = strace.calls(&board.state_dir());
        agent.takes(&board.record_capture(timestamp, &vec![LENGTH; count]));
        agent.says("is stored by the cloud, whole");
        agent.owes_nothing();
        strace.calls(&board.state_dir()) - before
    };
    // The first one finds the directories not made yet.
    cost_of(1, 1);
    let short = cost_of(2, 1);
    cost_of(3, 1 + MORE) - short
}

/// Writes down the calls that make a disk write.
pub struct Strace {
    dir: TempDir,
    prefix: String,
}

/// Calls so far, and bytes written into files of the state directory.
pub struct Calls {
    pub syncs: u64,
    pub bytes: u64,
}

impl Strace {
    pub fn new() -> Strace {
        let dir = TempDir::new();
        let prefix = dir.at("calls").to_str().expect("tests' paths are text").to_owned();
        Strace { dir, prefix }
    }

    /// What runs the agent: as the process that is started, with a file of calls for each thread.
    pub fn command(&self) -> [&str; 9] {
        const CALLS: &str = "fsync,fdatasync,syncfs,sync_file_range,write,writev,pwrite64,copy_file_range";
        // `-y` names the files.
        ["strace", "-D", "-ff", "-y", "--seccomp-bpf", "-o", &self.prefix, "-e", CALLS]
    }

    pub fn calls(&self, state_dir: &Path) -> Calls {
        let within = format!("<{}/", state_dir.display());
        let mut calls = Calls { syncs: 0, bytes: 0 };
        for thread in fs::read_dir(self.dir.path()).unwrap() {
            let text = fs::read_to_string(thread.unwrap().path()).unwrap();
            for line in text.lines() {
                if SYNCS.iter().any(|call| line.starts_with(call)) {
                    calls.syncs += 1;
                } else if WRITES.iter().any(|call| line.starts_with(call)) && line.contains(&within) {
                    let (_, result) = line.rsplit_once(" = ").unwrap_or_default();
                    calls.bytes += result.parse::<u64>().unwrap_or(0);
                }
            }
        }
        calls
    }
}

impl Sub for Calls {
    type Output = Calls;

    fn sub(self, former: Calls) -> Calls {
        Calls { syncs: self.syncs - former.syncs, bytes: self.bytes - former.bytes }
    }
}
