//! How long to wait before another try: exponential, with full jitter.
//!
//! Full jitter (a span between nothing and the limit, at the cap too) keeps a fleet that lost its cloud at one
//! instant from coming back at one instant.

use super::rng::Rng;
use std::time::Duration;

/// Failures in a row, and what they cost.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `base`; each failure doubles it up to `cap`.
    pub const fn new(base: Duration, cap: Duration) -> Backoff {
        Backoff { base, cap, failures: 0 }
    }

    /// Counts a failure and says how long to wait.
    pub fn fail(&mut self, rng: &mut Rng) -> Duration {
        let limit = self.limit();
        self.failures = self.failures.saturating_add(1);
        rng.up_to(limit)
    }

    /// It worked: the next failure is the first again.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// The longest that the next wait can be.
    fn limit(&self) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_are_spread_there_too() {
        let mut rng = Rng::new(1);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut longest = Duration::ZERO;
        for _ in 0..100 {
            longest = longest.max(backoff.fail(&mut rng));
        }
        assert!(longest > Duration::from_secs(50) && longest <= Duration::from_secs(60), "{longest:?}");
        let spread: Vec<Duration> = (0..100).map(|_| backoff.fail(&mut rng)).collect();
        assert!(spread.iter().any(|wait| *wait < Duration::from_secs(10)));
        backoff.succeed();
        assert!(backoff.fail(&mut rng) <= Duration::from_secs(1));
    }
}
