//! Sessions of agents.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use cloudtalker::wire::{
    Id, Sha256, Trigger,
    cloud::{CaptureEnd, CaptureStart, ListedSegment, LostSegment, Receipt, SegmentInfo, ToAgent, ToCloud},
};
use common::{Serving, end, metadata, seeded, sha256, text};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

fn receipt(capture: u64, segments: u32) -> ToAgent {
    let receipt = Receipt::Capture { capture: Id(capture), segments: Some(segments) };
    ToAgent { receipt: Some(receipt), ..ToAgent::default() }
}

fn armed(armed: bool) -> ToAgent {
    ToAgent { pir_armed: Some(armed), ..ToAgent::default() }
}

#[tokio::test]
async fn a_receipt_comes_once_all_that_is_listed_is_stored_and_again_until_it_is_answered() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let (zero, one) = (seeded(0, 5000), seeded(1, 6000));
    let mut session = camera.session().await;
    camera.upload(&metadata(7, 1, &one), &one).await;
    session.say(&end(7, &[(0, &zero), (1, &one)], &[])).await;
    session.nothing_else().await;
    camera.upload(&metadata(7, 0, &zero), &zero).await;
    assert_eq!(session.next().await, receipt(7, 2));

    session.drop_connection();
    let mut session = camera.session().await;
    assert_eq!(session.next().await, receipt(7, 2), "it was not answered");
    session.say(&ToCloud::ReceiptOk { capture: Id(7) }).await;
    session.close().await;
    let mut session = camera.session().await;
    session.nothing_else().await;
    session.say(&end(7, &[(0, &zero), (1, &one)], &[])).await;
    assert_eq!(session.next().await, receipt(7, 2), "an end that is said again is answered again");
}

#[tokio::test]
async fn a_receipt_survives_a_kill() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    let zero = seeded(0, 5000);
    let mut session = camera.session().await;
    session.say(&end(7, &[(0, &zero)], &[])).await;
    session.nothing_else().await;
    camera.upload(&metadata(7, 0, &zero), &zero).await;
    serving.kill();
    serving.go_on();
    assert_eq!(camera.session().await.next().await, receipt(7, 1));
}

#[tokio::test]
async fn a_listed_segment_of_another_digest_is_not_stored() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let (stored, listed) = (seeded(0, 5000), seeded(1, 5000));
    let mut session = camera.session().await;
    camera.upload(&metadata(7, 0, &stored), &stored).await;
    session.say(&end(7, &[(0, &listed)], &[])).await;
    session.nothing_else().await;
    assert_eq!(serving.captures()[0]["state"], "open");
    // The agent's was refused for good, and so it moves to the lost ones.
    session.say(&end(7, &[], &[(0, "refused")])).await;
    assert_eq!(session.next().await, receipt(7, 0));
    let captures = serving.captures();
    assert_eq!(captures[0]["state"], "broken");
    assert_eq!(captures[0]["error"], "segment 0 is lost: refused");
}

#[tokio::test]
async fn doubled_messages_change_nothing() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let zero = seeded(0, 5000);
    let mut session = camera.session().await;
    let start =
        CaptureStart { trigger_timestamp: 1_529_842_538, trigger: Trigger::Pir, capture: Some(Id(7)) };
    let info = SegmentInfo {
        trigger_timestamp: 1_529_842_538,
        trigger: Trigger::Pir,
        seg_no: 0,
        capture: Some(Id(7)),
        bytes: Some(5000),
        sha256: Some(sha256(&zero)),
    };
    for _ in 0..2 {
        session.say(&end(7, &[(0, &zero)], &[])).await;
        session.say(&ToCloud::CaptureSegment(info.clone())).await;
        session.say(&ToCloud::CaptureStart(start.clone())).await;
    }
    session.nothing_else().await;
    for _ in 0..2 {
        camera.upload(&metadata(7, 0, &zero), &zero).await;
    }
    assert_eq!(session.next().await, receipt(7, 1));
    let captures = serving.captures();
    assert_eq!((captures.len(), captures[0]["segments"].as_array().unwrap().len()), (1, 1));
}

