//! The captures that the board owes, and which of them a segment belongs to.

use super::{
    capture::{Capture, Segment, Standing},
    spool::{CaptureName, FoundCapture},
};
use crate::wire::{Id, Sha256, Trigger, cloud::Backlog};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

/// A capture's end lists all its segments in one message, which a cloud must take: 1 MiB for so many. What comes
/// beyond begins another capture of the same time.
const MAX_SEGMENTS: usize = 10_000;

/// Every capture that is owed, oldest first.
#[derive(Debug, Default)]
pub struct Captures {
    all: BTreeMap<CaptureName, Capture>,
    /// Names under which the disk has something that could not be read.
    unread: BTreeSet<CaptureName>,
    /// What is owed, since a capture was changed last: the budget asks after each event, and a spool has thousands.
    owed: Cell<Option<Owed>>,
}

/// What is owed, and how much of it is still to go.
#[derive(Clone, Copy, Debug, Default)]
struct Owed {
    backlog: Backlog,
    /// Of its bytes, those that have not gone out yet.
    left: u64,
}

/// Where a new segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It is there already.
    Repeat(CaptureName, u32),
    /// It joins a capture.
    Join(CaptureName, u32),
    /// It begins one.
    Begin(CaptureName, u32),
}

impl Captures {
    /// The capture of this name.
    pub fn at(&self, name: CaptureName) -> Option<&Capture> {
        self.all.get(&name)
    }

    /// The capture of this name.
    pub fn at_mut(&mut self, name: CaptureName) -> Option<&mut Capture> {
        self.owed.take();
        self.all.get_mut(&name)
    }

