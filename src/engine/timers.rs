//! Named deadlines on the monotonic clock.

use std::time::Duration;

/// Everything that the engine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Try the cloud again.
    Reconnect,
    /// A state is due.
    Heartbeat,
    /// A ping is due.
    Ping,
    /// A frame in answer to the ping is due.
    Pong,
    /// The cloud's first message is due; without it the cloud gives no receipts.
    FirstWord,
    /// The cloud has had time enough to hear a goodbye.
    Goodbye,
    /// An undelivered command is tried again.
    CommandRetry,
    /// An undelivered capture request lapses.
    CaptureLapse,
    /// An upload may be tried again.
    Upload,
    /// Another rate comes into force, or another month begins.
    Pace,
    /// A failed task of the disk is tried again.
    DiskRetry,
    /// What could not be read is looked for again.
    Rescan,
    /// The oldest source that has named no segment has been idle for too long.
    IdleSource,
}

const COUNT: usize = Timer::IdleSource as usize + 1;

/// When each is due, if at all.
#[derive(Debug, Default)]
pub struct Timers([Option<Duration>; COUNT]);

impl Timers {
    /// Sets or moves a deadline.
    pub fn set(&mut self, timer: Timer, at: Duration) {
        self.0[timer as usize] = Some(at);
    }

    /// Takes a deadline away.
    pub fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Whether a deadline is set.
    pub fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// Whether the deadline has come; if so it is taken away.
    pub fn has_come(&mut self, timer: Timer, now: Duration) -> bool {
        let due = &mut self.0[timer as usize];
        let come = due.is_some_and(|at| at <= now);
        if come {
            *due = None;
        }
        come
    }

    /// The nearest deadline.
    pub fn next(&self) -> Option<Duration> {
        self.0.iter().flatten().min().copied()
    }
}
