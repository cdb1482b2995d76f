//! The engine in virtual time, against a simulated cloud, camera and disk.
//!
//! Each seed is a life of its own: recordings, alarms and commands, power cuts and kills at any call of the file system,
//! calls that fail, links that break, stall, repeat and lose, a cloud that restarts, refuses and forgets, clocks that
//! jump. Promises are checked after each operation. Then the world calms down, and everything that was acknowledged
//! must be at the cloud, put aside, or in the loss ledger.
//!
//! | variable           | what it does                                                 |
//! |--------------------|--------------------------------------------------------------|
//! | `SIM_SEEDS=n`      | runs the seeds below n (200 without)                         |
//! | `SIM_SECONDS=n`    | runs seeds from a random one on, for as long                 |
//! | `SIM_SEED=n`       | runs one seed                                                |
//! | `SIM_OPERATIONS=…` | of it, only the operations of these numbers                  |
//! | `SIM_SALT=n`       | with other chance, as a failure that was shrunk says         |
//! | `SIM_TRACE=1`      | prints all that happens                                      |
//! | `SIM_SHRINK=0`     | leaves a failure as long as it is                            |

#![allow(clippy::unwrap_used)]

mod acts;
mod cloud;
mod disk;
mod doubts;
mod herd;
mod lives;
mod losses;
mod pace;
mod plan;
mod refusals;
mod scenarios;
#[path = "../scene/mod.rs"]
mod scene;
mod shrink;
mod strays;
mod world;

use disk::Tally;
use lives::{Failure, Lives};
use plan::Plan;
use refusals::{Refusals, SESSION};

/// From so many seeds on, chance alone explains no gap in the table.
const ENOUGH: u64 = 20_000;
/// How often each fault is to befall each call in so many seeds.
const AT_LEAST: u64 = 100;

#[test]
fn nothing_acknowledged_is_ever_lost() {
    let lives = match (lives::number("SIM_SEED"), lives::number("SIM_SECONDS")) {
        (Some(seed), _) => return replay(seed),
        (None, Some(seconds)) => Lives::for_seconds(seconds),
        (None, None) => Lives::below(lives::number("SIM_SEEDS").unwrap_or(200)),
    };
    let Lives { seeds, outcome, failures } = lives;
    println!("{}\n{}", outcome.faults, outcome.refusals);
    for Failure { why, plan } in &failures {
        println!("\nseed {}: {why}\n{plan}", plan.seed);
    }
    let count = failures.len();
    if failures.is_empty() {
        println!("{} segments accepted, 0 lost, 0 doubled", outcome.accepted);
    }
    println!("{} power cuts, {} kills", outcome.power_cuts, outcome.kills);
    println!(
        "{seeds} seeds, {} operations, {} crashes, {count} failures",
        outcome.operations,
        outcome.crashes()
    );
    assert!(failures.is_empty(), "the last of them: {}", failures[count - 1].why);
    let least = if seeds >= ENOUGH { AT_LEAST } else { 0 };
    let (faults, refusals) = (outcome.faults.rarer_than(least), outcome.refusals.rarer_than(least));
    assert!(
        faults.is_empty() && refusals.is_empty(),
        "expected each of these {AT_LEAST} times or more: {faults:?} {refusals:?}"
    );
}

fn replay(seed: u64) {
    let mut plan = Plan { salt: lives::number("SIM_SALT").unwrap_or(0), ..Plan::of_seed(seed) };
    if let Ok(numbers) = std::env::var("SIM_OPERATIONS") {
        let wanted: Vec<u32> = numbers.split(',').map(|number| number.parse().unwrap()).collect();
        plan.operations.retain(|operation| wanted.contains(&operation.number));
    }
    if let Err(why) = lives::live(&plan) {
        panic!("{why}\n{plan}");
    }
}

#[test]
fn a_pair_that_never_happens_is_noticed() {
    let rare = Refusals::default().rarer_than(1);
    assert!(rare.contains(&(403, SESSION)) && !rare.contains(&(409, SESSION)), "{rare:?}");
    let rare = Tally::default().rarer_than(1);
    assert!(rare.contains(&("sync", disk::Fault::PowerCut)) && rare.len() > 40, "{rare:?}");
}
