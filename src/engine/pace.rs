//! How fast uploads go, and how far: the owner's rate of this time of day, and what is left of the month's budget.
//!
//! Both change in the middle of an upload. So they are looked up after each event, and what the upload worker may do is
//! told whenever it changes; where it is nothing, the upload is given up, and goes on another time at the server's
//! offset.

use super::{
    Engine, Event, Now, Output, Timer, budget::Standing, rates::Rate, spool::Place, uploads::Choice,
};
use std::time::Duration;

/// What uploads may do from now on, the one that is under way among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How fast.
    pub rate: Rate,
    /// After how many bytes on the wire since the start, all in all, no more of a segment may go before another pace
    /// is told.
    pub bytes: Option<u64>,
}

impl Default for Pace {
    /// As fast as it goes, for ever.
    fn default() -> Pace {
        Pace { rate: Rate::Unlimited, bytes: None }
    }
}

/// The rate in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// How fast.
    pub rate: Rate,
    /// Until when, in seconds since 1970, if it changes.
    pub until: Option<u64>,
    /// Whether it is of this time of day; else that is not known, and it is the lowest.
    pub is_timely: bool,
}

impl Engine {
    /// All bytes that uploads have put on the wire since the start.
    pub(super) fn metered(&mut self, total: u64) {
        self.budget.count(total);
    }

    /// Looks up what uploads may do now, and stops the one that may do nothing any more.
    pub(super) fn look_at_pace(&mut self, now: Now) {
        let time = self.time(now);
        self.turn_month(time);
        self.tell_standing(now);
        let in_force = self.rate_in_force(time);
        self.wake_at_change(now, time, in_force);
        if self.stopping {
            return self.leave_count();
        }
        if in_force.rate != self.pace.rate {
            self.set_pace(Pace { rate: in_force.rate, ..self.pace });
            if !self.settings.rates.is_constant() {
                self.tell(Event::Rate(in_force));
            }
        }
        if let Some(place) = self.uploads.current_place() {
            self.look_at_upload(now, place);
        }
    }

    /// The rate of this time of day, or the lowest, where nobody knows what time it is.
    pub(super) fn rate_in_force(&self, time: Option<u64>) -> InForce {
        let (rates, zone) = (&self.settings.rates, &self.settings.zone);
        let Some(time) = time.filter(|_| !rates.is_constant()) else {
            return InForce { rate: rates.lowest(), until: None, is_timely: rates.is_constant() };
        };
        let rate = rates.at(zone.minute_of_day(time));
        let mut until = time;
        // Once more for each time that clocks are changed before.
        while let Some(minutes) = rates.change_after(zone.minute_of_day(until)) {
            until = zone.minutes_later(until, minutes);
            if rates.at(zone.minute_of_day(until)) != rate {
                break;
            }
        }
        InForce { rate, until: Some(until), is_timely: true }
    }

    /// What may be uploaded within the budget.
    pub(super) fn affordable(&self) -> Option<Choice> {
        match self.settings.monthly_budget {
            Some(limit) => self.budget.choice(limit, self.standing(limit)),
            None => Some(Choice::Oldest),
        }
    }

    /// Whether nothing is uploaded at this time of day.
    pub(super) fn is_paused(&self) -> bool {
        self.pace.rate == Rate::Nothing
    }

    /// Whether a segment may go on now, of which the worker then knows how far it may go. Else it may once the disk has
    /// written what it is asked for, or in another month.
    pub(super) fn allow(&mut self, place: Place) -> bool {
        let Some(limit) = self.settings.monthly_budget else {
            self.set_pace(Pace { bytes: None, ..self.pace });
            return true;
        };
        let is_first = self.is_first(place);
        if !self.budget.is_spent(limit, is_first)
            && let Some(next) = self.budget.next_on_disk(limit, self.remembered.spent.as_ref())
        {
            self.remembered.spent = Some(next);
            self.remember();
        }
        self.set_pace(Pace { bytes: Some(self.budget.allowed(limit, is_first)), ..self.pace });
        self.budget.allows(limit, is_first)
    }

