//! Segments to be joined, and what ffmpeg says of them and of the joined file.

use cloudtalker_server::library::join::{JoinError, Joined, Part, join};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// A directory of segments that goes away with the test.
pub(crate) struct Studio(TempDir);

/// H.264 as a camera makes it, and fast.
pub(crate) const H264: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"];
pub(crate) const H265: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=error:bframes=2",
    "-pix_fmt",
    "yuv420p",
];
pub(crate) const FRAGMENTED: &[&str] = &["-movflags", "frag_keyframe+empty_moov+default_base_moof"];
pub(crate) const AAC: &[&str] = &["-c:a", "aac", "-ac", "1"];
const LONGEST_FRAME: f64 = 0.05;

impl Studio {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A silent segment of a second of `size` at `rate`, encoded by `options`; each `name` has its own picture.
    pub(crate) fn film(&self, name: &str, size: &str, rate: &str, options: &[&[&str]]) -> PathBuf {
        self.record(name, &[&picture(name, size, rate)], options)
    }

    /// The same with a tone.
    pub(crate) fn film_with_sound(&self, name: &str, size: &str, rate: &str, options: &[&[&str]]) -> PathBuf {
        let tone = "sine=frequency=440:sample_rate=44100:duration=1".to_owned();
        self.record(name, &[&picture(name, size, rate), &tone], options)
    }

    fn record(&self, name: &str, inputs: &[&String], options: &[&[&str]]) -> PathBuf {
        let path = self.at(name);
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin", "-y"]);
        for input in inputs {
            ffmpeg.args(["-f", "lavfi", "-i", input]);
        }
        run(ffmpeg.args(options.concat()).args(["-g", "12"]).arg(&path));
        path
    }

    pub(crate) fn join(&self, parts: &[PathBuf]) -> Result<(PathBuf, Joined), JoinError> {
        let path = self.at("joined.mp4");
        let parts: Vec<_> =
            (0..).zip(parts).map(|(seg_no, file)| Part { seg_no, file: file.clone() }).collect();
        let joined = join(&parts, &mut File::create(&path).unwrap())?;
        Ok((path, joined))
    }

    /// Joins, and has ffmpeg compare the joined file with its parts.
    pub(crate) fn join_and_compare(&self, parts: &[PathBuf]) -> PathBuf {
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

pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?} must be installed for this test: {error}", command.get_program())
    });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {complaint}");
    output
}

pub(crate) fn probe(path: &Path, what: &[&str]) -> String {
    let mut ffprobe = Command::new("ffprobe");
    let output = run(ffprobe.args(["-v", "error", "-of", "csv=p=0"]).args(what).arg(path));
    String::from_utf8(output.stdout).unwrap()
}

/// The numbers of ffprobe's CSV, which leaves commas and empty lines where there is side data.
pub(crate) fn numbers(csv: &str) -> Vec<f64> {
    let cells = csv.split([',', '\n']).filter(|cell| !cell.is_empty());
    cells.map(|cell| cell.parse().unwrap()).collect()
}

/// MPEG-TS states no length, and ffprobe's guess counts one audio frame of several in a packet.
pub(crate) fn duration(path: &Path) -> f64 {
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
pub(crate) fn complaints(path: &Path) -> String {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "warning", "-nostdin", "-i"]).arg(path);
    // The null output otherwise rounds times to the frame rate, and complains of that.
    let output =
        run(ffmpeg.args(["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-"]));
    String::from_utf8(output.stderr).unwrap()
}

/// A digest of each decoded frame.
pub(crate) fn pictures(path: &Path) -> Vec<String> {
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

pub(crate) fn assert_near(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < LONGEST_FRAME, "{actual} s, expected {expected} s");
}

fn is_faststart(path: &Path) -> bool {
    let bytes = fs::read(path).unwrap();
    let at = |name: &[u8]| bytes.windows(4).position(|window| window == name).unwrap();
    at(b"moov") < at(b"mdat")
}

pub(crate) fn audio_seconds(path: &Path) -> f64 {
    let packets = probe(path, &["-select_streams", "a", "-show_entries", "packet=duration_time"]);
    numbers(&packets).iter().sum()
}
