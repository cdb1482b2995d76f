//! Joins segments made by ffmpeg and has ffmpeg judge the result: it is one video, as long as its parts, whose
//! every frame decodes to the picture that it was in its part. Needs `ffmpeg` and `ffprobe` with libx264 and
//! libx265 in the PATH.

#![allow(clippy::unwrap_used, reason = "a failed step of the scenery fails the test")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cloudtalker_server::library::join::{Fault, JoinError, Joined, Part, join};
use tempfile::TempDir;

/// A directory of segments that goes away with the test.
struct Studio(TempDir);

/// H.264 as a camera makes it, and fast.
const H264: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"];
const H265: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=error:bframes=2",
    "-pix_fmt",
    "yuv420p",
];
const FRAGMENTED: &[&str] = &["-movflags", "frag_keyframe+empty_moov+default_base_moof"];
const AAC: &[&str] = &["-c:a", "aac", "-ac", "1"];
const LONGEST_FRAME: f64 = 0.05;

impl Studio {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A silent segment of a second of `size` at `rate`, encoded by `options`; each `name` has its own picture.
    fn film(&self, name: &str, size: &str, rate: &str, options: &[&[&str]]) -> PathBuf {
        self.record(name, &[&picture(name, size, rate)], options)
    }

    /// The same with a tone.
    fn film_with_sound(&self, name: &str, size: &str, rate: &str, options: &[&[&str]]) -> PathBuf {
        let tone = "sine=frequency=440:sample_rate=44100:duration=1".to_owned();
        self.record(name, &[&picture(name, size, rate), &tone], options)
    }

    fn record(&self, name: &str, inputs: &[&String], options: &[&[&str]]) -> PathBuf {
        let path = self.0.path().join(name);
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin", "-y"]);
        for input in inputs {
            ffmpeg.args(["-f", "lavfi", "-i", input]);
        }
        run(ffmpeg.args(options.concat()).args(["-g", "12"]).arg(&path));
        path
    }

    fn join(&self, parts: &[PathBuf]) -> Result<(PathBuf, Joined), JoinError> {
        let path = self.0.path().join("joined.mp4");
        let parts: Vec<_> =
            (0..).zip(parts).map(|(seg_no, file)| Part { seg_no, file: file.clone() }).collect();
        let joined = join(&parts, &mut File::create(&path).unwrap())?;
        Ok((path, joined))
    }

    /// Joins, and has ffmpeg compare the joined file with its parts.
    fn join_and_compare(&self, parts: &[PathBuf]) -> PathBuf {
        let (path, joined) = self.join(parts).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(joined.bytes, fs::metadata(&path).unwrap().len());
        assert!(is_faststart(&path), "the index must come before the media");
        assert_eq!(complaints(&path), "", "the joined file must decode without a complaint");

        let sum: f64 = parts.iter().map(|part| duration(part)).sum();
        assert_near(joined.duration.as_secs_f64(), sum);
        assert_near(duration(&path), sum);

        assert_eq!(
            probe(&path, &["-select_streams", "v", "-show_entries", "stream=index"]).lines().count(),
            1
        );
        let expected: Vec<_> = parts.iter().flat_map(|part| pictures(part)).collect();
        let actual = pictures(&path);
        assert_eq!(actual.len(), expected.len(), "number of frames");
        assert_eq!(actual, expected, "each frame must decode to the picture that it was in its part");
        assert_times_rise(&path);
        path
    }
}

fn picture(name: &str, size: &str, rate: &str) -> String {
    let hue = name.bytes().map(u32::from).sum::<u32>() % 360;
    format!("testsrc2=size={size}:rate={rate}:duration=1,hue=h={hue}")
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?} must be installed for this test: {error}", command.get_program())
    });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {complaint}");
    output
}

fn probe(path: &Path, what: &[&str]) -> String {
    let mut ffprobe = Command::new("ffprobe");
    let output = run(ffprobe.args(["-v", "error", "-of", "csv=p=0"]).args(what).arg(path));
    String::from_utf8(output.stdout).unwrap()
}

/// The numbers of ffprobe's CSV, which leaves commas and empty lines where there is side data.
fn numbers(csv: &str) -> Vec<f64> {
    let cells = csv.split([',', '\n']).filter(|cell| !cell.is_empty());
    cells.map(|cell| cell.parse().unwrap()).collect()
}

/// MPEG-TS states no length, and ffprobe's guess counts one audio frame of several in a packet.
fn duration(path: &Path) -> f64 {
    if path.extension().is_some_and(|extension| extension == "mp4") {
        return numbers(&probe(path, &["-show_entries", "format=duration"]))[0];
    }
    let packets = probe(path, &["-show_entries", "packet=pts_time,duration_time"]);
    let mut packets = packets.lines().map(numbers).filter(|packet| packet.len() == 2);
    let first = packets.next().unwrap();
    let (start, end) = packets.fold((first[0], first[0] + first[1]), |(start, end), packet| {
        (packet[0].min(start), (packet[0] + packet[1]).max(end))
    });
    end - start
}

/// What a decoder says against the file.
fn complaints(path: &Path) -> String {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "warning", "-nostdin", "-i"]).arg(path);
    // The null output otherwise rounds times to the frame rate, and complains of that.
    let output =
        run(ffmpeg.args(["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-"]));
    String::from_utf8(output.stderr).unwrap()
}

