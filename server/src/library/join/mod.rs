//! Joins the segments of a capture into one MP4 file that plays as one video, without decoding it.
//!
//! Segments are MP4, progressive or fragmented, or MPEG-TS, with H.264 or H.265 and perhaps AAC. Each is read
//! twice: once for its times and sizes, which make the joined index, and once for its bytes, which follow it.
//! In memory are one segment's index, the joined index (a few bytes a sample), and one sample.
//!
//! All parts share one sample description, because browsers stop where it changes. Where the parts' parameter
//! sets differ, each key frame brings its own instead.
//!
//! Everything in a segment is hostile: sizes and counts are bounded by the file, times by [`JoinError::TooLong`].
//! The code blocks; on an executor it belongs on a thread of its own.

mod codec;
mod elementary;
mod error;
mod fragment;
mod mp4;
mod scan;
mod segment;
mod timeline;
mod ts;
mod write;

use std::io::{BufWriter, Write};
use std::time::Duration;

use shiguredo_mp4::boxes::SampleEntry;

pub use self::error::{Difference, Fault, JoinError};
pub use self::segment::SegmentFile;

use self::codec::VideoFormat;
use self::scan::Scan;
use self::segment::{Kind, PartReader, Sample};
use self::timeline::Timeline;
use self::write::{Head, TrackIndex};

/// One segment of the capture.
#[derive(Debug, Clone)]
pub struct Part<F> {
    /// By this number messages name it.
    pub seg_no: u32,
    /// Its bytes.
    pub file: F,
}

/// What a join made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// Length of the file.
    pub bytes: u64,
    /// Length of the video: the sum of its parts'.
    pub duration: Duration,
}

/// Writes the parts, in the order given, as one MP4 file. What `out` holds after an error is worthless.
pub fn join<F: SegmentFile>(parts: &[Part<F>], out: &mut impl Write) -> Result<Joined, JoinError> {
    let plan = Plan::of(parts)?;
    let mut out = BufWriter::with_capacity(COPY_BUFFER_BYTES, out);
    out.write_all(&plan.head).map_err(JoinError::Write)?;
    for (part, kept) in parts.iter().zip(&plan.parts) {
        copy_part(part, kept, &mut out)?;
    }
    out.flush().map_err(JoinError::Write)?;
    Ok(Joined { bytes: plan.head.len() as u64 + plan.media_bytes, duration: plan.duration })
}

const COPY_BUFFER_BYTES: usize = 128 << 10;

/// All that is known before the first byte is written.
struct Plan {
    head: Vec<u8>,
    media_bytes: u64,
    duration: Duration,
    parts: Vec<KeptPart>,
}

/// How one part's samples go into the joined file.
struct KeptPart {
    format: VideoFormat,
    /// Put into each key frame; empty where the sample description says it all.
    prefix: Vec<u8>,
    skipped_audio: u32,
    media_bytes: u64,
}

impl Plan {
    fn of<F: SegmentFile>(parts: &[Part<F>]) -> Result<Self, JoinError> {
        let scans = scan_all(parts)?;
        let first = scans.first().ok_or(JoinError::NoParts)?;
        let format = &first.video.track.format;
        let own_sets = scans.len() > 1 && scans.iter().any(|s| s.video.track.format.needs_own_sets(format));
        let timeline = Timeline::of(&scans)?;

        let (mut video, mut audio) = (TrackIndex::default(), TrackIndex::default());
        let (mut kept, mut media_bytes) = (Vec::with_capacity(scans.len()), 0);
        for (scan, &skipped_audio) in scans.iter().zip(&timeline.skipped) {
            let format = scan.video.track.format.clone();
            let prefix = if own_sets { format.prefix() } else { Vec::new() };
            let end =
                index_part(scan, skipped_audio, prefix.len() as u32, media_bytes, &mut video, &mut audio);
            kept.push(KeptPart { format, prefix, skipped_audio, media_bytes: end - media_bytes });
            media_bytes = end;
        }

        let entry = if own_sets { format.entry_with_own_sets() } else { format.entry.clone() };
        let first_audio = scans.iter().find_map(|scan| scan.audio.as_ref());
        let audio_entry = first_audio.map(|audio| SampleEntry::Mp4a(audio.track.format.entry.clone()));
        let head = Head {
            timeline: &timeline,
            video: (entry, video),
            audio: audio_entry.map(|entry| (entry, audio)),
            matrix: first.matrix,
            media_bytes,
        };
        let nanos = timeline.duration as u128 * 1_000_000_000 / u128::from(timeline.video.timescale);
        let duration = Duration::from_nanos(u64::try_from(nanos).map_err(|_| JoinError::TooLong)?);
        Ok(Self { head: head.encode()?, media_bytes, duration, parts: kept })
    }
}

/// Reads each part once, as far as it can follow those before it.
fn scan_all<F: SegmentFile>(parts: &[Part<F>]) -> Result<Vec<Scan>, JoinError> {
    let mut scans: Vec<Scan> = Vec::with_capacity(parts.len());
    let mut first_audio = None;
    for (index, part) in parts.iter().enumerate() {
        let scan =
            open(part).and_then(|mut reader| Scan::of(&mut reader)).map_err(|fault| broken(part, fault))?;
        let mismatch = |first: usize, difference| JoinError::Mismatch {
            seg_no: part.seg_no,
            first: parts[first].seg_no,
            difference,
        };
        if let Some(first) = scans.first()
            && let Some(difference) = scan.video.track.format.difference(&first.video.track.format)
        {
            return Err(mismatch(0, difference));
        }
        if let Some(audio) = &scan.audio {
            let first = *first_audio.get_or_insert(index);
            if let Some(other) = scans.get(first).and_then(|scan| scan.audio.as_ref())
                && let Some(difference) = audio.track.format.difference(&other.track.format)
            {
                return Err(mismatch(first, difference));
            }
        }
        scans.push(scan);
    }
    Ok(scans)
}

