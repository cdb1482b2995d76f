//! Joins segments made by ffmpeg and has ffmpeg judge the result: it is one video, as long as its parts, whose
//! every frame decodes to the picture that it was in its part. Needs `ffmpeg` and `ffprobe` with libx264 and
//! libx265 in the PATH.

#![allow(clippy::unwrap_used, reason = "a failed step of the scenery fails the test")]

mod damage;
mod studio;

use cloudtalker_server::library::join::{Fault, JoinError};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use studio::{
    AAC, FRAGMENTED, H264, H265, Studio, assert_near, audio_seconds, complaints, duration, numbers, pictures,
    probe, run,
};

#[test]
fn progressive_segments_with_reordered_frames_become_one_video() {
    let studio = Studio::new();
    let part = |name| studio.film(name, "320x180", "25", &[H264, &["-bf", "3"]]);
    studio.join_and_compare(&[part("0.mp4"), part("1.mp4"), part("2.mp4")]);
}

#[test]
fn a_single_segment_is_joined_too() {
    let studio = Studio::new();
    let part = studio.film("0.mp4", "320x180", "25", &[H264]);
    studio.join_and_compare(&[part]);
}

#[test]
fn fragmented_and_progressive_segments_mix() {
    let studio = Studio::new();
    let parts = [
        studio.film("0.mp4", "320x180", "25", &[H264, FRAGMENTED]),
        studio.film("1.mp4", "320x180", "25", &[H264, &["-movflags", "faststart"]]),
        studio.film("2.mp4", "320x180", "25", &[H264, &["-movflags", "frag_every_frame+empty_moov"]]),
        studio.film("3.mp4", "320x180", "25", &[H264, &["-movflags", "frag_keyframe"]]),
        studio.film("4.mp4", "320x180", "25", &[H264, &["-movflags", "cmaf+delay_moov", "-bf", "2"]]),
    ];
    studio.join_and_compare(&parts);
}

#[test]
fn sound_stays_whole_and_with_its_picture() {
    let studio = Studio::new();
    let parts = [
        studio.film_with_sound("0.mp4", "320x180", "25", &[H264, AAC]),
        studio.film_with_sound("1.mp4", "320x180", "25", &[H264, AAC, FRAGMENTED]),
        studio.film_with_sound("2.mp4", "320x180", "25", &[H264, AAC]),
    ];
    let joined = studio.join_and_compare(&parts);
    let sum: f64 = parts.iter().map(|part| duration(part)).sum();
    assert!((audio_seconds(&joined) - sum).abs() < 0.1, "{} s of audio", audio_seconds(&joined));
}

#[test]
fn only_the_first_segment_keeps_its_encoders_priming() {
    let studio = Studio::new();
    let part = |name| studio.film_with_sound(name, "320x180", "25", &[H264, AAC]);
    let parts = [part("0.mp4"), part("1.mp4"), part("2.mp4")];
    let joined = studio.join_and_compare(&parts);
    let sizes = |path: &Path| probe(path, &["-select_streams", "a", "-show_entries", "packet=size"]);
    let packets = |path: &Path| numbers(&sizes(path)).len();
    let sum: usize = parts.iter().map(|part| packets(part)).sum();
    assert_eq!(packets(&joined), sum - 2);
}

#[test]
fn segments_without_sound_may_stand_beside_those_with() {
    let studio = Studio::new();
    let parts = [
        studio.film("0.mp4", "320x180", "25", &[H264]),
        studio.film_with_sound("1.mp4", "320x180", "25", &[H264, AAC]),
        studio.film("2.mp4", "320x180", "25", &[H264]),
    ];
    let joined = studio.join_and_compare(&parts);
    let first = probe(
        &joined,
        &["-select_streams", "a", "-show_entries", "packet=pts_time", "-read_intervals", "%+#1"],
    );
    assert_near(numbers(&first)[0], 1.0);
}

#[test]
fn different_rates_and_timescales_share_one_clock() {
    let studio = Studio::new();
    let variable = "setpts='if(lt(N,10),N*0.02,0.2+(N-10)*0.05)/TB'";
    let parts = [
        studio.film("0.mp4", "320x180", "30000/1001", &[H264, &["-bf", "2"]]),
        studio.film("1.mp4", "320x180", "25", &[H264, &["-video_track_timescale", "12345"]]),
        studio.film("2.mp4", "320x180", "15", &[H264, &["-video_track_timescale", "1000"]]),
        studio.film("3.mp4", "320x180", "20", &[H264, &["-vf", variable, "-fps_mode", "vfr"]]),
    ];
    studio.join_and_compare(&parts);
}

#[test]
fn different_parameter_sets_share_one_sample_description() {
    let studio = Studio::new();
    let parts = [
        studio.film("0.mp4", "320x180", "25", &[H264, &["-profile:v", "high"]]),
        studio.film("1.mp4", "320x180", "25", &[H264, &["-profile:v", "baseline"]]),
        studio.film("2.mp4", "320x180", "25", &[H264, &["-profile:v", "main", "-refs", "4"]]),
        studio.film("3.mp4", "320x180", "25", &[H264, &["-profile:v", "high", "-x264-params", "aud=1"]]),
    ];
    let joined = studio.join_and_compare(&parts);
    let bytes = fs::read(joined).unwrap();
    assert_eq!(bytes.windows(4).filter(|window| window == b"avcC").count(), 1);
    // The last part's key frame: its delimiter of two bytes, then its SPS.
    let is_key_frame = |w: &[u8]| w[..5] == [0, 0, 0, 2, 9] && w[6..9] == [0, 0, 0] && w[10] & 0x1f == 7;
    assert!(bytes.windows(11).any(is_key_frame), "a delimiter must stay the first of its frame");
}

