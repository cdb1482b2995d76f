//! What local programs say to the agent: a stream of JSON objects, with nothing, white space or newlines
//! between them.
//!
//! [`Scanner`] cuts the stream into objects, [`Request::parse`] reads one. A byte that cannot begin or continue a
//! JSON object ends the connection: it is never resynchronised, so that a request that a web page sends to the
//! port does nothing.

use super::{Id, Trigger, segment_name::SegmentName, shortened};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// The longest object; a path of the longest length that Linux takes fits sixteen times.
pub const MAX_OBJECT: usize = 64 * 1024;

/// One object of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is wanted.
    pub message: Message,
    /// Whether the sender waits for a line of reply, once it is done.
    pub ack: bool,
    /// Keys that say nothing to this agent.
    pub unknown: Vec<String>,
}

/// What a local program wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A finished segment file.
    Segment {
        /// Its path, as the sender wrote it.
        path: String,
        /// Its identity, where the file's name is off the scheme.
        naming: Option<Naming>,
    },
    /// A sensor's alarm.
    Alarm {
        /// The input pin, where the sender named one.
        gpio: Option<u32>,
    },
    /// A question: how is the agent doing?
    Status,
    /// A question: what does its log say?
    Log,
}

/// The identity of a segment whose file name does not tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming {
    /// What made the camera record.
    pub trigger: Trigger,
    /// When the capture began, in seconds since 1970; else the agent picks a time.
    pub timestamp: Option<u64>,
    /// Place within the capture; else the next free one.
    pub seg_no: Option<u32>,
}

/// One line of reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// Whether the message is durable.
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The capture that the segment belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<Id>,
    /// That capture's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_timestamp: Option<u64>,
    /// The segment's place in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seg_no: Option<u32>,
    /// The alarm's identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Id>,
    /// Whether the agent had this segment already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

impl Reply {
    /// The answer to what could not be taken.
    pub fn refused(error: impl fmt::Display) -> Reply {
        Reply { error: Some(error.to_string()), ..Reply::default() }
    }

    /// The line, with its newline.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("these types hold nothing that JSON could refuse") + "\n"
    }
}

/// Why an object is no message. The connection goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageError {
    /// What was expected and what came.
    pub why: String,
    /// Whether the sender waits for a line of reply.
    pub ack: bool,
}

/// Why a stream can't go on. The connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// A byte that can't begin an object.
    NoObject(u8),
    /// A byte that can't continue one.
    Unexpected(u8),
    /// An object that does not end.
    TooLong,
    /// Balanced braces, but no JSON.
    NotJson(String),
    /// The connection ended within an object.
    CutOff,
}

/// Cuts a stream of bytes into JSON objects.
#[derive(Debug, Default)]
pub struct Scanner {
    object: Vec<u8>,
    /// The brackets that are open, innermost last.
    open: Vec<u8>,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    /// Takes bytes up to the end of the next object. Gives how many were taken, and the object if it ended
    /// there: call again with the rest.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<(usize, Option<Vec<u8>>), StreamError> {
        for (index, &byte) in bytes.iter().enumerate() {
            if self.open.is_empty() && byte.is_ascii_whitespace() {
                continue;
            }
            self.step(byte)?;
            if self.object.len() == MAX_OBJECT {
                return Err(StreamError::TooLong);
            }
            self.object.push(byte);
            if self.open.is_empty() {
                return Ok((index + 1, Some(std::mem::take(&mut self.object))));
            }
        }
        Ok((bytes.len(), None))
    }

    /// Whether the stream stands between two objects.
    pub fn is_between(&self) -> bool {
        self.open.is_empty()
    }

    fn step(&mut self, byte: u8) -> Result<(), StreamError> {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                0..0x20 => return Err(StreamError::Unexpected(byte)),
                _ => {}
            }
            return Ok(());
        }
        match byte {
            b'{' => self.open.push(b'}'),
            _ if self.open.is_empty() => return Err(StreamError::NoObject(byte)),
            b'[' => self.open.push(b']'),
            b'}' | b']' => {
                if self.open.pop() != Some(byte) {
                    return Err(StreamError::Unexpected(byte));
                }
            }
            b'"' => self.in_string = true,
            b',' | b':' | b'+' | b'-' | b'.' | b'0'..=b'9' | b' ' | b'\t' | b'\r' | b'\n' => {}
            // The letters of true, false, null and exponents.
            b'E' | b'a' | b'e' | b'f' | b'l' | b'n' | b'r' | b's' | b't' | b'u' => {}
            _ => return Err(StreamError::Unexpected(byte)),
        }
        Ok(())
    }
}