    /// Every capture that has not gone, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (CaptureName, &Capture)> {
        self.all.iter().map(|(name, capture)| (*name, capture)).filter(|(_, capture)| !capture.forgotten)
    }

    /// The name of the capture with this identity.
    pub fn named(&self, id: Id) -> Option<CaptureName> {
        self.all.iter().find_map(|(name, capture)| (capture.id == id).then_some(*name))
    }

    /// Adds a new capture.
    pub fn begin(&mut self, name: CaptureName, id: Id) {
        self.owed.take();
        self.all.insert(name, Capture::new(id));
    }

    /// Takes a name that the disk has something under which could not be read.
    pub fn reserve(&mut self, name: CaptureName) {
        self.unread.insert(name);
    }

    /// How many names can't be used.
    pub fn unread_count(&self) -> usize {
        self.unread.len()
    }

    /// The names that can't be used, as the last look found them.
    pub fn set_unread(&mut self, unread: Vec<CaptureName>) {
        self.unread = unread.into_iter().collect();
    }

    /// Every capture's name.
    pub fn names(&self) -> Vec<CaptureName> {
        self.all.keys().copied().collect()
    }

    /// Adds what a start, or a later look, has found. All of it has ended.
    pub fn adopt(&mut self, found: Vec<FoundCapture>) {
        self.owed.take();
        let captures = found.into_iter().map(|found| (found.name, Capture::found(found)));
        self.all.extend(captures);
    }

    /// Lets a capture go for good: its name may be used again.
    pub fn remove(&mut self, name: CaptureName) -> Option<Capture> {
        self.owed.take();
        self.all.remove(&name)
    }

    /// Decides where a segment of this trigger and time belongs.
    ///
    /// Time is an attribute, no identity: a board without a clock chip gives the same times at every boot. So
    /// the same number and digest is a repeat; else it joins a capture that is open and lacks the number, or
    /// reopens one that is not confirmed yet; and whatever contradicts those begins a new one, under a name that neither
    /// the spool nor `is_elsewhere` has.
    pub fn place(
        &self,
        trigger: Trigger,
        timestamp: u64,
        seg_no: Option<u32>,
        sha256: Sha256,
        is_elsewhere: impl Fn(CaptureName) -> bool,
    ) -> Placement {
        let namesakes = || self.namesakes(trigger, timestamp).filter(|(_, capture)| !capture.forgotten);
        let is_repeat = |segment: &&Segment| {
            let is_here = !matches!(segment.standing, Standing::Lost(_));
            is_here && segment.kept.sha256 == sha256 && seg_no.is_none_or(|seg_no| segment.seg_no == seg_no)
        };
        for (name, capture) in namesakes() {
            if let Some(segment) = capture.segments.iter().find(is_repeat) {
                return Placement::Repeat(name, segment.seg_no);
            }
        }
        let number_in = |capture: &Capture| match seg_no {
            _ if capture.segments.len() >= MAX_SEGMENTS => None,
            Some(seg_no) => capture.segment(seg_no).is_none().then_some(seg_no),
            None => capture.next_seg_no(),
        };
        let takers = || {
            namesakes()
                .rev()
                .filter_map(|(name, capture)| number_in(capture).map(|number| (name, capture, number)))
        };
        let newest_open = takers().find(|(_, capture, _)| capture.is_open());
        if let Some((name, _, number)) = newest_open.or_else(|| takers().next()) {
            return Placement::Join(name, number);
        }
        let name = |ordinal| CaptureName { timestamp, trigger, ordinal };
        let is_taken =
            |name| self.all.contains_key(&name) || self.unread.contains(&name) || is_elsewhere(name);
        let free = (1..).map(name).find(|name| !is_taken(*name)).expect("there are more names than captures");
        Placement::Begin(free, seg_no.unwrap_or(0))
    }

    /// The first second from this one on that no capture of this trigger has.
    pub fn free_second(&self, trigger: Trigger, from: u64) -> u64 {
        (from.max(1)..).find(|second| self.namesakes(trigger, *second).next().is_none()).unwrap_or(from)
    }

    fn namesakes(
        &self,
        trigger: Trigger,
        timestamp: u64,
    ) -> impl DoubleEndedIterator<Item = (CaptureName, &Capture)> {
        let name = |ordinal| CaptureName { timestamp, trigger, ordinal };
        self.all.range(name(0)..=name(u32::MAX)).map(|(name, capture)| (*name, capture))
    }

    /// What is owed.
    pub fn backlog(&self) -> Backlog {
        self.owed().backlog
    }

    /// How many bytes are still to go: of what is under way, or was cut off, the rest.
    pub fn bytes_left(&self) -> u64 {
        self.owed().left
    }

    fn owed(&self) -> Owed {
        let owed = self.owed.get().unwrap_or_else(|| self.count_owed());
        self.owed.set(Some(owed));
        owed
    }

    fn count_owed(&self) -> Owed {
        let Owed { mut backlog, mut left } = Owed::default();
        for (name, capture) in self.iter() {
            backlog.captures += 1;
            backlog.oldest =
                Some(backlog.oldest.map_or(name.timestamp, |oldest: u64| oldest.min(name.timestamp)));
            for segment in capture.owed() {
                backlog.segments += 1;
                backlog.bytes += segment.kept.bytes;
                left += segment.left();
            }
        }
        Owed { backlog, left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::spool::{Kept, LostReason},
        wire::segment_name::Container,
    };

    const DIGEST: Sha256 = Sha256([1; 32]);
    const OTHER: Sha256 = Sha256([2; 32]);

    fn name(ordinal: u32) -> CaptureName {
        CaptureName { timestamp: 35, trigger: Trigger::Pir, ordinal }
    }

    /// A capture with segment 0 of `DIGEST`.
    fn captures(sources: u32) -> Captures {
        let mut captures = Captures::default();
        captures.begin(name(1), Id(1));
        add(&mut captures, 1, 0, DIGEST);
        captures.at_mut(name(1)).unwrap().sources = sources;
        captures
    }

    fn add(captures: &mut Captures, ordinal: u32, seg_no: u32, sha256: Sha256) {
        let kept = Kept { bytes: 1, sha256, mtime_ns: 0 };
        captures.at_mut(name(ordinal)).unwrap().add(Segment::new(seg_no, Container::Mp4, kept));
    }

    fn place(captures: &Captures, seg_no: u32, sha256: Sha256) -> Placement {
        captures.place(Trigger::Pir, 35, Some(seg_no), sha256, |_| false)
    }

    #[test]
    fn the_first_segment_begins_a_capture() {
        assert_eq!(place(&Captures::default(), 0, DIGEST), Placement::Begin(name(1), 0));
    }

    #[test]
    fn the_same_number_and_digest_is_a_repeat() {
        for sources in [0, 1] {
            assert_eq!(place(&captures(sources), 0, DIGEST), Placement::Repeat(name(1), 0));
        }
    }

    #[test]
    fn a_new_number_joins_or_reopens() {
        for sources in [0, 1] {
            assert_eq!(place(&captures(sources), 1, OTHER), Placement::Join(name(1), 1));
        }
    }

    #[test]
    fn a_reused_time_begins_a_new_capture_and_the_rest_follows_it() {
        let mut captures = captures(0);
        add(&mut captures, 1, 1, DIGEST);
        assert_eq!(place(&captures, 0, OTHER), Placement::Begin(name(2), 0));
        captures.begin(name(2), Id(2));
        captures.at_mut(name(2)).unwrap().sources = 1;
        add(&mut captures, 2, 0, OTHER);
        assert_eq!(place(&captures, 1, OTHER), Placement::Join(name(2), 1));
        assert_eq!(place(&captures, 2, OTHER), Placement::Join(name(2), 2));
    }

    #[test]
    fn a_name_that_refused_segments_still_have_is_not_used_again() {
        let refused = |taken: CaptureName| taken == name(1) || taken == name(2);
        let placement = Captures::default().place(Trigger::Pir, 35, Some(0), DIGEST, refused);
        assert_eq!(placement, Placement::Begin(name(3), 0));
    }

    #[test]
    fn a_capture_that_is_full_is_followed_by_another() {
        let mut captures = captures(1);
        for seg_no in 1..u32::try_from(MAX_SEGMENTS).unwrap() {
            add(&mut captures, 1, seg_no, DIGEST);
        }
        assert_eq!(place(&captures, 10_000, OTHER), Placement::Begin(name(2), 10_000));
    }

    #[test]
    fn what_is_owed_is_counted_anew_after_each_change() {
        let mut captures = captures(0);
        let changes: [fn(&mut Captures); 7] = [
            |captures| add(captures, 1, 1, OTHER),
            |captures| captures.begin(name(2), Id(2)),
            |captures| captures.at_mut(name(1)).unwrap().segment_mut(0).unwrap().standing = Standing::Sent,
            |captures| captures.at_mut(name(2)).unwrap().forgotten = true,
            |captures| _ = captures.remove(name(1)),
            |captures| captures.begin(name(1), Id(1)),
            |captures| {
                captures.adopt(vec![FoundCapture { name: name(3), id: Id(3), segments: Vec::new() }]);
            },
        ];
        for change in changes {
            let before = captures.backlog();
            change(&mut captures);
            assert_ne!(captures.backlog(), before);
            assert_eq!(captures.backlog(), captures.count_owed().backlog);
            assert_eq!(captures.bytes_left(), captures.count_owed().left);
        }
    }

    #[test]
    fn a_lost_segment_is_no_repeat() {
        let mut captures = captures(0);
        let lost = captures.at_mut(name(1)).unwrap().segment_mut(0).unwrap();
        lost.standing = Standing::Lost(LostReason::Evicted);
        assert_eq!(place(&captures, 0, DIGEST), Placement::Begin(name(2), 0));
    }

    #[test]
    fn a_capture_that_has_gone_takes_nothing_but_keeps_its_name() {
        let mut captures = captures(0);
        captures.at_mut(name(1)).unwrap().forgotten = true;
        assert_eq!(place(&captures, 0, DIGEST), Placement::Begin(name(2), 0));
    }

    #[test]
    fn a_segment_without_a_number_gets_the_next_one() {
        let captures = captures(1);
        assert_eq!(captures.place(Trigger::Pir, 35, None, OTHER, |_| false), Placement::Join(name(1), 1));
        assert_eq!(captures.place(Trigger::Pir, 35, None, DIGEST, |_| false), Placement::Repeat(name(1), 0));
        assert_eq!(captures.free_second(Trigger::Pir, 35), 36);
        assert_eq!(captures.free_second(Trigger::Request, 35), 35);
    }
}
