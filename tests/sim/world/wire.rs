//! What uploads put on the wire: how fast they may, and a month's budget that they must keep.

use super::{World, time::Happening};
use crate::disk::Opened;
use cloudtalker::engine::{
    Input, Pace, Remembered,
    calendar::{Month, Zone},
    rates::{Rate, Rates, Window},
    spool::Done,
    uploads::Request,
};
use std::{collections::BTreeMap, time::Duration};

/// For each byte of a file so many are counted: segments of the simulation are smaller than films by about as much.
const WEIGHT: u64 = 1_000;
/// What a request's head takes, greetings included, and what its answer takes.
const HEAD: u64 = 20 * WEIGHT;
const ANSWER: u64 = 5 * WEIGHT;
/// A body goes in pieces of so many bytes of a file.
const PIECE: u64 = 16;
/// A month's budget that will not do.
const BUDGET: u64 = 6 << 20;
/// What a request may still take when it is stopped.
const UNDER_WAY: u64 = 64 << 10;
/// What it is in truth at the world's beginning: 2026-11-18T11:06:40Z.
pub(super) const TRUTH: u64 = 1_795_000_000;
/// Minutes of the day, some of which most lives see: nothing is uploaded, then a while of slowness.
const NOTHING: Window = Window { from: 11 * 60 + 8, minutes: 3, rate: Rate::Nothing };
const SLOW: Window = Window { from: 11 * 60 + 11, minutes: 20, rate: Rate::AtMost(256 << 10) };
/// Longer than any month.
const MONTH: u64 = 31 * 24 * 60 * 60;
/// A timer may be late by less than a second of each clock.
const LATE: u64 = 2;

/// The wire, and what was said about it.
#[derive(Default)]
pub(super) struct Wire {
    /// Bytes since the board's start.
    total: u64,
    pace: Pace,
    /// The request that was given up.
    abandoned: Option<u64>,
    /// The rest of a body, which waits until more of it may go.
    waiting: Option<(Request, Option<Opened>)>,
    /// In truth, over all of the board's lives.
    months: BTreeMap<Month, u64>,
    /// The disk could not write the count lately: bytes go all the same.
    is_on_credit: bool,
    /// Bytes that went so, until a count is written that knows of them.
    on_credit: u64,
    /// Those of them that went after the disk could be written again: the end of what was under way.
    last_on_credit: u64,
    /// Those of them of which a restart knew nothing.
    forgiven: u64,
    /// How often a clock that nobody can contradict may have begun a month.
    months_begun: u64,
}

impl World {
    pub(super) fn rates(&self) -> Rates {
        let windows = if self.kind.windowed { &[NOTHING, SLOW][..] } else { &[] };
        Rates::new(Rate::Unlimited, windows).unwrap()
    }

    pub(super) fn monthly_budget(&self) -> Option<u64> {
        self.kind.budgeted.then_some(BUDGET)
    }

    /// What time it is in truth.
    pub(super) fn truth(&self) -> u64 {
        self.truth + self.now.as_secs()
    }

    /// What a cloud says that the time is.
    pub(super) fn date(&self) -> Option<u64> {
        (self.kind.has_a_calendar() && !self.kind.dateless).then(|| self.truth())
    }

    /// The board's clock jumps.
    pub(super) fn set_clock(&mut self, clock: u64) {
        self.clock = clock;
        self.wire.months_begun += 1;
    }

    /// The board sleeps for a month, and finds its link broken. Whether it was idle enough for that.
    pub(super) fn a_month_passes(&mut self) -> bool {
        if self.board.as_ref().is_some_and(|board| board.request.is_some()) {
            return false;
        }
        self.note(|| "--- a month passes".to_owned());
        if let Some(number) = self.link().map(|link| link.number) {
            self.unlinked(number);
        }
        self.truth += MONTH;
        self.clock += MONTH;
        self.wire.months_begun += 1;
        true
    }

    /// A board starts: it counts anew, from what it found.
    pub(super) fn start_wire(&mut self, found: &Remembered) {
        let (text, _) = self.files.file("/state.json").unwrap_or_default();
        let on_disk: Remembered = serde_json::from_slice(&text).unwrap_or_default();
        let wire = &mut self.wire;
        wire.forgiven += std::mem::take(&mut wire.on_credit);
        (wire.is_on_credit, wire.last_on_credit) = (false, 0);
        if found.spent != on_disk.spent {
            // It is there, and can't be read.
            wire.forgiven = wire.months.values().sum();
        }
        self.check_count(found);
        let wire = &mut self.wire;
        (wire.total, wire.pace, wire.abandoned, wire.waiting) = (0, Pace::default(), None, None);
        wire.months_begun += 1;
    }

    /// What a start finds is no less than what has crossed the wire in the month that it is.
    fn check_count(&mut self, found: &Remembered) {
        let (found, crossed) = (self.counted(found), self.crossed());
        if self.kind.budgeted && self.kind.is_told_the_time() && found + self.wire.forgiven < crossed {
            self.accuse(|| {
                format!("a start finds {found} bytes of a month in which {crossed} crossed the wire")
            });
        }
    }

    /// The disk has answered a task that was to remember this. It may have been asked for it before the last bytes went.
    pub(super) fn has_remembered(&mut self, remembered: &Remembered, done: &Done) {
        let is_written = matches!(done, Done::Settled(Ok(())));
        let is_behind = self.counted(remembered) + self.wire.forgiven < self.crossed();
        (self.wire.is_on_credit, self.wire.last_on_credit) = (!is_written, 0);
        if is_written && !(is_behind && self.kind.is_told_the_time()) {
            self.wire.on_credit = 0;
        }
    }

