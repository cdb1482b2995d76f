//! Captures as people see them.

use super::{Result, Store, parsed, uint};
use crate::library::{Capture, CaptureId, Joined, Lost, Segment, State};
use cloudtalker::wire::{Trigger, segment_name::Container};
use sqlx::{Row, sqlite::SqliteRow};
use std::collections::HashMap;

/// True of a capture row `c` whose listed segments are all stored. It looks for a missing one from the end, because they
/// come in order: from the beginning each of a long capture's segments would cost a look at all before it. (SQLite
/// ignores an order within EXISTS.)
macro_rules! all_listed_stored {
    () => {
        "(SELECT 1 FROM listed l WHERE l.capture = c.id AND NOT EXISTS \
         (SELECT 1 FROM segments s WHERE s.capture = c.id AND s.seg_no = l.seg_no AND s.sha256 = l.sha256) \
         ORDER BY l.seg_no DESC LIMIT 1) IS NULL"
    };
}
pub(super) use all_listed_stored;

impl Store {
    /// One capture.
    pub async fn capture(&self, id: CaptureId) -> Result<Option<Capture>> {
        Ok(self.captures_between(id, id, None, 1).await?.pop())
    }

    /// Captures, last arrived first: at most `limit` of those before `before`, where that is given.
    pub async fn captures(&self, before: Option<CaptureId>, limit: u32) -> Result<Vec<Capture>> {
        self.captures_between(CaptureId(0), last_before(before), None, limit).await
    }

    /// As [`Store::captures`], of the cameras that have or had this name.
    pub async fn captures_of(
        &self,
        camera: &str,
        before: Option<CaptureId>,
        limit: u32,
    ) -> Result<Vec<Capture>> {
        self.captures_between(CaptureId(0), last_before(before), Some(camera), limit).await
    }

    async fn captures_between(
        &self,
        first: CaptureId,
        last: CaptureId,
        camera: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Capture>> {
        let rows = sqlx::query(concat!(
            "SELECT c.*, cameras.name, ",
            all_listed_stored!(),
            " AS is_stored FROM captures c JOIN cameras ON cameras.id = c.camera \
             WHERE c.id BETWEEN ?1 AND ?2 AND (?3 IS NULL OR cameras.name = ?3) ORDER BY c.id DESC LIMIT ?4"
        ));
        let rows = rows.bind(first.0).bind(last.0).bind(camera).bind(limit).fetch_all(&self.readers).await?;
        let id = |row: &SqliteRow| row.try_get("id").map(CaptureId);
        let (Some(newest), Some(oldest)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let (oldest, newest) = (id(oldest)?, id(newest)?);
        let mut segments = self.segments(oldest, newest).await?;
        let mut lost = self.lost(oldest, newest).await?;
        rows.iter()
            .map(|row| {
                let id = id(row)?;
                let segments = segments.remove(&id).unwrap_or_default();
                capture(row, segments, &lost.remove(&id).unwrap_or_default())
            })
            .collect()
    }

    pub(super) async fn segments(
        &self,
        first: CaptureId,
        last: CaptureId,
    ) -> Result<HashMap<CaptureId, Vec<Segment>>> {
        let rows =
            sqlx::query("SELECT * FROM segments WHERE capture BETWEEN ? AND ? ORDER BY capture, seg_no");
        let mut segments = HashMap::<_, Vec<_>>::new();
        for row in rows.bind(first.0).bind(last.0).fetch_all(&self.readers).await? {
            segments.entry(CaptureId(row.try_get("capture")?)).or_default().push(segment(&row)?);
        }
        Ok(segments)
    }

    async fn lost(&self, first: CaptureId, last: CaptureId) -> Result<HashMap<CaptureId, Vec<Lost>>> {
        let rows = sqlx::query("SELECT * FROM lost WHERE capture BETWEEN ? AND ? ORDER BY capture, seg_no");
        let mut lost = HashMap::<_, Vec<_>>::new();
        for row in rows.bind(first.0).bind(last.0).fetch_all(&self.readers).await? {
            let entry = Lost { seg_no: row.try_get("seg_no")?, reason: row.try_get("reason")? };
            lost.entry(CaptureId(row.try_get("capture")?)).or_default().push(entry);
        }
        Ok(lost)
    }
}

fn last_before(before: Option<CaptureId>) -> CaptureId {
    CaptureId(before.map_or(i64::MAX, |id| id.0.saturating_sub(1)))
}

fn capture(row: &SqliteRow, segments: Vec<Segment>, lost: &[Lost]) -> Result<Capture> {
    let trigger: String = row.try_get("trigger")?;
    Ok(Capture {
        id: CaptureId(row.try_get("id")?),
        camera: row.try_get("name")?,
        trigger: parsed("trigger", &trigger, Trigger::from_word)?,
        trigger_timestamp: uint(row.try_get("trigger_timestamp")?),
        received_at: uint(row.try_get("received_at")?),
        state: state(row, &segments, lost)?,
        segments,
    })
}

fn state(row: &SqliteRow, segments: &[Segment], lost: &[Lost]) -> Result<State> {
    let is_ended: bool = row.try_get("ended")?;
    let is_stored: bool = row.try_get("is_stored")?;
    if !is_ended || !is_stored {
        return Ok(State::Open);
    }
    if !lost.is_empty() {
        let each = lost.iter().map(|lost| format!("segment {} is lost: {}", lost.seg_no, lost.reason));
        return Ok(State::Broken(each.collect::<Vec<_>>().join("; ")));
    }
    if segments.is_empty() {
        return Ok(State::Broken("it ended without a segment".into()));
    }
    let joining: String = row.try_get("joining")?;
    match joining.as_str() {
        "none" | "due" => Ok(State::Open),
        "done" => Ok(State::Complete(Joined {
            bytes: uint(row.try_get("joined_bytes")?),
            duration_s: row.try_get::<i64, _>("joined_ms")? as f64 / 1000.0,
            blob: row.try_get("joined_blob")?,
        })),
        "failed" => Ok(State::Broken(row.try_get("join_error")?)),
        other => parsed("joining", other, |_| None),
    }
}

fn segment(row: &SqliteRow) -> Result<Segment> {
    let sha256: String = row.try_get("sha256")?;
    let container: String = row.try_get("container")?;
    Ok(Segment {
        seg_no: row.try_get("seg_no")?,
        bytes: uint(row.try_get("bytes")?),
        sha256: parsed("sha256", &sha256, |digest| digest.parse().ok())?,
        container: parsed("container", &container, |word| {
            [Container::Mp4, Container::Ts].into_iter().find(|container| container.as_str() == word)
        })?,
        blob: row.try_get("blob")?,
    })
}
