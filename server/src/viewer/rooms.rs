//! Rooms as people see and drive them.
//!
//! | `POST /api/rooms/N/slots/S/…` | body | what it does |
//! |---|---|---|
//! | `activate` | `{token?, annotation?}` | whoever has the token may send; one is made up where there is none |
//! | `refresh` | `{token?}` | another token; who sends already goes on |
//! | `deactivate` | `{}` | nobody may send; the sender is disconnected |
//! | `annotation` | `{html}` | what is to be read over the picture; null is nothing |
//! | `geometry` | `{relative_to, params}` | where it is: `canvas` or `window`; corner, x, y, width, height and perhaps z, as text |
//! | `visibility` | `{visible}` | whether it is to be seen |
//! | `bitrate` | `{limit}` | bit/s at most; 0 is no limit |
//!
//! Each answer is the room as it is then.

use super::{Viewer, answer::Refusal};
use crate::{
    room::{
        engine::{SlotState, SlotView},
        hosted::{HostedError, NewRoom, RoomView},
        janus::Trouble,
        order::{Order, SlotOrder, annotation, checked_secret},
        words::{Geometry, RelativeTo, Secret, Visibility},
    },
    server::random_name,
};
use axum::{
    Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::StatusCode,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Slots of a room, where nobody says how many.
const SLOTS: usize = 4;
const SLOTS_MAX: usize = 100;
/// What a sender may send, in bit/s, where nobody says: a sharp picture of a talking person.
const BITRATE: u64 = 2_000_000;
/// More than any camera sends.
const BITRATE_MAX: u64 = 1_000_000_000;
/// Letters of a room's name.
const NAME_MAX: usize = 64;

/// Counts looks at rooms, from the microseconds since 1970 at the first: so it goes on growing when the server is started
/// again, unless the clock was put back, and until 2255 JavaScript's numbers hold it exactly.
static LOOKS: LazyLock<AtomicU64> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    AtomicU64::new(u64::try_from(since.as_micros()).unwrap_or_default())
});

/// A room.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    number: u64,
    name: String,
    pin: String,
    /// Whether Janus keeps it: otherwise nobody can send or receive at the moment.
    kept: bool,
    /// Why not; null where it does, or has not answered yet.
    trouble: Option<Trouble>,
    slots: Vec<ShownSlot>,
    /// Larger than of whatever was looked at before: see [`LOOKS`].
    as_of: u64,
}

/// A slot of it.
#[derive(Debug, Serialize)]
struct ShownSlot {
    slot: usize,
    /// Null: nobody may send.
    token: Option<String>,
    annotation: Option<String>,
    /// Janus' number of what is sent; null where nothing is.
    feed: Option<u64>,
    /// What the sender calls itself, as HTML.
    name_html: Option<String>,
    visible: bool,
    geometry: ShownGeometry,
    bitrate_limit: u64,
}

#[derive(Debug, Serialize)]
struct ShownGeometry {
    relative_to: &'static str,
    params: Vec<String>,
}

/// A room that somebody wants.
#[derive(Deserialize)]
pub(super) struct Wanted {
    name: String,
    slots: Option<usize>,
    bitrate: Option<u64>,
    pin: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Pin {
    pin: String,
}

#[derive(Deserialize)]
struct Activate {
    token: Option<String>,
    annotation: Option<String>,
}

#[derive(Deserialize)]
struct Annotate {
    html: Option<String>,
}

#[derive(Deserialize)]
struct Place {
    relative_to: String,
    params: Vec<String>,
}

#[derive(Deserialize)]
struct Visible {
    visible: bool,
}

#[derive(Deserialize)]
struct Limit {
    limit: u64,
}

impl Shown {
    /// Answers and events come by ways of their own: whoever hears both has to know which is the newer.
    fn of(room: &RoomView<'_>) -> Shown {
        Shown {
            as_of: LOOKS.fetch_add(1, Ordering::Relaxed),
            number: room.number,
            name: room.name.to_owned(),
            pin: room.pin.to_owned(),
            kept: room.is_kept,
            trouble: room.trouble,
            slots: room.slots.iter().map(ShownSlot::of).collect(),
        }
    }

