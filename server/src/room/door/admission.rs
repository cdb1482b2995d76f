//! What browsers may say to Janus. Pure: a text in, a text or a refusal out.
//!
//! Everything that is not listed here is refused, keys too: what Janus learns next year to record, forward or
//! administer must not be had by saying it. What passes is written anew from what was read, so that Janus reads the
//! same, however the browser wrote it.
//!
//! | message | besides `janus` and `transaction` |
//! |---|---|
//! | `create` | nothing; one session a connection |
//! | `keepalive`, `destroy` | `session_id`, this connection's own |
//! | `attach` | `plugin`, `janus.plugin.videoroom` alone; `opaque_id` |
//! | `detach`, `hangup` | `handle_id`, attached over this connection |
//! | `trickle` | `candidate`, or a list of `candidates` |
//! | `message` | `body`, as in [`BODIES`]; `jsep` |

use crate::room::words::Secret;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Feeds that a receiver shows at a time, with room to spare.
const MAX_HANDLES: usize = 128;
/// Requests that Janus has not answered. It answers each at once, if only that it has come.
const MAX_PENDING: usize = 1024;
/// Candidates in one message: a browser with many addresses has thirty.
const MAX_CANDIDATES: usize = 64;
/// Longer than any id that a browser makes.
const MAX_ID: usize = 256;

const PLUGIN: &str = "janus.plugin.videoroom";

/// The room's requests, and what each may hold besides `request`. A publisher's own `bitrate` is not among it, because
/// the limit is the room's; nor are `record` and `filename`, which write files on Janus' machine, nor an `id` of one's
/// own choice, by which a stranger could take the place of a feed that has just gone; nor `listparticipants`, which tells
/// whoever knows no pin who is in the room.
const BODIES: [(&str, &[&str]); 9] = [
    ("join", &["ptype", "room", "pin", "display", "feed", "streams", "private_id", "use_msid", "autoupdate"]),
    ("publish", &["audiocodec", "videocodec", "display", "descriptions", "audio", "video", "data"]),
    (
        "configure",
        &[
            "audio",
            "video",
            "data",
            "display",
            "descriptions",
            "keyframe",
            "streams",
            "mid",
            "send",
            "restart",
            "update",
            "substream",
            "temporal",
            "fallback",
            "spatial_layer",
            "temporal_layer",
            "min_delay",
            "max_delay",
        ],
    ),
    ("unpublish", &[]),
    ("subscribe", &["streams"]),
    ("start", &["room"]),
    ("pause", &[]),
    ("switch", &["streams", "feed", "audio", "video", "data"]),
    ("leave", &[]),
];

const PARTICIPANTS: [&str; 3] = ["publisher", "subscriber", "listener"];
const JSEP: [&str; 3] = ["type", "sdp", "trickle"];
const CANDIDATE: [&str; 5] = ["candidate", "sdpMid", "sdpMLineIndex", "usernameFragment", "completed"];

/// What a connection has said and heard, as far as the next message depends on it.
#[derive(Debug, Default)]
pub struct Admission {
    session: Session,
    /// Whether each has guessed: has shown a pin that was not the one shown before it.
    handles: HashMap<u64, bool>,
    /// The pin that was shown last, and for which room. A screen shows one for each of its pictures, and learns nothing by
    /// being refused again; nor does a join without any.
    shown: Option<(u64, Secret)>,
    /// What Janus has not answered, by transaction: none is used twice meanwhile, so that its answer is told apart. While a
    /// verdict is among it no other pin is let through: otherwise many could be tried before the first answer waits.
    pending: HashMap<String, Asked>,
}

/// What a transaction is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Session,
    Handle,
    /// Whether the pin is right that was shown on this handle. Janus answers at once that it has come, and later.
    Verdict(u64),
    /// The end of this handle, and the answer to nothing that was said on it comes any more.
    Detach(u64),
    /// The end of the session with all its handles.
    End,
    /// What changes nothing here.
    Other,
}

/// What Janus said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A pin was guessed, and is not the room's.
    WrongPin,
    /// Anything else.
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Session {
    #[default]
    None,
    Asked,
    Open(u64),
}

/// Why a message does not reach Janus, in Janus' own form of an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Janus' number for it.
    pub code: u16,
    /// What was expected, and what came.
    pub reason: String,
    transaction: Option<String>,
}

