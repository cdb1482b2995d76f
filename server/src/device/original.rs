//! Original clients: a segment's bytes come as binary frames after its `capture_segment`, and what ends them is the
//! next message of a capture or an alarm.
//!
//! A segment cut off by a lost connection stays incomplete: it is named as lost, and its capture, which ends with its
//! session, stays in parts. A board without a clock chip uses a timestamp again after every boot: a segment that
//! differs from the stored one of its number begins another capture, and none is ever refused.

use crate::{
    bus::Event,
    library::{
        CameraId, CaptureId, Identity, Lost,
        intake::{IntakeError, WholeSegment},
    },
    server::{Server, random_name},
    store::{Creation, NewUpload, OnConflict, Placed, unix_now},
};
use bytes::Bytes;
use cloudtalker::wire::cloud::{CaptureEnd, CaptureStart, SegmentInfo};
use std::{io, sync::Arc};
use tokio::{
    fs::File,
    io::{AsyncWriteExt, BufWriter},
};

/// Frames are 1,300 bytes long; the disk gets them in larger pieces.
const WRITE_BUFFER: usize = 256 << 10;
/// A segment of an original is over when its session is: nothing goes on with it later.
const LIFE_S: u64 = 24 * 3600;

/// Why a segment is lost whose end was never said.
pub(crate) const CUT_OFF: &str = "its connection was lost";

/// What one session of an original client is sending.
#[derive(Debug)]
pub(super) struct Incoming {
    server: Arc<Server>,
    camera: CameraId,
    capture: Option<Current>,
    segment: Option<Receiving>,
}

/// The capture that has begun and not ended.
#[derive(Debug)]
struct Current {
    identity: Identity,
    id: CaptureId,
    lost: Vec<Lost>,
}

/// The segment whose bytes come.
#[derive(Debug)]
struct Receiving {
    seg_no: u32,
    upload: String,
    state: Bytewise,
}

/// Whether the segment's bytes are kept.
#[derive(Debug)]
enum Bytewise {
    Kept {
        file: BufWriter<File>,
        room: u64,
    },
    /// Nothing can be refused to an original: the rest is dropped, and the segment is lost for this reason.
    Dropped(&'static str),
}

impl Incoming {
    pub(super) fn new(server: Arc<Server>, camera: CameraId) -> Incoming {
        Incoming { server, camera, capture: None, segment: None }
    }

    pub(super) async fn handle_start(&mut self, start: &CaptureStart) -> Result<(), IntakeError> {
        let identity =
            Identity { agent_id: None, trigger: start.trigger, trigger_timestamp: start.trigger_timestamp };
        self.enter(identity).await
    }

    pub(super) async fn handle_segment(&mut self, info: &SegmentInfo) -> Result<(), IntakeError> {
        let identity =
            Identity { agent_id: None, trigger: info.trigger, trigger_timestamp: info.trigger_timestamp };
        self.enter(identity).await?;
        self.segment = Some(self.begun(identity, info.seg_no).await?);
        Ok(())
    }

    pub(super) async fn handle_bytes(&mut self, bytes: &Bytes) {
        let Some(segment) = &mut self.segment else {
            return log::debug!("bytes that belong to no segment are dropped");
        };
        let Bytewise::Kept { file, room } = &mut segment.state else { return };
        let Some(left) = room.checked_sub(bytes.len() as u64) else {
            segment.state = Bytewise::Dropped("the camera's quota leaves no room for it");
            return;
        };
        *room = left;
        if let Err(error) = file.write_all(bytes).await {
            segment.state = Bytewise::Dropped(unwritten(&error));
        }
    }

    pub(super) async fn handle_end(&mut self, end: &CaptureEnd) -> Result<(), IntakeError> {
        let identity =
            Identity { agent_id: None, trigger: end.trigger, trigger_timestamp: end.trigger_timestamp };
        self.enter(identity).await?;
        self.end_capture().await
    }