impl Request {
    /// Reads one object. The outer error ends the connection, the inner one only this message.
    pub fn parse(object: &[u8]) -> Result<Result<Request, MessageError>, StreamError> {
        // Text, as everywhere: what reads JSON of bytes would be in a board's program beside what reads it of text.
        let text = str::from_utf8(object).map_err(|error| StreamError::NotJson(error.to_string()))?;
        let mut map: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| StreamError::NotJson(error.to_string()))?;
        let ack = match map.remove("ack") {
            None => false,
            Some(Value::Bool(ack)) => ack,
            Some(other) => return Ok(Err(wrong("ack", "true or false", &other, false))),
        };
        Ok(Message::take(&mut map, ack).map(|message| {
            let unknown = map.into_iter().map(|(key, _)| shortened(&key)).collect();
            Request { message, ack, unknown }
        }))
    }
}

impl Message {
    fn take(map: &mut Map<String, Value>, ack: bool) -> Result<Message, MessageError> {
        if let Some(value) = map.remove("segment") {
            let Value::String(path) = value else { return Err(wrong("segment", "a path", &value, ack)) };
            let naming = Naming::take(map, ack)?;
            return Ok(Message::Segment { path, naming });
        }
        if let Some(value) = map.remove("event") {
            if value != "alarm" {
                return Err(wrong("event", "\"alarm\"", &value, ack));
            }
            return Ok(Message::Alarm { gpio: whole(map, "gpio", ack)? });
        }
        if let Some(value) = map.remove("query") {
            return match value.as_str() {
                Some("status") => Ok(Message::Status),
                Some("log") => Ok(Message::Log),
                Some(_) | None => Err(wrong("query", "\"status\" or \"log\"", &value, ack)),
            };
        }
        let keys: Vec<String> = map.keys().take(4).map(|key| shortened(key)).collect();
        let why = match keys.as_slice() {
            [] => r#"expected "segment", "event" or "query", but the object is empty"#.to_owned(),
            _ => format!(r#"expected "segment", "event" or "query", but the object has {keys:?}"#),
        };
        Err(MessageError { why, ack })
    }
}

impl Naming {
    fn take(map: &mut Map<String, Value>, ack: bool) -> Result<Option<Naming>, MessageError> {
        let Some(value) = map.remove("trigger") else { return Ok(None) };
        let trigger = value.as_str().and_then(Trigger::from_word);
        let Some(trigger) = trigger else {
            return Err(wrong("trigger", "\"pir\" or \"request\"", &value, ack));
        };
        let timestamp = whole(map, "trigger_timestamp", ack)?;
        if timestamp == Some(0) {
            return Err(wrong("trigger_timestamp", "a number of seconds above 0", &Value::from(0), ack));
        }
        Ok(Some(Naming { trigger, timestamp, seg_no: whole(map, "seg_no", ack)? }))
    }

