//! An engine whose outputs are kept, and whose disk, cloud and camera do only what they are told to. The simulation's
//! scenarios and the state tables stand on it; each says in words of its own what happens to it.
#![allow(dead_code, reason = "each suite uses its own part")]

use cloudtalker::{
    engine::{
        Engine, Frame, Input, Now, Output, Remembered, Settings, SourceId, SourceKind,
        spool::{Scanned, Task},
        uploads::{Answer, Request},
    },
    wire::{
        Sha256,
        cloud::ToAgent,
        input::{Message, Request as Said},
    },
};
use std::{collections::VecDeque, time::Duration};

/// In November of 2026.
pub const CLOCK: u64 = 1_795_000_000;
/// In 2036.
pub const LATEST: u64 = 2_100_000_000;
/// Where its cloud takes uploads.
pub const UPLOADS: &str = "https://cloud/uploads/";

pub struct Scene {
    pub engine: Engine,
    pub now: Duration,
    /// What the board's clock says at the beginning.
    pub clock: u64,
    /// Since they were last put aside.
    pub outputs: Vec<Output>,
    pub deadline: Option<Duration>,
    /// What the disk was given. Whoever has it answer them takes them from here.
    pub tasks: VecDeque<Task>,
    /// Every line that a source was told.
    pub replies: Vec<String>,
    /// The number of the newest source: numbers are not used twice.
    pub newest_source: u64,
}

impl Scene {
    /// A start with an empty spool: the session is being made.
    pub fn new() -> Scene {
        Scene::started(CLOCK, settings(), Remembered::default())
    }

    /// A start at this time by the board's clock.
    pub fn started(clock: u64, settings: Settings, remembered: Remembered) -> Scene {
        let found = Scanned { alarms: Some(Vec::new()), remembered, ..Scanned::default() };
        let now = Duration::ZERO;
        let mut scene = Scene {
            engine: Engine::new(Now { mono: now, unix: clock }, 1, settings, found),
            now,
            clock,
            outputs: Vec::new(),
            deadline: None,
            tasks: VecDeque::new(),
            replies: Vec::new(),
            newest_source: 0,
        };
        scene.drain();
        scene
    }

    pub fn tell(&mut self, input: Input) {
        let now = Now { mono: self.now, unix: self.clock + self.now.as_secs() };
        self.engine.handle(now, input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.engine.poll() {
                Output::Wait(deadline) => return self.deadline = deadline,
                output => {
                    match &output {
                        Output::Disk(task) => self.tasks.push_back(task.clone()),
                        Output::Reply(_, line) => self.replies.push(line.clone()),
                        _ => {}
                    }
                    self.outputs.push(output);
                }
            }
        }
    }

    // --- the cloud

    pub fn hear(&mut self, message: &ToAgent) {
        self.tell(Input::SessionHeard(Frame::Text(message.to_text())));
    }

    pub fn hears_a_pong(&mut self) {
        self.tell(Input::SessionHeard(Frame::Other));
    }

    /// The upload endpoint answers.
    pub fn answered_with(
        &mut self,
        status: u16,
        offset: Option<u64>,
        location: Option<&str>,
        retry_after: Option<u32>,
    ) {
        let (location, text) = (location.map(str::to_owned), String::new());
        let answer = Answer::Status { status, offset, location, retry_after, date: None, text };
        self.tell(Input::UploadAnswered(answer));
    }

    /// The requests to the upload endpoint.
    pub fn requests(&self) -> Vec<&Request> {
        let outputs = self.outputs.iter();
        outputs
            .filter_map(|output| if let Output::Upload(request) = output { Some(request) } else { None })
            .collect()
    }

    // --- time

    /// The next deadline comes.
    pub fn wakes(&mut self) {
        let Some(deadline) = self.deadline else { return };
        self.now = self.now.max(deadline);
        self.tell(Input::Wake);
    }

    /// Time passes, and nobody answers pings.
    pub fn pass_unanswered(&mut self, span: Duration) {
        let end = self.now + span;
        while self.deadline.is_some_and(|deadline| deadline <= end) {
            self.wakes();
        }
        self.now = end;
    }

    /// Time passes on a link that lives.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.pass_unanswered(Duration::from_secs(1).min(end - self.now));
            self.hears_a_pong();
        }
    }

    // --- local programs

    /// A source opens and says something.
    pub fn is_told_by(&mut self, source: SourceId, message: Message, ack: bool) {
        self.newest_source = self.newest_source.max(source.0);
        self.tell(Input::SourceOpened(source, SourceKind::Stream));
        self.tell(Input::SourceSaid(source, Ok(Said { message, ack, unknown: Vec::new() })));
    }

    /// A source opens and names a segment.
    pub fn is_given_by(&mut self, source: SourceId, path: &str) {
        self.is_told_by(source, Message::Segment { path: path.to_owned(), naming: None }, true);
    }
}

/// With a cloud, and nothing else decided.
pub fn settings() -> Settings {
    Settings { latest_time: LATEST, ..Settings::new("cloud:443/", UPLOADS) }
}

pub fn sha256(bytes: &[u8]) -> Sha256 {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    Sha256(digest.as_ref().try_into().unwrap())
}
