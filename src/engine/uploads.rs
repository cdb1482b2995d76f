//! Uploads: a tus client, one request at a time.
//!
//! ```text
//!               201                  204, all of it
//!   Create ───────────▶ Send ◀──┐ ──────────────────▶ confirmed
//!     ▲                  │ 409  │ less than all
//!     │ 404, 410         ▼      │
//!     └──────────────── Ask ────┘  all of it ───────▶ confirmed
//!                        ▲
//!   a URL noted before ──┘
//! ```
//!
//! A segment is tried for ever, but for the answers that `step` takes as final. What fails is put off by
//! itself, and everything by failures in a row, so that one bad file holds up nobody and a server that is down
//! is left in peace.

use super::{
    Engine, Event, Now, Output, Timer,
    backoff::Backoff,
    captures::{Segment, Standing},
    rng::Rng,
    spool::{CaptureName, Kept, LostReason, Place, Task},
};
use crate::wire::tus::{Metadata, STATUS_CHECKSUM_MISMATCH, resolve};
use std::{collections::VecDeque, io, time::Duration};

/// Waits of one segment.
const SEGMENT_BASE: Duration = Duration::from_secs(2);
const SEGMENT_CAP: Duration = Duration::from_secs(600);
/// Waits of all of them.
const ALL: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// A server that asks for more patience than this is asked again all the same.
const MAX_RETRY_AFTER: u32 = 3_600;

/// One request to the upload endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// POST: make an upload.
    Create {
        /// Where.
        url: String,
        /// How long it will be.
        bytes: u64,
        /// What it is.
        metadata: Metadata,
    },
    /// HEAD: how much has come?
    Ask {
        /// The upload.
        url: String,
    },
    /// PATCH: the rest of the file.
    Send {
        /// The upload.
        url: String,
        /// The file, beneath the state directory.
        file: String,
        /// Where to begin.
        offset: u64,
        /// What the file should be like; else it has been changed.
        kept: Kept,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The endpoint's answer.
    Status {
        /// The HTTP status.
        status: u16,
        /// `Upload-Offset`.
        offset: Option<u64>,
        /// `Location`.
        location: Option<String>,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
        /// `Date`, in seconds since 1970, where TLS has verified the server.
        date: Option<u64>,
        /// The beginning of its body: a word to people.
        text: String,
    },
    /// There was none: no connection, no TLS, no end of waiting.
    Broken(String),
    /// The request was given up because the engine said so.
    Abandoned,
    /// The file is not what was kept.
    FileChanged,
    /// There is no file.
    FileMissing,
    /// The file can't be read.
    FileUnreadable(String),
}

/// What an answer means for its segment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The server has it.
    Confirmed,
    /// An upload is there: send from this offset.
    Send(String, u64),
    /// An upload is there: ask how much it has.
    Ask(String),
    /// The upload has gone: create one.
    CreateAgain,
    /// The server will never take it.
    Refused(String),
    /// Try again later.
    Later { why: String, retry_after: Option<u32> },
    /// The file is not what was kept, or did not arrive as that: hash it again.
    Rehash,
    /// The file has gone.
    Missing,
    /// Nothing more is to be done with it.
    Drop,
}

/// Uploads, of which one is under way at most.
#[derive(Debug)]
pub struct Uploads {
    current: Option<Current>,
    /// Failures in a row, whichever segment it was.
    backoff: Backoff,
    not_before: Duration,
    /// When the last receipt came, in seconds since 1970 by the board's clock.
    pub last_receipt: Option<u64>,
}

impl Default for Uploads {
    fn default() -> Uploads {
        Uploads { current: None, backoff: ALL, not_before: Duration::ZERO, last_receipt: None }
    }
}

#[derive(Debug)]
struct Current {
    place: Place,
    kept: Kept,
    request: Request,
    /// Whether this try made the upload itself; a second time in one try would be a loop.
    created: bool,
    /// The request was given up, or its capture has gone: the answer counts for nothing.
    abandoned: bool,
    /// Bytes that have gone out.
    sent: u64,
}

impl Uploads {
    /// The capture whose segment is being uploaded.
    pub fn current_capture(&self) -> Option<CaptureName> {
        self.current.as_ref().map(|current| current.place.capture)
    }

    /// The segment that is being uploaded, and how much of it has gone out.
    pub fn progress(&self) -> Option<(Place, u64)> {
        self.current.as_ref().map(|current| (current.place, current.sent))
    }

    /// Notes how much has gone out.
    pub fn note_progress(&mut self, sent: u64) {
        if let Some(current) = &mut self.current {
            current.sent = sent;
        }
    }

