//! The words of a room's Socket.IO events, and of the programs that drive it. Nothing past this file looks at JSON.
//!
//! | from | event | data | acknowledgement |
//! |---|---|---|---|
//! | a sender | `sender_init` | `{slot, token, resume?}` | `{success, message}` |
//! | a sender | `set_feed_id` | `{feedId, sessionId, videoroomId, customName?}` | `{success, message, controllerBitrateLimit}` |
//! | a sender | `set_bitrate_limit` | `{bitrateLimit}` | `{success, message}` |
//! | a sender | `change_name` | `{newName}` | none |
//! | anybody | `query_state` | none | slot → `{feedId, visibility, geometry, annotation}` |
//! | us, to a sender | `new_controller_bitrate_limit` | `{bitrateLimit}` | none |
//! | us, to a sender that gave `resume` | `publish_again` | `{}` | none |
//! | us, to receivers | `new_feed` | `{slot, feedId, visibility, geometry, annotation}` | none |
//! | us, to receivers | `remove_feed`, `remove_annotation` | `{slot}` | none |
//! | us, to receivers | `remove_all_feeds` | none | none |
//! | us, to receivers | `command` | `{slot, command, params}` | none |
//! | us, to receivers | `set_annotation` | `{slot, annotation}` | none |
//!
//! `resume` and `publish_again` are ours. An original sender knows neither, and an original server neither sees the one
//! nor says the other.

use super::words::{Annotation, CustomName, Directive, Secret, Shown};
use serde::Serialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt};

/// Numbers of Janus are JavaScript's: no whole number beyond is exact.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// The events that a socket may say.
pub const EVENTS: [&str; 5] =
    ["sender_init", "set_feed_id", "set_bitrate_limit", "change_name", "query_state"];

/// What a socket says. What it lacks is an answer, not an error of ours.
#[derive(Debug)]
pub enum Said {
    /// A sender shows its token.
    SenderInit(Result<SenderInit, Refusal>),
    /// A sender publishes.
    SetFeedId(Result<Published, Refusal>),
    /// A sender wants no more than so many bit/s; 0 is no limit.
    SetBitrateLimit(Result<u64, Refusal>),
    /// A sender calls itself otherwise; none where no name is left of it.
    ChangeName(Option<CustomName>),
    /// Somebody asks for all feeds.
    QueryState,
    /// Somebody says what is no event of a room. It counts like one.
    Nothing,
}

/// A sender that shows its token.
#[derive(Debug)]
pub struct SenderInit {
    /// The slot; none is so high that it could not be counted.
    pub slot: u64,
    /// The token, where there is one.
    pub token: Option<Secret>,
    /// The sender's own secret, by which it takes its slot back.
    pub resume: Option<Secret>,
}

/// A sender that publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Janus' number of the feed.
    pub feed: u64,
    /// Janus' number of the sender's session.
    pub session: u64,
    /// Janus' number of the sender's handle.
    pub handle: u64,
    /// What it calls itself.
    pub name: Option<CustomName>,
}

/// Why something is not done. Its text is fit to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The event has no object.
    NoData,
    /// No slot in it.
    NoSlot,
    /// Its slot is no number.
    SlotNotANumber,
    /// The room has no such slot.
    NoSuchSlot,
    /// Nobody may send in this slot.
    SlotClosed,
    /// No token in it.
    NoToken,
    /// Not the slot's token.
    WrongToken,
    /// The sender has shown no token yet.
    NotInitialised,
    /// The slot has another token since.
    TokenExpired,
    /// Another sender's feed is there.
    SlotInUse,
    /// Another slot's sender has it.
    FeedElsewhere,
    /// A field is missing.
    Missing(&'static str),
    /// A field is no number.
    NotANumber(&'static str),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Done, or not.
    Outcome(Outcome),
    /// All feeds, by slot.
    State(BTreeMap<usize, Shown>),
}

/// Done, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    success: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    controller_bitrate_limit: Option<u64>,
}

/// What sockets are told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A slot has a feed.
    NewFeed(usize, Shown),
    /// A slot has none any more.
    RemoveFeed(usize),
    /// No slot has one.
    RemoveAllFeeds,
    /// A feed is placed, hidden or shown.
    Command(usize, Directive),
    /// A feed has another annotation.
    SetAnnotation(usize, Annotation),
    /// A feed has no annotation any more.
    RemoveAnnotation(usize),
    /// The controller's limit of a sender, in bit/s.
    NewControllerBitrateLimit(u64),
    /// A sender has to publish again: Janus lost what it knew.
    PublishAgain,
}

impl Said {
    /// What an event says. `data` is its first argument, null where it has none.
    pub fn parse(event: &str, data: &Value) -> Said {
        match event {
            "sender_init" => Said::SenderInit(SenderInit::parse(data)),
            "set_feed_id" => Said::SetFeedId(Published::parse(data)),
            "set_bitrate_limit" => Said::SetBitrateLimit(bitrate(data)),
            "change_name" => Said::ChangeName(data["newName"].as_str().and_then(CustomName::parse)),
            "query_state" => Said::QueryState,
            _ => Said::Nothing,
        }
    }
}

