//! The world around one engine: time, network, camera, power.

use crate::{
    cloud::{Cloud, answer, sha256},
    disk::{CAMERA, SimFiles},
};
use cloudtalker::{
    engine::{
        Engine, Frame, Input, Now, Output, Settings, SourceId, SourceKind,
        event::Level,
        rng::Rng,
        spool::{Spool, Task},
        uploads::{Answer, Request},
    },
    wire::{
        Id, Sha256,
        cloud::{Alarm, ToAgent, ToCloud},
        command::Command,
        input::{Message, Request as LocalRequest},
    },
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
    trace: Vec<String>,
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
            trace: Vec::new(),
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

    // --- chance -------------------------------------------------------------------------------

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
        match self.chance(16) {
            0..7 => self.camera_records(),
            7 => self.camera_repeats(),
            8 => self.sensor_alarms(),
            9 => self.cloud_arms(),
            10 => self.cloud_wants_a_capture(),
            11 => self.plan_power_cut(),
            12 => self.link_breaks(),
            13 => self.disk_goes_bad(),
            14 => self.cloud.forget_uploads(),
            _ => self.clock_jumps(),
        }
    }

    // --- the camera ---------------------------------------------------------------------------

    fn camera_records(&mut self) {
        // Few times, so that boards without a clock chip collide with themselves.
        let timestamp = 30 + self.chance(6);
        let prefix = if self.chance(4) == 0 { "cap" } else { "pir" };
        let from = if self.chance(4) == 0 { 1 } else { 0 };
        let count = 1 + self.chance(4);
        let mut messages = VecDeque::new();
        for seg_no in from..from + count {
            self.serial += 1;
            let mut bytes = format!("segment {} ", self.serial).into_bytes();
            bytes.resize(20 + self.chance(300) as usize, b'x');
            let name = format!("{prefix}.{timestamp}.{seg_no}.mp4");
            // A camera program writes each recording into a directory of its own.
            let stored = format!("{:06}.{name}", self.serial);
            self.files.camera_writes(&stored, &bytes);
            messages.push_back(self.segment(&stored));
        }
        self.open_source(messages);
    }

    /// Hands over what was not acknowledged, as a careful camera program does, or for once what was.
    fn camera_repeats(&mut self) {
        let names: Vec<String> = self.files.contents(CAMERA).into_iter().map(|(name, _)| name).collect();
        if names.is_empty() {
            return;
        }
        let name = names[self.chance(names.len() as u64) as usize].clone();
        let message = self.segment(&name);
        self.open_source(VecDeque::from([message]));
    }

    /// A segment's message; the file's name on the scheme follows its serial number.
    fn segment(&mut self, stored: &str) -> LocalRequest {
        use cloudtalker::wire::{input::Naming, segment_name::SegmentName};
        let name: SegmentName = stored[7..].parse().unwrap();
        let message =
            Message::Segment { path: format!("{CAMERA}/{stored}"), naming: Some(Naming::of_name(name)) };
        LocalRequest { message, ack: self.chance(5) > 0, unknown: Vec::new() }
    }

    fn sensor_alarms(&mut self) {
        let message = Message::Alarm { gpio: Some(17) };
        self.open_source(VecDeque::from([LocalRequest { message, ack: true, unknown: Vec::new() }]));
    }

    fn open_source(&mut self, messages: VecDeque<LocalRequest>) {
        let boot = self.boots;
        let Some(board) = &mut self.board else { return };
        board.next_source += 1;
        let id = SourceId(board.next_source);
        board.sources.insert(id, Source { messages, asked: None });
        self.input(boot, Input::SourceOpened(id, SourceKind::Stream));
    }

    /// The engine asks for a source's next message.
    fn source_goes_on(&mut self, id: SourceId) {
        let boot = self.boots;
        let Some(source) = self.board.as_mut().and_then(|board| board.sources.get_mut(&id)) else { return };
        let Some(request) = source.messages.pop_front() else {
            self.board.as_mut().unwrap().sources.remove(&id);
            return self.input(boot, Input::SourceEnded(id, None));
        };
        source.asked = None;
        match &request.message {
            Message::Segment { path, .. } => {
                let Some((bytes, _)) = self.files.file(path) else { return self.later_next(id) };
                let digest = sha256(&bytes);
                let handed = self.handed.entry(digest).or_insert(Handed { times: 0, acked: false });
                handed.times += 1;
                if request.ack {
                    self.board.as_mut().unwrap().sources.get_mut(&id).unwrap().asked =
                        Some(Asked::Segment(digest));
                }
            }
            Message::Alarm { .. } => source.asked = Some(Asked::Alarm),
            Message::Status => {}
        }
        self.input(boot, Input::SourceSaid(id, Ok(request)));
    }

    fn later_next(&mut self, id: SourceId) {
        let boot = self.boots;
        self.happen(Duration::from_millis(1), Happening::Sources(boot, id));
    }

    fn source_hears(&mut self, id: SourceId, line: &str) {
        let reply: serde_json::Value = serde_json::from_str(line).unwrap();
        self.note(|| format!("reply to {id:?}: {line}"));
        let Some(source) = self.board.as_mut().and_then(|board| board.sources.get_mut(&id)) else { return };
        if reply["ok"] != true {
            return;
        }
        match source.asked.take() {
            Some(Asked::Segment(digest)) => self.handed.get_mut(&digest).unwrap().acked = true,
            Some(Asked::Alarm) => {
                self.acked_alarms.insert(reply["alarm"].as_str().unwrap().parse().unwrap());
            }
            None => {}
        }
    }

    // --- the cloud ----------------------------------------------------------------------------

    fn cloud_arms(&mut self) {
        let armed = self.chance(2) == 0;
        self.armed = Some(armed);
        self.cloud_says(&ToAgent { pir_armed: Some(armed), ..ToAgent::default() });
    }

    fn cloud_wants_a_capture(&mut self) {
        self.wishes += 1;
        let request = Some(format!("wish {}", self.wishes));
        let message = ToAgent { capture_asap: Some(true), request, ..ToAgent::default() };
        self.cloud_says(&message);
        if self.chance(2) == 0 {
            self.cloud_says(&message);
        }
    }

    fn cloud_says(&mut self, message: &ToAgent) {
        let text = message.to_text();
        let delay = Duration::from_millis(5 + self.chance(200));
        let (boot, now) = (self.boots, self.now);
        let Some(link) = self.board.as_mut().and_then(|board| board.session.as_mut()) else { return };
        // A cloud's first word answers the agent's.
        if !link.is_up || link.is_stalled || !link.greeted {
            return;
        }
        link.to_agent = link.to_agent.max(now + delay);
        let (number, at) = (link.number, link.to_agent);
        self.happen_at(at, Happening::AgentHears(boot, number, Frame::Text(text)));
    }

    fn cloud_hears(&mut self, message: &ToCloud) {
        let is_greeting = self.link().is_some_and(|link| !std::mem::replace(&mut link.greeted, true));
        if is_greeting {
            self.cloud_says(&ToAgent { receipts: Some(true), pir_armed: self.armed, ..ToAgent::default() });
            for receipt in self.cloud.owed_receipts() {
                self.cloud_says(&receipt);
            }
        }
        if let Some(answer) = self.cloud.hear(message) {
            self.cloud_says(&answer);
        }
    }

    fn link(&mut self) -> Option<&mut Link> {
        self.board.as_mut()?.session.as_mut()
    }

    // --- mishaps ------------------------------------------------------------------------------

    fn plan_power_cut(&mut self) {
        let calls = self.chance(60);
        self.files.0.borrow_mut().cut_in = Some(calls);
    }

    fn link_breaks(&mut self) {
        let (boot, stalls) = (self.boots, self.chance(2) == 0);
        let Some(link) = self.link() else { return };
        if stalls {
            link.is_stalled = true;
        } else {
            let number = link.number;
            self.happen(Duration::ZERO, Happening::Unlinked(boot, number));
        }
    }

    fn disk_goes_bad(&mut self) {
        let failing = [0, 0, 8, 40][pick(&mut self.rng, 4)];
        self.files.0.borrow_mut().failing = failing;
    }

    fn clock_jumps(&mut self) {
        self.clock = [35, 1_795_000_000, 2_110_000_000][pick(&mut self.rng, 3)];
    }

    fn calm_down(&mut self) {
        self.calm = true;
        let mut disk = self.files.0.borrow_mut();
        (disk.failing, disk.cut_in) = (0, None);
    }

    /// The power goes, and comes back.
    fn crash(&mut self) {
        self.outcome.crashes += 1;
        self.note(|| "power cut".to_owned());
        self.board = None;
        self.files.power_up();
        if self.chance(3) == 0 {
            self.clock = 35;
        }
        self.boot();
    }

    // --- the board ----------------------------------------------------------------------------

    fn boot(&mut self) {
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

    fn settings(&self) -> Settings {
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

    fn clock(&self) -> Now {
        Now { mono: self.now, unix: self.clock + self.now.as_secs() }
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
            if let Some(error) = self.trace.iter().find(|line| line.starts_with("ERROR")) {
                return Err(error.clone());
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

    fn tell(&mut self, input: Input) {
        let now = self.clock();
        self.note(|| format!("in  {input:?}").chars().take(600).collect());
        if let Some(board) = &mut self.board {
            board.engine.handle(now, input);
            self.drain();
        }
    }

    fn drain(&mut self) {
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

    fn carry_out(&mut self, output: Output) {
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
                if event.level() == Level::Error {
                    self.trace.push(format!("ERROR {event}"));
                }
            }
            Output::Wait(_) => unreachable!("the loop that drains has taken it"),
        }
    }

    fn connect(&mut self) {
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

    fn disk_takes_time(&mut self) {
        let boot = self.boots;
        let limit = if self.mishap(30) { 5_000 } else { 30 };
        let delay = Duration::from_millis(self.chance(limit));
        self.happen(delay, Happening::DiskNext(boot));
    }

    fn disk_works(&mut self) {
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
    fn serve(&mut self, is_of_now: bool, number: u64, request: &Request) {
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

    fn answer(&mut self, is_of_now: bool, number: u64, answer: Answer) {
        if is_of_now {
            let (boot, delay) = (self.boots, Duration::from_millis(10 + self.chance(300)));
            self.happen(delay, Happening::Answered(boot, number, answer));
        }
    }

    // --- judgement ----------------------------------------------------------------------------

    /// Whether the board owes nothing any more.
    fn is_home(&self) -> bool {
        self.files.contents("/spool").is_empty() && self.owed_alarms().is_empty()
    }

    fn owed_alarms(&self) -> Vec<Alarm> {
        let (bytes, _) = self.files.file("/alarms").unwrap_or_default();
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    fn judge(&self) -> Result<(), String> {
        if !self.is_home() {
            let left: Vec<String> = self.files.contents("/spool").into_iter().map(|(name, _)| name).collect();
            return Err(format!("still owed after the calm: {left:?} {:?}", self.owed_alarms()));
        }
        let mut copies: BTreeMap<Sha256, u32> = BTreeMap::new();
        for stored in self.cloud.stored.values() {
            *copies.entry(sha256(&stored.bytes)).or_default() += 1;
        }
        let refused: BTreeSet<Sha256> =
            self.files.contents("/refused").iter().map(|(_, bytes)| sha256(bytes)).collect();
        let (ledger, _) = self.files.file("/lost.log").unwrap_or_default();
        let lost = ledger.iter().filter(|byte| **byte == b'\n').count();
        let mut missing = Vec::new();
        for (digest, handed) in &self.handed {
            let copies = copies.get(digest).copied().unwrap_or(0);
            if handed.acked && copies == 0 && !refused.contains(digest) {
                missing.push(*digest);
            }
            if copies > handed.times {
                return Err(format!(
                    "{digest} was handed over {} times and is there {copies} times",
                    handed.times
                ));
            }
        }
        if missing.len() > lost {
            return Err(format!("acknowledged, but nowhere: {missing:?}, and the ledger has {lost} lines"));
        }
        if let Some(alien) = copies.keys().find(|digest| !self.handed.contains_key(digest)) {
            return Err(format!("{alien} was never handed over"));
        }
        if let Some(alarm) = self.acked_alarms.difference(&self.cloud.alarms).next() {
            return Err(format!("the acknowledged alarm {alarm} never arrived"));
        }
        if self.captures_told > self.wishes {
            return Err(format!("{} captures were told for {} wishes", self.captures_told, self.wishes));
        }
        for (capture, end) in &self.cloud.ends {
            if self.cloud.receipt(*capture).is_none() && !end.segments.as_ref().unwrap().is_empty() {
                return Err(format!("the cloud holds the end of {capture}, but not all that it lists"));
            }
        }
        Ok(())
    }
}

fn pick(rng: &mut Rng, choices: u64) -> usize {
    (rng.bits() % choices) as usize
}
