//! The bodies of Janus' video room plugin that we send, and what is read out of its answers.

use super::{Codecs, JanusError, JanusRoom};
use crate::room::{engine::Wish, words::Secret};
use serde_json::{Map, Value, json};

/// There is no such session.
pub(super) const NO_SUCH_SESSION: u64 = 458;
/// There is no such handle in the session.
pub(super) const NO_SUCH_HANDLE: u64 = 459;
/// There is no such room.
pub(super) const NO_SUCH_ROOM: u64 = 426;
/// There is no such publisher.
pub(super) const NO_SUCH_FEED: u64 = 428;

pub(super) fn create(room: &JanusRoom) -> Value {
    let mut body = Map::from_iter([
        ("request".to_owned(), json!("create")),
        ("room".to_owned(), json!(room.number)),
        ("permanent".to_owned(), json!(false)),
        ("bitrate".to_owned(), json!(room.bitrate)),
        ("publishers".to_owned(), json!(room.publishers)),
        ("secret".to_owned(), json!(room.secret.reveal())),
    ]);
    let mut also = |key: &str, value: Option<&Secret>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), json!(value.reveal()));
        }
    };
    also("pin", room.pin.as_ref());
    also("admin_key", room.admin_key.as_ref());
    match room.codecs {
        Codecs::H264AndVp8 => {
            body.insert("videocodec".to_owned(), json!("h264,vp8"));
        }
        Codecs::Vp8 => {}
    }
    Value::Object(body)
}

pub(super) fn destroy(room: &JanusRoom) -> Value {
    json!({ "request": "destroy", "room": room.number, "secret": room.secret.reveal(), "permanent": false })
}

pub(super) fn exists(room: &JanusRoom) -> Value {
    json!({ "request": "exists", "room": room.number })
}

/// What a wish asks the plugin for.
pub(super) fn of_wish(room: &JanusRoom, wish: &Wish) -> Value {
    let (number, secret) = (room.number, room.secret.reveal());
    match wish {
        Wish::Configure { bitrate, .. } => json!({ "request": "configure", "bitrate": bitrate }),
        Wish::EditPin(pin) => {
            json!({ "request": "edit", "room": number, "secret": secret, "new_pin": pin.reveal(), "permanent": false })
        }
        Wish::Kick(feed) => json!({ "request": "kick", "room": number, "secret": secret, "id": feed }),
    }
}

/// An answer that is no error.
pub(super) fn checked(answer: Value) -> Result<Value, JanusError> {
    let refused = |code: &Value, reason: &Value| {
        let reason = reason.as_str().unwrap_or_default().chars().take(200).collect();
        JanusError::Refused { code: code.as_u64().unwrap_or_default(), reason }
    };
    if answer["janus"] == "error" {
        return Err(refused(&answer["error"]["code"], &answer["error"]["reason"]));
    }
    let data = &answer["plugindata"]["data"];
    match &data["error_code"] {
        Value::Null => Ok(answer),
        code => Err(refused(code, &data["error"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> JanusRoom {
        JanusRoom {
            number: 1000,
            secret: Secret::of("default"),
            pin: None,
            bitrate: 128_000,
            publishers: 4,
            admin_key: None,
            codecs: Codecs::Vp8,
        }
    }

    #[test]
    fn a_room_is_made_as_the_original_makes_it_unless_it_takes_h264() {
        let original = json!({
            "request": "create", "room": 1000, "permanent": false, "bitrate": 128_000, "publishers": 4,
            "secret": "default",
        });
        assert_eq!(create(&room()), original);
        let (pin, admin_key) = (Some(Secret::of("1234")), Some(Secret::of("admin")));
        let ours = create(&JanusRoom { pin, admin_key, codecs: Codecs::H264AndVp8, ..room() });
        assert_eq!(ours["pin"], "1234");
        assert_eq!(ours["admin_key"], "admin");
        assert_eq!(ours["videocodec"], "h264,vp8");
    }

    #[test]
    fn errors_of_janus_and_of_its_plugin_are_told_apart_from_answers() {
        for (answer, code) in [
            (json!({ "janus": "error", "error": { "code": 458, "reason": "No such session" } }), Some(458)),
            (
                json!({ "janus": "success", "plugindata": { "data": { "error_code": 426, "error": "x" } } }),
                Some(426),
            ),
            (json!({ "janus": "success", "data": { "id": 5 } }), None),
            (json!({ "janus": "ack" }), None),
        ] {
            match (checked(answer.clone()), code) {
                (Err(JanusError::Refused { code, .. }), Some(expected)) => assert_eq!(code, expected),
                (Ok(_), None) => {}
                (other, _) => panic!("{answer}: {other:?}"),
            }
        }
    }
}
