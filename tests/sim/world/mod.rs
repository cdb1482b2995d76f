//! The world around one engine: time, network, camera, power.

mod board;
mod camera;
mod judge;
mod mishaps;

use crate::{cloud::Cloud, disk::SimFiles};
use cloudtalker::{
    engine::{
        Engine, Frame, Input, SourceId,
        rng::Rng,
        spool::{Spool, Task},
        uploads::{Answer, Request},
    },
    wire::{Id, Sha256, cloud::ToCloud, input::Request as LocalRequest},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// What a run does and suffers.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Things that happen by chance before the world calms down.
    pub operations: u32,
    /// Whether the owner set a quota that will not do.
    pub tight: bool,
}

/// What a run came to.
#[derive(Default)]
pub struct Outcome {
    pub operations: u64,
    pub crashes: u64,
    pub cuts: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<&'static str, u64>,
}

/// How long a calm world may take to bring everything home.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

pub struct World {
    rng: Rng,
    now: Duration,
    /// What the board's clock says at the world's beginning.
    clock: u64,
    happenings: BTreeMap<(Duration, u64), Happening>,
    happened: u64,
    calm: bool,
    files: SimFiles,
    board: Option<Board>,
    boots: u64,
    cloud: Cloud,
    /// What the cloud wants of the camera.
    armed: Option<bool>,
    wishes: u64,
    handed: BTreeMap<Sha256, Handed>,
    acked_alarms: BTreeSet<Id>,
    captures_told: u64,
    serial: u64,
    tight: bool,
    outcome: Outcome,
}

/// A content that the camera handed over.
struct Handed {
    times: u32,
    acked: bool,
}

/// A board that is switched on.
struct Board {
    engine: Engine,
    deadline: Option<Duration>,
    spool: Spool<SimFiles>,
    tasks: VecDeque<Task>,
    session: Option<Link>,
    sessions: u64,
    requests: u64,
    /// The upload request that is under way, and the answer that it will have.
    request: Option<u64>,
    sources: BTreeMap<SourceId, Source>,
    next_source: u64,
}

/// A connection with the cloud.
struct Link {
    number: u64,
    is_up: bool,
    /// Half open: nothing comes through, and nobody notices.
    is_stalled: bool,
    greeted: bool,
    /// When the last frame each way arrives: TCP keeps order.
    to_cloud: Duration,
    to_agent: Duration,
}

/// A local program on its connection.
struct Source {
    messages: VecDeque<LocalRequest>,
    /// What waits for an answer.
    asked: Option<Asked>,
}

enum Asked {
    Segment(Sha256),
    Alarm,
}

enum Happening {
    /// For the board of this boot.
    Board(u64, Input),
    Sources(u64, SourceId),
    DiskNext(u64),
    CloudHears(u64, u64, ToCloud),
    AgentHears(u64, u64, Frame),
    Linked(u64, u64),
    Unlinked(u64, u64),
    Served(u64, u64, Request),
    Answered(u64, u64, Answer),
}

impl World {
    pub fn new(seed: u64, plan: Plan) -> World {
        let mut rng = Rng::new(seed);
        let clocks = [35, 1_529_842_538, 1_795_000_000];
        World {
            clock: clocks[pick(&mut rng, 3)],
            files: SimFiles::new(rng.bits()),
            rng,
            now: Duration::ZERO,
            happenings: BTreeMap::new(),
            happened: 0,
            calm: false,
            board: None,
            boots: 0,
            cloud: Cloud::default(),
            armed: None,
            wishes: 0,
            handed: BTreeMap::new(),
            acked_alarms: BTreeSet::new(),
            captures_told: 0,
            serial: 0,
            tight: plan.tight,
            outcome: Outcome::default(),
        }
    }

    /// Lives through it all.
    pub fn run(mut self, plan: Plan) -> Result<Outcome, String> {
        self.boot();
        for _ in 0..plan.operations {
            self.act();
            let pause = Duration::from_millis(self.chance(4_000));
            self.live_until(self.now + pause)?;
            self.outcome.operations += 1;
        }
        self.calm_down();
        let end = self.now + PATIENCE;
        while self.now < end && !self.is_home() {
            self.live_until(self.now + Duration::from_secs(60))?;
        }
        self.judge()?;
        let disk = self.files.0.borrow();
        Ok(Outcome { cuts: disk.cuts.clone(), faults: disk.faults.clone(), ..self.outcome })
    }

