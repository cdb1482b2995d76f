//! What happens, told to pages as it happens: server-sent events.
//!
//! | event | data |
//! |---|---|
//! | `capture` | the capture, as in `GET /api/captures` |
//! | `gone` | `{"ids": […]}`: captures that gave way to newer ones |
//! | `camera` | the camera, as in `GET /api/cameras` |
//! | `alarm` | the camera that raised it |
//! | `request` | `{"camera", "request", "state": "delivered" \| "lapsed"}` |
//! | `room` | the room, as in `GET /api/rooms`: it was made, or something in it changed |
//! | `room_gone` | `{"number"}`: it was removed |
//! | `reload` | `{}`: some were missed, or a camera is gone; read everything again |
//!
//! The stream tells changes from now on: a page reads the state once the stream is open, and again whenever it was
//! broken. Nothing is kept for a slow page beyond the bus's own bound.

use super::{Viewer, answer::Refusal, cameras, captures, rooms::Shown, session::SignIn};
use crate::{
    bus,
    library::CameraId,
    net::Peer,
    server::Server,
    store::{RequestState, StoreError},
};
use axum::{
    Extension,
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use serde_json::json;
use std::{convert::Infallible, sync::Arc, time::Duration};

/// A proxy may close what is silent for a minute, and a browser that left is only noticed by writing.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// `GET /api/events`
pub(super) async fn events(
    State(viewer): State<Arc<Viewer>>,
    Extension(sign_in): Extension<SignIn>,
    Extension(Peer { stop, .. }): Extension<Peer>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let listener = viewer.server.bus.listen();
    let greeting = stream::iter([Event::default().retry(RETRY).comment("listening")]);
    let changes = stream::unfold((listener, viewer), move |(mut listener, viewer)| async move {
        let event = next(&viewer, &mut listener, sign_in).await.unwrap_or_else(|error| {
            log::error!("a page's events ended: {error}");
            None
        })?;
        Some((event, (listener, viewer)))
    });
    let changes = changes.take_until(async move { stop.requested().await });
    let events = greeting.chain(changes).map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The next event for a page; none once it is signed out.
async fn next(
    viewer: &Viewer,
    listener: &mut bus::Listener,
    sign_in: SignIn,
) -> Result<Option<Event>, StoreError> {
    loop {
        let event = listener.next().await;
        if !sign_in.is_valid(&viewer.server.store).await? {
            return Ok(None);
        }
        if let Some(event) = told(viewer, event).await? {
            return Ok(Some(event));
        }
    }
}

async fn told(viewer: &Viewer, event: bus::Event) -> Result<Option<Event>, StoreError> {
    let server = &viewer.server;
    Ok(match event {
        bus::Event::Capture(capture, _) => server
            .store
            .capture(capture)
            .await?
            .map(|capture| named("capture", &captures::Shown::of(capture))),
        bus::Event::CapturesGone(gone) => Some(named("gone", &json!({ "ids": gone }))),
        bus::Event::Camera(camera) => camera_event(server, "camera", camera).await?,
        bus::Event::Alarm(camera) => camera_event(server, "alarm", camera).await?,
        bus::Event::RequestSettled(camera, request) => settled(server, camera, &request).await?,
        bus::Event::Room(number) => Shown::numbered(viewer, number).map(|room| named("room", &room)),
        bus::Event::RoomRemoved(number) => Some(named("room_gone", &json!({ "number": number }))),
        bus::Event::CameraRemoved(_) | bus::Event::Missed => Some(named("reload", &json!({}))),
        bus::Event::CaptureRequested(_) | bus::Event::SessionBegan(..) => None,
    })
}

async fn camera_event(server: &Server, name: &str, id: CameraId) -> Result<Option<Event>, StoreError> {
    let Some(camera) = server.store.camera(id).await? else { return Ok(None) };
    Ok(Some(named(name, &cameras::Shown::of(server, camera).await?)))
}

async fn settled(server: &Server, camera: CameraId, request: &str) -> Result<Option<Event>, StoreError> {
    let state = match server.store.request_state(request).await? {
        Some(RequestState::Delivered) => "delivered",
        // One that gave way to newer ones is not there.
        Some(RequestState::Lapsed) | None => "lapsed",
        Some(RequestState::Waiting) => return Ok(None),
    };
    let Some(camera) = server.store.camera(camera).await? else { return Ok(None) };
    Ok(Some(named("request", &json!({ "camera": camera.name, "request": request, "state": state }))))
}

fn named(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).json_data(data).expect("these types hold nothing that JSON could refuse")
}
