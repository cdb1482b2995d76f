//! What is due time and again.

use std::time::{Duration, Instant};

/// Something that is due at once, and then each time that so long has passed.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    every: Duration,
    at: Instant,
}

impl Rhythm {
    pub fn new(now: Instant, every: Duration) -> Rhythm {
        Rhythm { every, at: now }
    }

    /// Whether it is due. What was missed is not made up for.
    pub fn comes(&mut self, now: Instant) -> bool {
        let has_come = self.at <= now;
        if has_come {
            self.at = now + self.every;
        }
        has_come
    }

    /// When it is due next.
    pub fn at(&self) -> Instant {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_at_once_and_then_each_time_but_makes_up_for_nothing() {
        const EVERY: Duration = Duration::from_secs(10);
        let began = Instant::now();
        let mut rhythm = Rhythm::new(began, EVERY);
        assert!(rhythm.comes(began) && !rhythm.comes(began));
        assert_eq!(rhythm.at(), began + EVERY);
        assert!(!rhythm.comes(began + EVERY - Duration::from_nanos(1)));
        assert!(rhythm.comes(began + 5 * EVERY) && !rhythm.comes(began + 5 * EVERY));
        assert_eq!(rhythm.at(), began + 6 * EVERY);
    }
}
