//! From the camera's file to the server's list and back to an empty spool.

use crate::harness::{Board, Camera, Capture, Segment, Server, Source, eventually, file_names};
use serde_json::json;
use std::{fs, process::Command};

const TIME: u64 = 1_529_842_538;

#[test]
fn three_segments_arrive_as_one_capture_and_the_spool_is_empty_again() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 70_000, 1]);
    let mut source = agent.source();
    for (number, segment) in segments.iter().enumerate() {
        let ack = source.hand_over(segment);
        assert_eq!((&ack["trigger_timestamp"], &ack["seg_no"]), (&json!(TIME), &json!(number)));
    }
    drop(source);
    agent.owes_nothing();
    assert_only(&server.captures(), "pir", TIME, &segments);
    assert_eq!(file_names(&board.capture_dir()).len(), 3, "the camera's own files stay");
}

#[test]
fn the_originals_sample_client_is_understood() {
    let server = Server::start();
    let board = Board::new(&server).with_port();
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 4000, 5000]);
    let mut client = Source::at_port(board.port.unwrap());
    let names = segments.iter().map(|segment| json!({"segment": segment.name()}).to_string());
    client.say(names.collect::<String>());
    assert_eq!(client.rest(), "", "nothing is written to who did not ask for it");
    server.captures_when("the capture is there", |captures| !captures.is_empty());
    agent.owes_nothing();
    assert_only(&server.captures(), "pir", TIME, &segments);
}

#[test]
fn the_sample_in_the_readme_works_as_it_stands() {
    let server = Server::start();
    let board = Board::new(&server).with_port();
    let _agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 4000, 5000]);
    let readme = include_str!("../../README.md");
    let sample = readme.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    // But for the places, which are this test's own.
    let sample = sample
        .replace("9000", &board.port.unwrap().to_string())
        .replace("/videos", &board.capture_dir().display().to_string());
    assert!(Command::new("python3").args(["-c", &sample]).status().unwrap().success());
    server.captures_when(
        "the capture is whole",
        |captures| matches!(captures, [capture] if capture.is("pir", TIME, &segments)),
    );
}

#[test]
fn a_client_that_closes_at_once_loses_nothing() {
    let server = Server::start();
    let board = Board::new(&server).with_port();
    let _agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 4000, 5000]);
    let names = segments.iter().map(|segment| json!({"segment": segment.name()}).to_string());
    Source::at_port(board.port.unwrap()).say(names.collect::<String>());
    server.captures_when(
        "the capture is whole",
        |captures| matches!(captures, [capture] if capture.is("pir", TIME, &segments)),
    );
}

#[test]
fn a_segment_of_another_time_begins_another_capture() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let motion = board.record_capture(TIME, &[3000]);
    let request = [board.record(&format!("cap.{}.0.ts", TIME + 1), 4000)];
    let mut source = agent.source();
    source.hand_over(&motion[0]);
    source.hand_over(&request[0]);
    drop(source);
    agent.owes_nothing();
    let captures = server.captures();
    assert!(
        captures.len() == 2
            && captures[0].is("pir", TIME, &motion)
            && captures[1].is("request", TIME + 1, &request),
        "{captures:#?}"
    );
}

#[test]
fn an_uploaded_file_goes_where_the_owner_wants_it() {
    let server = Server::start();
    let board = Board::new(&server).with(&["--delete_uploaded"]);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 4000]);
    let unnamed = board.record_capture(TIME + 1, &[5000]);
    agent.takes(&segments);
    eventually("the files go", || file_names(&board.capture_dir()), |names| names == &[unnamed[0].name()]);
    assert_only(&server.captures(), "pir", TIME, &segments);
}

#[test]
fn an_alarm_reaches_the_server_once_it_is_there() {
    let mut server = Server::stopped();
    let board = Board::new(&server);
    let agent = board.start();
    let ack = agent.source().ask(&json!({"event": "alarm", "gpio": 17, "ack": true}));
    assert!(ack["ok"] == true && ack["alarm"].is_string(), "{ack}");
    server.go_on();
    eventually("the alarm is there", || server.camera("porch"), |porch| porch["last_alarm"].is_u64());
    let owed = || fs::read_to_string(board.state_dir().join("alarms")).unwrap();
    eventually("the alarm is owed no longer", owed, String::is_empty);
}

