//! A board: directories, sockets and flags, and the agent that runs on it.

use super::{
    Disk, Ended, Identity, Process, Segment, Server, Source, TempDir, eventually, file_names, free_port,
    process,
};
use rustix::process::{Signal, geteuid};
use serde::Deserialize;
use std::{
    env, fs,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What lasts when the agent is killed. It has one agent at a time.
pub struct Board {
    pub dir: TempDir,
    /// Its own copies.
    pub identity: Identity,
    /// What the agent is given beside its sockets and directories; later ones may not repeat earlier ones.
    pub flags: Vec<String>,
    /// What runs the agent's program, and its first arguments.
    pub runner: Vec<String>,
    pub log_level: &'static str,
    /// The port of its second input socket, if it has one.
    pub port: Option<u16>,
    state_dir: PathBuf,
    capture_dir: PathBuf,
}

/// One life of the agent.
pub struct Agent {
    process: Process,
    input_sock: PathBuf,
    spool: PathBuf,
}

/// What `{"query":"status"}` is answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    pub session: SessionStatus,
    pub armed: Option<bool>,
    pub spool: SpoolStatus,
    pub upload: Option<UploadStatus>,
    pub rate: RateStatus,
    pub budget: Option<BudgetStatus>,
    pub last_receipt: Option<u64>,
    pub lost: u64,
    pub certificate_expires: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SessionStatus {
    pub state: String,
    pub reason: Option<String>,
    pub endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SpoolStatus {
    pub captures: u64,
    pub segments: u64,
    pub bytes: u64,
    pub refused: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UploadStatus {
    pub seg_no: u32,
    pub bytes: u64,
    pub sent: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RateStatus {
    pub bytes_per_second: Option<u64>,
    pub is_timely: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BudgetStatus {
    pub limit: u64,
    pub spent: u64,
    pub standing: String,
}

impl Board {
    /// A board whose camera `porch` the server knows.
    pub fn new(server: &Server) -> Board {
        Board::of(&server.endpoint(), &server.add("porch"))
    }

    /// A board whose server is never there.
    pub fn alone() -> Board {
        Board::new(&Server::stopped())
    }

    pub fn of(endpoint: &str, identity: &Identity) -> Board {
        let dir = TempDir::new();
        let identity = identity.copy_to(dir.path());
        let Identity { cert, key, ca } = &identity;
        let [cert, key, ca] = [cert, key, ca].map(|path| path.to_str().expect("tests' paths are text"));
        let flags = ["--endpoint", endpoint, "--cert", cert, "--key", key, "--ca", ca];
        let flags = flags.map(str::to_owned).into();
        let (state_dir, capture_dir) = (dir.at("state"), dir.at("captures"));
        fs::create_dir(&capture_dir).unwrap();
        let (runner, log_level) = (runner(), "debug");
        Board { dir, identity, flags, runner, log_level, port: None, state_dir, capture_dir }
    }

    pub fn with(mut self, flags: &[&str]) -> Board {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// It takes captures by TCP, too, relative to the directory where it records.
    pub fn with_port(mut self) -> Board {
        let port = free_port();
        self.port = Some(port);
        let captures = self.capture_dir();
        self.with(&["--input_port", &port.to_string(), "--capture_dir", captures.to_str().unwrap()])
    }

    /// It has a camera program, or will have one, at [`Board::cam_sock`].
    pub fn with_camera(self) -> Board {
        let socket = self.cam_sock();
        self.with(&["--cam_sock", socket.to_str().unwrap()])
    }

    /// Its spool is on this disk, which must outlive it.
    pub fn on(self, disk: &Disk) -> Board {
        self.keeping_at(disk.at("state"))
    }

    /// Its spool is here.
    pub fn keeping_at(mut self, state_dir: PathBuf) -> Board {
        self.state_dir = state_dir;
        self
    }

    /// Its camera records on this disk, too.
    pub fn filming_on(mut self, disk: &Disk) -> Board {
        self.capture_dir = disk.make_dir("captures");
        self
    }

    /// Another program runs the agent's: `unshare --mount`, say.
    pub fn run_by(mut self, program: &[impl AsRef<str>]) -> Board {
        self.runner.splice(0..0, program.iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// The agent runs in a mount namespace of its own, which this shell script has prepared and which goes with it.
    pub fn mounting(self, script: &str) -> Board {
        let script = format!("{script} && exec \"$0\" \"$@\"");
        // Without root it takes a user namespace, which most kernels allow; where not, the agent does not start.
        match geteuid().is_root() {
            true => self.run_by(&["unshare", "--mount", "sh", "-c", &script]),
            false => self.run_by(&["unshare", "--map-root-user", "--mount", "sh", "-c", &script]),
        }
    }

    pub fn input_sock(&self) -> PathBuf {
        self.dir.at("input.sock")
    }

    pub fn cam_sock(&self) -> PathBuf {
        self.dir.at("camera.sock")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone()
    }

    /// Where its camera records.
    pub fn capture_dir(&self) -> PathBuf {
        self.capture_dir.clone()
    }

    /// Starts the agent and waits until it takes captures.
    pub fn start(&self) -> Agent {
        let mut agent = self.agent(self.launch());
        agent.says("started; ");
        agent
    }

    /// The agent that was launched as this process.
    pub fn agent(&self, process: Process) -> Agent {
        Agent { process, input_sock: self.input_sock(), spool: self.state_dir().join("spool") }
    }

    /// Starts the agent, whatever comes of it.
    pub fn launch(&self) -> Process {
        Process::start("agent", &mut self.command())
    }

    pub fn command(&self) -> Command {
        self.options(agent_command(&self.runner))
    }

    /// What `cloudtalker check` says of what the agent is given.
    pub fn check(&self, flags: &[&str]) -> Output {
        self.checking(flags).output().unwrap()
    }

    pub fn checking(&self, flags: &[&str]) -> Command {
        let mut check = agent_command(&self.runner);
        check.arg("check").args(flags);
        self.options(check)
    }

    /// `cloudtalker bundle` of what the agent is given.
    pub fn bundling(&self, file: &Path) -> Command {
        let mut bundle = agent_command(&self.runner);
        bundle.arg("bundle").arg(file);
        self.options(bundle)
    }

    fn options(&self, mut command: Command) -> Command {
        command.arg("--input_sock").arg(self.input_sock()).arg("--state_dir").arg(self.state_dir());
        command.args(["--log_level", self.log_level]).args(&self.flags);
        command
    }

    /// A finished segment of the camera's: `pir.1529842538.0.mp4`.
    pub fn record(&self, name: &str, length: usize) -> Segment {
        let seg_no = name.split('.').nth(2).and_then(|number| number.parse().ok()).unwrap_or(0);
        Segment::write(self.capture_dir().join(name), seg_no, length)
    }

    /// A finished capture by motion.
    pub fn record_capture(&self, timestamp: u64, lengths: &[usize]) -> Vec<Segment> {
        let numbered = lengths.iter().enumerate();
        numbered
            .map(|(number, &length)| self.record(&format!("pir.{timestamp}.{number}.mp4"), length))
            .collect()
    }
}

impl Agent {
    /// A connection to its unix socket.
    pub fn source(&self) -> Source {
        Source::at(&self.input_sock)
    }

    /// Hands a whole capture over, segment by segment.
    pub fn takes(&self, segments: &[Segment]) {
        let mut source = self.source();
        for segment in segments {
            source.hand_over(segment);
        }
    }

    pub fn status(&self) -> Status {
        let answer = self.source().ask(&serde_json::json!({"query": "status"}));
        serde_json::from_value(answer.clone()).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    pub fn status_when(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        eventually(what, || self.status(), is_so)
    }

    /// Waits until the cloud has confirmed everything, and the spool is empty.
    pub fn owes_nothing(&self) {
        self.status_when("everything is confirmed", |status| status.spool.captures == 0);
        eventually("the spool is empty", || file_names(&self.spool), Vec::is_empty);
    }

    /// How far an upload has come, once it is beyond this many bytes.
    pub fn has_sent(&self, bytes: u64) -> u64 {
        let is_beyond = |status: &Status| status.upload.as_ref().is_some_and(|upload| upload.sent > bytes);
        let status = self.status_when("an upload is in progress", is_beyond);
        status.upload.map_or(0, |upload| upload.sent)
    }

    /// Waits until its upload waits for room in the connection: nobody reads any more. Kernels name that differently.
    pub fn sends_no_more(&self) {
        const WAITS: [&str; 2] = ["sk_stream_wait_memory", "wait_woken"];
        let look = || thread_waits_in(self.process.id(), "upload").unwrap_or_default();
        eventually("the upload stands still", look, |place| WAITS.contains(&place.as_str()));
    }

    /// The most memory that was resident so far, in kB.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells it");
        peak.trim_end_matches("kB").trim().parse().unwrap()
    }

    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    pub fn kill(self) {
        self.process.kill();
    }

    pub fn terminate(self) -> Ended {
        self.process.terminate()
    }

    pub fn ends(self) -> Ended {
        self.process.ends()
    }
}

impl Deref for Agent {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Agent {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The agent's program, without arguments.
pub fn program() -> Command {
    agent_command(&runner())
}

/// The agent's program with these arguments, run to its end.
pub fn tool(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// Where in the kernel the thread of this name waits.
fn thread_waits_in(process: u32, thread: &str) -> Option<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    let is_named =
        |dir: &PathBuf| fs::read_to_string(dir.join("comm")).is_ok_and(|name| name.trim_end() == thread);
    let dir = tasks.map(|task| task.path()).find(is_named)?;
    fs::read_to_string(dir.join("wchan")).ok()
}

fn runner() -> Vec<String> {
    let runner = env::var("CLOUDTALKER_RUNNER").unwrap_or_default();
    runner.split_whitespace().map(str::to_owned).collect()
}

fn agent_command(runner: &[String]) -> Command {
    process::run_by(runner, &program_file())
}

/// Where the agent's program lies.
pub fn program_file() -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_cloudtalker"));
    env::var_os("CLOUDTALKER_BIN").map_or(built, PathBuf::from)
}
