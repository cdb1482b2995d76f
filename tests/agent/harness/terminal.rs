//! A terminal: what a program draws on it, by the few sequences that ours writes.

use super::DEADLINE;
use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, Signal, WaitOptions, kill_process, waitpid},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Action, Winsize, tcflow, tcsetwinsize},
};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

/// A program in a terminal. It is killed with its owner.
pub struct Terminal {
    child: Child,
    keyboard: File,
    /// Where its programs' end is.
    path: PathBuf,
    seen: Arc<Seen>,
    /// How much of what was written has been waited for.
    heard: usize,
}

#[derive(Default)]
struct Seen {
    written: Mutex<Written>,
    more: Condvar,
}

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Terminal {
    pub fn run(command: &mut Command, columns: u16, rows: u16) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        set_size(&master, columns, rows);
        let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let end = || end(&path);
        command.env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?} can't be run: {error}"));
        // The command's own ends would keep the terminal open.
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let screen = File::from(master);
        let keyboard = screen.try_clone().unwrap();
        let terminal = Terminal { child, keyboard, path, seen: Arc::default(), heard: 0 };
        let seen = terminal.seen.clone();
        thread::spawn(move || seen.follow(screen));
        terminal
    }

    /// Runs it by a shell that has the terminal for its own, as this script says: `"$@"` is the command.
    pub fn run_by_a_shell(script: &str, command: &Command, columns: u16, rows: u16) -> Terminal {
        let mut shell = Command::new("setsid");
        shell.args(["--ctty", "bash", "-m", "-c", script, "bash"]);
        shell.arg(command.get_program()).args(command.get_args());
        Terminal::run(&mut shell, columns, rows)
    }

    /// As a person: Ctrl-Z is `\x1a`.
    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// As a person pulls at its window.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        set_size(&self.keyboard, columns, rows);
    }

    /// Waits until all of these words stand on the screen.
    pub fn shows(&mut self, words: &[&str]) {
        self.wait(&format!("{words:?} on the screen"), |written| {
            frame(written).is_some_and(|frame| words.iter().all(|word| frame.contains(word)))
        });
    }

    /// Waits until nothing on it is wider than this.
    pub fn narrows_to(&mut self, columns: usize) {
        self.wait(&format!("no more than {columns} columns"), |written| {
            frame(written)
                .is_some_and(|frame| frame.split("\r\n").all(|line| line.chars().count() <= columns))
        });
    }

    /// Waits until these words stand on it no more.
    pub fn shows_no_more(&mut self, words: &str) {
        self.wait(&format!("{words:?} to leave the screen"), |written| {
            frame(written).is_some_and(|frame| !frame.contains(words))
        });
    }

    /// Waits until the program writes this, after what was waited for by this before; gives what came before it.
    pub fn writes(&mut self, text: &str) -> String {
        let mut written = self.wait(&format!("{text:?}"), |written| written.contains(text));
        let before = written.find(text).expect("it was waited for");
        self.heard += before + text.len();
        written.truncate(before);
        written
    }

    /// What stands on the screen.
    pub fn lines(&self) -> Vec<String> {
        let written = self.seen.written.lock().unwrap();
        let frame = frame(&String::from_utf8_lossy(&written.bytes)).unwrap_or_default();
        frame.split("\r\n").map(str::to_owned).collect()
    }

    pub fn signal(&self, signal: Signal) {
        // Not waited for yet, so the id is still its own.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the program has stopped, and writes there as the shell does that gets its place.
    pub fn prompts(&self, prompt: &str) {
        let id = Pid::from_child(&self.child);
        let (_, status) = waitpid(Some(id), WaitOptions::UNTRACED).unwrap().expect("it is waited for");
        assert!(status.stopped(), "{status:?}");
        end(&self.path).write_all(prompt.as_bytes()).unwrap();
    }

    /// Takes nothing more, as after Ctrl-S.
    pub fn pauses(&self) {
        tcflow(end(&self.path), Action::OOff).unwrap();
    }

    /// Waits until it has ended well; all that it wrote.
    pub fn ends(mut self) -> String {
        let seen = self.seen.clone();
        let (written, timeout) = seen
            .more
            .wait_timeout_while(seen.written.lock().unwrap(), DEADLINE, |written| !written.is_over)
            .unwrap();
        assert!(!timeout.timed_out(), "expected the program to end");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        String::from_utf8_lossy(&written.bytes).into_owned()
    }

    /// What was written after what was waited for, once it is as it should be.
    fn wait(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut written = self.seen.written.lock().unwrap();
        loop {
            let text = String::from_utf8_lossy(&written.bytes[self.heard..]).into_owned();
            if is_so(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !written.is_over, "expected {what}, not {:?}", frame(&text));
            written = self.seen.more.wait_timeout(written, left).unwrap().0;
        }
    }
}

fn set_size(terminal: impl AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}

/// The end that programs have.
fn end(path: &Path) -> File {
    File::from(open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap())
}

/// The last frame that is whole: each begins at the screen's corner, and empties what is below it.
fn frame(written: &str) -> Option<String> {
    let (before, _) = written.rsplit_once("\x1b[J")?;
    let (_, frame) = before.rsplit_once("\x1b[H")?;
    Some(frame.replace("\x1b[K", ""))
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Seen {
    fn follow(&self, mut master: File) {
        let mut buffer = [0; 4096];
        loop {
            // Once nobody has the other end any more, reading it is an error.
            let count = master.read(&mut buffer).unwrap_or(0);
            let mut written = self.written.lock().unwrap();
            written.bytes.extend_from_slice(&buffer[..count]);
            written.is_over = count == 0;
            drop(written);
            self.more.notify_all();
            if count == 0 {
                return;
            }
        }
    }
}
