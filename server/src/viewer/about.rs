//! What the server is, for those who are signed in.

use super::Viewer;
use axum::{Json, extract::State};
use serde::Serialize;
use std::sync::Arc;

/// The server.
#[derive(Debug, Serialize)]
pub(super) struct About {
    version: &'static str,
    /// Whether there can be rooms: it was started with a Janus.
    rooms: bool,
}

/// `GET /api/server`
pub(super) async fn server(State(viewer): State<Arc<Viewer>>) -> Json<About> {
    Json(About { version: env!("CARGO_PKG_VERSION"), rooms: viewer.rooms.has_janus() })
}
