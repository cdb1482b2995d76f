//! The people's side: a page, and the JSON that it lives on.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` and the files of `web/` | the page, and those of rooms |
//! | `POST /api/session {password}` | signs in: a cookie |
//! | `DELETE /api/session` | signs out |
//! | `GET /api/server` | what the server is: `{version, rooms}` |
//! | `GET /api/cameras` | every camera, by name |
//! | `POST /api/cameras/NAME/command {command}` | tells a camera `arm`, `disarm` or `capture` |
//! | `GET /api/captures?before=ID&limit=N&camera=NAME` | captures, last arrived first; `Link` names the next page |
//! | `GET /api/captures/ID` | one capture |
//! | `GET /api/captures/ID/video` | its joined video, or any bytes of it |
//! | `GET /api/captures/ID/segments/N` | one part as the camera sent it, or any bytes of it |
//! | `GET /api/rooms` | every room, by number: `{number, name, pin, kept, slots}` |
//! | `POST /api/rooms {name, slots?, bitrate?, pin?}` | makes a room |
//! | `GET /api/rooms/N`, `DELETE /api/rooms/N` | one room; removes it |
//! | `POST /api/rooms/N/pin {pin}` | another pin |
//! | `POST /api/rooms/N/slots/S/ACTION {…}` | drives a slot: `rooms` has the actions |
//! | `GET /api/events` | what happens, as it happens: server-sent events |
//!
//! Rooms' Socket.IO is at `/socket.io/PORT` (see [`crate::room`]), and browsers' way to Janus at `/janus`, for whoever has a
//! slot's token or the room's pin.
//!
//! A request passes `guard` (is it for us, is it from our page), then `session` (who sent it), then its handler.
//! A refusal is `{"ok": false, "message"}` with a text that may be shown.

mod about;
mod answer;
mod assets;
pub mod auth;
mod cameras;
mod captures;
mod events;
mod guard;
mod range;
mod rooms;
pub(crate) mod session;

pub use assets::room_pages;
pub use guard::Reach;
pub(crate) use guard::is_own_page;
pub use session::{first_password, new_password};

use crate::{
    room::{self, hosted::Hosted},
    server::Server,
};
use answer::Refusal;
use auth::Attempts;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use std::sync::Arc;

/// No request of ours has a longer body.
const BODY_MAX: usize = 4096;

/// What the handlers share.
#[derive(Debug)]
struct Viewer {
    server: Arc<Server>,
    reach: Reach,
    rooms: Arc<Hosted>,
    attempts: Attempts,
}

/// All routes of the people's side. Each request must carry its peer's address as the extension
/// `ConnectInfo<SocketAddr>`.
pub fn router(server: Arc<Server>, reach: Reach, rooms: Arc<Hosted>) -> Router {
    let socket_io = room::router(rooms.rooms());
    let to_janus = rooms.door().map(|door| room::door::routes(Arc::new(door))).unwrap_or_default();
    let viewer = Arc::new(Viewer { server, reach, rooms, attempts: Attempts::new() });
    Router::new()
        .route("/api/session", post(session::sign_in).delete(session::sign_out))
        .route("/api/server", get(about::server))
        .route("/api/cameras", get(cameras::list))
        .route("/api/cameras/{name}/command", post(cameras::command))
        .route("/api/captures", get(captures::list))
        .route("/api/captures/{id}", get(captures::one))
        .route("/api/captures/{id}/video", get(captures::video))
        .route("/api/captures/{id}/segments/{number}", get(captures::segment))
        .route("/api/rooms", get(rooms::list).post(rooms::add))
        .route("/api/rooms/{number}", get(rooms::one).delete(rooms::remove))
        .route("/api/rooms/{number}/pin", post(rooms::pin))
        .route("/api/rooms/{number}/slots/{slot}/{action}", post(rooms::slot))
        .route("/api/events", get(events::events))
        .merge(assets::routes())
        .merge(socket_io)
        .merge(to_janus)
        .fallback(async || Refusal::NoPath)
        .method_not_allowed_fallback(async || Refusal::NoMethod)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(viewer.clone(), session::require))
        .layer(from_fn_with_state(viewer.clone(), guard::guard))
        .with_state(viewer)
}
