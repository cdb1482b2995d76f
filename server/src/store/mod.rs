//! The database: SQLite in one file, write-ahead log, every commit on the disk before it is answered.
//!
//! All SQL of the server is in this module, so that a fleet's PostgreSQL is a second set of these files and
//! nothing else.

mod cameras;
mod captures;
mod dues;
mod empty;
mod ends;
mod requests;
mod rooms;
mod shown;
mod sign_ins;
mod uploads;

pub use cameras::{Camera, StateReport};
pub use captures::{NewSegment, OnConflict, Placed};
pub use dues::{JoinDue, OwedReceipt};
pub use empty::MAX_AWAITED;
pub use ends::{Ended, Quiet};
pub use requests::RequestState;
pub use rooms::{StoredRoom, StoredSlot};
pub use uploads::{Creation, LIFE as UPLOAD_LIFE, NewUpload, Upload};

use sqlx::{
    SqlSafeStr, Sqlite, SqlitePool, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    collections::HashSet,
    fmt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Connections that read, beside the one that writes.
const READERS: u32 = 8;

/// How long this process waits for another one that writes: a command beside no server. Within the process writers
/// queue for their one connection: SQLite itself knows no order, and lets one that is unlucky wait until it fails.
const BUSY: Duration = Duration::from_secs(10);

/// Each migration once, oldest first; a released one never changes.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "foundation", include_str!("../../migrations/sqlite/0001_foundation.sql")),
    (2, "sign-ins", include_str!("../../migrations/sqlite/0002_sign_ins.sql")),
    (3, "quiet captures", include_str!("../../migrations/sqlite/0003_quiet_captures.sql")),
    (4, "bounds", include_str!("../../migrations/sqlite/0004_bounds.sql")),
    (5, "rooms", include_str!("../../migrations/sqlite/0005_rooms.sql")),
];

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    readers: SqlitePool,
    writer: SqlitePool,
}

/// Why the database didn't do what it was asked.
#[derive(Debug)]
pub enum StoreError {
    /// The database failed, or holds what it never should.
    Database(sqlx::Error),
    /// The tables could not be brought up to date.
    Migration(sqlx::migrate::MigrateError),
    /// A column holds a word that this version doesn't know.
    Corrupt {
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
    },
}

/// The outcome of every function here.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

impl Store {
    /// Opens the database file, which it makes if there is none, and brings its tables up to date.
    pub async fn open(file: &Path) -> Result<Store> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        // Kept for good: without it the readers, who may write nothing, could not open a database that was folded.
        let writer = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let writer = writer.connect_with(options.clone()).await?;
        let migrations = MIGRATIONS.map(|(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        });
        Migrator::with_migrations(migrations.into()).run(&writer).await.map_err(StoreError::Migration)?;
        let readers = SqlitePoolOptions::new().max_connections(READERS);
        let readers = readers.connect_with(options.read_only(true)).await?;
        Ok(Store { readers, writer })
    }

    /// Ends all connections; the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// A setting that the server keeps for itself.
    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let value = sqlx::query_scalar("SELECT value FROM settings WHERE name = ?");
        Ok(value.bind(name).fetch_optional(&self.readers).await?)
    }

    /// Keeps a setting.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// The keys of all blobs that have, had or will have a place in the library: a joined video is made anew under its
    /// capture's key, a segment's file under its upload's.
    pub async fn known_blobs(&self) -> Result<HashSet<String>> {
        let keys = sqlx::query_scalar(
            "SELECT blob FROM segments UNION ALL SELECT 'joined/' || id || '.mp4' FROM captures WHERE revision > 0 \
             UNION ALL SELECT 'segments/' || id FROM uploads WHERE NOT finished",
        );
        Ok(keys.fetch_all(&self.readers).await?.into_iter().collect())
    }

    /// Whether a blob is a segment of the library.
    pub async fn is_segment(&self, blob: &str) -> Result<bool> {
        let is_there = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM segments WHERE blob = ?)");
        Ok(is_there.bind(blob).fetch_one(&self.readers).await?)
    }

    /// A transaction that writes: it takes the write lock at once, because one that read first could not.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Unix seconds by the server's clock.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// SQLite's integers are signed; no time, length or number of ours needs the last bit.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What [`int`] stored.
fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A column's word as the type it stands for.
fn parsed<T>(column: &'static str, value: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    parse(value).ok_or_else(|| StoreError::Corrupt { column, value: value.into() })
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        StoreError::Database(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Database(error) => write!(f, "the database failed: {error}"),
            StoreError::Migration(error) => {
                write!(f, "the database's tables could not be brought up to date: {error}")
            }
            StoreError::Corrupt { column, value } => {
                write!(f, "the database holds {value:?} as {column}, which this version doesn't know")
            }
        }
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::cell::RefCell;

    #[tokio::test]
    async fn writers_have_their_turn_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).await.unwrap();
        let first = store.write().await.unwrap();
        let written = RefCell::new(Vec::new());
        let writers = (0..16).map(|number| {
            let (store, written) = (&store, &written);
            async move {
                store.set_setting("name", "value").await.unwrap();
                written.borrow_mut().push(number);
            }
        });
        tokio::join!(join_all(writers), async { first.rollback().await.unwrap() });
        assert_eq!(written.into_inner(), (0..16).collect::<Vec<_>>());
    }
}
