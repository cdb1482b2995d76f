//! Captures without a segment: no quota counts them, so that each camera has only so many.
//!
//! One that its agent has ended is awaited: the agent says an end once a session, mostly before its uploads, and keeps its
//! files until the receipt that answers it. Such a one gives way to nothing while the session lasts.

use super::{Result, captures::execute};
use crate::library::{CameraId, CaptureId};
use sqlx::SqliteConnection;

/// Captures without a segment, and not awaited, that one camera may have, as many as an agent keeps that it gave up
/// wholly: beyond, the oldest goes, ended ones first. One that goes too early begins anew at its camera's next word.
const MAX_EMPTY: i64 = 1_000;

/// Awaited captures without a segment that one camera may have: ten weeks of a hundred and more a day, while nothing can
/// be uploaded.
pub const MAX_AWAITED: i64 = 10_000;

/// As the index `capture_empty` has it. A revision is counted with the first segment.
macro_rules! empty {
    () => {
        "revision = 0 AND (NOT ended OR agent_id IS NULL OR receipt = 'taken')"
    };
}

/// As the index `capture_awaited` has it; SQLite prefers another one unless it is told.
macro_rules! awaited {
    () => {
        "revision = 0 AND ended AND agent_id IS NOT NULL AND receipt <> 'taken'"
    };
}

/// See [`MAX_EMPTY`]; which went. Spared are the newest, and one whose session knows it by its number.
pub(super) async fn bound_empty(
    db: &mut SqliteConnection,
    camera: CameraId,
    newest: CaptureId,
) -> Result<Vec<CaptureId>> {
    let surplus = sqlx::query_scalar(concat!(
        "SELECT id FROM captures WHERE camera = ?1 AND NOT sending AND id <> ?2 AND ",
        empty!(),
        " ORDER BY ended DESC, id LIMIT max(0, (SELECT count(*) FROM captures WHERE camera = ?1 AND ",
        empty!(),
        ") - ?3)"
    ));
    let surplus = surplus.bind(camera.0).bind(newest.0).bind(MAX_EMPTY).fetch_all(&mut *db).await?;
    forget(db, surplus).await
}

/// See [`MAX_AWAITED`]; which went: beyond, all of them, so that it is long until the next time. They begin anew with
/// their uploads, but their ends are said again in another session only.
pub(super) async fn bound_awaited(db: &mut SqliteConnection, camera: CameraId) -> Result<Vec<CaptureId>> {
    let awaited = sqlx::query_scalar(concat!(
        "SELECT id FROM captures INDEXED BY capture_awaited WHERE camera = ?1 AND ",
        awaited!(),
        " AND (SELECT count(*) FROM captures INDEXED BY capture_awaited WHERE camera = ?1 AND ",
        awaited!(),
        ") > ?2"
    ));
    let awaited = awaited.bind(camera.0).bind(MAX_AWAITED).fetch_all(&mut *db).await?;
    forget(db, awaited).await
}

