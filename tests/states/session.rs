//! The session with the cloud.

use super::{Act, Table, assert_as_before};
use crate::scene::{Scene, settings};
use cloudtalker::engine::{Input, Refusal, sight::Phase};

const TITLE: &str = "
# The session with the cloud

Each state is reached anew for each input. Where the first column is empty the state stays; where both are, nothing
happens. A deadline is the next one that the state has.
";
const RECEIPTS: &str = r#"{"receipts":true}"#;
const NO_RECEIPTS: &str = "{}";

#[test]
fn the_session_is_as_it_was_looked_at() {
    let pinged = |scene: &mut Scene| {
        scene.wakes();
        assert!(scene.told().ends_with("ping"), "{}", scene.told());
    };
    let states: Vec<Act> = vec![
        ("the start", Box::new(|_| ())),
        ("no connection", Box::new(Scene::loses_the_session)),
        (
            "no connection, as it was refused",
            Box::new(|scene| scene.tell(Input::SessionRefused(Refusal::Distrust, "a stranger".into()))),
        ),
        (
            "connecting again, after it was refused twice",
            Box::new(|scene| {
                for _ in 0..2 {
                    scene.tell(Input::SessionRefused(Refusal::Distrust, "a stranger".into()));
                    scene.wakes();
                }
            }),
        ),
        ("no word yet", Box::new(|scene| scene.tell(Input::SessionUp(None)))),
        (
            "no word yet, a ping is out",
            Box::new(move |scene| {
                scene.tell(Input::SessionUp(None));
                pinged(scene);
            }),
        ),
        (
            "no word yet, but a sign of life",
            Box::new(move |scene| {
                scene.tell(Input::SessionUp(None));
                pinged(scene);
                scene.hears_a_pong();
            }),
        ),
        (
            "no word for a minute, a ping is out",
            Box::new(move |scene| {
                scene.tell(Input::SessionUp(None));
                pinged(scene);
                scene.wakes();
            }),
        ),
        ("a cloud with receipts", Box::new(|scene| scene.is_connected(RECEIPTS))),
        (
            "a cloud with receipts, a ping is out",
            Box::new(move |scene| {
                scene.is_connected(RECEIPTS);
                pinged(scene);
            }),
        ),
        (
            "a cloud with receipts, a heartbeat is next",
            Box::new(move |scene| {
                scene.is_connected(RECEIPTS);
                pinged(scene);
                scene.hears_a_pong();
            }),
        ),
        (
            "a cloud with receipts that has asked for 30 s of rest",
            Box::new(|scene| {
                scene.is_connected(RECEIPTS);
                scene.hears(r#"{"retry_after":30}"#);
            }),
        ),
        ("a cloud without receipts", Box::new(|scene| scene.is_connected(NO_RECEIPTS))),
        (
            "a cloud that once had receipts, and no word yet",
            Box::new(|scene| {
                scene.is_connected(RECEIPTS);
                scene.loses_the_session();
                scene.wakes();
                scene.tell(Input::SessionUp(None));
            }),
        ),
        (
            "asked to stop, the goodbye is not answered yet",
            Box::new(|scene| {
                scene.is_connected(RECEIPTS);
                scene.tell(Input::Stop);
            }),
        ),
        (
            "asked to stop, without a connection",
            Box::new(|scene| {
                scene.loses_the_session();
                scene.tell(Input::Stop);
            }),
        ),
    ];
    let inputs: Vec<Act> = vec![
        ("the cloud takes the connection", Box::new(|scene| scene.tell(Input::SessionUp(None)))),
        ("… and tells its time", Box::new(|scene| scene.tell(Input::SessionUp(Some(1_795_000_000))))),
        ("the connection ends", Box::new(Scene::loses_the_session)),
        (
            "the connection is refused",
            Box::new(|scene| scene.tell(Input::SessionRefused(Refusal::Distrust, "a stranger".into()))),
        ),
        (r#"{"receipts":true}"#, Box::new(|scene| scene.hears(RECEIPTS))),
        ("{}", Box::new(|scene| scene.hears(NO_RECEIPTS))),
        (r#"{"pir_armed":true}"#, Box::new(|scene| scene.hears(r#"{"pir_armed":true}"#))),
        (
            r#"{"capture_asap":true,"request":"a"}"#,
            Box::new(|scene| scene.hears(r#"{"capture_asap":true,"request":"a"}"#)),
        ),
        (
            "a receipt for an unknown capture",
            Box::new(|scene| scene.hears(r#"{"receipt":{"capture":"0000000000000007","segments":1}}"#)),
        ),
        (r#"{"retry_after":30}"#, Box::new(|scene| scene.hears(r#"{"retry_after":30}"#))),
        ("a text that is no JSON", Box::new(|scene| scene.hears("hello"))),
        ("any other frame", Box::new(Scene::hears_a_pong)),
        ("the next deadline", Box::new(Scene::wakes)),
        ("asked to reload", Box::new(|scene| scene.tell(Input::Reload(settings())))),
        ("asked to stop", Box::new(|scene| scene.tell(Input::Stop))),
    ];
    assert_as_before("session.txt", &Table { title: TITLE, states, inputs, state });
}

/// As the engine has it, and when it wakes next.
fn state(scene: &Scene) -> String {
    let sight = scene.engine.sight();
    let phase = match sight.phase {
        Phase::Down => "Down".to_owned(),
        Phase::Connecting => "Connecting".to_owned(),
        Phase::Silent { is_alive, is_overdue } => format!("Silent: alive: {is_alive}, overdue: {is_overdue}"),
        Phase::Ready { receipts, .. } => format!("Ready: receipts: {receipts}"),
    };
    let stopping = if sight.is_stopping { ", stopping" } else { "" };
    let due =
        scene.wakes_in().map_or("nothing due".to_owned(), |due| format!("due in {:.0} s", due.as_secs_f32()));
    format!("{phase}{stopping}, {due}")
}
