//! The world around one engine: time, network, camera, power.

mod board;
mod camera;
mod judge;
mod mishaps;
mod network;
mod strays;
mod time;
mod wire;

use crate::{
    cloud::Cloud,
    disk::{SimFiles, Tally},
    plan::{Kind, Operation, Plan},
    refusals::Refusals,
};
use board::{Board, CAPACITY};
use cloudtalker::{
    engine::rng::Rng,
    wire::{Id, Sha256},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};
use time::Happening;
use wire::{TRUTH, Wire};

/// What a run came to.
#[derive(Default)]
pub struct Outcome {
    pub operations: u64,
    pub power_cuts: u64,
    pub kills: u64,
    /// Segments that were acknowledged.
    pub accepted: u64,
    pub faults: Tally,
    pub refusals: Refusals,
}

impl Outcome {
    pub fn add(&mut self, more: &Outcome) {
        self.operations += more.operations;
        self.power_cuts += more.power_cuts;
        self.kills += more.kills;
        self.accepted += more.accepted;
        self.faults.add(&more.faults);
        self.refusals.add(&more.refusals);
    }

    /// Either.
    pub fn crashes(&self) -> u64 {
        self.power_cuts + self.kills
    }
}

/// How long a calm world may take to bring everything home.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// What has not come home by then waits for another month's budget.
const BUDGETS_PATIENCE: Duration = Duration::from_secs(1800);

pub struct World {
    kind: Kind,
    rng: Rng,
    now: Duration,
    /// What the board's clock says at the world's beginning, and what it is in truth.
    clock: u64,
    truth: u64,
    wire: Wire,
    happenings: BTreeMap<(Duration, u64), (u64, Happening)>,
    happened: u64,
    salt: u64,
    calm: bool,
    files: SimFiles,
    board: Option<Board>,
    boots: u64,
    cloud: Cloud,
    /// Boot and number of the newest session that the cloud has heard.
    greeted: (u64, u64),
    /// Until when the cloud takes no connection.
    away_until: Duration,
    /// Whether each sync takes five seconds.
    syncs_are_slow: bool,
    /// What the cloud wants of the camera, and all that it ever wanted.
    armed: Option<bool>,
    levels_said: BTreeSet<bool>,
    wishes: u64,
    captures_told: u64,
    handed: BTreeMap<Sha256, Handed>,
    /// Digests of what was handed over: hashing it anew would take most of a run.
    digests: BTreeMap<Rc<Vec<u8>>, Sha256>,
    /// Acknowledged, and not known to be at the cloud.
    awaited: BTreeSet<Sha256>,
    /// As which segment of the cloud's each was acknowledged last.
    acked_as: BTreeMap<(Id, u32), Sha256>,
    /// The camera's files that it has written into again, and what they held when that was last looked at.
    rewritten: BTreeMap<u64, Rc<Vec<u8>>>,
    /// What the board said that it gave up, and where that was.
    given_up: BTreeMap<Sha256, String>,
    /// Whether the answer that the board hears now is a refusal for good.
    may_refuse: bool,
    acked_alarms: BTreeSet<Id>,
    /// What others put into the spool, and how what lies beside its captures is called.
    strays: BTreeSet<Rc<Vec<u8>>>,
    strays_beside: BTreeSet<String>,
    serial: u64,
    /// The first promise that was broken.
    wrong: Option<String>,
    traced: bool,
    outcome: Outcome,
}

/// A content that the camera handed over.
struct Handed {
    bytes: Rc<Vec<u8>>,
    /// How often, but for when it was known again.
    times: u32,
    acked: bool,
    /// The camera's files that had it.
    inodes: BTreeSet<u64>,
    /// What may be sent in its stead: the camera has written into its file since, and the spool has a link.
    became: BTreeMap<Sha256, Rc<Vec<u8>>>,
}

