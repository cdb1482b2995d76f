//! A cloud: sessions, tus uploads, receipts. It keeps its word: what it confirms it has.

use cloudtalker::{
    engine::uploads::{Answer, Request},
    wire::{
        Id, Sha256,
        cloud::{CaptureEnd, Receipt, ToAgent, ToCloud},
        tus::Metadata,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Where uploads are made.
pub const UPLOADS: &str = "https://cloud/uploads/";

#[derive(Default)]
pub struct Cloud {
    uploads: BTreeMap<String, Upload>,
    next_upload: u64,
    /// What is stored, once.
    pub stored: BTreeMap<(Id, u32), Stored>,
    pub ends: BTreeMap<Id, CaptureEnd>,
    /// Captures whose receipt the agent has confirmed.
    pub settled: BTreeSet<Id>,
    pub alarms: BTreeSet<Id>,
}

pub struct Stored {
    pub sha256: Sha256,
    pub bytes: Vec<u8>,
}

struct Upload {
    metadata: Metadata,
    length: u64,
    bytes: Vec<u8>,
}

impl Cloud {
    /// Takes a message and gives the answer to it, if there is one.
    pub fn hear(&mut self, message: &ToCloud) -> Option<ToAgent> {
        match message {
            ToCloud::State(_)
            | ToCloud::CaptureStart(_)
            | ToCloud::CaptureSegment(_)
            | ToCloud::Report(_) => None,
            ToCloud::CaptureEnd(end) => {
                let capture = end.capture.expect("our agents name captures");
                self.ends.insert(capture, end.clone());
                self.receipt(capture)
            }
            ToCloud::Alarm(alarm) => {
                let alarm = alarm.id.expect("our agents name alarms");
                self.alarms.insert(alarm);
                Some(ToAgent { receipt: Some(Receipt::Alarm { alarm }), ..ToAgent::default() })
            }
            ToCloud::ReceiptOk { capture } => {
                self.settled.insert(*capture);
                None
            }
        }
    }

    /// Receipts that a new session begins with.
    pub fn owed_receipts(&self) -> Vec<ToAgent> {
        let unsettled = self.ends.keys().filter(|capture| !self.settled.contains(capture));
        unsettled.filter_map(|capture| self.receipt(*capture)).collect()
    }

    /// The receipt of a capture, once all that its end lists is stored.
    pub fn receipt(&self, capture: Id) -> Option<ToAgent> {
        let listed = self.ends.get(&capture)?.segments.as_ref().expect("our agents list segments");
        let is_stored = listed.iter().all(|segment| {
            self.stored.get(&(capture, segment.seg_no)).is_some_and(|stored| stored.sha256 == segment.sha256)
        });
        let segments = Some(u32::try_from(listed.len()).unwrap());
        let receipt = Receipt::Capture { capture, segments };
        is_stored.then(|| ToAgent { receipt: Some(receipt), ..ToAgent::default() })
    }

    /// Uploads that are not whole yet are forgotten.
    pub fn forget_uploads(&mut self) {
        self.uploads.clear();
    }

    /// Answers an upload request; of a body only so many bytes arrive. The capture that became whole by it, if any.
    pub fn serve(&mut self, request: &Request, body: &[u8], arriving: usize) -> (Answer, Option<Id>) {
        let (Request::Create { url, .. } | Request::Ask { url } | Request::Send { url, .. }) = request;
        if !url.starts_with(UPLOADS) {
            return (Answer::Broken(format!("nobody is at {url:?}")), None);
        }
        match request {
            Request::Create { bytes, metadata, .. } => (self.create(*bytes, metadata), None),
            Request::Ask { url } => match self.uploads.get(url) {
                Some(upload) => (answer(200, Some(upload.bytes.len() as u64), None), None),
                None => (answer(404, None, None), None),
            },
            Request::Send { url, offset, .. } => self.patch(url, *offset, body, arriving),
        }
    }

    fn create(&mut self, length: u64, metadata: &Metadata) -> Answer {
        let key = (metadata.capture.expect("our agents name captures"), metadata.seg_no);
        let stored = self.stored.get(&key);
        if stored.is_some_and(|stored| Some(stored.sha256) != metadata.sha256) {
            return answer(409, None, None);
        }
        self.next_upload += 1;
        let url = format!("{UPLOADS}{}", self.next_upload);
        let bytes = stored.map(|stored| stored.bytes.clone()).unwrap_or_default();
        let offset = bytes.len() as u64;
        self.uploads.insert(url.clone(), Upload { metadata: metadata.clone(), length, bytes });
        answer(201, Some(offset), Some(url))
    }

    fn patch(&mut self, url: &str, offset: u64, body: &[u8], arriving: usize) -> (Answer, Option<Id>) {
        let Some(upload) = self.uploads.get_mut(url) else { return (answer(404, None, None), None) };
        if upload.bytes.len() as u64 != offset {
            return (answer(409, None, None), None);
        }
        upload.bytes.extend_from_slice(&body[..arriving.min(body.len())]);
        if (upload.bytes.len() as u64) < upload.length {
            return (answer(204, Some(upload.bytes.len() as u64), None), None);
        }
        let sha256 = sha256(&upload.bytes);
        if Some(sha256) != upload.metadata.sha256 {
            self.uploads.remove(url);
            return (answer(460, None, None), None);
        }
        let capture = upload.metadata.capture.expect("our agents name captures");
        let stored = Stored { sha256, bytes: upload.bytes.clone() };
        self.stored.entry((capture, upload.metadata.seg_no)).or_insert(stored);
        (answer(204, Some(upload.length), None), Some(capture))
    }
}

pub fn answer(status: u16, offset: Option<u64>, location: Option<String>) -> Answer {
    Answer::Status { status, offset, location, retry_after: None, date: None, text: String::new() }
}

pub fn sha256(bytes: &[u8]) -> Sha256 {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    Sha256(digest.as_ref().try_into().unwrap())
}
