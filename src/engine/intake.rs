//! Taking segments in, one at a time.
//!
//! ```text
//!            Stage            decide            Keep
//!   Idle ───────────▶ Staging ───────▶ (room?) ──────▶ Keeping ──▶ acknowledged
//!     ▲                  │  │           │    ▲            │
//!     │                  │  └▶Repeating Weighing,         │
//!     │                  │      │       MakingRoom        │
//!     └──── refused ─────┴──────┴───────┴─────────────────┘
//! ```

use super::{
    Engine, Event, Now, Output, SourceId,
    capture::Segment,
    captures::Placement,
    spool::{CaptureName, Kept, Place, SourceError, Staged, Task},
};
use crate::wire::{
    Id,
    input::{Naming, Reply},
    segment_name::{Container, SegmentName},
};
use std::{collections::VecDeque, io};

/// A segment that a source wants to be taken in.
#[derive(Debug)]
pub struct Wanted {
    /// Who wants it.
    pub source: SourceId,
    /// The file, as the source wrote it.
    pub path: String,
    /// Its identity, where its name does not tell it.
    pub naming: Option<Naming>,
    /// Whether the source waits for word of it.
    pub ack: bool,
    /// Its size, where a copy of it has found the disk full.
    pub copy_bytes: Option<u64>,
}

/// Segments on their way into the spool. There is one a source at most, and the disk has one of them at a time.
#[derive(Debug, Default)]
pub struct Intake {
    waiting: VecDeque<Wanted>,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    /// The file is being opened, synced and hashed.
    Staging { wanted: Wanted, naming: Naming, container: Container },
    /// It is here already: the names of what is here are being made durable.
    Repeating { wanted: Wanted, place: Place, time_was_picked: bool },
    /// It is known where it goes, but not what the disk would win by giving others up.
    Weighing { arrival: Arrival, staged: Staged },
    /// Others are being given up.
    MakingRoom { arrival: Arrival },
    /// It is being made a segment.
    Keeping { arrival: Arrival },
}

/// A segment whose place is decided.
#[derive(Debug)]
pub struct Arrival {
    wanted: Wanted,
    /// Where it goes.
    pub place: Place,
    new_capture: Option<Id>,
    time_was_picked: bool,
    bytes: u64,
}

impl Arrival {
    /// What a copy of it takes, where one was found to be needed.
    pub fn copy_bytes(&self) -> u64 {
        self.wanted.copy_bytes.unwrap_or(0)
    }
}

impl Intake {
    /// Queues a segment.
    pub fn add(&mut self, wanted: Wanted) {
        self.waiting.push_back(wanted);
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the disk has none of it.
    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    /// The capture that a segment is on its way into. It must not go meanwhile.
    pub fn target(&self) -> Option<CaptureName> {
        match &self.stage {
            Stage::Idle | Stage::Staging { .. } => None,
            Stage::Repeating { place, .. } => Some(place.capture),
            Stage::Weighing { arrival, .. } | Stage::MakingRoom { arrival } | Stage::Keeping { arrival } => {
                Some(arrival.place.capture)
            }
        }
    }
}

impl Engine {
    /// Begins with the next segment, if none is under way.
    pub(super) fn take_in(&mut self, now: Now) {
        while self.intake.is_idle() && !self.stopping {
            let Some(wanted) = self.intake.waiting.pop_front() else { return };
            match identify(&wanted) {
                Ok((naming, container)) => {
                    self.outputs.push_back(Output::Disk(Task::Stage { path: wanted.path.clone() }));
                    self.intake.stage = Stage::Staging { wanted, naming, container };
                }
                Err(why) => self.refuse(now, wanted.source, wanted.ack, Some(&wanted.path), &why),
            }
        }
        self.go_on_making_room();
    }

