//! The spool: captures that the board still owes the cloud, as a directory.
//!
//! ```text
//! spool/1529842538.pir/       one directory a capture; a second one of the same name is 1529842538.pir.2
//!     id                      its identity, 16 hex digits, made with the directory
//!     closed                  it has ended, and all its names are durable; not synced itself
//!     0.mp4                   a segment that is owed: a hard link to the camera's file, or a copy
//!     0.mp4.from              its record, one line of JSON: source, size, time of change, SHA-256
//!     0.mp4.tus               of an upload that lasts: where it was made, its URL, the segment's digest: a hint
//!     1.mp4.sent              the record of a segment that the server confirmed
//!     2.mp4.evicted           the record of one that will never be sent: .refused, .evicted or .missing
//! refused/                    what the server refused for good: NAME.N.mp4 and NAME.N.mp4.why; and strays, put aside
//!                             as stray.NAME, which are never removed
//! alarms                      owed alarms, one line of JSON each
//! lost.log, lost.log.1        the loss ledger: one line for each segment or alarm given up
//! state.json                  what the cloud last said
//! ```
//!
//! A name of ours that begins with a dot is unfinished work; a start removes it. A capture that can't be read stays where
//! it is, and is looked for again. Three orders make the rest safe at any instant, whatever subset of unsynced changes
//! survives:
//!
//! 1. A segment is whole, and its record durable, before it gets its name (`keep`). So a segment
//!    without a record was never acknowledged, and may be kept; a record without a segment was not either, and
//!    may go.
//! 2. The record becomes `.sent`, or what befell the segment, durably, before the segment goes (`settle`). That
//!    is a change of names alone, so that it works on a full disk.
//! 3. A capture's directory gets a dotted name, durably, before its contents go (`forget`).

mod files;
mod keep;
mod ledger;
mod parts;
mod scan;
mod settle;
mod strays;
mod task;

pub use files::{Entry, EntryKind, Facts, Files, Inode, SourceError, SourceFile};
pub use ledger::{STATE, recall};
pub use scan::{Found, FoundCapture, FoundSegment, Scanned};
pub use task::{Done, Kept, Staged, Task};

use super::camera::Remembered;
use crate::wire::{Sha256, Trigger, segment_name::Container};
use serde::{Deserialize, Serialize};
use std::{fmt, io, str::FromStr};

/// The directory of captures.
pub const SPOOL: &str = "spool";
/// The directory of what the server refused.
pub const REFUSED: &str = "refused";
/// The state directory itself.
const HERE: &str = ".";
/// What the name of a capture's directory begins with that is owed no longer.
const GONE: &str = ".gone.";

/// A capture's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureName {
    /// When it began, in seconds since 1970 by the board's clock.
    pub timestamp: u64,
    /// What made the camera record.
    pub trigger: Trigger,
    /// 1, or more where a capture of the same time and trigger was there already.
    pub ordinal: u32,
}

/// A segment's place in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its capture.
    pub capture: CaptureName,
    /// Its number.
    pub seg_no: u32,
    /// Its ending.
    pub container: Container,
}

/// A segment's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The camera's own path, as the source wrote it; empty where it is not known.
    pub path: String,
    /// The camera's own file, as it was then.
    pub source: SourceFile,
    /// Size.
    pub bytes: u64,
    /// Last change of the spool's file, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Digest of its contents.
    pub sha256: Sha256,
}

/// Where a segment's upload was made, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadHint {
    /// The URL that made it. Another one knows nothing of it.
    pub made_at: String,
    /// The upload.
    pub url: String,
    /// What is uploaded there: a file that was changed since has nothing to do with it.
    pub sha256: Sha256,
}

/// Why a segment will never be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// The server refused it for good.
    Refused,
    /// The spool was full.
    Evicted,
    /// Its file vanished.
    Missing,
}

impl LostReason {
    /// Every reason.
    pub const ALL: [LostReason; 3] = [LostReason::Refused, LostReason::Evicted, LostReason::Missing];

