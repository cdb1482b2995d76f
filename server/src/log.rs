//! Log lines on standard error: time, level, module, text.
//!
//! A closed or full standard error never stops the server, nor does a pipe that nobody reads: a line that can't be written
//! at once is gone.

use log::{LevelFilter, Log, Metadata, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    io::Write,
    os::fd::AsFd,
    time::{Duration, SystemTime},
};

struct Stderr;

/// Bytes that a pipe takes at once where it takes any (Linux).
const PIPE_BUF: usize = 4096;

/// What other crates say is worth a line only from this level on.
const OTHERS: LevelFilter = LevelFilter::Warn;

/// Logs from now on, at this level.
pub fn start(level: LevelFilter) {
    // A second start, as tests in one process do, keeps the first.
    let _ = log::set_logger(&Stderr);
    log::set_max_level(level);
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("cloudtalker") || metadata.level() <= OTHERS
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let now = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + now);
        let module = record.target().rsplit("::").next().unwrap_or_default();
        let line = format!("{now} {:5} {module}: {}\n", record.level(), record.args());
        let mut stderr = std::io::stderr().lock();
        if takes_a_line(&stderr) {
            let _ = stderr.write_all(&line.as_bytes()[..line.len().min(PIPE_BUF)]);
        }
    }

    fn flush(&self) {}
}

/// Whether a line can be written without waiting for whoever reads it.
fn takes_a_line(stderr: &impl AsFd) -> bool {
    let mut polled = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    // Where it can't be asked it is no pipe.
    poll(&mut polled, PollTimeout::ZERO).is_err() || polled[0].any() != Some(false)
}
