//! File names that carry a segment's identity:
//! `<pir|cap>.<utc seconds of the capture>.<segment number>.<mp4|ts>`.
//!
//! `pir` is the trigger [`Trigger::Pir`], `cap` is [`Trigger::Request`]. The time is that of the whole
//! capture, not of the segment, and 0 is no time.

use super::{Trigger, shortened};
use std::{fmt, str::FromStr};

/// The parsed name of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// What made the camera record.
    pub trigger: Trigger,
    /// When the capture began, in seconds since 1970 by the camera's clock; never 0.
    pub timestamp: u64,
    /// Place of the segment within its capture.
    pub seg_no: u32,
    /// How the video is packed.
    pub container: Container,
}

/// How a segment's video is packed, as its file name's ending says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Container {
    /// `.mp4`, progressive or fragmented.
    Mp4,
    /// `.ts`, an MPEG transport stream.
    Ts,
}

/// Why a file name is off the scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameError {
    /// The path ends in no file name that is text.
    NoName,
    /// Not four parts between three dots.
    Parts,
    /// The first part is neither `pir` nor `cap`.
    Trigger(String),
    /// The second part is no number of seconds.
    Timestamp(String),
    /// The second part is 0.
    ZeroTimestamp,
    /// The third part is no segment number.
    SegNo(String),
    /// The ending is neither `mp4` nor `ts`.
    Container(String),
}

impl SegmentName {
    /// Reads the last component of a path.
    pub fn of_path(path: &str) -> Result<SegmentName, NameError> {
        match path.rsplit('/').next() {
            None | Some("" | "." | "..") => Err(NameError::NoName),
            Some(name) => name.parse(),
        }
    }
}

impl Container {
    /// The file name's ending, without its dot.
    pub fn as_str(self) -> &'static str {
        match self {
            Container::Mp4 => "mp4",
            Container::Ts => "ts",
        }
    }

    /// The container that a file name's ending stands for, if it is one of ours.
    pub fn of_path(path: &str) -> Option<Container> {
        path.rsplit_once('.').and_then(|(_, ending)| Container::from_ending(ending))
    }

    fn from_ending(ending: &str) -> Option<Container> {
        match ending {
            "mp4" => Some(Container::Mp4),
            "ts" => Some(Container::Ts),
            _ => None,
        }
    }
}

impl FromStr for SegmentName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<SegmentName, NameError> {
        let parts: Vec<&str> = name.splitn(5, '.').collect();
        let &[trigger, timestamp, seg_no, ending] = parts.as_slice() else { return Err(NameError::Parts) };
        let trigger = match trigger {
            "pir" => Trigger::Pir,
            "cap" => Trigger::Request,
            other => return Err(NameError::Trigger(shortened(other))),
        };
        let seconds = number::<u64>(timestamp).ok_or_else(|| NameError::Timestamp(shortened(timestamp)))?;
        if seconds == 0 {
            return Err(NameError::ZeroTimestamp);
        }
        Ok(SegmentName {
            trigger,
            timestamp: seconds,
            seg_no: number(seg_no).ok_or_else(|| NameError::SegNo(shortened(seg_no)))?,
            container: Container::from_ending(ending)
                .ok_or_else(|| NameError::Container(shortened(ending)))?,
        })
    }
}

/// Digits alone: `parse` would take a sign as well.
fn number<T: FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.trigger {
            Trigger::Pir => "pir",
            Trigger::Request => "cap",
        };
        write!(f, "{prefix}.{}.{}.{}", self.timestamp, self.seg_no, self.container.as_str())
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SCHEME: &str = "expected <pir|cap>.<utc seconds>.<segment number>.<mp4|ts>";
        match self {
            NameError::NoName => write!(f, "{SCHEME}, but the path ends in no file name"),
            NameError::Parts => write!(f, "{SCHEME}, but there are not four parts"),
            NameError::Trigger(word) => write!(f, "{SCHEME}, but it begins with {word:?}"),
            NameError::Timestamp(word) => write!(f, "{SCHEME}, but {word:?} is no number of seconds"),
            NameError::ZeroTimestamp => {
                write!(f, "{SCHEME}, but timestamp 0 is no time: set the clock or count from 1")
            }
            NameError::SegNo(word) => write!(f, "{SCHEME}, but {word:?} is no segment number"),
            NameError::Container(word) => write!(f, "{SCHEME}, but it ends in {word:?}"),
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back() {
        for name in ["pir.1529842538.0.mp4", "cap.35.17.ts", "pir.1.4294967295.mp4"] {
            assert_eq!(name.parse::<SegmentName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn only_the_last_component_counts() {
        let name = SegmentName::of_path("/tmp/a.b.c.d/cap.5.1.mp4").unwrap();
        assert_eq!((name.trigger, name.timestamp, name.seg_no), (Trigger::Request, 5, 1));
    }

    #[test]
    fn each_fault_is_named() {
        for (name, error) in [
            ("", NameError::NoName),
            ("a/..", NameError::NoName),
            ("foo.mp4", NameError::Parts),
            ("pir.1.2.mp4.part", NameError::Parts),
            ("Pir.1.2.mp4", NameError::Trigger("Pir".into())),
            ("pir.abc.0.mp4", NameError::Timestamp("abc".into())),
            ("pir.+1.0.mp4", NameError::Timestamp("+1".into())),
            ("pir..0.mp4", NameError::Timestamp(String::new())),
            ("pir.99999999999999999999.0.mp4", NameError::Timestamp("99999999999999999999".into())),
            ("pir.0.0.mp4", NameError::ZeroTimestamp),
            ("pir.1.-1.mp4", NameError::SegNo("-1".into())),
            ("pir.1.4294967296.mp4", NameError::SegNo("4294967296".into())),
            ("pir.1.0.avi", NameError::Container("avi".into())),
        ] {
            assert_eq!(SegmentName::of_path(name), Err(error), "{name}");
        }
    }
}
