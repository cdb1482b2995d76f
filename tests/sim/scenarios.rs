//! Single decisions of the engine: a state reached as it would be in life, one act, one assertion.

use crate::{
    acts::SOURCE,
    disk::{CAMERA, SimFiles},
    scene::{LATEST, Scene, UPLOADS, sha256},
};
use cloudtalker::{
    engine::{
        Frame, Input, Output, Refusal, Remembered, SourceId, SourceKind,
        spool::{CaptureName, Done, Found, Place, Spool, Task, UploadHint},
        uploads::Answer,
    },
    wire::{
        Id, Trigger,
        cloud::{Receipt, ToAgent, ToCloud},
        command::Command,
        input::{Message, Request as Said},
        segment_name::Container,
    },
};
use std::{io, time::Duration};

fn arm(armed: bool) -> ToAgent {
    ToAgent { pir_armed: Some(armed), ..ToAgent::default() }
}

fn wish(id: &str) -> ToAgent {
    ToAgent { capture_asap: Some(true), request: Some(id.into()), ..ToAgent::default() }
}

#[test]
fn commands_and_pings_go_out_while_the_disk_and_an_upload_hang() {
    let mut scene = Scene::connected();
    scene.keep("pir.5.0.mp4");
    let message = Message::Segment { path: "pir.5.1.mp4".into(), naming: None };
    scene.tell(Input::SourceSaid(SOURCE, Ok(Said { message, ack: true, unknown: Vec::new() })));
    scene.outputs.clear();
    // Neither the staging nor the upload is ever answered.
    scene.hear(&arm(true));
    assert!(matches!(scene.outputs[0], Output::Command(Command::Arm)), "{:?}", scene.outputs);
    scene.tell(Input::CommandDelivered(Command::Arm));
    scene.pass(Duration::from_secs(55));
    assert!(scene.outputs.iter().any(|output| matches!(output, Output::Ping)));
}

#[test]
fn being_armed_is_told_again_at_each_heartbeat() {
    let mut scene = Scene::connected();
    scene.hear(&arm(true));
    scene.tell(Input::CommandDelivered(Command::Arm));
    scene.outputs.clear();
    scene.pass(Duration::from_secs(300));
    assert_eq!(scene.commands(), [Command::Arm; 3]);
}

#[test]
fn a_wish_is_acted_on_once_whatever_the_cloud_repeats() {
    let mut scene = Scene::connected();
    for id in ["a", "a", "b", "a"] {
        scene.hear(&wish(id));
    }
    assert_eq!(scene.commands(), [Command::Capture; 2]);
}

#[test]
fn a_wish_lapses_after_a_minute_also_where_each_try_comes_back_later() {
    let mut scene = Scene::connected();
    scene.hear(&wish("a"));
    for _ in 0..90 {
        scene.tell(Input::CommandDelivered(Command::Capture));
        if scene.commands().is_empty() {
            break;
        }
        scene.tell(Input::CommandUndelivered(Command::Capture, "refused".into()));
        scene.outputs.clear();
        scene.pass(Duration::from_secs(1));
    }
    assert!(scene.now >= Duration::from_secs(60) && scene.now <= Duration::from_secs(62), "{:?}", scene.now);
}

#[test]
fn a_time_that_cannot_be_is_told_and_raises_no_floor() {
    let mut scene = Scene::remembering(Remembered { good_time: Some(u64::MAX / 2), ..Remembered::default() });
    assert_eq!((scene.floors(), scene.warnings()), (vec![], 1));
    scene.tell(Input::SessionUp(Some(LATEST + 1)));
    assert_eq!((scene.floors(), scene.warnings()), (vec![], 2));
    scene.tell(Input::SessionDown("gone".into()));
    // What is true is learned all the same, and kept.
    scene.tell(Input::SessionUp(Some(LATEST - 1)));
    assert_eq!((scene.floors(), scene.warnings()), (vec![LATEST - 1], 2));
    let kept = |output: &Output| match output {
        Output::Disk(Task::Remember(remembered)) => remembered.good_time == Some(LATEST - 1),
        _ => false,
    };
    scene.settle_chores();
    assert!(scene.outputs.iter().any(kept), "{:?}", scene.outputs);
}

