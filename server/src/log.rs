//! Log lines on standard error: time, level, module, text.
//!
//! A closed or full standard error never stops the server: a line that can't be written is gone.

use log::{LevelFilter, Log, Metadata, Record};
use std::{
    io::Write,
    time::{Duration, SystemTime},
};

struct Stderr;

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
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}
