//! One segment file as a stream of samples, whatever its container.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::codec::{AudioFormat, VideoFormat};
use super::error::Fault;
use super::mp4::Mp4Reader;
use super::ts::TsReader;

/// A segment's bytes, opened when their turn comes: a capture may have more segments than a process may
/// have open files.
pub trait SegmentFile {
    /// The open file.
    type Reader: Read + Seek;

    /// Opens the segment at its beginning.
    fn open(&self) -> io::Result<Self::Reader>;
}

impl SegmentFile for PathBuf {
    type Reader = File;

    fn open(&self) -> io::Result<File> {
        File::open(self)
    }
}

impl<'a> SegmentFile for &'a [u8] {
    type Reader = Cursor<&'a [u8]>;

    fn open(&self) -> io::Result<Self::Reader> {
        Ok(Cursor::new(self))
    }
}

/// The two tracks that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Video,
    Audio,
}

/// One frame of video or one access unit of audio. Times are ticks of its track's timescale.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) kind: Kind,
    pub(super) dts: i64,
    pub(super) duration: u32,
    /// Composition time minus decoding time.
    pub(super) offset: i64,
    pub(super) sync: bool,
    /// Where its bytes begin in the file; 0 where the container scatters them.
    pub(super) position: u64,
    pub(super) size: u32,
}

/// What a file says of its tracks.
#[derive(Debug, Clone)]
pub(super) struct Tracks {
    pub(super) video: Track<VideoFormat>,
    pub(super) audio: Option<Track<AudioFormat>>,
    /// How the picture is turned when it is shown, as `tkhd` says it.
    pub(super) matrix: [i32; 9],
}

/// A track's format and clock.
#[derive(Debug, Clone)]
pub(super) struct Track<F> {
    pub(super) format: F,
    /// Ticks a second, never 0.
    pub(super) timescale: u32,
    pub(super) edit: Edit,
}

/// What an edit list amounts to where it has at most one piece, in ticks of the track.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Edit {
    /// Silence before the track begins.
    pub(super) delay: i64,
    /// The composition time at which it begins; what lies before only feeds the decoder.
    pub(super) media_time: i64,
    /// How long it lasts; None is to its end.
    pub(super) length: Option<i64>,
}

/// No sample of a camera comes near; a table that names more is hostile.
pub(super) const MAX_SAMPLE_BYTES: u32 = 32 << 20;
/// Ticks that no time in a file may exceed (a century at 90 kHz), so that sums of a few can't overflow.
pub(super) const MAX_TICKS: i64 = 1 << 48;
/// Bytes looked at to tell a container: three packets of MPEG-TS, the first of them cut.
const HEAD_BYTES: u64 = 4 * 188;

/// An open segment of either container.
pub(super) enum PartReader<R> {
    Mp4(Box<Mp4Reader<R>>),
    Ts(Box<TsReader<R>>),
}

impl<R: Read + Seek> PartReader<R> {
    pub(super) fn open(reader: R) -> Result<Self, Fault> {
        let mut file = SegmentReader::new(reader)?;
        let mut head = Vec::new();
        file.read_at(0, file.len().min(HEAD_BYTES) as usize, &mut head)?;
        if head.is_empty() {
            return Err(Fault::Empty);
        }
        if Mp4Reader::<R>::recognises(&head) {
            return Ok(Self::Mp4(Box::new(Mp4Reader::open(file)?)));
        }
        if TsReader::<R>::recognises(&head) {
            return Ok(Self::Ts(Box::new(TsReader::open(file)?)));
        }
        Err(Fault::NotVideo)
    }

    pub(super) fn tracks(&self) -> &Tracks {
        match self {
            Self::Mp4(reader) => reader.tracks(),
            Self::Ts(reader) => reader.tracks(),
        }
    }

    /// The next sample in the order of the file; each track's decoding times never fall.
    pub(super) fn next_sample(&mut self) -> Result<Option<Sample>, Fault> {
        match self {
            Self::Mp4(reader) => reader.next_sample(),
            Self::Ts(reader) => reader.next_sample(),
        }
    }

    /// The bytes of the sample that came last, video with NAL unit lengths.
    pub(super) fn read(&mut self, sample: &Sample, data: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Mp4(reader) => reader.read(sample, data),
            Self::Ts(reader) => {
                reader.read(data);
                Ok(())
            }
        }
    }
}

/// Reads at any place, without losing the buffer where places follow each other.
pub(super) struct SegmentReader<R> {
    inner: BufReader<R>,
    position: u64,
    len: u64,
}

impl<R: Read + Seek> SegmentReader<R> {
    /// Large enough that a sequential copy isn't dominated by system calls.
    const BUFFER_BYTES: usize = 128 << 10;

    fn new(mut reader: R) -> Result<Self, Fault> {
        let len = reader.seek(SeekFrom::End(0))?;
        reader.rewind()?;
        Ok(Self { inner: BufReader::with_capacity(Self::BUFFER_BYTES, reader), position: 0, len })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether `size` bytes from `position` lie within the file.
    pub(super) fn holds(&self, position: u64, size: u64) -> bool {
        position.checked_add(size).is_some_and(|end| end <= self.len)
    }

    /// Fills `data` with exactly `size` bytes; the caller has bounded `size`.
    pub(super) fn read_at(&mut self, position: u64, size: usize, data: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.holds(position, size as u64) {
            return Err(Fault::Truncated);
        }
        let step =
            i64::try_from(i128::from(position) - i128::from(self.position)).map_err(|_| Fault::Truncated)?;
        self.inner.seek_relative(step)?;
        // Unknown until the read has succeeded; a failed reader is not used again.
        self.position = position + size as u64;
        data.resize(size, 0);
        self.inner.read_exact(data).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Changed,
            _ => Fault::Read(error),
        })
    }
}