    /// What this says of the month that it is.
    fn counted(&self, remembered: &Remembered) -> u64 {
        let month = self.month().to_string();
        let spent = serde_json::to_value(&remembered.spent).unwrap();
        let months = spent["months"].as_object().into_iter().flatten();
        months.filter(|(of, _)| **of >= month).filter_map(|(_, bytes)| bytes.as_u64()).sum()
    }

    /// What has crossed the wire in that month.
    fn crossed(&self) -> u64 {
        self.wire.months.get(&self.month()).copied().unwrap_or(0)
    }

    fn month(&self) -> Month {
        Zone::default().month(self.truth())
    }

    /// A request goes out, with as much of its body as may go now: so many bytes of the file.
    pub(super) fn goes_out(&mut self, request: &Request) -> u64 {
        self.crosses(HEAD);
        self.body_goes_out(request)
    }

    fn body_goes_out(&mut self, request: &Request) -> u64 {
        let Request::Send { offset, kept, .. } = request else { return 0 };
        let (length, mut gone) = (kept.bytes - offset, 0);
        while gone < length && self.wire.pace.bytes.is_none_or(|mark| self.wire.total < mark) {
            let piece = PIECE.min(length - gone);
            self.crosses(piece * WEIGHT);
            gone += piece;
        }
        if self.kind.budgeted {
            let late = Duration::from_millis(self.chance(1_000));
            self.happen(late, Happening::Metered);
        }
        gone
    }

    /// How long a body of so many bytes takes.
    pub(super) fn time_for(&self, bytes: u64) -> Duration {
        match self.wire.pace.rate {
            Rate::AtMost(rate) => Duration::from_secs_f64((bytes * WEIGHT) as f64 / rate as f64),
            Rate::Nothing | Rate::Unlimited => Duration::ZERO,
        }
    }

    /// The cloud has a part of a body, and the board may not send more now.
    pub(super) fn body_waits(&mut self, request: &Request, opened: Option<Opened>, gone: u64) {
        let Request::Send { url, file, offset, kept } = request.clone() else { return };
        self.wire.waiting = Some((Request::Send { url, file, offset: offset + gone, kept }, opened));
        self.metered();
        self.body_goes_on();
    }

    pub(super) fn body_goes_on(&mut self) {
        let has_leave = self.wire.pace.bytes.is_none_or(|mark| self.wire.total < mark);
        let Some((number, _)) = self.board.as_ref().and_then(|board| board.request.clone()) else { return };
        if let Some((rest, opened)) = self.wire.waiting.take_if(|_| has_leave) {
            let gone = self.body_goes_out(&rest);
            self.sends_on(number, rest, opened, gone);
        }
    }

    /// Its answer comes, or there is none any more to come.
    pub(super) fn is_answered(&mut self) {
        self.wire.waiting = None;
        self.crosses(ANSWER);
        if self.kind.budgeted {
            self.metered();
        }
    }

    pub(super) fn metered(&mut self) {
        self.tell(Input::Metered(self.wire.total));
    }

    pub(super) fn hears_pace(&mut self, pace: Pace) {
        self.wire.pace = pace;
        self.input(Input::Metered(self.wire.total));
        self.happen(Duration::ZERO, Happening::BodyGoesOn);
    }

    pub(super) fn gives_up(&mut self, number: u64) {
        self.wire.abandoned = Some(number);
    }

    /// What holds whenever the engine has done all that an event brings about.
    pub(super) fn check_pace(&mut self) {
        let request = self.board.as_ref().and_then(|board| board.request.as_ref()).map(|(number, _)| *number);
        if self.wire.pace.rate == Rate::Nothing && request.is_some() && request != self.wire.abandoned {
            self.accuse(|| "an upload goes on at a time when nothing is to be uploaded".to_owned());
        }
        let is_closed = |unix| {
            let minute = Zone::default().minute_of_day(unix);
            (NOTHING.from..NOTHING.from + NOTHING.minutes).contains(&minute)
        };
        let is_known = self.kind.windowed && self.kind.is_told_the_time();
        let now = self.truth();
        if is_known
            && request.is_some()
            && request != self.wire.abandoned
            && is_closed(now)
            && is_closed(now - LATE)
        {
            self.accuse(|| format!("something is uploaded at {now}, when nothing should be"));
        }
    }

    /// Bytes cross the wire, either way.
    fn crosses(&mut self, bytes: u64) {
        let month = self.month();
        let wire = &mut self.wire;
        wire.total += bytes;
        if wire.is_on_credit || wire.on_credit > 0 {
            wire.on_credit += bytes;
            wire.last_on_credit += if wire.is_on_credit { 0 } else { bytes };
        }
        let last_on_credit = wire.last_on_credit;
        let of_month = wire.months.entry(month).or_default();
        *of_month += bytes;
        let (in_month, ever) = (*of_month, wire.months.values().sum::<u64>());
        let (forgiven, begun) = (wire.forgiven + wire.on_credit, wire.months_begun);
        if self.kind.budgeted && last_on_credit > UNDER_WAY {
            self.accuse(|| {
                format!("{last_on_credit} bytes went on credit although the disk could be written")
            });
        }
        if self.kind.is_told_the_time() {
            self.check_budget(in_month, BUDGET + forgiven);
        } else {
            self.check_budget(ever, (1 + begun) * BUDGET + forgiven);
        }
    }

    fn check_budget(&mut self, bytes: u64, most: u64) {
        if self.kind.budgeted && bytes > most {
            self.accuse(|| format!("{bytes} bytes crossed the wire, and {most} at most should have"));
        }
    }
}
