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
/// More than look at a board at once. They are counted apart: who only asks takes no camera program's place.
const MAX_WATCHERS: usize = 8;
/// How long a source that has named no segment may be silent. A capture may pause for hours.
const IDLE: Duration = Duration::from_secs(60);
const IDLE_ROLES: [Role; 2] = [Role::Unknown, Role::Watcher];

/// What kind of source it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A connection on an input socket.
    Stream,
    /// A connection from beyond this machine.
    Remote,
    /// The motion detector's list of files: it counts only while the camera is armed.
    List,
}

/// A source that is open, or has something under way.
#[derive(Debug)]
pub struct Source {
    kind: SourceKind,
    role: Role,
    /// When it was last heard of.
    heard: Duration,
    /// The capture that it holds open.
    pub capture: Option<CaptureName>,
    /// Whether the agent picked that capture's time.
    pub time_was_picked: bool,
    /// Whether a segment of it is being taken in.
    busy: bool,
    /// Whether it has closed.
    ended: bool,
}

/// What a source has shown itself to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It has not said.
    Unknown,
    /// It has asked something, and named no segment.
    Watcher,
    /// It has named a segment.
    Camera,
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

    /// The connection that has been silent longest, of those in one of these roles.
    fn idlest(&self, roles: &[Role]) -> Option<(SourceId, Duration)> {
        let is_meant = |source: &Source| source.kind != SourceKind::List && roles.contains(&source.role);
        let idle = self.0.iter().filter(|(_, source)| is_meant(source));
        idle.map(|(id, source)| (*id, source.heard)).min_by_key(|(_, heard)| *heard)
    }

    fn count(&self, is_counted: impl Fn(Role) -> bool) -> usize {
        self.0.values().filter(|source| is_counted(source.role)).count()
    }
}