    /// The word in the loss ledger, in a capture's end and in a record's name.
    pub fn as_str(self) -> &'static str {
        match self {
            LostReason::Refused => "refused",
            LostReason::Evicted => "evicted",
            LostReason::Missing => "missing",
        }
    }
}

/// The disk's side of the spool: carries out tasks on a file system.
pub struct Spool<F: Files> {
    files: F,
    staged: Option<keep::Held<F::File>>,
    doubts: keep::Doubts,
    /// Whether the directories are there, durably.
    is_rooted: bool,
}

impl<F: Files> Spool<F> {
    /// A spool on this file system.
    pub fn new(files: F) -> Spool<F> {
        Spool { files, staged: None, doubts: keep::Doubts::default(), is_rooted: false }
    }

    /// Makes the directories durable: what is in them is only as safe as their own names.
    fn root(&mut self) -> io::Result<()> {
        if !self.is_rooted {
            for dir in [SPOOL, REFUSED] {
                make_dir_if_absent(&mut self.files, dir)?;
            }
            self.files.sync_dir(HERE)?;
            self.is_rooted = true;
        }
        Ok(())
    }

    /// Carries out one task.
    pub fn perform(&mut self, task: Task) -> Done {
        let files = &mut self.files;
        match task {
            Task::Stage { path } => Done::Staged(keep::stage(files, &path, &mut self.doubts).map(|held| {
                let staged = held.staged;
                self.staged = Some(held);
                staged
            })),
            Task::Keep { place, new_capture, copy } => {
                let held = self.staged.take().expect("the engine keeps only what it has staged");
                let rooted = self.root();
                Done::Kept(rooted.and_then(|()| keep::keep(&mut self.files, held, place, new_capture, copy)))
            }
            Task::Repeat { capture } => {
                self.staged = None;
                let rooted = self.root();
                Done::Repeated(rooted.and_then(|()| keep::sync_names(&mut self.files, capture)))
            }
            Task::Unstage => {
                self.staged = None;
                Done::Unstaged
            }
            Task::Close { capture } => {
                let closed = settle::close(files, capture);
                Done::Settled(strays::make_way(files, capture, closed))
            }
            Task::NoteUrl { place, hint } => {
                let noted = settle::note_url(files, place, hint.as_ref());
                Done::Settled(strays::make_way(files, place.capture, noted))
            }
            Task::Rehash { place } => {
                let hashed = keep::rehash(files, place, &mut self.doubts);
                Done::Rehashed(strays::make_way(files, place.capture, hashed))
            }
            Task::Confirm { place } => {
                let confirmed = settle::confirm(files, place);
                Done::Settled(strays::make_way(files, place.capture, confirmed))
            }
            Task::Lose { place, reason, why, unix } => {
                let rooted = self.root();
                let mut refused = None;
                let files = &mut self.files;
                let lost = rooted.and_then(|()| settle::lose(files, place, reason, &why, unix, &mut refused));
                Done::Lost { refused, result: strays::make_way(files, place.capture, lost) }
            }
            Task::Forget { capture, delete_sources } => {
                let mut problems = Vec::new();
                let result = settle::forget(files, capture, delete_sources, &mut problems);
                Done::Forgotten { problems, result }
            }
            Task::DropRefused { path, unix } => Done::Settled(settle::drop_refused(files, &path, unix)),
            Task::AddAlarm(alarm) => Done::AlarmAdded(ledger::add_alarm(files, &alarm)),
            Task::SetAlarms { owed, given_up, unix } => {
                Done::Settled(ledger::set_alarms(files, &owed, &given_up, unix))
            }
            Task::Remember(remembered) => Done::Settled(ledger::remember(files, &remembered)),
            Task::Rescan { known, seed } => {
                Done::Rescanned(scan::scan(files, &mut self.doubts, &known, seed))
            }
            Task::Weigh { captures } => Done::Weighed(settle::weigh(files, &captures)),
        }
    }
}

