//! Uploads: what a camera announced, until its bytes are whole and right, and a while longer.

use super::{Result, Store, captures, int, parsed, uint};
use crate::library::{CameraId, Identity};
use cloudtalker::wire::{Sha256, Trigger};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use std::time::Duration;

/// An upload that nobody went on with for so long is given up; its camera can create it again.
pub const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Uploads that one camera may have open at a time; an agent has one or two.
const MAX_OPEN: i64 = 256;

/// An upload to be opened.
#[derive(Clone, Debug)]
pub struct NewUpload<'a> {
    /// Its random name, which is also its file's and its blob's.
    pub id: &'a str,
    /// Whose it is.
    pub camera: CameraId,
    /// The capture it belongs to.
    pub identity: Identity,
    /// Its place in the capture.
    pub seg_no: u32,
    /// How many bytes it will have.
    pub length: u64,
    /// The digest it will have, where the client says.
    pub sha256: Option<Sha256>,
    /// Upload-Metadata, as it came.
    pub metadata: &'a str,
    /// Unix seconds at which it is given up.
    pub expires_at: u64,
}

/// What became of [`Store::create_upload`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It waits for bytes.
    Open,
    /// The very same segment is stored already: the upload is whole at once.
    Finished,
    /// Another segment is stored in this place.
    Conflict,
    /// The camera's quota leaves no room for it.
    OverQuota,
    /// The camera has as many open as it may.
    TooMany,
}

/// An upload, open or finished.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its random name, which is also its file's and its blob's.
    pub id: String,
    /// Whose it is.
    pub camera: CameraId,
    /// Its camera's name.
    pub camera_name: String,
    /// The capture it belongs to.
    pub identity: Identity,
    /// Its place in the capture.
    pub seg_no: u32,
    /// How many bytes it has when whole.
    pub length: u64,
    /// The digest that it must have, where the client said.
    pub sha256: Option<Sha256>,
    /// Upload-Metadata, as it came.
    pub metadata: String,
    /// Unix seconds at which it is given up or forgotten.
    pub expires_at: u64,
    /// Whether its segment is stored.
    pub finished: bool,
}

impl Store {
    /// Opens an upload, unless its segment, the quota or the camera's other uploads speak against it. The names of those
    /// that gave way to it come with it: their bytes are wanted no more.
    pub async fn create_upload(&self, new: &NewUpload<'_>, quota: u64) -> Result<(Creation, Vec<String>)> {
        let mut tx = self.write().await?;
        let older = drop_older(&mut tx, new).await?;
        let stored = captures::stored_digest(&mut tx, new.camera, &new.identity, new.seg_no).await?;
        let creation = match (stored, new.sha256) {
            (Some(stored), Some(declared)) if stored == declared => Creation::Finished,
            (Some(_), Some(_)) => Creation::Conflict,
            // Without a declared digest only the bytes will tell whether it is the same.
            (Some(_) | None, _) => room(&mut tx, new, quota).await?,
        };
        match creation {
            Creation::Open | Creation::Finished => {
                insert(&mut tx, new, creation == Creation::Finished).await?;
                tx.commit().await?;
                Ok((creation, older))
            }
            Creation::Conflict | Creation::OverQuota | Creation::TooMany => Ok((creation, Vec::new())),
        }
    }

    /// A camera's own upload.
    pub async fn upload(&self, id: &str, camera: CameraId) -> Result<Option<Upload>> {
        let row = sqlx::query(
            "SELECT *, (SELECT name FROM cameras WHERE id = camera) AS camera_name FROM uploads \
             WHERE id = ? AND camera = ?",
        );
        let row = row.bind(id).bind(camera.0);
        row.fetch_optional(&self.readers).await?.map(|row| upload(&row)).transpose()
    }

