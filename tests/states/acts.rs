//! What happens to a scene in the state tables, and what their reader sees.

use crate::scene::{Scene, sha256};
use cloudtalker::{
    engine::{
        Frame, Input, Output, SourceId,
        spool::{Done, Kept, Scanned, SourceError, Staged, Task},
        uploads::Request,
    },
    wire::{
        Id,
        cloud::{Receipt, ToAgent, ToCloud},
    },
};
use std::{io, time::Duration};

/// Every segment's size.
pub const BYTES: u64 = 10;
/// What the segments that a source hands over are called.
pub const FIRST: &str = "pir.35.0.mp4";
pub const SECOND: &str = "pir.35.1.mp4";

impl Scene {
    // --- the cloud

    pub fn hears(&mut self, text: &str) {
        self.tell(Input::SessionHeard(Frame::Text(text.to_owned())));
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
        let Some(capture) = self.replies.iter().find_map(|line| capture_in(line)) else { return };
        let receipt = Some(Receipt::Capture { capture, segments });
        self.hear(&ToAgent { receipt, ..ToAgent::default() });
    }

    // --- sources, and the disk

    /// A new source names a segment.
    pub fn is_given(&mut self, path: &str) -> SourceId {
        let source = SourceId(self.newest_source + 1);
        self.is_given_by(source, path);
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
        for source in 1..=self.newest_source {
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
            Task::Stage { path } => Done::Staged(Ok(Staged {
                bytes: BYTES,
                sha256: sha256(path.as_bytes()),
                mtime_ns: 0,
                free: u64::MAX,
            })),
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

    // --- what a reader sees

    /// How long it is to the next deadline.
    pub fn wakes_in(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_sub(self.now))
    }

    /// The request to the upload endpoint that was made last.
    pub fn request(&self) -> Option<&Request> {
        self.requests().last().copied()
    }

    /// The outputs, in short.
    pub fn told(&self) -> String {
        self.outputs.iter().map(short).collect::<Vec<_>>().join("; ")
    }
}

/// The capture that an ack names.
fn capture_in(line: &str) -> Option<Id> {
    let ack: serde_json::Value = serde_json::from_str(line).unwrap();
    ack["capture"].as_str()?.parse().ok()
}

fn kept(contents: &str) -> Kept {
    Kept { bytes: BYTES, sha256: sha256(contents.as_bytes()), mtime_ns: 0 }
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
