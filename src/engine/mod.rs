//! Everything that the agent decides, without a clock, socket, file, thread or environment of its own.
//!
//! A shell tells the engine what happened ([`Engine::handle`]), then drains what is to be done
//! ([`Engine::poll`]) until it is told to wait. The same calls with the same seed give the same outputs, so
//! that the whole agent can be run in virtual time, against a simulated cloud, camera and disk.
//!
//! ```text
//!   sources ──▶ intake ──▶ captures ──▶ uploads        session ──▶ camera
//!               (stage, decide, keep)   (tus, step by   (the cloud's words)
//!                    │                   step)              │
//!                    ▼                     ▼                ▼
//!                  chores: what the disk still has to do, in order, until it is done
//! ```

pub mod budget;
pub mod calendar;
pub mod event;
pub mod rates;
pub mod rng;
pub mod sight;
pub mod spool;
pub mod uploads;

mod alarms;
mod backoff;
mod camera;
mod capture;
mod captures;
mod chores;
mod commands;
mod figures;
mod intake;
mod load;
mod owed;
mod pace;
mod room;
mod session;
mod sources;
mod status;
mod timekeeping;
mod timers;
mod trouble;

pub use camera::Remembered;
pub use figures::{Allowance, Counters, Figures, Volume};
pub use load::Load;
pub use pace::{InForce, Pace};
pub use session::{Frame, Refusal};
pub use sources::SourceKind;

use crate::wire::{
    cloud::ToCloud,
    command::Command,
    input::{MessageError, Reply, Request, StreamError},
};
use alarms::Alarms;
use budget::Budget;
use calendar::Zone;
use camera::Camera;
use captures::Captures;
use chores::Chores;
use event::Event;
use intake::Intake;
use rates::Rates;
use rng::Rng;
use room::Room;
use session::{Refusals, Session};
use sources::Sources;
use std::{collections::VecDeque, time::Duration};
use timekeeping::Told;
use timers::{Timer, Timers};
use trouble::Trouble;
use uploads::Uploads;

/// How long a cloud may take to answer a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What time it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// On a clock that never jumps. Every deadline is on it.
    pub mono: Duration,
    /// Seconds since 1970 by the board's clock, which may jump by decades. It only stamps messages, and tells the time of
    /// day and the month where it can be believed.
    pub unix: u64,
}

/// A connection on an input socket, or a list of files. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId(pub u64);

/// What the owner decided.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The agent's version.
    pub version: String,
    /// The cloud, as the owner wrote it.
    pub endpoint: String,
    /// Where uploads are created unless the cloud says otherwise.
    pub upload_url: String,
    /// Whether the owner named that place: then it is no matter of the cloud's.
    pub uploads_elsewhere: bool,
    /// The state directory, for people to read.
    pub state_dir: String,
    /// The most bytes that the spool may hold.
    pub spool_max: Option<u64>,
    /// The free space that is to be left on the spool's file system, in bytes.
    pub min_free: u64,
    /// Copy segments, even where a link would do.
    pub copy: bool,
    /// Remove the camera's own files once their capture is confirmed.
    pub delete_uploaded: bool,
    /// Whether there is anybody to command.
    pub has_camera: bool,
    /// When the board's certificate expires, in seconds since 1970.
    pub certificate_expires: Option<u64>,
    /// In seconds since 1970: what says that it is earlier is wrong.
    pub earliest_time: u64,
    /// In seconds since 1970: what says that it is later is wrong.
    pub latest_time: u64,
    /// How fast uploads may go at which time of the day.
    pub rates: Rates,
    /// How many bytes uploads may put on the wire in a calendar month, at least [`budget::LEAST`].
    pub monthly_budget: Option<u64>,
    /// Whose days and months these are.
    pub zone: Zone,
}

