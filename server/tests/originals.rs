//! Sessions of original clients.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use cloudtalker::wire::cloud::{State, ToAgent, ToCloud};
use common::{Serving, Session, seeded, sha256};
use std::sync::atomic::{AtomicU64, Ordering};

/// An original client: a state without a version, and its session.
async fn original(camera: &common::Camera) -> Session {
    let mut session = camera.upgrade().await.unwrap();
    session.say(&ToCloud::State(State { heartbeat_period: 10, ..State::default() })).await;
    session
}

#[tokio::test]
async fn an_original_is_told_only_what_it_knows() {
    let serving = Serving::start();
    let camera = serving.add("original");
    serving.ok(&["camera", "command", "original", "arm"]);
    let mut session = original(&camera).await;
    assert_eq!(
        session.next().await,
        ToAgent { pir_armed: Some(true), ..ToAgent::default() },
        "no hello, no receipts"
    );
    session.say(&ToCloud::State(State { heartbeat_period: 10, pir_armed: true, ..State::default() })).await;
    session.heard().await;
    for expected in [true, false] {
        let command = serving.command_beside(&["camera", "command", "original", "capture"]).await;
        let asked = session.next().await;
        assert_eq!(asked, ToAgent { capture_asap: Some(expected), ..ToAgent::default() });
        assert!(command.await.unwrap().status.success());
    }
}

