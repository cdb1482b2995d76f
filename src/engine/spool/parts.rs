//! The parts of a capture's directory, by their names. What has another name, or is no file, is a stray.

use super::{Entry, EntryKind, LostReason};
use crate::wire::segment_name::Container;

/// What an entry of a capture's directory is to the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The capture's identity.
    Id,
    /// The mark that it has ended.
    Closed,
    /// Work that was cut off.
    Unfinished,
    /// Something of the segment with this number and ending.
    OfSegment((u32, Container), Trace),
}

/// What an entry tells of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    Contents,
    Record,
    Url,
    Sent,
    Lost(LostReason),
}

/// What the directory holds of one segment.
#[derive(Clone, Copy, Default)]
pub struct Traces {
    pub contents: bool,
    pub url: bool,
    pub sent: bool,
    pub lost: Option<LostReason>,
}

impl Part {
    /// `None` for a stray.
    pub fn of(entry: &Entry) -> Option<Part> {
        if entry.kind != EntryKind::File {
            return None;
        }
        if let Some(name) = entry.name.strip_prefix('.') {
            let (_, ending) = segment(name)?;
            return matches!(ending, Some("tmp" | "from")).then_some(Part::Unfinished);
        }
        match entry.name.as_str() {
            "id" => Some(Part::Id),
            "closed" => Some(Part::Closed),
            name => {
                let (segment, ending) = segment(name)?;
                Some(Part::OfSegment(segment, Trace::of(ending)?))
            }
        }
    }
}

impl Trace {
    fn of(ending: Option<&str>) -> Option<Trace> {
        match ending {
            None => Some(Trace::Contents),
            Some("from") => Some(Trace::Record),
            Some("tus") => Some(Trace::Url),
            Some("sent") => Some(Trace::Sent),
            Some(word) => LostReason::ALL.into_iter().find(|reason| reason.as_str() == word).map(Trace::Lost),
        }
    }
}

impl Traces {
    pub fn add(&mut self, trace: Trace) {
        match trace {
            Trace::Contents => self.contents = true,
            Trace::Record => {}
            Trace::Url => self.url = true,
            Trace::Sent => self.sent = true,
            Trace::Lost(reason) => self.lost = Some(reason),
        }
    }
}

/// The segment that a name begins with, and what follows; only as we write it: no sign, no leading zero.
fn segment(name: &str) -> Option<((u32, Container), Option<&str>)> {
    let mut parts = name.splitn(3, '.');
    let (number, container) = (parts.next()?, parts.next()?);
    let seg_no: u32 = number.parse().ok().filter(|seg_no: &u32| seg_no.to_string() == number)?;
    let container =
        Container::of_path(&format!(".{container}")).filter(|known| known.as_str() == container)?;
    Some(((seg_no, container), parts.next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, kind: EntryKind) -> Option<Part> {
        Part::of(&Entry { name: name.to_owned(), kind })
    }

    #[test]
    fn each_name_that_the_spool_writes_is_a_part() {
        let segment = (7, Container::Mp4);
        let of_segment = |trace| Some(Part::OfSegment(segment, trace));
        for (name, expected) in [
            ("id", Some(Part::Id)),
            ("closed", Some(Part::Closed)),
            (".7.mp4.tmp", Some(Part::Unfinished)),
            (".7.mp4.from", Some(Part::Unfinished)),
            ("7.mp4", of_segment(Trace::Contents)),
            ("7.mp4.from", of_segment(Trace::Record)),
            ("7.mp4.tus", of_segment(Trace::Url)),
            ("7.mp4.sent", of_segment(Trace::Sent)),
            ("7.mp4.evicted", of_segment(Trace::Lost(LostReason::Evicted))),
        ] {
            assert_eq!(part(name, EntryKind::File), expected, "{name}");
            assert_eq!(part(name, EntryKind::Dir), None, "{name}/");
        }
    }

    #[test]
    fn other_names_are_strays() {
        for name in [
            "",
            ".",
            "ID",
            ".id",
            ".7.mp4",
            ".7.mp4.sent",
            "07.mp4",
            "+7.mp4",
            "7.avi",
            "7.mp4.",
            "7.mp4.bak",
        ] {
            assert_eq!(part(name, EntryKind::File), None, "{name}");
        }
    }
}
