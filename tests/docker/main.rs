//! The images, as docker-compose starts them: a capture by the README's own sample, a command that the camera program
//! hears, an upload that `down` cuts off.
//!
//! `make test-docker` runs it, in a network of its own.
#![allow(clippy::unwrap_used)]

#[path = "../agent/harness/mod.rs"]
mod harness;

mod compose;

use compose::Compose;
use harness::{Capture, Segment, eventually};
use serde_json::Value;
use std::{path::Path, process::Command};

/// In the README's sample.
const TIME: u64 = 1_529_842_538;
const SEGMENTS: u32 = 3;
/// A minute's upload at `SLOWLY`.
const LONG: usize = 60_000_000;
const SLOWLY: &str = "--max_rate 1M";

#[test]
fn the_readmes_sample_arrives_commands_are_heard_and_down_loses_nothing() {
    let compose = Compose::build();
    compose.up(SLOWLY);
    let sampled = the_sample_arrives(&compose);
    a_command_is_heard(&compose);
    let cut_off = down_comes_in_mid_upload(&compose);
    compose.up("");
    captures_when(&compose, "all is there, once", |captures| {
        let [long, sample] = captures else { return false };
        long.is("pir", 7, &cut_off) && sample.is("pir", TIME, &sampled)
    });
}

fn the_sample_arrives(compose: &Compose) -> Vec<Segment> {
    let segments = film(&compose.videos());
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```python\n").expect("the README has a sample in Python");
    let (program, _) = rest.split_once("```").unwrap();
    // docker takes connections before the agent does, and closes them then.
    agent_answers(compose);
    let sample = Command::new("python3").args(["-c", program]).output().unwrap();
    assert!(sample.status.success(), "{sample:?}");
    captures_when(compose, "the sample's capture is complete", |captures| {
        captures.iter().any(|capture| capture.state == "complete" && capture.is("pir", TIME, &segments))
    });
    segments
}

fn a_command_is_heard(compose: &Compose) {
    compose.ok("server", &["/cloudtalker-server", "camera", "command", "porch", "arm", "--data", "/data"]);
    let heard = || compose.run(&["logs", "--no-color", "actuator"]);
    eventually("the actuator hears it", heard, |log| log.lines().any(|line| line.ends_with("| arm")));
}

fn down_comes_in_mid_upload(compose: &Compose) -> Vec<Segment> {
    let segment = Segment::write(compose.videos().join("pir.7.0.mp4"), 0, LONG);
    compose.ok("agent", &["/cloudtalker", "send", "--input_port", "9000", "/videos/pir.7.0.mp4"]);
    let sent = || status(compose)["upload"]["sent"].as_u64();
    eventually("its upload is under way", sent, |sent| sent.is_some_and(|sent| sent > 0));
    compose.run(&["down"]);
    assert_eq!(compose.containers(), "");
    assert_eq!(compose.exit_codes(), "0\n0\n0\n", "each has ended because it was asked to");
    vec![segment]
}

/// The sample's segments, a second each, by a real encoder.
fn film(videos: &Path) -> Vec<Segment> {
    let film = |number| {
        let path = videos.join(format!("pir.{TIME}.{number}.mp4"));
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=1"]);
        ffmpeg.args(["-c:v", "libx264", "-pix_fmt", "yuv420p"]).arg(&path);
        assert!(ffmpeg.status().unwrap().success());
        Segment::of(path, number)
    };
    (0..SEGMENTS).map(film).collect()
}

fn agent_answers(compose: &Compose) {
    eventually("the agent answers", || status(compose), |status| !status.is_null());
}

/// Null while there is none.
fn status(compose: &Compose) -> Value {
    let status = compose.exec("agent", &["/cloudtalker", "status", "--json", "--input_port", "9000"]);
    serde_json::from_slice(&status.stdout).unwrap_or_default()
}

fn captures_when(compose: &Compose, what: &str, is_so: impl Fn(&[Capture]) -> bool) {
    let list = || -> Vec<Capture> {
        let list = ["/cloudtalker-server", "captures", "list", "--json", "--data", "/data"];
        let list = compose.exec("server", &list);
        let mut captures: Vec<Capture> = serde_json::from_slice(&list.stdout).unwrap_or_default();
        captures.sort_by_key(|capture| capture.trigger_timestamp);
        captures
    };
    eventually(what, list, |captures| is_so(captures));
}
