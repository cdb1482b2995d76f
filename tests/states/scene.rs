//! An engine whose disk and network answer only when they are told to.

use cloudtalker::{
    engine::{
        Engine, Frame, Input, Now, Output, Settings, SourceId, SourceKind,
        spool::{Done, Kept, Scanned, SourceError, Staged, Task},
        uploads::{Answer, Request},
    },
    wire::{
        Id, Sha256,
        cloud::{Receipt, ToAgent, ToCloud},
        input::{Message, Request as Said},
    },
};
use std::{collections::VecDeque, io, time::Duration};

/// Every segment's size.
pub const BYTES: u64 = 10;
/// In November of 2026.
const CLOCK: u64 = 1_795_000_000;
/// What the segments that a source hands over are called.
pub const FIRST: &str = "pir.35.0.mp4";
pub const SECOND: &str = "pir.35.1.mp4";

pub struct Scene {
    engine: Engine,
    now: Duration,
    /// What the board's clock says at the beginning.
    pub clock: u64,
    pub outputs: Vec<Output>,
    deadline: Option<Duration>,
    /// What the disk has not answered yet.
    tasks: VecDeque<Task>,
    /// The first capture, once a source was told of it.
    capture: Option<Id>,
    /// Numbers of sources are not used twice.
    sources: u64,
}

impl Scene {
    /// A start with an empty spool: the session is being made.
    pub fn new() -> Scene {
        let found = Scanned { alarms: Some(Vec::new()), ..Scanned::default() };
        let mut scene = Scene {
            engine: Engine::new(Now { mono: Duration::ZERO, unix: CLOCK }, 1, settings(), found),
            now: Duration::ZERO,
            clock: CLOCK,
            outputs: Vec::new(),
            deadline: None,
            tasks: VecDeque::new(),
            capture: None,
            sources: 0,
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
                        Output::Reply(_, line) => self.capture = self.capture.or(capture_in(line)),
                        _ => {}
                    }
                    self.outputs.push(output);
                }
            }
        }
    }

    // --- the cloud

    pub fn hears(&mut self, text: &str) {
        self.tell(Input::SessionHeard(Frame::Text(text.to_owned())));
    }

    pub fn hears_a_pong(&mut self) {
        self.tell(Input::SessionHeard(Frame::Other));
    }

    pub fn is_connected(&mut self, first_message: &str) {
        self.tell(Input::SessionUp(None));
        self.hears(first_message);
        self.disk_works();
    }

    pub fn loses_the_session(&mut self) {
        self.tell(Input::SessionDown("the link broke".into()));
    }

    /// A receipt for the first capture, whose list has so many segments.
    pub fn has_receipt(&mut self, segments: Option<u32>) {
        let Some(capture) = self.capture else { return };
        let receipt = Some(Receipt::Capture { capture, segments });
        self.hears(&ToAgent { receipt, ..ToAgent::default() }.to_text());
    }

    // --- time

    /// The next deadline comes.
    pub fn wakes(&mut self) {
        let Some(deadline) = self.deadline else { return };
        self.now = self.now.max(deadline);
        self.tell(Input::Wake);
    }

    /// Time passes on a link that lives.
    pub fn passes(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.tell(Input::Wake);
            self.hears_a_pong();
        }
        self.now = end;
    }

    // --- sources, and the disk

    /// A new source names a segment.
    pub fn is_given(&mut self, path: &str) -> SourceId {
        self.sources += 1;
        let source = SourceId(self.sources);
        self.tell(Input::SourceOpened(source, SourceKind::Stream));
        let message = Message::Segment { path: path.to_owned(), naming: None };
        self.tell(Input::SourceSaid(source, Ok(Said { message, ack: true, unknown: Vec::new() })));
        source
    }

    /// A new source names a segment, and the disk takes it.
    pub fn takes(&mut self, path: &str) -> SourceId {
        let source = self.is_given(path);
        self.disk_works();
        source
    }

    /// The first source that is left ends.
    pub fn source_ends(&mut self) {
        for source in 1..=self.sources {
            self.tell(Input::SourceEnded(SourceId(source), None));
        }
    }

    /// The disk does all that it was asked for.
    pub fn disk_works(&mut self) {
        while !self.tasks.is_empty() {
            self.disk_does_one();
        }
    }

    pub fn disk_does_one(&mut self) {
        let Some(task) = self.tasks.pop_front() else { return };
        let done = match task {
            Task::Stage { path } => {
                Done::Staged(Ok(Staged { bytes: BYTES, sha256: digest(&path), mtime_ns: 0, free: u64::MAX }))
            }
            Task::Keep { place, .. } => {
                let path = format!("pir.{}.{}.mp4", place.capture.timestamp, place.seg_no);
                Done::Kept(Ok(kept(&path)))
            }
            Task::Rehash { .. } => Done::Rehashed(Ok(kept(FIRST))),
            Task::Repeat { .. } => Done::Repeated(Ok(())),
            Task::AddAlarm(_) => Done::AlarmAdded(Ok(())),
            Task::Unstage => Done::Unstaged,
            Task::Weigh { captures } => Done::Weighed(Ok(vec![BYTES; captures.len()])),
            Task::Rescan { .. } => Done::Rescanned(Scanned::default()),
            Task::Lose { .. } => Done::Lost { refused: None, result: Ok(()) },
            Task::Forget { .. } => Done::Forgotten { problems: Vec::new(), result: Ok(()) },
            _ => Done::Settled(Ok(())),
        };
        self.tell(Input::DiskDone(done));
    }

    /// The disk fails at what it was asked for first.
    pub fn disk_fails(&mut self, kind: io::ErrorKind) {
        let Some(task) = self.tasks.pop_front() else { return };
        let done = match task {
            Task::Stage { .. } => Done::Staged(Err(SourceError::Io(kind.into()))),
            Task::Keep { .. } => Done::Kept(Err(kind.into())),
            Task::Rehash { .. } => Done::Rehashed(Err(kind.into())),
            Task::Repeat { .. } => Done::Repeated(Err(kind.into())),
            Task::AddAlarm(_) => Done::AlarmAdded(Err(kind.into())),
            Task::Weigh { .. } => Done::Weighed(Err(kind.into())),
            Task::Unstage => Done::Unstaged,
            Task::Rescan { .. } => Done::Rescanned(Scanned::default()),
            Task::Lose { .. } => Done::Lost { refused: None, result: Err(kind.into()) },
            Task::Forget { .. } => Done::Forgotten { problems: Vec::new(), result: Err(kind.into()) },
            _ => Done::Settled(Err(kind.into())),
        };
        self.tell(Input::DiskDone(done));
    }

    pub fn next_task_is_a_rehash(&self) -> bool {
        matches!(self.tasks.front(), Some(Task::Rehash { .. }))
    }

    /// The disk finds other contents in a segment than were kept.
    pub fn disk_finds_a_change(&mut self) {
        if self.next_task_is_a_rehash() {
            self.tasks.pop_front();
            self.tell(Input::DiskDone(Done::Rehashed(Ok(kept("changed")))));
        }
    }

    // --- uploads

    pub fn answered(&mut self, status: u16, offset: Option<u64>) {
        self.answered_with(status, offset, Some("/uploads/1"), None);
    }

    pub fn answered_with(
        &mut self,
        status: u16,
        offset: Option<u64>,
        location: Option<&str>,
        retry_after: Option<u32>,
    ) {
        let location = location.map(str::to_owned);
        let text = String::new();
        let answer = Answer::Status { status, offset, location, retry_after, date: None, text };
        self.tell(Input::UploadAnswered(answer));
    }

    // --- what a reader sees

    /// What stands behind these words in the engine, as `Debug` has it.
    pub fn engine_says(&self, words: &str) -> Option<String> {
        let text = format!("{:?}", self.engine);
        text.split_once(words).map(|(_, rest)| rest.to_owned())
    }

    /// How long it is to the next deadline.
    pub fn wakes_in(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_sub(self.now))
    }

    pub fn is_stopping(&self) -> bool {
        self.engine_says("stopping: ").is_some_and(|rest| rest.starts_with("true"))
    }

    /// The request to the upload endpoint that was made last.
    pub fn request(&self) -> Option<&Request> {
        self.outputs.iter().rev().find_map(|output| match output {
            Output::Upload(request) => Some(request),
            _ => None,
        })
    }

    /// The outputs, in short.
    pub fn told(&self) -> String {
        self.outputs.iter().map(short).collect::<Vec<_>>().join("; ")
    }
}