    /// The room of this number, if there is one.
    pub(super) fn numbered(viewer: &Viewer, number: u64) -> Option<Shown> {
        viewer.rooms.look(number, Shown::of)
    }
}

impl ShownSlot {
    fn of(slot: &SlotView<'_>) -> ShownSlot {
        let (token, feed, name) = match &slot.state {
            SlotState::Closed => (None, None, None),
            SlotState::Open { token, feed, name } => (Some(*token), *feed, name.as_ref()),
        };
        ShownSlot {
            slot: slot.number,
            token: token.map(|token| token.reveal().to_owned()),
            annotation: slot.annotation.map(|annotation| annotation.as_str().to_owned()),
            feed,
            name_html: name.map(ToString::to_string),
            visible: slot.visibility == Visibility::Shown,
            geometry: ShownGeometry {
                relative_to: slot.geometry.relative_to().word(),
                params: slot.geometry.params().to_vec(),
            },
            bitrate_limit: slot.limit,
        }
    }
}

/// `GET /api/rooms`: every room, by number.
pub(super) async fn list(State(viewer): State<Arc<Viewer>>) -> Json<Vec<Shown>> {
    let numbers = viewer.rooms.numbers().into_iter();
    Json(numbers.filter_map(|number| Shown::numbered(&viewer, number)).collect())
}

/// `GET /api/rooms/N`
pub(super) async fn one(
    State(viewer): State<Arc<Viewer>>,
    number: Result<Path<u64>, PathRejection>,
) -> Result<Json<Shown>, Refusal> {
    let Path(number) = number.map_err(|_| Refusal::NoPath)?;
    shown(&viewer, number)
}

/// `POST /api/rooms {name, slots?, bitrate?, pin?}`
pub(super) async fn add(
    State(viewer): State<Arc<Viewer>>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let Json(wanted) = wanted?;
    let name = wanted.name.trim().to_owned();
    let is_name = !name.is_empty() && name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    if !is_name {
        return Err(unfit(format!("A room's name has 1 to {NAME_MAX} letters, on one line.")));
    }
    let slots = wanted.slots.unwrap_or(SLOTS);
    if !(1..=SLOTS_MAX).contains(&slots) {
        return Err(unfit(format!("A room has 1 to {SLOTS_MAX} slots, but not {slots}.")));
    }
    let pin = wanted.pin.map(|pin| checked_pin(&pin)).transpose()?;
    let bitrate = checked_bitrate(wanted.bitrate.unwrap_or(BITRATE))?;
    let number = viewer.rooms.add(NewRoom { name, slots, bitrate, pin }).await?;
    Ok((StatusCode::CREATED, shown(&viewer, number)?))
}

/// `DELETE /api/rooms/N`
pub(super) async fn remove(
    State(viewer): State<Arc<Viewer>>,
    number: Result<Path<u64>, PathRejection>,
) -> Result<Json<Value>, Refusal> {
    let Path(number) = number.map_err(|_| Refusal::NoPath)?;
    viewer.rooms.remove(number).await?;
    Ok(Json(json!({ "ok": true })))
}

/// `POST /api/rooms/N/pin {pin}`
pub(super) async fn pin(
    State(viewer): State<Arc<Viewer>>,
    number: Result<Path<u64>, PathRejection>,
    pin: Result<Json<Pin>, JsonRejection>,
) -> Result<Json<Shown>, Refusal> {
    let Path(number) = number.map_err(|_| Refusal::NoPath)?;
    let Json(Pin { pin }) = pin?;
    viewer.rooms.order(number, Order::EditPin(checked_pin(&pin)?)).await?;
    shown(&viewer, number)
}

/// `POST /api/rooms/N/slots/S/ACTION`
pub(super) async fn slot(
    State(viewer): State<Arc<Viewer>>,
    path: Result<Path<(u64, usize, String)>, PathRejection>,
    body: Result<Json<Value>, JsonRejection>,
) -> Result<Json<Shown>, Refusal> {
    let Path((number, slot, action)) = path.map_err(|_| Refusal::NoPath)?;
    let Json(body) = body?;
    let order = order(&action, body)?;
    viewer.rooms.order(number, Order::Slot(slot, order)).await?;
    shown(&viewer, number)
}

fn checked_pin(pin: &str) -> Result<Secret, Refusal> {
    // As the original's links have it.
    if pin == "none" {
        return Err(unfit(
            "A pin is any word but \"none\", by which a link says that a room has no pin.".into(),
        ));
    }
    secret("a pin", pin)
}

fn order(action: &str, body: Value) -> Result<SlotOrder, Refusal> {
    let token = |token: Option<String>| match token {
        Some(token) => secret("a token", &token),
        None => Ok(Secret::of(&random_name())),
    };
    let html =
        |html: String| annotation(&html).map_err(|why| unfit(format!("The annotation doesn't fit: {why}.")));
    Ok(match action {
        "activate" => {
            let wanted: Activate = read(body)?;
            SlotOrder::Activate(token(wanted.token)?, wanted.annotation.map(html).transpose()?)
        }
        "refresh" => SlotOrder::RefreshToken(token(read::<Activate>(body)?.token)?),
        "deactivate" => SlotOrder::Deactivate,
        "annotation" => match read::<Annotate>(body)?.html {
            Some(text) => SlotOrder::SetAnnotation(html(text)?),
            None => SlotOrder::RemoveAnnotation,
        },
        "geometry" => {
            let Place { relative_to, params } = read(body)?;
            let relative_to = RelativeTo::from_word(&relative_to)
                .ok_or_else(|| unfit("A picture is placed relative to \"canvas\" or \"window\".".into()))?;
            let words: Vec<&str> = params.iter().map(String::as_str).collect();
            let placed = Geometry::parse(relative_to, &words);
            SlotOrder::SetGeometry(placed.map_err(|why| unfit(format!("The place doesn't fit: {why}.")))?)
        }
        "visibility" => SlotOrder::SetVisibility(match read::<Visible>(body)?.visible {
            true => Visibility::Shown,
            false => Visibility::Hidden,
        }),
        "bitrate" => SlotOrder::SetBitrateLimit(checked_bitrate(read::<Limit>(body)?.limit)?),
        _ => return Err(Refusal::NoPath),
    })
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    serde_json::from_value(body)
        .map_err(|error| Refusal::Malformed(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

fn secret(name: &str, text: &str) -> Result<Secret, Refusal> {
    checked_secret(name, text).map_err(|why| unfit(format!("That doesn't fit: {why}.")))
}

fn checked_bitrate(bitrate: u64) -> Result<u64, Refusal> {
    if bitrate > BITRATE_MAX {
        return Err(unfit(format!("A sender may send {BITRATE_MAX} bit/s at most, or without a limit: 0.")));
    }
    Ok(bitrate)
}

fn unfit(message: String) -> Refusal {
    Refusal::Malformed(StatusCode::UNPROCESSABLE_ENTITY, message)
}

fn shown(viewer: &Viewer, number: u64) -> Result<Json<Shown>, Refusal> {
    Shown::numbered(viewer, number).map(Json).ok_or(Refusal::NoRoom(number))
}

impl From<HostedError> for Refusal {
    fn from(error: HostedError) -> Refusal {
        use crate::room::engine::OrderRefused;
        match error {
            HostedError::NoJanus => Refusal::NoJanus,
            HostedError::TooMany => Refusal::TooManyRooms,
            HostedError::NoRoom(number) => Refusal::NoRoom(number),
            HostedError::Refused(OrderRefused::NoSuchSlot { slot, .. }) => Refusal::NoSlot(slot),
            HostedError::Refused(OrderRefused::SlotClosed(slot)) => Refusal::SlotClosed(slot),
            HostedError::Refused(OrderRefused::SlotOpen(slot)) => Refusal::SlotOpen(slot),
            HostedError::Store(error) => error.into(),
        }
    }
}
