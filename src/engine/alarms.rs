//! Alarms: sent at once where the cloud is there, and owed until it says that it has them.

use super::{Engine, Event, Now, Output, SourceId, spool::Task};
use crate::wire::{
    Id,
    cloud::{Alarm, ToCloud},
    input::Reply,
};
use std::{collections::VecDeque, io};

/// More alarms than a person will look at. Beyond them the oldest go into the loss ledger.
const MAX_OWED: usize = 1_000;

/// Alarms that the cloud has not confirmed.
#[derive(Debug)]
pub struct Alarms {
    owed: VecDeque<Alarm>,
    /// Whether what a former life left could not be read yet.
    pub is_unread: bool,
    /// Who waits for the disk: one for each alarm that is being written, in order.
    writing: VecDeque<(SourceId, bool, Id)>,
}

impl Default for Alarms {
    fn default() -> Alarms {
        Alarms { owed: VecDeque::new(), is_unread: true, writing: VecDeque::new() }
    }
}

impl Alarms {
    /// What is owed, oldest first.
    pub fn owed(&self) -> Vec<Alarm> {
        self.owed.iter().cloned().collect()
    }

    /// How many are owed.
    pub fn count(&self) -> usize {
        self.owed.len()
    }

    /// How many are being written.
    pub fn unwritten(&self) -> usize {
        self.writing.len()
    }
}

impl Engine {
    pub(super) fn raise_alarm(&mut self, now: Now, source: SourceId, gpio: Option<u32>, ack: bool) {
        let id = self.rng.id();
        let alarm = Alarm { trigger_timestamp: now.unix, id: Some(id), gpio };
        self.tell(Event::Alarm);
        if self.session.is_ready() {
            self.say(ToCloud::Alarm(alarm.clone()));
        }
        self.alarms.owed.push_back(alarm.clone());
        self.alarms.writing.push_back((source, ack, id));
        self.outputs.push_back(Output::Disk(Task::AddAlarm(alarm)));
        let surplus = self.alarms.owed.len().saturating_sub(MAX_OWED);
        if surplus > 0 {
            let given_up = self.alarms.owed.drain(..surplus).collect();
            self.set_alarms(now, given_up);
        }
        self.settle_said_alarms(now);
    }

    /// What a former life left.
    pub(super) fn adopt_alarms(&mut self, now: Now, found: Vec<Alarm>) {
        self.alarms.is_unread = false;
        let new: Vec<Alarm> = found.into_iter().filter(|alarm| !self.alarms.owed.contains(alarm)).collect();
        for alarm in new {
            if self.session.is_ready() {
                self.say(ToCloud::Alarm(alarm.clone()));
            }
            self.alarms.owed.push_back(alarm);
        }
        self.settle_said_alarms(now);
    }

    pub(super) fn alarm_added(&mut self, now: Now, result: io::Result<()>) {
        let Some((source, ack, id)) = self.alarms.writing.pop_front() else { return };
        let reply = match result {
            Ok(()) => {
                self.intake_is_well();
                Reply { ok: true, alarm: Some(id), ..Reply::default() }
            }
            Err(error) => {
                self.intake_failed(now, &error);
                let why = format!("the alarm was sent if the cloud is there, but can't be kept: {error}");
                self.trouble.refused(now, &why);
                self.tell(Event::InputRefused { path: None, why: why.clone() });
                Reply::refused(why)
            }
        };
        self.settle_message(now, source, ack.then_some(reply));
    }

    /// A new session: what is owed is said again.
    pub(super) fn say_alarms(&mut self, now: Now) {
        for alarm in self.alarms.owed() {
            self.say(ToCloud::Alarm(alarm));
        }
        self.settle_said_alarms(now);
    }

    /// Without receipts, once on a live session is enough.
    fn settle_said_alarms(&mut self, now: Now) {
        if self.session.is_ready_without_receipts() && !self.alarms.owed.is_empty() {
            self.alarms.owed.clear();
            self.set_alarms(now, Vec::new());
        }
    }

    pub(super) fn alarm_received(&mut self, now: Now, id: Id) {
        let before = self.alarms.owed.len();
        self.alarms.owed.retain(|alarm| alarm.id != Some(id));
        if self.alarms.owed.len() < before {
            self.set_alarms(now, Vec::new());
        }
    }

    fn set_alarms(&mut self, now: Now, given_up: Vec<Alarm>) {
        // What could not be read yet must not be written over: it goes with the next change.
        if !self.alarms.is_unread {
            self.chores.add(Task::SetAlarms { owed: Vec::new(), given_up, unix: now.unix });
        }
    }
}
