//! The board: its engine's outputs, carried out with delays and failures.

use super::{Board, Happening, Link, World, pick};
use crate::cloud::answer;
use cloudtalker::{
    engine::{
        Engine, Frame, Input, Now, Output, Settings,
        spool::Spool,
        uploads::{Answer, Request},
    },
    wire::command::Command,
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

impl World {
    pub(super) fn boot(&mut self) {
        self.boots += 1;
        let mut spool = Spool::new(self.files.clone());
        let found = spool.start(self.rng.bits());
        if self.files.0.borrow().is_cut {
            return self.crash();
        }
        let engine = Engine::new(self.clock(), self.rng.bits(), self.settings(), found);
        self.board = Some(Board {
            engine,
            deadline: None,
            spool,
            tasks: VecDeque::new(),
            session: None,
            sessions: 0,
            requests: 0,
            request: None,
            sources: BTreeMap::new(),
            next_source: 0,
        });
        self.drain();
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            version: "sim".into(),
            endpoint: "cloud:443/".into(),
            upload_url: "https://cloud/uploads/".into(),
            uploads_elsewhere: false,
            state_dir: "/".into(),
            spool_max: self.tight.then_some(1_500),
            min_free: 0,
            copy: false,
            delete_uploaded: false,
            has_camera: true,
            certificate_expires: None,
        }
    }

    pub(super) fn clock(&self) -> Now {
        Now { mono: self.now, unix: self.clock + self.now.as_secs() }
    }

    pub(super) fn tell(&mut self, input: Input) {
        let now = self.clock();
        self.note(|| format!("in  {input:?}").chars().take(600).collect());
        if let Some(board) = &mut self.board {
            board.engine.handle(now, input);
            self.drain();
        }
    }

    pub(super) fn drain(&mut self) {
        while let Some(board) = &mut self.board {
            let output = board.engine.poll();
            if let Output::Wait(deadline) = output {
                board.deadline = deadline;
                return;
            }
            self.note(|| format!("out {output:?}").chars().take(600).collect());
            self.carry_out(output);
        }
    }

    pub(super) fn carry_out(&mut self, output: Output) {
        let boot = self.boots;
        let board = self.board.as_mut().unwrap();
        match output {
            Output::Connect => self.connect(),
            Output::Send(message) => {
                let delay = Duration::from_millis(5 + self.chance(200));
                let now = self.now;
                let Some(link) = self.link().filter(|link| link.is_up && !link.is_stalled) else { return };
                link.to_cloud = link.to_cloud.max(now + delay);
                let (number, at) = (link.number, link.to_cloud);
                self.happen_at(at, Happening::CloudHears(boot, number, message));
            }
            Output::Ping => {
                let Some(link) = self.link().filter(|link| link.is_up && !link.is_stalled) else { return };
                let number = link.number;
                self.happen(Duration::from_millis(100), Happening::AgentHears(boot, number, Frame::Other));
            }
            Output::Disconnect | Output::Close => board.session = None,
            Output::Command(command) => {
                if command == Command::Capture {
                    self.captures_told += 1;
                }
                let input = if self.mishap(3) {
                    if command == Command::Capture {
                        self.captures_told -= 1;
                    }
                    Input::CommandUndelivered(command, "nobody listens".into())
                } else {
                    Input::CommandDelivered(command)
                };
                self.input(boot, input);
            }
            Output::Disk(task) => {
                board.tasks.push_back(task);
                if board.tasks.len() == 1 {
                    self.disk_takes_time();
                }
            }
            Output::Upload(request) => {
                board.requests += 1;
                board.request = Some(board.requests);
                let number = board.requests;
                let delay = Duration::from_millis(10 + self.chance(400));
                self.happen(delay, Happening::Served(boot, number, request));
            }
            Output::AbandonUpload => {
                if let Some(number) = board.request {
                    self.happen(Duration::ZERO, Happening::Answered(boot, number, Answer::Abandoned));
                }
            }
            Output::Reply(source, line) => self.source_hears(source, &line),
            Output::NextMessage(source) => self.later_next(source),
            Output::Drop(source) => {
                board.sources.remove(&source);
            }
            Output::RaiseClockFloor(_) => {}
            Output::Event(event) => {
                self.note(|| format!("{:?} {event}", event.level()));
            }
            Output::Wait(_) => unreachable!("the loop that drains has taken it"),
        }
    }

    pub(super) fn connect(&mut self) {
        let (boot, fails) = (self.boots, self.mishap(3));
        let delay = Duration::from_millis(20 + self.chance(500));
        let now = self.now;
        let board = self.board.as_mut().unwrap();
        board.sessions += 1;
        let number = board.sessions;
        board.session = Some(Link {
            number,
            is_up: false,
            is_stalled: false,
            greeted: false,
            to_cloud: now,
            to_agent: now,
        });
        let happening =
            if fails { Happening::Unlinked(boot, number) } else { Happening::Linked(boot, number) };
        self.happen(delay, happening);
    }

    pub(super) fn disk_takes_time(&mut self) {
        let boot = self.boots;
        let limit = if self.mishap(30) { 5_000 } else { 30 };
        let delay = Duration::from_millis(self.chance(limit));
        self.happen(delay, Happening::DiskNext(boot));
    }

    pub(super) fn disk_works(&mut self) {
        let board = self.board.as_mut().unwrap();
        let Some(task) = board.tasks.pop_front() else { return };
        let done = board.spool.perform(task);
        let has_more = !board.tasks.is_empty();
        if self.files.0.borrow().is_cut {
            return;
        }
        self.tell(Input::DiskDone(done));
        if has_more {
            self.disk_takes_time();
        }
    }

    /// A request reaches the cloud, or does not, and its answer reaches the board, or does not.
    pub(super) fn serve(&mut self, is_of_now: bool, number: u64, request: &Request) {
        let boot = self.boots;
        let body = match request {
            Request::Send { file, offset, kept, .. } => match self.files.file(&format!("/{file}")) {
                None => return self.answer(is_of_now, number, Answer::FileMissing),
                Some((bytes, mtime_ns)) if (bytes.len() as u64, mtime_ns) != (kept.bytes, kept.mtime_ns) => {
                    return self.answer(is_of_now, number, Answer::FileChanged);
                }
                Some((bytes, _)) => bytes[usize::try_from(*offset).unwrap()..].to_vec(),
            },
            Request::Create { .. } | Request::Ask { .. } => Vec::new(),
        };
        if self.mishap(12) {
            let status = [401, 403, 429, 500, 503, 507, 302][pick(&mut self.rng, 7)];
            return self.answer(is_of_now, number, answer(status, None, None));
        }
        if self.mishap(12) {
            return self.answer(is_of_now, number, Answer::Broken("it never arrived".into()));
        }
        let arriving = if self.mishap(6) { self.chance(body.len() as u64 + 1) as usize } else { body.len() };
        let (answer, whole) = self.cloud.serve(request, &body, arriving);
        if let Some(receipt) = whole.and_then(|capture| self.cloud.receipt(capture)) {
            self.cloud_says(&receipt);
        }
        let is_cut = arriving < body.len() || self.mishap(12);
        let answer = if is_cut { Answer::Broken("cut off".into()) } else { answer };
        let _ = boot;
        self.answer(is_of_now, number, answer);
    }

    pub(super) fn answer(&mut self, is_of_now: bool, number: u64, answer: Answer) {
        if is_of_now {
            let (boot, delay) = (self.boots, Duration::from_millis(10 + self.chance(300)));
            self.happen(delay, Happening::Answered(boot, number, answer));
        }
    }
}