impl Engine {
    pub(super) fn source_opened(&mut self, now: Now, id: SourceId, kind: SourceKind) {
        // One beyond the limit may stay until it says whether it wants a place or only an answer.
        self.close_surplus(now, None);
        let source = Source {
            kind,
            role: Role::Unknown,
            heard: now.mono,
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
                source_of(&mut self.sources, id).role = Role::Camera;
                self.close_surplus(now, Some(id));
                let Some(source) = self.sources.at_mut(id) else { return };
                source.busy = true;
                self.watch_idle_sources();
                self.intake.add(Wanted { source: id, path, naming, ack: request.ack, copy_bytes: None });
            }
            Message::Alarm { gpio } => self.raise_alarm(now, id, gpio, request.ack),
            Message::Status => {
                let status = self.status(now);
                self.answer(now, id, Output::Reply(id, status));
            }
            Message::Log if kind == SourceKind::Remote => {
                self.refuse(now, id, true, None, "the log is told on this machine alone");
            }
            Message::Log => self.answer(now, id, Output::ReplyLog(id)),
        }
    }

    pub(super) fn source_ended(&mut self, now: Now, id: SourceId, error: Option<StreamError>) {
        if let Some(error) = error {
            self.tell(Event::InputBroken(error.to_string()));
        }
        self.end_source(now, id);
    }

    /// Answers a question.
    fn answer(&mut self, now: Now, id: SourceId, answer: Output) {
        let source = source_of(&mut self.sources, id);
        if source.role == Role::Unknown {
            source.role = Role::Watcher;
            self.close_surplus_watchers(now);
        }
        self.outputs.push_back(answer);
        self.outputs.push_back(Output::NextMessage(id));
    }

    /// Says no to a message.
    pub(super) fn refuse(&mut self, now: Now, id: SourceId, ack: bool, path: Option<&str>, why: &str) {
        self.trouble.refused(now, why);
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

    /// A client that holds connections open without a word must not keep the camera out. Where every other one has
    /// named a segment, the newcomer that names one too has to go.
    fn close_surplus(&mut self, now: Now, newcomer: Option<SourceId>) {
        while self.sources.count(|role| role != Role::Watcher) > MAX_SOURCES {
            let idlest = self.sources.idlest(&[Role::Unknown]).map(|(id, _)| id);
            let Some(victim) = idlest.or(newcomer) else { return };
            self.tell(Event::TooManySources { limit: MAX_SOURCES });
            self.drop_source(now, victim);
            if Some(victim) == newcomer {
                return;
            }
        }
    }

    fn close_surplus_watchers(&mut self, now: Now) {
        if self.sources.count(|role| role == Role::Watcher) > MAX_WATCHERS
            && let Some((victim, _)) = self.sources.idlest(&[Role::Watcher])
        {
            self.tell(Event::TooManyWatchers { limit: MAX_WATCHERS });
            self.drop_source(now, victim);
        }
    }

    fn drop_source(&mut self, now: Now, id: SourceId) {
        self.outputs.push_back(Output::Drop(id));
        self.end_source(now, id);
    }

    fn release(&mut self, now: Now, name: CaptureName) {
        let Some(capture) = self.captures.at_mut(name) else { return };
        capture.sources -= 1;
        if capture.sources == 0 {
            self.capture_closed(now, name);
        }
    }

    pub(super) fn drop_idle_sources(&mut self, now: Now) {
        while let Some((id, heard)) = self.sources.idlest(&IDLE_ROLES)
            && heard + IDLE <= now.mono
        {
            self.tell(Event::SourceIdle { limit: IDLE });
            self.drop_source(now, id);
        }
        self.watch_idle_sources();
    }

    fn watch_idle_sources(&mut self) {
        match self.sources.idlest(&IDLE_ROLES) {
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

#[cfg(test)]
mod tests {
    use super::{
        super::{Input, Settings, spool::Scanned},
        *,
    };

    struct Scene {
        engine: Engine,
        millis: u64,
        /// Sources that were closed, in their order.
        closed: Vec<u64>,
    }

    impl Scene {
        fn new() -> Scene {
            let settings = Settings::new("cloud:8443/", "https://cloud:8443/uploads/");
            let found = Scanned { alarms: Some(Vec::new()), ..Scanned::default() };
            Scene { engine: Engine::new(Now::default(), 1, settings, found), millis: 0, closed: Vec::new() }
        }

        /// Each thing happens a moment after the one before.
        fn handle(&mut self, input: Input) {
            self.millis += 1;
            self.engine.handle(Now { mono: Duration::from_millis(self.millis), unix: 0 }, input);
            loop {
                match self.engine.poll() {
                    Output::Drop(SourceId(id)) => self.closed.push(id),
                    Output::Wait(_) => return,
                    _ => {}
                }
            }
        }

        fn open(&mut self, ids: std::ops::RangeInclusive<u64>) {
            for id in ids {
                self.handle(Input::SourceOpened(SourceId(id), SourceKind::Stream));
            }
        }

        fn say(&mut self, id: u64, message: Message) {
            let request = Request { message, ack: false, unknown: Vec::new() };
            self.handle(Input::SourceSaid(SourceId(id), Ok(request)));
        }

        fn hand_over(&mut self, id: u64) {
            self.say(id, Message::Segment { path: format!("pir.{id}.0.mp4"), naming: None });
        }
    }

    #[test]
    fn who_only_asks_takes_no_cameras_place() {
        let mut scene = Scene::new();
        scene.open(1..=64);
        scene.open(100..=100);
        scene.say(100, Message::Status);
        scene.open(101..=101);
        scene.say(101, Message::Log);
        assert_eq!(scene.closed, [0; 0]);
        for id in 1..=64 {
            scene.hand_over(id);
        }
        scene.say(100, Message::Status);
        assert_eq!(scene.closed, [0; 0], "all of them are there");
        scene.hand_over(101);
        assert_eq!(scene.closed, [101], "one that asked wants a place after all");
    }

    #[test]
    fn one_too_many_takes_the_place_of_the_one_that_was_silent_longest() {
        let mut scene = Scene::new();
        scene.open(1..=65);
        assert_eq!(scene.closed, [0; 0], "the last may only want to ask");
        scene.hand_over(1);
        assert_eq!(scene.closed, [2]);
        scene.open(66..=67);
        assert_eq!(scene.closed, [2, 3]);
    }

    #[test]
    fn of_those_who_ask_there_are_a_few() {
        let mut scene = Scene::new();
        for id in 1..=9 {
            scene.open(id..=id);
            scene.say(id, Message::Status);
        }
        assert_eq!(scene.closed, [1]);
        scene.say(2, Message::Status);
        scene.open(10..=10);
        scene.say(10, Message::Status);
        assert_eq!(scene.closed, [1, 3], "the second has asked since");
    }

    #[test]
    fn the_log_is_told_on_this_machine_alone() {
        let settings = Settings::new("cloud:8443/", "https://cloud:8443/uploads/");
        let found = Scanned { alarms: Some(Vec::new()), ..Scanned::default() };
        let mut engine = Engine::new(Now::default(), 1, settings, found);
        for (id, kind, is_told) in [(1, SourceKind::Stream, true), (2, SourceKind::Remote, false)] {
            let id = SourceId(id);
            engine.handle(Now::default(), Input::SourceOpened(id, kind));
            let request = Request { message: Message::Log, ack: false, unknown: Vec::new() };
            engine.handle(Now::default(), Input::SourceSaid(id, Ok(request)));
            let outputs: Vec<Output> = std::iter::from_fn(|| match engine.poll() {
                Output::Wait(_) => None,
                output => Some(output),
            })
            .collect();
            assert_eq!(outputs.iter().any(|output| matches!(output, Output::ReplyLog(_))), is_told);
            let is_refused = |output: &Output| matches!(output, Output::Reply(_, line) if line.contains("this machine alone"));
            assert_eq!(outputs.iter().any(is_refused), !is_told);
            assert!(outputs.iter().any(|output| matches!(output, Output::NextMessage(_))), "it is read on");
        }
    }
}
