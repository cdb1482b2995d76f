//! What the disk still has to do for decisions that are taken, until it is done.
//!
//! Each chore has a subject: a capture, the alarms, what is remembered, what was refused. Those of one subject are done in
//! order, because each relies on those before it: a capture's name is free only once the former one of that name has gone.
//! A subject whose chore fails rests for a while, and the others go on. Until a chore is done a restart would find the
//! board as if the decision had not been taken, and that is always safe: a segment is uploaded again, and the server has
//! it once.

use super::{
    Engine, Event, Now, Output, Timer,
    capture::Capture,
    spool::{CaptureName, Scanned, Task},
};
use std::{
    collections::{BTreeSet, VecDeque},
    io,
    time::Duration,
};

/// A disk that is full or read-only stays so for a while.
const RETRY: Duration = Duration::from_secs(10);
/// Before what could not be read is looked for again.
const RESCAN: Duration = Duration::from_secs(300);

/// Tasks of the disk that nobody waits for.
#[derive(Debug, Default)]
pub struct Chores {
    waiting: VecDeque<Task>,
    under_way: Option<Task>,
    /// Subjects that rest after a failure.
    resting: BTreeSet<Subject>,
    /// Those of which the disk did not take the latest.
    failing: BTreeSet<Subject>,
}

/// What a chore is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Capture(CaptureName),
    Refused,
    Alarms,
    Remembered,
    /// What is being taken in, which is no chore, but may fail as well.
    Intake,
}

impl Subject {
    /// `None` for tasks that somebody waits for: those are no chores.
    fn of(task: &Task) -> Option<Subject> {
        match task {
            Task::Close { capture } | Task::Forget { capture, .. } => Some(Subject::Capture(*capture)),
            Task::NoteUrl { place, .. } | Task::Confirm { place } | Task::Lose { place, .. } => {
                Some(Subject::Capture(place.capture))
            }
            Task::DropRefused { .. } => Some(Subject::Refused),
            Task::SetAlarms { .. } => Some(Subject::Alarms),
            Task::Remember(_) => Some(Subject::Remembered),
            Task::Stage { .. }
            | Task::Keep { .. }
            | Task::Repeat { .. }
            | Task::Unstage
            | Task::Rehash { .. }
            | Task::AddAlarm(_)
            | Task::Weigh { .. }
            | Task::Rescan { .. } => None,
        }
    }
}

/// Whether the later task leaves nothing of what the earlier one writes.
fn replace_one_file(earlier: &Task, later: &Task) -> bool {
    match (earlier, later) {
        (Task::Remember(_), Task::Remember(_)) | (Task::SetAlarms { .. }, Task::SetAlarms { .. }) => true,
        (Task::NoteUrl { place, .. }, Task::NoteUrl { place: other, .. }) => place == other,
        (Task::Close { capture }, Task::Close { capture: other }) => capture == other,
        _ => false,
    }
}

impl Chores {
    /// Queues a task. What replaces a whole file is queued once, so that a disk that fails for days gathers no more of
    /// them than there are files.
    pub fn add(&mut self, task: Task) {
        match (self.waiting.iter_mut().find(|waiting| replace_one_file(waiting, &task)), task) {
            (Some(Task::SetAlarms { given_up, .. }), Task::SetAlarms { given_up: more, .. }) => {
                given_up.extend(more);
            }
            (Some(waiting), task) => *waiting = task,
            (None, task) => self.waiting.push_back(task),
        }
    }

    /// How many are still to be done, the one that is under way among them.
    pub fn count(&self) -> usize {
        self.waiting.len() + usize::from(self.under_way.is_some())
    }

    /// Whether there is nothing that can be done now: what rests after a failure is for a later life.
    pub fn is_at_rest(&self) -> bool {
        self.under_way.is_none() && self.waiting.iter().all(|task| self.is_resting(task))
    }

    /// Whether something is still to be done that gives the disk room, and may succeed soon.
    pub fn is_making_room(&self) -> bool {
        let makes_room = |task: &Task| matches!(task, Task::Lose { .. } | Task::DropRefused { .. });
        let may_succeed = |task: &Task| !self.is_resting(task);
        let waiting = self.waiting.iter().any(|task| makes_room(task) && may_succeed(task));
        waiting || self.under_way.as_ref().is_some_and(makes_room)
    }

    fn is_resting(&self, task: &Task) -> bool {
        Subject::of(task).is_some_and(|subject| self.resting.contains(&subject))
    }
}

