//! What goes wrong on the board itself, for whoever asks how the agent is doing: a disk that can't be written, local programs
//! whose segments are not taken. The session may be up meanwhile, and nothing wait.

use super::Now;
use serde::Serialize;

/// What has gone wrong so far.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Since when the disk takes some decision not, and what it said last.
    disk: Option<Fault>,
    /// What was not taken last of what local programs said.
    refusal: Option<Fault>,
}

#[derive(Debug)]
struct Fault {
    at: Now,
    why: String,
}

/// As the status has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FaultStatus<'a> {
    /// When it was, or began, in seconds since 1970 by the board's clock.
    at: u64,
    /// How many seconds ago that was, whatever the clock did meanwhile.
    age: u64,
    why: &'a str,
}

impl Trouble {
    /// The disk did not take a decision.
    pub fn disk_failed(&mut self, now: Now, why: &str) {
        let at = self.disk.as_ref().map_or(now, |fault| fault.at);
        self.disk = Some(Fault { at, why: why.to_owned() });
    }

    /// It has taken all that it did not take before.
    pub fn disk_is_well(&mut self) {
        self.disk = None;
    }

    /// A message of a local program's, or what it named, is not taken.
    pub fn refused(&mut self, now: Now, why: &str) {
        self.refusal = Some(Fault { at: now, why: why.to_owned() });
    }

    /// Whether the disk fails.
    pub fn is_disks(&self) -> bool {
        self.disk.is_some()
    }

    /// What the disk fails with, for the status.
    pub fn disk(&self, now: Now) -> Option<FaultStatus<'_>> {
        self.disk.as_ref().map(|fault| fault.status(now))
    }

    /// The latest refusal, for the status.
    pub fn refusal(&self, now: Now) -> Option<FaultStatus<'_>> {
        self.refusal.as_ref().map(|fault| fault.status(now))
    }
}

impl Fault {
    fn status(&self, now: Now) -> FaultStatus<'_> {
        let age = now.mono.saturating_sub(self.at.mono).as_secs();
        FaultStatus { at: self.at.unix, age, why: &self.why }
    }
}