#[tokio::test]
async fn an_alarm_is_answered_each_time_and_seen() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    assert_eq!(serving.json(&["camera", "list", "--json"])[0]["last_alarm"], serde_json::Value::Null);
    let mut session = camera.session().await;
    let id = Id(0xa1a);
    for _ in 0..2 {
        session.text(&format!(r#"{{"type":"alarm","trigger_timestamp":5,"id":"{id}","gpio":17}}"#)).await;
        let receipt = Some(Receipt::Alarm { alarm: id });
        assert_eq!(session.next().await, ToAgent { receipt, ..ToAgent::default() });
    }
    assert!(serving.json(&["camera", "list", "--json"])[0]["last_alarm"].is_u64());
}

#[tokio::test]
async fn armed_is_a_level() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let told = serving.ok(&["camera", "command", "porch", "arm"]);
    assert!(told.contains("offline"), "{told}");
    let mut session = camera.session().await;
    assert_eq!(session.next().await, armed(true), "told when it is back");
    session.state(true).await;
    session.nothing_else().await;
    serving.ok(&["camera", "command", "porch", "disarm"]);
    assert_eq!(session.next().await, armed(false));
    session.state(false).await;
    session.nothing_else().await;
    let cameras = serving.json(&["camera", "list", "--json"]);
    assert_eq!((&cameras[0]["online"], &cameras[0]["armed"]), (&true.into(), &false.into()));
    session.close().await;

    let mut session = camera.session().await;
    session.nothing_else().await;
}

#[tokio::test]
async fn a_capture_request_has_an_id_and_is_done_once_the_camera_echoes() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let mut session = camera.session().await;
    let command = serving.command_beside(&["camera", "command", "porch", "capture"]).await;
    let asked = session.next().await;
    assert_eq!((asked.capture_asap, asked.request.is_some()), (Some(true), true));
    // The session breaks before the echo: the request comes again, under the same id.
    session.drop_connection();
    let mut session = camera.session().await;
    assert_eq!(session.next().await, asked);
    session.state(false).await;
    let output = command.await.unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    session.close().await;
    camera.session().await.nothing_else().await;
}

#[tokio::test]
async fn a_second_session_replaces_the_first() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let mut first = camera.session().await;
    let mut second = camera.session().await;
    assert_eq!(first.closed().await, 1008);
    second.nothing_else().await;
    assert_eq!(serving.json(&["camera", "list", "--json"])[0]["online"], true);
}

#[tokio::test]
async fn a_removed_camera_loses_its_session_at_once() {
    let serving = Serving::start();
    let (camera, other) = (serving.add("porch"), serving.add("garden"));
    let (mut session, mut others) = (camera.session().await, other.session().await);
    serving.ok(&["camera", "remove", "porch"]);
    assert_eq!(session.closed().await, 1008);
    others.nothing_else().await;
    let Err(tokio_tungstenite::tungstenite::Error::Http(refused)) = camera.upgrade().await else {
        panic!("a removed camera was let in")
    };
    assert_eq!(refused.status(), 403);
}

#[tokio::test]
async fn a_camera_of_another_ca_is_refused() {
    let (serving, other) = (Serving::start(), Serving::start());
    // It trusts the server, as if somebody had copied the CA's certificate, but has the key of another server's camera.
    let out = tempfile::tempdir().unwrap();
    other.ok(&["camera", "add", "spy", "--out", out.path().to_str().unwrap()]);
    serving.ok(&["camera", "add", "porch", "--out", out.path().to_str().unwrap()]);
    let spy = common::Camera::of(serving.cameras, out.path(), "spy");
    // With TLS 1.3 the refusal comes after the client's last message of the handshake.
    assert!(spy.try_request().await.is_err());
}

#[tokio::test]
async fn an_end_that_is_said_again_is_answered_again_at_once_whatever_was_answered() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let zero = seeded(0, 5000);
    let mut session = camera.session().await;
    camera.upload(&metadata(7, 0, &zero), &zero).await;
    let ended = end(7, &[(0, &zero)], &[]);
    for _ in 0..3 {
        session.say(&ended).await;
        assert_eq!(session.next().await, receipt(7, 1), "before any answer");
    }
    session.say(&ToCloud::ReceiptOk { capture: Id(7) }).await;
    let before = serving.captures();
    session.say(&ended).await;
    assert_eq!(session.next().await, receipt(7, 1), "after receipt_ok");
    session.say(&ToCloud::ReceiptOk { capture: Id(7) }).await;
    session.nothing_else().await;
    assert_eq!(serving.captures(), before, "the capture is what it was");
    session.close().await;
    camera.session().await.nothing_else().await;
}

