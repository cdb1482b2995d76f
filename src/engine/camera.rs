//! The camera program: what it is told, and until when.
//!
//! Being armed is a *level*: it is told again at every heartbeat, after a start, and whenever the camera
//! program comes back. A wish for a capture is an *edge*: it is told once, and lapses if nobody takes it.

use super::{Engine, Event, Now, Output, Timer, budget::Spent, commands::Recent};
use crate::wire::{cloud::ToAgent, command::Command};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};

/// How often an undelivered command is tried.
const RETRY: Duration = Duration::from_secs(1);
/// How often the owner is warned that nobody listens.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// After this long nobody wants the picture any more.
const CAPTURE_LAPSE: Duration = Duration::from_secs(60);
/// Of a command without a camera program.
const NOBODY: &str = "there is nobody to tell: give --cam_sock or --cam_addr";
/// More requests than a cloud can repeat after a reconnect.
const REMEMBERED_REQUESTS: usize = 32;

/// What outlives a restart: state.json.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// Whether the cloud last armed or disarmed.
    pub pir_armed: Option<bool>,
    /// The number that the cloud wants echoed.
    pub id: u32,
    /// Tens of seconds between two states, as the cloud last said.
    pub heartbeat_period: Option<u32>,
    /// Capture requests that were acted on, newest last.
    pub requests: VecDeque<String>,
    /// Endpoints that once said that they give receipts.
    pub receipts_from: Vec<String>,
    /// A verified server's time, in seconds since 1970, at most a day behind the newest.
    pub good_time: Option<u64>,
    /// What uploads may have put on the wire this month: never less than they have. Only where there is a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
}

/// What the camera program should know.
#[derive(Debug)]
pub struct Camera {
    /// The level, once the cloud has said it.
    armed: Option<bool>,
    level_undelivered: bool,
    capture_undelivered: bool,
    /// When the last wish for a capture lapses, delivered or not: by UDP, word that nobody was there comes later.
    capture_lapses: Duration,
    /// The last `capture_asap`: a wish without an identity is its change to true.
    pub capture_asap: bool,
    /// When the owner was last warned that nobody listens.
    silence_told: Option<Duration>,
    /// Whether the owner was told, since the level was last said, that a list counts only while it is armed.
    pub list_told: bool,
    /// What became of the latest commands.
    pub recent: Recent,
}

impl Camera {
    /// A camera as the cloud last wanted it.
    pub fn new(now: Now, remembered: &Remembered) -> Camera {
        let mut recent = Recent::default();
        if let Some(armed) = remembered.pir_armed {
            recent.begin(now, level(armed));
        }
        Camera {
            armed: remembered.pir_armed,
            level_undelivered: false,
            capture_undelivered: false,
            capture_lapses: Duration::ZERO,
            capture_asap: false,
            silence_told: None,
            list_told: false,
            recent,
        }
    }

    /// Whether motion is watched for, if the cloud ever said.
    pub fn armed(&self) -> Option<bool> {
        self.armed
    }
}

impl Engine {
    /// Acts on what the cloud wants of the camera.
    pub(super) fn obey(&mut self, now: Now, message: &ToAgent) {
        let before = self.remembered.clone();
        if let Some(armed) = message.pir_armed
            && self.camera.armed != Some(armed)
        {
            self.camera.armed = Some(armed);
            self.camera.list_told = false;
            self.remembered.pir_armed = Some(armed);
            self.camera.recent.begin(now, level(armed));
            self.send_level();
            self.tell(Event::Armed(armed));
            if !self.settings.has_camera {
                self.tell(Event::NobodyToCommand);
            }
        }
        if let Some(asap) = message.capture_asap {
            let rises = asap && !self.camera.capture_asap;
            self.camera.capture_asap = asap;
            let wanted = match &message.request {
                Some(request) => asap && self.is_new_request(request),
                None => rises,
            };
            if wanted {
                self.want_capture(now);
            }
        }
        self.remembered.id = message.id.unwrap_or(self.remembered.id);
        self.remembered.heartbeat_period = message.heartbeat_period.or(self.remembered.heartbeat_period);
        if self.remembered != before {
            self.remember();
        }
    }

