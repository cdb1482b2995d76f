//! How the agent is doing, in numbers: for programs that keep a history of them.

use super::{Engine, Event, Now, spool::LostReason};
use crate::wire::{cloud::Backlog, command::Command};
use std::time::Duration;

/// What there is to tell at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The agent's version.
    pub version: String,
    /// Whether there is a connection with the cloud.
    pub session_up: bool,
    /// How long there has been one since the start, all in all.
    pub session_time: Duration,
    /// Whether motion is watched for, if the cloud ever said.
    pub armed: Option<bool>,
    /// What waits for the cloud.
    pub backlog: Backlog,
    /// Segments that the server refused and that are still there.
    pub refused: usize,
    /// Alarms that the cloud has not confirmed.
    pub alarms: usize,
    /// When the last receipt came, in seconds since 1970 by the board's clock.
    pub last_receipt: Option<u64>,
    /// When the board's certificate expires, in seconds since 1970.
    pub certificate_expires: Option<u64>,
    /// How fast uploads may go now, in bytes a second; none where there is no limit.
    pub rate_limit: Option<u64>,
    /// The month's data budget, if there is one.
    pub budget: Option<Allowance>,
    /// What has happened since the start.
    pub counters: Counters,
}

/// What the data budget is, and how much of it is spent, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// For a calendar month.
    pub limit: u64,
    /// In this one.
    pub spent: u64,
}

/// How often what has happened since the start. Each event is counted where it is told, and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections with the cloud.
    pub sessions: u64,
    /// Tries that made none.
    pub session_failures: u64,
    /// Segments that were made safe.
    pub accepted: Volume,
    /// Segments that the server confirmed.
    pub confirmed: Volume,
    /// Tries that did not bring a segment to the server.
    pub upload_failures: u64,
    /// Captures that the cloud has whole.
    pub receipts: u64,
    /// Segments that the cloud will never have, in the order of [`LostReason::ALL`].
    pub lost: [u64; LostReason::ALL.len()],
    /// Messages of local programs, or files that they named, that were not taken.
    pub inputs_refused: u64,
    /// Commands that went out, in the order of [`Command::ALL`].
    pub delivered: [u64; Command::ALL.len()],
    /// Tries that did not reach the camera program, in the order of [`Command::ALL`].
    pub undelivered: [u64; Command::ALL.len()],
    /// Alarms of local programs.
    pub alarms: u64,
    /// Decisions that the disk did not take at once.
    pub disk_failures: u64,
}

/// So many segments, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// How many.
    pub segments: u64,
    /// Of all of them.
    pub bytes: u64,
}

impl Counters {
    pub(super) fn count(&mut self, event: &Event) {
        match event {
            Event::SessionUp => self.sessions += 1,
            Event::SessionDown { was_up: false, .. } => self.session_failures += 1,
            Event::Kept { bytes, .. } => self.accepted.add(*bytes),
            Event::Confirmed { bytes, .. } => self.confirmed.add(*bytes),
            Event::UploadFailed { .. } => self.upload_failures += 1,
            Event::Receipt(_) => self.receipts += 1,
            Event::Lost { reason, .. } => self.lost[index_in(&LostReason::ALL, *reason)] += 1,
            Event::InputRefused { .. } => self.inputs_refused += 1,
            Event::CommandDelivered(command) => self.delivered[index_in(&Command::ALL, *command)] += 1,
            Event::CommandUndelivered { command, .. } => {
                self.undelivered[index_in(&Command::ALL, *command)] += 1;
            }
            Event::Alarm => self.alarms += 1,
            Event::DiskFailed(_) => self.disk_failures += 1,
            Event::Started { .. }
            | Event::Stopping
            | Event::Reloaded
            | Event::SpoolProblem(_)
            | Event::SessionReady { .. }
            | Event::SessionDown { was_up: true, .. }
            | Event::CloudText(_)
            | Event::TimeDisregarded(_)
            | Event::Armed(_)
            | Event::CaptureWanted
            | Event::CaptureLapsed
            | Event::NobodyToCommand
            | Event::TooManySources { .. }
            | Event::TooManyWatchers { .. }
            | Event::SourceIdle { .. }
            | Event::InputBroken(_)
            | Event::UnknownKeys(_)
            | Event::ListedUnarmed(_)
            | Event::Repeated(_)
            | Event::Closed(_)
            | Event::FileChanged(_)
            | Event::StaleReceipt(_)
            | Event::Rate(_)
            | Event::BudgetShort { .. }
            | Event::BudgetUsedUp { .. }
            | Event::BudgetAnew(_)
            | Event::Evicted { .. }
            | Event::RefusedDropped(_) => {}
        }
    }
}

