//! Captures: where a segment belongs, and when a receipt or a join is due.

use super::{Result, Store, int, parsed, shown::all_listed_stored, uint, uploads::LIFE};
use crate::library::{CameraId, CaptureId, Identity, Joined, Listed, Lost, Segment};
use cloudtalker::wire::{Id, Sha256};
use sqlx::{Row, SqliteConnection};

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

/// A capture to be joined.
#[derive(Clone, Debug)]
pub struct JoinDue {
    /// The capture.
    pub capture: CaptureId,
    /// Whose it is.
    pub camera: CameraId,
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

/// True of a capture row `c` that nobody but the server can end: see the index `capture_unended`.
macro_rules! unended {
    () => {
        "c.agent_id IS NULL AND NOT c.ended AND NOT c.sending"
    };
}

/// When something last came of a capture row `c` without an agent: a segment, or bytes of an open upload, whose expiry
/// each of them puts off by its whole life, `?1`.
macro_rules! quiet_since {
    () => {
        "max(c.received_at, \
         coalesce((SELECT max(stored_at) FROM segments WHERE capture = c.id), 0), \
         coalesce((SELECT max(u.expires_at) - ?1 FROM uploads u WHERE u.camera = c.camera AND NOT u.finished \
                   AND u.agent_id IS NULL AND u.trigger = c.trigger \
                   AND u.trigger_timestamp = c.trigger_timestamp), 0))"
    };
}

impl Store {
    /// The capture of this identity, begun now if it is new.
    pub async fn begin_capture(&self, camera: CameraId, identity: &Identity, now: u64) -> Result<CaptureId> {
        let mut tx = self.write().await?;
        let capture = found_or_begun(&mut tx, camera, identity, now).await?;
        tx.commit().await?;
        Ok(capture)
    }

    /// The capture of this identity, which an original client's session sends from now on.
    pub async fn begin_original(&self, camera: CameraId, identity: &Identity, now: u64) -> Result<CaptureId> {
        let mut tx = self.write().await?;
        let capture = found_or_begun(&mut tx, camera, identity, now).await?;
        execute(&mut tx, "UPDATE captures SET sending = 1 WHERE id = ?", capture).await?;
        tx.commit().await?;
        Ok(capture)
    }

