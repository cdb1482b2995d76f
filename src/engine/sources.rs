//! Local programs that hand segments over.
//!
//! A source is read message by message: the next one is asked for once the last is dealt with, so that memory
//! is bounded by the number of sources whatever they send.

use super::{
    Engine, Event, Now, Output, SourceId, Timer, captures::Captures, intake::Wanted, spool::CaptureName,
};
use crate::wire::input::{Message, MessageError, Reply, Request, StreamError};
use std::{collections::BTreeMap, time::Duration};

/// More connections than a board has camera programs.
const MAX_SOURCES: usize = 64;
/// How long a source that has named no segment may be silent. A capture may pause for hours.
const IDLE: Duration = Duration::from_secs(60);

/// What kind of source it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A connection on an input socket.
    Stream,
    /// The motion detector's list of files: it counts only while the camera is armed.
    List,
}

/// A source that is open, or has something under way.
#[derive(Debug)]
pub struct Source {
    kind: SourceKind,
    /// When it was last heard of.
    heard: Duration,
    named_a_segment: bool,
    /// The capture that it holds open.
    pub capture: Option<CaptureName>,
    /// Whether the agent picked that capture's time.
    pub time_was_picked: bool,
    /// Whether a segment of it is being taken in.
    busy: bool,
    /// Whether it has closed.
    ended: bool,
}

/// Every source.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<SourceId, Source>);

impl Sources {
    /// Every source's number.
    pub fn ids(&self) -> Vec<SourceId> {
        self.0.keys().copied().collect()
    }

    /// The source of this number.
    pub fn at_mut(&mut self, id: SourceId) -> Option<&mut Source> {
        self.0.get_mut(&id)
    }

    /// The source that has been silent longest, of those that have named no segment.
    fn idlest(&self) -> Option<(SourceId, Duration)> {
        let idle =
            self.0.iter().filter(|(_, source)| source.kind == SourceKind::Stream && !source.named_a_segment);
        idle.map(|(id, source)| (*id, source.heard)).min_by_key(|(_, heard)| *heard)
    }
}

impl Engine {
    pub(super) fn source_opened(&mut self, now: Now, id: SourceId, kind: SourceKind) {
        if self.sources.0.len() == MAX_SOURCES {
            // A client that holds connections open without a word must not keep the camera out.
            let victim = self.sources.idlest().map_or(id, |(idlest, _)| idlest);
            self.tell(Event::TooManySources { limit: MAX_SOURCES });
            self.outputs.push_back(Output::Drop(victim));
            self.end_source(now, victim);
            if victim == id {
                return;
            }
        }
        let source = Source {
            kind,
            heard: now.mono,
            named_a_segment: false,
            capture: None,
            time_was_picked: false,
            busy: false,
            ended: false,
        };
        self.sources.0.insert(id, source);
        self.outputs.push_back(Output::NextMessage(id));
        self.watch_idle_sources();
    }

    pub(super) fn source_said(&mut self, now: Now, id: SourceId, said: Result<Request, MessageError>) {
        let Some(source) = self.sources.at_mut(id) else { return };
        source.heard = now.mono;
        let kind = source.kind;
        let request = match said {
            Ok(request) => request,
            Err(error) => return self.refuse(now, id, error.ack, None, &error.why),
        };
        if !request.unknown.is_empty() {
            self.tell(Event::UnknownKeys(request.unknown));
        }
        match request.message {
            Message::Segment { path, .. }
                if kind == SourceKind::List && self.camera.armed() != Some(true) =>
            {
                if !std::mem::replace(&mut self.camera.list_told, true) {
                    self.tell(Event::ListedUnarmed(path));
                }
                self.outputs.push_back(Output::NextMessage(id));
            }
            Message::Segment { path, naming } => {
                source_of(&mut self.sources, id).busy = true;
                source_of(&mut self.sources, id).named_a_segment = true;
                self.watch_idle_sources();
                self.intake.add(Wanted { source: id, path, naming, ack: request.ack, copy_bytes: None });
            }
            Message::Alarm { gpio } => self.raise_alarm(now, id, gpio, request.ack),
            Message::Status => {
                let status = self.status(now);
                self.outputs.push_back(Output::Reply(id, status));
                self.outputs.push_back(Output::NextMessage(id));
            }
        }
    }

    pub(super) fn source_ended(&mut self, now: Now, id: SourceId, error: Option<StreamError>) {
        if let Some(error) = error {
            self.tell(Event::InputBroken(error.to_string()));
        }
        self.end_source(now, id);
    }

    /// Says no to a message.
    pub(super) fn refuse(&mut self, now: Now, id: SourceId, ack: bool, path: Option<&str>, why: &str) {
        self.tell(Event::InputRefused { path: path.map(ToOwned::to_owned), why: why.to_owned() });
        self.settle_message(now, id, ack.then(|| Reply::refused(why)));
    }

    /// A message is dealt with: its sender hears of it, and is read on.
    pub(super) fn settle_message(&mut self, now: Now, id: SourceId, reply: Option<Reply>) {
        if let Some(reply) = reply {
            self.reply(id, &reply);
        }
        let Some(source) = self.sources.at_mut(id) else { return };
        source.busy = false;
        if source.ended {
            self.end_source(now, id);
        } else {
            self.outputs.push_back(Output::NextMessage(id));
        }
    }

    /// The source holds this capture open from now on, and no other.
    pub(super) fn hold(&mut self, now: Now, id: SourceId, name: CaptureName, time_was_picked: bool) {
        let Some(source) = self.sources.at_mut(id) else { return };
        source.time_was_picked = time_was_picked;
        let former = source.capture.replace(name);
        if former == Some(name) {
            return;
        }
        open(&mut self.captures, name);
        if let Some(former) = former {
            self.release(now, former);
        }
    }

    /// The source's capture ends, as far as that source goes.
    pub(super) fn let_go(&mut self, now: Now, id: SourceId) {
        if let Some(former) = self.sources.at_mut(id).and_then(|source| source.capture.take()) {
            self.release(now, former);
        }
    }

    fn end_source(&mut self, now: Now, id: SourceId) {
        let Some(source) = self.sources.at_mut(id) else { return };
        source.ended = true;
        if source.busy {
            return;
        }
        self.let_go(now, id);
        self.sources.0.remove(&id);
        self.watch_idle_sources();
    }

    fn release(&mut self, now: Now, name: CaptureName) {
        let Some(capture) = self.captures.at_mut(name) else { return };
        capture.sources -= 1;
        if capture.sources == 0 {
            self.capture_closed(now, name);
        }
    }

    pub(super) fn drop_idle_sources(&mut self, now: Now) {
        while let Some((id, heard)) = self.sources.idlest()
            && heard + IDLE <= now.mono
        {
            self.tell(Event::SourceIdle { limit: IDLE });
            self.outputs.push_back(Output::Drop(id));
            self.end_source(now, id);
        }
        self.watch_idle_sources();
    }

    fn watch_idle_sources(&mut self) {
        match self.sources.idlest() {
            Some((_, heard)) => self.timers.set(Timer::IdleSource, heard + IDLE),
            None => self.timers.clear(Timer::IdleSource),
        }
    }
}

fn open(captures: &mut Captures, name: CaptureName) {
    captures.at_mut(name).expect("a segment was just placed in it").sources += 1;
}

fn source_of(sources: &mut Sources, id: SourceId) -> &mut Source {
    sources.at_mut(id).expect("it was just heard")
}