    fn is_new_request(&mut self, request: &str) -> bool {
        let requests = &mut self.remembered.requests;
        if requests.iter().any(|former| former == request) {
            return false;
        }
        if requests.len() == REMEMBERED_REQUESTS {
            requests.pop_front();
        }
        requests.push_back(request.to_owned());
        true
    }

    fn want_capture(&mut self, now: Now) {
        self.camera.recent.begin(now, Command::Capture);
        if !self.settings.has_camera {
            self.camera.recent.lapse(Command::Capture, NOBODY);
            return self.tell(Event::NobodyToCommand);
        }
        self.camera.capture_undelivered = true;
        self.camera.capture_lapses = now.mono + CAPTURE_LAPSE;
        self.timers.set(Timer::CaptureLapse, self.camera.capture_lapses);
        self.command(Command::Capture);
        self.tell(Event::CaptureWanted);
    }

    /// Tells the level, if the cloud ever said one.
    pub(super) fn send_level(&mut self) {
        if let Some(armed) = self.camera.armed {
            self.camera.level_undelivered = true;
            self.command(level(armed));
        }
    }

    fn command(&mut self, command: Command) {
        if self.settings.has_camera {
            self.outputs.push_back(Output::Command(command));
        } else {
            self.camera.recent.lapse(command, NOBODY);
        }
    }

    pub(super) fn command_delivered(&mut self, command: Command) {
        self.camera.recent.deliver(command);
        match command {
            Command::Capture => {
                self.camera.capture_undelivered = false;
                self.timers.clear(Timer::CaptureLapse);
            }
            Command::Arm | Command::Disarm => {
                if self.camera.armed.map(level) == Some(command) {
                    self.camera.level_undelivered = false;
                }
            }
        }
        self.tell(Event::CommandDelivered(command));
        if !self.camera.level_undelivered && !self.camera.capture_undelivered {
            self.timers.clear(Timer::CommandRetry);
        }
    }

    /// It may have counted as delivered before: a UDP datagram that nobody was there for comes back later.
    pub(super) fn command_undelivered(&mut self, now: Now, command: Command, why: &str) {
        self.camera.recent.miss(command, why);
        match command {
            Command::Capture => {
                self.camera.capture_undelivered = true;
                // Where it has lapsed meanwhile, that is told at once.
                self.timers.set(Timer::CaptureLapse, self.camera.capture_lapses);
            }
            Command::Arm | Command::Disarm => {
                self.camera.level_undelivered = self.camera.armed.map(level) == Some(command);
            }
        }
        // By UDP each try counts as delivered until it comes back.
        let is_due = self.camera.silence_told.is_none_or(|told| now.mono >= told + TELL_AGAIN);
        if is_due {
            self.camera.silence_told = Some(now.mono);
        }
        self.tell(Event::CommandUndelivered { command, why: why.to_owned(), is_due });
        if !self.timers.is_set(Timer::CommandRetry) {
            self.timers.set(Timer::CommandRetry, now.mono + RETRY);
        }
    }

    pub(super) fn retry_commands(&mut self, _now: Now) {
        if self.camera.level_undelivered {
            self.send_level();
        }
        if self.camera.capture_undelivered {
            self.command(Command::Capture);
        }
    }

    /// The camera program opened its socket: it may be a new one, which knows nothing.
    pub(super) fn listener_appeared(&mut self, _now: Now) {
        self.send_level();
        if self.camera.capture_undelivered {
            self.command(Command::Capture);
        }
    }

    pub(super) fn lapse_capture(&mut self, _now: Now) {
        self.camera.capture_undelivered = false;
        self.camera.recent.lapse(Command::Capture, "nobody took it within 60 s");
        self.tell(Event::CaptureLapsed);
    }
}

fn level(armed: bool) -> Command {
    if armed { Command::Arm } else { Command::Disarm }
}
