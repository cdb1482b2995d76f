//! Uploads on disk: one append file each, one writer at a time.
//!
//! ```text
//!  create ──▶ Open(offset) ──PATCH──▶ Open(offset + n) ──…──▶ whole ──digest right──▶ Finished
//!                │                                              │
//!                └── expires, DELETE ──▶ gone ◀── digest wrong ─┘
//! ```
//!
//! The offset is the file's length, nothing else: bytes that arrived before a connection dropped are kept, and after
//! a crash it is what is really there. A PATCH is answered after an fsync, and a whole upload once its segment is
//! in the library.

use crate::{
    blobs::BlobError,
    library::intake::{IntakeError, WholeSegment, segment_key},
    server::Server,
    store::{OnConflict, Placed, StoreError, Upload},
};
use axum::body::Body;
use http_body_util::BodyExt;
use ring::digest;
use std::{
    collections::HashMap,
    fmt, io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    fs::{File, OpenOptions},
    io::AsyncWriteExt,
    sync::{OwnedMutexGuard, watch},
    time::timeout,
};

/// A body that brings nothing for so long is given up: its board has another connection by now, or none.
const BODY_IDLE: Duration = Duration::from_secs(60);

/// Pieces of a body are a few kilobytes long; the disk gets them in larger ones.
const WRITE_BUFFER: usize = 256 << 10;

/// Whose turn it is to use an upload: the newest request's. A board that reconnected must not wait for the
/// half-open connection of before.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, Arc<Slot>>>);

#[derive(Debug)]
struct Slot {
    newest: watch::Sender<u64>,
    busy: Arc<tokio::sync::Mutex<()>>,
}

/// The right to use an upload, until a newer request wants it.
#[derive(Debug)]
pub struct Turn {
    slot: Arc<Slot>,
    number: u64,
    _busy: OwnedMutexGuard<()>,
}

/// What a PATCH's Upload-Checksum asks for.
#[derive(Clone, Debug)]
pub struct Checksum {
    /// SHA-1 or SHA-256.
    pub algorithm: &'static digest::Algorithm,
    /// What the body's digest must be.
    pub expected: Vec<u8>,
}

/// Why a body was not taken, or not as a whole.
#[derive(Debug)]
pub enum ReceiveError {
    /// The upload is at another offset than the one that the client names.
    WrongOffset {
        /// Where the upload is.
        offset: u64,
    },
    /// The body has more bytes than the upload lacks.
    TooLong,
    /// The body's digest is not the one in its header; its bytes are gone again.
    WrongChecksum,
    /// The connection broke; what arrived is kept.
    Broken(String),
    /// Nothing came for too long; what arrived is kept.
    Idle,
    /// A newer request took the upload over; what arrived is kept.
    Superseded,
    /// The disk is full; what arrived is kept.
    DiskFull,
    /// The file failed.
    File(io::Error),
}

/// Why a whole upload is not a segment of the library.
#[derive(Debug)]
pub enum FinishError {
    /// Its bytes have another digest than it declared; it is gone.
    WrongDigest,
    /// Another segment is in its place; it is gone.
    Conflict,
    /// The store failed; it is still there.
    Failed(IntakeError),
}

impl Turns {
    /// Ends the turn of whoever has it, then takes it.
    pub async fn take(&self, upload: &str) -> Turn {
        let slot = {
            let mut slots = self.0.lock().expect("nothing panics while it holds this lock");
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
            let new = || Arc::new(Slot { newest: watch::Sender::new(0), busy: Arc::default() });
            slots.entry(upload.to_owned()).or_insert_with(new).clone()
        };
        let mut number = 0;
        slot.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let busy = slot.busy.clone().lock_owned().await;
        Turn { slot, number, _busy: busy }
    }
}

impl Turn {
    /// Pends until a newer request wants the upload.
    pub(super) async fn superseded(&self) {
        let mut newest = self.slot.newest.subscribe();
        let newer = newest.wait_for(|newest| *newest != self.number).await;
        newer.map(drop).expect("the sender is in a slot that this turn holds");
    }
}