    /// The end of the segment whose bytes came until now, if any.
    pub(super) async fn handle_boundary(&mut self) -> Result<(), IntakeError> {
        let (Some(segment), Some(capture)) = (self.segment.take(), &mut self.capture) else { return Ok(()) };
        let dropped = match segment.state {
            Bytewise::Kept { mut file, .. } => file.flush().await.err().map(|error| unwritten(&error)),
            Bytewise::Dropped(reason) => Some(reason),
        };
        if let Some(reason) = dropped {
            capture.lost.push(Lost { seg_no: segment.seg_no, reason: reason.into() });
            return Ok(self.server.drop_upload(&segment.upload).await?);
        }
        let whole = WholeSegment {
            upload: &segment.upload,
            camera: self.camera,
            identity: capture.identity,
            capture: Some(capture.id),
            on_conflict: OnConflict::NewCapture,
            seg_no: segment.seg_no,
            sha256: None,
        };
        match self.server.take_segment(&whole).await? {
            Placed::Stored(id) | Placed::Repeated(id) | Placed::Conflict(id) => capture.id = id,
        }
        Ok(())
    }

    /// The session is over: a segment whose end was not said is cut off, and its capture ends.
    pub(super) async fn handle_gone(&mut self) -> Result<(), IntakeError> {
        if let (Some(segment), Some(capture)) = (self.segment.take(), &mut self.capture) {
            capture.lost.push(Lost { seg_no: segment.seg_no, reason: CUT_OFF.into() });
            self.server.drop_upload(&segment.upload).await?;
        }
        self.end_capture().await
    }

    /// Makes this capture the current one; another one that lacks its end has ended.
    async fn enter(&mut self, identity: Identity) -> Result<(), IntakeError> {
        self.handle_boundary().await?;
        if self.capture.as_ref().is_some_and(|current| current.identity == identity) {
            return Ok(());
        }
        self.end_capture().await?;
        let (id, gave_way) = self.server.store.begin_original(self.camera, &identity, unix_now()).await?;
        self.server.bus.tell_gone(gave_way);
        self.server.bus.tell(Event::Capture(id, self.camera));
        self.capture = Some(Current { identity, id, lost: Vec::new() });
        Ok(())
    }

    async fn end_capture(&mut self) -> Result<(), IntakeError> {
        let Some(capture) = self.capture.take() else { return Ok(()) };
        self.server.store.end_original(capture.id, &capture.lost).await?;
        self.server.bus.tell(Event::Capture(capture.id, self.camera));
        Ok(())
    }

    async fn begun(&self, identity: Identity, seg_no: u32) -> Result<Receiving, IntakeError> {
        let upload = random_name();
        let new = NewUpload {
            id: &upload,
            camera: self.camera,
            identity,
            seg_no,
            // An original doesn't say how long it will be: the quota is held byte by byte.
            length: 0,
            sha256: None,
            metadata: "",
            expires_at: unix_now() + LIFE_S,
        };
        let used = self.server.store.used_bytes(self.camera).await?;
        let room = self.server.quota.saturating_sub(used);
        let (creation, older) = self.server.store.create_upload(&new, self.server.quota).await?;
        // They are finished: an original sends one segment at a time.
        for id in older {
            self.server.remove_bytes(&id).await?;
        }
        let state = match creation {
            Creation::Open | Creation::Finished | Creation::Conflict => {
                match File::create_new(self.server.data.upload(&upload)).await {
                    Ok(file) => Bytewise::Kept { file: BufWriter::with_capacity(WRITE_BUFFER, file), room },
                    Err(error) => Bytewise::Dropped(unwritten(&error)),
                }
            }
            Creation::OverQuota => Bytewise::Dropped("the camera's quota leaves no room for it"),
            Creation::TooMany => Bytewise::Dropped("the camera has too many segments open"),
        };
        Ok(Receiving { seg_no, upload, state })
    }
}

fn unwritten(error: &io::Error) -> &'static str {
    log::error!("a segment could not be written: {error}");
    "the server could not write it"
}
