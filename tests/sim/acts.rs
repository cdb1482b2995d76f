//! What happens to a scene in the scenarios, and what they see of it.

use crate::scene::{CLOCK, Scene, settings, sha256};
use cloudtalker::{
    engine::{
        Input, Output, Remembered, SourceId,
        event::Level,
        spool::{Done, Kept, Staged, Task},
    },
    wire::{
        Id,
        cloud::{ToAgent, ToCloud},
        command::Command,
        input::Message,
    },
};
use serde_json::Value;

pub const SOURCE: SourceId = SourceId(1);

impl Scene {
    pub fn remembering(remembered: Remembered) -> Scene {
        Scene::started(CLOCK, settings(), remembered)
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

    pub fn answer(&mut self, status: u16, offset: Option<u64>, retry_after: Option<u32>) {
        self.answered_with(status, offset, Some("/uploads/1"), retry_after);
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
        self.is_given_by(source, name);
        let sha256 = sha256(name.as_bytes());
        let staged = Staged { bytes, sha256, mtime_ns: 0, free: u64::MAX };
        self.tell(Input::DiskDone(Done::Staged(Ok(staged))));
        Kept { bytes, sha256, mtime_ns: 0 }
    }

    pub fn raises_an_alarm(&mut self) {
        self.is_told_by(SOURCE, Message::Alarm { gpio: None }, false);
    }

    /// The disk does what it has been given, until there is nothing more.
    pub fn settle_chores(&mut self) {
        for _ in 0..20 {
            self.tell(Input::DiskDone(Done::Settled(Ok(()))));
        }
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

    pub fn commands(&self) -> Vec<Command> {
        let command =
            |output: &Output| if let Output::Command(command) = output { Some(*command) } else { None };
        self.outputs.iter().filter_map(command).collect()
    }

    pub fn says_an_alarm(&self) -> bool {
        self.outputs.iter().any(|output| matches!(output, Output::Send(ToCloud::Alarm(_))))
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

    /// What `{"query":"status"}` is answered.
    pub fn status(&mut self) -> Value {
        const ASKING: SourceId = SourceId(1_000);
        self.is_told_by(ASKING, Message::Status, false);
        let line = self.outputs.iter().rev().find_map(|output| match output {
            Output::Reply(ASKING, line) => Some(line),
            _ => None,
        });
        serde_json::from_str(line.expect("a status is asked for")).unwrap()
    }
}