/// How many bytes an upload has: those that are in its file, on the disk.
pub async fn offset(file: &Path) -> io::Result<u64> {
    match File::open(file).await {
        Ok(file) => {
            file.sync_data().await?;
            Ok(file.metadata().await?.len())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Appends a body to an upload's file, which is `offset` long. What arrived is on the disk when this returns.
pub async fn receive(
    turn: &Turn,
    path: &Path,
    upload: &Upload,
    offset: u64,
    body: Body,
    checksum: Option<Checksum>,
) -> Result<(), ReceiveError> {
    let file = OpenOptions::new().create(true).append(true).open(path).await?;
    let mut sink = Sink {
        file: tokio::io::BufWriter::with_capacity(WRITE_BUFFER, file),
        room: upload.length.saturating_sub(offset),
        digest: checksum.as_ref().map(|checksum| digest::Context::new(checksum.algorithm)),
    };
    let received = append(&mut sink, turn, body).await;
    let is_verified = match (&received, sink.digest.take(), &checksum) {
        (Ok(()), Some(digest), Some(checksum)) => digest.finish().as_ref() == checksum.expected,
        // What could not be verified may stay only where the whole upload will be.
        (Err(_), Some(_), _) => upload.sha256.is_some(),
        (_, None, _) | (_, _, None) => true,
    };
    sink.file.flush().await?;
    let file = sink.file.into_inner();
    if !is_verified {
        file.set_len(offset).await?;
    }
    file.sync_data().await?;
    if offset == 0 {
        // The file may be new: its name must be on the disk, too.
        sync_directory(path).await?;
    }
    received?;
    if is_verified { Ok(()) } else { Err(ReceiveError::WrongChecksum) }
}

async fn sync_directory(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(directory) => File::open(directory).await?.sync_all().await,
        None => Ok(()),
    }
}

/// Where a body's bytes go.
struct Sink {
    file: tokio::io::BufWriter<File>,
    room: u64,
    digest: Option<digest::Context>,
}

async fn append(sink: &mut Sink, turn: &Turn, mut body: Body) -> Result<(), ReceiveError> {
    loop {
        let frame = tokio::select! {
            frame = timeout(BODY_IDLE, body.frame()) => frame.map_err(|_| ReceiveError::Idle)?,
            () = turn.superseded() => return Err(ReceiveError::Superseded),
        };
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|error| ReceiveError::Broken(error.to_string()))?;
        // Trailers say nothing to us.
        let Ok(data) = frame.into_data() else { continue };
        sink.room = sink.room.checked_sub(data.len() as u64).ok_or(ReceiveError::TooLong)?;
        sink.file.write_all(&data).await?;
        if let Some(digest) = &mut sink.digest {
            digest.update(&data);
        }
    }
}

impl Server {
    /// Makes a segment of an upload whose bytes are all there.
    pub async fn finish_upload(&self, upload: &Upload) -> Result<(), FinishError> {
        let whole = WholeSegment {
            upload: &upload.id,
            camera: upload.camera,
            identity: upload.identity,
            capture: None,
            on_conflict: OnConflict::Refuse,
            seg_no: upload.seg_no,
            sha256: upload.sha256,
        };
        match self.take_segment(&whole).await {
            Ok(Placed::Stored(_) | Placed::Repeated(_)) => Ok(()),
            Ok(Placed::Conflict(_)) => {
                self.drop_upload(&upload.id).await?;
                Err(FinishError::Conflict)
            }
            Err(IntakeError::Blob(BlobError::WrongDigest { .. })) => {
                self.drop_upload(&upload.id).await?;
                Err(FinishError::WrongDigest)
            }
            Err(error) => Err(FinishError::Failed(error)),
        }
    }

    /// Forgets an upload, and its bytes where they are no segment.
    pub async fn drop_upload(&self, id: &str) -> Result<(), StoreError> {
        self.store.remove_upload(id).await?;
        self.remove_bytes(id).await
    }

    /// Removes an unwanted upload's bytes, where they are no segment. What can't be removed now is named until the next
    /// start.
    pub async fn remove_bytes(&self, id: &str) -> Result<(), StoreError> {
        let file = match tokio::fs::remove_file(self.data.upload(id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
            Ok(()) | Err(_) => Ok(()),
        };
        let blob = segment_key(id);
        let removed = match file {
            Ok(()) if !self.store.is_segment(&blob).await? => {
                self.blobs.delete(&blob).await.map_err(|error| error.to_string())
            }
            known => known,
        };
        match removed {
            Ok(()) => self.store.bytes_removed(id).await,
            Err(error) => {
                log::warn!("upload {id} could not be removed: {error}");
                Ok(())
            }
        }
    }
}

impl From<io::Error> for ReceiveError {
    fn from(error: io::Error) -> ReceiveError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ReceiveError::DiskFull,
            _ => ReceiveError::File(error),
        }
    }
}

impl From<StoreError> for FinishError {
    fn from(error: StoreError) -> FinishError {
        FinishError::Failed(error.into())
    }
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReceiveError::WrongOffset { offset } => {
                write!(f, "the upload is at offset {offset}: ask by HEAD")
            }
            ReceiveError::TooLong => f.write_str("the body goes beyond the upload's length"),
            ReceiveError::WrongChecksum => f.write_str("the body's digest is not the one in Upload-Checksum"),
            ReceiveError::Broken(error) => write!(f, "the connection broke: {error}"),
            ReceiveError::Idle => write!(f, "nothing came for {} s", BODY_IDLE.as_secs()),
            ReceiveError::Superseded => f.write_str("a newer request has taken the upload over"),
            ReceiveError::DiskFull => f.write_str("the server's disk is full"),
            ReceiveError::File(error) => write!(f, "the upload's file failed: {error}"),
        }
    }
}

impl fmt::Display for FinishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FinishError::WrongDigest => {
                f.write_str("the upload's digest is not the declared one: create it again")
            }
            FinishError::Conflict => f.write_str("another segment is stored in this place"),
            FinishError::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReceiveError {}
impl std::error::Error for FinishError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_turn_wins() {
        let turns = Turns::default();
        let first = turns.take("a").await;
        let (second, ()) = tokio::join!(turns.take("a"), async {
            first.superseded().await;
            drop(first);
        });
        let _other = turns.take("b").await;
        assert_eq!(second.number, 2);
    }
}