    /// The identity that a file name on the scheme tells.
    pub fn of_name(name: SegmentName) -> Naming {
        Naming { trigger: name.trigger, timestamp: Some(name.timestamp), seg_no: Some(name.seg_no) }
    }
}

fn whole<T: TryFrom<u64>>(
    map: &mut Map<String, Value>,
    key: &'static str,
    ack: bool,
) -> Result<Option<T>, MessageError> {
    let Some(value) = map.remove(key) else { return Ok(None) };
    let number = value.as_u64().and_then(|number| T::try_from(number).ok());
    number.map(Some).ok_or_else(|| wrong(key, "a whole number", &value, ack))
}

fn wrong(key: &str, expected: &str, came: &Value, ack: bool) -> MessageError {
    MessageError { why: format!("{key:?} should be {expected}, not {}", shortened(&came.to_string())), ack }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::NoObject(byte) => {
                write!(f, "expected a JSON object ({{…}}), but it begins with {:?}", char::from(*byte))
            }
            StreamError::Unexpected(byte) => {
                write!(f, "expected a JSON object, but {:?} can't continue one", char::from(*byte))
            }
            StreamError::TooLong => {
                write!(f, "expected a JSON object of at most {MAX_OBJECT} bytes, but this one is longer")
            }
            StreamError::NotJson(why) => write!(f, "expected a JSON object, but it is not JSON: {why}"),
            StreamError::CutOff => {
                write!(f, "expected a whole JSON object, but the connection ended in the middle of one")
            }
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for StreamError {}
impl std::error::Error for MessageError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(stream: &[u8]) -> Result<Vec<String>, StreamError> {
        let mut scanner = Scanner::default();
        let (mut rest, mut found) = (stream, Vec::new());
        while !rest.is_empty() {
            let (taken, object) = scanner.scan(rest)?;
            found.extend(object.map(|bytes| String::from_utf8(bytes).unwrap()));
            rest = &rest[taken..];
        }
        Ok(found)
    }

    fn message(text: &str) -> Result<Message, String> {
        match Request::parse(text.as_bytes()) {
            Ok(Ok(request)) => Ok(request.message),
            Ok(Err(error)) => Err(error.why),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn objects_need_nothing_between_them() {
        let stream = br#"{"segment":"a"}{"segment":"}{\""}  {"x":{"y":[1]}}
        {}"#;
        let expected = [r#"{"segment":"a"}"#, r#"{"segment":"}{\""}"#, r#"{"x":{"y":[1]}}"#, "{}"];
        assert_eq!(objects(stream).unwrap(), expected);
    }

    #[test]
    fn an_object_may_come_byte_by_byte() {
        let mut scanner = Scanner::default();
        let stream = br#" {"segment":"a\"b"} "#;
        let found = stream.iter().filter_map(|byte| scanner.scan(&[*byte]).unwrap().1).count();
        assert_eq!(found, 1);
        assert!(scanner.is_between());
    }

    #[test]
    fn what_is_no_object_ends_the_stream() {
        assert_eq!(objects(b"GET / HTTP/1.1\r\n"), Err(StreamError::NoObject(b'G')));
        assert_eq!(objects(b"[{}]"), Err(StreamError::NoObject(b'[')));
        assert_eq!(objects(b"{}x"), Err(StreamError::NoObject(b'x')));
        assert_eq!(objects(b"{\"a\":[1}"), Err(StreamError::Unexpected(b'}')));
        assert_eq!(objects(b"{HELO"), Err(StreamError::Unexpected(b'H')));
        assert_eq!(objects(b"{\"a\nb\":1}"), Err(StreamError::Unexpected(b'\n')));
        assert!(matches!(Request::parse(b"{1:2}"), Err(StreamError::NotJson(_))));
        let no_text = Request::parse(b"{\"a\":\"\xff\"}").unwrap_err().to_string();
        assert!(no_text.ends_with("invalid utf-8 sequence of 1 bytes from index 6"), "{no_text}");
    }

    #[test]
    fn an_object_without_end_is_refused() {
        let stream = vec![b'{'; 1 << 20];
        assert_eq!(objects(&stream), Err(StreamError::TooLong));
    }

    #[test]
    fn the_originals_messages_are_understood() {
        let segment = Message::Segment { path: "pir.1.0.ts".into(), naming: None };
        assert_eq!(message(r#"{"segment":"pir.1.0.ts"}"#), Ok(segment));
        assert_eq!(message(r#"{"event":"alarm","gpio":17}"#), Ok(Message::Alarm { gpio: Some(17) }));
    }

    #[test]
    fn both_questions_are_understood() {
        assert_eq!(message(r#"{"query":"status"}"#), Ok(Message::Status));
        assert_eq!(message(r#"{"query":"log"}"#), Ok(Message::Log));
    }

    #[test]
    fn what_a_message_lacks_is_named() {
        for (text, why) in [
            ("{}", r#"expected "segment", "event" or "query", but the object is empty"#),
            (r#"{"seg":1}"#, r#"expected "segment", "event" or "query", but the object has ["seg"]"#),
            (r#"{"segment":1}"#, r#""segment" should be a path, not 1"#),
            (r#"{"event":"other"}"#, r#""event" should be "alarm", not "other""#),
            (r#"{"query":"weather"}"#, r#""query" should be "status" or "log", not "weather""#),
            (r#"{"query":1}"#, r#""query" should be "status" or "log", not 1"#),
            (r#"{"segment":"a","trigger":"cap"}"#, r#""trigger" should be "pir" or "request", not "cap""#),
            (
                r#"{"segment":"a","trigger":"pir","trigger_timestamp":0}"#,
                r#""trigger_timestamp" should be a number of seconds above 0, not 0"#,
            ),
            (r#"{"segment":"a","ack":"yes"}"#, r#""ack" should be true or false, not "yes""#),
        ] {
            assert_eq!(message(text), Err(why.into()), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_and_does_no_harm() {
        let request = Request::parse(br#"{"segment":"a","ack":true,"colour":"red"}"#).unwrap().unwrap();
        assert_eq!((request.ack, request.unknown), (true, vec!["colour".to_owned()]));
    }
}
