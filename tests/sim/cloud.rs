//! A cloud: sessions, tus uploads, receipts. It keeps its word: what it confirms it has.

use crate::scene::{UPLOADS, sha256};
use cloudtalker::{
    engine::uploads::{Answer, Request},
    wire::{
        Id, Sha256,
        cloud::{CaptureEnd, Receipt, ToAgent, ToCloud},
        tus::Metadata,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Statuses that say no: what servers, and proxies before them, answer when something is wrong.
pub const STATUSES: [u16; 25] = [
    301, 302, 307, 400, 401, 403, 404, 405, 408, 409, 410, 411, 412, 413, 415, 422, 423, 429, 460, 500, 501,
    502, 503, 504, 507,
];

/// Those among them that the handshake of a session is refused with: by a server that does not know the camera, or is not
/// well, and by proxies before it.
pub const SESSION_STATUSES: [u16; 7] = [401, 403, 404, 429, 500, 502, 503];

pub struct Cloud {
    gives_receipts: bool,
    uploads: BTreeMap<String, Upload>,
    next_upload: u64,
    /// What is stored, once.
    pub stored: BTreeMap<(Id, u32), Stored>,
    pub ends: BTreeMap<Id, CaptureEnd>,
    /// Captures whose receipt the agent has confirmed.
    pub settled: BTreeSet<Id>,
    pub alarms: BTreeSet<Id>,
    /// How often each content was handed over, but for when it was known again: no more of it may ever be stored.
    pub may_have: BTreeMap<Sha256, u32>,
    copies: BTreeMap<Sha256, u32>,
    /// What should never have come.
    pub wrong: Option<String>,
}

pub struct Stored {
    sha256: Sha256,
    bytes: Vec<u8>,
}

impl Stored {
    /// Whether it is this content.
    pub fn is(&self, digest: &Sha256) -> bool {
        self.sha256 == *digest
    }
}

/// The answer to a request, and the capture that something became whole of by it.
pub struct Reply {
    pub answer: Answer,
    pub became_whole: Option<Id>,
}

struct Upload {
    metadata: Metadata,
    length: u64,
    bytes: Vec<u8>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply { answer, became_whole: None }
    }
}

impl Cloud {
    pub fn new(gives_receipts: bool) -> Cloud {
        Cloud {
            gives_receipts,
            uploads: BTreeMap::new(),
            next_upload: 0,
            stored: BTreeMap::new(),
            ends: BTreeMap::new(),
            settled: BTreeSet::new(),
            alarms: BTreeSet::new(),
            may_have: BTreeMap::new(),
            copies: BTreeMap::new(),
            wrong: None,
        }
    }

    /// Its first word.
    pub fn greeting(&self) -> ToAgent {
        ToAgent { receipts: self.gives_receipts.then_some(true), ..ToAgent::default() }
    }

    /// Whether it has this content.
    pub fn has(&self, digest: &Sha256) -> bool {
        self.copies.contains_key(digest)
    }

    /// How often it has it.
    pub fn copies(&self, digest: &Sha256) -> u32 {
        self.copies.get(digest).copied().unwrap_or(0)
    }

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
                let receipt = ToAgent { receipt: Some(Receipt::Alarm { alarm }), ..ToAgent::default() };
                self.gives_receipts.then_some(receipt)
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
        if !self.gives_receipts {
            return None;
        }
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

    /// Answers an upload request; of a body only so many bytes arrive.
    pub fn serve(&mut self, request: &Request, body: &[u8], arriving: usize) -> Reply {
        let (Request::Create { url, .. } | Request::Ask { url } | Request::Send { url, .. }) = request;
        if !url.starts_with(UPLOADS) {
            return Answer::Broken(format!("nobody is at {url:?}")).into();
        }
        match request {
            Request::Create { bytes, metadata, .. } => self.create(*bytes, metadata),
            Request::Ask { url } => match self.uploads.get(url) {
                Some(upload) => answer(200, Some(upload.bytes.len() as u64), None).into(),
                None => answer(404, None, None).into(),
            },
            Request::Send { url, offset, .. } => self.patch(url, *offset, body, arriving),
        }
    }

    fn create(&mut self, length: u64, metadata: &Metadata) -> Reply {
        let key = (metadata.capture.expect("our agents name captures"), metadata.seg_no);
        let stored = self.stored.get(&key);
        if stored.is_some_and(|stored| Some(stored.sha256) != metadata.sha256) {
            return answer(409, None, None).into();
        }
        self.next_upload += 1;
        let url = format!("{UPLOADS}{}", self.next_upload);
        let bytes = stored.map(|stored| stored.bytes.clone()).unwrap_or_default();
        let offset = bytes.len() as u64;
        let upload = Upload { metadata: metadata.clone(), length, bytes };
        self.uploads.insert(url.clone(), upload);
        // Nothing more will come of an empty one.
        let became_whole = if length == 0 { self.finish(&url).became_whole } else { None };
        Reply { answer: answer(201, Some(offset), Some(url)), became_whole }
    }

    fn patch(&mut self, url: &str, offset: u64, body: &[u8], arriving: usize) -> Reply {
        let Some(upload) = self.uploads.get_mut(url) else { return answer(404, None, None).into() };
        if upload.bytes.len() as u64 != offset {
            return answer(409, None, None).into();
        }
        upload.bytes.extend_from_slice(&body[..arriving.min(body.len())]);
        if (upload.bytes.len() as u64) < upload.length {
            return answer(204, Some(upload.bytes.len() as u64), None).into();
        }
        self.finish(url)
    }

    /// All bytes of an upload have come.
    fn finish(&mut self, url: &str) -> Reply {
        let upload = &self.uploads[url];
        let sha256 = sha256(&upload.bytes);
        if Some(sha256) != upload.metadata.sha256 {
            self.uploads.remove(url);
            return answer(460, None, None).into();
        }
        let capture = upload.metadata.capture.expect("our agents name captures");
        let (key, stored) =
            ((capture, upload.metadata.seg_no), Stored { sha256, bytes: upload.bytes.clone() });
        let answer = answer(204, Some(upload.length), None);
        self.store(key, stored);
        Reply { answer, became_whole: Some(capture) }
    }

    fn store(&mut self, key: (Id, u32), stored: Stored) {
        if self.stored.contains_key(&key) {
            return;
        }
        *self.copies.entry(stored.sha256).or_default() += 1;
        self.wrong = self.wrong.take().or_else(|| self.too_many(&stored.sha256));
        self.stored.insert(key, stored);
    }

    /// What is wrong, where it has more of this content than it may.
    fn too_many(&self, digest: &Sha256) -> Option<String> {
        let copies = self.copies(digest);
        match self.may_have.get(digest) {
            None => Some(format!("{digest} was never handed over")),
            Some(times) if copies > *times => {
                Some(format!("{digest} may be there {times} times, and is there {copies} times"))
            }
            Some(_) => None,
        }
    }

    /// A content was handed over again, and the agent has it already: nothing more of it is to come.
    pub fn take_back(&mut self, digest: &Sha256) -> Option<String> {
        *self.may_have.get_mut(digest).expect("it was handed over") -= 1;
        self.too_many(digest)
    }
}

pub fn answer(status: u16, offset: Option<u64>, location: Option<String>) -> Answer {
    Answer::Status { status, offset, location, retry_after: None, date: None, text: String::new() }
}
