//! What an agent says.

use crate::wire::{Id, Sha256, Trigger};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

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
}