impl Volume {
    fn add(&mut self, bytes: u64) {
        self.segments += 1;
        self.bytes += bytes;
    }
}

fn index_in<T: PartialEq + Copy>(all: &[T], one: T) -> usize {
    all.iter().position(|other| *other == one).expect("every one of them is among all")
}

impl Engine {
    /// How it is doing now.
    pub fn figures(&self, now: Now) -> Figures {
        Figures {
            version: self.settings.version.clone(),
            session_up: self.session.is_up(),
            session_time: self.session.time_up(now),
            armed: self.camera.armed(),
            backlog: self.captures.backlog(),
            refused: self.room.refused_count(),
            alarms: self.alarms.count(),
            last_receipt: self.uploads.last_receipt,
            certificate_expires: self.settings.certificate_expires,
            rate_limit: self.rate_in_force(self.time(now)).rate.bytes(),
            budget: self.settings.monthly_budget.map(|limit| Allowance { limit, spent: self.budget.spent() }),
            counters: self.counters.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{
            Frame, Input, Output, Settings, SourceId, SourceKind,
            event::Level,
            rates::{DAY, Rate, Rates, Window},
            spool::{Done, Kept, Scanned, Staged},
            uploads::Answer,
        },
        wire::{
            Sha256,
            cloud::{Receipt, ToAgent},
            input::{Message, MessageError, Request},
        },
    };
    use std::io;

    const CAMERA: SourceId = SourceId(1);
    const SENSOR: SourceId = SourceId(2);
    const DIGEST: Sha256 = Sha256([7; 32]);

    /// An engine, and how many warnings it has told.
    struct Board(Engine, usize);

    impl Board {
        fn new() -> Board {
            let settings = Settings::new("cloud:443/", "https://cloud/uploads/");
            let found = Scanned { alarms: Some(Vec::new()), ..Scanned::default() };
            Board(Engine::new(Now::default(), 1, settings, found), 0)
        }

        fn tell(&mut self, second: u64, input: Input) {
            self.0.handle(at(second), input);
            loop {
                match self.0.poll() {
                    Output::Wait(_) => return,
                    Output::Event(event) if event.level() == Level::Warn => self.1 += 1,
                    _ => {}
                }
            }
        }

        fn hear(&mut self, second: u64, message: &ToAgent) {
            self.tell(second, Input::SessionHeard(Frame::Text(message.to_text())));
        }

        fn answer(&mut self, second: u64, status: u16, offset: Option<u64>) {
            let location = Some("/uploads/1".to_owned());
            let text = String::new();
            self.tell(
                second,
                Input::UploadAnswered(Answer::Status {
                    status,
                    offset,
                    location,
                    retry_after: None,
                    date: None,
                    text,
                }),
            );
        }

        fn say(&mut self, second: u64, source: SourceId, message: Message) {
            let request = Request { message, ack: false, unknown: Vec::new() };
            self.tell(second, Input::SourceSaid(source, Ok(request)));
        }
    }

    fn at(second: u64) -> Now {
        Now { mono: Duration::from_secs(second), unix: 1_795_000_000 + second }
    }

    #[test]
    fn what_happens_is_counted_once() {
        let mut board = Board::new();
        board.tell(5, Input::SessionDown("nobody there".into()));
        board.tell(10, Input::SessionUp(None));
        board.hear(10, &ToAgent { receipts: Some(true), ..ToAgent::default() });
        // That the cloud gives receipts is to be remembered.
        board.tell(11, Input::DiskDone(Done::Settled(Err(io::ErrorKind::StorageFull.into()))));

        board.tell(12, Input::SourceOpened(CAMERA, SourceKind::Stream));
        board.say(12, CAMERA, Message::Segment { path: "pir.35.0.mp4".into(), naming: None });
        let staged = Staged { bytes: 10, sha256: DIGEST, mtime_ns: 0, free: u64::MAX };
        board.tell(12, Input::DiskDone(Done::Staged(Ok(staged))));
        board.tell(12, Input::DiskDone(Done::Kept(Ok(Kept { bytes: 10, sha256: DIGEST, mtime_ns: 0 }))));
        board.answer(13, 503, None);
        board.tell(1000, Input::Wake);
        board.tell(1000, Input::DiskDone(Done::Settled(Ok(()))));
        board.answer(1001, 201, None);
        board.answer(1002, 204, Some(10));
        board.tell(1003, Input::SourceEnded(CAMERA, None));
        let capture = board.0.captures.iter().next().expect("it is owed").1.id;
        let receipt = Receipt::Capture { capture, segments: None };
        board.hear(1004, &ToAgent { receipt: Some(receipt), ..ToAgent::default() });

        board.tell(1005, Input::SourceOpened(SENSOR, SourceKind::Stream));
        board.tell(1005, Input::SourceSaid(SENSOR, Err(MessageError { why: "no".into(), ack: false })));
        board.say(1005, SENSOR, Message::Alarm { gpio: None });
        board.tell(1006, Input::CommandDelivered(Command::Disarm));
        let expected = Counters {
            sessions: 1,
            session_failures: 1,
            accepted: Volume { segments: 1, bytes: 10 },
            confirmed: Volume { segments: 1, bytes: 10 },
            upload_failures: 1,
            receipts: 1,
            inputs_refused: 1,
            delivered: [0, 1, 0],
            alarms: 1,
            disk_failures: 1,
            ..Counters::default()
        };
        let figures = board.0.figures(at(1010));
        assert_eq!(figures.counters, expected);
        assert_eq!((figures.session_up, figures.session_time), (true, Duration::from_secs(1000)));
        assert_eq!((figures.alarms, figures.last_receipt), (1, Some(1_795_001_004)));
    }

    #[test]
    fn each_try_to_command_counts_though_one_alone_is_worth_a_warning() {
        let mut board = Board::new();
        for second in 0..5 {
            board.tell(second, Input::CommandUndelivered(Command::Arm, "nobody listens".into()));
        }
        assert_eq!((board.0.figures(at(5)).counters.undelivered, board.1), ([5, 0, 0], 1));
    }

    #[test]
    fn a_segment_that_is_lost_has_its_reason() {
        let mut board = Board::new();
        board.tell(1, Input::SessionUp(None));
        board.hear(1, &ToAgent { receipts: Some(true), ..ToAgent::default() });
        board.tell(1, Input::DiskDone(Done::Settled(Ok(()))));
        board.tell(2, Input::SourceOpened(CAMERA, SourceKind::Stream));
        board.say(2, CAMERA, Message::Segment { path: "pir.35.0.mp4".into(), naming: None });
        let staged = Staged { bytes: 10, sha256: DIGEST, mtime_ns: 0, free: u64::MAX };
        board.tell(2, Input::DiskDone(Done::Staged(Ok(staged))));
        board.tell(2, Input::DiskDone(Done::Kept(Ok(Kept { bytes: 10, sha256: DIGEST, mtime_ns: 0 }))));
        board.answer(3, 413, None);
        let lost = LostReason::ALL.map(|reason| u64::from(reason == LostReason::Refused));
        assert_eq!(board.0.figures(at(3)).counters.lost, lost);
    }

    #[test]
    fn the_rate_and_the_budget_are_told_where_there_are_some() {
        let mut board = Board::new();
        let figures = board.0.figures(at(1));
        assert_eq!((figures.rate_limit, figures.budget), (None, None));
        let windows = [Window { from: 0, minutes: DAY / 2, rate: Rate::Nothing }];
        let rates = Rates::new(Rate::AtMost(7), &windows).unwrap();
        let bounded = Settings {
            rates,
            monthly_budget: Some(1 << 30),
            ..Settings::new("cloud:443/", "https://cloud/uploads/")
        };
        board.tell(2, Input::Reload(bounded));
        board.tell(3, Input::Metered(4_096));
        // 11:06 in the morning, and an hour later.
        for (second, rate) in [(4, 0), (3_604, 7)] {
            let figures = board.0.figures(at(second));
            assert_eq!(figures.rate_limit, Some(rate), "after {second} s");
            assert_eq!(figures.budget, Some(Allowance { limit: 1 << 30, spent: 4_096 }));
        }
    }

    #[test]
    fn time_without_a_session_is_not_counted() {
        let mut board = Board::new();
        for (second, up) in [(10, true), (40, false), (100, true), (105, false)] {
            let input = if up { Input::SessionUp(None) } else { Input::SessionDown("gone".into()) };
            board.tell(second, input);
        }
        assert_eq!(board.0.figures(at(1000)).session_time, Duration::from_secs(35));
    }
}
