//! `make bench`: the product's numbers, beside those of programs that everybody has.
//!
//! Every figure is of the two programs as `make build` leaves them. What takes turns with a peer does so in one run, and
//! a ratio is the median of the ratios of the rounds. What was transferred is compared by its digests; a difference fails
//! the run. A full run writes docs/benchmarks.md.
//!
//! ```text
//! make bench                  everything, in about twenty minutes on a machine with nothing else to do
//! make bench ONLY=latency     one part: upload, latency, idle, memory, wear or size
//! make bench QUICK=1          small loads: shows that it works, its figures say nothing
//! ```
#![allow(clippy::unwrap_used)]

#[path = "../../tests/agent/harness/mod.rs"]
mod harness;

mod idle;
mod latency;
mod memory;
mod peer;
mod proc;
mod report;
mod size;
mod upload;
mod wear;

use report::Report;
use std::{env, time::Duration};

/// How much of everything.
pub struct Plan {
    /// Rounds, each with two turns of each program; at least five where a figure counts.
    rounds: usize,
    /// The large file, in bytes.
    large: usize,
    /// How many small files, of 200 kB each.
    small: usize,
    /// Commands from the cloud in each situation.
    frames: usize,
    /// How long an idle agent is watched.
    idle: Duration,
    /// The files whose upload's memory is compared, in bytes.
    files: [usize; 2],
    /// Segments in a spool that is full.
    spooled: usize,
}

impl Plan {
    const FULL: Plan = Plan {
        rounds: 9,
        large: 256 << 20,
        small: 1_000,
        frames: 2_000,
        // Two or three heartbeats, and three or four pings: no multiple of either's period.
        idle: Duration::from_secs(210),
        files: [64 << 20, 1 << 30],
        spooled: 10_000,
    };
    const QUICK: Plan = Plan {
        rounds: 1,
        large: 16 << 20,
        small: 50,
        frames: 100,
        idle: Duration::from_secs(10),
        files: [4 << 20, 16 << 20],
        spooled: 200,
    };
}

type Part = fn(&Plan, &mut Report);

const PARTS: [(&str, Part); 6] = [
    ("upload", upload::measure),
    ("latency", latency::measure),
    ("idle", idle::measure),
    ("memory", memory::measure),
    ("wear", wear::measure),
    ("size", size::measure),
];

fn main() {
    // cargo adds `--bench`.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let (flags, wanted): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with("--"));
    let is_quick = flags.iter().any(|flag| *flag == "--quick");
    for word in flags.iter().filter(|flag| **flag != "--quick").chain(&wanted) {
        let known = PARTS.map(|(name, _)| name);
        assert!(known.contains(&word.as_str()), "expected --quick or one of {known:?}, got {word:?}");
    }
    let plan = if is_quick { Plan::QUICK } else { Plan::FULL };
    let mut report = Report::default();
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            eprintln!("--- {name}");
            part(&plan, &mut report);
        }
    }
    print!("{}", report.tables());
    if wanted.is_empty() && !is_quick {
        report.write(&plan);
    }
}
