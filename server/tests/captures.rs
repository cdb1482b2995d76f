//! Captures from their first segment to the joined file, with real videos.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use cloudtalker::wire::{
    Trigger,
    cloud::{Receipt, ToAgent},
    tus::Metadata,
};
use common::{Camera, Serving, Session, end, metadata, seeded, text};
use std::{path::Path, process::Command, sync::OnceLock};

/// A second of video each, of one encoder.
fn videos() -> &'static [Vec<u8>; 3] {
    static VIDEOS: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    VIDEOS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        [0, 1, 2].map(|number| {
            let file = dir.path().join(format!("{number}.mp4"));
            let source = format!("testsrc=size=320x240:rate=25:duration={}", 1 + number);
            let encoded = Command::new("ffmpeg")
                .args([
                    "-v",
                    "error",
                    "-f",
                    "lavfi",
                    "-i",
                    &source,
                    "-c:v",
                    "libx264",
                    "-preset",
                    "ultrafast",
                ])
                .args(["-pix_fmt", "yuv420p", "-g", "25"])
                .arg(&file)
                .status()
                .expect("ffmpeg is installed");
            assert!(encoded.success());
            std::fs::read(file).unwrap()
        })
    })
}

fn listed(videos: &[Vec<u8>]) -> Vec<(u32, &[u8])> {
    (0..).zip(videos.iter().map(Vec::as_slice)).collect()
}

async fn uploaded(camera: &Camera, capture: u64, numbers: &[u32]) {
    for &number in numbers {
        let bytes = &videos()[number as usize];
        camera.upload(&metadata(capture, number, bytes), bytes).await;
    }
}

async fn received(session: &mut Session) {
    let said = session.next().await;
    assert!(matches!(said, ToAgent { receipt: Some(Receipt::Capture { .. }), .. }), "{said:?}");
}

fn exported(serving: &Serving, file: &Path) {
    serving.ok(&["captures", "export", "1", file.to_str().unwrap()]);
    let seconds = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    let seconds: f64 = text(&seconds.stdout).trim().parse().unwrap();
    assert!((seconds - 6.0).abs() < 0.05, "{seconds} s");
    let mut decoder = Command::new("ffmpeg");
    let decoded =
        decoder.args(["-v", "error", "-xerror", "-i"]).arg(file).args(["-f", "null", "-"]).output().unwrap();
    assert!(decoded.status.success() && decoded.stderr.is_empty(), "{}", text(&decoded.stderr));
}

#[tokio::test]
async fn segments_in_any_order_become_one_video() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let mut session = camera.session().await;
    uploaded(&camera, 7, &[2]).await;
    session.say(&end(7, &listed(videos()), &[])).await;
    uploaded(&camera, 7, &[0, 1]).await;
    received(&mut session).await;
    let file = serving.data.path().join("out.mp4");
    exported(&serving, &file);
    let nowhere = serving.data.path().join("nodir/out.mp4");
    let output = serving.command(&["captures", "export", "1", nowhere.to_str().unwrap()]);
    let error = text(&output.stderr);
    assert!(error.contains("nodir/out.mp4 can't be made: No such file"), "{error}");
    assert_eq!(output.status.code(), Some(1));

    let export = ["captures", "export", "1", file.to_str().unwrap()];
    let whole = std::fs::metadata(&file).unwrap().len();
    std::fs::write(&file, "dear").unwrap();
    let output = serving.command(&export);
    let error = text(&output.stderr);
    assert!(error.contains("out.mp4 is: name another, or overwrite it by --force"), "{error}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read(&file).unwrap(), b"dear");
    serving.ok(&[&export[..], &["--force"]].concat());
    assert_eq!(std::fs::metadata(&file).unwrap().len(), whole);

    let capture = &serving.captures()[0];
    assert_eq!(capture["state"], "complete");
    assert_eq!(capture["joined"]["bytes"], std::fs::metadata(&file).unwrap().len());
    let duration = capture["joined"]["duration_s"].as_f64().unwrap();
    assert!((duration - 6.0).abs() < 0.001, "{duration}");
    let numbers: Vec<_> =
        capture["segments"].as_array().unwrap().iter().map(|segment| &segment["seg_no"]).collect();
    assert_eq!(numbers, [0, 1, 2]);
}

#[tokio::test]
async fn a_join_that_a_kill_ended_is_done_again() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    let mut session = camera.session().await;
    uploaded(&camera, 7, &[0, 1, 2]).await;
    session.say(&end(7, &listed(videos()), &[])).await;
    received(&mut session).await;
    serving.kill();
    serving.go_on();
    exported(&serving, &serving.data.path().join("out.mp4"));
}

#[tokio::test]
async fn what_a_crash_left_unfinished_is_swept_at_the_start() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    uploaded(&camera, 7, &[0]).await;
    serving.kill();
    let (work, segments) =
        (serving.data.path().join("work/1.mp4"), serving.data.path().join("blobs/segments"));
    std::fs::write(&work, "half a video").unwrap();
    std::fs::write(segments.join("name#1"), "half a segment").unwrap();
    serving.go_on();
    assert!(!work.exists());
    assert_eq!(std::fs::read_dir(segments).unwrap().count(), 1, "the segment that is stored");
}

#[tokio::test]
async fn videos_outlive_the_database_and_the_log_says_so() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    uploaded(&camera, 7, &[0, 1]).await;
    serving.kill();
    let data = serving.data.path().to_owned();
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(data.join(format!("cloudtalker.db{suffix}"))).unwrap();
    }
    serving.go_on();
    let warning = serving.logged("the database knows nothing of 2 files here");
    let segments = data.join("blobs/segments");
    assert!(warning.contains("WARN") && warning.contains(segments.to_str().unwrap()), "{warning}");
    assert_eq!(std::fs::read_dir(segments).unwrap().count(), 2);
}