#[test]
fn a_refusal_that_lasts_is_a_warning_once_an_hour_and_counted_in_between() {
    for (refusal, no_wonder) in [(Refusal::Distrust, 1), (Refusal::Clock, 1), (Refusal::Name, 7)] {
        let mut scene = Scene::new();
        let mut warned = Vec::new();
        let (begun, hour) = (scene.now, Duration::from_secs(3600));
        for times in 1.. {
            if scene.now > begun + 3 * hour {
                break;
            }
            scene.outputs.clear();
            scene.tell(Input::SessionRefused(refusal, "so".into()));
            if scene.warnings() == 1 {
                warned.push((times, scene.now));
            }
            assert!(scene.deadline.is_some(), "it is tried again");
            scene.pass(scene.deadline.unwrap() - scene.now);
        }
        assert_eq!(warned[0].0, no_wonder + 1, "{refusal:?}");
        assert_eq!(warned.len(), 3, "{refusal:?}: {warned:?}");
        assert!(warned.windows(2).all(|two| two[1].1 >= two[0].1 + hour), "{warned:?}");
    }
}

#[test]
fn a_server_that_asks_for_patience_has_it_whatever_else_comes() {
    let mut scene = Scene::connected();
    scene.keep("pir.5.0.mp4");
    scene.answer(503, None, Some(300));
    scene.outputs.clear();
    scene.keep("pir.6.0.mp4");
    scene.pass(Duration::from_secs(200));
    assert!(scene.requests().is_empty(), "{:?}", scene.requests());
    scene.pass(Duration::from_secs(101));
    assert_eq!(scene.requests().len(), 1);
}

#[test]
fn a_receipt_for_a_shorter_list_forgets_nothing() {
    let mut scene = Scene::connected();
    scene.keep("pir.5.0.mp4");
    scene.answer(201, Some(10), None);
    scene.tell(Input::SourceEnded(SOURCE, None));
    let (capture, segments) = scene.capture_end().unwrap();
    scene.keep("pir.5.1.mp4");
    scene.answer(201, Some(10), None);
    scene.tell(Input::SourceEnded(SOURCE, None));
    let receipt = |segments| Some(Receipt::Capture { capture, segments: Some(segments) });
    scene.hear(&ToAgent { receipt: receipt(segments), ..ToAgent::default() });
    assert_eq!((segments, scene.forgets()), (1, 0));
    let (_, segments) = scene.capture_end().unwrap();
    scene.hear(&ToAgent { receipt: receipt(segments), ..ToAgent::default() });
    scene.settle_chores();
    assert_eq!((segments, scene.forgets()), (2, 1));
}

#[test]
fn silence_on_a_dead_link_is_no_sign_of_a_cloud_without_receipts() {
    let mut scene = Scene::new();
    scene.tell(Input::SessionUp(None));
    scene.keep("pir.5.0.mp4");
    scene.pass_unanswered(Duration::from_secs(74));
    assert!(scene.requests().is_empty());
    scene.tell(Input::SessionHeard(Frame::Other));
    assert_eq!(scene.requests().len(), 1);
}

#[test]
fn receipts_that_come_too_early_are_answered_by_one_end_once_all_is_there() {
    let mut scene = Scene::connected();
    scene.keep("pir.5.0.mp4");
    scene.answer(201, Some(10), None);
    scene.tell(Input::SourceEnded(SOURCE, None));
    let (capture, _) = scene.capture_end().unwrap();
    // Another segment is on its way into the spool.
    let kept = scene.stage("pir.5.1.mp4", 10);
    scene.outputs.clear();
    for _ in 0..3 {
        let receipt = Some(Receipt::Capture { capture, segments: Some(1) });
        scene.hear(&ToAgent { receipt, ..ToAgent::default() });
    }
    assert_eq!(scene.capture_end(), None);
    scene.tell(Input::DiskDone(Done::Kept(Ok(kept))));
    scene.answer(201, Some(10), None);
    scene.tell(Input::SourceEnded(SOURCE, None));
    let is_end = |output: &&Output| matches!(output, Output::Send(ToCloud::CaptureEnd(_)));
    assert_eq!(scene.outputs.iter().filter(is_end).count(), 1);
    assert_eq!(scene.capture_end(), Some((capture, 2)));
}