    /// Something has changed for the better: don't wait for what failed before.
    pub fn hurry(&mut self, now: Now) {
        self.not_before = self.not_before.min(now.mono);
    }

    /// A capture has gone: its upload with it.
    pub fn abandon(&mut self, name: CaptureName, outputs: &mut VecDeque<Output>) {
        if let Some(current) = &mut self.current
            && current.place.capture == name
            && !current.abandoned
        {
            current.abandoned = true;
            outputs.push_back(Output::AbandonUpload);
        }
    }
}

impl Engine {
    /// Begins with the next segment, if one may be uploaded.
    pub(super) fn upload_next(&mut self, now: Now) {
        if self.uploads.current.is_some() || self.stopping || !self.may_upload() {
            return;
        }
        let mut nearest: Option<Duration> = None;
        let mut chosen = None;
        for (name, capture) in self.captures.iter() {
            for segment in capture.owed() {
                let at = segment.retry_at.max(self.uploads.not_before);
                if at <= now.mono {
                    chosen = Some((name, segment.seg_no));
                    break;
                }
                nearest = Some(nearest.map_or(at, |nearest| nearest.min(at)));
            }
            if chosen.is_some() {
                break;
            }
        }
        match (chosen, nearest) {
            (Some((name, seg_no)), _) => self.begin_upload(name, seg_no),
            (None, Some(at)) => self.timers.set(Timer::Upload, at),
            (None, None) => self.timers.clear(Timer::Upload),
        }
    }

    /// Uploads to the cloud's own endpoint wait for the session, which tells where that is and when it is back.
    fn may_upload(&self) -> bool {
        self.settings.uploads_elsewhere || self.session.is_ready()
    }

    fn begin_upload(&mut self, name: CaptureName, seg_no: u32) {
        self.announce(name);
        let capture = self.captures.at(name).expect("it was just found");
        let segment = capture.segment(seg_no).expect("it was just found");
        let (place, kept) = (segment.place(name), segment.kept);
        let request = match &segment.url {
            Some(url) => Request::Ask { url: url.to_string() },
            None => self.creation(place, kept),
        };
        let created = matches!(request, Request::Create { .. });
        self.outputs.push_back(Output::Upload(request.clone()));
        self.uploads.current = Some(Current { place, kept, request, created, abandoned: false, sent: 0 });
    }

    fn creation(&self, place: Place, kept: Kept) -> Request {
        let CaptureName { timestamp, trigger, .. } = place.capture;
        let capture = self.captures.at(place.capture).map(|capture| capture.id);
        let metadata = Metadata {
            filename: crate::wire::segment_name::SegmentName {
                trigger,
                timestamp,
                seg_no: place.seg_no,
                container: place.container,
            }
            .to_string(),
            capture,
            trigger,
            trigger_timestamp: timestamp,
            seg_no: place.seg_no,
            sha256: Some(kept.sha256),
        };
        Request::Create { url: self.creation_url(), bytes: kept.bytes, metadata }
    }

    fn creation_url(&self) -> String {
        match &self.session.uploads {
            Some(url) if !self.settings.uploads_elsewhere => {
                resolve(&self.settings.upload_url, url).unwrap_or_else(|| self.settings.upload_url.clone())
            }
            _ => self.settings.upload_url.clone(),
        }
    }

    pub(super) fn upload_answered(&mut self, now: Now, answer: Answer) {
        let Some(current) = self.uploads.current.take() else { return };
        if let Answer::Status { date, .. } = &answer {
            self.note_good_time(*date);
        }
        let place = current.place;
        let is_owed = self
            .captures
            .at(place.capture)
            .and_then(|capture| capture.segment(place.seg_no))
            .is_some_and(|segment| segment.standing == Standing::Owed);
        if current.abandoned || self.stopping || !is_owed {
            return;
        }
        match step(&current.request, current.kept.bytes, answer) {
            Step::Confirmed => self.confirmed(place),
            Step::Send(url, offset) => {
                self.note_url(place, Some(&url));
                let request = Request::Send { url, file: place.file(), offset, kept: current.kept };
                self.go_on_with(current, request);
            }
            Step::Ask(url) => self.go_on_with(current, Request::Ask { url }),
            Step::CreateAgain => {
                self.note_url(place, None);
                if current.created {
                    let why = "the upload was gone as soon as it was made".to_owned();
                    return self.put_off(now, place, why, None);
                }
                let request = self.creation(place, current.kept);
                self.go_on_with(Current { created: true, ..current }, request);
            }
            Step::Refused(why) => {
                self.uploads.backoff.succeed();
                self.lose(now, place, LostReason::Refused, &why);
            }
            Step::Later { why, retry_after } => self.put_off(now, place, why, retry_after),
            Step::Rehash => {
                self.note_url(place, None);
                self.outputs.push_back(Output::Disk(Task::Rehash { place }));
                // Until the disk has answered, nobody else is uploaded, and nobody evicts it.
                self.uploads.current = Some(current);
            }
            Step::Missing => {
                self.lose(now, place, LostReason::Missing, "its file vanished from the spool");
            }
            Step::Drop => {}
        }
    }

