//! What time it is, as far as that can be known.
//!
//! Deadlines need no time of day, but certificates, the rates of the day and the month's budget do, and a board's clock
//! may stand at 1970, at its last shutdown or in a far future. What a verified server said lately, run on by the clock
//! that never jumps, is right to the second; the board's own clock counts where it agrees with that, or where it is at
//! least possible and no server has said anything yet.

use super::{Engine, Event, Now, Output};
use std::time::Duration;

/// How old the remembered time may get before it is written anew.
const GOOD_TIME_AGE: u64 = 24 * 60 * 60;
/// In seconds: servers' clocks differ by less, and a board's clock that does not is as good as theirs.
const TOLERANCE: u64 = 60 * 60;

/// What a verified server said of the time.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// When it said so.
    at: Duration,
    /// In seconds since 1970.
    unix: u64,
}

impl Engine {
    /// The time in seconds since 1970; none while nobody who can be believed has told it.
    pub(super) fn time(&self, now: Now) -> Option<u64> {
        let Some(told) = self.told else {
            return (self.earliest_time()..=self.settings.latest_time)
                .contains(&now.unix)
                .then_some(now.unix);
        };
        let told = told.unix.saturating_add(now.mono.saturating_sub(told.at).as_secs());
        Some(if now.unix.abs_diff(told) > TOLERANCE { told } else { now.unix })
    }

    /// Before it there was no agent, or a server knew better.
    fn earliest_time(&self) -> u64 {
        self.settings.earliest_time.max(self.remembered.good_time.unwrap_or(0))
    }

    /// Whether a server and the board's own clock both say so. A server that was ahead once had the remembered time from
    /// itself alone: it is not to rule out what is true until that has come.
    fn is_attested(&self, now: Now, date: u64) -> bool {
        date.saturating_add(TOLERANCE) >= self.settings.earliest_time && date.abs_diff(now.unix) <= TOLERANCE
    }

    /// What a former life learned of the time. A floor in the far future would keep every server out, for ever: where the
    /// file is damaged, or a server was wrong, it is forgotten.
    pub(super) fn recall_good_time(&mut self) {
        match self.remembered.good_time {
            Some(time) if time > self.settings.latest_time => {
                self.remembered.good_time = None;
                self.remember();
                self.tell(Event::TimeDisregarded(time));
            }
            Some(time) => self.outputs.push_back(Output::RaiseClockFloor(time)),
            None => {}
        }
    }

    /// A verified server's time bounds what certificates may be expired; flash is worn at most daily for it.
    pub(super) fn note_good_time(&mut self, now: Now, date: Option<u64>) {
        let Some(date) = date.filter(|date| *date <= self.settings.latest_time) else { return };
        if date.saturating_add(TOLERANCE) >= self.earliest_time() || self.is_attested(now, date) {
            self.told = Some(Told { at: now.mono, unix: date });
        }
        let known = self.remembered.good_time.unwrap_or(0);
        if date > known {
            self.outputs.push_back(Output::RaiseClockFloor(date));
        }
        if date > known.saturating_add(GOOD_TIME_AGE) {
            self.remembered.good_time = Some(date);
            self.remember();
        }
    }
}