    pub(super) fn standing(&self, limit: u64) -> Standing {
        self.budget.standing(limit, self.captures.bytes_left())
    }

    /// Another budget: the owner has not heard how it stands.
    pub(super) fn reload_budget(&mut self) {
        self.budget.told = Standing::Ample;
    }

    /// The segment that is being uploaded goes on, waits for the disk, or stops.
    fn look_at_upload(&mut self, now: Now, place: Place) {
        let is_allowed = self.allow(place);
        let limit = self.settings.monthly_budget.unwrap_or(u64::MAX);
        let is_spent = !is_allowed && self.budget.is_spent(limit, self.is_first(place));
        if is_spent || self.is_paused() || self.gives_way(now, place) {
            self.stop_upload();
        }
    }

    /// Whether a first segment that may go now is to go before that one, though it is under way.
    fn gives_way(&self, now: Now, place: Place) -> bool {
        let is_short = self.affordable() == Some(Choice::FirstsBeforeOthers);
        is_short && !self.is_first(place) && self.is_first_due(now)
    }

    /// A capture is worth most by its first segment: it shows what happened.
    fn is_first(&self, place: Place) -> bool {
        self.captures.at(place.capture).is_some_and(|capture| capture.is_first(place.seg_no))
    }

    fn set_pace(&mut self, pace: Pace) {
        if self.pace != pace {
            self.pace = pace;
            self.outputs.push_back(Output::Pace(pace));
        }
    }

    fn turn_month(&mut self, time: Option<u64>) {
        let Some(time) = time else { return };
        let month = self.settings.zone.month(time);
        if self.budget.turn(month) && self.budget.told > Standing::Ample {
            self.budget.told = Standing::Ample;
            self.tell(Event::BudgetAnew(month));
        }
    }

    /// The owner hears once when it becomes short, and once when it is used up.
    fn tell_standing(&mut self, now: Now) {
        let Some(limit) = self.settings.monthly_budget else { return };
        let standing = self.standing(limit);
        if standing <= self.budget.told {
            return;
        }
        self.budget.told = standing;
        let until = self.month_ends(now);
        match standing {
            Standing::Ample => {}
            Standing::Short => self.tell(Event::BudgetShort { left: self.budget.left(limit), limit, until }),
            Standing::UsedUp => self.tell(Event::BudgetUsedUp { limit, until }),
        }
    }

    /// When the month ends, in seconds since 1970, if anybody knows the time.
    pub(super) fn month_ends(&self, now: Now) -> Option<u64> {
        self.time(now).and_then(|time| self.settings.zone.next_month(time))
    }

    /// By a clock of whole seconds it may be a moment early, and is set once more then.
    fn wake_at_change(&mut self, now: Now, time: Option<u64>, in_force: InForce) {
        let month = self.settings.monthly_budget.and_then(|_| self.month_ends(now));
        match (time, in_force.until.into_iter().chain(month).min()) {
            (Some(time), Some(change)) => {
                let wait = Duration::from_secs(change.saturating_sub(time).max(1));
                self.timers.set(Timer::Pace, now.mono + wait);
            }
            (None, _) | (_, None) => self.timers.clear(Timer::Pace),
        }
    }

    /// Whether an upload may still put something on the wire that the budget is to have.
    pub(super) fn is_still_counting(&self) -> bool {
        self.settings.monthly_budget.is_some() && self.uploads.current_place().is_some()
    }

    /// A restart that was asked for finds the count as it is.
    fn leave_count(&mut self) {
        let is_due = self.settings.monthly_budget.is_some() && !self.is_still_counting();
        let exact = self.budget.last_on_disk(self.remembered.spent.as_ref()).filter(|_| is_due);
        if let Some(exact) = exact {
            self.remembered.spent = Some(exact);
            self.remember();
        }
    }
}