    /// Forgets an upload, whose bytes are wanted no more.
    pub async fn remove_upload(&self, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM uploads WHERE id = ?").bind(id).execute(&mut *tx).await?;
        note_unwanted(&mut tx, id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Uploads whose bytes are wanted no more, and may be there still.
    pub async fn unwanted_uploads(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT id FROM unwanted_uploads").fetch_all(&self.readers).await?)
    }

    /// An unwanted upload's bytes are gone.
    pub async fn bytes_removed(&self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM unwanted_uploads WHERE id = ?").bind(id).execute(&self.writer).await?;
        Ok(())
    }

    /// Puts an upload's expiry off: its camera is at it.
    pub async fn extend_upload(&self, id: &str, expires_at: u64) -> Result<()> {
        sqlx::query("UPDATE uploads SET expires_at = ? WHERE id = ?")
            .bind(int(expires_at))
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Uploads whose time is over.
    pub async fn expired_uploads(&self, now: u64) -> Result<Vec<String>> {
        let ids = sqlx::query_scalar("SELECT id FROM uploads WHERE expires_at <= ?").bind(int(now));
        Ok(ids.fetch_all(&self.readers).await?)
    }

    /// Whether an upload's time is over, of those that there are.
    pub async fn is_upload_expired(&self, id: &str, now: u64) -> Result<bool> {
        let expired =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM uploads WHERE id = ? AND expires_at <= ?)");
        Ok(expired.bind(id).bind(int(now)).fetch_one(&self.readers).await?)
    }

    /// Whether an upload of this name is open: its file is wanted.
    pub async fn is_upload_open(&self, id: &str) -> Result<bool> {
        let open = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM uploads WHERE id = ? AND NOT finished)");
        Ok(open.bind(id).fetch_one(&self.readers).await?)
    }

    /// Bytes that a camera takes: its segments, its joined files and what its open uploads will have.
    pub async fn used_bytes(&self, camera: CameraId) -> Result<u64> {
        let mut connection = self.readers.acquire().await?;
        used_bytes(&mut connection, camera).await
    }
}

/// An agent that missed the answer to its POST opens another upload of the same segment: only the latest stays beside
/// the new one, so that open ones don't fill the quota and finished ones not the table.
async fn drop_older(db: &mut SqliteConnection, new: &NewUpload<'_>) -> Result<Vec<String>> {
    let older = sqlx::query_scalar(
        "DELETE FROM uploads WHERE rowid IN (SELECT rowid FROM uploads WHERE camera = ? \
         AND agent_id IS ? AND trigger = ? AND trigger_timestamp = ? AND seg_no = ? \
         ORDER BY rowid DESC LIMIT -1 OFFSET 1) RETURNING id",
    );
    let older = older.bind(new.camera.0).bind(new.identity.agent_id.map(|id| id.to_string()));
    let older = older.bind(new.identity.trigger.as_str()).bind(int(new.identity.trigger_timestamp));
    let older: Vec<String> = older.bind(new.seg_no).fetch_all(&mut *db).await?;
    for id in &older {
        note_unwanted(db, id).await?;
    }
    Ok(older)
}

/// An upload's bytes are wanted no more: they are named until they are gone, however often a start is in between.
pub(super) async fn note_unwanted(db: &mut SqliteConnection, id: &str) -> Result<()> {
    sqlx::query("INSERT OR IGNORE INTO unwanted_uploads VALUES (?)").bind(id).execute(db).await?;
    Ok(())
}

async fn room(db: &mut SqliteConnection, new: &NewUpload<'_>, quota: u64) -> Result<Creation> {
    let open = sqlx::query_scalar("SELECT count(*) FROM uploads WHERE camera = ? AND NOT finished");
    let open: i64 = open.bind(new.camera.0).fetch_one(&mut *db).await?;
    if open >= MAX_OPEN {
        return Ok(Creation::TooMany);
    }
    let used = used_bytes(db, new.camera).await?;
    Ok(if used.saturating_add(new.length) > quota { Creation::OverQuota } else { Creation::Open })
}

async fn used_bytes(db: &mut SqliteConnection, camera: CameraId) -> Result<u64> {
    let used = sqlx::query_scalar(
        "SELECT (SELECT coalesce(sum(s.bytes), 0) FROM segments s JOIN captures c ON c.id = s.capture WHERE c.camera = ?1) \
              + (SELECT coalesce(sum(joined_bytes), 0) FROM captures WHERE camera = ?1) \
              + (SELECT coalesce(sum(length), 0) FROM uploads WHERE camera = ?1 AND NOT finished)",
    );
    Ok(uint(used.bind(camera.0).fetch_one(db).await?))
}

async fn insert(db: &mut SqliteConnection, new: &NewUpload<'_>, finished: bool) -> Result<()> {
    sqlx::query("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(new.id)
        .bind(new.camera.0)
        .bind(new.identity.agent_id.map(|id| id.to_string()))
        .bind(new.identity.trigger.as_str())
        .bind(int(new.identity.trigger_timestamp))
        .bind(new.seg_no)
        .bind(int(new.length))
        .bind(new.sha256.map(|digest| digest.to_string()))
        .bind(new.metadata)
        .bind(int(new.expires_at))
        .bind(finished)
        .execute(db)
        .await?;
    Ok(())
}

fn upload(row: &SqliteRow) -> Result<Upload> {
    let agent_id: Option<String> = row.try_get("agent_id")?;
    let trigger: String = row.try_get("trigger")?;
    let sha256: Option<String> = row.try_get("sha256")?;
    Ok(Upload {
        id: row.try_get("id")?,
        camera: CameraId(row.try_get("camera")?),
        camera_name: row.try_get("camera_name")?,
        identity: Identity {
            agent_id: agent_id.map(|id| parsed("agent_id", &id, |id| id.parse().ok())).transpose()?,
            trigger: parsed("trigger", &trigger, Trigger::from_word)?,
            trigger_timestamp: uint(row.try_get("trigger_timestamp")?),
        },
        seg_no: row.try_get("seg_no")?,
        length: uint(row.try_get("length")?),
        sha256: sha256.map(|digest| parsed("sha256", &digest, |digest| digest.parse().ok())).transpose()?,
        metadata: row.try_get("metadata")?,
        expires_at: uint(row.try_get("expires_at")?),
        finished: row.try_get("finished")?,
    })
}