    fn go_on_with(&mut self, mut current: Current, request: Request) {
        current.request = request.clone();
        self.uploads.current = Some(current);
        self.outputs.push_back(Output::Upload(request));
    }

    pub(super) fn confirmed(&mut self, place: Place) {
        self.uploads.backoff.succeed();
        if let Some(segment) = self.segment_mut(place) {
            segment.standing = Standing::Sent;
            segment.url = None;
        }
        self.chores.add(Task::Confirm { place });
        self.tell(Event::Confirmed(place));
    }

    fn note_url(&mut self, place: Place, url: Option<&str>) {
        let Some(segment) = self.segment_mut(place) else { return };
        if segment.url.as_deref() != url {
            segment.url = url.map(Into::into);
            self.chores.add(Task::NoteUrl { place, url: url.map(ToOwned::to_owned) });
        }
    }

    fn put_off(&mut self, now: Now, place: Place, why: String, retry_after: Option<u32>) {
        let all = self.uploads.backoff.fail(&mut self.rng);
        let asked = Duration::from_secs(retry_after.unwrap_or(0).min(MAX_RETRY_AFTER).into());
        self.uploads.not_before = now.mono + all.max(asked);
        let mut rng = Rng::new(self.rng.bits());
        let Some(segment) = self.segment_mut(place) else { return };
        let wait = segment.put_off(&mut rng).max(asked);
        segment.retry_at = now.mono + wait;
        self.tell(Event::UploadFailed { place, why, wait });
    }

    pub(super) fn rehashed(&mut self, now: Now, result: io::Result<Kept>) {
        let Some(Current { place, abandoned: false, .. }) = self.uploads.current.take() else { return };
        match result {
            Ok(kept) if Some(kept) == self.segment_mut(place).map(|segment| segment.kept) => {
                self.put_off(now, place, "its bytes did not arrive as they are here".to_owned(), None);
            }
            Ok(kept) => {
                self.tell(Event::FileChanged(place));
                if let Some(capture) = self.captures.at_mut(place.capture) {
                    capture.note_change();
                }
                if let Some(segment) = self.segment_mut(place) {
                    segment.kept = kept;
                }
                self.announce_segment(place);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.lose(now, place, LostReason::Missing, "its file vanished from the spool");
            }
            Err(error) => self.put_off(now, place, error.to_string(), None),
        }
    }

    fn segment_mut(&mut self, place: Place) -> Option<&mut Segment> {
        self.captures.at_mut(place.capture).and_then(|capture| capture.segment_mut(place.seg_no))
    }
}

impl Segment {
    fn put_off(&mut self, rng: &mut Rng) -> Duration {
        let limit = SEGMENT_BASE.saturating_mul(1 << self.failures.min(16)).min(SEGMENT_CAP);
        self.failures = self.failures.saturating_add(1);
        rng.up_to(limit)
    }
}