impl Settings {
    /// Of an owner who decided nothing but where the cloud and its uploads are, and has a camera program.
    pub fn new(endpoint: &str, upload_url: &str) -> Settings {
        Settings {
            version: String::new(),
            endpoint: endpoint.to_owned(),
            upload_url: upload_url.to_owned(),
            uploads_elsewhere: false,
            state_dir: "/".to_owned(),
            spool_max: None,
            min_free: 0,
            copy: false,
            delete_uploaded: false,
            has_camera: true,
            certificate_expires: None,
            earliest_time: 0,
            latest_time: u64::MAX,
            rates: Rates::default(),
            monthly_budget: None,
            zone: Zone::default(),
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The deadline has come.
    Wake,
    /// A local program connected.
    SourceOpened(SourceId, SourceKind),
    /// It said something. It is heard again only after [`Output::NextMessage`].
    SourceSaid(SourceId, Result<Request, MessageError>),
    /// It closed, or what it said can't be read on.
    SourceEnded(SourceId, Option<StreamError>),
    /// The cloud took the connection; the verified server's own time, if it told it.
    SessionUp(Option<u64>),
    /// The cloud sent something.
    SessionHeard(Frame),
    /// The connection ended, or could not be made.
    SessionDown(String),
    /// It could not be made, and more tries alone will not mend that.
    SessionRefused(Refusal, String),
    /// The camera program got a command.
    CommandDelivered(Command),
    /// It did not.
    CommandUndelivered(Command, String),
    /// The camera program opened its socket anew.
    ListenerAppeared,
    /// The first task that is not answered yet is done.
    DiskDone(spool::Done),
    /// The upload endpoint answered, or did not.
    UploadAnswered(uploads::Answer),
    /// So many bytes of the segment have gone out.
    UploadProgress(u64),
    /// So many bytes have crossed the wire for uploads since the start, either way.
    Metered(u64),
    /// The owner changed the configuration.
    Reload(Settings),
    /// The agent is to end.
    Stop,
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// Connect to the cloud.
    Connect,
    /// Send a text frame.
    Send(ToCloud),
    /// Send a ping.
    Ping,
    /// Give the connection up: nothing more is to be heard of it.
    Disconnect,
    /// Say goodbye: the end of the connection is heard as usual.
    Close,
    /// Send a datagram to the camera program.
    Command(Command),
    /// Carry out a task of the spool.
    Disk(spool::Task),
    /// Make a request to the upload endpoint.
    Upload(uploads::Request),
    /// Give up the request that is under way.
    AbandonUpload,
    /// How uploads go on from now on, the request that is under way, too.
    Pace(Pace),
    /// Write a line to a source.
    Reply(SourceId, String),
    /// Write the latest lines of the log to a source, as one line.
    ReplyLog(SourceId),
    /// Read on from a source.
    NextMessage(SourceId),
    /// End a source.
    Drop(SourceId),
    /// A verified server's time: certificates need not be valid before it.
    RaiseClockFloor(u64),
    /// Tell the owner.
    Event(Event),
    /// Nothing more until then, or until something happens.
    Wait(Option<Duration>),
}

/// The agent's mind.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    rng: Rng,
    timers: Timers,
    session: Session,
    camera: Camera,
    sources: Sources,
    intake: Intake,
    captures: Captures,
    room: Room,
    uploads: Uploads,
    /// What the upload worker was told last.
    pace: Pace,
    budget: Budget,
    alarms: Alarms,
    chores: Chores,
    remembered: Remembered,
    counters: Counters,
    trouble: Trouble,
    told: Option<Told>,
    stopping: bool,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine that goes on where a former life left off. `seed` should be random.
    pub fn new(now: Now, seed: u64, settings: Settings, mut found: spool::Scanned) -> Engine {
        let mut engine = Engine {
            settings,
            rng: Rng::new(seed),
            timers: Timers::default(),
            session: Session::new(now),
            camera: Camera::new(now, &found.remembered),
            sources: Sources::default(),
            intake: Intake::default(),
            captures: Captures::default(),
            room: Room::new(std::mem::take(&mut found.refused)),
            uploads: Uploads::default(),
            pace: Pace::default(),
            budget: Budget::new(found.remembered.spent.clone()),
            alarms: Alarms::default(),
            chores: Chores::default(),
            remembered: found.remembered.clone(),
            counters: Counters::default(),
            trouble: Trouble::default(),
            told: None,
            stopping: false,
            outputs: VecDeque::new(),
        };
        engine.found(now, found);
        engine.recall_good_time();
        let backlog = engine.captures.backlog();
        engine.tell(Event::Started { captures: backlog.captures, segments: backlog.segments });
        engine.send_level();
        engine.connect();
        engine.go_on(now);
        engine
    }

    /// Takes one event in. Call [`Engine::poll`] until it says to wait.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Wake => self.wake(now),
            Input::SourceOpened(source, kind) => self.source_opened(now, source, kind),
            Input::SourceSaid(source, request) => self.source_said(now, source, request),
            Input::SourceEnded(source, error) => self.source_ended(now, source, error),
            Input::SessionUp(date) => self.session_up(now, date),
            Input::SessionHeard(frame) => self.session_heard(now, frame),
            Input::SessionDown(reason) => self.session_down(now, reason),
            Input::SessionRefused(refusal, reason) => self.session_refused(now, refusal, reason),
            Input::CommandDelivered(command) => self.command_delivered(command),
            Input::CommandUndelivered(command, why) => self.command_undelivered(now, command, &why),
            Input::ListenerAppeared => self.listener_appeared(now),
            Input::DiskDone(done) => self.disk_done(now, done),
            Input::UploadAnswered(answer) => self.upload_answered(now, answer),
            Input::UploadProgress(sent) => self.upload_progress(sent),
            Input::Metered(total) => self.metered(total),
            Input::Reload(settings) => self.reload(now, settings),
            Input::Stop => self.stop(now),
        }
        self.go_on(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.timers.next()))
    }

    /// Whether the agent was told to end, and neither disk nor cloud has anything left to do for it.
    pub fn is_finished(&self) -> bool {
        let is_at_rest = self.intake.is_idle() && self.chores.is_at_rest() && !self.session.is_up();
        self.stopping && is_at_rest && !self.is_still_counting()
    }

    fn wake(&mut self, now: Now) {
        for (timer, act) in [
            (Timer::Reconnect, Engine::reconnect as fn(&mut Engine, Now)),
            (Timer::Heartbeat, Engine::heartbeat),
            (Timer::Ping, Engine::ping),
            (Timer::Pong, Engine::pong_missed),
            (Timer::FirstWord, Engine::first_word_missed),
            (Timer::Goodbye, Engine::goodbye_missed),
            // What has lapsed is not tried again.
            (Timer::CaptureLapse, Engine::lapse_capture),
            (Timer::CommandRetry, Engine::retry_commands),
            (Timer::IdleSource, Engine::drop_idle_sources),
            (Timer::DiskRetry, Engine::retry_chores),
            (Timer::Rescan, Engine::rescan),
            // What may be uploaded, and how fast, is looked up after every event.
            (Timer::Upload, |_, _| ()),
            (Timer::Pace, |_, _| ()),
        ] {
            if self.timers.has_come(timer, now.mono) {
                act(self, now);
            }
        }
    }

    /// What may have become possible by any event.
    fn go_on(&mut self, now: Now) {
        self.take_in(now);
        self.forget_settled(now);
        self.send_ends(now);
        self.look_at_pace(now);
        self.upload_next(now);
        self.do_chore();
    }

    fn disk_done(&mut self, now: Now, done: spool::Done) {
        match done {
            spool::Done::Staged(result) => self.staged(now, result),
            spool::Done::Kept(result) => self.kept(now, result),
            spool::Done::Weighed(result) => self.weighed(now, result),
            spool::Done::Rehashed(result) => self.rehashed(now, result),
            spool::Done::AlarmAdded(result) => self.alarm_added(now, result),
            spool::Done::Repeated(result) => self.repeated(now, result),
            spool::Done::Unstaged => {}
            spool::Done::Rescanned(scanned) => self.found(now, scanned),
            spool::Done::Lost { refused, result } => {
                self.room.add_refused(refused);
                self.chore_done(now, result);
            }
            spool::Done::Forgotten { problems, result } => {
                self.tell_problems(problems);
                self.chore_done(now, result);
            }
            spool::Done::Settled(result) => self.chore_done(now, result),
        }
    }

    /// A new certificate or endpoint counts from the next connection on: that is now.
    fn reload(&mut self, now: Now, settings: Settings) {
        if settings.monthly_budget != self.settings.monthly_budget {
            self.reload_budget();
        }
        self.settings = settings;
        self.tell(Event::Reloaded);
        self.outputs.push_back(Output::Disconnect);
        self.end_session(now);
        self.session.refusals = Refusals::default();
        self.timers.clear(Timer::Reconnect);
        self.connect();
        self.send_level();
    }

    fn stop(&mut self, now: Now) {
        self.stopping = true;
        self.timers.set(Timer::Goodbye, now.mono + GOODBYE);
        for source in self.sources.ids() {
            self.outputs.push_back(Output::Drop(source));
        }
        self.outputs.push_back(Output::AbandonUpload);
        let goodbye = if self.session.is_up() { Output::Close } else { Output::Disconnect };
        self.outputs.push_back(goodbye);
        self.tell(Event::Stopping);
    }

    fn tell(&mut self, event: Event) {
        self.counters.count(&event);
        self.outputs.push_back(Output::Event(event));
    }

    fn say(&mut self, message: ToCloud) {
        self.outputs.push_back(Output::Send(message));
    }

    fn reply(&mut self, source: SourceId, reply: &Reply) {
        self.outputs.push_back(Output::Reply(source, reply.to_line()));
    }
}
