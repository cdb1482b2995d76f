//! The agent's log: one line a record, for whoever started it to keep, or for the system's log.
//!
//! A line that can't be written is lost, and nothing else happens: a closed pipe or a full disk must not end the
//! agent, a reader that has stopped or a slow card must not hold it up
//! (docs/decisions/0004-the-agents-log-never-panics.md).
//! Other crates are heard from WARN up, because their INFO is not about captures; at TRACE they say all they have.
//! A message that comes again within a minute is counted, not written; from DEBUG on each is written, for whoever
//! looks for a fault wants to see when. The latest lines are kept in memory, too, for whoever asks the agent.

mod aside;
mod last_words;
mod message;
mod missed;
mod recent;
mod repeats;
mod sink;
mod syslog;

use crate::config::LogTo;
use log::{LevelFilter, Log, Metadata, Record};
use message::Message;
use recent::Recent;
use repeats::Repeats;
use sink::Sink;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

pub use sink::leads_to_journal;
pub use syslog::DEV_LOG;

/// For a slow disk beneath standard error, at the end.
const LAST_LINES: Duration = Duration::from_millis(200);

static LOGGER: Logger =
    Logger(Mutex::new(State { sink: Sink::new(), repeats: Repeats::new(), recent: Recent::new() }));

/// Logs from now on, to this place and at this level, and panics at any. Later calls change both.
pub fn init(to: LogTo, level: LevelFilter) {
    last_words::tell_panics(to);
    LOGGER.state().sink.lead_to(to);
    log::set_max_level(level);
    // It fails where a logger is set already: this one, at a reload.
    let _ = log::set_logger(&LOGGER);
}

/// Waits a moment for what is still to be written: nothing will come after it.
pub fn finish() {
    LOGGER.state().sink.finish(LAST_LINES);
}

/// Writes the counts that are due, and says when the next will be.
pub(super) fn settle() -> Option<Instant> {
    let mut state = LOGGER.state();
    let counts = state.repeats.settle(Instant::now());
    state.write(&counts);
    state.repeats.due()
}

/// The latest lines, as one line of JSON.
pub(super) fn recent() -> String {
    LOGGER.state().recent.to_line()
}

/// How many messages were counted and not written so far.
pub(super) fn counted() -> u64 {
    LOGGER.state().repeats.counted()
}

struct Logger(Mutex<State>);

struct State {
    sink: Sink,
    repeats: Repeats,
    recent: Recent,
}

impl Logger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_wanted(metadata, log::max_level())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = Message::of(record);
        let mut state = self.state();
        let is_each_written = log::max_level() >= LevelFilter::Debug;
        let messages =
            if is_each_written { vec![message] } else { state.repeats.take(Instant::now(), message) };
        state.write(&messages);
    }

    /// Writes what was only counted so far.
    fn flush(&self) {
        let mut state = self.state();
        let counts = state.repeats.finish(Instant::now());
        state.write(&counts);
    }
}

impl State {
    fn write(&mut self, messages: &[Message]) {
        for message in messages {
            let now = SystemTime::now();
            self.sink.write(now, message);
            self.recent.take(&message.line(now));
        }
    }
}

fn is_wanted(metadata: &Metadata<'_>, level: LevelFilter) -> bool {
    let is_ours = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    let limit = if is_ours || level == LevelFilter::Trace { level } else { level.min(LevelFilter::Warn) };
    metadata.level() <= limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    #[test]
    fn other_crates_are_heard_from_warn_up() {
        let wanted = |target: &str, level: Level, limit: LevelFilter| {
            is_wanted(&Metadata::builder().target(target).level(level).build(), limit)
        };
        assert!(wanted("cloudtalker::engine", Level::Debug, LevelFilter::Debug));
        assert!(!wanted("cloudtalker::engine", Level::Debug, LevelFilter::Info));
        assert!(wanted("rustls::client", Level::Warn, LevelFilter::Debug));
        assert!(!wanted("rustls::client", Level::Info, LevelFilter::Debug));
        assert!(wanted("rustls::client", Level::Trace, LevelFilter::Trace));
        assert!(!wanted("rustls::client", Level::Warn, LevelFilter::Error));
        assert!(!wanted("cloudtalkers", Level::Info, LevelFilter::Info));
    }
}
