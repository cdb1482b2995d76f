//! Why a capture can't be joined, in words for the person who reads them beside the capture.

use std::fmt;
use std::io;

/// What ended a join. Its text is shown to people as the reason why a capture is broken.
#[derive(Debug)]
pub enum JoinError {
    /// No part was given.
    NoParts,
    /// A part can't be used as it is.
    Part {
        /// The part's segment number.
        seg_no: u32,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Two parts are fine alone and can't be one video.
    Mismatch {
        /// The part that differs.
        seg_no: u32,
        /// The first part, which sets the measure.
        first: u32,
        /// In what they differ.
        difference: Difference,
    },
    /// The joined video would leave the bounds of the MP4 format.
    TooLong,
    /// The joined file couldn't be written.
    Write(io::Error),
}

/// What is wrong with one segment file.
#[derive(Debug)]
pub enum Fault {
    /// It holds no byte.
    Empty,
    /// Its first bytes are neither MP4's nor MPEG-TS'.
    NotVideo,
    /// An MP4 file whose index was never written.
    NoMoov,
    /// It holds no video that can be joined, or not one frame of it.
    NoVideo,
    /// A finished index that names bytes beyond the end of the file.
    Truncated,
    /// Its structure contradicts itself; the text says where.
    Malformed(String),
    /// Sound, but of a kind that is not joined; the text says which.
    Unsupported(String),
    /// It was another file when it was read for the second time.
    Changed,
    /// It couldn't be read.
    Read(io::Error),
}

/// In what a part differs from the first one: first the part's, then the first part's value.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// The video codec's name.
    Codec(&'static str, &'static str),
    /// Width and height in pixels.
    Resolution((u16, u16), (u16, u16)),
    /// Bytes of a NAL unit's length field.
    LengthSize(usize, usize),
    /// A description of the audio's format.
    Audio(String, String),
}

impl JoinError {
    /// Whether the segments themselves are the reason: trying again gives the same answer.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Part { fault: Fault::Read(_) | Fault::Changed, .. } | Self::Write(_) => false,
            Self::Part { .. } | Self::Mismatch { .. } | Self::NoParts | Self::TooLong => true,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoParts => write!(f, "the capture holds no segment"),
            Self::Part { seg_no, fault } => write!(f, "segment {seg_no} {fault}"),
            Self::Mismatch { seg_no, first, difference } => match difference {
                Difference::Codec(part, other) => {
                    write!(f, "segment {seg_no} is {part} while segment {first} is {other}")
                }
                Difference::Resolution((w, h), (fw, fh)) => {
                    write!(f, "segment {seg_no} is {w}x{h} while segment {first} is {fw}x{fh}")
                }
                Difference::LengthSize(part, other) => write!(
                    f,
                    "segment {seg_no} has NAL unit lengths of {part} bytes while segment {first} has {other}"
                ),
                Difference::Audio(part, other) => {
                    write!(f, "segment {seg_no} has {part} audio while segment {first} has {other}")
                }
            },
            Self::TooLong => write!(f, "the joined video is too long for one MP4 file"),
            Self::Write(error) => write!(f, "the joined file can't be written: {error}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "is empty"),
            Self::NotVideo => write!(f, "is not a video file: expected MP4 or MPEG-TS"),
            Self::NoMoov => {
                write!(f, "holds no moov box: the recording was cut off before it was finished")
            }
            Self::NoVideo => write!(f, "holds no H.264 or H.265 frame"),
            Self::Truncated => write!(f, "is cut off: its index names frames beyond the end of the file"),
            Self::Malformed(what) => write!(f, "is damaged: {what}"),
            Self::Unsupported(what) => write!(f, "can't be joined: {what}"),
            Self::Changed => write!(f, "changed while it was being joined"),
            Self::Read(error) => write!(f, "can't be read: {error}"),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Part { fault: Fault::Read(error), .. } | Self::Write(error) => Some(error),
            Self::Part { .. } | Self::Mismatch { .. } | Self::NoParts | Self::TooLong => None,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<shiguredo_mp4::Error> for Fault {
    fn from(error: shiguredo_mp4::Error) -> Self {
        let place = error.box_type.map(|ty| format!("box '{ty}': ")).unwrap_or_default();
        let reason = if error.reason.is_empty() { "it ends too early" } else { &error.reason };
        Self::Malformed(format!("{place}{reason}"))
    }
}
