//! What is refused, and how it is said: people read one thing, the log has the other.

use crate::{blobs::BlobError, library::CaptureId, store::StoreError};
use axum::{
    Json,
    extract::rejection::{JsonRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::fmt;

/// Seconds after which a crowded address may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// Why a request is not done. Its text is fit to be shown.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nobody is signed in.
    SignedOut,
    /// Not the password.
    WrongPassword,
    /// Too many attempts of one address wait already.
    Crowded,
    /// For a host that we are not.
    ForeignHost,
    /// Another site's page sent it.
    CrossSite,
    /// Its body or its query is not what was expected.
    Malformed(StatusCode, String),
    /// Nothing is at this path.
    NoPath,
    /// The path doesn't take this method.
    NoMethod,
    /// No camera has this name.
    NoCamera(String),
    /// Cameras know no such command.
    NoCommand(String),
    /// There is no such capture.
    NoCapture,
    /// The capture has no joined video, yet or for good.
    NotJoined(CaptureId),
    /// The capture has no such part.
    NoPart(CaptureId, u32),
    /// There is no such room.
    NoRoom(u64),
    /// The room has no such slot.
    NoSlot(usize),
    /// It needs a slot in which somebody may send.
    SlotClosed(usize),
    /// It is activated already.
    SlotOpen(usize),
    /// Rooms need a Janus, and the server knows none.
    NoJanus,
    /// There are as many rooms as there may be.
    TooManyRooms,
    /// The database or the store of files failed.
    Failed(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::SignedOut | Refusal::WrongPassword => StatusCode::UNAUTHORIZED,
            Refusal::Crowded => StatusCode::TOO_MANY_REQUESTS,
            Refusal::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Refusal::CrossSite => StatusCode::FORBIDDEN,
            Refusal::Malformed(status, _) => *status,
            Refusal::NoCommand(_) => StatusCode::BAD_REQUEST,
            Refusal::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::SlotClosed(_) | Refusal::SlotOpen(_) | Refusal::NoJanus | Refusal::TooManyRooms => {
                StatusCode::CONFLICT
            }
            Refusal::NoPath
            | Refusal::NoRoom(_)
            | Refusal::NoSlot(_)
            | Refusal::NoCamera(_)
            | Refusal::NoCapture
            | Refusal::NotJoined(_)
            | Refusal::NoPart(..) => StatusCode::NOT_FOUND,
            Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// `{"ok": false, "message": "…"}`
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if let Refusal::Failed(why) = &self {
            log::error!("a page's request failed: {why}");
        }
        let body = Json(json!({ "ok": false, "message": self.to_string() }));
        let mut response = (self.status(), body).into_response();
        if let Refusal::Crowded = self {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::SignedOut => f.write_str("Sign in first."),
            Refusal::WrongPassword => f.write_str("That is not the password."),
            Refusal::Crowded => f.write_str("Too many attempts at once. Wait a moment, then try again."),
            Refusal::ForeignHost => {
                f.write_str("This server is reached as localhost, 127.0.0.1 or [::1] only; the request names another host.")
            }
            Refusal::CrossSite => f.write_str("The request came from another site's page."),
            Refusal::Malformed(_, why) => f.write_str(why),
            Refusal::NoPath => f.write_str("There is nothing at this address."),
            Refusal::NoMethod => f.write_str("This address doesn't take this method."),
            Refusal::NoCamera(name) => write!(f, "There is no camera named {name}."),
            Refusal::NoCommand(command) => {
                write!(f, "A camera can be told \"arm\", \"disarm\" or \"capture\", but not {command:?}.")
            }
            Refusal::NoCapture => f.write_str("There is no such capture."),
            Refusal::NotJoined(id) => write!(f, "Capture {id} has no joined video."),
            Refusal::NoPart(id, number) => write!(f, "Capture {id} has no part {number}."),
            Refusal::NoRoom(number) => write!(f, "There is no room {number}."),
            Refusal::NoSlot(slot) => write!(f, "The room has no slot {slot}."),
            Refusal::SlotClosed(slot) => write!(f, "Slot {slot} is not activated."),
            Refusal::SlotOpen(slot) => write!(f, "Slot {slot} is activated already. Give it another token instead."),
            Refusal::NoJanus => f.write_str("Rooms need Janus, and this server was started without --janus-url."),
            Refusal::TooManyRooms => f.write_str("There are too many rooms already. Remove one first."),
            Refusal::Failed(_) => f.write_str("The server could not do that. Its log says why."),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::Failed(error.to_string())
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Refusal {
        Refusal::Failed(error.to_string())
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Refusal {
        Refusal::Malformed(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Refusal {
        Refusal::Malformed(rejection.status(), rejection.body_text())
    }
}
