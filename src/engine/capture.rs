//! One capture that the board owes: its segments, where each stands, and what the cloud is told of it.

use super::spool::{CaptureName, Found, FoundCapture, Kept, LostReason, Place, UploadHint};
use crate::wire::{
    Id,
    cloud::{CaptureEnd, CaptureStart, ListedSegment, LostSegment, SegmentInfo},
    segment_name::Container,
};
use std::time::Duration;

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
    /// A failed attempt may have left a segment of it that no sync has made safe: a start is to see to that.
    pub may_hold_more: bool,
    /// It has gone already, but for the disk.
    pub forgotten: bool,
}

/// When the cloud was told the end of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndSaid {
    /// In which session.
    pub epoch: u32,
    /// Of which version of its list.
    pub version: u32,
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
    pub upload: Option<Box<Upload>>,
    /// Whether a restart would find it.
    pub is_upload_noted: bool,
    /// Set where the last try failed. Boxed, as the upload is: a backlog has thousands of segments, of which nearly
    /// none was tried.
    pub retry: Option<Box<Retry>>,
}

/// An upload of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Where it is.
    pub hint: UploadHint,
    /// How many bytes of the segment have gone there, as far as this life knows.
    pub sent: u64,
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

impl Capture {
    /// One that has begun, without a segment.
    pub fn new(id: Id) -> Capture {
        Capture {
            id,
            sources: 0,
            segments: Vec::new(),
            version: 0,
            announced: None,
            end_said: None,
            may_hold_more: false,
            forgotten: false,
        }
    }

    /// One that a former life left: it has ended.
    pub fn found(found: FoundCapture) -> Capture {
        let segments = found.segments.into_iter().map(|segment| {
            let (standing, upload) = match segment.found {
                Found::Owed(hint) => {
                    (Standing::Owed, hint.map(|hint| Box::new(Upload { hint: *hint, sent: 0 })))
                }
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

    /// Whether that is the first of its segments.
    pub fn is_first(&self, seg_no: u32) -> bool {
        self.segments.first().is_some_and(|first| first.seg_no == seg_no)
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

    /// The number after the last one; none where there is none such.
    pub fn next_seg_no(&self) -> Option<u32> {
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

    /// How many bytes of it have not gone out yet.
    pub fn left(&self) -> u64 {
        self.kept.bytes.saturating_sub(self.upload.as_ref().map_or(0, |upload| upload.sent))
    }

    /// Its place in the spool.
    pub fn place(&self, capture: CaptureName) -> Place {
        Place { capture, seg_no: self.seg_no, container: self.container }
    }
}
