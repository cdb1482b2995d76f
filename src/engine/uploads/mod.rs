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

mod next;
mod step;

pub use next::Choice;

use super::{
    Engine, Event, Now, Output,
    backoff::Backoff,
    capture::{Segment, Standing, Upload},
    rng::Rng,
    spool::{CaptureName, Kept, LostReason, Place, Task, UploadHint},
};
use crate::wire::tus::{Metadata, resolve};
use std::{collections::VecDeque, io, time::Duration};
use step::{Step, step};

/// Waits of one segment.
const SEGMENT_BASE: Duration = Duration::from_secs(2);
const SEGMENT_CAP: Duration = Duration::from_secs(600);
/// An upload of so many bytes is noted as soon as it is made: a link that stalls at once tells of no progress.
const LONG: u64 = 1024 * 1024;
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

/// Uploads, of which one is under way at most.
#[derive(Debug)]
pub struct Uploads {
    current: Option<Current>,
    /// Failures in a row, whichever segment it was.
    backoff: Backoff,
    not_before: Duration,
    /// Until when the server asked to be left alone.
    asked_until: Duration,
    /// Bytes of segments that have gone out since the start, again and again where they had to.
    pub sent: u64,
    /// When the last receipt came, in seconds since 1970 by the board's clock.
    pub last_receipt: Option<u64>,
}

impl Default for Uploads {
    fn default() -> Uploads {
        Uploads {
            current: None,
            backoff: ALL,
            not_before: Duration::ZERO,
            asked_until: Duration::ZERO,
            sent: 0,
            last_receipt: None,
        }
    }
}

#[derive(Debug)]
struct Current {
    place: Place,
    kept: Kept,
    request: Request,
    /// Whether this try made the upload itself; a second time in one try would be a loop.
    created: bool,
    /// Whether this try has asked for the offset because the server said that ours was wrong.
    asked: bool,
    /// The request was given up, or its capture has gone: the answer counts for nothing.
    abandoned: bool,
    /// Bytes that have gone out, in this try or before.
    sent: u64,
}

impl Uploads {
    /// The capture whose segment is being uploaded.
    pub fn current_capture(&self) -> Option<CaptureName> {
        self.current.as_ref().map(|current| current.place.capture)
    }

    /// The segment that is being uploaded.
    pub fn current_place(&self) -> Option<Place> {
        self.current.as_ref().map(|current| current.place)
    }

    /// The segment that is being uploaded, and how much of it has gone out.
    pub fn progress(&self) -> Option<(Place, u64)> {
        self.current.as_ref().map(|current| (current.place, current.sent))
    }

