//! A docker daemon of its own, and docker-compose on it.

use crate::harness::{Process, TempDir, eventually};
use rustix::process::Signal;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

/// What docker-compose puts before the names of containers and volumes.
const PROJECT: &str = "trial";

pub struct Compose {
    daemon: Process,
    // Goes last: the daemon's files are in it.
    files: TempDir,
}

impl Compose {
    /// Starts the daemon and builds the images, as somebody does who has cloned the repository.
    pub fn build() -> Compose {
        let files = TempDir::new();
        fs::create_dir(files.at("videos")).unwrap();
        let mut dockerd = Command::new("dockerd");
        dockerd.arg("--host").arg(host(&files)).arg("--data-root").arg(files.at("data"));
        dockerd.arg("--exec-root").arg(files.at("exec")).arg("--pidfile").arg(files.at("pid"));
        let compose = Compose { daemon: Process::start("dockerd", &mut dockerd), files };
        let answers = || compose.command("docker").arg("version").output().unwrap().status.success();
        eventually("the daemon answers", answers, |&answers| answers);
        compose.run(&["build"]);
        compose
    }

    /// Where a person puts videos, which the agent sees as `/videos`.
    pub fn videos(&self) -> PathBuf {
        self.files.at("videos")
    }

    /// `docker-compose` with these arguments; what it prints.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        succeeded(self.command("docker-compose").args(arguments).output().unwrap())
    }

    /// Starts everything, with these options of the agent's beside its own.
    pub fn up(&self, agent_options: &str) {
        let mut up = self.command("docker-compose");
        succeeded(up.args(["up", "--detach"]).env("AGENT_OPTIONS", agent_options).output().unwrap());
    }

    /// A program in a service's container.
    pub fn exec(&self, service: &str, arguments: &[&str]) -> Output {
        let container = format!("{PROJECT}_{service}_1");
        self.command("docker").args(["exec", &container]).args(arguments).output().unwrap()
    }

    #[track_caller]
    pub fn ok(&self, service: &str, arguments: &[&str]) -> String {
        succeeded(self.exec(service, arguments))
    }

    /// Names of all containers, also of those that have ended.
    pub fn containers(&self) -> String {
        succeeded(self.command("docker").args(["ps", "--all", "--format", "{{.Names}}"]).output().unwrap())
    }

    /// The exit codes of all containers that have ended so far, a line each.
    pub fn exit_codes(&self) -> String {
        let mut events = self.command("docker");
        // docker drops the fraction of a second: in a second from now none of those that have ended is left out.
        events.args(["events", "--since", "0", "--until=-1s", "--filter", "event=die"]);
        succeeded(events.args(["--format", "{{.Actor.Attributes.exitCode}}"]).output().unwrap())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env("DOCKER_HOST", host(&self.files));
        command.env("COMPOSE_PROJECT_NAME", PROJECT).env("VIDEOS", self.videos());
        command
    }
}

fn host(files: &TempDir) -> String {
    format!("unix://{}", files.at("docker.sock").display())
}

impl Drop for Compose {
    fn drop(&mut self) {
        // Containers outlive their daemon, and what it started outlives a kill.
        let _ = self.command("docker-compose").args(["down", "--volumes", "--timeout", "5"]).output();
        self.daemon.signal(Signal::TERM);
        self.daemon.has_ended();
    }
}

#[track_caller]
fn succeeded(output: Output) -> String {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("programs print text");
    assert!(output.status.success(), "{}: {}", output.status, text(output.stderr));
    text(output.stdout)
}
