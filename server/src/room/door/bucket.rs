//! How often somebody may do something: a bucket that fills with time. Pure.

use std::time::Duration;

/// So many at once, and so many a second from then on.
#[derive(Debug)]
pub(super) struct Bucket {
    capacity: f64,
    a_second: f64,
    left: f64,
    at: Duration,
}

impl Bucket {
    /// A full bucket. Time is counted from any moment, but always the same one.
    pub(super) fn new(capacity: u32, a_second: u32, now: Duration) -> Bucket {
        Bucket { capacity: capacity.into(), a_second: a_second.into(), left: capacity.into(), at: now }
    }

    /// Takes one. Returns how long its taker has to wait for it.
    pub(super) fn take(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * self.a_second).min(self.capacity) - 1.0;
        Duration::from_secs_f64((-self.left).max(0.0) / self.a_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_capacity_waits_for_its_turn() {
        let mut bucket = Bucket::new(2, 10, Duration::ZERO);
        let waits: Vec<_> = (0..4).map(|_| bucket.take(Duration::ZERO)).collect();
        assert_eq!(waits, [0, 0, 100, 200].map(Duration::from_millis));
    }

    #[test]
    fn time_fills_it_but_never_beyond_its_capacity() {
        let mut bucket = Bucket::new(2, 10, Duration::ZERO);
        let later = Duration::from_secs(3600);
        let waits: Vec<_> = (0..3).map(|_| bucket.take(later)).collect();
        assert_eq!(waits, [0, 0, 100].map(Duration::from_millis));
        assert_eq!(
            bucket.take(Duration::ZERO),
            Duration::from_millis(200),
            "a clock that goes back gives nothing"
        );
    }
}