    /// Puts a segment where it belongs and finishes its upload.
    pub async fn place_segment(&self, new: &NewSegment<'_>, now: u64) -> Result<Placed> {
        let mut tx = self.write().await?;
        let found = match new.capture {
            Some(capture) => capture,
            None => found_or_begun(&mut tx, new.camera, &new.identity, now).await?,
        };
        let placed = match (digest_at(&mut tx, found, new.segment.seg_no).await?, new.on_conflict) {
            (None, _) => Placed::Stored(found),
            (Some(digest), _) if digest == new.segment.sha256 => Placed::Repeated(found),
            (Some(_), OnConflict::Refuse) => Placed::Conflict(found),
            (Some(_), OnConflict::NewCapture) => {
                Placed::Stored(begun(&mut tx, new.camera, &new.identity, now).await?)
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
            Placed::Repeated(_) => finish_upload(&mut tx, new.upload).await?,
            Placed::Conflict(_) => {}
        }
        tx.commit().await?;
        Ok(placed)
    }

    /// An agent's capture has ended with these lists; the latest count.
    pub async fn end_capture(&self, capture: CaptureId, listed: &[Listed], lost: &[Lost]) -> Result<()> {
        let mut tx = self.write().await?;
        execute(&mut tx, "UPDATE captures SET ended = 1, receipt = 'none' WHERE id = ?", capture).await?;
        execute(&mut tx, "DELETE FROM listed WHERE capture = ?", capture).await?;
        execute(&mut tx, "DELETE FROM lost WHERE capture = ?", capture).await?;
        insert_listed(&mut tx, capture, listed).await?;
        for lost in lost {
            insert_lost(&mut tx, capture, lost).await?;
        }
        settle(&mut tx, capture).await?;
        tx.commit().await?;
        Ok(())
    }

    /// An original client's capture has ended: it is what arrived, less what was cut off.
    pub async fn end_original(&self, capture: CaptureId, cut_off: &[Lost]) -> Result<()> {
        let mut tx = self.write().await?;
        end_original(&mut tx, capture, cut_off).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The process that served is gone, and with it the sessions of original clients: what they were sending is cut
    /// off, for this reason, and their captures have ended.
    pub async fn end_interrupted(&self, reason: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let sending = "SELECT id, camera, trigger, trigger_timestamp FROM captures WHERE sending";
        for row in sqlx::query(sending).fetch_all(&mut *tx).await? {
            // An upload without metadata is an original's; see `uploads`.
            let cut_off = sqlx::query_scalar(
                "DELETE FROM uploads WHERE NOT finished AND metadata = '' AND agent_id IS NULL \
                 AND camera = ? AND trigger = ? AND trigger_timestamp = ? RETURNING seg_no",
            );
            let cut_off = cut_off
                .bind(row.try_get::<i64, _>("camera")?)
                .bind(row.try_get::<String, _>("trigger")?)
                .bind(row.try_get::<i64, _>("trigger_timestamp")?);
            let cut_off: Vec<u32> = cut_off.fetch_all(&mut *tx).await?;
            let lost: Vec<Lost> =
                cut_off.into_iter().map(|seg_no| Lost { seg_no, reason: reason.to_owned() }).collect();
            end_original(&mut tx, CaptureId(row.try_get("id")?), &lost).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Since when nothing came of the plain tus client's capture that is quiet for longest; none where all have ended.
    pub async fn quiet_since(&self) -> Result<Option<u64>> {
        let since = sqlx::query_scalar(concat!(
            "SELECT min(",
            quiet_since!(),
            ") FROM captures c WHERE ",
            unended!()
        ));
        let since: Option<i64> = since.bind(int(LIFE.as_secs())).fetch_one(&self.readers).await?;
        Ok(since.map(uint))
    }

    /// Ends the plain tus clients' captures of which nothing came after `since`: they are what arrived.
    pub async fn end_quiet(&self, since: u64) -> Result<Vec<(CaptureId, CameraId)>> {
        let mut tx = self.write().await?;
        let quiet = concat!(
            "UPDATE captures AS c SET ended = 1 WHERE ",
            unended!(),
            " AND ",
            quiet_since!(),
            " <= ?2 RETURNING id, camera"
        );
        let quiet = sqlx::query(quiet).bind(int(LIFE.as_secs())).bind(int(since));
        let mut ended = Vec::new();
        for row in quiet.fetch_all(&mut *tx).await? {
            let capture = CaptureId(row.try_get("id")?);
            settle(&mut tx, capture).await?;
            ended.push((capture, CameraId(row.try_get("camera")?)));
        }
        tx.commit().await?;
        Ok(ended)
    }

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
        let row =
            "SELECT id, camera, revision FROM captures WHERE joining = 'due' AND id > ? ORDER BY id LIMIT 1";
        let row = sqlx::query(row).bind(after.0).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let capture = CaptureId(row.try_get("id")?);
        let mut segments = self.segments(capture, capture).await?;
        Ok(Some(JoinDue {
            capture,
            camera: CameraId(row.try_get("camera")?),
            revision: row.try_get("revision")?,
            segments: segments.remove(&capture).unwrap_or_default(),
        }))
    }

    /// Keeps a join's result, unless the capture changed since.
    pub async fn join_ended(&self, due: &JoinDue, result: std::result::Result<&Joined, &str>) -> Result<()> {
        let joined = result.ok();
        sqlx::query(
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
        Ok(())
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
) -> Result<CaptureId> {
    let id = sqlx::query_scalar(
        "INSERT INTO captures (camera, agent_id, trigger, trigger_timestamp, occurrence, received_at) \
         VALUES (?1, ?2, ?3, ?4, (SELECT count(*) FROM captures WHERE camera = ?1 AND agent_id IS NULL \
                 AND trigger = ?3 AND trigger_timestamp = ?4), ?5) RETURNING id",
    );
    let id =
        id.bind(camera.0).bind(identity.agent_id.map(|id| id.to_string())).bind(identity.trigger.as_str());
    let id = id.bind(int(identity.trigger_timestamp)).bind(int(now)).fetch_one(db).await?;
    Ok(CaptureId(id))
}

async fn found_or_begun(
    db: &mut SqliteConnection,
    camera: CameraId,
    identity: &Identity,
    now: u64,
) -> Result<CaptureId> {
    match found(db, camera, identity).await? {
        Some(capture) => Ok(capture),
        None => begun(db, camera, identity, now).await,
    }
}

async fn digest_at(db: &mut SqliteConnection, capture: CaptureId, seg_no: u32) -> Result<Option<Sha256>> {
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

async fn end_original(db: &mut SqliteConnection, capture: CaptureId, cut_off: &[Lost]) -> Result<()> {
    execute(db, "UPDATE captures SET sending = 0, ended = 1 WHERE id = ?", capture).await?;
    for lost in cut_off {
        let stored = digest_at(db, capture, lost.seg_no).await?;
        if stored.is_none() {
            insert_lost(db, capture, lost).await?;
        }
    }
    settle(db, capture).await
}

/// By one statement: row by row, ten thousand of them keep all other writers waiting three times as long.
async fn insert_listed(db: &mut SqliteConnection, capture: CaptureId, listed: &[Listed]) -> Result<()> {
    let rows: Vec<_> =
        listed.iter().map(|listed| (listed.seg_no, int(listed.bytes), listed.sha256)).collect();
    let rows = serde_json::to_string(&rows).expect("numbers and digests are JSON");
    sqlx::query(
        "INSERT OR REPLACE INTO listed SELECT ?, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)",
    )
    .bind(capture.0)
    .bind(rows)
    .execute(db)
    .await?;
    Ok(())
}

async fn insert_lost(db: &mut SqliteConnection, capture: CaptureId, lost: &Lost) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO lost VALUES (?, ?, ?)")
        .bind(capture.0)
        .bind(lost.seg_no)
        .bind(&lost.reason)
        .execute(db)
        .await?;
    Ok(())
}

async fn finish_upload(db: &mut SqliteConnection, upload: &str) -> Result<()> {
    sqlx::query("UPDATE uploads SET finished = 1 WHERE id = ?").bind(upload).execute(db).await?;
    Ok(())
}

/// After any change: whether a receipt is owed, and whether the capture is to be joined.
async fn settle(db: &mut SqliteConnection, capture: CaptureId) -> Result<()> {
    let owed = concat!(
        "UPDATE captures AS c SET receipt = 'owed' \
         WHERE id = ? AND ended AND agent_id IS NOT NULL AND receipt = 'none' AND ",
        all_listed_stored!()
    );
    execute(db, owed, capture).await?;
    let due = concat!(
        "UPDATE captures AS c SET joining = iif(ended \
         AND NOT EXISTS (SELECT 1 FROM lost WHERE capture = c.id) \
         AND EXISTS (SELECT 1 FROM segments WHERE capture = c.id) AND ",
        all_listed_stored!(),
        ", iif(joining = 'none', 'due', joining), 'none') WHERE id = ?"
    );
    execute(db, due, capture).await
}

async fn execute(db: &mut SqliteConnection, sql: &'static str, capture: CaptureId) -> Result<()> {
    sqlx::query(sql).bind(capture.0).execute(db).await?;
    Ok(())
}
