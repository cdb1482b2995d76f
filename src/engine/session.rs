//! The session with the cloud.
//!
//! ```text
//!          Connect                SessionUp            first message, or 60 s without
//!   Down ───────────▶ Connecting ───────────▶ Silent ────────────────────────────────▶ Ready
//!    ▲                    │                     │                                         │
//!    └────────────────────┴── SessionDown ──────┴─────────────────────────────────────────┘
//!       after a wait
//! ```
//!
//! Nothing is forgotten, announced or uploaded before it is clear whether this cloud gives receipts. Silence says
//! that it gives none only on a link that is known to live: some other frame has come.

use super::{Engine, Event, Now, Output, Timer, backoff::Backoff, event::Refused};
use crate::wire::cloud::{Receipt, Report, State, ToAgent, ToCloud};
use std::time::Duration;

/// Waits between tries: a server's restart is noticed soon, a long outage costs little.
const RECONNECT: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(120));
/// A session that lasts this long was worth its while: the waits begin small again. A cloud that takes connections
/// and drops them is not.
const STEADY: Duration = Duration::from_secs(60);
/// As the original pings.
const PING: Duration = Duration::from_secs(55);
/// How long any frame may take after a ping.
const PONG: Duration = Duration::from_secs(20);
/// How long a cloud may take to say that it gives receipts.
const FIRST_WORD: Duration = Duration::from_secs(60);
/// Heartbeat periods are in tens of seconds.
const HEARTBEAT_UNIT: Duration = Duration::from_secs(10);
/// The original's period.
const DEFAULT_PERIOD: u32 = 10;
/// A day: a cloud that asks for less frequent states has mistaken the unit.
const MAX_PERIOD: u32 = 8_640;
/// An hour: a cloud that asks for more is not obeyed to the letter.
const MAX_RETRY_AFTER: u32 = 3_600;
/// How often the owner is warned of refusals that last: between that they are told as any other failure.
const WARN_AGAIN: Duration = Duration::from_secs(3_600);

/// What came over the session.
#[derive(Debug)]
pub enum Frame {
    /// A text frame.
    Text(String),
    /// Any other frame: a sign of life.
    Other,
}

/// The session with the cloud.
#[derive(Debug)]
pub struct Session {
    pub phase: Phase,
    /// Counts sessions: what was said in a former one is not known to have arrived.
    pub epoch: u32,
    /// When the phase began, in seconds since 1970 by the board's clock.
    pub since: u64,
    /// When the connection came about, where there is one.
    up_since: Option<Duration>,
    /// How long former ones lasted, all in all.
    time_up: Duration,
    /// Why the last session ended.
    pub reason: Option<String>,
    backoff: Backoff,
    /// Seconds that the cloud told us to stay away.
    retry_after: Option<u32>,
    /// Refusals since the last session.
    pub refusals: Refusals,
    /// Where the cloud wants uploads to be created.
    pub uploads: Option<String>,
}

/// Why there can be no session, however often it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// One side does not know or trust the other: that takes a person.
    Distrust,
    /// The board's clock is wrong: that takes the network's time, or a person.
    Clock,
    /// The cloud's name leads nowhere: that takes a network, or a person.
    Name,
}

impl Refusal {
    /// So often in a row it may be a server that is just being set up, a clock that is about to be, or a network that
    /// is not there yet.
    fn may_pass_by_itself(self, times: u32) -> bool {
        match self {
            Refusal::Distrust | Refusal::Clock => times < 2,
            Refusal::Name => times < 8,
        }
    }
}

/// How often in a row the session was refused in the same way, and when the owner was warned of it.
#[derive(Debug, Default)]
pub struct Refusals {
    last: Option<Refusal>,
    count: u32,
    warned: Option<Duration>,
}

impl Refusals {
    /// Notes one more; whether it is worth a warning.
    fn add(&mut self, now: Now, refusal: Refusal) -> bool {
        if self.last.replace(refusal) != Some(refusal) {
            (self.count, self.warned) = (0, None);
        }
        self.count = self.count.saturating_add(1);
        let is_due = !refusal.may_pass_by_itself(self.count)
            && self.warned.is_none_or(|warned| now.mono >= warned + WARN_AGAIN);
        if is_due {
            self.warned = Some(now.mono);
        }
        is_due
    }
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is none.
    Down,
    /// One is being made.
    Connecting,
    /// There is one, and it is not clear yet whether its cloud gives receipts.
    Silent {
        /// Some other frame has come.
        is_alive: bool,
        /// The first word was awaited for long enough.
        is_overdue: bool,
    },
    /// There is one, and that is clear.
    Ready {
        /// Whether the cloud gives them.
        receipts: bool,
        /// Since when.
        at: Duration,
    },
}

