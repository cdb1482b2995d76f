//! Where messages go.

use super::{Message, aside::Aside, syslog::Syslog};
use crate::config::LogTo;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, fstat},
};
use std::{
    env,
    io::{self, Write},
    mem,
    os::fd::AsFd,
    time::{Duration, SystemTime},
};

/// Where messages go.
#[derive(Debug)]
pub struct Sink {
    /// The system's log, where that is wanted.
    syslog: Option<Syslog>,
    /// Else, and while nobody takes them there.
    stderr: Stderr,
}

/// Where standard error leads.
#[derive(Debug)]
enum Stderr {
    /// To people, or to a program that keeps it for them.
    Stream,
    /// To systemd's journal.
    Journal,
    /// Into a file.
    File(Aside),
}

impl Sink {
    /// Standard error as it is.
    pub const fn new() -> Sink {
        Sink { syslog: None, stderr: Stderr::Stream }
    }

    /// For one message: whoever writes it waits for it, also where standard error is a file.
    pub fn at_once(to: LogTo) -> Sink {
        Sink { syslog: (to == LogTo::Syslog).then(Syslog::new), stderr: Stderr::at_once() }
    }

    /// From now on messages go there.
    pub fn lead_to(&mut self, to: LogTo) {
        let stderr = mem::replace(&mut self.stderr, Stderr::Stream);
        *self = Sink { stderr: stderr.or_aside(), ..Sink::at_once(to) };
    }

    pub fn write(&mut self, now: SystemTime, message: &Message) {
        let is_taken = self.syslog.as_mut().is_some_and(|syslog| syslog.send(message));
        if !is_taken {
            self.stderr.write(now, message);
        }
    }

    /// Waits, no longer than this, for what is still to be written.
    pub fn finish(&mut self, patience: Duration) {
        if let Stderr::File(aside) = mem::replace(&mut self.stderr, Stderr::Stream) {
            aside.finish(patience);
        }
    }
}

impl Stderr {
    fn at_once() -> Stderr {
        if leads_to_journal() { Stderr::Journal } else { Stderr::Stream }
    }

    /// This, where it is a file already, or what standard error is.
    fn or_aside(self) -> Stderr {
        match (self, Stderr::at_once()) {
            (file @ Stderr::File(_), _) => file,
            (_, Stderr::Stream) if is_file(io::stderr()) => {
                Aside::start(io::stderr()).map_or(Stderr::Stream, Stderr::File)
            }
            (_, found) => found,
        }
    }

    fn write(&mut self, now: SystemTime, message: &Message) {
        match self {
            Stderr::Stream => write(&mut io::stderr(), &message.line(now)),
            Stderr::Journal => write(&mut io::stderr(), &message.journal_line()),
            Stderr::File(aside) => aside.write(now, message),
        }
    }
}

/// Whether standard error leads to systemd's journal.
pub fn leads_to_journal() -> bool {
    is_journal(io::stderr(), env::var("JOURNAL_STREAM").ok().as_deref())
}

/// Of which poll says that it need not wait, whatever it stands on.
fn is_file(stream: impl AsFd) -> bool {
    fstat(stream).is_ok_and(|about| FileType::from_raw_mode(about.st_mode).is_file())
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