    pub(super) fn staged(&mut self, now: Now, result: Result<Staged, SourceError>) {
        let Stage::Staging { wanted, naming, container } = std::mem::take(&mut self.intake.stage) else {
            unreachable!("the disk answers only what it was asked");
        };
        let staged = match result {
            Ok(staged) => staged,
            Err(error) => {
                if let SourceError::NoSpool(error) = &error {
                    self.intake_failed(now, error);
                }
                return self.refuse(now, wanted.source, wanted.ack, Some(&wanted.path), &error.to_string());
            }
        };
        let timestamp = naming.timestamp.unwrap_or_else(|| self.pick_time(now, &wanted, naming, &staged));
        match self.place(naming, timestamp, &staged) {
            Placement::Repeat(capture, seg_no) => {
                self.outputs.push_back(Output::Disk(Task::Repeat { capture }));
                let (place, time_was_picked) =
                    (Place { capture, seg_no, container }, naming.timestamp.is_none());
                self.intake.stage = Stage::Repeating { wanted, place, time_was_picked };
            }
            placement @ (Placement::Join(capture, seg_no) | Placement::Begin(capture, seg_no)) => {
                let new_capture = matches!(placement, Placement::Begin(..)).then(|| self.rng.id());
                let arrival = Arrival {
                    wanted,
                    place: Place { capture, seg_no, container },
                    new_capture,
                    time_was_picked: naming.timestamp.is_none(),
                    bytes: staged.bytes,
                };
                self.make_room(now, arrival, staged);
            }
        }
    }

    fn place(&self, naming: Naming, timestamp: u64, staged: &Staged) -> Placement {
        let is_elsewhere = |name| self.room.has_refused_of(name);
        self.captures.place(naming.trigger, timestamp, naming.seg_no, staged.sha256, is_elsewhere)
    }

    /// There is room: the staged file becomes a segment.
    pub(super) fn keep(&mut self, arrival: Arrival) {
        let Arrival { place, new_capture, .. } = arrival;
        let copy = self.settings.copy;
        self.outputs.push_back(Output::Disk(Task::Keep { place, new_capture, copy }));
        self.intake.stage = Stage::Keeping { arrival };
    }

    /// There is no room, nor can there be.
    pub(super) fn turn_away(&mut self, now: Now, arrival: &Arrival, why: &str) {
        self.outputs.push_back(Output::Disk(Task::Unstage));
        let Wanted { source, path, ack, .. } = &arrival.wanted;
        self.refuse(now, *source, *ack, Some(path), why);
    }

    /// The arrival waits until it is known what others weigh.
    pub(super) fn weigh_for(&mut self, arrival: Arrival, staged: Staged) {
        self.intake.stage = Stage::Weighing { arrival, staged };
    }

    /// The arrival that waits for that.
    pub(super) fn resume_weighing(&mut self) -> Option<(Arrival, Staged)> {
        match std::mem::take(&mut self.intake.stage) {
            Stage::Weighing { arrival, staged } => Some((arrival, staged)),
            other => {
                self.intake.stage = other;
                None
            }
        }
    }

    /// The arrival waits until others have gone.
    pub(super) fn wait_for_room(&mut self, arrival: Arrival) {
        self.intake.stage = Stage::MakingRoom { arrival };
    }

    /// The arrival that waits for that.
    pub(super) fn resume_arrival(&mut self) -> Option<Arrival> {
        match std::mem::take(&mut self.intake.stage) {
            Stage::MakingRoom { arrival } => Some(arrival),
            other => {
                self.intake.stage = other;
                None
            }
        }
    }

    pub(super) fn repeated(&mut self, now: Now, result: io::Result<()>) {
        let Stage::Repeating { wanted, place, time_was_picked } = std::mem::take(&mut self.intake.stage)
        else {
            unreachable!("the disk answers only what it was asked");
        };
        if let Err(error) = result {
            // A receipt that came meanwhile was not taken: have it sent again.
            if let Some(capture) = self.captures.at_mut(place.capture) {
                capture.end_said = None;
            }
            let why = format!("it is here already, but may not be safe: {error}");
            return self.refuse(now, wanted.source, wanted.ack, Some(&wanted.path), &why);
        }
        self.hold(now, wanted.source, place.capture, time_was_picked);
        self.tell(Event::Repeated(place));
        self.acknowledge(now, &wanted, place, true);
    }