/// The plugin's number of a wrong pin.
const WRONG_PIN: u64 = 433;
/// Janus' numbers of errors.
const UNAUTHORIZED: u16 = 403;
const UNKNOWN_REQUEST: u16 = 453;
const INVALID_JSON: u16 = 454;
const MISSING_ELEMENT: u16 = 456;
const NO_SUCH_SESSION: u16 = 458;
const NO_SUCH_HANDLE: u16 = 459;
const NO_SUCH_PLUGIN: u16 = 460;
const INVALID_ELEMENT: u16 = 467;

type Object = Map<String, Value>;
type Fault = (u16, String);

impl Admission {
    /// A browser's message, as it may go to Janus. `has_room` says which rooms are ours.
    pub fn admit(&mut self, text: &str, has_room: impl Fn(u64) -> bool) -> Result<String, Refusal> {
        let message: Object = serde_json::from_str(text).map_err(|error| Refusal {
            code: INVALID_JSON,
            reason: format!("expected a JSON object, but at column {} it is none", error.column()),
            transaction: None,
        })?;
        let transaction = message.get("transaction").and_then(Value::as_str).map(str::to_owned);
        match self.look(&message, has_room) {
            Ok(()) => Ok(Value::Object(message).to_string()),
            Err((code, reason)) => Err(Refusal { code, reason, transaction }),
        }
    }

    /// Learns from what Janus says which session and handles are this connection's.
    pub fn heard(&mut self, text: &str) -> Heard {
        let Ok(message) = serde_json::from_str::<Object>(text) else { return Heard::Other };
        match message.get("janus").and_then(Value::as_str) {
            Some(answer @ ("success" | "error" | "ack" | "event")) => {
                let transaction = message.get("transaction").and_then(Value::as_str).unwrap_or_default();
                let id = message.get("data").and_then(|data| data["id"].as_u64());
                let is_to_come = |asked: &Asked| answer == "ack" && matches!(asked, Asked::Verdict(_));
                if self.pending.get(transaction).is_some_and(|asked| !is_to_come(asked))
                    && let Some(asked) = self.pending.remove(transaction)
                {
                    self.answered(asked, id.filter(|_| answer == "success"));
                }
            }
            Some("detached") => {
                if let Some(gone) = message.get("sender").and_then(Value::as_u64) {
                    self.handles.remove(&gone);
                    self.expect_no_verdict(|handle| handle == gone);
                }
            }
            _ => {}
        }
        let code = message.get("plugindata").map(|plugin| &plugin["data"]["error_code"]);
        let sender = message.get("sender").and_then(Value::as_u64);
        // One that was detached meanwhile may have shown anything.
        let has_not_guessed = sender.is_some_and(|handle| self.handles.get(&handle) == Some(&false));
        match code.and_then(Value::as_u64) {
            Some(WRONG_PIN) if !has_not_guessed => Heard::WrongPin,
            Some(_) | None => Heard::Other,
        }
    }

    fn answered(&mut self, asked: Asked, id: Option<u64>) {
        match asked {
            Asked::Session => self.session = id.map_or(Session::None, Session::Open),
            Asked::Handle => self.handles.extend(id.map(|handle| (handle, false))),
            Asked::Detach(gone) => self.expect_no_verdict(|handle| handle == gone),
            Asked::End => self.expect_no_verdict(|_| true),
            Asked::Verdict(_) | Asked::Other => {}
        }
    }

    fn expect_no_verdict(&mut self, of: impl Fn(u64) -> bool) {
        self.pending.retain(|_, asked| !matches!(asked, Asked::Verdict(handle) if of(*handle)));
    }

    fn look(&mut self, message: &Object, has_room: impl Fn(u64) -> bool) -> Result<(), Fault> {
        let transaction = text(message, "transaction")?;
        if self.pending.contains_key(transaction) {
            let why = "expected a new transaction: Janus has not answered the one of the same name yet";
            return Err((INVALID_ELEMENT, why.into()));
        }
        if self.pending.len() >= MAX_PENDING {
            let why = format!("expected at most {MAX_PENDING} requests that Janus has not answered");
            return Err((UNAUTHORIZED, why));
        }
        let asked = self.allow(message, has_room)?;
        self.pending.insert(transaction.to_owned(), asked);
        Ok(())
    }

