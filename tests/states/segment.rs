//! A segment on its way to the cloud.

use super::{Act, Table, assert_as_before};
use crate::{
    acts::{BYTES, FIRST},
    scene::Scene,
};
use cloudtalker::engine::{Input, sight::SegmentSight, uploads::Answer};
use std::io::ErrorKind;

const TITLE: &str = "
# A segment of 10 bytes, on its way to the cloud

Each state is reached anew for each input. Where the first column is empty the state stays; where both are, nothing
happens: an answer that nobody waits for counts for nothing.
";

#[test]
fn a_segment_is_as_it_was_looked_at() {
    let created = |scene: &mut Scene| {
        scene.is_connected(r#"{"receipts":true}"#);
        scene.takes(FIRST);
        assert!(scene.request().is_some(), "{}", scene.told());
    };
    let sending = move |scene: &mut Scene| {
        created(scene);
        scene.answered(201, Some(4));
        scene.disk_works();
    };
    let asking = move |scene: &mut Scene| {
        sending(scene);
        scene.tell(Input::UploadAnswered(Answer::Broken("reset".into())));
        scene.wakes();
    };
    let states: Vec<Act> = vec![
        (
            "owed, no session",
            Box::new(|scene| {
                scene.takes(FIRST);
            }),
        ),
        ("POST is out", Box::new(created)),
        ("PATCH from 4 is out, made by this try", Box::new(sending)),
        ("HEAD is out, for an upload of a former try", Box::new(asking)),
        (
            "PATCH from 4 is out, of a former try",
            Box::new(move |scene| {
                asking(scene);
                scene.answered(200, Some(4));
            }),
        ),
        (
            "HEAD is out, as the offset was wrong",
            Box::new(move |scene| {
                sending(scene);
                scene.answered(409, None);
            }),
        ),
        (
            "PATCH is out after a wrong offset",
            Box::new(move |scene| {
                sending(scene);
                scene.answered(409, None);
                scene.answered(200, Some(4));
            }),
        ),
        (
            "the disk looks at the file again",
            Box::new(move |scene| {
                sending(scene);
                scene.tell(Input::UploadAnswered(Answer::FileChanged));
                while !scene.next_task_is_a_rehash() {
                    scene.disk_does_one();
                }
            }),
        ),
        (
            "put off",
            Box::new(move |scene| {
                created(scene);
                scene.answered(500, None);
            }),
        ),
        (
            "sent",
            Box::new(move |scene| {
                sending(scene);
                scene.answered(204, Some(BYTES));
                scene.disk_works();
            }),
        ),
        (
            "refused",
            Box::new(move |scene| {
                created(scene);
                scene.answered(409, None);
                scene.disk_works();
            }),
        ),
        (
            "missing",
            Box::new(move |scene| {
                sending(scene);
                scene.tell(Input::UploadAnswered(Answer::FileMissing));
                while !scene.next_task_is_a_rehash() {
                    scene.disk_does_one();
                }
                scene.disk_fails(ErrorKind::NotFound);
                scene.disk_works();
            }),
        ),
    ];
    assert_as_before("segment.txt", &Table { title: TITLE, states, inputs: inputs(), state });
}

fn inputs() -> Vec<Act<'static>> {
    fn status(name: &'static str, status: u16, offset: Option<u64>) -> Act<'static> {
        (name, Box::new(move |scene| scene.answered(status, offset)))
    }
    fn answer(name: &'static str, answer: Answer) -> Act<'static> {
        (name, Box::new(move |scene| scene.tell(Input::UploadAnswered(answer.clone()))))
    }
    vec![
        status("201", 201, None),
        status("201, offset 4", 201, Some(4)),
        status("201, offset 10", 201, Some(BYTES)),
        ("201 without Location", Box::new(|scene| scene.answered_with(201, None, None, None))),
        (
            "201, Location elsewhere by HTTP",
            Box::new(|scene| scene.answered_with(201, None, Some("http://else/1"), None)),
        ),
        status("200, offset 4", 200, Some(4)),
        status("200, offset 10", 200, Some(BYTES)),
        status("204, offset 0", 204, Some(0)),
        status("204, offset 7", 204, Some(7)),
        status("204, offset 10", 204, Some(BYTES)),
        status("204, offset 11", 204, Some(BYTES + 1)),
        status("204 without an offset", 204, None),
        status("301", 301, None),
        status("307", 307, None),
        status("400", 400, None),
        status("401", 401, None),
        status("403", 403, None),
        status("404", 404, None),
        status("405", 405, None),
        status("408", 408, None),
        status("409", 409, None),
        status("410", 410, None),
        status("412", 412, None),
        status("413", 413, None),
        status("415", 415, None),
        status("422", 422, None),
        status("423", 423, None),
        status("429", 429, None),
        status("460", 460, None),
        status("500", 500, None),
        status("502", 502, None),
        status("503", 503, None),
        ("503, Retry-After 300", Box::new(|scene| scene.answered_with(503, None, None, Some(300)))),
        status("507", 507, None),
        answer("no answer", Answer::Broken("reset".into())),
        answer("the request was given up", Answer::Abandoned),
        answer("the file has changed", Answer::FileChanged),
        answer("the file is missing", Answer::FileMissing),
        answer("the file can't be read", Answer::FileUnreadable("bad sector".into())),
        ("disk: as it was kept", Box::new(Scene::disk_does_one)),
        ("disk: other contents", Box::new(Scene::disk_finds_a_change)),
        ("disk: no such file", Box::new(|scene| scene.disk_fails(ErrorKind::NotFound))),
        ("disk: it fails", Box::new(|scene| scene.disk_fails(ErrorKind::Other))),
        ("the session ends", Box::new(Scene::loses_the_session)),
        ("the next deadline", Box::new(Scene::wakes)),
        ("asked to stop", Box::new(|scene| scene.tell(Input::Stop))),
    ]
}

/// Where it stands, whether an upload of it is noted, how often it failed in a row.
fn state(scene: &Scene) -> String {
    let captures = scene.engine.sight().captures;
    let Some(SegmentSight { standing, has_upload, failures }) =
        captures.iter().find_map(|capture| capture.segments.first())
    else {
        return "gone".to_owned();
    };
    let upload = if *has_upload { ", upload noted" } else { "" };
    let failures = if *failures > 0 { format!(", failed {failures}x") } else { String::new() };
    format!("{standing:?}{upload}{failures}")
}