impl Handed {
    /// Any of these is right.
    fn contents(&self, digest: Sha256) -> impl Iterator<Item = (Sha256, &Rc<Vec<u8>>)> {
        let became = self.became.iter().map(|(digest, bytes)| (*digest, bytes));
        std::iter::once((digest, &self.bytes)).chain(became)
    }
}

impl World {
    pub fn new(plan: &Plan) -> World {
        let mut rng = Rng::new(plan.seed);
        let clocks = [35, 1_529_842_538, 1_795_000_000];
        let files = SimFiles::new(rng.bits());
        if plan.board.scarce {
            files.0.borrow_mut().capacity = CAPACITY;
        }
        World {
            kind: plan.board,
            clock: clocks[pick(&mut rng, 3)],
            truth: TRUTH,
            wire: Wire::default(),
            files,
            rng,
            now: Duration::ZERO,
            happenings: BTreeMap::new(),
            happened: 0,
            salt: plan.salt,
            calm: false,
            board: None,
            boots: 0,
            cloud: Cloud::new(!plan.board.without_receipts),
            greeted: (0, 0),
            away_until: Duration::ZERO,
            syncs_are_slow: false,
            armed: None,
            levels_said: BTreeSet::new(),
            wishes: 0,
            captures_told: 0,
            handed: BTreeMap::new(),
            digests: BTreeMap::new(),
            awaited: BTreeSet::new(),
            acked_as: BTreeMap::new(),
            rewritten: BTreeMap::new(),
            given_up: BTreeMap::new(),
            may_refuse: false,
            acked_alarms: BTreeSet::new(),
            strays: BTreeSet::new(),
            strays_beside: BTreeSet::new(),
            serial: 0,
            wrong: None,
            traced: std::env::var_os("SIM_TRACE").is_some(),
            outcome: Outcome::default(),
        }
    }

    /// Lives through it all.
    pub fn run(mut self, plan: &Plan) -> Result<Outcome, String> {
        self.boot();
        for operation in &plan.operations {
            self.carry_on(operation).map_err(|why| format!("{why}, at operation {}", operation.number))?;
        }
        if self.outcome.crashes() == 0 {
            self.crash();
        }
        self.calm_down();
        let (begun, end, mut months) = (self.now, self.now + PATIENCE, 0);
        while self.now < end && !self.is_home() {
            self.live_until(self.now + Duration::from_secs(60))?;
            self.check()?;
            if self.kind.budgeted && self.now >= begun + (months + 1) * BUDGETS_PATIENCE {
                months += u32::from(self.a_month_passes());
            }
        }
        self.judge()?;
        let accepted = self.handed.values().filter(|handed| handed.acked).count() as u64;
        let faults = self.files.0.borrow().tally.clone();
        Ok(Outcome { accepted, faults, ..self.outcome })
    }

    fn carry_on(&mut self, operation: &Operation) -> Result<(), String> {
        self.rng = Rng::new(operation.seed ^ self.salt);
        self.files.0.borrow_mut().rng = Rng::new(self.rng.bits());
        self.note(|| format!("--- {} {:?}", operation.number, operation.act));
        self.act(operation.act);
        let pause = Duration::from_millis(self.chance(4_000));
        self.live_until(self.now + pause)?;
        self.outcome.operations += 1;
        self.check()
    }

    fn chance(&mut self, limit: u64) -> u64 {
        self.rng.bits() % limit.max(1)
    }

    /// Once in so many times, until the world is calm.
    fn mishap(&mut self, rarity: u64) -> bool {
        !self.calm && self.chance(rarity) == 0
    }

    fn note(&self, text: impl FnOnce() -> String) {
        if self.traced {
            eprintln!("{:>12.3} {}", self.now.as_secs_f64(), text());
        }
    }

    /// A promise is broken.
    fn accuse(&mut self, why: impl FnOnce() -> String) {
        if self.wrong.is_none() {
            self.wrong = Some(why());
        }
    }
}

fn pick(rng: &mut Rng, choices: u64) -> usize {
    (rng.bits() % choices) as usize
}
