//! A board under load, whatever befalls it, and the toll that this took.

use super::{
    Agent, Answer, Blob, Board, Capture, DEADLINE, Disk, Ended, Handed, Occasions, Recorder, Server,
    eventually,
};
use cloudtalker::engine::rng::Rng;
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt,
    io::{self, Write},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Two recorders make captures as they are told to. Whoever dies is started again.
pub struct Trial {
    pub rng: Rng,
    pub board: Board,
    pub server: Server,
    agent: Option<Agent>,
    occasions: Arc<Occasions>,
    answers: mpsc::Receiver<Answer>,
    recorders: Vec<JoinHandle<Vec<Handed>>>,
    handed: Vec<Handed>,
    /// Of the agent's former lives.
    log: String,
    /// How often something befell it.
    pub blows: u64,
}

/// What came of it. Everything was acknowledged in the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Toll {
    pub blows: u64,
    pub segments: usize,
    /// Acknowledged, and not at the server: neither listed nor, read anew, a file of its.
    pub lost: Vec<String>,
    /// At the server more often than it was promised.
    pub doubled: Vec<String>,
    /// Files of the server's that it does not list, and that will never go.
    pub stray: Vec<String>,
    /// At the server, but never handed over.
    pub alien: Vec<String>,
    /// More than once at the server, as documented: without an acknowledgement it was handed over again, when the cloud
    /// had its capture already, or when a failing disk could not remove what it had refused.
    pub again: usize,
}

impl Trial {
    pub fn begin(board: Board, server: Server, seed: u64) -> Trial {
        // Apart by more captures than a trial has.
        const TIMES: [u64; 2] = [1_529_842_538, 1_629_842_538];
        println!("CLOUDTALKER_SEED={seed}");
        let (occasions, (answer, answers)) = (Arc::new(Occasions::default()), mpsc::channel());
        let agent = Some(board.start());
        let record = |time| {
            let recorder = Recorder::new(&board, seed ^ time, time, occasions.clone(), answer.clone());
            thread::spawn(|| recorder.run())
        };
        let recorders = TIMES.map(record).into();
        let (rng, log) = (Rng::new(seed), String::new());
        Trial { rng, board, server, agent, occasions, answers, recorders, handed: Vec::new(), log, blows: 0 }
    }

    /// So many captures more are recorded. Each brings an answer at least; what came before is no event any more.
    pub fn record(&self, captures: usize) {
        while self.answers.try_recv().is_ok() {}
        self.occasions.add_captures(captures as u64);
    }

    pub fn agent(&mut self) -> &mut Agent {
        self.agent.as_mut().expect("it is started again whenever it has ended")
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.rng.bits() % end as u64).unwrap()
    }

    /// Waits until the agent has given so many answers more.
    pub fn hears(&self, answers: usize, which: impl Fn(Answer) -> bool) {
        let mut left = answers;
        while left > 0 {
            let answer = self.answers.recv_timeout(DEADLINE).expect("an answer comes before the deadline");
            left -= usize::from(which(answer));
        }
    }

    /// A moment that the order of events does not tell.
    pub fn jitter(&mut self) {
        const LONGEST: Duration = Duration::from_millis(20);
        thread::sleep(self.rng.up_to(LONGEST));
    }

    pub fn kill_agent(&mut self) {
        self.blows += 1;
        self.restart_agent();
    }

    pub fn restart_agent(&mut self) {
        self.end_agent();
        self.start_agent();
    }

    pub fn start_agent(&mut self) {
        self.agent = Some(self.board.start());
        self.occasions.begin_life();
    }

    pub fn end_agent(&mut self) {
        let agent = self.agent.take().expect("it runs");
        agent.signal(Signal::KILL);
        self.buried(&agent.ends());
    }

    /// One life of the agent, which ends with a power cut so many changes of the disk after it began. Gives the
    /// operation at which it was.
    pub fn live_until_cut(&mut self, disk: &Disk, changes: usize, captures: usize) -> String {
        self.blows += 1;
        self.record(captures);
        disk.cut_after(changes);
        let agent = self.board.launch();
        let look = || (agent.log().contains("started; "), disk.is_dark());
        let (has_started, _) = eventually("a start, or its end", look, |(started, dark)| *started || *dark);
        if has_started {
            self.occasions.begin_life();
        }
        let operation = disk.is_cut();
        // It can't die before the disk has answered, and dies then.
        agent.signal(Signal::KILL);
        disk.power_up(self.rng.bits());
        self.buried(&agent.ends());
        operation
    }

    fn buried(&mut self, agent: &Ended) {
        self.log += &agent.log;
        self.log.push('\n');
    }

    /// The cloud is away meanwhile.
    pub fn kill_server(&mut self, meanwhile: impl FnOnce(&mut Trial)) {
        self.blows += 1;
        self.server.kill();
        meanwhile(self);
        self.server.go_on();
    }

    /// Waits until everything that was handed over is acknowledged, and the cloud has it.
    pub fn comes_home(&mut self) {
        self.occasions.enough();
        let handed = self.recorders.drain(..).flat_map(|recorder| recorder.join().unwrap());
        self.handed.extend(handed);
        self.agent().status_when("everything is confirmed", |status| status.spool.captures == 0);
    }

    pub fn end(mut self) -> Toll {
        self.comes_home();
        self.agent().owes_nothing();
        self.end_agent();
        // A start sweeps away what a death has left.
        self.server.terminate();
        self.server.go_on();
        Toll::of(self.blows, &self.handed, &Copies::at(&self.server), &self.log)
    }
}

