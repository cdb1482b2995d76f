//! Joining, one capture at a time, after the receipt. What is due is in the database, so a job that a crash ended
//! is simply due again; one that the machine failed is passed over for a while and never holds up the rest.

use super::{
    CaptureId, Joined,
    join::{self, JoinError, Part},
};
use crate::{
    bus::{Event, Listener},
    server::Server,
    store::{JoinDue, StoreError},
};
use std::{fmt, fs::File, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a capture is passed over after a failure that is the machine's, not the video's: a full disk, a locked database.
const AGAIN: Duration = Duration::from_secs(30);

/// Why a capture was not joined this time.
#[derive(Debug)]
enum JobError {
    /// The parts can't be joined: the capture is broken for good.
    Video(JoinError),
    /// Joining panicked, which is our bug; trying again would do it again.
    Panic,
    /// The machine: to be tried again.
    Machine(String),
}

/// Joins whatever is due, until the process ends.
pub async fn run(server: Arc<Server>) {
    let mut events = server.bus.listen();
    let mut passed_over = CaptureId(0);
    loop {
        match server.store.join_due(passed_over).await {
            Ok(Some(due)) => {
                if let Err(error) = finish(&server, &due).await {
                    log::error!(
                        "{}: capture {} could not be joined now: {error}",
                        due.camera_name,
                        due.capture
                    );
                    passed_over = due.capture;
                }
            }
            Ok(None) if passed_over == CaptureId(0) => wait(&mut events).await,
            Ok(None) => {
                // Ended by whatever happens first: both are good reasons to look again.
                let _ = timeout(AGAIN, wait(&mut events)).await;
                passed_over = CaptureId(0);
            }
            Err(error) => {
                log::error!("what is to be joined can't be read: {error}");
                let _ = timeout(AGAIN, wait(&mut events)).await;
            }
        }
    }
}

/// Pends until something may be due.
async fn wait(events: &mut Listener) {
    while !matches!(events.next().await, Event::Missed | Event::Capture(..)) {}
}

/// Joins one capture and keeps the outcome. An error is the machine's.
async fn finish(server: &Server, due: &JoinDue) -> Result<(), JobError> {
    let result = match joined(server, due).await {
        Ok(joined) => {
            log::info!(
                "{}: capture {} is joined, {:.1} s (segments: {})",
                due.camera_name,
                due.capture,
                joined.duration_s,
                due.segments.len()
            );
            Ok(joined)
        }
        Err(error @ JobError::Machine(_)) => return Err(error),
        Err(error @ (JobError::Video(_) | JobError::Panic)) => {
            log::warn!("{}: capture {} stays in parts: {error}", due.camera_name, due.capture);
            Err(error.to_string())
        }
    };
    let is_kept = server.store.join_ended(due, result.as_ref().map_err(String::as_str)).await?;
    server.bus.tell(Event::Capture(due.capture, due.camera));
    if !is_kept || result.is_err() {
        // What is there was made of other segments.
        server.blobs.delete(&joined_key(due.capture)).await.map_err(JobError::machine)?;
    }
    Ok(())
}

async fn joined(server: &Server, due: &JoinDue) -> Result<Joined, JobError> {
    let parts = due.segments.iter().map(|segment| {
        let file = server.blobs.file(&segment.blob).map_err(JobError::machine)?;
        Ok(Part { seg_no: segment.seg_no, file })
    });
    let parts: Vec<Part<PathBuf>> = parts.collect::<Result<_, JobError>>()?;
    let out = server.data.work().join(format!("{}.mp4", due.capture));
    let work = out.clone();
    let joined = tokio::task::spawn_blocking(move || {
        let mut file = File::create(&work).map_err(JoinError::Write)?;
        join::join(&parts, &mut file)
    });
    let joined = joined.await.map_err(|_| JobError::Panic).and_then(|joined| joined.map_err(JobError::of));
    let joined = match joined {
        Ok(joined) => joined,
        Err(error) => {
            // Half a video is of no use, and may be what filled the disk.
            let _ = tokio::fs::remove_file(&out).await;
            return Err(error);
        }
    };
    let blob = joined_key(due.capture);
    let put = server.blobs.put_file(&blob, &out, None).await.map_err(JobError::machine)?;
    tokio::fs::remove_file(&out).await.map_err(JobError::machine)?;
    Ok(Joined { bytes: put.bytes, duration_s: joined.duration.as_secs_f64(), blob })
}

/// The key of the video that a capture is joined into.
fn joined_key(capture: CaptureId) -> String {
    format!("joined/{capture}.mp4")
}

impl JobError {
    fn of(error: JoinError) -> JobError {
        if error.is_final() { JobError::Video(error) } else { JobError::machine(error) }
    }

    fn machine(error: impl fmt::Display) -> JobError {
        JobError::Machine(error.to_string())
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> JobError {
        JobError::machine(error)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::Video(error) => error.fmt(f),
            JobError::Panic => f.write_str("joining failed by a fault of the server's own"),
            JobError::Machine(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for JobError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        library::{Identity, Listed, intake::WholeSegment},
        server::DEFAULT_QUOTA,
        store::OnConflict,
    };
    use cloudtalker::wire::{Id, Sha256, Trigger};
    use std::fs;

    #[tokio::test]
    async fn a_video_that_can_not_be_joined_any_more_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::open(dir.path(), DEFAULT_QUOTA).await.unwrap();
        let camera = server.store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        let identity = Identity { agent_id: Some(Id(1)), trigger: Trigger::Pir, trigger_timestamp: 35 };
        fs::write(server.data.upload("u"), "no video").unwrap();
        let whole = WholeSegment {
            upload: "u",
            camera,
            identity,
            capture: None,
            on_conflict: OnConflict::Refuse,
            seg_no: 0,
            sha256: None,
        };
        server.take_segment(&whole).await.unwrap();
        let listed: [Listed; 0] = [];
        server.store.end_capture(camera, &identity, &listed, &[], 1).await.unwrap();
        let due = server.store.join_due(CaptureId(0)).await.unwrap().unwrap();
        let before = dir.path().join("before");
        fs::write(&before, "joined before").unwrap();
        server.blobs.put_file(&joined_key(due.capture), &before, None).await.unwrap();
        finish(&server, &due).await.unwrap();
        assert!(!server.blobs.file(&joined_key(due.capture)).unwrap().exists());
    }
}
