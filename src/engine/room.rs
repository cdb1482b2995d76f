//! Room in the spool: the quota, the free-space floor, and what goes when there is none.
//!
//! What the server refused goes first, then whole captures that have ended: requested ones before motion,
//! oldest first; never the one that is being uploaded. Against the floor only bytes count that the disk would
//! win, and where those don't suffice nothing goes: the new segment is turned away instead.

use super::{
    Engine, Event, Now, Output,
    captures::Standing,
    intake::Arrival,
    spool::{CaptureName, LostReason, Staged, Task},
};
use crate::wire::Trigger;
use std::{collections::VecDeque, io};

/// Captures that were given up wholly keep their directory until the cloud has heard of it; in a long outage
/// only so many.
const MAX_EMPTY_CAPTURES: usize = 1_000;

/// What is known of the room.
#[derive(Debug)]
pub struct Room {
    /// What the server refused: name and size, oldest first.
    refused: VecDeque<(String, u64)>,
    /// Segments given up for want of space, since the start.
    pub evicted: u64,
    /// Segments whose file vanished, since the start.
    pub missing: u64,
    /// Captures that could go, while the disk weighs them.
    weighing: Option<Vec<CaptureName>>,
}

impl Room {
    /// As a start found it.
    pub fn new(refused: Vec<(String, u64)>) -> Room {
        Room { refused: refused.into(), evicted: 0, missing: 0, weighing: None }
    }

    /// How many segments the server refused that are still there.
    pub fn refused_count(&self) -> usize {
        self.refused.len()
    }

    /// Notes that a segment was put into `refused/`.
    pub fn add_refused(&mut self, name: String, bytes: u64) {
        self.refused.push_back((name, bytes));
    }

    fn refused_bytes(&self) -> u64 {
        self.refused.iter().map(|(_, bytes)| bytes).sum()
    }
}

impl Engine {
    /// Keeps the arrival if there is room, or makes room first.
    pub(super) fn make_room(&mut self, now: Now, arrival: Arrival, staged: Staged) {
        if staged.free < self.settings.min_free {
            let candidates = self.evictable();
            let places = candidates.iter().filter_map(|name| self.owed_places(*name)).collect();
            self.room.weighing = Some(candidates);
            self.outputs.push_back(Output::Disk(Task::Weigh { captures: places }));
            return self.wait_for_room(arrival, staged);
        }
        let quota = self.settings.spool_max.unwrap_or(u64::MAX);
        let used = self.captures.backlog().bytes + self.room.refused_bytes();
        let over = used.saturating_add(staged.bytes).saturating_sub(quota);
        if over == 0 {
            return self.keep(arrival);
        }
        let candidates: Vec<(CaptureName, u64)> = self
            .evictable()
            .into_iter()
            .map(|name| (name, self.owed_places(name).map_or(0, |_| self.owed_bytes(name))))
            .collect();
        let winnable = self.room.refused_bytes() + candidates.iter().map(|(_, bytes)| bytes).sum::<u64>();
        if winnable < over {
            let why = format!(
                "the spool is full: --spool_max allows {quota} bytes, and {used} of them are owed to the cloud"
            );
            return self.turn_away(&arrival, &why);
        }
        let mut won = self.drop_refused(now, over);
        for (name, bytes) in candidates {
            if won >= over {
                break;
            }
            self.evict(now, name, "the spool had reached --spool_max");
            won += bytes;
        }
        self.wait_for_room(arrival, staged);
    }

    /// What the disk would win by each candidate.
    pub(super) fn weighed(&mut self, now: Now, result: io::Result<Vec<u64>>) {
        let candidates = self.room.weighing.take().unwrap_or_default();
        let Some((arrival, staged)) = self.resume_arrival() else { return };
        let needed = self.settings.min_free.saturating_sub(staged.free);
        let weights = result.unwrap_or_default();
        let winnable = self.room.refused_bytes() + weights.iter().sum::<u64>();
        if winnable < needed {
            let Staged { free, .. } = staged;
            let floor = self.settings.min_free;
            let why = format!(
                "the disk is full: {free} bytes are free, --min_free wants {floor}, and the spool has only {winnable} to give up"
            );
            return self.turn_away(&arrival, &why);
        }
        let mut won = self.drop_refused(now, needed);
        for (name, weight) in candidates.into_iter().zip(weights) {
            if won >= needed {
                break;
            }
            if weight > 0 {
                self.evict(now, name, "the disk had less free space than --min_free");
                won += weight;
            }
        }
        self.wait_for_room(arrival, staged);
    }

    /// Once the disk has made room, the arrival is kept.
    pub(super) fn go_on_making_room(&mut self, _now: Now) {
        if !self.chores.is_idle() || self.room.weighing.is_some() {
            return;
        }
        if let Some((arrival, _)) = self.resume_arrival() {
            self.keep(arrival);
        }
    }

    /// Captures that may go, in the order in which they go.
    fn evictable(&self) -> Vec<CaptureName> {
        let spared = [self.uploads.current_capture(), self.intake.target()];
        let ended = self.captures.iter().filter(|(name, capture)| {
            !capture.is_open() && !capture.is_settled() && !spared.contains(&Some(*name))
        });
        let mut names: Vec<CaptureName> = ended.map(|(name, _)| name).collect();
        names.sort_by_key(|name| (name.trigger == Trigger::Pir, *name));
        names
    }

    fn owed_places(&self, name: CaptureName) -> Option<Vec<super::spool::Place>> {
        self.captures.at(name).map(|capture| capture.owed().map(|segment| segment.place(name)).collect())
    }

    fn owed_bytes(&self, name: CaptureName) -> u64 {
        self.captures.at(name).map_or(0, |capture| capture.owed().map(|segment| segment.kept.bytes).sum())
    }

    fn evict(&mut self, now: Now, name: CaptureName, why: &str) {
        let places = self.owed_places(name).unwrap_or_default();
        self.tell(Event::Evicted { capture: name, segments: places.len() });
        for place in places {
            self.lose(now, place, LostReason::Evicted, why);
        }
        self.bound_empty_captures();
        self.report();
    }

    /// Drops refused segments, oldest first, until so many bytes are won.
    fn drop_refused(&mut self, now: Now, needed: u64) -> u64 {
        let mut won = 0;
        while won < needed
            && let Some((name, bytes)) = self.room.refused.pop_front()
        {
            self.tell(Event::RefusedDropped(name.clone()));
            self.chores.add(Task::DropRefused { name, unix: now.unix });
            won += bytes;
        }
        won
    }

    fn bound_empty_captures(&mut self) {
        let is_empty = |capture: &super::captures::Capture| {
            !capture.is_open()
                && capture.segments.iter().all(|segment| matches!(segment.standing, Standing::Lost(_)))
        };
        let empty: Vec<CaptureName> =
            self.captures.iter().filter(|(_, capture)| is_empty(capture)).map(|(name, _)| name).collect();
        let surplus = empty.len().saturating_sub(MAX_EMPTY_CAPTURES);
        for name in empty.into_iter().take(surplus) {
            self.forget(name);
        }
    }
}
