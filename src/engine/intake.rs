//! Taking segments in, one at a time.
//!
//! ```text
//!            Stage            decide               Keep
//!   Idle ───────────▶ Staging ───────▶ (room?) ─────────▶ Keeping ──▶ acknowledged
//!     ▲                  │              │    ▲               │
//!     │                  │       Weigh, evict│               │
//!     └──── refused ─────┴──────────────┴────┴───────────────┘
//! ```

use super::{
    Engine, Event, Now, Output, SourceId,
    captures::{Placement, Segment},
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
    /// It is known where it goes, but not whether there is room.
    MakingRoom { arrival: Arrival, staged: Staged },
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
}

impl Intake {
    /// Queues a segment.
    pub fn add(&mut self, wanted: Wanted) {
        self.waiting.push_back(wanted);
    }

    /// Whether the disk has none of it.
    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    /// The capture that a segment is on its way into. It must not go meanwhile.
    pub fn target(&self) -> Option<CaptureName> {
        match &self.stage {
            Stage::Idle | Stage::Staging { .. } => None,
            Stage::MakingRoom { arrival, .. } | Stage::Keeping { arrival } => Some(arrival.place.capture),
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
                Err(why) => self.refuse(wanted.source, wanted.ack, Some(&wanted.path), &why),
            }
        }
        self.go_on_making_room(now);
    }

    pub(super) fn staged(&mut self, now: Now, result: Result<Staged, SourceError>) {
        let Stage::Staging { wanted, naming, container } = std::mem::take(&mut self.intake.stage) else {
            unreachable!("the disk answers only what it was asked");
        };
        let staged = match result {
            Ok(staged) => staged,
            Err(error) => {
                return self.refuse(wanted.source, wanted.ack, Some(&wanted.path), &error.to_string());
            }
        };
        let timestamp = naming.timestamp.unwrap_or_else(|| self.pick_time(now, &wanted, naming, &staged));
        match self.captures.place(naming.trigger, timestamp, naming.seg_no, staged.sha256) {
            Placement::Repeat(capture, seg_no) => {
                self.outputs.push_back(Output::Disk(Task::Unstage));
                self.hold(wanted.source, capture);
                self.tell(Event::Repeated(Place { capture, seg_no, container }));
                self.acknowledge(&wanted, Place { capture, seg_no, container }, true);
            }
            placement @ (Placement::Join(capture, seg_no) | Placement::Begin(capture, seg_no)) => {
                let new_capture = matches!(placement, Placement::Begin(..)).then(|| self.rng.id());
                let arrival = Arrival {
                    wanted,
                    place: Place { capture, seg_no, container },
                    new_capture,
                    time_was_picked: naming.timestamp.is_none(),
                };
                self.make_room(now, arrival, staged);
            }
        }
    }

    /// There is room: the staged file becomes a segment.
    pub(super) fn keep(&mut self, arrival: Arrival) {
        let Arrival { place, new_capture, .. } = arrival;
        let copy = self.settings.copy;
        self.outputs.push_back(Output::Disk(Task::Keep { place, new_capture, copy }));
        self.intake.stage = Stage::Keeping { arrival };
    }

    /// There is no room, nor can there be.
    pub(super) fn turn_away(&mut self, arrival: &Arrival, why: &str) {
        self.outputs.push_back(Output::Disk(Task::Unstage));
        let Wanted { source, path, ack, .. } = &arrival.wanted;
        self.refuse(*source, *ack, Some(path), why);
    }

    /// The arrival waits until there is room.
    pub(super) fn wait_for_room(&mut self, arrival: Arrival, staged: Staged) {
        self.intake.stage = Stage::MakingRoom { arrival, staged };
    }

    /// The arrival that waits for room.
    pub(super) fn resume_arrival(&mut self) -> Option<(Arrival, Staged)> {
        match std::mem::take(&mut self.intake.stage) {
            Stage::MakingRoom { arrival, staged } => Some((arrival, staged)),
            other => {
                self.intake.stage = other;
                None
            }
        }
    }

    pub(super) fn kept(&mut self, now: Now, result: io::Result<Kept>) {
        let Stage::Keeping { arrival } = std::mem::take(&mut self.intake.stage) else {
            unreachable!("the disk answers only what it was asked");
        };
        let Arrival { wanted, place, new_capture, time_was_picked } = arrival;
        let kept = match result {
            Ok(kept) => kept,
            Err(error) => {
                // A receipt that came meanwhile was not taken: have it sent again.
                if let Some(capture) = self.captures.at_mut(place.capture) {
                    capture.end_said = None;
                }
                // Whatever the disk has under that name now, no other capture may have it.
                if new_capture.is_some() {
                    self.captures.reserve(place.capture);
                    self.look_again(now);
                    if error.kind() == io::ErrorKind::AlreadyExists {
                        return self.intake.waiting.push_front(wanted);
                    }
                }
                let why = format!("it can't be kept: {error}");
                return self.refuse(wanted.source, wanted.ack, Some(&wanted.path), &why);
            }
        };
        if let Some(id) = new_capture {
            self.captures.begin(place.capture, id);
        }
        let capture =
            self.captures.at_mut(place.capture).expect("a capture stays while a segment is placed in it");
        let was_open = capture.is_open();
        capture.add(Segment::new(place.seg_no, place.container, kept));
        self.hold(wanted.source, place.capture);
        if let Some(source) = self.sources.at_mut(wanted.source) {
            source.time_was_picked = time_was_picked;
        }
        if !was_open && new_capture.is_none() {
            self.chores.add(Task::Mark { capture: place.capture, closed: false });
        }
        self.tell(Event::Kept { place, bytes: kept.bytes });
        self.announce_segment(place);
        self.acknowledge(&wanted, place, false);
    }

    fn acknowledge(&mut self, wanted: &Wanted, place: Place, repeated: bool) {
        let capture = self.captures.at(place.capture).map(|capture| capture.id);
        let reply = wanted.ack.then(|| Reply {
            ok: true,
            capture,
            trigger_timestamp: Some(place.capture.timestamp),
            seg_no: Some(place.seg_no),
            repeated,
            ..Reply::default()
        });
        self.settle_message(wanted.source, reply);
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
        match self.captures.place(naming.trigger, wish, naming.seg_no, staged.sha256) {
            Placement::Repeat(..) => wish,
            Placement::Join(..) | Placement::Begin(..) => self.captures.free_second(naming.trigger, wish),
        }
    }
}

/// Whose segment it is: by the message where that tells, else by the file's name.
fn identify(wanted: &Wanted) -> Result<(Naming, Container), String> {
    match wanted.naming {
        None => {
            let name = SegmentName::of_path(&wanted.path).map_err(|error| {
                format!(
                    "{error}; or hand it over with \"trigger\" in the message (cloudtalker send --name pir)"
                )
            })?;
            Ok((Naming::of_name(name), name.container))
        }
        Some(naming) => {
            let container = Container::of_path(&wanted.path);
            Ok((naming, container.ok_or("expected a file that ends in .mp4 or .ts")?))
        }
    }
}
