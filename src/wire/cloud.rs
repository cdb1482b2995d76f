//! Text frames between the agent and the cloud.
//!
//! [`ToCloud`] is what an agent says, [`ToAgent`] what a cloud says. Both sides ignore keys that they do not
//! know, so that each can be newer than the other. An agent whose [`State`] has no version is an original
//! one: it sends its segments as binary frames after [`SegmentInfo`], and knows no receipts.
//!
//! A cloud's text is taken key by key ([`ToAgent::parse`]): what has a wrong type is reported and left out,
//! and the rest counts.

use super::{Id, Sha256, Trigger};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToCloud {
    /// What the agent holds to be true; the cloud's words echoed.
    State(State),
    /// A capture has begun.
    CaptureStart(CaptureStart),
    /// A segment is durable on the board; from an original, binary frames with its bytes follow.
    CaptureSegment(SegmentInfo),
    /// A capture has ended, or the lists of an ended one have changed.
    CaptureEnd(CaptureEnd),
    /// A sensor's alarm.
    Alarm(Alarm),
    /// The agent has forgotten the capture: no more receipts for it, please.
    ReceiptOk {
        /// The capture of the receipt.
        capture: Id,
    },
    /// How the board is doing.
    Report(Report),
}

/// What the agent holds to be true.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The last `capture_asap` of the cloud.
    #[serde(deserialize_with = "truth")]
    pub capture_asap: bool,
    /// The last `heartbeat_period` of the cloud: tens of seconds between two states.
    #[serde(deserialize_with = "whole_number")]
    pub heartbeat_period: u32,
    /// The last `id` of the cloud.
    #[serde(deserialize_with = "whole_number")]
    pub id: u32,
    /// Whether the motion detector is armed.
    #[serde(deserialize_with = "truth")]
    pub pir_armed: bool,
    /// The agent's version; an original has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A capture has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureStart {
    /// When it began, in seconds since 1970 by the board's clock.
    pub trigger_timestamp: u64,
    /// What made the camera record.
    pub trigger: Trigger,
    /// Its identity; an original has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Id>,
}

/// A segment of a capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// When its capture began, in seconds since 1970 by the board's clock.
    pub trigger_timestamp: u64,
    /// What made the camera record.
    pub trigger: Trigger,
    /// Its place within the capture.
    pub seg_no: u32,
    /// Its capture's identity; an original has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Id>,
    /// Its size; an original says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its digest; an original says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
}

/// A capture has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureEnd {
    /// When it began, in seconds since 1970 by the board's clock.
    pub trigger_timestamp: u64,
    /// What made the camera record.
    pub trigger: Trigger,
    /// Its identity; an original has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Id>,
    /// Every segment that the cloud has or will get; an original lists none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<ListedSegment>>,
    /// Segments that will never come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostSegment>,
}

/// A segment that a capture's end lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSegment {
    /// Its place within the capture.
    pub seg_no: u32,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// A segment that will never come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostSegment {
    /// Its place within the capture.
    pub seg_no: u32,
    /// Why, in a word: `refused`, `evicted` or `missing`.
    pub reason: String,
}

/// A sensor's alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// When, in seconds since 1970 by the board's clock.
    pub trigger_timestamp: u64,
    /// Its identity; an original has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The input pin, where the sensor's program named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpio: Option<u32>,
}

/// How the board is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The agent's version.
    pub version: String,
    /// What the board still owes.
    pub backlog: Backlog,
    /// When the board's certificate expires, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<u64>,
    /// Segments given up for want of space since the agent started.
    pub evicted: u64,
    /// Segments whose file vanished from the spool since the agent started.
    pub missing: u64,
}

/// What a board still owes the cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backlog {
    /// Captures without a receipt.
    pub captures: u64,
    /// Segments that the cloud has not confirmed.
    pub segments: u64,
    /// Their size.
    pub bytes: u64,
    /// When the oldest of these captures began, in seconds since 1970 by the board's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<u64>,
}

