//! Socket.IO's packets (revision 5 of its protocol) inside Engine.IO's messages: of the default namespace, as text.
//!
//! ```text
//! TYPE [NAMESPACE ","] [ACK ID] [JSON]        2["query_state"]   20["sender_init",{"slot":1}]   30[{"success":true}]
//!
//! 0 CONNECT   1 DISCONNECT   2 EVENT   3 ACK   4 CONNECT_ERROR   5, 6 with binary attachments
//! ```
//!
//! Nothing that a room is told has attachments, so a socket that announces some is one that we don't understand.

use super::wire::Answer;
use serde_json::{Value, json};

/// What a client sends.
#[derive(Debug, PartialEq)]
pub enum Packet {
    /// It wants to talk.
    Connect,
    /// It wants to talk in a namespace that we don't have.
    ForeignNamespace(String),
    /// It has nothing more to say.
    Disconnect,
    /// It says something, and counts on an answer where there is an id.
    Event {
        /// What it says.
        name: String,
        /// The first argument; null where there is none.
        data: Value,
        /// What the answer is to be marked with.
        ack: Option<u64>,
    },
    /// It answers what nobody asked.
    Ack,
}

/// What is no packet, or one that no client of ours has reason to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// We end the conversation, and the client is not to come back by itself.
pub const DISCONNECT: &str = "1";

impl Packet {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Packet, Malformed> {
        let (kind, rest) = text.split_at_checked(1).ok_or(Malformed)?;
        let (namespace, rest) =
            if rest.starts_with('/') { rest.split_once(',').unwrap_or((rest, "")) } else { ("/", rest) };
        match kind {
            "0" if namespace != "/" => Ok(Packet::ForeignNamespace(namespace.chars().take(100).collect())),
            _ if namespace != "/" => Err(Malformed),
            // What a client may say of itself here is of no use to us.
            "0" => Ok(Packet::Connect),
            "1" => Ok(Packet::Disconnect),
            "2" => Packet::event(rest),
            "3" => Ok(Packet::Ack),
            _ => Err(Malformed),
        }
    }

    fn event(text: &str) -> Result<Packet, Malformed> {
        let (ack, array) = text.split_at(text.find('[').ok_or(Malformed)?);
        let ack = if ack.is_empty() { None } else { Some(number(ack)?) };
        let Ok(Value::Array(arguments)) = serde_json::from_str(array) else { return Err(Malformed) };
        let mut arguments = arguments.into_iter();
        let Some(Value::String(name)) = arguments.next() else { return Err(Malformed) };
        Ok(Packet::Event { name, data: arguments.next().unwrap_or(Value::Null), ack })
    }
}

/// Digits alone: no sign, no space.
fn number(text: &str) -> Result<u64, Malformed> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().map_err(|_| Malformed) } else { Err(Malformed) }
}

/// The client may talk. `socket` is the name that it will have.
pub fn connected(socket: &str) -> String {
    format!("0{}", json!({ "sid": socket }))
}

/// The client can't talk in this namespace.
pub fn no_namespace(namespace: &str) -> String {
    format!("4{namespace},{}", json!({ "message": "There is nothing in this namespace." }))
}

/// We say something.
pub fn event(name: &str, data: Option<Value>) -> String {
    match data {
        Some(data) => format!("2{}", json!([name, data])),
        None => format!("2{}", json!([name])),
    }
}

/// We answer an event.
pub fn ack(id: u64, answer: &Answer) -> String {
    let answer = serde_json::to_string(&[answer]).expect("these types hold nothing that JSON could refuse");
    format!("3{id}{answer}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_as_clients_write_them() {
        let event = |name: &str, data, ack| Packet::Event { name: name.into(), data, ack };
        for (text, packet) in [
            ("0", Packet::Connect),
            ("0{\"token\":\"a\"}", Packet::Connect),
            ("0/admin,", Packet::ForeignNamespace("/admin".into())),
            ("0/admin", Packet::ForeignNamespace("/admin".into())),
            ("0/,{}", Packet::Connect),
            ("1", Packet::Disconnect),
            ("2[\"query_state\"]", event("query_state", Value::Null, None)),
            ("20[\"query_state\"]", event("query_state", Value::Null, Some(0))),
            ("2/,12[\"a\",{\"b\":[1]},2]", event("a", json!({ "b": [1] }), Some(12))),
            ("30[]", Packet::Ack),
        ] {
            assert_eq!(Packet::parse(text), Ok(packet), "{text}");
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let deep = format!("2[\"a\",{}", "[".repeat(100_000));
        for text in [
            "",
            "4",
            "7",
            "ä",
            "2",
            "2[",
            "2[]",
            "2[1]",
            "2{}",
            "2\"a\"",
            "2-1[\"a\"]",
            "2 1[\"a\"]",
            "299999999999999999999[\"a\"]",
            "2[\"a\"] x",
            "2/admin,[\"a\"]",
            "51-[\"a\",{\"_placeholder\":true,\"num\":0}]",
            "60-1[]",
            &deep,
        ] {
            assert_eq!(Packet::parse(text), Err(Malformed), "{text:.40}");
        }
    }

    #[test]
    fn packets_are_written_as_clients_read_them() {
        assert_eq!(connected("x"), r#"0{"sid":"x"}"#);
        assert_eq!(event("remove_all_feeds", None), r#"2["remove_all_feeds"]"#);
        assert_eq!(event("remove_feed", Some(json!({ "slot": 1 }))), r#"2["remove_feed",{"slot":1}]"#);
        assert_eq!(ack(7, &Answer::done("Done.")), r#"37[{"success":true,"message":"Done."}]"#);
    }
}
