//! Captures: how one begins, and where a segment belongs.

use super::{Result, Store, empty::bound_empty, ends::settle, int, parsed, uploads::note_unwanted};
use crate::library::{CameraId, CaptureId, Identity, Segment};
use cloudtalker::wire::Sha256;
use sqlx::SqliteConnection;

/// A whole segment whose bytes are in the store already.
#[derive(Clone, Debug)]
pub struct NewSegment<'a> {
    /// The upload that brought it, which is finished with it.
    pub upload: &'a str,
    /// Whose it is.
    pub camera: CameraId,
    /// The capture it belongs to.
    pub identity: Identity,
    /// The capture that its session found for it before; none asks for the latest of that identity.
    pub capture: Option<CaptureId>,
    /// What another segment in its place means.
    pub on_conflict: OnConflict,
    /// Place, length, digest, container and key.
    pub segment: Segment,
}

/// What another segment in the same place means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Both sides keep what they have.
    Refuse,
    /// An original client's board used a timestamp again: another capture.
    NewCapture,
}

/// Where a segment came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is in this capture now.
    Stored(CaptureId),
    /// The very same was in this capture already.
    Repeated(CaptureId),
    /// Another one is in its place.
    Conflict(CaptureId),
}

impl Store {
    /// The capture of this identity, begun now if it is new. Captures that gave way to it come with it.
    pub async fn begin_capture(
        &self,
        camera: CameraId,
        identity: &Identity,
        now: u64,
    ) -> Result<(CaptureId, Vec<CaptureId>)> {
        let mut tx = self.write().await?;
        let begun = found_or_begun(&mut tx, camera, identity, now).await?;
        tx.commit().await?;
        Ok(begun)
    }

    /// As [`Store::begin_capture`]; an original client's session sends it from now on.
    pub async fn begin_original(
        &self,
        camera: CameraId,
        identity: &Identity,
        now: u64,
    ) -> Result<(CaptureId, Vec<CaptureId>)> {
        let mut tx = self.write().await?;
        let begun = found_or_begun(&mut tx, camera, identity, now).await?;
        execute(&mut tx, "UPDATE captures SET sending = 1 WHERE id = ?", begun.0).await?;
        tx.commit().await?;
        Ok(begun)
    }

    /// Puts a segment where it belongs and finishes its upload. Captures that gave way to a new one come with it.
    pub async fn place_segment(&self, new: &NewSegment<'_>, now: u64) -> Result<(Placed, Vec<CaptureId>)> {
        let mut tx = self.write().await?;
        let (found, mut gave_way) = match new.capture {
            Some(capture) => (capture, Vec::new()),
            None => found_or_begun(&mut tx, new.camera, &new.identity, now).await?,
        };
        let placed = match (digest_at(&mut tx, found, new.segment.seg_no).await?, new.on_conflict) {
            (None, _) => Placed::Stored(found),
            (Some(digest), _) if digest == new.segment.sha256 => Placed::Repeated(found),
            (Some(_), OnConflict::Refuse) => Placed::Conflict(found),
            (Some(_), OnConflict::NewCapture) => {
                let (another, older) = begun(&mut tx, new.camera, &new.identity, now).await?;
                gave_way = older;
                Placed::Stored(another)
            }
        };
        match placed {
            Placed::Stored(capture) => {
                insert_segment(&mut tx, capture, &new.segment, now).await?;
                if new.on_conflict == OnConflict::NewCapture {
                    // Its session will say again when the capture ends.
                    execute(&mut tx, "UPDATE captures SET sending = 0 WHERE id = ?", found).await?;
                    execute(&mut tx, "UPDATE captures SET sending = 1, ended = 0 WHERE id = ?", capture)
                        .await?;
                }
                settle(&mut tx, capture).await?;
                finish_upload(&mut tx, new.upload).await?;
            }
            Placed::Repeated(_) => {
                finish_upload(&mut tx, new.upload).await?;
                note_unwanted(&mut tx, new.upload).await?;
            }
            Placed::Conflict(_) => {}
        }
        tx.commit().await?;
        Ok((placed, gave_way))
    }
}

/// The digest of the segment that is stored in this place of the identity's latest capture.
pub(super) async fn stored_digest(
    db: &mut SqliteConnection,
    camera: CameraId,
    identity: &Identity,
    seg_no: u32,
) -> Result<Option<Sha256>> {
    match found(db, camera, identity).await? {
        Some(capture) => digest_at(db, capture, seg_no).await,
        None => Ok(None),
    }
}