/// How often a content is at the server.
#[derive(Clone, Copy, Default)]
struct Copies {
    /// In captures.
    listed: u32,
    /// As a file.
    stored: u32,
    /// Of those, as one that its upload's expiry takes along, unless it is listed.
    uploaded_still: u32,
}

impl Copies {
    fn at(server: &Server) -> BTreeMap<String, Copies> {
        let mut all: BTreeMap<String, Copies> = BTreeMap::new();
        for stored in server.captures().into_iter().flat_map(|capture: Capture| capture.segments) {
            all.entry(stored.sha256).or_default().listed += 1;
        }
        for Blob { sha256, is_uploaded_still } in server.blobs() {
            let copies = all.entry(sha256).or_default();
            copies.stored += 1;
            copies.uploaded_still += u32::from(is_uploaded_still);
        }
        all
    }
}

impl Toll {
    fn of(blows: u64, handed: &[Handed], at_server: &BTreeMap<String, Copies>, log: &str) -> Toll {
        let receipts = Receipts::in_log(log);
        let mut toll = Toll { blows, segments: handed.len(), ..Toll::default() };
        let mut alien: BTreeSet<&String> = at_server.keys().collect();
        for Handed { segment, refusals } in handed {
            let (name, digest) = (segment.name().to_owned(), &segment.stored.sha256);
            alien.remove(digest);
            let Copies { listed, stored, uploaded_still } =
                at_server.get(digest).copied().unwrap_or_default();
            if listed == 0 || stored < listed {
                toll.lost.push(name);
            } else if stored > listed + uploaded_still {
                toll.stray.push(name);
            } else if listed > 1 + refusals + receipts.before_it_was_safe(&name) {
                toll.doubled.push(name);
            } else {
                toll.again += usize::from(listed > 1);
            }
        }
        toll.alien = alien.into_iter().cloned().collect();
        toll
    }

    /// Tells the toll, also where the test's own output is kept back, and wants it to be none.
    #[track_caller]
    pub fn is_none(&self, blows: &str) {
        // Not by eprintln, which is kept back where a test ends well.
        let line = format!("{} {blows}, {self}\n", self.blows);
        io::stderr().write_all(line.as_bytes()).unwrap();
        let Toll { lost, doubled, stray, alien, .. } = self;
        assert!([lost, doubled, stray, alien].into_iter().all(Vec::is_empty), "{self:#?}");
    }
}

impl fmt::Display for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Toll { segments, lost, doubled, again, .. } = self;
        let (lost, doubled) = (lost.len(), doubled.len());
        write!(f, "{segments} segments, {lost} lost, {doubled} doubled")?;
        if *again > 0 { write!(f, " ({again} of several attempts)") } else { Ok(()) }
    }
}

/// What the agent logged of captures and segments, in order: a segment that became safe after a receipt for its
/// capture was handed over again too late to be the same.
#[derive(Default)]
struct Receipts {
    /// By the time of the capture.
    so_far: BTreeMap<String, u32>,
    /// By the segment's name.
    before: BTreeMap<String, u32>,
}

impl Receipts {
    fn in_log(log: &str) -> Receipts {
        let mut receipts = Receipts::default();
        for line in log.lines() {
            let Some((_, text)) = line.split_once("] ") else { continue };
            if let Some(capture) = text.strip_suffix(" is stored by the cloud, whole") {
                *receipts.so_far.entry(time(capture)).or_default() += 1;
            } else if let Some((path, _)) = text.split_once(" is safe, ")
                && let Some((capture, segment)) = path.trim_start_matches("spool/").split_once('/')
            {
                let time = time(capture);
                let count = receipts.so_far.get(&time).copied().unwrap_or(0);
                receipts.before.insert(format!("pir.{time}.{segment}"), count);
            }
        }
        receipts
    }

    fn before_it_was_safe(&self, segment: &str) -> u32 {
        self.before.get(segment).copied().unwrap_or(0)
    }
}

/// `1529842538.pir.2` → `1529842538`.
fn time(capture: &str) -> String {
    capture.split('.').next().unwrap_or_default().to_owned()
}

/// The seed of this run: a new one, unless the environment names it.
pub fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    number("CLOUDTALKER_SEED").unwrap_or_else(now)
}

/// A number in the environment.
pub fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}