/// Appends a part's samples to the joined index and returns where its bytes end.
fn index_part(
    scan: &Scan,
    skipped_audio: u32,
    prefix_bytes: u32,
    begin: u64,
    video: &mut TrackIndex,
    audio: &mut TrackIndex,
) -> u64 {
    let mut offset = begin;
    let mut sync = scan.video.samples.sync.iter().copied().peekable();
    let mut video_sizes = scan.video.samples.sizes.iter().copied().zip(0..);
    let sizes = scan.audio.as_ref().map_or(&[][..], |audio| &audio.samples.sizes);
    let mut audio_sizes = sizes.iter().copied().zip(0..);
    for (count, kind) in scan.order.runs() {
        let mut starts_chunk = true;
        match kind {
            Kind::Video => {
                for (size, number) in video_sizes.by_ref().take(*count as usize) {
                    let is_sync = sync.next_if_eq(&number).is_some();
                    let size = if is_sync { size + prefix_bytes } else { size };
                    video.push(size, is_sync, starts_chunk, offset);
                    (offset, starts_chunk) = (offset + u64::from(size), false);
                }
            }
            Kind::Audio => {
                let kept = audio_sizes.by_ref().take(*count as usize).filter(|(_, n)| *n >= skipped_audio);
                for (size, _) in kept {
                    audio.push(size, true, starts_chunk, offset);
                    (offset, starts_chunk) = (offset + u64::from(size), false);
                }
            }
        }
    }
    offset
}

/// Reads a part for the second time and writes what was planned.
fn copy_part<F: SegmentFile>(part: &Part<F>, kept: &KeptPart, out: &mut impl Write) -> Result<(), JoinError> {
    let fault = |fault| broken(part, fault);
    let mut reader = open(part).map_err(fault)?;
    let (mut data, mut audio_count, mut written) = (Vec::new(), 0, 0);
    while let Some(sample) = reader.next_sample().map_err(fault)? {
        if sample.kind == Kind::Audio {
            audio_count += 1;
            if audio_count <= kept.skipped_audio {
                continue;
            }
        }
        reader.read(&sample, &mut data).map_err(fault)?;
        let prefix = kept.prefix_of(&sample);
        let (before, after) =
            data.split_at(if prefix.is_empty() { 0 } else { kept.format.prefix_position(&data) });
        for bytes in [before, prefix, after] {
            out.write_all(bytes).map_err(JoinError::Write)?;
            written += bytes.len() as u64;
        }
    }
    if written == kept.media_bytes { Ok(()) } else { Err(fault(Fault::Changed)) }
}

impl KeptPart {
    fn prefix_of(&self, sample: &Sample) -> &[u8] {
        if sample.kind == Kind::Video && sample.sync { &self.prefix } else { &[] }
    }
}

fn open<F: SegmentFile>(part: &Part<F>) -> Result<PartReader<F::Reader>, Fault> {
    PartReader::open(part.file.open()?)
}

fn broken<F>(part: &Part<F>, fault: Fault) -> JoinError {
    JoinError::Part { seg_no: part.seg_no, fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(bytes: &[u8]) -> String {
        join(&[Part { seg_no: 7, file: bytes }], &mut Vec::new()).unwrap_err().to_string()
    }

    fn of_box(size: u32, ty: &[u8; 4], rest: &[u8]) -> Vec<u8> {
        [&size.to_be_bytes()[..], ty, rest].concat()
    }

    #[test]
    fn what_is_no_video_is_called_so() {
        assert_eq!(reason(b""), "segment 7 is empty");
        let not_video = "segment 7 is not a video file: expected MP4 or MPEG-TS";
        for garbage in [&b"\0"[..], b"G", b"GET / HTTP/1.1\r\n\r\n", &[0; 4096], &[0xff; 4096]] {
            assert_eq!(reason(garbage), not_video);
        }
        assert_eq!(reason(&[0x47; 4096]), "segment 7 holds no H.264 or H.265 frame");
        assert_eq!(
            join::<&[u8]>(&[], &mut Vec::new()).unwrap_err().to_string(),
            "the capture holds no segment"
        );
    }

    #[test]
    fn boxes_that_lie_about_their_size_are_refused() {
        let ftyp = of_box(16, b"ftyp", b"isom\0\0\0\0");
        let with = |next: Vec<u8>| reason(&[&ftyp[..], &next].concat());
        let cut_off = "segment 7 holds no moov box: the recording was cut off before it was finished";
        assert_eq!(with(Vec::new()), cut_off);
        assert_eq!(with(of_box(0, b"mdat", &[0; 100])), cut_off);
        assert_eq!(with(of_box(u32::MAX, b"moov", &[0; 100])), cut_off);
        assert_eq!(with(of_box(1, b"moov", &[0xff; 100])), cut_off);
        for size in [2, 7] {
            assert_eq!(
                with(of_box(size, b"moov", &[0; 100])),
                "segment 7 is damaged: a box smaller than its header"
            );
        }
        let damaged = with(of_box(108, b"moov", &[0; 100]));
        assert!(damaged.starts_with("segment 7 is damaged: box 'moov'"), "{damaged}");
    }
}
