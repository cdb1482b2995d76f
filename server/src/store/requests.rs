//! Requests for a fresh capture: each an edge that reaches its camera once, or lapses.

use super::{Result, Store, int, parsed};
use crate::library::CameraId;

/// Requests that are kept of one camera: beyond, the oldest goes, settled ones first. More people than that don't wait for
/// one picture.
const MAX_REQUESTS: i64 = 100;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// The camera has not said yet that it has it.
    Waiting,
    /// The camera has it.
    Delivered,
    /// The camera was not there in time.
    Lapsed,
}

impl RequestState {
    fn as_str(self) -> &'static str {
        match self {
            RequestState::Waiting => "waiting",
            RequestState::Delivered => "delivered",
            RequestState::Lapsed => "lapsed",
        }
    }

    fn from_word(word: &str) -> Option<RequestState> {
        let all = [RequestState::Waiting, RequestState::Delivered, RequestState::Lapsed];
        all.into_iter().find(|state| state.as_str() == word)
    }
}

impl Store {
    /// Keeps a request until it is settled, and a while longer. Those that give way to it come with it: nobody waits for
    /// them any more.
    pub async fn add_request(&self, id: &str, camera: CameraId, now: u64) -> Result<Vec<String>> {
        let mut tx = self.write().await?;
        let new = sqlx::query("INSERT INTO capture_requests (id, camera, asked_at) VALUES (?, ?, ?)");
        new.bind(id).bind(camera.0).bind(int(now)).execute(&mut *tx).await?;
        let surplus = sqlx::query_scalar(
            "DELETE FROM capture_requests WHERE rowid IN (SELECT rowid FROM capture_requests \
             WHERE camera = ? ORDER BY state = 'waiting' DESC, rowid DESC LIMIT -1 OFFSET ?) RETURNING id",
        );
        let surplus = surplus.bind(camera.0).bind(MAX_REQUESTS).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        Ok(surplus)
    }

    /// A camera's waiting requests, oldest first.
    pub async fn waiting_requests(&self, camera: CameraId) -> Result<Vec<String>> {
        let ids =
            "SELECT id FROM capture_requests WHERE camera = ? AND state = 'waiting' ORDER BY asked_at, id";
        Ok(sqlx::query_scalar(ids).bind(camera.0).fetch_all(&self.readers).await?)
    }

    /// What became of a request; `None` where there never was one.
    pub async fn request_state(&self, id: &str) -> Result<Option<RequestState>> {
        let word = sqlx::query_scalar("SELECT state FROM capture_requests WHERE id = ?").bind(id);
        let word: Option<String> = word.fetch_optional(&self.readers).await?;
        word.map(|word| parsed("request's state", &word, RequestState::from_word)).transpose()
    }

    /// Settles a waiting request. False where it is settled already.
    pub async fn settle_request(&self, id: &str, state: RequestState) -> Result<bool> {
        let settled = sqlx::query("UPDATE capture_requests SET state = ? WHERE id = ? AND state = 'waiting'");
        Ok(settled.bind(state.as_str()).bind(id).execute(&self.writer).await?.rows_affected() > 0)
    }

    /// Every waiting request lapses: the process that would have delivered them is gone.
    pub async fn lapse_requests(&self) -> Result<()> {
        sqlx::query("UPDATE capture_requests SET state = 'lapsed' WHERE state = 'waiting'")
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudtalker::wire::Sha256;

    #[tokio::test]
    async fn requests_are_bounded_and_settled_ones_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).await.unwrap();
        let camera = store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        let add = async |id: i64| store.add_request(&id.to_string(), camera, 1).await.unwrap();
        for id in 1..=MAX_REQUESTS {
            assert!(add(id).await.is_empty());
        }
        assert!(store.settle_request("7", RequestState::Delivered).await.unwrap());
        assert_eq!(add(MAX_REQUESTS + 1).await, ["7"]);
        assert_eq!(add(MAX_REQUESTS + 2).await, ["1"]);
        assert_eq!(store.request_state("1").await.unwrap(), None);
    }
}
