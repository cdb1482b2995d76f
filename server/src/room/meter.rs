//! How often somebody does something. Pure.

use super::engine::Mono;
use std::time::Duration;

/// Credit that each use costs a part of, and that time gives back (the generic cell rate algorithm). It holds one
/// moment, so that one a socket costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    /// When all of the credit is back.
    whole_at: Mono,
}

/// What a use costs, and how much there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// What each use takes.
    pub(super) cost: Duration,
    /// What there is of it at most.
    pub(super) credit: Duration,
    /// How much may be owed at most.
    pub(super) debt: Duration,
}

impl Rate {
    /// So many uses at once, and so many a second from then on. Who comes too early waits.
    pub(super) const fn of(at_once: u32, a_second: u32) -> Rate {
        let cost = Duration::from_micros(1_000_000 / a_second as u64);
        Rate { cost, credit: cost.saturating_mul(at_once), debt: cost }
    }
}

impl Meter {
    /// One whose credit is back at this moment.
    pub(super) fn whole_at(whole_at: Mono) -> Meter {
        Meter { whole_at }
    }

    /// Counts a use, and says how long it comes too early.
    pub(super) fn count(&mut self, now: Mono, rate: Rate) -> Duration {
        let whole_at = self.whole_at.max(now) + rate.cost;
        self.whole_at = whole_at.min(now + rate.credit + rate.debt);
        self.whole_at.saturating_sub(now + rate.credit)
    }

    /// How long it takes until it is as if it had never been used.
    pub(super) fn until_whole(&self, now: Mono) -> Duration {
        self.whole_at.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_credit_waits_for_its_turn() {
        let (mut meter, rate) = (Meter::default(), Rate::of(2, 10));
        let mut now = Duration::from_secs(5);
        let mut waits = Vec::new();
        for _ in 0..4 {
            let wait = meter.count(now, rate);
            now += wait;
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [0, 0, 100, 100]);
    }

    #[test]
    fn time_gives_the_credit_back_and_never_more() {
        let (mut meter, rate) = (Meter::default(), Rate::of(2, 10));
        let now = Duration::from_secs(3600);
        let waits: Vec<_> = (0..3).map(|_| meter.count(now, rate).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100]);
        assert_eq!(meter.count(now, rate).as_millis(), 100, "who does not wait owes no more than one use");
    }
}