async fn forget(db: &mut SqliteConnection, captures: Vec<i64>) -> Result<Vec<CaptureId>> {
    let captures: Vec<CaptureId> = captures.into_iter().map(CaptureId).collect();
    for capture in &captures {
        execute(db, "DELETE FROM listed WHERE capture = ?", *capture).await?;
        execute(db, "DELETE FROM lost WHERE capture = ?", *capture).await?;
        execute(db, "DELETE FROM captures WHERE id = ?", *capture).await?;
    }
    Ok(captures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        library::{Identity, Listed, Lost, Segment},
        store::{Ended, NewSegment, OnConflict, OwedReceipt, Placed, Store},
    };
    use cloudtalker::wire::{Id, Sha256, Trigger, segment_name::Container};

    const LISTED: Listed = Listed { seg_no: 0, bytes: 1, sha256: Sha256([2; 32]) };

    struct Scene {
        store: Store,
        camera: CameraId,
        _dir: tempfile::TempDir,
    }

    impl Scene {
        async fn open() -> Scene {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&dir.path().join("db")).await.unwrap();
            let camera = store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
            Scene { store, camera, _dir: dir }
        }

        async fn begin(&self, id: u64) -> (CaptureId, Vec<CaptureId>) {
            self.store.begin_capture(self.camera, &of_agent(id), 1).await.unwrap()
        }

        async fn end(&self, id: u64, listed: &[Listed], lost: &[Lost]) -> CaptureId {
            let end = self.store.end_capture(self.camera, &of_agent(id), listed, lost, 1).await;
            let (Ended::Kept(capture), _) = end.unwrap() else { panic!("there is room for it") };
            capture
        }

        async fn upload(&self, id: u64) -> CaptureId {
            let Listed { seg_no, bytes, sha256 } = LISTED;
            let blob = format!("segments/{id}");
            let new = NewSegment {
                upload: "u",
                camera: self.camera,
                identity: of_agent(id),
                capture: None,
                on_conflict: OnConflict::Refuse,
                segment: Segment { seg_no, bytes, sha256, container: Container::Mp4, blob },
            };
            let (placed, _) = self.store.place_segment(&new, 1).await.unwrap();
            let Placed::Stored(capture) = placed else { panic!("it is new") };
            capture
        }

        /// Captures of the agent from this id on. By one statement: each of its own would wait for the disk.
        async fn insert(&self, first: u64, count: i64, is_ended: bool) {
            let many = "WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) \
                        INSERT INTO captures (camera, agent_id, trigger, trigger_timestamp, occurrence, received_at, ended) \
                        SELECT ?2, format('%016x', ?3 + i), 'pir', 35, 0, 1, ?4 FROM n";
            let many = sqlx::query(many).bind(count).bind(self.camera.0).bind(first.cast_signed());
            many.bind(is_ended).execute(&self.store.writer).await.unwrap();
        }

        async fn is_there(&self, capture: CaptureId) -> bool {
            self.store.capture(capture).await.unwrap().is_some()
        }
    }

    fn of_agent(id: u64) -> Identity {
        Identity { agent_id: Some(Id(id)), trigger: Trigger::Pir, trigger_timestamp: 35 }
    }

    #[tokio::test]
    async fn empty_captures_are_bounded_and_ended_ones_go_first() {
        let scene = Scene::open().await;
        let open = scene.begin(1).await.0;
        let taken = scene.end(2, &[], &[Lost { seg_no: 0, reason: "evicted".to_owned() }]).await;
        scene.store.receipt_taken(scene.camera, Id(2)).await.unwrap();
        let stored = scene.upload(3).await;
        let original = Identity { agent_id: None, ..of_agent(0) };
        let sending = scene.store.begin_original(scene.camera, &original, 1).await.unwrap().0;
        scene.insert(4, MAX_EMPTY - 3, false).await;

        assert_eq!(scene.begin(100_001).await.1, [taken]);
        assert_eq!(scene.begin(100_002).await.1, [open]);
        assert!(scene.is_there(stored).await && scene.is_there(sending).await);
        // The camera's next word of it makes another of it.
        assert_ne!(scene.begin(1).await.0, open);
    }

    #[tokio::test]
    async fn a_capture_whose_end_awaits_its_uploads_gives_way_to_none() {
        let scene = Scene::open().await;
        let awaited = scene.end(1, &[LISTED], &[]).await;
        scene.insert(2, MAX_EMPTY, false).await;
        let first = scene.store.captures(None, 1_001).await.unwrap()[999].id;
        assert_eq!(scene.begin(100_001).await.1, [first]);
        assert_eq!(scene.upload(1).await, awaited);
        let owed = scene.store.owed_receipts(scene.camera).await.unwrap();
        assert_eq!(owed, [OwedReceipt { capture: Id(1), segments: 1 }]);
    }

    #[tokio::test]
    async fn awaited_captures_beyond_their_bound_are_forgotten_until_they_are_said_again() {
        let scene = Scene::open().await;
        let (open, stored) = (scene.begin(1).await.0, scene.end(2, &[LISTED], &[]).await);
        scene.upload(2).await;
        scene.insert(3, MAX_AWAITED - 1, true).await;
        scene.end(100_001, &[LISTED], &[]).await;
        let end = scene.store.end_capture(scene.camera, &of_agent(100_002), &[LISTED], &[], 1).await;
        let (ended, gone) = end.unwrap();
        assert_eq!((ended, gone.len()), (Ended::Forgotten, 10_001));
        assert!(scene.is_there(open).await && scene.is_there(stored).await);

        let again = scene.upload(100_002).await;
        assert_eq!(scene.end(100_002, &[LISTED], &[]).await, again);
        let owed = scene.store.owed_receipts(scene.camera).await.unwrap();
        assert_eq!(owed.iter().map(|owed| owed.capture).collect::<Vec<_>>(), [Id(2), Id(100_002)]);
    }
}
