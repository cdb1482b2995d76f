//! Where messages go.

use super::{Message, syslog::Syslog};
use crate::config::LogTo;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::fstat,
};
use std::{
    env,
    io::{self, Write},
    os::fd::AsFd,
    time::SystemTime,
};

/// Where messages go.
#[derive(Debug)]
pub enum Sink {
    /// Standard error, for people or a file.
    Stderr,
    /// Standard error, which leads to systemd's journal.
    Journal,
    /// The system's log; standard error while nobody takes it there.
    Syslog(Syslog),
}

impl Sink {
    pub fn open(to: LogTo) -> Sink {
        match to {
            LogTo::Syslog => Sink::Syslog(Syslog::new()),
            LogTo::Stderr if is_journal(io::stderr(), env::var("JOURNAL_STREAM").ok().as_deref()) => {
                Sink::Journal
            }
            LogTo::Stderr => Sink::Stderr,
        }
    }

    pub fn write(&mut self, now: SystemTime, message: &Message) {
        let line = match self {
            Sink::Stderr => message.line(now),
            Sink::Journal => message.journal_line(),
            Sink::Syslog(syslog) => {
                if syslog.send(message) {
                    return;
                }
                message.line(now)
            }
        };
        write(&mut io::stderr(), &line);
    }
}

/// Whether this is the stream that systemd says leads to the journal: `JOURNAL_STREAM` has its device and inode. The
/// variable alone says nothing, for a program in between may have led the stream elsewhere.
fn is_journal(stream: impl AsFd, told: Option<&str>) -> bool {
    let Ok(about) = fstat(stream) else { return false };
    told.is_some_and(|told| told == format!("{}:{}", about.st_dev, about.st_ino))
}

/// In one write, so that lines of several threads don't mix, and only where that need not wait.
fn write(out: &mut (impl Write + AsFd), line: &str) {
    let now_or_never = Timespec::default();
    let is_blocked = poll(&mut [PollFd::new(out, PollFlags::OUT)], Some(&now_or_never)) == Ok(0);
    if !is_blocked {
        let _ = out.write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, sync::mpsc, thread, time::Duration};

    #[test]
    fn a_closed_pipe_is_no_reason_to_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        write(&mut writer, "unheard\n");
    }

    #[test]
    fn a_reader_that_has_stopped_is_not_waited_for() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            for _ in 0..100_000 {
                write(&mut writer, "unread\n");
            }
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(60)).expect("the log waits for nobody");
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(text.lines().count() > 10 && text.lines().all(|line| line == "unread"));
    }

    #[test]
    fn only_the_stream_that_systemd_names_is_the_journals() {
        let (_reader, writer) = io::pipe().unwrap();
        let about = fstat(&writer).unwrap();
        let (device, inode) = (about.st_dev, about.st_ino);
        assert!(is_journal(&writer, Some(&format!("{device}:{inode}"))));
        for told in [format!("{device}:{}", inode + 1), inode.to_string(), format!("{device}:{inode}:1")] {
            assert!(!is_journal(&writer, Some(&told)), "{told}");
        }
        assert!(!is_journal(&writer, Some("")) && !is_journal(&writer, None));
    }
}