#[tokio::test]
async fn an_export_without_a_server_joins_by_itself() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    let mut session = camera.session().await;
    uploaded(&camera, 7, &[0, 1, 2]).await;
    session.say(&end(7, &listed(videos()), &[])).await;
    received(&mut session).await;
    serving.kill();
    exported(&serving, &serving.data.path().join("out.mp4"));
}

#[tokio::test]
async fn a_lost_segment_breaks_the_capture_and_its_parts_are_named() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let mut session = camera.session().await;
    uploaded(&camera, 7, &[0, 1]).await;
    session.say(&end(7, &listed(&videos()[..2]), &[(2, "evicted")])).await;
    received(&mut session).await;
    let file = serving.data.path().join("out.mp4");
    let output = serving.command(&["captures", "export", "1", file.to_str().unwrap()]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    for part in ["segment 2 is lost: evicted", "segment 0 (", "segment 1 ("] {
        assert!(error.contains(part), "{part:?} in {error}");
    }
    assert!(!file.exists());
    let capture = &serving.captures()[0];
    assert_eq!((&capture["state"], &capture["joined"]), (&"broken".into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn a_broken_segment_never_holds_up_the_next_capture() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let mut session = camera.session().await;
    let noise = seeded(1, 5000);
    camera.upload(&metadata(6, 0, &noise), &noise).await;
    session.say(&end(6, &[(0, &noise)], &[])).await;
    received(&mut session).await;
    session.text(r#"{"type":"receipt_ok","capture":"0000000000000006"}"#).await;
    uploaded(&camera, 7, &[0]).await;
    session.say(&end(7, &listed(&videos()[..1]), &[])).await;
    received(&mut session).await;
    let file = serving.data.path().join("out.mp4");
    serving.ok(&["captures", "export", "2", file.to_str().unwrap()]);
    let captures = serving.captures();
    assert_eq!((&captures[0]["state"], &captures[1]["state"]), (&"complete".into(), &"broken".into()));
    assert!(captures[1]["error"].as_str().unwrap().starts_with("segment 0 "), "{}", captures[1]);
    let work = serving.data.path().join("work");
    assert_eq!(std::fs::read_dir(work).unwrap().count(), 0, "neither join left a file");
}

#[tokio::test]
async fn a_longer_list_is_joined_again() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let mut session = camera.session().await;
    let file = serving.data.path().join("out.mp4");
    uploaded(&camera, 7, &[0, 1]).await;
    session.say(&end(7, &listed(&videos()[..2]), &[])).await;
    received(&mut session).await;
    serving.ok(&["captures", "export", "1", file.to_str().unwrap()]);
    session.say(&end(7, &listed(videos()), &[])).await;
    session.nothing_else().await;
    assert_eq!(serving.captures()[0]["state"], "open");
    uploaded(&camera, 7, &[2]).await;
    received(&mut session).await;
    exported(&serving, &serving.data.path().join("longer.mp4"));
}

#[tokio::test]
async fn a_plain_clients_capture_ends_once_nothing_of_it_comes_any_more() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    let plain = async |number: usize| {
        let metadata = Metadata { capture: None, ..metadata(0, number as u32, &videos()[number]) };
        camera.upload(&metadata, &videos()[number]).await;
    };
    plain(0).await;
    plain(1).await;
    // An agent's capture is ended by the agent alone.
    uploaded(&camera, 7, &[0]).await;
    // One segment is still on its way.
    let on_its_way = Metadata { capture: None, trigger_timestamp: 35, ..metadata(0, 1, &videos()[1]) };
    let before = Metadata { seg_no: 0, sha256: None, ..on_its_way.clone() };
    camera.upload(&before, &videos()[0]).await;
    camera.create(&on_its_way.to_string(), videos()[1].len()).await;

    serving.kill();
    for table in [
        "UPDATE captures SET received_at = received_at - 600",
        "UPDATE segments SET stored_at = stored_at - 600",
    ] {
        serving.rewrite(table).await;
    }
    serving.go_on();
    let file = serving.data.path().join("out.mp4");
    serving.ok(&["captures", "export", "1", file.to_str().unwrap()]);
    let states: Vec<_> = serving.captures().iter().map(|capture| capture["state"].clone()).collect();
    assert_eq!(states, ["open", "open", "complete"], "newest first");

    plain(2).await;
    exported(&serving, &serving.data.path().join("longer.mp4"));
}

#[tokio::test]
async fn captures_are_listed_last_arrived_first_whenever_they_were_recorded() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    for (number, trigger, time) in
        [(9, Trigger::Pir, 40), (8, Trigger::Pir, 1_529_842_538), (7, Trigger::Request, 35)]
    {
        let metadata = Metadata { trigger, trigger_timestamp: time, ..metadata(number, 0, &videos()[0]) };
        camera.upload(&metadata, &videos()[0]).await;
    }
    let ids: Vec<_> = serving.captures().iter().map(|capture| capture["id"].clone()).collect();
    assert_eq!(ids, ["3", "2", "1"]);
    assert_eq!(serving.captures()[0]["trigger"], "request");
    let expected = "\
NUMBER  CAMERA  TRIGGER  TIME                  STATE  SEGMENTS  ERROR
3       porch   cap      1970-01-01T00:00:35Z  open   1
2       porch   pir      2018-06-24T12:15:38Z  open   1
1       porch   pir      1970-01-01T00:00:40Z  open   1
";
    assert_eq!(serving.ok(&["captures", "list"]), expected);
}
