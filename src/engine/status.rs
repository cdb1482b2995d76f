//! The answer to `{"query":"status"}`: one line of JSON.

use super::{
    Engine, InForce, Now, budget::Standing, calendar::Month, commands::CommandStatus, event::counted,
    trouble::FaultStatus,
};
use crate::wire::{Id, cloud::Backlog};
use serde::Serialize;

#[derive(Serialize)]
struct Status<'a> {
    version: &'a str,
    now: u64,
    session: SessionStatus<'a>,
    armed: Option<bool>,
    spool: SpoolStatus<'a>,
    upload: Option<UploadStatus>,
    sent: u64,
    commands: Vec<CommandStatus<'a>>,
    rate: RateStatus,
    budget: Option<BudgetStatus>,
    last_receipt: Option<u64>,
    lost: u64,
    inputs_refused: u64,
    last_refusal: Option<FaultStatus<'a>>,
    disk_failure: Option<FaultStatus<'a>>,
    certificate_expires: Option<u64>,
}

#[derive(Serialize)]
struct SessionStatus<'a> {
    state: &'a str,
    since: u64,
    reason: Option<&'a str>,
    endpoint: &'a str,
}

#[derive(Serialize)]
struct SpoolStatus<'a> {
    state_dir: &'a str,
    #[serde(flatten)]
    backlog: Backlog,
    refused: usize,
}

#[derive(Serialize)]
struct UploadStatus {
    capture: Option<Id>,
    file: String,
    seg_no: u32,
    bytes: u64,
    sent: u64,
}

/// The rate in force.
#[derive(Serialize)]
struct RateStatus {
    /// Null where there is no limit.
    bytes_per_second: Option<u64>,
    /// When another one begins, if one does.
    until: Option<u64>,
    /// Whether it is of this time of day; else that is not known, and it is the lowest of all.
    is_timely: bool,
}

/// The data budget.
#[derive(Serialize)]
struct BudgetStatus {
    month: Option<Month>,
    until: Option<u64>,
    limit: u64,
    spent: u64,
    standing: &'static str,
}

impl Engine {
    /// How it is doing, in a line for a person: `the session is up, armed, 3 captures to upload`.
    pub fn summary(&self) -> String {
        let owed = match self.captures.backlog().captures {
            0 => "nothing to upload".to_owned(),
            captures => format!("{} to upload", counted(captures, "capture")),
        };
        let armed = match self.camera.armed() {
            Some(true) => "armed, ",
            Some(false) => "disarmed, ",
            None => "",
        };
        let budget = match self.settings.monthly_budget.map(|limit| self.standing(limit)) {
            Some(Standing::UsedUp) => ", the data budget is used up",
            Some(Standing::Short) => ", the data budget is short",
            Some(Standing::Ample) | None => "",
        };
        let disk = if self.trouble.is_disks() { ", the state directory can't be written" } else { "" };
        format!("the session is {}, {armed}{owed}{budget}{disk}", self.session.word())
    }

    pub(super) fn status(&self, now: Now) -> String {
        let is_down = !self.session.is_up();
        let upload = self.uploads.progress().and_then(|(place, sent)| {
            let capture = self.captures.at(place.capture)?;
            let bytes = capture.segment(place.seg_no)?.kept.bytes;
            let seg_no = place.seg_no;
            Some(UploadStatus { capture: Some(capture.id), file: place.file(), seg_no, bytes, sent })
        });
        let status = Status {
            version: &self.settings.version,
            now: now.unix,
            session: SessionStatus {
                state: self.session.word(),
                since: self.session.since,
                reason: self.session.reason.as_deref().filter(|_| is_down),
                endpoint: &self.settings.endpoint,
            },
            armed: self.camera.armed(),
            spool: SpoolStatus {
                state_dir: &self.settings.state_dir,
                backlog: self.captures.backlog(),
                refused: self.room.refused_count(),
            },
            upload,
            sent: self.uploads.sent,
            commands: self.camera.recent.status(now),
            rate: self.rate_status(now),
            budget: self.settings.monthly_budget.map(|limit| self.budget_status(now, limit)),
            last_receipt: self.uploads.last_receipt,
            lost: self.room.evicted + self.room.missing,
            inputs_refused: self.counters.inputs_refused,
            last_refusal: self.trouble.refusal(now),
            disk_failure: self.trouble.disk(now),
            certificate_expires: self.settings.certificate_expires,
        };
        serde_json::to_string(&status).expect("a status holds nothing that JSON could refuse") + "\n"
    }

    fn rate_status(&self, now: Now) -> RateStatus {
        let InForce { rate, until, is_timely } = self.rate_in_force(self.time(now));
        RateStatus { bytes_per_second: rate.bytes(), until, is_timely }
    }

