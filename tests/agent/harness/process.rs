//! A program that runs, and what it prints.

use super::DEADLINE;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use std::{
    io::{self, BufRead, BufReader, PipeReader},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

/// A running program. It is killed with its owner, and its log is shown where that panics.
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
    /// How many lines were passed while waiting for others.
    heard: usize,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// From the signal on.
    pub after: Duration,
    /// All that it printed.
    pub log: String,
}

#[derive(Default)]
struct Log {
    printed: Mutex<Printed>,
    more: Condvar,
}

#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    is_over: bool,
}

impl Process {
    /// Starts a program; what it prints on either stream is its log.
    pub fn start(name: &str, command: &mut Command) -> Process {
        Process::spawn(name, command.stdin(Stdio::null()))
    }

    /// Starts a program that is told something while it runs.
    pub fn start_told(name: &str, command: &mut Command) -> (Process, ChildStdin) {
        let mut process = Process::spawn(name, command.stdin(Stdio::piped()));
        let input = process.child.stdin.take().expect("it was asked for");
        (process, input)
    }

    /// Starts a program that prints elsewhere, or into the pipe that `log` reads.
    pub fn start_with(name: &str, command: &mut Command, log: PipeReader) -> Process {
        Process::follow(name, command.stdin(Stdio::null()), log)
    }

    fn spawn(name: &str, command: &mut Command) -> Process {
        let (log, printed) = io::pipe().unwrap();
        let errors = printed.try_clone().unwrap();
        Process::follow(name, command.stdout(printed).stderr(errors), log)
    }

    fn follow(name: &str, command: &mut Command, log: PipeReader) -> Process {
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?} can't be run: {error}"));
        // The command's own ends of the pipe would keep it open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process { name: name.to_owned(), child, log: Arc::default(), heard: 0 };
        let followed = process.log.clone();
        thread::spawn(move || followed.follow(log));
        process
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line with these words, after the last one that was waited for.
    pub fn says(&mut self, words: &str) -> String {
        let (index, line) = self.prints_after(self.heard, words, |line| line.contains(words));
        self.heard = index + 1;
        line
    }

    /// Waits for such a line, after so many others; gives how many came before it in all.
    pub fn prints_after(&self, lines: usize, what: &str, is_it: impl Fn(&str) -> bool) -> (usize, String) {
        let deadline = Instant::now() + DEADLINE;
        let mut printed = self.log.printed.lock().unwrap();
        loop {
            let after = &printed.lines[lines..];
            if let Some(index) = after.iter().position(|line| is_it(line)) {
                return (lines + index, after[index].clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let is_over = printed.is_over;
            if left.is_zero() || is_over {
                drop(printed);
                let how = if is_over { "it has ended" } else { "the deadline has come" };
                panic!("expected {:?} to say {what:?}, but {how}", self.name);
            }
            printed = self.log.more.wait_timeout(printed, left).unwrap().0;
        }
    }

    /// How many lines it has printed so far.
    pub fn printed(&self) -> usize {
        self.log.printed.lock().unwrap().lines.len()
    }

    /// Waits until it has printed so many lines in all.
    pub fn prints(&self, lines: usize) {
        let printed = self.log.printed.lock().unwrap();
        let is_short = |printed: &mut Printed| printed.lines.len() < lines && !printed.is_over;
        let (printed, _) = self.log.more.wait_timeout_while(printed, DEADLINE, is_short).unwrap();
        let count = printed.lines.len();
        drop(printed);
        assert!(count >= lines, "expected {:?} to print {lines} lines, not {count}", self.name);
    }

    /// All that it has printed so far.
    pub fn log(&self) -> String {
        self.log.printed.lock().unwrap().lines.join("\n")
    }

    pub fn signal(&self, signal: Signal) {
        // Not waited for yet, so the id is still its own.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// As a power cut would end it.
    pub fn kill(mut self) {
        self.end();
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(self) -> Ended {
        self.signal(Signal::TERM);
        self.ends()
    }

    /// Waits until it has ended by itself.
    pub fn ends(mut self) -> Ended {
        let began = Instant::now();
        assert!(self.has_ended(), "expected {:?} to end", self.name);
        let after = began.elapsed();
        let status = self.child.wait().unwrap();
        Ended { status, after, log: self.log.whole() }
    }

    /// Waits until it has ended by itself, if it does before the deadline.
    pub fn has_ended(&self) -> bool {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        let patience = Timespec { tv_sec: DEADLINE.as_secs().cast_signed(), tv_nsec: 0 };
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)).unwrap() == 1
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program, run by another one where there is one.
pub fn run_by(runner: &[String], program: &Path) -> Command {
    match runner {
        [] => Command::new(program),
        [runner, arguments @ ..] => {
            let mut command = Command::new(runner);
            command.args(arguments).arg(program);
            command
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            eprintln!("--- {} printed:\n{}", self.name, self.log());
        }
    }
}

impl Ended {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

impl Log {
    fn follow(&self, pipe: PipeReader) {
        let mut lines = BufReader::new(pipe).split(b'\n').map_while(Result::ok);
        loop {
            let line = lines.next();
            let mut printed = self.printed.lock().unwrap();
            printed.is_over = line.is_none();
            printed.lines.extend(line.map(|line| String::from_utf8_lossy(&line).into_owned()));
            let is_over = printed.is_over;
            drop(printed);
            self.more.notify_all();
            if is_over {
                return;
            }
        }
    }

    /// Everything, once nobody can print any more.
    fn whole(&self) -> String {
        let printed = self.printed.lock().unwrap();
        let (printed, timeout) =
            self.more.wait_timeout_while(printed, DEADLINE, |printed| !printed.is_over).unwrap();
        assert!(!timeout.timed_out(), "something that the program left behind holds its log open");
        printed.lines.join("\n")
    }
}