impl Engine {
    /// Hands the next chore to the disk.
    pub(super) fn do_chore(&mut self) {
        if self.chores.under_way.is_some() {
            return;
        }
        self.drop_untrue_marks();
        let Some(index) = self.chores.waiting.iter().position(|task| !self.chores.is_resting(task)) else {
            return;
        };
        let chore = match self.chores.waiting.remove(index).expect("it was just found") {
            Task::SetAlarms { given_up, unix, .. } => {
                Task::SetAlarms { owed: self.alarms.owed(), given_up, unix }
            }
            Task::Remember(_) => Task::Remember(self.remembered.clone()),
            other => other,
        };
        self.outputs.push_back(Output::Disk(chore.clone()));
        self.chores.under_way = Some(chore);
    }

    /// A capture that is added to, or may hold what a failed attempt has left, is not to be marked as ended: a start
    /// would not look after it. Without the mark it does.
    fn drop_untrue_marks(&mut self) {
        let target = self.intake.target();
        let is_growing = |capture: &Capture| capture.is_open() || capture.may_hold_more;
        let is_true = |name| target != Some(name) && !self.captures.at(name).is_some_and(is_growing);
        self.chores.waiting.retain(|task| !matches!(task, Task::Close { capture } if !is_true(*capture)));
    }

    pub(super) fn chore_done(&mut self, now: Now, result: io::Result<()>) {
        let Some(chore) = self.chores.under_way.take() else { return };
        if let Task::Remember(remembered) = &chore {
            self.budget.written(remembered.spent.as_ref(), result.is_ok());
        }
        if let (Some(subject), Ok(())) = (Subject::of(&chore), &result) {
            self.disk_is_well(subject);
        }
        match (&chore, result) {
            (Task::Forget { capture, .. }, Ok(())) => self.forgot(*capture),
            // Marks and hints spare work, and are worth no second try.
            (Task::Close { .. } | Task::NoteUrl { .. }, _) | (_, Ok(())) => {}
            (_, Err(error)) => {
                let subject = Subject::of(&chore).expect("what is no chore is answered otherwise");
                self.chores.resting.insert(subject);
                self.chores.waiting.push_front(chore);
                self.timers.set(Timer::DiskRetry, now.mono + RETRY);
                let why = self.disk_failed(now, subject, &error);
                self.tell(Event::DiskFailed(why));
            }
        }
    }

    /// The disk did not take what a local program handed over.
    pub(super) fn intake_failed(&mut self, now: Now, error: &io::Error) {
        self.disk_failed(now, Subject::Intake, error);
    }

    /// It has taken something of theirs.
    pub(super) fn intake_is_well(&mut self) {
        self.disk_is_well(Subject::Intake);
    }

    fn disk_failed(&mut self, now: Now, subject: Subject, error: &io::Error) -> String {
        let why = format!("{}: {error}", self.settings.state_dir);
        self.chores.failing.insert(subject);
        self.trouble.disk_failed(now, &why);
        why
    }

    fn disk_is_well(&mut self, subject: Subject) {
        self.chores.failing.remove(&subject);
        // Nobody tries that again: whatever the disk takes shows that it is well.
        self.chores.failing.remove(&Subject::Intake);
        if self.chores.failing.is_empty() {
            self.trouble.disk_is_well();
        }
    }

    pub(super) fn retry_chores(&mut self, _now: Now) {
        self.chores.resting.clear();
    }

    /// Something in the spool could not be read: perhaps it can be later.
    pub(super) fn look_again(&mut self, now: Now) {
        if !self.timers.is_set(Timer::Rescan) {
            self.timers.set(Timer::Rescan, now.mono + RESCAN);
        }
    }

    pub(super) fn rescan(&mut self, _now: Now) {
        let mut known = self.captures.names();
        known.extend(self.intake.target());
        self.outputs.push_back(Output::Disk(Task::Rescan { known, seed: self.rng.bits() }));
    }

    /// What a start, or a later look, found.
    pub(super) fn found(&mut self, now: Now, scanned: Scanned) {
        let Scanned { captures, unread, is_partial, alarms, problems, refused, .. } = scanned;
        self.room.add_refused(refused);
        self.tell_problems(problems);
        if is_partial || !unread.is_empty() || alarms.is_none() {
            self.look_again(now);
        }
        self.captures.set_unread(unread);
        self.captures.adopt(captures);
        if let Some(alarms) = alarms.filter(|_| self.alarms.is_unread) {
            self.adopt_alarms(now, alarms);
        }
    }

    /// What the disk has met that was not the spool's, or not whole.
    pub(super) fn tell_problems(&mut self, problems: Vec<String>) {
        for problem in problems {
            self.tell(Event::SpoolProblem(format!("{}: {problem}", self.settings.state_dir)));
        }
    }

    /// Keeps what the cloud last said.
    pub(super) fn remember(&mut self) {
        self.chores.add(Task::Remember(self.remembered.clone()));
    }
}
