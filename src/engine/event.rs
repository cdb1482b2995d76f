//! What the owner is told, typed. The shell writes it to the log.

use super::{
    calendar::Month,
    pace::InForce,
    session::Refusal,
    spool::{CaptureName, LostReason, Place, REFUSED},
};
use crate::wire::{command::Command, utc::Utc};
use std::{fmt, time::Duration};

/// A refused session: whose fault that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is to be mended.
    pub refusal: Refusal,
    /// Whether the owner is to be warned of it, now or again.
    pub is_due: bool,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each says in its text what it means")]
pub enum Event {
    Started { captures: u64, segments: u64 },
    Stopping,
    Reloaded,
    SpoolProblem(String),

    SessionUp,
    SessionReady { receipts: bool },
    SessionDown { endpoint: String, was_up: bool, reason: String, wait: Duration, refused: Option<Refused> },
    CloudText(String),
    TimeDisregarded(u64),

    Armed(bool),
    CaptureWanted,
    CaptureLapsed,
    NobodyToCommand,
    CommandDelivered(Command),
    CommandUndelivered { command: Command, why: String, is_due: bool },

    TooManySources { limit: usize },
    TooManyWatchers { limit: usize },
    SourceIdle { limit: Duration },
    InputRefused { path: Option<String>, why: String },
    InputBroken(String),
    UnknownKeys(Vec<String>),
    ListedUnarmed(String),
    Alarm,

    Kept { place: Place, bytes: u64 },
    Repeated(Place),
    Closed(CaptureName),
    FileChanged(Place),
    UploadFailed { place: Place, why: String, wait: Duration },
    Confirmed { place: Place, bytes: u64 },
    Rate(InForce),
    BudgetShort { left: u64, limit: u64, until: Option<u64> },
    BudgetUsedUp { limit: u64, until: Option<u64> },
    BudgetAnew(Month),
    Receipt(CaptureName),
    StaleReceipt(CaptureName),
    Lost { place: Place, reason: LostReason, why: String },
    Evicted { capture: CaptureName, segments: usize },
    RefusedDropped(String),
    DiskFailed(String),
}

/// So many of something, as people say it.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A promise is broken: something that was acknowledged has gone without a decision of the agent's.
    Error,
    /// A person is needed.
    Warn,
    /// An owner would want to know.
    Info,
    /// A small step.
    Debug,
}

impl Event {
    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            Event::Lost { reason: LostReason::Missing, .. } => Level::Error,
            Event::SpoolProblem(_)
            | Event::SessionDown { refused: Some(Refused { is_due: true, .. }), .. }
            | Event::CloudText(_)
            | Event::TimeDisregarded(_)
            | Event::CaptureLapsed
            | Event::NobodyToCommand
            | Event::CommandUndelivered { is_due: true, .. }
            | Event::TooManySources { .. }
            | Event::TooManyWatchers { .. }
            | Event::InputRefused { .. }
            | Event::InputBroken(_)
            | Event::UnknownKeys(_)
            | Event::FileChanged(_)
            | Event::UploadFailed { .. }
            | Event::BudgetShort { .. }
            | Event::BudgetUsedUp { .. }
            | Event::Lost { .. }
            | Event::Evicted { .. }
            | Event::RefusedDropped(_)
            | Event::DiskFailed(_) => Level::Warn,
            Event::Started { .. }
            | Event::Stopping
            | Event::Reloaded
            | Event::SessionReady { .. }
            | Event::SessionDown { .. }
            | Event::Armed(_)
            | Event::CaptureWanted
            | Event::ListedUnarmed(_)
            | Event::Alarm
            | Event::Kept { .. }
            | Event::Rate(InForce { is_timely: false, .. })
            | Event::BudgetAnew(_)
            | Event::Receipt(_) => Level::Info,
            Event::SessionUp
            | Event::CommandDelivered(_)
            | Event::CommandUndelivered { is_due: false, .. }
            | Event::SourceIdle { .. }
            | Event::Repeated(_)
            | Event::Closed(_)
            | Event::Confirmed { .. }
            | Event::Rate(_)
            | Event::StaleReceipt(_) => Level::Debug,
        }
    }
}

impl Refused {
    /// Where the owner is to be warned what to do is told, and else what would worry.
    fn is_worth_words(&self) -> bool {
        self.is_due || self.refusal == Refusal::Clock
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.refusal {
            Refusal::Clock => "this mends itself once the clock is right",
            Refusal::Distrust => "waiting alone will not mend that",
            Refusal::Name => "is --endpoint right, and is there a network?",
        })
    }
}

