//! Many lives, on every core, and the small cause of each that ends badly.

use crate::{
    plan::{Operation, Plan},
    shrink::shrink,
    world::{Outcome, World},
};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

/// How often chance is tried anew while a failure shrinks.
const TRIES: u64 = 10;

/// What many lives came to.
#[derive(Default)]
pub struct Lives {
    pub seeds: u64,
    pub outcome: Outcome,
    pub failures: Vec<Failure>,
}

/// A life that ended badly, with no more operations than it takes.
pub struct Failure {
    pub why: String,
    pub plan: Plan,
}

impl Lives {
    /// Every seed below this one.
    pub fn below(end: u64) -> Lives {
        Lives::run(0, |seed| seed < end)
    }

    /// As many as there is time for, from a random seed on: the longest run finds what no run has found before.
    pub fn for_seconds(seconds: u64) -> Lives {
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let end = Instant::now() + Duration::from_secs(seconds);
        println!("from seed {} on", clock.as_micros());
        Lives::run(clock.as_micros() as u64, |_| Instant::now() < end)
    }

    fn run(first: u64, goes_on: impl Fn(u64) -> bool + Sync) -> Lives {
        let (next, failed) = (AtomicU64::new(first), AtomicBool::new(false));
        let share = || {
            let mut lives = Lives::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if !goes_on(seed) || failed.load(Ordering::Relaxed) {
                    return lives;
                }
                lives.live(seed, &failed);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let shares: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
            let mut all = Lives::default();
            for share in shares {
                let share = share.join().unwrap();
                all.seeds += share.seeds;
                all.outcome.add(&share.outcome);
                all.failures.extend(share.failures);
            }
            all.failures.sort_by_key(|failure| failure.plan.seed);
            all
        })
    }

    /// After a failure others would say little new: everybody stops, and it shrinks.
    fn live(&mut self, seed: u64, failed: &AtomicBool) {
        let plan = Plan::of_seed(seed);
        self.seeds += 1;
        match live(&plan) {
            Ok(outcome) => self.outcome.add(&outcome),
            Err(why) => {
                failed.store(true, Ordering::Relaxed);
                let failure = Failure { why, plan };
                self.failures.push(if number("SIM_SHRINK") == Some(0) { failure } else { failure.shrunk() });
            }
        }
    }
}

impl Failure {
    /// With few operations chance must be lucky to do harm again: it has some tries.
    fn shrunk(self) -> Failure {
        let smallest = RefCell::new(self);
        let fails = |operations: &[Operation]| {
            let mut smallest = smallest.borrow_mut();
            let plans = (0..TRIES).map(|salt| smallest.plan.only(operations, salt));
            let failure = plans.into_iter().find_map(|plan| Some(Failure { why: live(&plan).err()?, plan }));
            let has_failed = failure.is_some();
            if let Some(failure) = failure {
                *smallest = failure;
            }
            has_failed
        };
        let operations = smallest.borrow().plan.operations.clone();
        shrink(&operations, fails);
        smallest.into_inner()
    }
}

/// One life. A panic of the engine's is a failure as any other.
pub fn live(plan: &Plan) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| World::new(plan).run(plan))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word");
        Err(format!("a panic: {text}"))
    })
}

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}
