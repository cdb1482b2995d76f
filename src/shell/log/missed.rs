//! Messages that nobody took: counted, and told once somebody takes messages again.

use std::time::{Duration, Instant};

/// Between two words about it. A daemon that is slow may take every other message.
const QUIET: Duration = Duration::from_secs(60);

/// How many there were that nobody was told of.
#[derive(Debug, Default)]
pub struct Missed {
    untold: u64,
    told: Option<Instant>,
}

impl Missed {
    /// One more.
    pub fn count(&mut self) {
        self.untold += 1;
    }

    /// What is to be told now, before the next message.
    pub fn words(&self, now: Instant, why: &str) -> Option<String> {
        let is_quiet = self.told.is_some_and(|told| now < told + QUIET);
        match self.untold {
            0 => None,
            _ if is_quiet => None,
            1 => Some(format!("one message before this one was not taken: {why}")),
            count => Some(format!("{count} of the messages before this one were not taken: {why}")),
        }
    }

    /// Somebody has heard it.
    pub fn told(&mut self, now: Instant) {
        *self = Missed { untold: 0, told: Some(now) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_told_once_a_minute_at_most() {
        let (mut missed, began) = (Missed::default(), Instant::now());
        let at = |second: u64| began + Duration::from_secs(second);
        assert_eq!(missed.words(at(0), "gone"), None);
        missed.count();
        let told = missed.words(at(0), "gone");
        assert_eq!(told.as_deref(), Some("one message before this one was not taken: gone"));
        missed.told(at(0));
        for second in [1, 30] {
            missed.count();
            assert_eq!(missed.words(at(second), "gone"), None);
        }
        let told = missed.words(at(60), "gone");
        assert_eq!(told.as_deref(), Some("2 of the messages before this one were not taken: gone"));
    }
}
