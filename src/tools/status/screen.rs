//! The terminal: a screen of its own for as long as somebody looks, and afterwards as it was before.
//!
//! Plain ANSI sequences, which every terminal of today knows; one that has no second screen shows the frames on its
//! first. The terminal's own settings are not touched. In its background nothing is drawn: others have the terminal. One
//! thread more waits for the signals that end or stop a program.

use super::frame::Look;
use async_signal::{Signal, Signals};
use rustix::{
    process::{Signal as Kill, getpgrp, getpid, kill_process},
    termios::{tcgetpgrp, tcgetwinsize},
};
use smol::stream::StreamExt;
use std::{
    env,
    io::{self, IsTerminal, StdoutLock, Write},
    process, thread,
    time::Duration,
};

/// The second screen, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
/// The first one again. The line's end is for a terminal that has no other.
const LEAVE: &str = "\x1b[?25h\n\x1b[?1049l";
/// A terminal that goes on takes the last words at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// As serial consoles have it, which don't tell.
const USUAL: (usize, usize) = (80, 24);

/// The terminal, taken until this is dropped or the process is asked to end.
pub struct Screen {
    has_unicode: bool,
    has_colours: bool,
}

impl Screen {
    /// Takes standard output's terminal, where it is one that can do this.
    pub fn take() -> Option<Screen> {
        let is_able = env::var("TERM").is_ok_and(|kind| !kind.is_empty() && kind != "dumb");
        if !io::stdout().is_terminal() || !is_able || is_in_background() {
            return None;
        }
        // Without them the cursor would stay hidden.
        let signals = [Signal::Hup, Signal::Int, Signal::Quit, Signal::Term, Signal::Tstp, Signal::Cont];
        let signals = Signals::new(signals).ok()?;
        write(ENTER).ok()?;
        thread::spawn(move || leave_on(signals));
        let has_unicode = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        Some(Screen { has_unicode, has_colours: set("NO_COLOR").is_none() })
    }

    /// What it can do at this moment.
    pub fn look(&self) -> Look {
        let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let (columns, rows) = size.map_or(USUAL, |size| (size.ws_col.into(), size.ws_row.into()));
        let Screen { has_unicode, has_colours } = *self;
        Look { columns, rows, has_unicode, has_colours }
    }

    /// Shows a frame in the place of the former one, by one call, so that nothing flickers.
    pub fn show(&self, frame: &str) -> io::Result<()> {
        // Each line is emptied before it is written: after its last column some terminals would lose that.
        write(&format!("\x1b[H\x1b[K{}\x1b[J", frame.replace('\n', "\n\x1b[K")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = write(LEAVE);
    }
}

/// Whether a shell has given its terminal to another program. Of a terminal that is not the shell's nobody can tell.
fn is_in_background() -> bool {
    tcgetpgrp(io::stdout()).is_ok_and(|group| group != getpgrp())
}

/// A variable that says something.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn write(text: &str) -> io::Result<()> {
    put(&mut io::stdout().lock(), text)
}

fn put(out: &mut StdoutLock<'_>, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn leave_on(mut signals: Signals) {
    // Nobody draws while it is there.
    let mut stopped: Option<StdoutLock<'_>> = None;
    while let Some(Ok(signal)) = smol::block_on(signals.next()) {
        match signal {
            // It stops again, as every program does that wants the terminal there.
            Signal::Cont if is_in_background() => {
                stopped.get_or_insert_with(left);
                let _ = kill_process(getpid(), Kill::TTOU);
            }
            Signal::Cont => {
                let Some(mut out) = stopped.take() else { continue };
                let _ = put(&mut out, ENTER);
            }
            // The screen is taken again only by what resumes the process: it goes on for a moment before it stops.
            Signal::Tstp => {
                stopped.get_or_insert_with(left);
                let _ = kill_process(getpid(), Kill::STOP);
            }
            _ => {
                thread::spawn(end_anyhow);
                drop(stopped.unwrap_or_else(left));
                process::exit(0);
            }
        }
    }
}

/// Gives the terminal back; who draws waits.
fn left() -> StdoutLock<'static> {
    let mut out = io::stdout().lock();
    let _ = put(&mut out, LEAVE);
    out
}

/// A terminal that takes nothing, as after Ctrl-S, holds up whoever writes.
fn end_anyhow() {
    thread::sleep(PATIENCE);
    process::exit(0);
}
