//! The cameras' side: `/uploads/` is tus, every other path is the WebSocket.
//!
//! A camera is who its certificate says, asked of the store at every request: a removed one is refused at once.

mod end;
pub(crate) mod headers;
mod original;
mod session;
mod tus;
pub mod upload;

use crate::{library::CameraId, net::Peer, server::Server};
use axum::{
    Extension, Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::any,
};
use headers::Refusal;
use std::sync::Arc;

/// All routes of the cameras' side.
pub fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/uploads", any(tus::uploads))
        .route("/uploads/", any(tus::uploads))
        .route("/uploads/{id}", any(tus::upload))
        .fallback(session::upgrade)
        .layer(middleware::from_fn_with_state(server.clone(), authenticate))
        .with_state(server)
}

pub(crate) use original::CUT_OFF;
pub use tus::reap;

/// The camera whose request this is, as an extension of it.
#[derive(Clone, Debug)]
struct Caller {
    camera: CameraId,
    /// For people who read the log.
    name: Arc<str>,
}

async fn authenticate(
    State(server): State<Arc<Server>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(certificate) = peer.certificate else {
        return (StatusCode::FORBIDDEN, "a camera shows its certificate\n").into_response();
    };
    match server.store.camera_of_certificate(certificate).await {
        Ok(Some((camera, name))) => {
            request.extensions_mut().insert(Caller { camera, name: name.into() });
            next.run(request).await
        }
        Ok(None) => {
            log::info!("a camera was refused: certificate {certificate} is removed or unknown");
            (StatusCode::FORBIDDEN, "this camera was removed: add it again for a new certificate\n")
                .into_response()
        }
        Err(error) => {
            log::error!("a camera's certificate could not be looked up: {error}");
            Refusal(StatusCode::SERVICE_UNAVAILABLE, "try again later".into()).into_response()
        }
    }
}
