//! The people's side.

use crate::server::Server;
use axum::Router;
use std::sync::Arc;

/// All routes of the people's side.
pub fn router(_server: Arc<Server>) -> Router {
    Router::new()
}