pub fn settings() -> Settings {
    Settings::new("cloud:443/", "https://cloud/uploads/")
}

/// The capture that an ack names.
fn capture_in(line: &str) -> Option<Id> {
    let ack: serde_json::Value = serde_json::from_str(line).unwrap();
    ack["capture"].as_str()?.parse().ok()
}

fn kept(contents: &str) -> Kept {
    Kept { bytes: BYTES, sha256: digest(contents), mtime_ns: 0 }
}

fn digest(contents: &str) -> Sha256 {
    let digest = ring::digest::digest(&ring::digest::SHA256, contents.as_bytes());
    Sha256(digest.as_ref().try_into().unwrap())
}

fn short(output: &Output) -> String {
    match output {
        Output::Connect => "connect".into(),
        Output::Send(message) => format!("send {}", message_in_short(message)),
        Output::Ping => "ping".into(),
        Output::Disconnect => "disconnect".into(),
        Output::Close => "say goodbye".into(),
        Output::Command(command) => format!("command {command}"),
        Output::Disk(task) => format!("disk: {}", variant(task)),
        Output::Upload(Request::Send { offset, .. }) => format!("PATCH from {offset}"),
        Output::Upload(request) => request.method().into(),
        Output::AbandonUpload => "abandon the upload".into(),
        Output::Pace(pace) => match pace.bytes {
            Some(mark) => format!("let {mark} bytes go at {:?}", pace.rate),
            None => format!("go at {:?}", pace.rate),
        },
        Output::Reply(_, line) => {
            let (ok, repeated) = (line.contains("\"ok\":true"), line.contains("\"repeated\":true"));
            match (ok, repeated) {
                (true, false) => "ack",
                (true, true) => "ack as repeated",
                (false, _) => "refuse",
            }
            .into()
        }
        Output::ReplyLog(_) => "reply with the log".into(),
        Output::NextMessage(_) => "read on".into(),
        Output::Drop(_) => "drop the source".into(),
        Output::RaiseClockFloor(_) => "raise the clock's floor".into(),
        Output::Event(event) => format!("{:?} {event:?}", event.level())
            .split([' ', '(', '{'])
            .filter(|part| !part.is_empty())
            .take(2)
            .collect::<Vec<_>>()
            .join(" "),
        Output::Wait(_) => unreachable!("it is no output, but the end of them"),
    }
}

fn message_in_short(message: &ToCloud) -> String {
    match message {
        ToCloud::CaptureEnd(end) => {
            let listed = end.segments.as_ref().map_or(0, Vec::len);
            format!("capture_end ({listed} listed, {} lost)", end.lost.len())
        }
        other => {
            let text = other.to_text();
            text.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned()
        }
    }
}

/// The first word of `Debug`.
fn variant(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").split([' ', '(']).next().unwrap_or_default().to_owned()
}
