//! The board: its engine's outputs, carried out with delays and failures.

use super::{World, network::Link, time::Happening};
use crate::{disk::SimFiles, scene::UPLOADS};
use cloudtalker::{
    engine::{
        Engine, Input, Now, Output, Settings, SourceId,
        event::{Event, Level},
        spool::{Done, LostReason, Spool, Task},
        uploads::Request,
    },
    wire::{Sha256, command::Command, input::Request as LocalRequest},
};
use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::Duration,
};

/// Of a small disk.
pub(super) const CAPACITY: u64 = 12_000;
/// What is to stay free of it.
const MIN_FREE: u64 = 3_000;

/// What one takes on a bad memory card.
const SLOW_SYNC: Duration = Duration::from_secs(5);

/// When the agent was built, in 2023.
const EARLIEST: u64 = 1_700_000_000;

/// A board that is switched on.
pub(super) struct Board {
    pub engine: Engine,
    pub deadline: Option<Duration>,
    pub spool: Spool<SimFiles>,
    pub tasks: VecDeque<Task>,
    pub link: Option<Link>,
    pub links: u64,
    pub requests: u64,
    /// The upload request that is under way.
    pub request: Option<(u64, Request)>,
    pub sources: BTreeMap<SourceId, Source>,
    pub next_source: u64,
}

/// A local program on its connection.
pub(super) struct Source {
    pub messages: VecDeque<LocalRequest>,
    /// What waits for an answer.
    pub asked: Option<Asked>,
}

pub(super) enum Asked {
    /// What it was, in which file, and what that file became while nobody had answered.
    Segment(Sha256, u64, BTreeMap<Sha256, Rc<Vec<u8>>>),
    Alarm,
}

