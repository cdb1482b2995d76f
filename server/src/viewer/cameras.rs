//! Cameras as people see and command them.

use super::{Viewer, answer::Refusal};
use crate::{
    commands::{Commanded, REQUEST_LIFE},
    server::Server,
    store::{Camera, StoreError},
};
use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
};
use cloudtalker::wire::{cloud::Report, command::Command};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A camera, and what it last reported of itself.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    camera: Camera,
    report: Option<Report>,
}

/// What a camera is told.
#[derive(Deserialize)]
pub(super) struct Told {
    command: String,
}

/// What came of it.
#[derive(Serialize)]
pub(super) struct Answer {
    ok: bool,
    /// Fit to be shown.
    message: String,
    /// By which the stream of events will tell what became of a request for a capture.
    request: Option<String>,
}

impl Shown {
    pub(super) async fn of(server: &Server, camera: Camera) -> Result<Shown, StoreError> {
        let report = server.store.report(camera.id).await?;
        // A report that can't be read any more says nothing.
        let report = report.and_then(|report| serde_json::from_str(&report).ok());
        Ok(Shown { camera, report })
    }
}

/// `GET /api/cameras`: every camera, by name.
pub(super) async fn list(State(viewer): State<Arc<Viewer>>) -> Result<Json<Vec<Shown>>, Refusal> {
    let mut shown = Vec::new();
    for camera in viewer.server.store.cameras().await? {
        shown.push(Shown::of(&viewer.server, camera).await?);
    }
    Ok(Json(shown))
}

/// `POST /api/cameras/NAME/command {"command": "arm" | "disarm" | "capture"}`
pub(super) async fn command(
    State(viewer): State<Arc<Viewer>>,
    Path(name): Path<String>,
    told: Result<Json<Told>, JsonRejection>,
) -> Result<Json<Answer>, Refusal> {
    let Json(Told { command: word }) = told?;
    let command = Command::from_word(&word).ok_or(Refusal::NoCommand(word))?;
    let camera = viewer.server.store.camera_named(&name).await?.ok_or(Refusal::NoCamera(name))?;
    let message = outlook(&camera, command);
    let request = match viewer.server.command(camera.id, command).await? {
        Commanded::Kept => None,
        Commanded::Requested(request) => Some(request),
    };
    Ok(Json(Answer { ok: true, message, request }))
}

/// What is to be expected.
fn outlook(camera: &Camera, command: Command) -> String {
    let name = &camera.name;
    match (command, camera.online) {
        (Command::Arm, true) => format!("{name} is told to watch for motion."),
        (Command::Arm, false) => {
            format!("{name} is offline. It will watch for motion as soon as it is back.")
        }
        (Command::Disarm, true) => format!("{name} is told to stop watching for motion."),
        (Command::Disarm, false) => {
            format!("{name} is offline. It will stop watching as soon as it is back.")
        }
        (Command::Capture, true) => format!("{name} is asked for a capture."),
        (Command::Capture, false) => format!(
            "{name} is offline. It will record if it is back within {} seconds; then the request lapses.",
            REQUEST_LIFE.as_secs()
        ),
    }
}
