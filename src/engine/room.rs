//! Room in the spool: the quota, the free-space floor, and what goes when there is none.
//!
//! What the server refused goes first, then whole captures that have ended: requested ones before motion,
//! oldest first; never the one that is being uploaded. Against the floor only bytes count that the disk would
//! win, and where those don't suffice nothing goes: the new segment is turned away instead.

use super::{
    Engine, Event, Now, Output,
    capture::{Capture, Segment, Standing},
    intake::Arrival,
    spool::{CaptureName, LostReason, Place, REFUSED, Staged, Task},
};
use crate::wire::Trigger;
use std::{collections::VecDeque, io};

/// Captures that were given up wholly keep their directory until the cloud has heard of it; in a long outage
/// only so many.
const MAX_EMPTY_CAPTURES: usize = 1_000;

/// What is known of the room.
#[derive(Debug)]
pub struct Room {
    /// What the server refused: path and size, oldest first.
    refused: VecDeque<(String, u64)>,
    /// Segments given up for want of space, since the start.
    pub evicted: u64,
    /// Segments whose file vanished, since the start.
    pub missing: u64,
    /// Captures that could go, while the disk weighs them.
    weighing: Vec<CaptureName>,
}

impl Room {
    /// As a start found it.
    pub fn new(refused: Vec<(String, u64)>) -> Room {
        Room { refused: refused.into(), evicted: 0, missing: 0, weighing: Vec::new() }
    }

    /// How many segments the server refused that are still there.
    pub fn refused_count(&self) -> usize {
        self.refused.len()
    }

    /// Whether segments of a capture of this name were refused, and are still there: another one's would replace them.
    pub fn has_refused_of(&self, name: CaptureName) -> bool {
        let beginning = format!("{REFUSED}/{name}.");
        self.refused.iter().any(|(path, _)| path.starts_with(&beginning))
    }

    /// Notes what was put into `refused/`: under a name that only the disk knows.
    pub fn add_refused(&mut self, refused: impl IntoIterator<Item = (String, u64)>) {
        self.refused.extend(refused);
    }

    fn refused_bytes(&self) -> u64 {
        self.refused.iter().map(|(_, bytes)| bytes).sum()
    }
}

impl Engine {
    /// Keeps the arrival if there is room, or makes room first: for the floor, then for the quota.
    pub(super) fn make_room(&mut self, now: Now, arrival: Arrival, staged: Staged) {
        if staged.free >= self.floor(&arrival) {
            return self.make_room_in_quota(now, arrival, staged);
        }
        let candidates = self.evictable(&arrival);
        let captures = candidates.iter().map(|name| self.owed_places(*name)).collect();
        self.room.weighing = candidates;
        self.outputs.push_back(Output::Disk(Task::Weigh { captures }));
        self.weigh_for(arrival, staged);
    }

    /// What the disk would win by each candidate.
    pub(super) fn weighed(&mut self, now: Now, result: io::Result<Vec<u64>>) {
        let candidates = std::mem::take(&mut self.room.weighing);
        let Some((arrival, staged)) = self.resume_weighing() else { return };
        let needed = self.floor(&arrival).saturating_sub(staged.free);
        // Meanwhile an upload may have begun.
        let evictable = self.evictable(&arrival);
        let weighed = candidates.into_iter().zip(result.unwrap_or_default());
        let weighed: Vec<_> =
            weighed.filter(|(name, weight)| *weight > 0 && evictable.contains(name)).collect();
        if !self.give_up(now, needed, &weighed, "the disk had less free space than --min_free") {
            let (free, floor) = (staged.free, self.floor(&arrival));
            let why = format!(
                "the disk is full: {free} bytes are free, {floor} should be (--min_free), and the spool has less to give up"
            );
            return self.turn_away(now, &arrival, &why);
        }
        self.make_room_in_quota(now, arrival, staged);
    }

    /// The disk has made the room that it could: the arrival is kept.
    pub(super) fn go_on_making_room(&mut self) {
        if !self.chores.is_making_room()
            && let Some(arrival) = self.resume_arrival()
        {
            self.keep(arrival);
        }
    }

