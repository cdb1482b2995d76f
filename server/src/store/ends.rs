//! How captures end, and what is due then: a receipt, a join.

use super::{
    Result, Store,
    captures::{digest_at, execute, found_or_begun},
    empty::bound_awaited,
    int,
    shown::all_listed_stored,
    uint,
    uploads::{LIFE, note_unwanted},
};
use crate::library::{CameraId, CaptureId, Identity, Listed, Lost};
use sqlx::{Row, SqliteConnection};

/// What became of an agent's word that a capture has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is kept.
    Kept(CaptureId),
    /// More captures than are kept of its camera have ended and await their first segment: all of them are forgotten, and
    /// the agent has to begin another session to say them again.
    Forgotten,
}

/// A capture that has ended because nothing came of it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// The capture.
    pub capture: CaptureId,
    /// Whose it is.
    pub camera: CameraId,
    /// Its camera's name.
    pub camera_name: String,
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
    /// An agent's capture has ended with these lists, the latest of which count; it begins now if it is new. Captures that
    /// gave way to it come with it.
    pub async fn end_capture(
        &self,
        camera: CameraId,
        identity: &Identity,
        listed: &[Listed],
        lost: &[Lost],
        now: u64,
    ) -> Result<(Ended, Vec<CaptureId>)> {
        let mut tx = self.write().await?;
        let (capture, gave_way) = found_or_begun(&mut tx, camera, identity, now).await?;
        execute(&mut tx, "UPDATE captures SET ended = 1, receipt = 'none' WHERE id = ?", capture).await?;
        execute(&mut tx, "DELETE FROM listed WHERE capture = ?", capture).await?;
        execute(&mut tx, "DELETE FROM lost WHERE capture = ?", capture).await?;
        insert_listed(&mut tx, capture, listed).await?;
        for lost in lost {
            insert_lost(&mut tx, capture, lost).await?;
        }
        settle(&mut tx, capture).await?;
        let forgotten = bound_awaited(&mut tx, camera).await?;
        tx.commit().await?;
        if forgotten.is_empty() {
            return Ok((Ended::Kept(capture), gave_way));
        }
        Ok((Ended::Forgotten, [gave_way, forgotten].concat()))
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
            let cut_off = sqlx::query_as(
                "DELETE FROM uploads WHERE NOT finished AND metadata = '' AND agent_id IS NULL \
                 AND camera = ? AND trigger = ? AND trigger_timestamp = ? RETURNING id, seg_no",
            );
            let cut_off = cut_off
                .bind(row.try_get::<i64, _>("camera")?)
                .bind(row.try_get::<String, _>("trigger")?)
                .bind(row.try_get::<i64, _>("trigger_timestamp")?);
            let cut_off: Vec<(String, u32)> = cut_off.fetch_all(&mut *tx).await?;
            let mut lost = Vec::new();
            for (upload, seg_no) in cut_off {
                note_unwanted(&mut tx, &upload).await?;
                lost.push(Lost { seg_no, reason: reason.to_owned() });
            }
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
    pub async fn end_quiet(&self, since: u64) -> Result<Vec<Quiet>> {
        let mut tx = self.write().await?;
        let quiet = concat!(
            "UPDATE captures AS c SET ended = 1 WHERE ",
            unended!(),
            " AND ",
            quiet_since!(),
            " <= ?2 RETURNING id, camera, (SELECT name FROM cameras WHERE cameras.id = camera) AS camera_name"
        );
        let quiet = sqlx::query(quiet).bind(int(LIFE.as_secs())).bind(int(since));
        let mut ended = Vec::new();
        for row in quiet.fetch_all(&mut *tx).await? {
            let capture = CaptureId(row.try_get("id")?);
            settle(&mut tx, capture).await?;
            let (camera, camera_name) = (CameraId(row.try_get("camera")?), row.try_get("camera_name")?);
            ended.push(Quiet { capture, camera, camera_name });
        }
        tx.commit().await?;
        Ok(ended)
    }
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

/// After any change: whether a receipt is owed, and whether the capture is to be joined.
pub(super) async fn settle(db: &mut SqliteConnection, capture: CaptureId) -> Result<()> {
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