/// The end of the month.
struct Until(Option<u64>);

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(end) => write!(f, "until {}", Utc(end)),
            None => write!(f, "until another month is known to have begun"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started { captures: 0, .. } => write!(f, "started; the spool is empty"),
            Event::Started { captures, segments } => {
                let (captures, segments) = (counted(*captures, "capture"), counted(*segments, "segment"));
                write!(f, "started; still owed to the cloud: {captures}, with {segments} not sent yet")
            }
            Event::Stopping => write!(f, "stopping"),
            Event::Reloaded => write!(f, "certificate, key and configuration are read again"),
            Event::SpoolProblem(problem) => write!(f, "the state directory {problem}"),
            Event::SessionUp => write!(f, "the cloud took the connection"),
            Event::SessionReady { receipts: true } => write!(f, "connected to the cloud"),
            Event::SessionReady { receipts: false } => {
                write!(
                    f,
                    "connected to the cloud; it gives no receipts, so a confirmed upload is the last word"
                )
            }
            Event::SessionDown { endpoint, was_up, reason, wait, refused } => {
                let what =
                    if *was_up { "the connection to the cloud ended" } else { "no connection to the cloud" };
                write!(f, "{what}: {reason}")?;
                if let Some(refused) = refused.as_ref().filter(|refused| refused.is_worth_words()) {
                    write!(f, "; {refused}")?;
                }
                write!(f, "; {endpoint} is tried again in {:.1} s", wait.as_secs_f32())
            }
            Event::TimeDisregarded(time) => {
                write!(
                    f,
                    "{}, as a server said or as it was remembered, is later than it can be: it is disregarded",
                    Utc(*time)
                )
            }
            Event::CloudText(why) => write!(f, "a message of the cloud's: {why}"),
            Event::Armed(true) => write!(f, "armed by the cloud"),
            Event::Armed(false) => write!(f, "disarmed by the cloud"),
            Event::CaptureWanted => write!(f, "the cloud wants a capture"),
            Event::CaptureLapsed => {
                write!(f, "the camera program did not take the wish for a capture within 60 s: it has lapsed")
            }
            Event::NobodyToCommand => {
                write!(
                    f,
                    "the cloud commands the camera, but there is nobody to tell: give --cam_sock or --cam_addr"
                )
            }
            Event::CommandDelivered(command) => write!(f, "told the camera program: {command}"),
            Event::CommandUndelivered { command, why, .. } => {
                write!(f, "the camera program can't be told to {command}: {why}; trying each second")
            }
            Event::TooManySources { limit } => {
                write!(f, "more than {limit} local connections: the one that was silent longest is closed")
            }
            Event::TooManyWatchers { limit } => {
                write!(
                    f,
                    "more than {limit} local connections that only ask: the one that was silent longest is closed"
                )
            }
            Event::SourceIdle { limit } => {
                write!(f, "a local connection named no segment for {} s: closed", limit.as_secs())
            }
            Event::InputRefused { path: Some(path), why } => write!(f, "{path:?} is not taken: {why}"),
            Event::InputRefused { path: None, why } => write!(f, "a local message is not taken: {why}"),
            Event::InputBroken(why) => write!(f, "a local connection is closed: {why}"),
            Event::UnknownKeys(keys) => {
                write!(f, "a local message has keys that say nothing to this version: {keys:?}")
            }
            Event::ListedUnarmed(path) => {
                write!(f, "{path:?} of the list is left out, and so is what follows: the camera is not armed")
            }
            Event::Alarm => write!(f, "alarm"),
            Event::Kept { place, bytes } => write!(f, "{} is safe, {bytes} bytes", place.file()),
            Event::Repeated(place) => write!(f, "{} was here already", place.file()),
            Event::Closed(capture) => write!(f, "{capture} has ended"),
            Event::FileChanged(place) => {
                write!(
                    f,
                    "{} was changed after it was handed over: it is sent as it is now (see --spool_copy)",
                    place.file()
                )
            }
            Event::UploadFailed { place, why, wait } => {
                write!(
                    f,
                    "{} could not be sent: {why}; next try in {:.1} s",
                    place.file(),
                    wait.as_secs_f32()
                )
            }
            Event::Confirmed { place, .. } => write!(f, "{} is at the server", place.file()),
            Event::Rate(InForce { rate, is_timely: true, .. }) => write!(f, "from now on {rate} uploaded"),
            Event::Rate(InForce { rate, is_timely: false, .. }) => {
                write!(
                    f,
                    "nobody knows the time of day yet: until then {rate} uploaded, the lowest of --max_rate"
                )
            }
            Event::BudgetShort { left, limit, until } => {
                let until = Until(*until);
                write!(
                    f,
                    "the data budget is short: {left} of {limit} bytes are left {until}; the first segment of each \
                     capture goes before all others"
                )
            }
            Event::BudgetUsedUp { limit, until } => {
                let until = Until(*until);
                write!(f, "the data budget of {limit} bytes is used up: nothing is uploaded {until}")
            }
            Event::BudgetAnew(month) => write!(f, "it is {month}: the data budget begins anew"),
            Event::Receipt(capture) => write!(f, "{capture} is stored by the cloud, whole"),
            Event::StaleReceipt(capture) => write!(f, "a receipt for {capture} came before its last segment"),
            Event::Lost { place, reason: LostReason::Refused, why } => {
                write!(f, "{} was refused for good: {why}; it goes to {REFUSED}/", place.file())
            }
            Event::Lost { place, why, .. } => write!(f, "{} is lost: {why}", place.file()),
            Event::Evicted { capture, segments } => {
                let segments = counted(*segments as u64, "segment");
                write!(f, "{capture} was given up with {segments}, for want of space (see lost.log)")
            }
            Event::RefusedDropped(path) => write!(f, "{path} was given up, for want of space"),
            Event::DiskFailed(why) => write!(f, "the state directory can't be written: {why}; trying again"),
        }
    }
}