    fn make_room_in_quota(&mut self, now: Now, arrival: Arrival, staged: Staged) {
        let quota = self.settings.spool_max.unwrap_or(u64::MAX);
        let used = self.captures.backlog().bytes + self.room.refused_bytes();
        let over = used.saturating_add(staged.bytes).saturating_sub(quota);
        let weighed: Vec<_> =
            self.evictable(&arrival).into_iter().map(|name| (name, self.owed_bytes(name))).collect();
        if !self.give_up(now, over, &weighed, "the spool had reached --spool_max") {
            let why = format!(
                "the spool is full: --spool_max allows {quota} bytes, and {used} of them are owed to the cloud"
            );
            return self.turn_away(now, &arrival, &why);
        }
        self.wait_for_room(arrival);
    }

    /// The free space that there should be: where a copy has found the disk full, room for that copy, too.
    fn floor(&self, arrival: &Arrival) -> u64 {
        self.settings.min_free.saturating_add(arrival.copy_bytes())
    }

    /// Gives up what the server refused, then captures, until so many bytes are won; or nothing, where all of it
    /// would not do.
    fn give_up(&mut self, now: Now, needed: u64, weighed: &[(CaptureName, u64)], why: &str) -> bool {
        let winnable = self.room.refused_bytes() + weighed.iter().map(|(_, weight)| weight).sum::<u64>();
        if winnable < needed {
            return false;
        }
        let mut won = 0;
        while won < needed
            && let Some((path, bytes)) = self.room.refused.pop_front()
        {
            self.tell(Event::RefusedDropped(path.clone()));
            self.chores.add(Task::DropRefused { path, unix: now.unix });
            won += bytes;
        }
        for (name, weight) in weighed {
            if won >= needed {
                break;
            }
            self.evict(now, *name, why);
            won += weight;
        }
        true
    }

    /// Captures that may go, in the order in which they go.
    fn evictable(&self, arrival: &Arrival) -> Vec<CaptureName> {
        let uploading = self.uploads.current_capture();
        let ended = self.captures.iter().filter(|(name, capture)| {
            let is_spared = uploading == Some(*name) || arrival.place.capture == *name;
            !capture.is_open() && !capture.is_settled() && !is_spared
        });
        let mut names: Vec<CaptureName> = ended.map(|(name, _)| name).collect();
        names.sort_by_key(|name| (name.trigger == Trigger::Pir, *name));
        names
    }

    fn owed_places(&self, name: CaptureName) -> Vec<Place> {
        let capture = self.captures.at(name).into_iter();
        capture.flat_map(|capture| capture.owed().map(|segment| segment.place(name))).collect()
    }

    fn owed_bytes(&self, name: CaptureName) -> u64 {
        self.captures.at(name).map_or(0, |capture| capture.owed().map(|segment| segment.kept.bytes).sum())
    }

    fn evict(&mut self, now: Now, name: CaptureName, why: &str) {
        let places = self.owed_places(name);
        self.tell(Event::Evicted { capture: name, segments: places.len() });
        for place in places {
            self.lose(now, place, LostReason::Evicted, why);
        }
        self.bound_empty_captures(name);
        self.report();
    }

    /// Forgets the oldest of too many captures that were given up wholly.
    fn bound_empty_captures(&mut self, newest: CaptureName) {
        let is_empty = |capture: &Capture| {
            let is_lost = |segment: &Segment| matches!(segment.standing, Standing::Lost(_));
            !capture.is_open() && capture.segments.iter().all(is_lost)
        };
        let target = self.intake.target();
        let empty = self
            .captures
            .iter()
            .filter(|(name, capture)| is_empty(capture) && *name != newest && target != Some(*name));
        let empty: Vec<CaptureName> = empty.map(|(name, _)| name).collect();
        let surplus = empty.len().saturating_sub(MAX_EMPTY_CAPTURES);
        for name in empty.into_iter().take(surplus) {
            self.forget(name);
        }
    }
}
