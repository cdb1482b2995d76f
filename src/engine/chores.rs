//! What the disk still has to do for decisions that are taken: in order, one at a time, until it is done.
//!
//! A chore that fails is tried again after a pause, and the ones behind it wait, because each relies on those
//! before it: a capture's name is free only once the former one of that name has gone. Until then a restart
//! would find the board as if the decision had not been taken, and that is always safe: a segment is uploaded
//! again, and the server has it once.

use super::{
    Engine, Event, Now, Output, Timer,
    spool::{Scanned, Task},
};
use std::{collections::VecDeque, io, time::Duration};

/// A disk that is full or read-only stays so for a while.
const RETRY: Duration = Duration::from_secs(10);

/// Before what could not be read is looked for again.
const RESCAN: Duration = Duration::from_secs(300);

/// Tasks of the disk that nobody waits for.
#[derive(Debug, Default)]
pub struct Chores {
    waiting: VecDeque<Task>,
    under_way: bool,
    failing: bool,
}

impl Chores {
    /// Queues a task.
    pub fn add(&mut self, task: Task) {
        self.waiting.push_back(task);
    }

    /// Whether all is done.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Engine {
    /// Hands the next chore to the disk.
    pub(super) fn do_chore(&mut self) {
        if self.chores.under_way || self.chores.failing {
            return;
        }
        let Some(task) = self.chores.waiting.front() else { return };
        // What these two keep may have changed since they were queued.
        let task = match task.clone() {
            Task::SetAlarms { given_up, unix, .. } => {
                // What could not be read yet must not be written over.
                if self.alarms.is_unread {
                    self.chores.waiting.pop_front();
                    return self.do_chore();
                }
                Task::SetAlarms { owed: self.alarms.owed(), given_up, unix }
            }
            Task::Remember(_) => Task::Remember(self.remembered.clone()),
            other => other,
        };
        self.chores.under_way = true;
        self.outputs.push_back(Output::Disk(task));
    }

    pub(super) fn chore_done(&mut self, now: Now, result: io::Result<()>) {
        self.chores.under_way = false;
        let Some(task) = self.chores.waiting.front() else { return };
        match (task, result) {
            // A mark for people's eyes and a hint are worth no second try.
            (Task::Mark { .. } | Task::NoteUrl { .. }, _) | (_, Ok(())) => {
                let done = self.chores.waiting.pop_front();
                if let Some(Task::Forget { capture, .. }) = done {
                    self.forgot(capture);
                }
            }
            (_, Err(error)) => {
                self.chores.failing = true;
                self.timers.set(Timer::DiskRetry, now.mono + RETRY);
                self.tell(Event::DiskFailed(error.to_string()));
            }
        }
    }

    pub(super) fn retry_chore(&mut self, _now: Now) {
        self.chores.failing = false;
    }

    /// Something in the spool could not be read: perhaps it can be later.
    pub(super) fn look_again(&mut self, now: Now) {
        self.timers.set(Timer::Rescan, now.mono + RESCAN);
    }

    pub(super) fn rescan(&mut self, _now: Now) {
        let mut known = self.captures.names();
        known.extend(self.intake.target());
        self.outputs.push_back(Output::Disk(Task::Rescan { known, seed: self.rng.bits() }));
    }

    /// What a start, or a later look, found.
    pub(super) fn found(&mut self, now: Now, scanned: Scanned) {
        let Scanned { captures, unread, is_partial, alarms, problems, .. } = scanned;
        for problem in problems {
            self.tell(Event::SpoolProblem(problem));
        }
        if is_partial || !unread.is_empty() || alarms.is_none() {
            self.look_again(now);
        }
        self.captures.set_unread(unread);
        self.captures.adopt(captures);
        if let Some(alarms) = alarms.filter(|_| self.alarms.is_unread) {
            self.adopt_alarms(alarms);
        }
    }

    /// Keeps what the cloud last said.
    pub(super) fn remember(&mut self) {
        self.chores.add(Task::Remember(self.remembered.clone()));
    }
}
