//! How long to wait before another try: the first wait by chance, each further one twice as long, up to a cap.
//!
//! This keeps a fleet that lost its cloud at one instant from coming back at one instant. The first waits spread it
//! over as long as the shortest of them takes, and as each agent's waits double, so does the span over which it is
//! spread: however long an outage lasts, its end finds the next tries spread over about as long again, or over the
//! cap. Nobody's outage is much more than doubled, either (docs/decisions/0007-waits-that-double.md).

use super::rng::Rng;
use std::time::Duration;

/// A tenth of each wait is left to chance, so that two who met once don't meet for ever.
const LOOSE: u32 = 10;

/// Failures in a row, and what they cost.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    /// The last wait, before chance took its tenth.
    last: Option<Duration>,
}

impl Backoff {
    /// The first wait is between about a half of `base` and the whole; each failure doubles it up to `cap`.
    pub const fn new(base: Duration, cap: Duration) -> Backoff {
        Backoff { base, cap, last: None }
    }

    /// Counts a failure and says how long to wait.
    pub fn fail(&mut self, rng: &mut Rng) -> Duration {
        let wait = match self.last {
            Some(last) => (2 * last).min(self.cap),
            None => self.base - rng.up_to(self.base / 2),
        };
        self.last = Some(wait);
        wait - rng.up_to(wait / LOOSE)
    }

    /// It worked: the next failure is the first again.
    pub fn succeed(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(2);
    const CAP: Duration = Duration::from_secs(120);

    #[test]
    fn a_wait_is_twice_the_last_one_up_to_the_cap() {
        let mut rng = Rng::new(1);
        let mut backoff = Backoff::new(BASE, CAP);
        let waits: Vec<f64> = (0..20).map(|_| backoff.fail(&mut rng).as_secs_f64()).collect();
        assert!((0.9..2.0).contains(&waits[0]), "{waits:?}");
        for (last, next) in waits.iter().zip(&waits[1..]).take(5) {
            assert!((1.8..2.3).contains(&(next / last)), "{waits:?}");
        }
        assert!(waits[8..].iter().all(|wait| (108.0..=120.0).contains(wait)), "{waits:?}");
        backoff.succeed();
        assert!(backoff.fail(&mut rng) <= BASE);
    }

    #[test]
    fn first_waits_are_spread_evenly() {
        let mut tenths = [0; 10];
        for seed in 0..1_000 {
            let wait = Backoff::new(BASE, CAP).fail(&mut Rng::new(seed)).as_secs_f64();
            tenths[((wait - 0.9) / 0.11) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (20..200).contains(count)), "{tenths:?}");
    }
}
