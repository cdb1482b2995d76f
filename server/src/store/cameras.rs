//! Cameras: who may connect, what they last said, and what they are to do.

use super::{Result, Store, int, uint};
use crate::library::CameraId;
use cloudtalker::wire::Sha256;
use serde::Serialize;
use sqlx::{Row, sqlite::SqliteRow};

/// Alarms that are kept of one camera, so that a repeated one is known: twice as many as an agent owes at a time. Beyond,
/// the first that came goes.
const MAX_ALARMS: i64 = 2_000;

/// A camera, as people see it. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Camera {
    /// The server's number of it.
    #[serde(skip)]
    pub id: CameraId,
    /// Its name, one of its kind among the cameras that are not removed.
    pub name: String,
    /// When it was added.
    pub added_at: u64,
    /// Whether it has a session.
    pub online: bool,
    /// Since when it is on- or offline; none before its first session.
    pub since: Option<u64>,
    /// Whether it watches for motion, as it last said.
    pub armed: Option<bool>,
    /// Whether people want it to watch for motion.
    pub wanted_armed: Option<bool>,
    /// The agent's version; original clients have none.
    pub version: Option<String>,
    /// When it last raised an alarm, by the server's clock.
    pub last_alarm: Option<u64>,
}

/// What a camera's state message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateReport<'a> {
    /// Whether it watches for motion.
    pub armed: bool,
    /// The agent's version; none makes it an original client.
    pub version: Option<&'a str>,
}

/// A query on all that [`camera`] reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, added_at, session, since, armed, wanted_armed, version, last_alarm FROM cameras ",
            $rest
        )
    };
}

impl Store {
    /// Adds a camera that is who its certificate says. `None`: the name is taken.
    pub async fn add_camera(&self, name: &str, fingerprint: Sha256, now: u64) -> Result<Option<CameraId>> {
        let added = sqlx::query_scalar(
            "INSERT INTO cameras (name, fingerprint, added_at) VALUES (?, ?, ?) \
             ON CONFLICT (name) WHERE removed_at IS NULL DO NOTHING RETURNING id",
        );
        let added = added.bind(name).bind(fingerprint.to_string()).bind(int(now));
        Ok(added.fetch_optional(&self.writer).await?.map(CameraId))
    }

