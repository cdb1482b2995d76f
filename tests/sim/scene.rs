//! An engine whose outputs are kept, and whose disk, cloud and camera do only what they are told to.

use crate::cloud::{UPLOADS, sha256};
use cloudtalker::{
    engine::{
        Engine, Frame, Input, Now, Output, Remembered, Settings, SourceId, SourceKind,
        event::Level,
        spool::{Done, Kept, Scanned, Staged, Task},
        uploads::{Answer, Request},
    },
    wire::{
        Id,
        cloud::{ToAgent, ToCloud},
        command::Command,
        input::{Message, Request as Said},
    },
};
use serde_json::Value;
use std::time::Duration;

pub const SOURCE: SourceId = SourceId(1);
/// In November of 2026.
pub const CLOCK: u64 = 1_795_000_000;
/// In 2036.
pub const LATEST: u64 = 2_100_000_000;

/// An engine whose outputs are kept, and whose disk answers only when it is told to.
pub struct Scene {
    engine: Engine,
    pub now: Duration,
    /// What the board's clock says at the beginning.
    pub clock: u64,
    pub outputs: Vec<Output>,
    pub deadline: Option<Duration>,
}

impl Scene {
    pub fn new() -> Scene {
        Scene::remembering(Remembered::default())
    }

    pub fn remembering(remembered: Remembered) -> Scene {
        Scene::started(CLOCK, settings(), remembered)
    }

    /// A start at this time by the board's clock.
    pub fn started(clock: u64, settings: Settings, remembered: Remembered) -> Scene {
        let found = Scanned { alarms: Some(Vec::new()), remembered, ..Scanned::default() };
        let now = Duration::ZERO;
        let engine = Engine::new(Now { mono: now, unix: clock }, 1, settings, found);
        let mut scene = Scene { engine, now, clock, outputs: Vec::new(), deadline: None };
        scene.drain();
        scene
    }

    /// With a session of a cloud that gives receipts.
    pub fn connected() -> Scene {
        let mut scene = Scene::new();
        scene.connects(None);
        scene.outputs.clear();
        scene
    }

    /// A session of a cloud that gives receipts, and perhaps the time.
    pub fn connects(&mut self, date: Option<u64>) {
        self.tell(Input::SessionUp(date));
        self.hear(&ToAgent { receipts: Some(true), ..ToAgent::default() });
    }

    pub fn tell(&mut self, input: Input) {
        let now = Now { mono: self.now, unix: self.clock + self.now.as_secs() };
        self.engine.handle(now, input);
        self.drain();
    }

    pub fn hear(&mut self, message: &ToAgent) {
        self.tell(Input::SessionHeard(Frame::Text(message.to_text())));
    }

    /// Whether an agent that was told to end may.
    pub fn is_finished(&self) -> bool {
        self.engine.is_finished()
    }

    /// Whether the disk was told that a capture has ended.
    pub fn marks_an_end(&self) -> bool {
        self.outputs.iter().any(|output| matches!(output, Output::Disk(Task::Close { .. })))
    }

    /// Where the clock's floor was raised to.
    pub fn floors(&self) -> Vec<u64> {
        let floor = |output: &Output| match output {
            Output::RaiseClockFloor(time) => Some(*time),
            _ => None,
        };
        self.outputs.iter().filter_map(floor).collect()
    }

    pub fn warnings(&self) -> usize {
        let is_one =
            |output: &&Output| matches!(output, Output::Event(event) if event.level() == Level::Warn);
        self.outputs.iter().filter(is_one).count()
    }

    fn drain(&mut self) {
        loop {
            match self.engine.poll() {
                Output::Wait(deadline) => return self.deadline = deadline,
                output => self.outputs.push(output),
            }
        }
    }