impl SenderInit {
    fn parse(data: &Value) -> Result<SenderInit, Refusal> {
        if !data.is_object() {
            return Err(Refusal::NoData);
        }
        let text = |key: &str| data[key].as_str().filter(|text| !text.is_empty()).map(Secret::of);
        let slot = match &data["slot"] {
            Value::Null => return Err(Refusal::NoSlot),
            // The page has it from its address, as text.
            Value::String(text) if text.trim().is_empty() => return Err(Refusal::NoSlot),
            Value::String(text) => number_in(text),
            other => other.as_f64(),
        };
        let slot = slot.ok_or(Refusal::SlotNotANumber)?;
        let slot = whole(slot).ok_or(Refusal::NoSuchSlot)?;
        Ok(SenderInit { slot, token: text("token"), resume: text("resume") })
    }
}

impl Published {
    fn parse(data: &Value) -> Result<Published, Refusal> {
        if !data.is_object() {
            return Err(Refusal::NoData);
        }
        let number = |key: &'static str| match &data[key] {
            Value::Null => Err(Refusal::Missing(key)),
            value => value.as_f64().and_then(whole).ok_or(Refusal::NotANumber(key)),
        };
        Ok(Published {
            feed: number("feedId")?,
            session: number("sessionId")?,
            handle: number("videoroomId")?,
            name: data["customName"].as_str().and_then(CustomName::parse),
        })
    }
}

/// Below 0 counts as 0.
fn bitrate(data: &Value) -> Result<u64, Refusal> {
    const KEY: &str = "bitrateLimit";
    if !data.is_object() {
        return Err(Refusal::NoData);
    }
    match &data[KEY] {
        Value::Null => Err(Refusal::Missing(KEY)),
        value => {
            let limit = value.as_f64().ok_or(Refusal::NotANumber(KEY))?;
            whole(limit.max(0.0).round()).ok_or(Refusal::NotANumber(KEY))
        }
    }
}

/// A number as a page's address has it.
fn number_in(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// A number that counts something.
fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
    (number.fract() == 0.0 && (0.0..=MAX_SAFE).contains(&number)).then_some(number as u64)
}

impl Answer {
    /// It is done.
    pub fn done(message: impl Into<String>) -> Answer {
        Answer::Outcome(Outcome { success: true, message: message.into(), controller_bitrate_limit: None })
    }

    /// The feed is taken, with the controller's limit in bit/s.
    pub fn taken(message: impl Into<String>, limit: u64) -> Answer {
        let controller_bitrate_limit = Some(limit);
        Answer::Outcome(Outcome { success: true, message: message.into(), controller_bitrate_limit })
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let message = refusal.to_string();
        Answer::Outcome(Outcome { success: false, message, controller_bitrate_limit: None })
    }
}

impl Event {
    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Event::NewFeed(..) => "new_feed",
            Event::RemoveFeed(_) => "remove_feed",
            Event::RemoveAllFeeds => "remove_all_feeds",
            Event::Command(..) => "command",
            Event::SetAnnotation(..) => "set_annotation",
            Event::RemoveAnnotation(_) => "remove_annotation",
            Event::NewControllerBitrateLimit(_) => "new_controller_bitrate_limit",
            Event::PublishAgain => "publish_again",
        }
    }

    /// Its data; none where the event says everything.
    pub fn data(&self) -> Option<Value> {
        Some(match self {
            Event::NewFeed(slot, shown) => with_slot(*slot, shown),
            Event::RemoveFeed(slot) | Event::RemoveAnnotation(slot) => json!({ "slot": slot }),
            Event::RemoveAllFeeds => return None,
            Event::Command(slot, directive) => with_slot(*slot, directive),
            Event::SetAnnotation(slot, annotation) => json!({ "slot": slot, "annotation": annotation }),
            Event::NewControllerBitrateLimit(limit) => json!({ "bitrateLimit": limit }),
            Event::PublishAgain => json!({}),
        })
    }
}

fn with_slot(slot: usize, rest: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(rest).expect("these types hold nothing that JSON could refuse");
    value["slot"] = slot.into();
    value
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoData => f.write_str("The server expected data with this request, but none came."),
            Refusal::NoSlot => f.write_str("The link names no slot. Ask for a new one."),
            Refusal::SlotNotANumber => {
                f.write_str("A slot has a number, but the link names none. Ask for a new link.")
            }
            Refusal::NoSuchSlot => f.write_str("This room has no such slot. Ask for a new link."),
            Refusal::SlotClosed => {
                f.write_str("Nobody may send in this slot at the moment. Ask for it to be activated.")
            }
            Refusal::NoToken => f.write_str("The link has no token. Ask for a new one."),
            Refusal::WrongToken => f.write_str("That is not the token of this slot. Ask for a new link."),
            Refusal::NotInitialised => f.write_str("Show the slot's token first."),
            Refusal::TokenExpired => f.write_str("The token of this slot has changed. Ask for a new link."),
            Refusal::SlotInUse => f.write_str("Another camera is in this slot already."),
            Refusal::FeedElsewhere => f.write_str("This feed is in another slot already."),
            Refusal::Missing(field) => write!(f, "The server expected {field}, but none came."),
            Refusal::NotANumber(field) => write!(f, "{field} must be a number."),
        }
    }
}