    fn budget_status(&self, now: Now, limit: u64) -> BudgetStatus {
        let standing = match self.standing(limit) {
            Standing::Ample => "ample",
            Standing::Short => "short",
            Standing::UsedUp => "used_up",
        };
        let (month, until, spent) = (self.budget.month(), self.month_ends(now), self.budget.spent());
        BudgetStatus { month, until, limit, spent, standing }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Frame, Input, Output, Settings, SourceId, SourceKind,
            spool::{Done, Scanned},
        },
        *,
    };
    use crate::wire::{
        command::Command,
        input::{Message, MessageError, Request},
    };
    use serde_json::{Value, json};
    use std::{io, time::Duration};

    const WATCHER: SourceId = SourceId(1);

    /// What the agent says at this second, after these inputs, one a second.
    fn status(inputs: Vec<Input>, second: u64) -> Value {
        let settings = Settings::new("cloud:8443/", "https://cloud:8443/uploads/");
        let found = Scanned { alarms: Some(Vec::new()), ..Scanned::default() };
        let at = |second: u64| Now { mono: Duration::from_secs(second), unix: 1_795_000_000 + second };
        let mut engine = Engine::new(at(0), 1, settings, found);
        for (input, second) in inputs.into_iter().zip(1..) {
            engine.handle(at(second), input);
        }
        engine.handle(at(second), Input::Wake);
        engine.handle(at(second), Input::SourceOpened(WATCHER, SourceKind::Stream));
        let request = Request { message: Message::Status, ack: false, unknown: Vec::new() };
        engine.handle(at(second), Input::SourceSaid(WATCHER, Ok(request)));
        let answer = std::iter::from_fn(|| Some(engine.poll())).find_map(|output| match output {
            Output::Reply(_, line) => Some(line),
            _ => None,
        });
        serde_json::from_str(&answer.unwrap()).unwrap()
    }

    fn hears(text: &str) -> Input {
        Input::SessionHeard(Frame::Text(text.to_owned()))
    }

    #[test]
    fn the_latest_commands_are_told_with_what_became_of_them() {
        let inputs = || {
            vec![
                Input::SessionUp(None),
                hears(r#"{"pir_armed":true,"capture_asap":true,"request":"r"}"#),
                Input::CommandDelivered(Command::Arm),
                Input::CommandUndelivered(Command::Capture, "nobody listens".into()),
                Input::CommandDelivered(Command::Arm),
            ]
        };
        let arm = |age: u64| json!({"command": "arm", "at": 1_795_000_002, "age": age, "state": "delivered", "why": null});
        let capture = |age: u64, state: &str, why: &str| json!({"command": "capture", "at": 1_795_000_002, "age": age, "state": state, "why": why});
        let expected = json!([arm(8), capture(8, "waiting", "nobody listens")]);
        assert_eq!(status(inputs(), 10)["commands"], expected);
        let expected = json!([arm(61), capture(61, "lapsed", "nobody took it within 60 s")]);
        assert_eq!(status(inputs(), 63)["commands"], expected);
    }

    #[test]
    fn a_disk_that_fails_is_told_until_it_has_taken_what_it_did_not_take() {
        let settled = |result: io::Result<()>| Input::DiskDone(Done::Settled(result));
        let full = || settled(Err(io::ErrorKind::StorageFull.into()));
        let begin = || vec![Input::SessionUp(None), hears(r#"{"pir_armed":true}"#), full()];
        let told =
            |at: u64, age: u64| json!({"at": 1_795_000_000 + at, "age": age, "why": "/: no storage space"});
        assert_eq!(status(begin(), 10)["disk_failure"], told(3, 7));
        // It is tried again after a while; a failure that goes on is the same.
        let mut goes_on = begin();
        goes_on.extend((4..=14).map(|_| Input::Wake));
        goes_on.push(full());
        assert_eq!(status(goes_on, 16)["disk_failure"], told(3, 13));
        let mut is_well = begin();
        is_well.extend((4..=14).map(|_| Input::Wake));
        is_well.push(settled(Ok(())));
        assert_eq!(status(is_well, 16)["disk_failure"], Value::Null);
    }

    #[test]
    fn what_was_not_taken_is_counted_and_the_latest_told() {
        let error = |why: &str| MessageError { ack: false, why: why.to_owned() };
        let says = |why: &str| Input::SourceSaid(SourceId(7), Err(error(why)));
        let inputs = vec![Input::SourceOpened(SourceId(7), SourceKind::Stream), says("one"), says("another")];
        let status = status(inputs, 5);
        assert_eq!(status["inputs_refused"], 2);
        assert_eq!(status["last_refusal"], json!({"at": 1_795_000_003, "age": 2, "why": "another"}));
        assert_eq!(status["disk_failure"], Value::Null);
    }

    #[test]
    fn a_board_that_was_told_nothing_has_no_commands() {
        let status = status(Vec::new(), 1);
        assert_eq!((&status["commands"], &status["sent"]), (&json!([]), &json!(0)));
    }
}
