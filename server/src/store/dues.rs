//! What is due to captures that have ended: receipts for their cameras, and joins.

use super::{Result, Store, int, parsed};
use crate::library::{CameraId, CaptureId, Joined, Segment};
use cloudtalker::wire::Id;
use sqlx::Row;

/// A capture to be joined.
#[derive(Clone, Debug)]
pub struct JoinDue {
    /// The capture.
    pub capture: CaptureId,
    /// Whose it is.
    pub camera: CameraId,
    /// Its camera's name.
    pub camera_name: String,
    /// What the result must name: a capture that changed meanwhile is joined again.
    pub revision: i64,
    /// The parts, in order.
    pub segments: Vec<Segment>,
}

/// A receipt that a camera has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwedReceipt {
    /// The agent's identity of the capture.
    pub capture: Id,
    /// How many segments the list had that it answers.
    pub segments: u32,
}

impl Store {
    /// The receipts that a camera has not answered, oldest capture first.
    pub async fn owed_receipts(&self, camera: CameraId) -> Result<Vec<OwedReceipt>> {
        let rows = sqlx::query(
            "SELECT agent_id, (SELECT count(*) FROM listed WHERE capture = captures.id) AS segments \
             FROM captures WHERE camera = ? AND receipt = 'owed' ORDER BY id",
        );
        let rows = rows.bind(camera.0).fetch_all(&self.readers).await?;
        let owed = rows.iter().map(|row| {
            let id: String = row.try_get("agent_id")?;
            let capture = parsed("agent_id", &id, |id| id.parse().ok())?;
            Ok(OwedReceipt { capture, segments: row.try_get("segments")? })
        });
        owed.collect()
    }

    /// A camera has answered a receipt.
    pub async fn receipt_taken(&self, camera: CameraId, capture: Id) -> Result<()> {
        sqlx::query(
            "UPDATE captures SET receipt = 'taken' WHERE camera = ? AND agent_id = ? AND receipt = 'owed'",
        )
        .bind(camera.0)
        .bind(capture.to_string())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// The oldest capture after `after` that is to be joined.
    pub async fn join_due(&self, after: CaptureId) -> Result<Option<JoinDue>> {
        let row = "SELECT id, camera, revision, (SELECT name FROM cameras WHERE id = camera) AS camera_name \
                   FROM captures WHERE joining = 'due' AND id > ? ORDER BY id LIMIT 1";
        let row = sqlx::query(row).bind(after.0).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let capture = CaptureId(row.try_get("id")?);
        let mut segments = self.segments(capture, capture).await?;
        Ok(Some(JoinDue {
            capture,
            camera: CameraId(row.try_get("camera")?),
            camera_name: row.try_get("camera_name")?,
            revision: row.try_get("revision")?,
            segments: segments.remove(&capture).unwrap_or_default(),
        }))
    }

    /// Keeps a join's result. False where the capture changed since.
    pub async fn join_ended(
        &self,
        due: &JoinDue,
        result: std::result::Result<&Joined, &str>,
    ) -> Result<bool> {
        let joined = result.ok();
        let kept = sqlx::query(
            "UPDATE captures SET joining = ?, join_error = ?, joined_blob = ?, joined_bytes = ?, joined_ms = ? \
             WHERE id = ? AND revision = ? AND joining = 'due'",
        )
        .bind(if joined.is_some() { "done" } else { "failed" })
        .bind(result.err())
        .bind(joined.map(|joined| joined.blob.as_str()))
        .bind(joined.map(|joined| int(joined.bytes)))
        .bind(joined.map(|joined| (joined.duration_s * 1000.0).round() as i64))
        .bind(due.capture.0)
        .bind(due.revision)
        .execute(&self.writer)
        .await?;
        Ok(kept.rows_affected() > 0)
    }
}
