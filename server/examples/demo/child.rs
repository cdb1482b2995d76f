//! The programs that the demo runs. Whichever way the demo goes, a panic too, dropping a `Child` ends it.

use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_blocking;

/// How long a program may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);
const LAST_LINES: usize = 15;

pub(crate) struct Child {
    name: &'static str,
    _process: Process,
    lines: UnboundedReceiver<String>,
    last_lines: VecDeque<String>,
}

impl Child {
    /// What the program prints goes to `log`, and where `verbose` to the terminal also.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        verbose: bool,
    ) -> Result<Self, Error> {
        let program = program(&command);
        let not_started = |error| Error::NotStarted { program: program.clone(), error };
        let (printed, output) = io::pipe().map_err(not_started)?;
        let log = File::create(log).map_err(not_started)?;
        let errors = output.try_clone().map_err(not_started)?;
        let process = Process::start(command.stdout(output).stderr(errors)).map_err(not_started)?;

        let (sender, lines) = unbounded_channel();
        let label = if verbose { Some(name) } else { None };
        thread::spawn(move || follow(printed, log, label, &sender));
        Ok(Self { name, _process: process, lines, last_lines: VecDeque::new() })
    }

    /// The next line that it prints.
    async fn line(&mut self) -> Result<String, Error> {
        let Some(line) = self.lines.recv().await else {
            let last_lines = self.last_lines.iter().cloned().collect();
            return Err(Error::Ended { name: self.name, last_lines });
        };
        self.last_lines.push_back(line.clone());
        if self.last_lines.len() > LAST_LINES {
            self.last_lines.pop_front();
        }
        Ok(line)
    }

    /// Skips what it prints up to a line that begins so, and gives the rest of that line.
    pub(crate) async fn line_after(&mut self, beginning: &str) -> Result<String, Error> {
        loop {
            if let Some(rest) = self.line().await?.strip_prefix(beginning) {
                return Ok(rest.to_owned());
            }
        }
    }

    /// Waits until it has ended, which it should not.
    pub(crate) async fn ended(&mut self) -> Error {
        loop {
            if let Err(ended) = self.line().await {
                return ended;
            }
        }
    }
}

/// Runs a program to its end and gives what it printed.
pub(crate) async fn run(mut command: Command) -> Result<String, Error> {
    let program = program(&command);
    let not_started = |error| Error::NotStarted { program: program.clone(), error };
    let (output, stdout) = io::pipe().map_err(not_started)?;
    let (errors, stderr) = io::pipe().map_err(not_started)?;
    let mut process = Process::start(command.stdout(stdout).stderr(stderr)).map_err(not_started)?;
    drop(command);

    let all = |pipe| spawn_blocking(|| io::read_to_string(pipe));
    let (output, errors) = tokio::try_join!(all(output), all(errors)).expect("reading a pipe does not panic");
    let status = process.0.wait().map_err(not_started)?;
    if status.success() {
        return output.map_err(not_started);
    }
    Err(Error::Failed { program, status, said: errors.unwrap_or_default() })
}

/// A running program that ends with its owner.
struct Process(process::Child);

impl Process {
    /// In a process group of its own: a Ctrl-C is for the demo alone, which then ends the others in the right order.
    fn start(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).stdin(Stdio::null()).spawn().map(Self)
    }

    fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    fn send(&self, signal: Signal) {
        let id = i32::try_from(self.0.id()).expect("process ids fit the kernel's own type");
        // It is our child and was not waited for, so the id is still its own; at worst it has ended by itself.
        let _ = kill(Pid::from_raw(id), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        const LOOK_EVERY: Duration = Duration::from_millis(20);

        let deadline = Instant::now() + PATIENCE;
        if self.is_running() {
            self.send(Signal::SIGTERM);
        }
        while self.is_running() && Instant::now() < deadline {
            thread::sleep(LOOK_EVERY);
        }
        if self.is_running() {
            eprintln!("demo: process {} did not end within {PATIENCE:?} and is killed", self.0.id());
            self.send(Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}

/// Reads until every end of the pipe is closed, which is when the program has ended.
fn follow(printed: PipeReader, mut log: File, label: Option<&str>, lines: &UnboundedSender<String>) {
    for line in BufReader::new(printed).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        // Neither a full disk nor a closed terminal may stop the program by a pipe that nobody reads.
        let _ = writeln!(log, "{line}");
        if let Some(name) = label {
            let _ = writeln!(io::stdout(), "{name:>6} | {line}");
        }
        let _ = lines.send(line);
    }
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into()
}

#[derive(Debug)]
pub(crate) enum Error {
    /// The program is missing, or the system refused to run it.
    NotStarted { program: String, error: io::Error },
    /// A program that should go on has ended.
    Ended { name: &'static str, last_lines: Vec<String> },
    /// A program that does one thing could not do it.
    Failed { program: String, status: ExitStatus, said: String },
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted { program, error } => write!(f, "could not run {program}: {error}"),
            Self::Ended { name, last_lines } => {
                write!(f, "the {name} has ended; the last it printed:\n  {}", last_lines.join("\n  "))
            }
            Self::Failed { program, status, said } => write!(f, "{program}: {status}: {}", said.trim()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn exists(id: &str) -> bool {
        kill(Pid::from_raw(id.parse().unwrap()), None).is_ok()
    }

    #[tokio::test]
    async fn a_dropped_program_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let sleeper = shell("echo $$; exec sleep 1000");
        let mut child = Child::start("sleeper", sleeper, &directory.path().join("log"), false).unwrap();
        let id = child.line().await.unwrap();
        assert!(exists(&id));
        drop(child);
        assert!(!exists(&id));
    }

    #[tokio::test]
    async fn a_program_that_ends_by_itself_leaves_its_last_lines() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut child = Child::start("counter", shell("seq 100; echo woe >&2"), &log, false).unwrap();
        let Error::Ended { name, last_lines } = child.ended().await else { panic!("it has ended") };
        assert_eq!((name, last_lines.len()), ("counter", LAST_LINES));
        assert_eq!(last_lines[LAST_LINES - 2..], ["100", "woe"]);
        assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 101);
    }

    #[tokio::test]
    async fn a_failed_command_tells_why() {
        assert_eq!(run(shell("echo fine; echo noise >&2")).await.unwrap(), "fine\n");
        let error = run(shell("echo no such camera >&2; exit 3")).await.unwrap_err();
        assert_eq!(error.to_string(), "sh: exit status: 3: no such camera");
    }
}
