//! What passes and what doesn't, as tables.

use super::*;

const SESSION: u64 = 7;
const HANDLE: u64 = 9;

/// A connection whose session and handle are there.
fn admission() -> Admission {
    let mut admission = Admission::default();
    admit(&mut admission, json!({ "janus": "create" })).unwrap();
    admission
        .heard(&json!({ "janus": "success", "transaction": "t", "data": { "id": SESSION } }).to_string());
    admit(&mut admission, attach()).unwrap();
    admission.heard(
        &json!({ "janus": "success", "transaction": "t", "session_id": SESSION, "data": { "id": HANDLE } })
            .to_string(),
    );
    admission
}

fn admit(admission: &mut Admission, mut message: Value) -> Result<Value, Refusal> {
    if let Some(message) = message.as_object_mut() {
        message.entry("transaction").or_insert(json!("t"));
    }
    let admitted = admission.admit(&message.to_string(), |room| room == 1000)?;
    Ok(serde_json::from_str(&admitted).unwrap())
}

fn attach() -> Value {
    json!({ "janus": "attach", "session_id": SESSION, "plugin": PLUGIN })
}

/// A message of the handle's, with `more` in it.
fn of_handle(janus: &str, more: Value) -> Value {
    let mut message = json!({ "janus": janus, "session_id": SESSION, "handle_id": HANDLE });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

fn body(body: Value) -> Value {
    of_handle("message", json!({ "body": body }))
}

#[test]
fn what_a_page_says_passes_as_it_is() {
    let jsep = json!({ "type": "offer", "sdp": "v=0" });
    for message in [
        json!({ "janus": "keepalive", "session_id": SESSION }),
        json!({ "janus": "attach", "session_id": SESSION, "plugin": PLUGIN, "opaque_id": "porch" }),
        body(
            json!({ "request": "join", "ptype": "publisher", "room": 1000, "pin": "1234", "display": "porch" }),
        ),
        body(
            json!({ "request": "join", "ptype": "subscriber", "room": 1000, "streams": [{ "feed": 5, "mid": "0" }] }),
        ),
        body(json!({ "request": "join", "ptype": "listener", "room": 1000, "feed": 5 })),
        of_handle("message", json!({ "body": { "request": "publish" }, "jsep": jsep })),
        of_handle("message", json!({ "body": { "request": "start", "room": 1000 }, "jsep": jsep })),
        body(json!({ "request": "configure", "keyframe": true })),
        body(json!({ "request": "unpublish" })),
        body(json!({ "request": "subscribe", "streams": [{ "feed": 5 }] })),
        body(json!({ "request": "pause" })),
        body(json!({ "request": "switch", "streams": [{ "feed": 5, "sub_mid": "0" }] })),
        body(json!({ "request": "leave" })),
        of_handle(
            "trickle",
            json!({ "candidate": { "candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0 } }),
        ),
        of_handle("trickle", json!({ "candidate": { "completed": true } })),
        of_handle("trickle", json!({ "candidates": [{ "completed": true }] })),
        of_handle("hangup", json!({})),
        of_handle("detach", json!({})),
        json!({ "janus": "destroy", "session_id": SESSION }),
    ] {
        let admitted = admit(&mut admission(), message.clone())
            .unwrap_or_else(|refusal| panic!("{message}: {refusal:?}"));
        let mut expected = message;
        expected["transaction"] = json!("t");
        assert_eq!(admitted, expected);
    }
}

#[test]
fn what_administers_records_or_pries_is_refused() {
    let candidate = json!({ "completed": true });
    for (message, code) in [
        (json!({ "janus": "create", "id": 5 }), UNAUTHORIZED),
        (json!({ "janus": "create" }), UNAUTHORIZED),
        (json!({ "janus": "claim", "session_id": SESSION }), UNKNOWN_REQUEST),
        (json!({ "janus": "info" }), UNKNOWN_REQUEST),
        (json!({ "janus": "ping" }), UNKNOWN_REQUEST),
        (json!({ "janus": "list_sessions", "admin_secret": "s" }), UNKNOWN_REQUEST),
        (
            json!({ "janus": "attach", "session_id": SESSION, "plugin": "janus.plugin.streaming" }),
            NO_SUCH_PLUGIN,
        ),
        (json!({ "janus": "attach", "session_id": SESSION }), MISSING_ELEMENT),
        (json!({ "janus": "keepalive", "session_id": SESSION, "apisecret": "s" }), UNAUTHORIZED),
        (json!({ "janus": "keepalive", "session_id": SESSION + 1 }), NO_SUCH_SESSION),
        (json!({ "janus": "keepalive", "session_id": "7" }), MISSING_ELEMENT),
        (json!({ "janus": "keepalive" }), MISSING_ELEMENT),
        (json!({ "janus": "detach", "session_id": SESSION, "handle_id": HANDLE + 1 }), NO_SUCH_HANDLE),
        (
            json!({ "janus": "message", "session_id": SESSION, "body": { "request": "leave" } }),
            MISSING_ELEMENT,
        ),
        (json!({ "janus": 5 }), MISSING_ELEMENT),
        (json!({ "janus": "keepalive", "session_id": SESSION, "transaction": 5 }), MISSING_ELEMENT),
        (
            json!({ "janus": "keepalive", "session_id": SESSION, "transaction": "t".repeat(MAX_ID + 1) }),
            MISSING_ELEMENT,
        ),
        (body(json!({ "request": "create", "room": 1000 })), UNAUTHORIZED),
        (body(json!({ "request": "edit", "room": 1000, "secret": "s" })), UNAUTHORIZED),
        (body(json!({ "request": "destroy", "room": 1000 })), UNAUTHORIZED),
        (body(json!({ "request": "list" })), UNAUTHORIZED),
        (body(json!({ "request": "allowed", "room": 1000, "action": "disable" })), UNAUTHORIZED),
        (body(json!({ "request": "kick", "room": 1000, "id": 5 })), UNAUTHORIZED),
        (body(json!({ "request": "moderate", "room": 1000, "id": 5 })), UNAUTHORIZED),
        (body(json!({ "request": "enable_recording", "room": 1000 })), UNAUTHORIZED),
        (body(json!({ "request": "rtp_forward", "room": 1000, "host": "192.0.2.9" })), UNAUTHORIZED),
        (body(json!({ "request": "stop_rtp_forward", "room": 1000 })), UNAUTHORIZED),
        (body(json!({ "request": "listforwarders", "room": 1000 })), UNAUTHORIZED),
        (body(json!({ "request": "joinandconfigure", "room": 1000 })), UNAUTHORIZED),
        (body(json!({ "request": "Join", "room": 1000 })), UNAUTHORIZED),
        (body(json!({ "request": ["join"] })), MISSING_ELEMENT),
        (body(json!({})), MISSING_ELEMENT),
        (body(json!([])), MISSING_ELEMENT),
        (body(json!({ "request": "join", "ptype": "publisher", "room": 1001 })), UNAUTHORIZED),
        (body(json!({ "request": "join", "ptype": "publisher", "room": "1000" })), INVALID_ELEMENT),
        (body(json!({ "request": "join", "ptype": "publisher", "room": 1000, "id": 5 })), UNAUTHORIZED),
        (body(json!({ "request": "join", "ptype": "admin", "room": 1000 })), INVALID_ELEMENT),
        (body(json!({ "request": "join", "ptype": { "a": 1 }, "room": 1000 })), INVALID_ELEMENT),
        (body(json!({ "request": "exists", "room": 1000 })), UNAUTHORIZED),
        (body(json!({ "request": "listparticipants", "room": 1000 })), UNAUTHORIZED),
        (body(json!({ "request": "start", "room": 1001 })), UNAUTHORIZED),
        (body(json!({ "request": "publish", "record": true, "filename": "/etc/cron.d/x" })), UNAUTHORIZED),
        (body(json!({ "request": "configure", "record": true })), UNAUTHORIZED),
        (body(json!({ "request": "configure", "bitrate": 9_000_000 })), UNAUTHORIZED),
        (body(json!({ "request": "configure", "secret": "s" })), UNAUTHORIZED),
        (body(json!({ "request": "subscribe", "streams": [{ "feed": { "deep": 1 } }] })), INVALID_ELEMENT),
        (body(json!({ "request": "subscribe", "streams": { "feed": 5 } })), INVALID_ELEMENT),
        (
            body(json!({ "request": "subscribe", "streams": vec![json!({}); MAX_HANDLES + 1] })),
            INVALID_ELEMENT,
        ),
        (
            of_handle(
                "message",
                json!({ "body": { "request": "publish" }, "jsep": { "type": "offer", "e2ee": true } }),
            ),
            INVALID_ELEMENT,
        ),
        (of_handle("message", json!({ "body": { "request": "publish" }, "jsep": "v=0" })), INVALID_ELEMENT),
        (of_handle("trickle", json!({})), INVALID_ELEMENT),
        (of_handle("trickle", json!({ "candidate": candidate, "candidates": [candidate] })), INVALID_ELEMENT),
        (of_handle("trickle", json!({ "candidate": { "candidate": { "deep": 1 } } })), INVALID_ELEMENT),
        (
            of_handle("trickle", json!({ "candidates": vec![candidate.clone(); MAX_CANDIDATES + 1] })),
            INVALID_ELEMENT,
        ),
        (json!([]), INVALID_JSON),
        (json!("create"), INVALID_JSON),
        (Value::Null, INVALID_JSON),
    ] {
        let refusal = admit(&mut admission(), message.clone()).expect_err(&message.to_string());
        assert_eq!(refusal.code, code, "{message}: {}", refusal.reason);
    }
}

#[test]
fn a_refusal_has_the_form_of_janus_and_the_messages_transaction() {
    let message = json!({ "janus": "info", "transaction": "abc" });
    let refusal = admission().admit(&message.to_string(), |_| true).unwrap_err();
    let answer: Value = serde_json::from_str(&refusal.to_json()).unwrap();
    assert_eq!((&answer["janus"], &answer["transaction"]), (&json!("error"), &json!("abc")));
    assert_eq!(answer["error"]["code"], UNKNOWN_REQUEST);
    let refusal = admission().admit("{", |_| true).unwrap_err();
    assert_eq!(refusal.code, INVALID_JSON);
    assert!(!refusal.to_json().contains("transaction"));
}

#[test]
fn janus_reads_what_was_looked_at() {
    let twice =
        r#"{"janus":"keepalive","transaction":"t","session_id":7,"janus":"keepalive","session_id":7}"#;
    assert_eq!(admission().admit(twice, |_| true).unwrap().matches("session_id").count(), 1);
    let sly = r#"{"janus":"keepalive","transaction":"t","session_id":7,"janus":"info"}"#;
    assert_eq!(admission().admit(sly, |_| true).unwrap_err().code, UNKNOWN_REQUEST);
}

/// Says something under this transaction.
fn under(transaction: &str, mut message: Value) -> Value {
    message["transaction"] = json!(transaction);
    message
}

/// Janus' answer to a transaction, with `more` in it.
fn answered(admission: &mut Admission, transaction: &str, janus: &str, more: Value) {
    let mut answer = json!({ "janus": janus, "transaction": transaction });
    answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(admission.heard(&answer.to_string()), Heard::Other);
}

#[test]
fn handles_are_bounded_and_come_back() {
    let mut admission = admission();
    let attach =
        |admission: &mut Admission, number: usize| admit(admission, under(&format!("a{number}"), attach()));
    let most = (0..).take_while(|number| attach(&mut admission, *number).is_ok()).count();
    assert_eq!(most, MAX_HANDLES - 1, "and the one that is there");
    // One that Janus refused, and one that is detached, make room.
    answered(&mut admission, "a5", "error", json!({ "session_id": SESSION }));
    attach(&mut admission, 1000).unwrap();
    attach(&mut admission, 1001).unwrap_err();
    admit(&mut admission, of_handle("detach", json!({}))).unwrap();
    attach(&mut admission, 1002).unwrap();
}

#[test]
fn an_answer_to_something_else_is_no_handle_and_frees_no_place() {
    let mut admission = admission();
    let pause = body(json!({ "request": "pause" }));
    let mut handles = 1;
    for number in 0..10 * MAX_HANDLES {
        let transaction = format!("x{number}");
        admit(&mut admission, under(&transaction, pause.clone())).unwrap();
        let refusal = admit(&mut admission, under(&transaction, attach())).unwrap_err();
        assert_eq!(refusal.code, INVALID_ELEMENT, "{}", refusal.reason);
        answered(&mut admission, &transaction, "error", json!({}));
        handles += usize::from(admit(&mut admission, under(&transaction, attach())).is_ok());
        answered(&mut admission, &transaction, "success", json!({ "data": { "id": 100 + number } }));
    }
    assert_eq!(handles, MAX_HANDLES);
}

#[test]
fn a_session_is_the_one_that_was_asked_for() {
    let mut admission = admission();
    admit(&mut admission, under("late", attach())).unwrap();
    admit(&mut admission, under("end", json!({ "janus": "destroy", "session_id": SESSION }))).unwrap();
    admit(&mut admission, under("new", json!({ "janus": "create" }))).unwrap();
    answered(&mut admission, "late", "success", json!({ "data": { "id": 77 } }));
    answered(&mut admission, "end", "success", json!({ "session_id": SESSION }));
    admit(&mut admission, under("more", json!({ "janus": "create" }))).expect_err("one is asked for");
    answered(&mut admission, "new", "success", json!({ "data": { "id": 8 } }));
    admit(&mut admission, under("k", json!({ "janus": "keepalive", "session_id": 8 }))).unwrap();
    admit(&mut admission, under("l", json!({ "janus": "keepalive", "session_id": 77 }))).unwrap_err();
    assert!(admission.handles.is_empty(), "those of the session before went with it");
}

#[test]
fn requests_that_janus_has_not_answered_are_bounded() {
    let mut admission = admission();
    let keepalive = json!({ "janus": "keepalive", "session_id": SESSION });
    let most = (0..)
        .take_while(|number| admit(&mut admission, under(&format!("{number}"), keepalive.clone())).is_ok());
    assert_eq!(most.count(), MAX_PENDING);
    answered(&mut admission, "5", "ack", json!({}));
    admit(&mut admission, under("5", keepalive)).unwrap();
}

#[test]
fn a_wrong_pin_is_heard_where_one_was_shown() {
    let mut admission = admission();
    let joins =
        |pin: Value| body(json!({"request": "join", "ptype": "subscriber", "room": 1000, "pin": pin}));
    let wrong = |handle: u64| {
        json!({"janus": "event", "sender": handle, "plugindata": {"data": {"error_code": 433}}}).to_string()
    };
    let without = body(json!({"request": "join", "ptype": "subscriber", "room": 1000}));
    admit(&mut admission, under("1", joins(json!("")))).unwrap();
    admit(&mut admission, under("2", without)).unwrap();
    assert_eq!(admission.heard(&wrong(HANDLE)), Heard::Other);
    admit(&mut admission, under("3", joins(json!("1")))).unwrap();
    admit(&mut admission, under("4", joins(json!("")))).unwrap();
    assert_eq!(admission.heard(&wrong(HANDLE)), Heard::WrongPin, "its answer may be of either");
    admit(&mut admission, under("5", of_handle("detach", json!({})))).unwrap();
    assert_eq!(admission.heard(&wrong(HANDLE)), Heard::WrongPin, "it may be late");
}

#[test]
fn a_pin_that_is_shown_for_each_of_many_pictures_is_guessed_once() {
    const OTHER: u64 = 10;
    let mut admission = admission();
    admit(&mut admission, under("other", attach())).unwrap();
    answered(&mut admission, "other", "success", json!({ "data": { "id": OTHER } }));
    let mut shows = |handle: u64, room: u64, pin: &str| {
        let join = json!({ "request": "join", "ptype": "subscriber", "room": room, "pin": pin });
        let message = json!({ "janus": "message", "session_id": SESSION, "handle_id": handle, "body": join });
        admission.admit(&under("t", message).to_string(), |_| true).map(drop).unwrap();
        admission.heard(&json!({ "janus": "ack", "transaction": "t" }).to_string());
        let wrong = json!({ "data": { "error_code": 433 } });
        let event = json!({ "janus": "event", "transaction": "t", "sender": handle, "plugindata": wrong });
        admission.heard(&event.to_string())
    };
    assert_eq!(shows(HANDLE, 1000, "1"), Heard::WrongPin);
    assert_eq!(shows(OTHER, 1000, "1"), Heard::Other, "the same pin");
    assert_eq!(shows(OTHER, 1001, "1"), Heard::WrongPin, "another room");
    assert_eq!(shows(HANDLE, 1001, "1"), Heard::WrongPin, "a handle that has guessed may have done so again");
    assert_eq!(shows(OTHER, 1001, "2"), Heard::WrongPin, "another pin");
}

/// A join that shows this pin.
fn shows(pin: &str) -> Value {
    body(json!({ "request": "join", "ptype": "publisher", "room": 1000, "pin": pin }))
}

#[test]
fn one_pin_is_tried_at_a_time() {
    let mut admission = admission();
    admit(&mut admission, under("1", shows("1"))).unwrap();
    answered(&mut admission, "1", "ack", json!({}));
    admit(&mut admission, under("2", shows("1"))).expect("the same for another picture");
    admit(&mut admission, under("3", shows(""))).expect("none is no guess");
    for has_come in ["1", "2"] {
        let refusal = admit(&mut admission, under("4", shows("2"))).unwrap_err();
        assert_eq!(refusal.code, UNAUTHORIZED, "{}", refusal.reason);
        answered(
            &mut admission,
            has_come,
            "event",
            json!({ "plugindata": { "data": { "error_code": 426 } } }),
        );
    }
    admit(&mut admission, under("4", shows("2"))).unwrap();
    answered(&mut admission, "4", "error", json!({}));
    admit(&mut admission, under("5", shows("3"))).expect("what Janus refuses is answered");
}

#[test]
fn a_verdict_that_does_not_come_any_more_is_not_awaited() {
    let mut admission = admission();
    let of_other = |mut message: Value| {
        message["handle_id"] = json!(HANDLE + 1);
        message
    };
    admit(&mut admission, under("other", attach())).unwrap();
    answered(&mut admission, "other", "success", json!({ "data": { "id": HANDLE + 1 } }));
    admit(&mut admission, under("1", shows("1"))).unwrap();
    admit(&mut admission, under("detach", of_handle("detach", json!({})))).unwrap();
    admit(&mut admission, under("2", of_other(shows("2")))).expect_err("it may still come");
    answered(&mut admission, "detach", "success", json!({}));
    admit(&mut admission, under("2", of_other(shows("2")))).unwrap();
    admission.heard(&json!({ "janus": "detached", "sender": HANDLE + 1 }).to_string());
    assert!(admission.pending.is_empty());

    admit(&mut admission, under("end", json!({ "janus": "destroy", "session_id": SESSION }))).unwrap();
    admission.pending.insert("3".into(), Asked::Verdict(HANDLE));
    answered(&mut admission, "end", "success", json!({}));
    assert!(admission.pending.is_empty());
}

#[test]
fn a_handle_that_janus_detached_is_gone_and_another_session_may_follow_the_last() {
    let mut admission = admission();
    admission.heard(&json!({ "janus": "detached", "session_id": SESSION, "sender": HANDLE }).to_string());
    assert_eq!(admit(&mut admission, of_handle("hangup", json!({}))).unwrap_err().code, NO_SUCH_HANDLE);
    admit(&mut admission, json!({ "janus": "destroy", "session_id": SESSION })).unwrap();
    admit(&mut admission, under("new", json!({ "janus": "create" }))).unwrap();
}
