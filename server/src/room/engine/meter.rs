//! How often somebody does something.

use super::Mono;
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