    fn allow(&mut self, message: &Object, has_room: impl Fn(u64) -> bool) -> Result<Asked, Fault> {
        match text(message, "janus")? {
            "create" => self.create(message).map(|()| Asked::Session),
            "keepalive" => self.of_session(message, &[]).map(|()| Asked::Other),
            "destroy" => {
                self.of_session(message, &[])?;
                self.session = Session::None;
                self.handles.clear();
                // What is attached to it meanwhile goes with it.
                let attaching = self.pending.values_mut().filter(|asked| **asked == Asked::Handle);
                attaching.for_each(|asked| *asked = Asked::Other);
                Ok(Asked::End)
            }
            "attach" => self.attach(message).map(|()| Asked::Handle),
            "detach" => {
                let handle = self.of_handle(message, &[])?;
                self.handles.remove(&handle);
                Ok(Asked::Detach(handle))
            }
            "hangup" => self.of_handle(message, &[]).map(|_| Asked::Other),
            "trickle" => {
                self.of_handle(message, &["candidate", "candidates"])?;
                trickle(message).map(|()| Asked::Other)
            }
            "message" => {
                let handle = self.of_handle(message, &["body", "jsep"])?;
                message.get("jsep").map_or(Ok(()), |jsep| flat(jsep, "jsep", &JSEP))?;
                let said = object(message, "body")?;
                body(said, has_room)?;
                self.show(handle, said)
            }
            other => Err((
                UNKNOWN_REQUEST,
                format!(
                    "expected create, keepalive, destroy, attach, detach, hangup, trickle or message, got {other:?}: nothing \
                     else is let through"
                ),
            )),
        }
    }

    /// Sees whether a pin is shown, and one that may be.
    fn show(&mut self, handle: u64, body: &Object) -> Result<Asked, Fault> {
        let Some(pin) = body.get("pin").filter(|pin| **pin != "") else { return Ok(Asked::Other) };
        let room = body.get("room").and_then(Value::as_u64).unwrap_or_default();
        let shown = Some((room, Secret::of(&pin.to_string())));
        if self.shown != shown {
            if self.pending.values().any(|asked| matches!(asked, Asked::Verdict(_))) {
                let why =
                    "expected one pin at a time: Janus has not answered yet whether the last one is right";
                return Err((UNAUTHORIZED, why.into()));
            }
            self.shown = shown;
            self.handles.insert(handle, true);
        }
        Ok(Asked::Verdict(handle))
    }

    fn create(&mut self, message: &Object) -> Result<(), Fault> {
        only(message, "create", &[])?;
        if self.session != Session::None {
            return Err((
                UNAUTHORIZED,
                "expected one session a connection: this one has its own already".into(),
            ));
        }
        self.session = Session::Asked;
        Ok(())
    }

    fn attach(&mut self, message: &Object) -> Result<(), Fault> {
        self.of_session(message, &["plugin", "opaque_id"])?;
        let plugin = text(message, "plugin")?;
        if plugin != PLUGIN {
            return Err((NO_SUCH_PLUGIN, format!("expected the plugin {PLUGIN}, got {plugin:?}")));
        }
        if message.contains_key("opaque_id") {
            text(message, "opaque_id")?;
        }
        let attaching = self.pending.values().filter(|asked| **asked == Asked::Handle).count();
        if self.handles.len() + attaching >= MAX_HANDLES {
            return Err((UNAUTHORIZED, format!("expected at most {MAX_HANDLES} handles: detach some first")));
        }
        Ok(())
    }

    fn of_session(&self, message: &Object, more: &[&str]) -> Result<(), Fault> {
        only(message, text(message, "janus")?, &[&["session_id"], more].concat())?;
        let id = number(message, "session_id")?;
        if self.session != Session::Open(id) {
            return Err((NO_SUCH_SESSION, format!("expected the session of this connection, got {id}")));
        }
        Ok(())
    }

    fn of_handle(&self, message: &Object, more: &[&str]) -> Result<u64, Fault> {
        self.of_session(message, &[&["handle_id"], more].concat())?;
        let id = number(message, "handle_id")?;
        if !self.handles.contains_key(&id) {
            return Err((NO_SUCH_HANDLE, format!("expected a handle of this connection, got {id}")));
        }
        Ok(id)
    }
}

