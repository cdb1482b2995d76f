//! The answer to `{"query":"status"}`: one line of JSON.

use super::{Engine, Now, event::counted};
use crate::wire::{Id, cloud::Backlog};
use serde::Serialize;

#[derive(Serialize)]
struct Status<'a> {
    version: &'a str,
    now: u64,
    session: SessionStatus<'a>,
    armed: Option<bool>,
    spool: SpoolStatus<'a>,
    upload: Option<UploadStatus>,
    last_receipt: Option<u64>,
    lost: u64,
    certificate_expires: Option<u64>,
}

#[derive(Serialize)]
struct SessionStatus<'a> {
    state: &'a str,
    since: u64,
    reason: Option<&'a str>,
    endpoint: &'a str,
}

#[derive(Serialize)]
struct SpoolStatus<'a> {
    state_dir: &'a str,
    #[serde(flatten)]
    backlog: Backlog,
    refused: usize,
}

#[derive(Serialize)]
struct UploadStatus {
    capture: Option<Id>,
    file: String,
    seg_no: u32,
    bytes: u64,
    sent: u64,
}

impl Engine {
    /// How it is doing, in a line for a person: `the session is up, armed, 3 captures to upload`.
    pub fn summary(&self) -> String {
        let owed = match self.captures.backlog().captures {
            0 => "nothing to upload".to_owned(),
            captures => format!("{} to upload", counted(captures, "capture")),
        };
        let armed = match self.camera.armed() {
            Some(true) => "armed, ",
            Some(false) => "disarmed, ",
            None => "",
        };
        format!("the session is {}, {armed}{owed}", self.session.word())
    }

    pub(super) fn status(&self, now: Now) -> String {
        let is_down = !self.session.is_up();
        let upload = self.uploads.progress().and_then(|(place, sent)| {
            let capture = self.captures.at(place.capture)?;
            let bytes = capture.segment(place.seg_no)?.kept.bytes;
            let seg_no = place.seg_no;
            Some(UploadStatus { capture: Some(capture.id), file: place.file(), seg_no, bytes, sent })
        });
        let status = Status {
            version: &self.settings.version,
            now: now.unix,
            session: SessionStatus {
                state: self.session.word(),
                since: self.session.since,
                reason: self.session.reason.as_deref().filter(|_| is_down),
                endpoint: &self.settings.endpoint,
            },
            armed: self.camera.armed(),
            spool: SpoolStatus {
                state_dir: &self.settings.state_dir,
                backlog: self.captures.backlog(),
                refused: self.room.refused_count(),
            },
            upload,
            last_receipt: self.uploads.last_receipt,
            lost: self.room.evicted + self.room.missing,
            certificate_expires: self.settings.certificate_expires,
        };
        serde_json::to_string(&status).expect("a status holds nothing that JSON could refuse") + "\n"
    }
}