impl fmt::Display for CaptureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.trigger {
            Trigger::Pir => "pir",
            Trigger::Request => "cap",
        };
        write!(f, "{}.{word}", self.timestamp)?;
        match self.ordinal {
            1 => Ok(()),
            ordinal => write!(f, ".{ordinal}"),
        }
    }
}

impl FromStr for CaptureName {
    type Err = ();

    /// Takes only what `Display` writes.
    fn from_str(name: &str) -> Result<CaptureName, ()> {
        let mut parts = name.split('.');
        let (timestamp, trigger) = (parts.next().ok_or(())?, parts.next().ok_or(())?);
        let ordinal = parts.next().map_or(Ok(1), |ordinal| ordinal.parse().map_err(drop))?;
        let trigger = match trigger {
            "pir" => Trigger::Pir,
            "cap" => Trigger::Request,
            _ => return Err(()),
        };
        let parsed = CaptureName { timestamp: timestamp.parse().map_err(drop)?, trigger, ordinal };
        if parsed.to_string() == name { Ok(parsed) } else { Err(()) }
    }
}

impl CaptureName {
    /// The capture's directory.
    pub fn dir(self) -> String {
        format!("{SPOOL}/{self}")
    }

    /// The directory, once it is owed no longer.
    fn gone(self) -> String {
        format!("{SPOOL}/{GONE}{self}")
    }

    /// The mark that it has ended.
    fn closed(self) -> String {
        format!("{}/closed", self.dir())
    }
}

impl Place {
    /// The segment's file.
    pub fn file(self) -> String {
        format!("{}/{}", self.capture.dir(), self.base())
    }

    /// Its file, once the server has refused it.
    pub fn refused(self) -> String {
        format!("{REFUSED}/{}.{}", self.capture, self.base())
    }

    /// A file beside it.
    fn beside(self, ending: &str) -> String {
        format!("{}.{ending}", self.file())
    }

    /// The unfinished file that becomes it.
    fn unfinished(self) -> String {
        format!("{}/.{}.tmp", self.capture.dir(), self.base())
    }

    /// Its file name.
    fn base(self) -> String {
        format!("{}.{}", self.seg_no, self.container.as_str())
    }
}

fn make_dir_if_absent<F: Files>(files: &mut F, path: &str) -> io::Result<()> {
    match files.make_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Success where the thing was not there anyway.
fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What can be read, or `None` where it is absent or damaged for good. A disk that fails for the moment is an
/// error: what it holds may be whole.
fn if_whole<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A small file, durable and whole under its name once the directory is synced.
fn write_whole<F: Files>(files: &mut F, path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = files.create(path)?;
    files.write(&mut file, bytes)?;
    files.sync(&file)
}

/// The text of a small file; what is longer than `limit`, or no text, is damaged.
fn read_text<F: Files>(files: &mut F, path: &str, limit: usize) -> io::Result<String> {
    let damaged = |error: &dyn fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let bytes = read_bytes(files, path, limit).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => damaged(&error),
        _ => error,
    })?;
    String::from_utf8(bytes).map_err(|error| damaged(&error))
}

/// The contents of a file of at most so many bytes.
fn read_bytes<F: Files>(files: &mut F, path: &str, limit: usize) -> io::Result<Vec<u8>> {
    let mut file = files.open(path)?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = files.read(&mut file, &mut buffer)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..count]);
        if bytes.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captures_name_comes_back_and_no_other_is_taken() {
        for name in ["1529842538.pir", "35.cap.2", "1.pir.10"] {
            assert_eq!(name.parse::<CaptureName>().unwrap().to_string(), name);
        }
        for name in ["", "pir", "35.pir.1", "035.pir", "+35.pir", "35.pir.2.3", "35.req", "35.pir.02"] {
            assert!(name.parse::<CaptureName>().is_err(), "{name}");
        }
    }
}