/// Retry or give up: the one place that decides.
fn step(request: &Request, bytes: u64, answer: Answer) -> Step {
    let (status, offset, location, retry_after, text) = match answer {
        Answer::Status { status, offset, location, retry_after, text, .. } => {
            (status, offset, location, retry_after, text)
        }
        Answer::Broken(why) => return Step::Later { why, retry_after: None },
        Answer::FileUnreadable(why) => {
            return Step::Later { why: format!("the segment can't be read: {why}"), retry_after: None };
        }
        Answer::Abandoned => return Step::Drop,
        Answer::FileChanged => return Step::Rehash,
        Answer::FileMissing => return Step::Missing,
    };
    let later = |why: &str| {
        let said = if text.is_empty() { String::new() } else { format!(" ({text})") };
        Step::Later { why: format!("{} was answered {status}{said}: {why}", request.method()), retry_after }
    };
    match (request, status) {
        (Request::Create { .. }, 409) | (_, 413 | 415 | 422) => Step::Refused(format!("{status} {text}")),
        (Request::Create { url, .. }, 201) => match location.as_deref().and_then(|to| resolve(url, to)) {
            Some(url) => at_offset(url, offset.unwrap_or(0), bytes),
            None => later("expected a Location on the same scheme"),
        },
        (Request::Create { .. }, _) => later("expected 201"),
        (Request::Ask { .. } | Request::Send { .. }, 404 | 410) => Step::CreateAgain,
        // The way there or the flash here has changed a byte: only reading it again can tell.
        (Request::Ask { .. } | Request::Send { .. }, STATUS_CHECKSUM_MISMATCH) => Step::Rehash,
        (Request::Ask { url }, 200 | 204) => match offset {
            Some(offset) => at_offset(url.clone(), offset, bytes),
            None => later("expected an Upload-Offset"),
        },
        (Request::Ask { .. }, _) => later("expected 200"),
        (Request::Send { url, .. }, 409) => Step::Ask(url.clone()),
        (Request::Send { url, offset: from, .. }, 200 | 204) => match offset {
            Some(offset) if offset > *from => at_offset(url.clone(), offset, bytes),
            Some(_) | None => later("expected an Upload-Offset beyond the former one"),
        },
        (Request::Send { .. }, _) => later("expected 204"),
    }
}

/// An upload that is longer than its segment is somebody else's.
fn at_offset(url: String, offset: u64, bytes: u64) -> Step {
    match offset.cmp(&bytes) {
        std::cmp::Ordering::Less => Step::Send(url, offset),
        std::cmp::Ordering::Equal => Step::Confirmed,
        std::cmp::Ordering::Greater => Step::CreateAgain,
    }
}

impl Request {
    /// The HTTP method.
    pub fn method(&self) -> &'static str {
        match self {
            Request::Create { .. } => "POST",
            Request::Ask { .. } => "HEAD",
            Request::Send { .. } => "PATCH",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Sha256, Trigger};

    const URL: &str = "https://cloud/uploads/1";

    fn create() -> Request {
        let metadata = Metadata {
            filename: String::new(),
            capture: None,
            trigger: Trigger::Pir,
            trigger_timestamp: 1,
            seg_no: 0,
            sha256: None,
        };
        Request::Create { url: "https://cloud/uploads/".into(), bytes: 10, metadata }
    }

    fn ask() -> Request {
        Request::Ask { url: URL.into() }
    }

    fn send() -> Request {
        let kept = Kept { bytes: 10, sha256: Sha256([0; 32]), mtime_ns: 0 };
        Request::Send { url: URL.into(), file: String::new(), offset: 4, kept }
    }

    fn answer(status: u16, offset: Option<u64>) -> Answer {
        let location = Some("/uploads/1".to_owned());
        Answer::Status { status, offset, location, retry_after: None, date: None, text: String::new() }
    }

    #[test]
    fn each_answer_has_its_step() {
        let sent = |offset| Step::Send(URL.to_owned(), offset);
        for (request, status, offset, expected) in [
            (create(), 201, None, sent(0)),
            (create(), 201, Some(4), sent(4)),
            (create(), 201, Some(10), Step::Confirmed),
            (create(), 409, None, Step::Refused("409 ".into())),
            (create(), 413, None, Step::Refused("413 ".into())),
            (ask(), 200, Some(4), sent(4)),
            (ask(), 200, Some(10), Step::Confirmed),
            (ask(), 200, Some(11), Step::CreateAgain),
            (ask(), 404, None, Step::CreateAgain),
            (ask(), 410, None, Step::CreateAgain),
            (send(), 204, Some(10), Step::Confirmed),
            (send(), 204, Some(7), sent(7)),
            (send(), 409, None, Step::Ask(URL.into())),
            (send(), 404, None, Step::CreateAgain),
            (send(), 460, None, Step::Rehash),
            (send(), 415, None, Step::Refused("415 ".into())),
        ] {
            assert_eq!(step(&request, 10, answer(status, offset)), expected, "{} {status}", request.method());
        }
    }

    #[test]
    fn everything_else_is_tried_again() {
        for request in [create(), ask(), send()] {
            for status in [100, 301, 302, 307, 400, 401, 403, 423, 429, 500, 502, 503, 507] {
                let step = step(&request, 10, answer(status, None));
                assert!(matches!(step, Step::Later { .. }), "{} {status}: {step:?}", request.method());
            }
        }
        assert!(matches!(step(&send(), 10, answer(204, Some(4))), Step::Later { .. }));
        assert!(matches!(step(&send(), 10, Answer::Broken("reset".into())), Step::Later { .. }));
    }
}
