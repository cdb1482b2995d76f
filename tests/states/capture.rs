//! A capture, from its first segment until it is forgotten.

use super::{Act, Table, assert_as_before};
use crate::{
    acts::{BYTES, FIRST, SECOND},
    scene::Scene,
};
use cloudtalker::engine::{
    Input,
    sight::{CaptureSight, Standing},
};
use std::{io::ErrorKind, time::Duration};

const TITLE: &str = "
# A capture

Each state is reached anew for each input, with a cloud that gives receipts unless it says otherwise. Where the first
column is empty the state stays; where both are, nothing happens. `owed`, `sent` and `lost` count segments; `end said`
is the session in which the cloud heard the end, and the version of its list.
";
const RECEIPTS: &str = r#"{"receipts":true}"#;

#[test]
fn a_capture_is_as_it_was_looked_at() {
    assert_as_before("capture.txt", &Table { title: TITLE, states: states(), inputs: inputs(), state });
}

fn states() -> Vec<Act<'static>> {
    fn open(scene: &mut Scene) {
        scene.is_connected(RECEIPTS);
        scene.takes(FIRST);
    }
    fn sent(scene: &mut Scene) {
        scene.answered(201, Some(BYTES));
        scene.disk_works();
    }
    fn settled(scene: &mut Scene) {
        open(scene);
        sent(scene);
        scene.source_ends();
        scene.disk_works();
    }
    fn forgotten(scene: &mut Scene) {
        settled(scene);
        scene.has_receipt(Some(1));
    }
    vec![
        ("none", Box::new(|scene| scene.is_connected(RECEIPTS))),
        ("open, owed", Box::new(open)),
        (
            "open, all sent",
            Box::new(|scene| {
                open(scene);
                sent(scene);
            }),
        ),
        (
            "ended, owed",
            Box::new(|scene| {
                open(scene);
                scene.source_ends();
                scene.disk_works();
            }),
        ),
        ("ended, all sent, end said", Box::new(settled)),
        (
            "ended, all sent, and the end is unanswered for 120 s",
            Box::new(|scene| {
                settled(scene);
                scene.pass(Duration::from_secs(121));
            }),
        ),
        (
            "ended, all sent, session lost",
            Box::new(|scene| {
                settled(scene);
                scene.loses_the_session();
            }),
        ),
        (
            "ended, all sent, end said in a former session",
            Box::new(|scene| {
                settled(scene);
                scene.loses_the_session();
                scene.wakes();
                scene.tell(Input::SessionUp(None));
            }),
        ),
        (
            "ended, and a segment is on its way into it",
            Box::new(|scene| {
                settled(scene);
                scene.is_given(SECOND);
                scene.disk_does_one();
            }),
        ),
        (
            "ended and reopened, the new segment is owed",
            Box::new(|scene| {
                settled(scene);
                scene.takes(SECOND);
            }),
        ),
        (
            "ended, its segment was refused",
            Box::new(|scene| {
                open(scene);
                scene.answered(409, None);
                scene.source_ends();
                scene.disk_works();
            }),
        ),
        ("being forgotten", Box::new(forgotten)),
        (
            "being forgotten, and the disk has failed at it",
            Box::new(|scene| {
                forgotten(scene);
                scene.disk_fails(ErrorKind::StorageFull);
            }),
        ),
        (
            "ended, all sent, no receipts are given",
            Box::new(|scene| {
                scene.takes(FIRST);
                scene.source_ends();
                scene.disk_works();
                scene.is_connected("{}");
            }),
        ),
    ]
}

fn inputs() -> Vec<Act<'static>> {
    fn given(name: &'static str, path: &'static str) -> Act<'static> {
        let act = move |scene: &mut Scene| {
            scene.takes(path);
        };
        (name, Box::new(act))
    }
    vec![
        given("its first segment, again", FIRST),
        given("another segment", SECOND),
        given("other contents under the first's name", "elsewhere/pir.35.0.mp4"),
        ("its sources end", Box::new(Scene::source_ends)),
        ("201, it is there", Box::new(|scene| scene.answered(201, Some(BYTES)))),
        ("409, it is refused", Box::new(|scene| scene.answered(409, None))),
        ("a receipt for 1 segment", Box::new(|scene| scene.has_receipt(Some(1)))),
        ("a receipt for 2 segments", Box::new(|scene| scene.has_receipt(Some(2)))),
        ("a receipt without a number", Box::new(|scene| scene.has_receipt(None))),
        ("the disk does what is next", Box::new(Scene::disk_does_one)),
        ("the disk fails at it", Box::new(|scene| scene.disk_fails(ErrorKind::StorageFull))),
        ("the session ends", Box::new(Scene::loses_the_session)),
        ("a new session, with receipts", Box::new(|scene| scene.is_connected(RECEIPTS))),
        ("the next deadline", Box::new(Scene::wakes)),
        ("asked to stop", Box::new(|scene| scene.tell(Input::Stop))),
    ]
}

/// Every capture that the engine has.
fn state(scene: &Scene) -> String {
    let captures: Vec<String> = scene.engine.sight().captures.iter().map(capture).collect();
    if captures.is_empty() { "none".to_owned() } else { captures.join(" + ") }
}

fn capture(capture: &CaptureSight) -> String {
    let phase = match capture.sources {
        _ if capture.is_forgotten => "forgotten",
        0 => "ended",
        _ => "open",
    };
    let (mut owed, mut sent, mut lost) = (0, 0, 0);
    for segment in &capture.segments {
        *match segment.standing {
            Standing::Owed => &mut owed,
            Standing::Sent => &mut sent,
            Standing::Lost(_) => &mut lost,
        } += 1;
    }
    let mut state = phase.to_owned();
    for (count, word) in [(owed, "owed"), (sent, "sent"), (lost, "lost")] {
        if count > 0 {
            state += &format!(", {count} {word}");
        }
    }
    if let Some((epoch, version)) = capture.end_said {
        state += &format!(", end said {epoch}.{version}");
    }
    state
}
