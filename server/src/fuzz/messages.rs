//! Messages that browsers want to reach Janus.

use crate::room::door::Admission;
use serde_json::{Value, json};

/// The one room that is ours.
const ROOM: u64 = 1000;
/// Longer than any reason of ours, with a stranger's shortened words in it.
const LONGEST_REASON: usize = 1000;
/// What makes, ends, records or forwards, and what only administers.
const NEVER: [&str; 8] =
    ["secret", "admin_key", "apisecret", "admin_secret", "record", "filename", "bitrate", "host"];

/// What passes is one of the listed messages, of this connection and of our room, and passes again as it is; what
/// doesn't is refused in Janus' form.
pub fn janus_messages(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let admitted = match begun().admit(text, |room| room == ROOM) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            assert!(
                !refusal.reason.is_empty() && refusal.reason.len() <= LONGEST_REASON,
                "{}",
                refusal.reason
            );
            let answer: Value = serde_json::from_str(&refusal.to_json()).expect("our own words are JSON");
            assert_eq!(answer["janus"], "error");
            return;
        }
    };
    assert_eq!(begun().admit(&admitted, |room| room == ROOM).as_ref(), Ok(&admitted), "it passes again");
    let message: Value = serde_json::from_str(&admitted).expect("what passes is JSON");
    assert_eq!(message["session_id"], 7, "a session has begun: {admitted}");
    if let Some(body) = message["body"].as_object() {
        assert!(NEVER.iter().all(|key| !body.contains_key(*key)), "{admitted}");
        assert!(body.get("room").is_none_or(|room| room == ROOM), "{admitted}");
    }
}

/// A connection with a session, 7, and a handle, 9.
fn begun() -> Admission {
    let mut admission = Admission::default();
    let create = json!({ "janus": "create", "transaction": "a" });
    let attach =
        json!({ "janus": "attach", "transaction": "b", "session_id": 7, "plugin": "janus.plugin.videoroom" });
    for (said, id) in [(create, 7), (attach, 9)] {
        admission.admit(&said.to_string(), |_| true).expect("it is on the list");
        let answer = json!({ "janus": "success", "transaction": said["transaction"], "data": { "id": id } });
        admission.heard(&answer.to_string());
    }
    admission
}
