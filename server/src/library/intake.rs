//! How a whole segment enters the library: its file into the store of blobs, then its row into the database.
//!
//! Both are durable before the camera hears of it. A crash between the two leaves a blob that only its upload names: the
//! next attempt writes it again under the same key, or it goes with the upload.

use super::{CaptureId, Identity, Segment};
use crate::{
    blobs::BlobError,
    bus::Event,
    library::CameraId,
    server::Server,
    store::{NewSegment, OnConflict, Placed, StoreError, unix_now},
};
use cloudtalker::wire::Sha256;
use std::fmt;

/// A segment whose bytes are all in its upload's file.
#[derive(Clone, Debug)]
pub struct WholeSegment<'a> {
    /// The upload that brought it.
    pub upload: &'a str,
    /// Whose it is.
    pub camera: CameraId,
    /// The capture it belongs to.
    pub identity: Identity,
    /// The capture that its session found for it before, if any.
    pub capture: Option<CaptureId>,
    /// What another segment in its place means.
    pub on_conflict: OnConflict,
    /// Its place in the capture.
    pub seg_no: u32,
    /// Its declared digest, if any.
    pub sha256: Option<Sha256>,
}

/// Why a segment is not in the library.
#[derive(Debug)]
pub enum IntakeError {
    /// Its bytes are not the declared ones, or could not be stored.
    Blob(BlobError),
    /// The database.
    Store(StoreError),
}

/// The key of the segment that an upload brought.
pub fn segment_key(upload: &str) -> String {
    format!("segments/{upload}")
}

impl Server {
    /// Takes a segment into its capture, and its upload's file away. On an error the file stays.
    pub async fn take_segment(&self, whole: &WholeSegment<'_>) -> Result<Placed, IntakeError> {
        let file = self.data.upload(whole.upload);
        let blob = segment_key(whole.upload);
        let put = self.blobs.put_file(&blob, &file, whole.sha256).await?;
        let new = NewSegment {
            upload: whole.upload,
            camera: whole.camera,
            identity: whole.identity,
            capture: whole.capture,
            on_conflict: whole.on_conflict,
            segment: Segment {
                seg_no: whole.seg_no,
                bytes: put.bytes,
                sha256: put.sha256,
                container: put.container,
                blob: blob.clone(),
            },
        };
        let (placed, gave_way) = self.store.place_segment(&new, unix_now()).await?;
        self.bus.tell_gone(gave_way);
        match placed {
            Placed::Stored(capture) => self.bus.tell(Event::Capture(capture, whole.camera)),
            Placed::Repeated(_) => {
                self.remove_bytes(whole.upload).await?;
                return Ok(placed);
            }
            Placed::Conflict(_) => self.blobs.delete(&blob).await?,
        }
        if let Err(error) = tokio::fs::remove_file(&file).await {
            log::warn!("{} is of no more use and could not be removed: {error}", file.display());
        }
        Ok(placed)
    }
}

impl From<BlobError> for IntakeError {
    fn from(error: BlobError) -> IntakeError {
        IntakeError::Blob(error)
    }
}

impl From<StoreError> for IntakeError {
    fn from(error: StoreError) -> IntakeError {
        IntakeError::Store(error)
    }
}

impl fmt::Display for IntakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntakeError::Blob(error) => error.fmt(f),
            IntakeError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for IntakeError {}