    /// The cloud is back: what failed before is no reason to wait, though the server's own wish is.
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
    fn begin_upload(&mut self, place: Place) {
        self.announce(place.capture);
        let capture = self.captures.at(place.capture).expect("it was just found");
        let segment = capture.segment(place.seg_no).expect("it was just found");
        let kept = segment.kept;
        let creation = self.creation_url();
        let request = match &segment.upload {
            // Another server knows nothing of it, or would keep what this one should have.
            Some(upload) if upload.hint.made_at == creation => Request::Ask { url: upload.hint.url.clone() },
            Some(_) | None => self.creation(place, kept),
        };
        let created = matches!(request, Request::Create { .. });
        self.outputs.push_back(Output::Upload(request.clone()));
        self.uploads.current =
            Some(Current { place, kept, request, created, asked: false, abandoned: false, sent: 0 });
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
        let Some(mut current) = self.uploads.current.take() else { return };
        if let Answer::Status { date, .. } = &answer {
            self.note_good_time(now, *date);
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
            Step::Confirmed => {
                if let Request::Send { .. } = current.request {
                    self.uploads.sent += current.kept.bytes.saturating_sub(current.sent);
                }
                self.confirmed(place, current.kept.bytes);
            }
            Step::Send(url, offset) => {
                self.set_upload(place, Some(url.clone()));
                self.note_sent(place, offset);
                if current.kept.bytes >= LONG {
                    self.note_upload(place);
                }
                let request = Request::Send { url, file: place.file(), offset, kept: current.kept };
                self.go_on_with(current, request);
            }
            Step::Ask(_) if current.asked => {
                let why = "the server says twice that the offset is wrong which it told".to_owned();
                self.put_off(now, place, why, None);
            }
            Step::Ask(url) => {
                current.asked = true;
                self.go_on_with(current, Request::Ask { url });
            }
            Step::CreateAgain => {
                self.set_upload(place, None);
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
            // A file that is missing is looked for by the disk worker before it is given up.
            Step::Rehash => {
                self.set_upload(place, None);
                self.outputs.push_back(Output::Disk(Task::Rehash { place }));
                // Until the disk has answered, nobody else is uploaded, and nobody evicts it.
                self.uploads.current = Some(current);
            }
            Step::Drop => {}
        }
    }

    /// The next request of this try; or there is none, where this is no time for it.
    fn go_on_with(&mut self, mut current: Current, request: Request) {
        if self.is_paused() || !self.allow(current.place) {
            return self.note_upload(current.place);
        }
        if let Request::Send { offset, .. } = &request {
            current.sent = *offset;
        }
        current.request = request.clone();
        self.uploads.current = Some(current);
        self.outputs.push_back(Output::Upload(request));
    }

    pub(super) fn confirmed(&mut self, place: Place, bytes: u64) {
        self.uploads.backoff.succeed();
        if let Some(segment) = self.segment_mut(place) {
            segment.standing = Standing::Sent;
            segment.upload = None;
        }
        self.chores.add(Task::Confirm { place });
        self.tell(Event::Confirmed { place, bytes });
    }

    /// Its upload is another one now, or none: what the disk says of the former one goes.
    fn set_upload(&mut self, place: Place, url: Option<String>) {
        let made_at = self.creation_url();
        let Some(segment) = self.segment_mut(place) else { return };
        let sha256 = segment.kept.sha256;
        let hint = url.map(|url| UploadHint { made_at, url, sha256 });
        if segment.upload.as_ref().map(|upload| &upload.hint) == hint.as_ref() {
            return;
        }
        segment.upload = hint.map(|hint| Box::new(Upload { hint, sent: 0 }));
        if std::mem::take(&mut segment.is_upload_noted) {
            self.chores.add(Task::NoteUrl { place, hint: None });
        }
    }

    /// Its upload lasts, or was cut off: now it is worth a file that a restart should find it.
    fn note_upload(&mut self, place: Place) {
        let Some(segment) = self.segment_mut(place) else { return };
        if let Some(upload) = segment.upload.as_deref().filter(|_| !segment.is_upload_noted) {
            let hint = Some(upload.hint.clone());
            segment.is_upload_noted = true;
            self.chores.add(Task::NoteUrl { place, hint });
        }
    }

    /// So much of the segment has gone out: told only of uploads that last.
    pub(super) fn upload_progress(&mut self, sent: u64) {
        let Some(current) = &mut self.uploads.current else { return };
        self.uploads.sent += sent.saturating_sub(current.sent);
        current.sent = sent;
        let place = current.place;
        self.note_upload(place);
        self.note_sent(place, sent);
    }

    fn note_sent(&mut self, place: Place, sent: u64) {
        if let Some(upload) = self.segment_mut(place).and_then(|segment| segment.upload.as_mut()) {
            upload.sent = sent;
        }
    }

    /// It is given up for now, and goes on another time at the server's offset.
    pub(super) fn stop_upload(&mut self) {
        if let Some(place) = self.uploads.current_place() {
            self.note_upload(place);
            self.uploads.abandon(place.capture, &mut self.outputs);
        }
    }

    fn put_off(&mut self, now: Now, place: Place, why: String, retry_after: Option<u32>) {
        let all = self.uploads.backoff.fail(&mut self.rng);
        let asked = Duration::from_secs(retry_after.unwrap_or(0).min(MAX_RETRY_AFTER).into());
        self.uploads.not_before = now.mono + all;
        self.uploads.asked_until = now.mono + asked;
        self.note_upload(place);
        let mut rng = Rng::new(self.rng.bits());
        let Some(segment) = self.segment_mut(place) else { return };
        let wait = segment.put_off(now, &mut rng);
        self.tell(Event::UploadFailed { place, why, wait: wait.max(asked) });
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
                self.report();
            }
            Err(error) => self.put_off(now, place, error.to_string(), None),
        }
    }

    fn segment_mut(&mut self, place: Place) -> Option<&mut Segment> {
        self.captures.at_mut(place.capture).and_then(|capture| capture.segment_mut(place.seg_no))
    }
}

impl Segment {
    fn put_off(&mut self, now: Now, rng: &mut Rng) -> Duration {
        let retry = self.retry.get_or_insert_default();
        let limit = SEGMENT_BASE.saturating_mul(1 << retry.failures.min(16)).min(SEGMENT_CAP);
        retry.failures = retry.failures.saturating_add(1);
        let wait = rng.up_to(limit);
        retry.at = now.mono + wait;
        wait
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