#[tokio::test]
async fn an_originals_reused_timestamp_is_another_capture() {
    let mut serving = Serving::start();
    let camera = serving.add("original");
    for seed in [1, 2, 2] {
        let mut session = original(&camera).await;
        session.text(r#"{"type":"capture_start","trigger_timestamp":35,"trigger":"pir"}"#).await;
        session.text(r#"{"type":"capture_segment","trigger_timestamp":35,"trigger":"pir","seg_no":0}"#).await;
        session.bytes(&seeded(seed, 1300)).await;
        session.text(r#"{"type":"capture_end","trigger_timestamp":35,"trigger":"pir"}"#).await;
        session.close().await;
    }
    let digests: Vec<_> =
        serving.captures().iter().map(|capture| capture["segments"][0]["sha256"].clone()).collect();
    let expected = [2, 1].map(|seed| serde_json::Value::from(sha256(&seeded(seed, 1300)).to_string()));
    assert_eq!(digests, expected, "newest first; the repeat is none");
    serving.kill();
    // It fails where it changes nothing: where uploads that gave way are still to be removed.
    serving.rewrite("UPDATE cameras SET name = name WHERE NOT EXISTS (SELECT 1 FROM unwanted_uploads)").await;
}

#[tokio::test]
async fn an_originals_quota_holds_byte_by_byte() {
    let serving = Serving::with(&["--camera-quota", "4K"]);
    let camera = serving.add("original");
    let mut session = original(&camera).await;
    session.text(r#"{"type":"capture_segment","trigger_timestamp":35,"trigger":"pir","seg_no":0}"#).await;
    for _ in 0..4 {
        session.bytes(&[7; 1300]).await;
    }
    session.text(r#"{"type":"capture_end","trigger_timestamp":35,"trigger":"pir"}"#).await;
    session.close().await;
    let capture = &serving.captures()[0];
    assert_eq!((&capture["state"], capture["segments"].as_array().unwrap().len()), (&"broken".into(), 0));
    assert!(capture["error"].as_str().unwrap().contains("quota"), "{capture}");
}

#[tokio::test]
async fn an_originals_capture_ends_with_a_server_that_was_killed() {
    let mut serving = Serving::start();
    let camera = serving.add("original");
    let mut session = original(&camera).await;
    session.text(r#"{"type":"capture_start","trigger_timestamp":35,"trigger":"pir"}"#).await;
    for seg_no in 0..2 {
        session
            .text(&format!(
                r#"{{"type":"capture_segment","trigger_timestamp":35,"trigger":"pir","seg_no":{seg_no}}}"#
            ))
            .await;
        session.bytes(&seeded(seg_no, 1300)).await;
    }
    session.text(r#"{"type":"capture_segment","trigger_timestamp":35,"trigger":"pir","seg_no":2}"#).await;
    session.bytes(&seeded(2, 1300)).await;
    session.heard().await;
    serving.kill();
    serving.go_on();
    let capture = &serving.captures()[0];
    assert_eq!((&capture["state"], capture["segments"].as_array().unwrap().len()), (&"broken".into(), 2));
    assert_eq!(capture["error"], "segment 2 is lost: its connection was lost");
}

/// The recorded sessions of the original, frame by frame: what it said, in its order, sizes and cuts.
mod replayed {
    use super::*;
    use std::collections::BTreeMap;

    const RECORDED: &str = include_str!("../../tests/fixtures/original-agent-session.txt");

    /// What the original did, as the recorder saw it.
    #[derive(Debug)]
    enum Act {
        Open,
        Text(String),
        Binary(usize),
        /// The connection was lost, or its end was not recorded.
        Lost,
    }

    fn scenarios() -> Vec<(&'static str, Vec<Act>)> {
        let sections = RECORDED.split("=== SCENARIO ").skip(1);
        sections.map(|section| (section.lines().next().unwrap_or_default(), acts(section))).collect()
    }

    fn acts(section: &str) -> Vec<Act> {
        let mut acts = Vec::new();
        for line in section.lines().skip(1) {
            let Some((_, said)) = line.trim_start().split_once(' ') else { continue };
            let said = said.split_once(' ').map_or("", |(_, rest)| rest);
            if said.starts_with("-- open") {
                acts.push(Act::Open);
            } else if said.starts_with("-- closed") {
                acts.push(Act::Lost);
            } else if let Some(text) = said.strip_prefix("<< text ") {
                acts.push(Act::Text(text.to_owned()));
            } else if let Some(binary) = said.strip_prefix("<< binary ") {
                let bytes = binary.split(", ").nth(1).and_then(|bytes| bytes.strip_suffix(" bytes"));
                acts.push(Act::Binary(bytes.expect("the recorder counts bytes").parse().unwrap()));
            }
        }
        acts.push(Act::Lost);
        acts
    }

    type Key = (String, u64, u32);

    /// Digests of the segments that must be stored, and numbers of those that were cut off.
    #[derive(Debug, Default, PartialEq)]
    struct Library {
        stored: BTreeMap<Key, String>,
        cut: BTreeMap<Key, ()>,
    }

    #[tokio::test]
    async fn every_recorded_session_is_kept_as_it_was_sent() {
        let serving = Serving::start();
        let mut replayed = 0;
        for (number, (title, acts)) in scenarios().into_iter().enumerate() {
            let name = format!("original-{number}");
            let camera = serving.add(&name);
            let expected = replay(&camera, &acts).await;
            replayed += expected.stored.len();
            assert_eq!(library(&serving, &name), expected, "{title}");
        }
        assert_eq!(replayed, 10, "the recording holds as many whole segments");
    }

    async fn replay(camera: &common::Camera, acts: &[Act]) -> Library {
        static SEED: AtomicU64 = AtomicU64::new(1);
        let mut library = Library::default();
        let mut session: Option<Session> = None;
        let mut segment: Option<(Key, Vec<u8>)> = None;
        for act in acts {
            match act {
                Act::Open => session = Some(camera.upgrade().await.unwrap()),
                Act::Text(text) => {
                    let said = serde_json::from_str(text).unwrap();
                    // A state may come in between; anything else ends the segment.
                    let ended = if matches!(said, ToCloud::State(_)) { None } else { segment.take() };
                    if let Some((key, bytes)) = ended {
                        library.stored.insert(key, sha256(&bytes).to_string());
                    }
                    if let ToCloud::CaptureSegment(info) = &said {
                        let key = (info.trigger.to_string(), info.trigger_timestamp, info.seg_no);
                        segment = Some((key, Vec::new()));
                    }
                    session.as_mut().expect("it is open").text(text).await;
                }
                Act::Binary(length) => {
                    let bytes = seeded(SEED.fetch_add(1, Ordering::Relaxed), *length);
                    for frame in bytes.chunks(1300) {
                        session.as_mut().expect("it is open").bytes(frame).await;
                    }
                    segment.as_mut().expect("bytes belong to a segment").1.extend(bytes);
                }
                Act::Lost => {
                    // The cut is in the stream, not in what was sent before: a close is heard after all of it.
                    if let Some(session) = session.take() {
                        session.close().await;
                    }
                    if let Some((key, _)) = segment.take() {
                        library.cut.insert(key, ());
                    }
                }
            }
        }
        library
    }

    fn library(serving: &Serving, camera: &str) -> Library {
        let mut library = Library::default();
        for capture in serving.captures().iter().filter(|capture| capture["camera"] == camera) {
            let key = |seg_no: u64| {
                let trigger = capture["trigger"].as_str().unwrap().to_owned();
                (trigger, capture["trigger_timestamp"].as_u64().unwrap(), u32::try_from(seg_no).unwrap())
            };
            for segment in capture["segments"].as_array().unwrap() {
                let digest = segment["sha256"].as_str().unwrap().to_owned();
                library.stored.insert(key(segment["seg_no"].as_u64().unwrap()), digest);
            }
            for part in capture["error"].as_str().unwrap_or_default().split("; ") {
                let lost = part.strip_suffix(" is lost: its connection was lost");
                if let Some(number) = lost.and_then(|part| part.strip_prefix("segment ")) {
                    library.cut.insert(key(number.parse().unwrap()), ());
                }
            }
        }
        library
    }
}