    /// Lets time pass, waking at each deadline; nobody answers pings.
    pub fn pass_unanswered(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.tell(Input::Wake);
        }
        self.now = end;
    }

    /// Lets time pass on a link that lives.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.pass_unanswered(Duration::from_secs(1).min(end - self.now));
            self.tell(Input::SessionHeard(Frame::Other));
        }
    }

    /// A segment of ten bytes is handed over and kept.
    pub fn keep(&mut self, name: &str) {
        let kept = self.stage(name, 10);
        self.tell(Input::DiskDone(Done::Kept(Ok(kept))));
    }

    /// A segment is handed over, and on its way into the spool; what it is once it is kept.
    pub fn stage(&mut self, name: &str, bytes: u64) -> Kept {
        self.stage_by(SOURCE, name, bytes)
    }

    pub fn stage_by(&mut self, source: SourceId, name: &str, bytes: u64) -> Kept {
        self.tell(Input::SourceOpened(source, SourceKind::Stream));
        let message = Message::Segment { path: name.into(), naming: None };
        self.tell(Input::SourceSaid(source, Ok(Said { message, ack: true, unknown: Vec::new() })));
        let sha256 = sha256(name.as_bytes());
        let staged = Staged { bytes, sha256, mtime_ns: 0, free: u64::MAX };
        self.tell(Input::DiskDone(Done::Staged(Ok(staged))));
        Kept { bytes, sha256, mtime_ns: 0 }
    }

    pub fn answer(&mut self, status: u16, offset: Option<u64>, retry_after: Option<u32>) {
        let location = Some("/uploads/1".to_owned());
        let text = String::new();
        self.tell(Input::UploadAnswered(Answer::Status {
            status,
            offset,
            location,
            retry_after,
            date: None,
            text,
        }));
    }

    pub fn commands(&self) -> Vec<Command> {
        let command =
            |output: &Output| if let Output::Command(command) = output { Some(*command) } else { None };
        self.outputs.iter().filter_map(command).collect()
    }

    pub fn raises_an_alarm(&mut self) {
        self.tell(Input::SourceOpened(SOURCE, SourceKind::Stream));
        let message = Message::Alarm { gpio: None };
        self.tell(Input::SourceSaid(SOURCE, Ok(Said { message, ack: false, unknown: Vec::new() })));
    }

    pub fn says_an_alarm(&self) -> bool {
        self.outputs.iter().any(|output| matches!(output, Output::Send(ToCloud::Alarm(_))))
    }

    /// What `{"query":"status"}` is answered.
    pub fn status(&mut self) -> Value {
        const ASKING: SourceId = SourceId(1_000);
        self.tell(Input::SourceOpened(ASKING, SourceKind::Stream));
        self.tell(Input::SourceSaid(
            ASKING,
            Ok(Said { message: Message::Status, ack: false, unknown: Vec::new() }),
        ));
        let line = self.outputs.iter().rev().find_map(|output| match output {
            Output::Reply(ASKING, line) => Some(line),
            _ => None,
        });
        serde_json::from_str(line.expect("a status is asked for")).unwrap()
    }

    pub fn requests(&self) -> Vec<&Request> {
        let outputs = self.outputs.iter();
        outputs
            .filter_map(|output| if let Output::Upload(request) = output { Some(request) } else { None })
            .collect()
    }

    pub fn forgets(&self) -> usize {
        self.outputs.iter().filter(|output| matches!(output, Output::Disk(Task::Forget { .. }))).count()
    }

    pub fn capture_end(&self) -> Option<(Id, u32)> {
        self.outputs.iter().rev().find_map(|output| match output {
            Output::Send(ToCloud::CaptureEnd(end)) => {
                Some((end.capture?, u32::try_from(end.segments.as_ref()?.len()).ok()?))
            }
            _ => None,
        })
    }

    /// The disk does what it has been given, until there is nothing more.
    pub fn settle_chores(&mut self) {
        for _ in 0..20 {
            self.tell(Input::DiskDone(Done::Settled(Ok(()))));
        }
    }
}

/// With a cloud and a camera program, and nothing else decided.
pub fn settings() -> Settings {
    Settings { latest_time: LATEST, ..Settings::new("cloud:443/", UPLOADS) }
}