impl ToCloud {
    /// The text frame.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self)
            .expect("these types hold no map keys and no floats that JSON could refuse")
    }
}

/// What a cloud says: any of these, in one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ToAgent {
    /// Arm or disarm the motion detector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pir_armed: Option<bool>,
    /// Record a capture now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture_asap: Option<bool>,
    /// Identity of that wish, so that it is acted on once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// A number that the agent echoes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Tens of seconds between two states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_period: Option<u32>,
    /// In the first message: whether this cloud gives receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<bool>,
    /// In the first message: where uploads are created, if not at the usual place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploads: Option<String>,
    /// What is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// Before a close: seconds to stay away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// The cloud's word that something is stored durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Receipt {
    /// Every listed segment of a capture.
    Capture {
        /// The capture.
        capture: Id,
        /// How many segments the list had that this answers; a late receipt for a shorter list is no
        /// receipt for the longer one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        segments: Option<u32>,
    },
    /// An alarm.
    Alarm {
        /// The alarm.
        alarm: Id,
    },
}

/// A cloud's text that is no JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloudTextError {
    /// Not JSON at all.
    NotJson(String),
    /// JSON, but not an object.
    NotAnObject,
}

/// A key whose value had a wrong type; it was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongKey {
    /// The key.
    pub key: &'static str,
    /// What it should have held.
    pub expected: &'static str,
}

impl ToAgent {
    /// The text frame.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("these types hold nothing that JSON could refuse")
    }

    /// Whether the agent owes an echo of its state: some key of the state is there.
    pub fn has_state_key(&self) -> bool {
        self.pir_armed.is_some()
            || self.capture_asap.is_some()
            || self.id.is_some()
            || self.heartbeat_period.is_some()
    }

    /// Reads a text frame. Keys of a wrong type are left out and named; unknown ones are ignored.
    pub fn parse(text: &str) -> Result<(ToAgent, Vec<WrongKey>), CloudTextError> {
        let mut keys = match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Keys { map, wrong: Vec::new() },
            Ok(_) => return Err(CloudTextError::NotAnObject),
            Err(error) => return Err(CloudTextError::NotJson(error.to_string())),
        };
        let message = ToAgent {
            pir_armed: keys.take("pir_armed", "true or false"),
            capture_asap: keys.take("capture_asap", "true or false"),
            request: keys.take("request", "a string"),
            id: keys.take("id", "a whole number"),
            heartbeat_period: keys.take("heartbeat_period", "a whole number of tens of seconds"),
            receipts: keys.take("receipts", "true or false"),
            uploads: keys.take("uploads", "a URL"),
            receipt: keys.take("receipt", "an object with \"capture\" or \"alarm\""),
            retry_after: keys.take("retry_after", "a whole number of seconds"),
        };
        Ok((message, keys.wrong))
    }
}

/// An object that is being taken apart.
struct Keys {
    map: Map<String, Value>,
    wrong: Vec<WrongKey>,
}

impl Keys {
    fn take<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str, expected: &'static str) -> Option<T> {
        match T::deserialize(self.map.remove(key)?) {
            Ok(value) => Some(value),
            Err(_) => {
                self.wrong.push(WrongKey { key, expected });
                None
            }
        }
    }
}

impl fmt::Display for CloudTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloudTextError::NotJson(why) => write!(f, "expected a JSON object, but it is not JSON: {why}"),
            CloudTextError::NotAnObject => write!(f, "expected a JSON object, but it is another JSON value"),
        }
    }
}

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} should hold {}", self.key, self.expected)
    }
}

impl std::error::Error for CloudTextError {}
impl std::error::Error for WrongKey {}

/// An original echoes whatever it was told, a string for a boolean too, and acts on its truth as Python has it.
fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => false,
        Value::Bool(value) => value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    })
}

