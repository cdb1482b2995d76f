//! The agent's log: one line a record on standard error, for whoever started it to keep.
//!
//! A line that can't be written is lost, and nothing else happens: a closed pipe or a full disk must not end the
//! agent, a reader that has stopped must not hold it up (docs/decisions/0004-the-agents-log-never-panics.md).
//! Other crates are heard from WARN up, because their INFO is not about captures; at TRACE they say all they have.

use crate::wire::utc::Utc;
use log::{LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io::{self, Write},
    os::fd::AsFd,
    time::{Duration, SystemTime},
};

/// A pipe that poll says is writable takes so many bytes without waiting (`PIPE_BUF`).
const LONGEST_LINE: usize = 4096;

/// Logs from now on, at this level. Later calls change the level.
pub fn init(level: LevelFilter) {
    log::set_max_level(level);
    // It fails where a logger is set already: this one, at a reload.
    let _ = log::set_logger(&Logger);
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_wanted(metadata, log::max_level())
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(&mut io::stderr(), SystemTime::now(), record);
        }
    }

    fn flush(&self) {}
}

fn is_wanted(metadata: &Metadata<'_>, level: LevelFilter) -> bool {
    let is_ours = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    let limit = if is_ours || level == LevelFilter::Trace { level } else { level.min(LevelFilter::Warn) };
    metadata.level() <= limit
}

/// In one write, so that lines of several threads don't mix, and only where that need not wait.
fn write(out: &mut (impl Write + AsFd), now: SystemTime, record: &Record<'_>) {
    let now_or_never = Timespec::default();
    let is_blocked = poll(&mut [PollFd::new(out, PollFlags::OUT)], Some(&now_or_never)) == Ok(0);
    if !is_blocked {
        let _ = out.write_all(line(now, record).as_bytes());
    }
}

fn line(now: SystemTime, record: &Record<'_>) -> String {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let moment = Utc(now.as_secs());
    let mut line = format!(
        "{}T{}.{:03}Z {:<5} [{}] {}",
        moment.date(),
        moment.time_of_day(),
        now.subsec_millis(),
        record.level(),
        record.target(),
        record.args()
    );
    line.truncate(line.floor_char_boundary(LONGEST_LINE - 1));
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;
    use std::{io::Read, sync::mpsc, thread};

    fn record<'a>(target: &'a str, args: std::fmt::Arguments<'a>) -> Record<'a> {
        Record::builder().level(Level::Info).target(target).args(args).build()
    }

    #[test]
    fn a_line_has_time_level_and_place() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_529_842_538_042);
        let line = line(now, &record("cloudtalker::shell", format_args!("up")));
        assert_eq!(line, "2018-06-24T12:15:38.042Z INFO  [cloudtalker::shell] up\n");
    }

    #[test]
    fn a_line_is_no_longer_than_a_pipe_takes_at_once() {
        let line = line(SystemTime::now(), &record("cloudtalker", format_args!("{}", "ü".repeat(5000))));
        assert!((4094..=4096).contains(&line.len()) && line.ends_with("ü\n"), "{}", line.len());
    }

    #[test]
    fn a_closed_pipe_is_no_reason_to_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        write(&mut writer, SystemTime::now(), &record("cloudtalker", format_args!("unheard")));
    }

    #[test]
    fn a_reader_that_has_stopped_is_not_waited_for() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            for _ in 0..100_000 {
                write(&mut writer, SystemTime::now(), &record("cloudtalker", format_args!("unread")));
            }
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(60)).expect("the log waits for nobody");
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(text.lines().count() > 10 && text.lines().all(|line| line.ends_with("unread")));
    }

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