#[test]
fn a_long_upload_is_noted_before_any_of_it_has_gone_out_and_a_short_one_is_not() {
    for (bytes, is_noted) in [(10, false), (100 * 1024 * 1024, true)] {
        let mut scene = Scene::connected();
        scene.settle_chores();
        let kept = scene.stage("pir.5.0.mp4", bytes);
        scene.tell(Input::DiskDone(Done::Kept(Ok(kept))));
        scene.answer(201, Some(0), None);
        let notes = scene.outputs.iter().any(|output| matches!(output, Output::Disk(Task::NoteUrl { .. })));
        assert_eq!(notes, is_noted, "{bytes} bytes");
    }
}

#[test]
fn a_capture_that_a_failed_attempt_may_have_added_to_is_not_marked_as_closed() {
    for (has_failed, is_marked) in [(false, true), (true, false)] {
        let mut scene = Scene::connected();
        scene.keep("pir.5.0.mp4");
        if has_failed {
            scene.stage("pir.5.1.mp4", 10);
            scene.tell(Input::DiskDone(Done::Kept(Err(io::Error::other("neither kept nor removed")))));
        }
        scene.tell(Input::SourceEnded(SOURCE, None));
        scene.settle_chores();
        assert_eq!(scene.marks_an_end(), is_marked);
    }
}

#[test]
fn a_capture_that_another_source_is_adding_to_is_not_marked_as_closed() {
    const OTHER: SourceId = SourceId(2);
    for is_kept in [true, false] {
        let mut scene = Scene::connected();
        scene.keep("pir.5.0.mp4");
        let kept = scene.stage_by(OTHER, "pir.5.1.mp4", 10);
        scene.tell(Input::SourceEnded(SOURCE, None));
        assert!(!scene.marks_an_end());
        let failed = || io::Error::other("neither kept nor removed");
        scene.tell(Input::DiskDone(Done::Kept(if is_kept { Ok(kept) } else { Err(failed()) })));
        scene.settle_chores();
        assert!(!scene.marks_an_end());
        scene.tell(Input::SourceEnded(OTHER, None));
        scene.settle_chores();
        assert_eq!(scene.marks_an_end(), is_kept);
    }
}

#[test]
fn a_hint_to_an_upload_of_former_contents_is_none() {
    let files = SimFiles::new(1);
    files.camera_writes("pir.5.0.mp4", b"contents".to_vec());
    let mut spool = Spool::new(files);
    spool.start(1);
    let capture = CaptureName { timestamp: 5, trigger: Trigger::Pir, ordinal: 1 };
    let place = Place { capture, seg_no: 0, container: Container::Mp4 };
    spool.perform(Task::Stage { path: format!("{CAMERA}/pir.5.0.mp4") });
    spool.perform(Task::Keep { place, new_capture: Some(Id(1)), copy: false });
    for (contents, is_hint) in [("contents", true), ("former contents", false)] {
        let (made_at, url) = (UPLOADS.to_owned(), format!("{UPLOADS}1"));
        let hint = UploadHint { made_at, url, sha256: sha256(contents.as_bytes()) };
        spool.perform(Task::NoteUrl { place, hint: Some(hint) });
        let found = &spool.start(1).captures[0].segments[0].found;
        assert_eq!(matches!(found, Found::Owed(Some(_))), is_hint, "{found:?}");
    }
}

#[test]
fn bytes_of_segments_are_counted_as_often_as_they_go_out() {
    let mut scene = Scene::connected();
    scene.keep("pir.5.0.mp4");
    scene.answer(201, None, None);
    scene.tell(Input::UploadProgress(4));
    scene.tell(Input::UploadAnswered(Answer::Broken("the link broke".into())));
    scene.pass(Duration::from_secs(10));
    scene.answer(200, Some(3), None);
    scene.tell(Input::UploadProgress(7));
    scene.answer(204, Some(10), None);
    scene.tell(Input::SourceOpened(SourceId(2), SourceKind::Stream));
    let request = Said { message: Message::Status, ack: false, unknown: Vec::new() };
    scene.tell(Input::SourceSaid(SourceId(2), Ok(request)));
    let is_told =
        |output: &Output| matches!(output, Output::Reply(_, line) if line.contains(r#","sent":11,"#));
    assert!(scene.outputs.iter().any(is_told), "four, and seven after the link broke: {:?}", scene.outputs);
}