async fn found(
    db: &mut SqliteConnection,
    camera: CameraId,
    identity: &Identity,
) -> Result<Option<CaptureId>> {
    let id = match identity.agent_id {
        Some(id) => {
            let by_id = sqlx::query_scalar("SELECT id FROM captures WHERE camera = ? AND agent_id = ?");
            by_id.bind(camera.0).bind(id.to_string()).fetch_optional(db).await?
        }
        None => {
            let latest = sqlx::query_scalar(
                "SELECT id FROM captures WHERE camera = ? AND agent_id IS NULL AND trigger = ? \
                 AND trigger_timestamp = ? ORDER BY occurrence DESC LIMIT 1",
            );
            let latest = latest.bind(camera.0).bind(identity.trigger.as_str());
            latest.bind(int(identity.trigger_timestamp)).fetch_optional(db).await?
        }
    };
    Ok(id.map(CaptureId))
}

async fn begun(
    db: &mut SqliteConnection,
    camera: CameraId,
    identity: &Identity,
    now: u64,
) -> Result<(CaptureId, Vec<CaptureId>)> {
    let id = sqlx::query_scalar(
        "INSERT INTO captures (camera, agent_id, trigger, trigger_timestamp, occurrence, received_at) \
         VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(occurrence) + 1, 0) FROM captures WHERE camera = ?1 \
                 AND agent_id IS NULL AND trigger = ?3 AND trigger_timestamp = ?4), ?5) RETURNING id",
    );
    let id =
        id.bind(camera.0).bind(identity.agent_id.map(|id| id.to_string())).bind(identity.trigger.as_str());
    let id = id.bind(int(identity.trigger_timestamp)).bind(int(now)).fetch_one(&mut *db).await?;
    let capture = CaptureId(id);
    Ok((capture, bound_empty(db, camera, capture).await?))
}

pub(super) async fn found_or_begun(
    db: &mut SqliteConnection,
    camera: CameraId,
    identity: &Identity,
    now: u64,
) -> Result<(CaptureId, Vec<CaptureId>)> {
    match found(db, camera, identity).await? {
        Some(capture) => Ok((capture, Vec::new())),
        None => begun(db, camera, identity, now).await,
    }
}

pub(super) async fn digest_at(
    db: &mut SqliteConnection,
    capture: CaptureId,
    seg_no: u32,
) -> Result<Option<Sha256>> {
    let digest = sqlx::query_scalar("SELECT sha256 FROM segments WHERE capture = ? AND seg_no = ?");
    let digest: Option<String> = digest.bind(capture.0).bind(seg_no).fetch_optional(db).await?;
    digest.map(|digest| parsed("sha256", &digest, |digest| digest.parse().ok())).transpose()
}

async fn insert_segment(
    db: &mut SqliteConnection,
    capture: CaptureId,
    segment: &Segment,
    now: u64,
) -> Result<()> {
    sqlx::query("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)")
        .bind(capture.0)
        .bind(segment.seg_no)
        .bind(int(segment.bytes))
        .bind(segment.sha256.to_string())
        .bind(segment.container.as_str())
        .bind(&segment.blob)
        .bind(int(now))
        .execute(&mut *db)
        .await?;
    // What came after all is not lost, and what was joined before lacks it.
    sqlx::query("DELETE FROM lost WHERE capture = ? AND seg_no = ?")
        .bind(capture.0)
        .bind(segment.seg_no)
        .execute(&mut *db)
        .await?;
    execute(db, "UPDATE captures SET revision = revision + 1, joining = 'none' WHERE id = ?", capture).await
}

async fn finish_upload(db: &mut SqliteConnection, upload: &str) -> Result<()> {
    sqlx::query("UPDATE uploads SET finished = 1 WHERE id = ?").bind(upload).execute(db).await?;
    Ok(())
}

pub(super) async fn execute(db: &mut SqliteConnection, sql: &'static str, capture: CaptureId) -> Result<()> {
    sqlx::query(sql).bind(capture.0).execute(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudtalker::wire::Trigger;

    #[tokio::test]
    async fn a_timestamp_that_is_used_again_has_an_occurrence_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).await.unwrap();
        let camera = store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        let original = Identity { agent_id: None, trigger: Trigger::Pir, trigger_timestamp: 35 };
        let mut tx = store.write().await.unwrap();
        let (first, _) = begun(&mut tx, camera, &original, 1).await.unwrap();
        let (second, _) = begun(&mut tx, camera, &original, 1).await.unwrap();
        execute(&mut tx, "DELETE FROM captures WHERE id = ?", first).await.unwrap();
        let (third, _) = begun(&mut tx, camera, &original, 1).await.unwrap();
        assert_eq!(found(&mut tx, camera, &original).await.unwrap(), Some(third));
        assert_ne!(second, third);
    }
}