impl Session {
    /// No session yet.
    pub fn new(now: Now) -> Session {
        Session {
            phase: Phase::Down,
            epoch: 0,
            since: now.unix,
            up_since: None,
            time_up: Duration::ZERO,
            reason: None,
            backoff: RECONNECT,
            retry_after: None,
            refusals: Refusals::default(),
            uploads: None,
        }
    }

    /// Whether the cloud is there, and known to give receipts or not.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// Whether the cloud is there and gives no receipts.
    pub fn is_ready_without_receipts(&self) -> bool {
        matches!(self.phase, Phase::Ready { receipts: false, .. })
    }

    /// The phase's word for `status`.
    pub fn word(&self) -> &'static str {
        match self.phase {
            Phase::Down => "down",
            Phase::Connecting => "connecting",
            Phase::Silent { .. } | Phase::Ready { .. } => "up",
        }
    }

    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Silent { .. } | Phase::Ready { .. })
    }

    /// How long there has been one, all in all.
    pub fn time_up(&self, now: Now) -> Duration {
        let this_one = self.up_since.map_or(Duration::ZERO, |since| now.mono.saturating_sub(since));
        self.time_up + this_one
    }
}

impl Engine {
    pub(super) fn connect(&mut self) {
        self.session.phase = Phase::Connecting;
        self.outputs.push_back(Output::Connect);
    }

    pub(super) fn reconnect(&mut self, _now: Now) {
        if self.session.phase == Phase::Down && !self.stopping {
            self.connect();
        }
    }

    pub(super) fn session_up(&mut self, now: Now, date: Option<u64>) {
        self.session.phase = Phase::Silent { is_alive: false, is_overdue: false };
        self.session.epoch += 1;
        self.session.since = now.unix;
        self.session.up_since = Some(now.mono);
        self.session.uploads = None;
        self.session.refusals = Refusals::default();
        if let Some(date) = date.filter(|date| *date > self.settings.latest_time) {
            self.tell(Event::TimeDisregarded(date));
        }
        self.note_good_time(now, date);
        self.tell(Event::SessionUp);
        self.send_state(now);
        self.timers.set(Timer::Ping, now.mono + PING);
        self.timers.set(Timer::FirstWord, now.mono + FIRST_WORD);
    }

    pub(super) fn session_heard(&mut self, now: Now, frame: Frame) {
        if !self.session.is_up() {
            return;
        }
        self.timers.clear(Timer::Pong);
        let Frame::Text(text) = frame else { return self.sign_of_life(now) };
        let (message, wrong) = match ToAgent::parse(&text) {
            Ok(parsed) => parsed,
            Err(error) => return self.tell(Event::CloudText(error.to_string())),
        };
        for key in wrong {
            self.tell(Event::CloudText(key.to_string()));
        }
        self.obey(now, &message);
        if message.receipts == Some(true) || message.receipt.is_some() {
            self.note_receipts();
        }
        // A cloud that only asks to be left in peace has not said what it is.
        let says_more = message.retry_after.is_none() || message.receipts.is_some();
        if matches!(self.session.phase, Phase::Silent { .. }) && says_more {
            self.become_ready(now, &message);
        }
        if let Some(seconds) = message.retry_after {
            self.session.retry_after = Some(seconds.min(MAX_RETRY_AFTER));
        }
        match message.receipt {
            Some(Receipt::Capture { capture, segments }) => self.receipt(now, capture, segments),
            Some(Receipt::Alarm { alarm }) => self.alarm_received(now, alarm),
            None => {}
        }
        if message.has_state_key() {
            self.send_state(now);
        }
    }

    pub(super) fn session_refused(&mut self, now: Now, refusal: Refusal, reason: String) {
        let is_due = self.session.refusals.add(now, refusal);
        self.session_failed(now, reason, Some(Refused { refusal, is_due }));
    }

    pub(super) fn session_down(&mut self, now: Now, reason: String) {
        self.session.refusals.last = None;
        self.session_failed(now, reason, None);
    }

