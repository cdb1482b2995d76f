//! The engine in virtual time, against a simulated cloud, camera and disk.
//!
//! Each seed is a life of its own: recordings, alarms and commands, power cuts at any call of the file system,
//! calls that fail, links that break, stall and lose answers, uploads that a cloud forgets, clocks that jump. Then
//! the world calms down, and everything that was acknowledged must be at the cloud or in the loss ledger.
//!
//! `SIM_SEED=n` runs one seed, `SIM_TRACE=1` prints all that happens in it, `SIM_SEEDS=n` runs so many.

#![allow(clippy::unwrap_used)]

mod cloud;
mod disk;
mod scenarios;
mod world;

use std::collections::BTreeMap;
use world::{Outcome, Plan, World};

const SEEDS: u64 = 1_000;
const OPERATIONS: u32 = 200;

fn live(seed: u64) -> Result<Outcome, String> {
    let plan = Plan { operations: OPERATIONS, tight: seed % 4 == 3 };
    World::new(seed, plan).run(plan)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}

#[test]
fn nothing_acknowledged_is_ever_lost() {
    if let Some(seed) = number("SIM_SEED") {
        live(seed).unwrap();
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let lives = std::thread::scope(|scope| {
        let shares = (0..threads).map(|thread| {
            scope.spawn(move || {
                (thread..seeds).step_by(threads as usize).map(|seed| (seed, live(seed))).collect()
            })
        });
        let shares: Vec<_> = shares.collect();
        shares.into_iter().flat_map(|share| -> Vec<_> { share.join().unwrap() }).collect::<Vec<_>>()
    });
    let (mut total, mut failures) = (Outcome::default(), Vec::new());
    for (seed, outcome) in lives {
        match outcome {
            Ok(outcome) => {
                total.operations += outcome.operations;
                total.crashes += outcome.crashes;
                add(&mut total.cuts, outcome.cuts);
                add(&mut total.faults, outcome.faults);
            }
            Err(why) => failures.push(format!("seed {seed}: {why} (SIM_SEED={seed} SIM_TRACE=1 shows it)")),
        }
    }
    println!("{:<16} {:>8} {:>8}", "call", "crashes", "faults");
    for (call, cuts) in &total.cuts {
        println!("{call:<16} {cuts:>8} {:>8}", total.faults.get(call).unwrap_or(&0));
    }
    let Outcome { operations, crashes, .. } = total;
    println!("{seeds} seeds, {operations} operations, {crashes} crashes, {} failures", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn add(total: &mut BTreeMap<&'static str, u64>, more: BTreeMap<&'static str, u64>) {
    for (call, count) in more {
        *total.entry(call).or_default() += count;
    }
}