    /// Removes a camera: its certificate counts no more. Its captures stay.
    pub async fn remove_camera(&self, id: CameraId, now: u64) -> Result<()> {
        sqlx::query("UPDATE cameras SET removed_at = ?, session = NULL WHERE id = ? AND removed_at IS NULL")
            .bind(int(now))
            .bind(id.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Every camera that is not removed, by name.
    pub async fn cameras(&self) -> Result<Vec<Camera>> {
        let rows = sqlx::query(select!("WHERE removed_at IS NULL ORDER BY name"));
        rows.try_map(camera).fetch_all(&self.readers).await.map_err(Into::into)
    }

    /// The camera of this name, unless it is removed.
    pub async fn camera_named(&self, name: &str) -> Result<Option<Camera>> {
        let row = sqlx::query(select!("WHERE removed_at IS NULL AND name = ?")).bind(name);
        row.try_map(camera).fetch_optional(&self.readers).await.map_err(Into::into)
    }

    /// The camera of this number, unless it is removed.
    pub async fn camera(&self, id: CameraId) -> Result<Option<Camera>> {
        let row = sqlx::query(select!("WHERE removed_at IS NULL AND id = ?")).bind(id.0);
        row.try_map(camera).fetch_optional(&self.readers).await.map_err(Into::into)
    }

    /// Who presents this certificate; nobody, where it was never ours or its camera is removed.
    pub async fn camera_of_certificate(&self, fingerprint: Sha256) -> Result<Option<(CameraId, String)>> {
        let known =
            sqlx::query_as("SELECT id, name FROM cameras WHERE fingerprint = ? AND removed_at IS NULL");
        let known: Option<(i64, String)> =
            known.bind(fingerprint.to_string()).fetch_optional(&self.readers).await?;
        Ok(known.map(|(id, name)| (CameraId(id), name)))
    }

    /// A camera's session began; an older one of it counts no more.
    pub async fn session_began(&self, id: CameraId, session: &str, now: u64) -> Result<()> {
        sqlx::query("UPDATE cameras SET since = iif(session IS NULL, ?, since), session = ? WHERE id = ?")
            .bind(int(now))
            .bind(session)
            .bind(id.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// A camera's session ended. False where a newer one has taken its place.
    pub async fn session_ended(&self, id: CameraId, session: &str, now: u64) -> Result<bool> {
        let ended = sqlx::query("UPDATE cameras SET session = NULL, since = ? WHERE id = ? AND session = ?");
        let ended = ended.bind(int(now)).bind(id.0).bind(session).execute(&self.writer).await?;
        Ok(ended.rows_affected() > 0)
    }

    /// The name of a camera's session.
    pub async fn session_of(&self, id: CameraId) -> Result<Option<String>> {
        let name = sqlx::query_scalar("SELECT session FROM cameras WHERE id = ?").bind(id.0);
        Ok(name.fetch_optional(&self.readers).await?.flatten())
    }

    /// No camera has a session: the process that held them is gone.
    pub async fn all_offline(&self, now: u64) -> Result<()> {
        sqlx::query("UPDATE cameras SET session = NULL, since = ? WHERE session IS NOT NULL")
            .bind(int(now))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// People want the camera to watch for motion, or not.
    pub async fn set_wanted_armed(&self, id: CameraId, armed: bool) -> Result<()> {
        sqlx::query("UPDATE cameras SET wanted_armed = ? WHERE id = ?")
            .bind(armed)
            .bind(id.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Keeps what a camera said of itself. False where it says what it said before.
    pub async fn set_state(&self, id: CameraId, state: StateReport<'_>) -> Result<bool> {
        let changed = sqlx::query(
            "UPDATE cameras SET armed = ?1, version = ?2 \
             WHERE id = ?3 AND (armed IS NOT ?1 OR version IS NOT ?2)",
        );
        let changed = changed.bind(state.armed).bind(state.version).bind(id.0).execute(&self.writer).await?;
        Ok(changed.rows_affected() > 0)
    }

    /// Keeps a camera's report, as the JSON text that it is.
    pub async fn set_report(&self, id: CameraId, report: &str) -> Result<()> {
        sqlx::query("UPDATE cameras SET report = ? WHERE id = ?")
            .bind(report)
            .bind(id.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// A camera's last report, JSON.
    pub async fn report(&self, id: CameraId) -> Result<Option<String>> {
        let report = sqlx::query_scalar("SELECT report FROM cameras WHERE id = ?").bind(id.0);
        Ok(report.fetch_optional(&self.readers).await?.flatten())
    }

    /// Keeps an alarm; false where it is known already.
    pub async fn add_alarm(
        &self,
        id: CameraId,
        alarm: &str,
        at: u64,
        gpio: Option<i64>,
        now: u64,
    ) -> Result<bool> {
        let mut tx = self.write().await?;
        let added = sqlx::query("INSERT INTO alarms VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
        let added = added.bind(id.0).bind(alarm).bind(int(at)).bind(gpio).bind(int(now));
        let is_new = added.execute(&mut *tx).await?.rows_affected() > 0;
        if is_new {
            let last = sqlx::query("UPDATE cameras SET last_alarm = ? WHERE id = ?");
            last.bind(int(now)).bind(id.0).execute(&mut *tx).await?;
            let surplus = sqlx::query(
                "DELETE FROM alarms WHERE rowid IN (SELECT rowid FROM alarms WHERE camera = ? \
                 ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
            );
            surplus.bind(id.0).bind(MAX_ALARMS).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(is_new)
    }
}

fn camera(row: SqliteRow) -> sqlx::Result<Camera> {
    Ok(Camera {
        id: CameraId(row.try_get("id")?),
        name: row.try_get("name")?,
        added_at: uint(row.try_get("added_at")?),
        online: row.try_get::<Option<String>, _>("session")?.is_some(),
        since: row.try_get::<Option<i64>, _>("since")?.map(uint),
        armed: row.try_get("armed")?,
        wanted_armed: row.try_get("wanted_armed")?,
        version: row.try_get("version")?,
        last_alarm: row.try_get::<Option<i64>, _>("last_alarm")?.map(uint),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_repeated_alarm_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).await.unwrap();
        let camera = store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        assert!(store.add_alarm(camera, "a", 5, Some(17), 100).await.unwrap());
        assert!(!store.add_alarm(camera, "a", 5, Some(17), 200).await.unwrap());
        assert_eq!(store.camera(camera).await.unwrap().unwrap().last_alarm, Some(100));
    }

    #[tokio::test]
    async fn alarms_are_bounded_and_the_oldest_go_whatever_the_clock_says() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).await.unwrap();
        let camera = store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        // By one statement: each alarm of its own would wait for the disk.
        let many = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
                    INSERT INTO alarms SELECT ?, 'a' || i, 5, NULL, 100 FROM n";
        sqlx::query(many).bind(MAX_ALARMS).bind(camera.0).execute(&store.writer).await.unwrap();
        let set_back = 50;
        assert!(store.add_alarm(camera, "new", 5, None, set_back).await.unwrap());
        assert!(!store.add_alarm(camera, "new", 5, None, set_back).await.unwrap(), "it stays");
        let count = sqlx::query_scalar("SELECT count(*) FROM alarms");
        let count: i64 = count.fetch_one(&store.readers).await.unwrap();
        assert_eq!(count, MAX_ALARMS);
        assert!(!store.add_alarm(camera, "a2", 5, None, 300).await.unwrap(), "it is known still");
        assert!(store.add_alarm(camera, "a1", 5, None, 300).await.unwrap(), "the oldest went");
    }

    #[tokio::test]
    async fn a_replaced_session_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).await.unwrap();
        let camera = store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        store.session_began(camera, "first", 10).await.unwrap();
        store.session_began(camera, "second", 20).await.unwrap();
        assert!(!store.session_ended(camera, "first", 30).await.unwrap());
        let online = store.camera(camera).await.unwrap().unwrap();
        assert_eq!((online.online, online.since), (true, Some(10)));
        assert!(store.session_ended(camera, "second", 40).await.unwrap());
        let offline = store.camera(camera).await.unwrap().unwrap();
        assert_eq!((offline.online, offline.since), (false, Some(40)));
    }

    #[tokio::test]
    async fn a_removed_cameras_name_is_free_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).await.unwrap();
        let first = store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        assert_eq!(store.add_camera("porch", Sha256([2; 32]), 1).await.unwrap(), None);
        store.remove_camera(first, 2).await.unwrap();
        let second = store.add_camera("porch", Sha256([2; 32]), 3).await.unwrap().unwrap();
        assert_ne!(first, second);
        assert_eq!(store.camera_of_certificate(Sha256([1; 32])).await.unwrap(), None);
        let known = store.camera_of_certificate(Sha256([2; 32])).await.unwrap();
        assert_eq!(known, Some((second, "porch".to_owned())));
    }
}