    fn session_failed(&mut self, now: Now, reason: String, refused: Option<Refused>) {
        let was_up = self.session.is_up();
        self.end_session(now);
        let own = self.session.backoff.fail(&mut self.rng);
        let asked = Duration::from_secs(self.session.retry_after.take().unwrap_or(0).into());
        let wait = asked + own;
        self.timers.set(Timer::Reconnect, now.mono + wait);
        if !self.stopping {
            let endpoint = self.settings.endpoint.clone();
            let reason = reason.clone();
            self.tell(Event::SessionDown { endpoint, was_up, reason, wait, refused });
        }
        self.session.reason = Some(reason);
    }

    /// Nothing of the former session counts any more.
    pub(super) fn end_session(&mut self, now: Now) {
        if let Phase::Ready { at, .. } = self.session.phase
            && now.mono >= at + STEADY
        {
            self.session.backoff.succeed();
        }
        if self.session.is_up() {
            self.session.since = now.unix;
        }
        self.session.time_up = self.session.time_up(now);
        self.session.up_since = None;
        self.session.phase = Phase::Down;
        for timer in [Timer::Heartbeat, Timer::Ping, Timer::Pong, Timer::FirstWord] {
            self.timers.clear(timer);
        }
    }

    pub(super) fn ping(&mut self, now: Now) {
        self.outputs.push_back(Output::Ping);
        self.timers.set(Timer::Ping, now.mono + PING);
        self.timers.set(Timer::Pong, now.mono + PONG);
    }

    pub(super) fn pong_missed(&mut self, now: Now) {
        self.outputs.push_back(Output::Disconnect);
        self.session_down(now, format!("nothing came within {} s of a ping", PONG.as_secs()));
    }

    pub(super) fn goodbye_missed(&mut self, now: Now) {
        if self.session.is_up() {
            self.outputs.push_back(Output::Disconnect);
            self.session_down(now, "the cloud did not answer a goodbye".to_owned());
        }
    }

    pub(super) fn first_word_missed(&mut self, now: Now) {
        match &mut self.session.phase {
            Phase::Silent { is_alive: true, .. } => self.become_ready(now, &ToAgent::default()),
            Phase::Silent { is_overdue, .. } => *is_overdue = true,
            Phase::Down | Phase::Connecting | Phase::Ready { .. } => {}
        }
    }

    fn sign_of_life(&mut self, now: Now) {
        match &mut self.session.phase {
            Phase::Silent { is_overdue: true, .. } => self.become_ready(now, &ToAgent::default()),
            Phase::Silent { is_alive, .. } => *is_alive = true,
            Phase::Down | Phase::Connecting | Phase::Ready { .. } => {}
        }
    }

    pub(super) fn heartbeat(&mut self, now: Now) {
        self.send_level();
        self.send_state(now);
    }

    /// The cloud's first message, or the lack of one, tells whether it gives receipts. A cloud that once gave
    /// them is held to that: else one bad deployment would make boards forget what is not stored.
    fn become_ready(&mut self, now: Now, first: &ToAgent) {
        let receipts = self.remembered.receipts_from.contains(&self.settings.endpoint);
        self.timers.clear(Timer::FirstWord);
        self.session.phase = Phase::Ready { receipts, at: now.mono };
        self.session.uploads.clone_from(&first.uploads);
        self.tell(Event::SessionReady { receipts });
        self.say_alarms(now);
        self.report();
        self.uploads.hurry(now);
    }

    /// This cloud gives receipts, whenever it comes to say so.
    fn note_receipts(&mut self) {
        if let Phase::Ready { receipts, .. } = &mut self.session.phase {
            *receipts = true;
        }
        let endpoint = &self.settings.endpoint;
        if !self.remembered.receipts_from.contains(endpoint) {
            self.remembered.receipts_from.push(endpoint.clone());
            self.remember();
        }
    }

    fn send_state(&mut self, now: Now) {
        let period = self.remembered.heartbeat_period.unwrap_or(DEFAULT_PERIOD);
        self.say(ToCloud::State(State {
            capture_asap: self.camera.capture_asap,
            heartbeat_period: period,
            id: self.remembered.id,
            pir_armed: self.camera.armed().unwrap_or(false),
            version: Some(self.settings.version.clone()),
        }));
        let pause = HEARTBEAT_UNIT * period.clamp(1, MAX_PERIOD);
        self.timers.set(Timer::Heartbeat, now.mono + pause);
    }

    pub(super) fn report(&mut self) {
        if !self.session.is_ready() {
            return;
        }
        self.say(ToCloud::Report(Report {
            version: self.settings.version.clone(),
            backlog: self.captures.backlog(),
            certificate_expires: self.settings.certificate_expires,
            evicted: self.room.evicted,
            missing: self.room.missing,
        }));
    }
}
