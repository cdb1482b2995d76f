//! The server, as its owner uses it: by its commands.

use super::{Ended, Link, Process, TempDir, eventually, file_names, free_port, process::run_by, sha256};
use cloudtalker::wire::tus::DEFAULT_PATH;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A data directory, and the process that serves from it while there is one. Its port stays the same.
pub struct Server {
    /// Dropped before the directory goes: else it would make files there meanwhile.
    process: Option<Process>,
    pub dir: TempDir,
    pub log_level: &'static str,
    program: PathBuf,
    /// What runs the program that serves, and its first arguments.
    runner: Vec<String>,
    address: String,
    flags: Vec<String>,
}

/// A camera's certificate and key, and the authority that it should trust.
#[derive(Clone, Debug)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

/// A capture as `captures list --json` prints it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Capture {
    pub id: String,
    pub camera: String,
    pub trigger: String,
    pub trigger_timestamp: u64,
    pub state: String,
    pub error: Option<String>,
    pub segments: Vec<Stored>,
    pub joined: Option<Joined>,
}

/// A segment that the server has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Stored {
    pub seg_no: u32,
    pub bytes: u64,
    pub sha256: String,
}

/// A segment's file, as it lies in the server's data directory.
#[derive(Clone, Debug)]
pub struct Blob {
    pub sha256: String,
    /// Whether the upload that brought it is still there: then it goes with that, unless it is listed.
    pub is_uploaded_still: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Joined {
    pub bytes: u64,
    pub duration_s: f64,
}

impl Server {
    pub fn start() -> Server {
        Server::with(&[])
    }

    pub fn with(flags: &[&str]) -> Server {
        let mut server = Server::stopped();
        server.flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        server.go_on();
        server
    }

    /// At the cloud's end of a link. Its commands need no network.
    pub fn behind(link: &Link) -> Server {
        let mut server =
            Server { runner: link.cloud().into(), address: Link::cloud_address(), ..Server::stopped() };
        server.go_on();
        server
    }

    /// Its program.
    pub fn program_file() -> PathBuf {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("server/target/debug/cloudtalker-server");
        let program = env::var_os("CLOUDTALKER_SERVER").map_or(built, PathBuf::from);
        assert!(program.exists(), "there is no {}: `make debug-build` builds it", program.display());
        program
    }

    /// One that has not served yet; cameras can be added to it all the same.
    pub fn stopped() -> Server {
        let program = Server::program_file();
        let address = format!("127.0.0.1:{}", free_port());
        let (dir, log_level, runner) = (TempDir::new(), "debug", Vec::new());
        Server { process: None, dir, log_level, program, runner, address, flags: Vec::new() }
    }

    /// Serves, or serves again.
    pub fn go_on(&mut self) {
        let mut serve = run_by(&self.runner, &self.program);
        serve.args(["serve", "--web-addr", "127.0.0.1:0", "--log-level", self.log_level]);
        serve.args(["--camera-addr", &self.address]).args(&self.flags).arg("--data").arg(self.data());
        let mut process = Process::start("server", &mut serve);
        process.says("people: ");
        self.process = Some(process);
    }

    /// Where cameras connect.
    pub fn endpoint(&self) -> String {
        format!("{}/", self.address)
    }

    /// Where cameras make uploads.
    pub fn upload_url(&self) -> String {
        format!("https://{}{DEFAULT_PATH}", self.address)
    }

    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it serves").id()
    }

    pub fn kill(&mut self) {
        self.process.take().expect("it serves").kill();
    }

    pub fn terminate(&mut self) -> Ended {
        self.process.take().expect("it serves").terminate()
    }

    /// It neither answers nor ends from now on, like a machine that hangs.
    pub fn freeze(&self) {
        self.process.as_ref().expect("it serves").signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.process.as_ref().expect("it serves").signal(Signal::CONT);
    }

    pub fn log(&self) -> String {
        self.process.as_ref().expect("it serves").log()
    }

    /// Adds a camera; its files have a directory of their own.
    pub fn add(&self, name: &str) -> Identity {
        let out = self.dir.at(&format!("{name}.out"));
        let printed = self.ok(&["camera", "add", name, "--out", out.to_str().expect("it is text")]);
        assert!(printed.contains("cloudtalker --endpoint"), "{printed}");
        let file = |ending: &str| out.join(format!("{name}{ending}"));
        Identity { cert: file(".pem"), key: file("-key.pem"), ca: out.join("ca.pem") }
    }

    pub fn remove(&self, name: &str) {
        self.ok(&["camera", "remove", name]);
    }

    /// Tells a camera to arm, to disarm or to take a capture.
    pub fn tell(&self, name: &str, command: &str) {
        self.ok(&["camera", "command", name, command]);
    }

    pub fn camera(&self, name: &str) -> Value {
        let cameras: Vec<Value> = serde_json::from_str(&self.ok(&["camera", "list", "--json"])).unwrap();
        let found = cameras.into_iter().find(|camera| camera["name"] == name);
        found.unwrap_or_else(|| panic!("there is no camera {name}"))
    }

    /// What it has, oldest first.
    pub fn captures(&self) -> Vec<Capture> {
        let printed = self.ok(&["captures", "list", "--json"]);
        let mut captures: Vec<Capture> =
            serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        captures.sort_by_key(|capture| (capture.trigger_timestamp, capture.id.clone()));
        captures
    }

    pub fn captures_when(&self, what: &str, is_so: impl Fn(&[Capture]) -> bool) -> Vec<Capture> {
        eventually(what, || self.captures(), |captures| is_so(captures))
    }

    /// The segments' files themselves, read anew, whatever it says of them.
    pub fn blobs(&self) -> Vec<Blob> {
        let (dir, uploads) = (self.data().join("blobs/segments"), self.data().join("uploads"));
        let blob = |name: String| Blob {
            sha256: sha256(&fs::read(dir.join(&name)).unwrap()),
            is_uploaded_still: uploads.join(&name).exists(),
        };
        file_names(&dir).into_iter().map(blob).collect()
    }

    /// Waits until more bytes than that have arrived of segments that are not whole yet; how many have.
    pub fn has_stored(&self, bytes: u64) -> u64 {
        let uploads = self.data().join("uploads");
        let stored = || -> u64 {
            let files = file_names(&uploads).into_iter();
            files.filter_map(|name| fs::metadata(uploads.join(name)).ok()).map(|about| about.len()).sum()
        };
        eventually("some of it is stored", stored, |stored| *stored > bytes)
    }

    /// A command that must succeed; what it prints.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        assert!(status.success(), "{arguments:?}: {status}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--data").arg(self.data());
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.at("data")
    }
}

impl Identity {
    /// The same under other names. What is not there isn't there afterwards, either.
    pub fn copy_to(&self, dir: &Path) -> Identity {
        let copy = |from: &Path, name: &str| {
            let to = dir.join(name);
            let _ = fs::copy(from, &to);
            to
        };
        let Identity { cert, key, ca } = self;
        Identity { cert: copy(cert, "cert.pem"), key: copy(key, "key.pem"), ca: copy(ca, "ca.pem") }
    }
}

impl Capture {
    /// Whether it is this one, stored as often as it should be: once.
    pub fn is(&self, trigger: &str, timestamp: u64, segments: &[super::Segment]) -> bool {
        let expected: Vec<&Stored> = segments.iter().map(|segment| &segment.stored).collect();
        (self.trigger.as_str(), self.trigger_timestamp) == (trigger, timestamp)
            && self.segments.iter().collect::<Vec<_>>() == expected
    }
}