/// A digest of each decoded frame.
fn pictures(path: &Path) -> Vec<String> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-i"]).arg(path);
    let output = run(ffmpeg.args(["-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"]));
    let lines = String::from_utf8(output.stdout).unwrap();
    let digest = |line: &str| line.rsplit(',').next().unwrap().trim().to_owned();
    lines.lines().filter(|line| !line.starts_with('#')).map(digest).collect()
}

/// Every frame is shown after the one before it, and not much later.
fn assert_times_rise(path: &Path) {
    let frames = probe(path, &["-select_streams", "v", "-show_entries", "frame=best_effort_timestamp_time"]);
    let times: Vec<f64> = numbers(&frames);
    assert_near(times[0], 0.0);
    for pair in times.windows(2) {
        assert!(pair[0] < pair[1], "frames at {} and {} s", pair[0], pair[1]);
        assert!(pair[1] - pair[0] < 0.25, "a gap from {} to {} s", pair[0], pair[1]);
    }
}

fn assert_near(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < LONGEST_FRAME, "{actual} s, expected {expected} s");
}

fn is_faststart(path: &Path) -> bool {
    let bytes = fs::read(path).unwrap();
    let at = |name: &[u8]| bytes.windows(4).position(|window| window == name).unwrap();
    at(b"moov") < at(b"mdat")
}

fn audio_seconds(path: &Path) -> f64 {
    let packets = probe(path, &["-select_streams", "a", "-show_entries", "packet=duration_time"]);
    numbers(&packets).iter().sum()
}

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
    let tail = studio.0.path().join("tail.ts");
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
        let cut = studio.0.path().join(format!("cut-{name}"));
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
    let cut = studio.0.path().join("cut.mp4");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(
        message(&[&first, &cut]),
        "segment 1 holds no moov box: the recording was cut off before it was finished"
    );
    let fast = studio.film("3.mp4", "1280x720", "5", &[H264, &["-movflags", "faststart"]]);
    let bytes = fs::read(&fast).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 1000]).unwrap();
    assert_eq!(message(&[&cut]), "segment 0 is cut off: its index names frames beyond the end of the file");
    let sound = studio.0.path().join("sound.mp4");
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac"])
        .arg(&sound));
    assert_eq!(message(&[&sound]), "segment 0 holds no H.264 or H.265 frame");
}

#[test]
fn a_missing_segment_may_be_tried_again() {
    let studio = Studio::new();
    let error = studio.join(&[studio.0.path().join("0.mp4")]).unwrap_err();
    assert!(matches!(error, JoinError::Part { seg_no: 0, fault: Fault::Read(_) }) && !error.is_final());
}

/// A small stream of numbers that is the same in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// Damages the bytes as a flash card, a power cut or an attacker would.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        const EXTREMES: [u32; 8] = [0, 1, 7, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, u32::MAX];
        // Indices and tables are at one of the ends.
        let near_an_end = |seeded: &mut Self, len: usize| {
            let at = seeded.below(len.min(1500));
            if seeded.below(2) == 0 { at } else { len - 1 - at }
        };
        for _ in 0..=self.below(3) {
            let len = bytes.len();
            if len < 8 {
                return;
            }
            let at = if self.below(3) == 0 { self.below(len) } else { near_an_end(self, len) };
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.below(256) as u8,
                2 | 3 => {
                    let at = at.min(len - 4);
                    bytes[at..at + 4].copy_from_slice(&EXTREMES[self.below(EXTREMES.len())].to_be_bytes());
                }
                4 => bytes.truncate(at),
                _ => drop(bytes.drain(at..(at + self.below(16)).min(len))),
            }
        }
    }
}

#[test]
fn damaged_segments_give_a_video_or_a_reason() {
    const ROUNDS: usize = 3000;
    let studio = Studio::new();
    let tiny =
        |name, options: &[&[&str]]| fs::read(studio.film_with_sound(name, "64x48", "5", options)).unwrap();
    let segments = [
        tiny("0.mp4", &[H264, AAC, &["-bf", "2", "-movflags", "faststart"]]),
        tiny("1.mp4", &[H264, AAC, FRAGMENTED]),
        tiny("2.ts", &[H264, AAC]),
        tiny("3.mp4", &[H265, AAC, &["-tag:v", "hvc1"]]),
    ];
    let (mut videos, mut reasons) = (0, 0);
    for seed in 0..ROUNDS {
        let mut seeded = Seeded(seed as u64);
        let whole = &segments[seed % segments.len()];
        let mut damaged = whole.clone();
        seeded.damage(&mut damaged);
        let parts =
            [Part { seg_no: 0, file: whole.as_slice() }, Part { seg_no: 1, file: damaged.as_slice() }];
        let mut out = Vec::new();
        match join(&parts, &mut out) {
            Ok(joined) => {
                assert_eq!(joined.bytes, out.len() as u64, "seed {seed}");
                videos += 1;
            }
            Err(JoinError::Part { fault: Fault::Read(error), .. }) => panic!("seed {seed}: {error}"),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                reasons += 1;
            }
        }
    }
    assert!(videos > ROUNDS / 10 && reasons > ROUNDS / 10, "{videos} videos, {reasons} reasons");
}
