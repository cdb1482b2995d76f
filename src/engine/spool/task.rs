//! What the engine asks of the disk, and what came of it.

use super::{super::camera::Remembered, CaptureName, LostReason, Place, Scanned, SourceError, UploadHint};
use crate::wire::{Id, Sha256, cloud::Alarm};
use std::io;

/// What the engine asks of the disk. Tasks are carried out one after the other, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Open, sync and hash the file that a local program named, and hold it.
    Stage {
        /// The path, as the program wrote it.
        path: String,
    },
    /// Make the staged file a segment.
    Keep {
        /// Where.
        place: Place,
        /// The identity of its capture, if that is new.
        new_capture: Option<Id>,
        /// Copy it, even where a link would do.
        copy: bool,
    },
    /// Let go of the staged file, which is here already; make sure of the names of what is here.
    Repeat {
        /// The capture that has it.
        capture: CaptureName,
    },
    /// Let go of the staged file.
    Unstage,
    /// Mark a capture as ended.
    Close {
        /// Which.
        capture: CaptureName,
    },
    /// Note a segment's upload URL, or that it has none any more.
    NoteUrl {
        /// Which.
        place: Place,
        /// Where its upload is.
        hint: Option<UploadHint>,
    },
    /// Hash a segment again that was changed after it was kept.
    Rehash {
        /// Which.
        place: Place,
    },
    /// The server confirmed a segment.
    Confirm {
        /// Which.
        place: Place,
    },
    /// A segment will never be sent.
    Lose {
        /// Which.
        place: Place,
        /// Why, in a word.
        reason: LostReason,
        /// Why, in a line of the ledger.
        why: String,
        /// When, in seconds since 1970.
        unix: u64,
    },
    /// A capture is owed no longer.
    Forget {
        /// Which.
        capture: CaptureName,
        /// Remove the camera's own files of the segments that were sent.
        delete_sources: bool,
    },
    /// Remove a refused segment for want of space.
    DropRefused {
        /// Its path.
        path: String,
        /// When, in seconds since 1970.
        unix: u64,
    },
    /// Add an owed alarm.
    AddAlarm(Alarm),
    /// Owe only these alarms; the ones given up go into the ledger.
    SetAlarms {
        /// What is owed.
        owed: Vec<Alarm>,
        /// What is given up.
        given_up: Vec<Alarm>,
        /// When, in seconds since 1970.
        unix: u64,
    },
    /// Keep what the cloud last said.
    Remember(Remembered),
    /// Look again for captures that a start could not read.
    Rescan {
        /// Those that are known.
        known: Vec<CaptureName>,
        /// For the identity of a capture that a crash left without one.
        seed: u64,
    },
    /// How many bytes the disk would win by giving up each of these captures.
    Weigh {
        /// The captures.
        captures: Vec<Vec<Place>>,
    },
}

/// What came of a task.
#[derive(Debug)]
pub enum Done {
    /// The named file is held.
    Staged(Result<Staged, SourceError>),
    /// The staged file is durable.
    Kept(io::Result<Kept>),
    /// A changed segment's new record.
    Rehashed(io::Result<Kept>),
    /// An alarm is durable.
    AlarmAdded(io::Result<()>),
    /// What was found that was not known.
    Rescanned(Scanned),
    /// Bytes to win, in the order asked.
    Weighed(io::Result<Vec<u64>>),
    /// The names of what was here already are durable.
    Repeated(io::Result<()>),
    /// The staged file was let go.
    Unstaged,
    /// A segment was lost: path and size of what came into `refused/`, even where the rest failed.
    Lost {
        /// What there is to be found, and given up for space.
        refused: Option<(String, u64)>,
        /// How it ended.
        result: io::Result<()>,
    },
    /// A capture's directory is gone.
    Forgotten {
        /// What was in it that was not the spool's, a sentence each.
        problems: Vec<String>,
        /// How it ended.
        result: io::Result<()>,
    },
    /// Any other task.
    Settled(io::Result<()>),
}

/// A file that is held until the engine has decided where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Size.
    pub bytes: u64,
    /// Digest of its contents.
    pub sha256: Sha256,
    /// Last change, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Bytes that the spool may still fill.
    pub free: u64,
}

/// What the spool holds of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Size.
    pub bytes: u64,
    /// Digest of its contents.
    pub sha256: Sha256,
    /// Last change, in nanoseconds since 1970.
    pub mtime_ns: i64,
}