/// See [`truth`]: what is no number reads as 0.
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_as_the_originals() {
        let state = State { heartbeat_period: 10, pir_armed: true, ..State::default() };
        let text = ToCloud::State(state).to_text();
        assert_eq!(
            text,
            r#"{"type":"state","capture_asap":false,"heartbeat_period":10,"id":0,"pir_armed":true}"#
        );
    }

    #[test]
    fn an_originals_messages_are_understood() {
        let text = r#"{"capture_asap": false, "heartbeat_period": "abc", "id": 0, "pir_armed": "yes", "type": "state"}"#;
        let expected = State { pir_armed: true, ..State::default() };
        assert_eq!(serde_json::from_str::<ToCloud>(text).unwrap(), ToCloud::State(expected));

        let text = r#"{"type":"capture_segment","trigger_timestamp":1529842538,"trigger":"pir","seg_no":1}"#;
        let ToCloud::CaptureSegment(info) = serde_json::from_str(text).unwrap() else { panic!("{text}") };
        assert_eq!((info.seg_no, info.capture, info.bytes), (1, None, None));
        assert_eq!(ToCloud::CaptureSegment(info).to_text(), text);
    }

    #[test]
    fn a_wrong_key_is_named_and_the_rest_counts() {
        let (message, wrong) =
            ToAgent::parse(r#"{"pir_armed":"yes","capture_asap":true,"colour":1}"#).unwrap();
        assert_eq!(message, ToAgent { capture_asap: Some(true), ..ToAgent::default() });
        assert_eq!(wrong, [WrongKey { key: "pir_armed", expected: "true or false" }]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (text, why) in [
            ("not json", "expected a JSON object, but it is not JSON: expected ident at line 1 column 2"),
            ("", "expected a JSON object, but it is not JSON: EOF while parsing a value at line 1 column 0"),
            ("{\"id\":1", "expected a JSON object, but it is not JSON: EOF while parsing an object"),
            ("[1,2]", "expected a JSON object, but it is another JSON value"),
            ("null", "expected a JSON object, but it is another JSON value"),
        ] {
            let error = ToAgent::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }

    #[test]
    fn each_key_says_what_it_should_hold() {
        for (text, why) in [
            (r#"{"pir_armed":"yes"}"#, r#""pir_armed" should hold true or false"#),
            (r#"{"capture_asap":1}"#, r#""capture_asap" should hold true or false"#),
            (r#"{"request":5}"#, r#""request" should hold a string"#),
            (r#"{"id":-1}"#, r#""id" should hold a whole number"#),
            (
                r#"{"heartbeat_period":0.5}"#,
                r#""heartbeat_period" should hold a whole number of tens of seconds"#,
            ),
            (r#"{"receipts":"true"}"#, r#""receipts" should hold true or false"#),
            (r#"{"uploads":[]}"#, r#""uploads" should hold a URL"#),
            (
                r#"{"receipt":{"capture":"7"}}"#,
                r#""receipt" should hold an object with "capture" or "alarm""#,
            ),
            (r#"{"retry_after":"soon"}"#, r#""retry_after" should hold a whole number of seconds"#),
        ] {
            let (message, wrong) = ToAgent::parse(text).unwrap();
            assert_eq!(message, ToAgent::default(), "{text}");
            assert_eq!(wrong.iter().map(ToString::to_string).collect::<Vec<_>>(), [why], "{text}");
        }
    }

    #[test]
    fn receipts_come_back() {
        for receipt in [
            Receipt::Capture { capture: Id(7), segments: Some(3) },
            Receipt::Capture { capture: Id(7), segments: None },
            Receipt::Alarm { alarm: Id(9) },
        ] {
            let text = ToAgent { receipt: Some(receipt.clone()), ..ToAgent::default() }.to_text();
            assert_eq!(ToAgent::parse(&text).unwrap().0.receipt, Some(receipt), "{text}");
        }
    }
}
