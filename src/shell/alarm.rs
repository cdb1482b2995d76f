//! The loop's only timer.

use smol::Timer;
use std::time::Instant;

/// One timer for every wait: each new one would wake the thread that waits for descriptors.
#[derive(Debug)]
pub struct Alarm {
    timer: Timer,
    at: Option<Instant>,
}

impl Alarm {
    /// Rings at this moment, or never; it is moved where it is not set to that already.
    pub async fn ring_at(&mut self, at: Option<Instant>) {
        if self.at != at {
            self.at = at;
            match at {
                Some(at) => self.timer.set_at(at),
                None => self.timer = Timer::never(),
            }
        }
        (&mut self.timer).await;
        // It rings once: the same moment is to be set anew.
        self.at = None;
    }
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm { timer: Timer::never(), at: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_rings_again_for_a_moment_that_has_passed() {
        let mut alarm = Alarm::default();
        let now = Instant::now();
        smol::block_on(async {
            alarm.ring_at(Some(now)).await;
            alarm.ring_at(Some(now)).await;
        });
    }
}