    fn chance(&mut self, limit: u64) -> u64 {
        self.rng.bits() % limit.max(1)
    }

    /// Once in so many times, until the world is calm.
    fn mishap(&mut self, rarity: u64) -> bool {
        !self.calm && self.chance(rarity) == 0
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if std::env::var_os("SIM_TRACE").is_some() {
            eprintln!("{:>12.3} {}", self.now.as_secs_f64(), text());
        }
    }

    fn act(&mut self) {
        match self.chance(17) {
            0..7 => self.camera_records(),
            7 => self.camera_repeats(),
            8 => self.sensor_alarms(),
            9 => self.cloud_arms(),
            10 => self.cloud_wants_a_capture(),
            11 => self.plan_power_cut(),
            12 => self.link_breaks(),
            13 => self.disk_goes_bad(),
            14 => self.cloud.forget_uploads(),
            15 => self.agent_is_killed(),
            _ => self.clock_jumps(),
        }
    }

    fn input(&mut self, boot: u64, input: Input) {
        self.happen(Duration::ZERO, Happening::Board(boot, input));
    }

    fn happen(&mut self, after: Duration, happening: Happening) {
        self.happen_at(self.now + after, happening);
    }

    fn happen_at(&mut self, at: Duration, happening: Happening) {
        self.happened += 1;
        self.happenings.insert((at, self.happened), happening);
    }

    fn live_until(&mut self, end: Duration) -> Result<(), String> {
        loop {
            let next = self.happenings.keys().next().map(|(at, _)| *at);
            let deadline = self.board.as_ref().and_then(|board| board.deadline);
            let at = next.into_iter().chain(deadline).min().filter(|at| *at <= end);
            let Some(at) = at else {
                self.now = end;
                return Ok(());
            };
            self.now = self.now.max(at);
            self.files.0.borrow_mut().now = self.now;
            if next == Some(at) {
                let (_, happening) = self.happenings.pop_first().unwrap();
                self.come_to_pass(happening);
            } else {
                self.tell(Input::Wake);
            }
            if self.files.0.borrow().is_cut {
                self.crash();
            }
        }
    }

    fn come_to_pass(&mut self, happening: Happening) {
        let boot = match &happening {
            Happening::Board(boot, _)
            | Happening::Sources(boot, _)
            | Happening::DiskNext(boot)
            | Happening::CloudHears(boot, ..)
            | Happening::AgentHears(boot, ..)
            | Happening::Linked(boot, _)
            | Happening::Unlinked(boot, _)
            | Happening::Served(boot, ..)
            | Happening::Answered(boot, ..) => *boot,
        };
        let is_of_now = boot == self.boots;
        let link = self.link().map(|link| (link.number, link.is_stalled));
        match happening {
            // What has left the board arrives, whatever becomes of the board.
            Happening::CloudHears(_, number, message) => {
                if is_of_now && link == Some((number, false)) {
                    self.cloud_hears(&message);
                } else {
                    self.cloud.hear(&message);
                }
            }
            Happening::Served(_, number, request) => self.serve(is_of_now, number, &request),
            _ if !is_of_now => {}
            Happening::Board(_, input) => self.tell(input),
            Happening::Sources(_, id) => self.source_goes_on(id),
            Happening::DiskNext(_) => self.disk_works(),
            Happening::AgentHears(_, number, frame) => {
                if link == Some((number, false)) {
                    self.tell(Input::SessionHeard(frame));
                }
            }
            Happening::Linked(_, number) => {
                if link.map(|(number, _)| number) == Some(number) {
                    self.link().unwrap().is_up = true;
                    self.tell(Input::SessionUp(None));
                }
            }
            Happening::Unlinked(_, number) => {
                if link.map(|(number, _)| number) == Some(number) {
                    self.board.as_mut().unwrap().session = None;
                    self.tell(Input::SessionDown("the link broke".into()));
                }
            }
            Happening::Answered(_, number, answer) => {
                let board = self.board.as_mut().unwrap();
                if board.request == Some(number) {
                    board.request = None;
                    self.tell(Input::UploadAnswered(answer));
                }
            }
        }
    }
}

fn pick(rng: &mut Rng, choices: u64) -> usize {
    (rng.bits() % choices) as usize
}
