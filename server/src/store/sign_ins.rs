//! Who is signed in on the people's side.

use super::{Result, Store, int};
use cloudtalker::wire::Sha256;

impl Store {
    /// Keeps a sign-in by its token's digest, and forgets those whose time is over.
    pub async fn add_sign_in(&self, token: Sha256, expires_at: u64, now: u64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM sign_ins WHERE expires_at <= ?").bind(int(now)).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO sign_ins VALUES (?, ?)")
            .bind(token.to_string())
            .bind(int(expires_at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether the token of this digest is signed in.
    pub async fn is_signed_in(&self, token: Sha256, now: u64) -> Result<bool> {
        let found =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sign_ins WHERE token = ? AND expires_at > ?)");
        Ok(found.bind(token.to_string()).bind(int(now)).fetch_one(&self.readers).await?)
    }

    /// Forgets every sign-in.
    pub async fn remove_sign_ins(&self) -> Result<()> {
        sqlx::query("DELETE FROM sign_ins").execute(&self.writer).await?;
        Ok(())
    }

    /// Forgets a sign-in.
    pub async fn remove_sign_in(&self, token: Sha256) -> Result<()> {
        sqlx::query("DELETE FROM sign_ins WHERE token = ?")
            .bind(token.to_string())
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