fn body(body: &Object, has_room: impl Fn(u64) -> bool) -> Result<(), Fault> {
    let request = text(body, "request")?;
    let Some((_, keys)) = BODIES.iter().find(|(name, _)| *name == request) else {
        return Err((UNAUTHORIZED, format!("the request {request:?} is not let through")));
    };
    for (key, value) in body {
        if key != "request" && !keys.contains(&key.as_str()) {
            return Err((UNAUTHORIZED, format!("{request}: {:?} is not let through", start_of(key))));
        }
        match key.as_str() {
            "streams" | "descriptions" => list_of_flat(value, key)?,
            _ if value.is_object() || value.is_array() => {
                return Err((
                    INVALID_ELEMENT,
                    format!("{request}: expected a text, a number or a truth at {key:?}"),
                ));
            }
            _ => {}
        }
    }
    if let Some(room) = body.get("room") {
        let room = room.as_u64().ok_or((INVALID_ELEMENT, format!("{request}: expected a room's number")))?;
        if !has_room(room) {
            return Err((UNAUTHORIZED, format!("there is no room {room} here")));
        }
    }
    if body.contains_key("ptype") && !PARTICIPANTS.contains(&text(body, "ptype")?) {
        return Err((INVALID_ELEMENT, "expected publisher or subscriber at \"ptype\"".into()));
    }
    Ok(())
}

fn trickle(message: &Object) -> Result<(), Fault> {
    match (message.get("candidate"), message.get("candidates")) {
        (Some(candidate), None) => flat(candidate, "candidate", &CANDIDATE),
        (None, Some(Value::Array(candidates))) if candidates.len() <= MAX_CANDIDATES => {
            candidates.iter().try_for_each(|candidate| flat(candidate, "candidates", &CANDIDATE))
        }
        _ => Err((INVALID_ELEMENT, format!("expected a candidate, or at most {MAX_CANDIDATES} candidates"))),
    }
}

/// An object of these keys alone, whose values are no objects.
fn flat(value: &Value, name: &str, keys: &[&str]) -> Result<(), Fault> {
    let is_flat = |object: &Object| {
        object
            .iter()
            .all(|(key, value)| keys.contains(&key.as_str()) && !value.is_object() && !value.is_array())
    };
    match value.as_object() {
        Some(object) if is_flat(object) => Ok(()),
        _ => Err((INVALID_ELEMENT, format!("expected nothing but {} in {name:?}", keys.join(", ")))),
    }
}

fn list_of_flat(value: &Value, name: &str) -> Result<(), Fault> {
    let is_flat = |value: &Value| {
        value
            .as_object()
            .is_some_and(|object| object.values().all(|value| !value.is_object() && !value.is_array()))
    };
    match value.as_array() {
        Some(list) if list.len() <= MAX_HANDLES && list.iter().all(is_flat) => Ok(()),
        _ => Err((
            INVALID_ELEMENT,
            format!("expected a list of at most {MAX_HANDLES} flat objects at {name:?}"),
        )),
    }
}

fn only(message: &Object, name: &str, keys: &[&str]) -> Result<(), Fault> {
    let known = |key: &str| ["janus", "transaction"].contains(&key) || keys.contains(&key);
    match message.keys().find(|key| !known(key)) {
        Some(key) => Err((UNAUTHORIZED, format!("{name}: {:?} is not let through", start_of(key)))),
        None => Ok(()),
    }
}

/// As much of a stranger's word as an answer needs to repeat.
fn start_of(word: &str) -> &str {
    &word[..word.floor_char_boundary(MAX_ID)]
}

fn object<'a>(object: &'a Object, key: &str) -> Result<&'a Object, Fault> {
    object
        .get(key)
        .and_then(Value::as_object)
        .ok_or((MISSING_ELEMENT, format!("expected an object at {key:?}")))
}

fn text<'a>(object: &'a Object, key: &str) -> Result<&'a str, Fault> {
    let text = object.get(key).and_then(Value::as_str).filter(|text| text.len() <= MAX_ID);
    text.ok_or((MISSING_ELEMENT, format!("expected a text of at most {MAX_ID} bytes at {key:?}")))
}

fn number(object: &Object, key: &str) -> Result<u64, Fault> {
    object.get(key).and_then(Value::as_u64).ok_or((MISSING_ELEMENT, format!("expected a number at {key:?}")))
}

impl Refusal {
    /// As Janus would have said it.
    pub fn to_json(&self) -> String {
        let mut answer = json!({ "janus": "error", "error": { "code": self.code, "reason": self.reason } });
        if let Some(transaction) = &self.transaction {
            answer["transaction"] = json!(transaction);
        }
        answer.to_string()
    }
}

#[cfg(test)]
mod tests;