#[test]
fn h265_is_joined_under_both_its_names() {
    let studio = Studio::new();
    let part = |name, tag| studio.film(name, "320x180", "25", &[H265, &["-tag:v", tag]]);
    let (hvc1, other) = (part("0.mp4", "hvc1"), part("1.mp4", "hvc1"));
    let joined = studio.join_and_compare(&[hvc1.clone(), other]);
    assert_eq!(probe(&joined, &["-show_entries", "stream=codec_tag_string"]).trim(), "hvc1");
    let hev1 = part("2.mp4", "hev1");
    let joined = studio.join_and_compare(&[hvc1.clone(), hev1]);
    assert_eq!(probe(&joined, &["-show_entries", "stream=codec_tag_string"]).trim(), "hev1");
    let changed = studio.film(
        "3.mp4",
        "320x180",
        "25",
        &[H265, &["-tag:v", "hvc1", "-x265-params", "log-level=error:bframes=0:ctu=32"]],
    );
    studio.join_and_compare(&[hvc1, changed]);
}

#[test]
fn transport_streams_are_joined_alone_and_with_mp4() {
    let studio = Studio::new();
    let parts = [
        studio.film_with_sound("0.ts", "320x180", "25", &[H264, AAC, &["-bf", "2"]]),
        studio.film_with_sound("1.ts", "320x180", "25", &[H264, AAC]),
        studio.film_with_sound("2.mp4", "320x180", "25", &[H264, AAC]),
        studio.film_with_sound("3.ts", "320x180", "25", &[H264, AAC, &["-output_ts_offset", "95442"]]),
    ];
    studio.join_and_compare(&parts[..2]);
    studio.join_and_compare(&parts);
    studio.join_and_compare(&[parts[2].clone(), parts[0].clone()]);
}

#[test]
fn h265_in_transport_streams_is_joined() {
    let studio = Studio::new();
    let parts = [
        studio.film("0.ts", "320x180", "25", &[H265]),
        studio.film("1.mp4", "320x180", "25", &[H265, &["-tag:v", "hvc1"]]),
    ];
    studio.join_and_compare(&parts);
}

#[test]
fn a_transport_stream_is_read_from_its_first_key_frame() {
    let studio = Studio::new();
    let whole = studio.film("0.ts", "320x180", "25", &[H264, &["-bf", "0"]]);
    let bytes = fs::read(&whole).unwrap();
    // A third of it is gone, in the middle of a packet, and with it the first key frame.
    let tail = studio.at("tail.ts");
    fs::write(&tail, &bytes[bytes.len() / 3 + 50..]).unwrap();
    let (joined, _) = studio.join(&[tail]).unwrap();
    assert_eq!(complaints(&joined), "");
    let kept = pictures(&joined);
    assert!(!kept.is_empty() && pictures(&whole).ends_with(&kept));
}

#[test]
fn truncated_fragments_and_transport_streams_keep_their_whole_frames() {
    let studio = Studio::new();
    let fragmented = ["-movflags", "frag_every_frame+empty_moov+default_base_moof", "-bf", "0"];
    for (name, options) in [("0.mp4", &fragmented[..]), ("0.ts", &["-bf", "0"])] {
        let whole = studio.film(name, "320x180", "25", &[H264, options]);
        let cut = studio.at(&format!("cut-{name}"));
        let bytes = fs::read(&whole).unwrap();
        fs::write(&cut, &bytes[..bytes.len() * 2 / 3 / 188 * 188 + 100]).unwrap();
        let (joined, _) = studio.join(&[cut]).unwrap();
        assert_eq!(complaints(&joined), "", "{name}");
        let kept = pictures(&joined);
        assert!(kept.len() > 5 && pictures(&whole).starts_with(&kept), "{name}: {} frames", kept.len());
    }
}

#[test]
fn segments_that_do_not_fit_are_named() {
    let studio = Studio::new();
    let first = studio.film("0.mp4", "1280x720", "5", &[H264]);
    let small = studio.film("1.mp4", "640x480", "5", &[H264]);
    let other = studio.film("2.mp4", "1280x720", "5", &[H265]);
    let message = |parts: &[&PathBuf]| {
        let parts: Vec<_> = parts.iter().map(|part| (*part).clone()).collect();
        let error = studio.join(&parts).unwrap_err();
        assert!(error.is_final());
        error.to_string()
    };
    assert_eq!(message(&[&first, &small]), "segment 1 is 640x480 while segment 0 is 1280x720");
    assert_eq!(message(&[&first, &first, &other]), "segment 2 is H.265 while segment 0 is H.264");

    let bytes = fs::read(&first).unwrap();
    let cut = studio.at("cut.mp4");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(
        message(&[&first, &cut]),
        "segment 1 holds no moov box: the recording was cut off before it was finished"
    );
    let fast = studio.film("3.mp4", "1280x720", "5", &[H264, &["-movflags", "faststart"]]);
    let bytes = fs::read(&fast).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 1000]).unwrap();
    assert_eq!(message(&[&cut]), "segment 0 is cut off: its index names frames beyond the end of the file");
    let sound = studio.at("sound.mp4");
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac"])
        .arg(&sound));
    assert_eq!(message(&[&sound]), "segment 0 holds no H.264 or H.265 frame");
}

#[test]
fn a_missing_segment_may_be_tried_again() {
    let studio = Studio::new();
    let error = studio.join(&[studio.at("0.mp4")]).unwrap_err();
    assert!(matches!(error, JoinError::Part { seg_no: 0, fault: Fault::Read(_) }) && !error.is_final());
}