#[tokio::test]
async fn ends_beyond_all_that_may_await_uploads_are_said_again_in_another_session() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    let zero = seeded(0, 5000);
    let mut session = camera.session().await;
    session.say(&end(1, &[(0, &zero)], &[])).await;
    session.heard().await;
    serving.kill();
    // Each of them said by itself takes the test too long.
    serving
        .rewrite(
            "WITH RECURSIVE n (i) AS (VALUES (100) UNION ALL SELECT i + 1 FROM n WHERE i < 10098) \
             INSERT INTO captures (camera, agent_id, trigger, trigger_timestamp, occurrence, received_at, ended) \
             SELECT camera, format('%016x', i), trigger, trigger_timestamp, 0, received_at, 1 FROM captures, n",
        )
        .await;
    serving.go_on();
    let mut session = camera.session().await;
    session.say(&end(1, &[(0, &zero)], &[])).await;
    session.heard().await;
    session.say(&end(2, &[(0, &zero)], &[])).await;
    assert_eq!(session.closed().await, 1013);
    assert!(serving.captures().is_empty());

    let mut session = camera.session().await;
    camera.upload(&metadata(2, 0, &zero), &zero).await;
    session.say(&end(2, &[(0, &zero)], &[])).await;
    assert_eq!(session.next().await, receipt(2, 1));
}

#[tokio::test]
async fn an_end_lists_ten_thousand_segments() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let segment = |seg_no| ListedSegment { seg_no, bytes: 10_000_000, sha256: Sha256([0xab; 32]) };
    let lost = |seg_no| LostSegment { seg_no, reason: "evicted".into() };
    let ended = |segments: Vec<ListedSegment>, lost: Vec<LostSegment>| {
        ToCloud::CaptureEnd(CaptureEnd {
            trigger_timestamp: 35,
            trigger: Trigger::Pir,
            capture: Some(Id(7)),
            segments: Some(segments),
            lost,
        })
    };
    let listed = ended((0..10_000).map(segment).collect(), Vec::new());
    assert!(listed.to_text().len() > 1 << 20);
    let mut session = camera.session().await;
    session.say(&listed).await;
    session.nothing_else().await;
    session.say(&ended(Vec::new(), (0..10_000).map(lost).collect())).await;
    assert_eq!(session.next().await, receipt(7, 0));
}

#[tokio::test]
async fn a_session_that_ends_as_sessions_do_is_no_warning() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    camera.session().await.close().await;
    let line = serving.logged("porch: session ended");
    assert!(line.contains(" INFO ") && line.ends_with("the camera closed it"), "{line}");
    // Its board lost its power: nothing is said, neither by the WebSocket nor by TLS.
    camera.session().await.drop_connection();
    let line = serving.logged("session ended");
    assert!(line.contains(" INFO ") && line.ends_with("the camera went without a word"), "{line}");
    let mut session = camera.session().await;
    let ended = tokio::task::spawn_blocking(move || {
        assert!(serving.terminate().success());
        serving.logged("session ended")
    });
    assert_eq!(session.next().await.retry_after, Some(2));
    let goodbye = session.goodbye().await;
    assert_eq!((u16::from(goodbye.code), goodbye.reason.as_str()), (1001, "the server was stopped"));
    let line = ended.await.unwrap();
    assert!(line.contains(" INFO ") && line.ends_with("the server was stopped"), "{line}");
}

#[tokio::test]
async fn one_camera_never_has_all_connections() {
    let serving = Serving::start();
    let (camera, other) = (serving.add("porch"), serving.add("garden"));
    let mut held = Vec::new();
    for _ in 0..64 {
        let mut connection = camera.connect().await;
        connection.write_all(b"OPTIONS /uploads/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 204");
        held.push(connection);
    }
    assert!(camera.try_request().await.is_err());
    other.session().await.nothing_else().await;
    // Once the server has seen one of them end, there is room again.
    let mut ended = held.pop().unwrap();
    ended.shutdown().await.unwrap();
    ended.read_to_end(&mut Vec::new()).await.unwrap_or_default();
    let has_room = async { while camera.try_request().await.is_err() {} };
    timeout(Duration::from_secs(60), has_room).await.expect("there is room again");
}

#[tokio::test]
async fn what_is_no_message_is_ignored() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let mut session = camera.session().await;
    for text in
        ["not json", "[1,2]", "{}", r#"{"type":"unheard"}"#, r#"{"type":"alarm","trigger_timestamp":"x"}"#]
    {
        session.text(text).await;
    }
    session.bytes(b"bytes of no segment").await;
    session.nothing_else().await;
}