#[test]
fn a_list_of_files_counts_while_the_camera_is_armed() {
    let server = Server::start();
    let mut board = Board::new(&server).with_camera();
    let list = board.dir.at("list");
    assert!(Command::new("mkfifo").arg(&list).status().unwrap().success());
    board = board.with(&["--motion_file_list", list.to_str().unwrap()]);
    let camera = Camera::at(&board.cam_sock());
    let mut agent = board.start();
    let write = |segments: &[Segment]| {
        let lines = segments.iter().map(|segment| format!("{}\n", segment.path()));
        fs::write(&list, lines.collect::<String>()).unwrap();
    };
    write(&board.record_capture(TIME - 1, &[3000, 4000]));
    let told =
        agent.says(".0.mp4\" of the list is left out, and so is what follows: the camera is not armed");
    assert!(told.contains(" INFO "), "{told}");
    server.tell("porch", "arm");
    assert_eq!(camera.hears(), r#"{"command":"arm"}"#);
    for time in [TIME, TIME + 1] {
        let segments = board.record_capture(time, &[3000, 4000]);
        write(&segments);
        agent.says(&format!("{time}.pir has ended"));
        agent.owes_nothing();
        assert!(server.captures().last().is_some_and(|capture| capture.is("pir", time, &segments)));
    }
    assert_eq!(server.captures().len(), 2, "what came before it was armed did not count");
    assert_eq!(agent.log().matches("of the list is left out").count(), 1);
}

#[test]
fn a_list_in_a_regular_file_is_one_capture_and_the_agent_goes_on() {
    let server = Server::start();
    let board = Board::new(&server).with_camera();
    let camera = Camera::at(&board.cam_sock());
    server.tell("porch", "arm");
    // So that the next start knows it from the beginning.
    let agent = board.start();
    assert_eq!(camera.hears(), r#"{"command":"arm"}"#);
    agent.terminate();
    let segments = board.record_capture(TIME, &[3000, 4000]);
    let list = board.dir.at("list");
    let lines = segments.iter().map(|segment| format!("{}\n", segment.path()));
    fs::write(&list, lines.collect::<String>()).unwrap();
    let board = board.with(&["--motion_file_list", list.to_str().unwrap()]);
    let mut agent = board.start();
    agent.says(&format!("{TIME}.pir has ended"));
    agent.owes_nothing();
    assert_only(&server.captures(), "pir", TIME, &segments);
    assert!(agent.terminate().status.success());
}

#[test]
fn real_video_comes_out_joined() {
    let server = Server::start();
    let board = Board::new(&server);
    let agent = board.start();
    let film = board.capture_dir().join(format!("pir.{TIME}.%d.mp4"));
    let filmed = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10:duration=6"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p"])
        .args(["-f", "segment", "-segment_time", "2", "-reset_timestamps", "1"])
        .arg(&film)
        .status();
    assert!(
        filmed.is_ok_and(|status| status.success()),
        "expected ffmpeg, which `make test` installs, to film"
    );
    let names = file_names(&board.capture_dir());
    let segments: Vec<Segment> =
        (0..).zip(names).map(|(number, name)| Segment::of(board.capture_dir().join(name), number)).collect();
    assert_eq!(segments.len(), 3);
    agent.takes(&segments);
    let captures = server.captures_when("the capture is complete", |captures| {
        captures.iter().any(|capture| capture.state == "complete")
    });
    assert_only(&captures, "pir", TIME, &segments);
    let joined = captures[0].joined.clone().expect("a complete capture is joined");
    assert!((5.95..6.05).contains(&joined.duration_s), "{joined:?}");
    let out = board.dir.at("joined.mp4");
    server.ok(&["captures", "export", &captures[0].id, out.to_str().unwrap()]);
    assert_eq!(fs::metadata(out).unwrap().len(), joined.bytes);
}

#[track_caller]
fn assert_only(captures: &[Capture], trigger: &str, time: u64, segments: &[Segment]) {
    assert!(matches!(captures, [capture] if capture.is(trigger, time, segments)), "{captures:#?}");
}