impl World {
    pub(super) fn boot(&mut self) {
        self.boots += 1;
        self.files.begin_life();
        let mut spool = Spool::new(self.files.clone());
        let found = spool.start(self.rng.bits());
        if self.files.0.borrow().is_cut {
            return self.crash();
        }
        self.start_wire(&found.remembered);
        let engine = Engine::new(self.clock(), self.rng.bits(), self.settings(), found);
        self.board = Some(Board {
            engine,
            deadline: None,
            spool,
            tasks: VecDeque::new(),
            link: None,
            links: 0,
            requests: 0,
            request: None,
            sources: BTreeMap::new(),
            next_source: 0,
        });
        self.drain();
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            uploads_elsewhere: self.kind.uploads_elsewhere,
            spool_max: self.kind.tight.then_some(1_500),
            min_free: if self.kind.scarce { MIN_FREE } else { 0 },
            copy: self.kind.copies,
            delete_uploaded: self.kind.deletes_uploaded,
            earliest_time: if self.kind.has_a_calendar() { EARLIEST } else { 0 },
            rates: self.rates(),
            monthly_budget: self.monthly_budget(),
            ..Settings::new("cloud:443/", UPLOADS)
        }
    }

    pub(super) fn clock(&self) -> Now {
        Now { mono: self.now, unix: self.clock + self.now.as_secs() }
    }

    pub(super) fn tell(&mut self, input: Input) {
        let now = self.clock();
        self.note(|| format!("in  {input:?}").chars().take(600).collect());
        if let Some(board) = &mut self.board {
            board.engine.handle(now, input);
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(board) = &mut self.board {
            let output = board.engine.poll();
            if let Output::Wait(deadline) = output {
                board.deadline = deadline;
                self.check_pace();
                return self.check_outputs(outputs);
            }
            outputs += 1;
            self.note(|| format!("out {output:?}").chars().take(600).collect());
            self.carry_out(output);
        }
    }

    /// One event brings a few outputs, an end one for each of 64 sources at most, and some for each thing that a session is
    /// told of, or that can't be read.
    fn check_outputs(&mut self, outputs: usize) {
        const FEW: usize = 30 + 64;
        let Some(board) = self.board.as_ref().filter(|_| outputs > FEW) else { return };
        let files = self.files.contents("/spool").len() + self.files.all_contents("/spool").len();
        if outputs > FEW + 3 * (files + board.engine.load().alarms) {
            self.accuse(|| format!("{outputs} outputs for one event"));
        }
    }

    fn carry_out(&mut self, output: Output) {
        let board = self.board.as_mut().unwrap();
        match output {
            Output::Connect => self.connect(),
            Output::Send(message) => self.agent_says(message),
            Output::Ping => self.agent_pings(),
            Output::Disconnect | Output::Close => board.link = None,
            Output::Command(command) => self.command(command),
            Output::Disk(task) => {
                board.tasks.push_back(task);
                if board.tasks.len() == 1 {
                    self.disk_takes_time();
                }
            }
            Output::Upload(request) => self.request(request),
            Output::AbandonUpload => self.abandon_request(),
            Output::Pace(pace) => self.hears_pace(pace),
            Output::Reply(source, line) => self.source_hears(source, &line),
            Output::ReplyLog(_) => {}
            Output::NextMessage(source) => {
                self.happen(Duration::from_millis(1), Happening::SourceGoesOn(source));
            }
            Output::Drop(source) => drop(board.sources.remove(&source)),
            Output::RaiseClockFloor(_) => {}
            Output::Event(event) => self.hear_of(&event),
            Output::Wait(_) => unreachable!("the loop that drains has taken it"),
        }
    }

    fn command(&mut self, command: Command) {
        let undelivered = self.mishap(3);
        match command {
            Command::Capture => {
                self.captures_told += u64::from(!undelivered);
                if self.captures_told > self.wishes {
                    self.accuse(|| "the camera was told to capture, and nobody had wished it".to_owned());
                }
            }
            Command::Arm | Command::Disarm => {
                if !self.levels_said.contains(&(command == Command::Arm)) {
                    self.accuse(|| {
                        format!("the camera was told to {command:?}, and the cloud never said so")
                    });
                }
            }
        }
        self.input(match undelivered {
            true => Input::CommandUndelivered(command, "nobody listens".into()),
            false => Input::CommandDelivered(command),
        });
    }

    fn hear_of(&mut self, event: &Event) {
        self.note(|| format!("{:?} {event}", event.level()));
        if event.level() == Level::Error {
            self.accuse(|| format!("an error: {event}"));
        }
        // What is in these files is not to be expected at the cloud any more.
        match event {
            Event::Lost { place, reason: LostReason::Refused, .. } if !self.may_refuse => {
                self.accuse(|| format!("{} was put aside, and the cloud had not refused it", place.file()));
            }
            Event::Lost { reason: LostReason::Refused, .. } => {}
            Event::Lost { place, .. } => {
                if let Some(digest) = self.digest_at(&place.file()) {
                    self.given_up.insert(digest, place.file());
                }
            }
            Event::RefusedDropped(path) => {
                if let Some(digest) = self.digest_at(path) {
                    self.given_up.insert(digest, path.clone());
                }
            }
            _ => {}
        }
    }

    fn digest_at(&self, path: &str) -> Option<Sha256> {
        self.files.file(path).and_then(|(bytes, _)| self.digest_of(&bytes))
    }

    pub(super) fn disk_takes_time(&mut self) {
        let limit = if self.mishap(30) { 5_000 } else { 30 };
        let delay = Duration::from_millis(self.chance(limit));
        self.happen(delay, Happening::DiskNext);
    }

    /// What a task does to the disk, and what is heard of it, are apart by as long as its syncs take.
    pub(super) fn disk_works(&mut self) {
        let board = self.board.as_mut().unwrap();
        let Some(task) = board.tasks.front() else { return };
        let syncs = self.files.0.borrow().syncs;
        let done = board.spool.perform(task.clone());
        let syncs = self.files.0.borrow().syncs - syncs;
        if self.files.0.borrow().is_cut {
            return;
        }
        let held = if self.syncs_are_slow { SLOW_SYNC * syncs } else { Duration::ZERO };
        self.happen(held, Happening::DiskDone(done));
    }

    pub(super) fn disk_has_done(&mut self, done: Done) {
        let board = self.board.as_mut().unwrap();
        let task = board.tasks.pop_front();
        let has_more = !board.tasks.is_empty();
        if let Some(Task::Remember(remembered)) = &task {
            self.has_remembered(remembered, &done);
        }
        self.tell(Input::DiskDone(done));
        if has_more {
            self.disk_takes_time();
        }
    }
}
