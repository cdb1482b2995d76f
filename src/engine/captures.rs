//! The captures that the board owes, and which of them a segment belongs to.

use super::spool::{CaptureName, Found, FoundCapture, Kept, LostReason, Place, UploadHint};
use crate::wire::{
    Id, Sha256, Trigger,
    cloud::{Backlog, CaptureEnd, CaptureStart, ListedSegment, LostSegment, SegmentInfo},
    segment_name::Container,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
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
}

/// The segments of one contiguous recording.
#[derive(Debug)]
pub struct Capture {
    /// What the cloud knows it by.
    pub id: Id,
    /// How many sources hold it open.
    pub sources: u32,
    /// Its segments, by number.
    pub segments: Vec<Segment>,
    /// Counts changes of what its end lists.
    version: u32,
    /// The session in which the cloud was told of it.
    pub announced: Option<u32>,
    /// In which session, at which version and when the cloud was told its end.
    pub end_said: Option<EndSaid>,
    /// It has gone already, but for the disk.
    pub forgotten: bool,
}

/// When the cloud was told the end of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndSaid {
    epoch: u32,
    version: u32,
    /// When.
    pub at: Duration,
}

/// One video file of a capture.
#[derive(Debug)]
pub struct Segment {
    /// Its number.
    pub seg_no: u32,
    /// Its ending.
    pub container: Container,
    /// Its contents.
    pub kept: Kept,
    /// Where it stands.
    pub standing: Standing,
    /// Its upload, where one was made.
    pub upload: Option<Box<UploadHint>>,
    /// Whether a restart would find it.
    pub is_upload_noted: bool,
    /// Set where the last try failed. Boxed, as the upload is: a backlog has thousands of segments, of which nearly
    /// none was tried.
    pub retry: Option<Box<Retry>>,
}

/// When a segment is tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Tries that failed in a row.
    pub failures: u8,
    /// Not to be tried before.
    pub at: Duration,
}

/// Where a segment stands.
///
/// ```text
///            confirmed
///   Owed ───────────────▶ Sent
///     └─────────────────▶ Lost
///        refused, evicted, missing
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The cloud does not have it yet.
    Owed,
    /// The cloud confirmed it.
    Sent,
    /// The cloud will never have it.
    Lost(LostReason),
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
        self.all.insert(name, Capture::new(id));
    }

    /// Takes a name that the disk has something under which could not be read.
    pub fn reserve(&mut self, name: CaptureName) {
        self.unread.insert(name);
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
        let captures = found.into_iter().map(|found| (found.name, Capture::found(found)));
        self.all.extend(captures);
    }

    /// Lets a capture go for good: its name may be used again.
    pub fn remove(&mut self, name: CaptureName) -> Option<Capture> {
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
        let mut backlog = Backlog::default();
        for (name, capture) in self.iter() {
            backlog.captures += 1;
            backlog.oldest =
                Some(backlog.oldest.map_or(name.timestamp, |oldest: u64| oldest.min(name.timestamp)));
            for segment in capture.owed() {
                backlog.segments += 1;
                backlog.bytes += segment.kept.bytes;
            }
        }
        backlog
    }
}

impl Capture {
    fn new(id: Id) -> Capture {
        Capture {
            id,
            sources: 0,
            segments: Vec::new(),
            version: 0,
            announced: None,
            end_said: None,
            forgotten: false,
        }
    }

    fn found(found: FoundCapture) -> Capture {
        let segments = found.segments.into_iter().map(|segment| {
            let (standing, upload) = match segment.found {
                Found::Owed(upload) => (Standing::Owed, upload),
                Found::Sent => (Standing::Sent, None),
                Found::Lost(reason) => (Standing::Lost(reason), None),
            };
            let new = Segment::new(segment.seg_no, segment.container, segment.kept);
            Segment { standing, is_upload_noted: upload.is_some(), upload, ..new }
        });
        Capture { segments: segments.collect(), ..Capture::new(found.id) }
    }

    /// Whether some source may still add to it.
    pub fn is_open(&self) -> bool {
        self.sources > 0
    }

    /// Whether nothing of it is left to upload.
    pub fn is_settled(&self) -> bool {
        self.owed().next().is_none()
    }

    /// Whether the cloud was told its end as it is now, in this session.
    pub fn is_end_said(&self, epoch: u32) -> bool {
        self.end_said.is_some_and(|said| (said.epoch, said.version) == (epoch, self.version))
    }

    /// Notes that the cloud was told its end.
    pub fn note_end_said(&mut self, epoch: u32, at: Duration) {
        self.end_said = Some(EndSaid { epoch, version: self.version, at });
    }

    /// Its segments that the cloud does not have yet.
    pub fn owed(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.standing == Standing::Owed)
    }

    /// The segment of this number.
    pub fn segment(&self, seg_no: u32) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.seg_no == seg_no)
    }

    /// The segment of this number.
    pub fn segment_mut(&mut self, seg_no: u32) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|segment| segment.seg_no == seg_no)
    }

    /// Adds a segment that is durable now.
    pub fn add(&mut self, segment: Segment) {
        let index = self.segments.partition_point(|other| other.seg_no < segment.seg_no);
        self.segments.insert(index, segment);
        self.version += 1;
    }

    /// Notes that the lists of its end have changed.
    pub fn note_change(&mut self) {
        self.version += 1;
    }

    /// How many segments its end lists.
    pub fn listed(&self) -> usize {
        self.segments.iter().filter(|segment| !matches!(segment.standing, Standing::Lost(_))).count()
    }

    fn next_seg_no(&self) -> Option<u32> {
        self.segments.last().map_or(Some(0), |segment| segment.seg_no.checked_add(1))
    }

    /// The message that it has begun.
    pub fn start(&self, name: CaptureName) -> CaptureStart {
        let CaptureName { timestamp, trigger, .. } = name;
        CaptureStart { trigger_timestamp: timestamp, trigger, capture: Some(self.id) }
    }

    /// The message that it has ended.
    pub fn end(&self, name: CaptureName) -> CaptureEnd {
        let mut end = CaptureEnd {
            trigger_timestamp: name.timestamp,
            trigger: name.trigger,
            capture: Some(self.id),
            segments: None,
            lost: Vec::new(),
        };
        let mut listed = Vec::new();
        for Segment { seg_no, kept, standing, .. } in &self.segments {
            match standing {
                Standing::Owed | Standing::Sent => {
                    listed.push(ListedSegment { seg_no: *seg_no, bytes: kept.bytes, sha256: kept.sha256 });
                }
                Standing::Lost(reason) => {
                    end.lost.push(LostSegment { seg_no: *seg_no, reason: reason.as_str().to_owned() });
                }
            }
        }
        CaptureEnd { segments: Some(listed), ..end }
    }

    /// The message that a segment of it is durable.
    pub fn info(&self, name: CaptureName, segment: &Segment) -> SegmentInfo {
        SegmentInfo {
            trigger_timestamp: name.timestamp,
            trigger: name.trigger,
            seg_no: segment.seg_no,
            capture: Some(self.id),
            bytes: Some(segment.kept.bytes),
            sha256: Some(segment.kept.sha256),
        }
    }
}

impl Segment {
    /// A segment that is owed.
    pub fn new(seg_no: u32, container: Container, kept: Kept) -> Segment {
        let standing = Standing::Owed;
        Segment { seg_no, container, kept, standing, upload: None, is_upload_noted: false, retry: None }
    }

    /// Its place in the spool.
    pub fn place(&self, capture: CaptureName) -> Place {
        Place { capture, seg_no: self.seg_no, container: self.container }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
