//! What a cloud says.

use crate::wire::Id;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

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
