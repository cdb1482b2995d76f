//! The pace of uploads, as one who looks each second can tell it.

use std::{collections::VecDeque, time::Duration};

/// An agent tells of its progress once a second: over ten of them the figure stands still.
const WINDOW: Duration = Duration::from_secs(10);
/// Before this it is a guess.
const FIRST: Duration = Duration::from_secs(2);

/// The last seconds: when, and how many bytes had gone out since the agent's start.
#[derive(Debug, Default)]
pub struct Rate(VecDeque<(Duration, u64)>);

impl Rate {
    /// Takes what the agent said at this moment.
    pub fn take(&mut self, at: Duration, sent: u64) {
        // Another life of the agent's counts anew.
        if self.newest().is_some_and(|(_, before)| sent < before) {
            self.0.clear();
        }
        // A pause before the first byte is not part of its pace.
        if let (Some((_, first)), Some((_, last))) = (self.0.front(), self.newest())
            && *first == last
            && sent > last
        {
            self.0.drain(..self.0.len() - 1);
        }
        self.0.push_back((at, sent));
        while self.0.get(1).is_some_and(|(second, _)| *second + WINDOW <= at) {
            self.0.pop_front();
        }
    }

    /// What was seen says nothing of what comes.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// Bytes a second; `None` as long as it is a guess.
    pub fn bytes_a_second(&self) -> Option<u64> {
        let ((began, first), (ended, last)) = (*self.0.front()?, self.newest()?);
        let span = ended.saturating_sub(began);
        let bytes = u128::from(last - first) * 1_000 / span.as_millis().max(1);
        (span >= FIRST).then(|| u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    fn newest(&self) -> Option<(Duration, u64)> {
        self.0.back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told after each of these, one a second.
    fn told(sent: &[u64]) -> Vec<Option<u64>> {
        let mut rate = Rate::default();
        let told = sent.iter().zip(0..).map(|(sent, second)| {
            rate.take(Duration::from_secs(second), *sent);
            rate.bytes_a_second()
        });
        told.collect()
    }

    #[test]
    fn a_steady_pace_is_told_after_two_seconds() {
        assert_eq!(told(&[0, 50, 100, 150]), [None, None, Some(50), Some(50)]);
    }

    #[test]
    fn a_pause_before_the_first_byte_counts_for_nothing() {
        let told = told(&[7, 7, 7, 7, 107, 207]);
        assert_eq!(told[3..], [Some(0), None, Some(100)]);
    }

    #[test]
    fn an_upload_that_stalls_comes_down_to_nothing() {
        let sent: Vec<u64> = (0..30).map(|second: u64| second.min(10) * 100).collect();
        let told = told(&sent);
        assert_eq!((told[10], told[15], told[20], told[29]), (Some(100), Some(50), Some(0), Some(0)));
    }

    #[test]
    fn an_agent_that_was_started_anew_is_measured_anew() {
        assert_eq!(told(&[0, 500, 1000, 20, 40, 60])[2..], [Some(500), None, None, Some(20)]);
    }

    #[test]
    fn uneven_looks_are_weighed_by_their_time() {
        let mut rate = Rate::default();
        for (millis, sent) in
            [(0, 0), (900, 900), (6_000, 6_000), (6_500, 6_500), (11_000, 11_000), (60_000, 60_000)]
        {
            rate.take(Duration::from_millis(millis), sent);
        }
        assert_eq!(rate.bytes_a_second(), Some(1_000));
        rate.take(Duration::from_millis(60_001), u64::MAX);
        assert!(rate.bytes_a_second().is_some(), "the largest number is no fault");
    }
}