    pub(super) fn kept(&mut self, now: Now, result: io::Result<Kept>) {
        let Stage::Keeping { arrival } = std::mem::take(&mut self.intake.stage) else {
            unreachable!("the disk answers only what it was asked");
        };
        let Arrival { wanted, place, new_capture, time_was_picked, bytes } = arrival;
        let kept = match result {
            Ok(kept) => kept,
            Err(error) => {
                // A receipt that came meanwhile was not taken: have it sent again.
                if let Some(capture) = self.captures.at_mut(place.capture) {
                    capture.end_said = None;
                    capture.may_hold_more = true;
                }
                // The disk has something under that name, or what a failed attempt could not clean up: no other capture
                // may have it. Else it is free again, or a disk that fails for days would take name after name.
                let is_taken = matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::Other);
                if new_capture.is_some() && is_taken {
                    self.captures.reserve(place.capture);
                    self.look_again(now);
                    if error.kind() == io::ErrorKind::AlreadyExists {
                        return self.intake.waiting.push_front(wanted);
                    }
                }
                // A copy was needed, and the disk is full: once more, with room for it.
                if error.kind() == io::ErrorKind::StorageFull && wanted.copy_bytes.is_none() {
                    let copy_bytes = Some(bytes);
                    return self.intake.waiting.push_front(Wanted { copy_bytes, ..wanted });
                }
                self.intake_failed(now, &error);
                let why = format!("it can't be kept: {error}");
                return self.refuse(now, wanted.source, wanted.ack, Some(&wanted.path), &why);
            }
        };
        self.intake_is_well();
        if let Some(id) = new_capture {
            self.captures.begin(place.capture, id);
        }
        let capture =
            self.captures.at_mut(place.capture).expect("a capture stays while a segment is placed in it");
        capture.add(Segment::new(place.seg_no, place.container, kept));
        self.hold(now, wanted.source, place.capture, time_was_picked);
        self.tell(Event::Kept { place, bytes: kept.bytes });
        self.announce_segment(place);
        self.acknowledge(now, &wanted, place, false);
    }

    fn acknowledge(&mut self, now: Now, wanted: &Wanted, place: Place, repeated: bool) {
        let capture = self.captures.at(place.capture).map(|capture| capture.id);
        let reply = wanted.ack.then(|| Reply {
            ok: true,
            capture,
            trigger_timestamp: Some(place.capture.timestamp),
            seg_no: Some(place.seg_no),
            repeated,
            ..Reply::default()
        });
        self.settle_message(now, wanted.source, reply);
    }

    /// A time for a capture that nobody named one for: the one its source has already, else the file's
    /// time of change, else the next free second.
    fn pick_time(&mut self, now: Now, wanted: &Wanted, naming: Naming, staged: &Staged) -> u64 {
        if let Some(source) = self.sources.at_mut(wanted.source)
            && let Some(capture) = source.capture
            && source.time_was_picked
            && capture.trigger == naming.trigger
        {
            return capture.timestamp;
        }
        let changed = u64::try_from(staged.mtime_ns / 1_000_000_000).unwrap_or(0);
        let wish = if changed == 0 { now.unix.max(1) } else { changed };
        let free = self.captures.free_second(naming.trigger, wish);
        let is_repeat = |second: &u64| matches!(self.place(naming, *second, staged), Placement::Repeat(..));
        (wish..free).find(is_repeat).unwrap_or(free)
    }
}

/// Whose segment it is: by the message where that tells, else by the file's name.
fn identify(wanted: &Wanted) -> Result<(Naming, Container), String> {
    match wanted.naming {
        None => {
            let name = SegmentName::of_path(&wanted.path).map_err(|error| {
                format!("{error}; one of any name is taken with \"trigger\" in its message, as by cloudtalker send --name pir")
            })?;
            Ok((Naming::of_name(name), name.container))
        }
        Some(naming) => {
            let container = Container::of_path(&wanted.path);
            Ok((naming, container.ok_or("expected a file that ends in .mp4 or .ts")?))
        }
    }
}
