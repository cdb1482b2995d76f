//! A message, and its forms: a line for people, a line for the journal, a datagram for syslog.

use crate::wire::utc::Utc;
use log::{Level, Record};
use std::{
    process,
    time::{Duration, SystemTime},
};

/// A pipe that poll says is writable takes so many bytes without waiting (`PIPE_BUF`).
const LONGEST_LINE: usize = 4096;
/// The facility of daemons, as syslog(3) has it.
const DAEMON: u8 = 3 << 3;

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub level: Level,
    pub target: String,
    pub text: String,
}

impl Message {
    /// What a record says, as far as a line holds it.
    pub fn of(record: &Record<'_>) -> Message {
        Message::new(record.level(), record.target(), record.args().to_string())
    }

    /// This, as far as a line holds it.
    pub fn new(level: Level, target: &str, text: String) -> Message {
        Message { level, target: target.to_owned(), text: in_a_line(cut(text, LONGEST_LINE)) }
    }

    /// `2018-06-24T12:15:38.042Z INFO  [cloudtalker::shell] started`
    pub fn line(&self, now: SystemTime) -> String {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let (moment, millis) = (Utc(now.as_secs()), now.subsec_millis());
        let (date, time, level) = (moment.date(), moment.time_of_day(), self.level);
        ended(format!("{date}T{time}.{millis:03}Z {level:<5} {}", self.body()))
    }

    /// `<6>[cloudtalker::shell] started`: the journal has a time of its own, and takes the priority from the line
    /// (sd-daemon(3)).
    pub fn journal_line(&self) -> String {
        ended(format!("<{}>{}", self.severity(), self.body()))
    }

    /// `<30>cloudtalker[123]: [cloudtalker::shell] started`. Without a time: the daemon adds its own, in its own
    /// zone, which a static program does not know.
    pub fn datagram(&self) -> String {
        let (priority, id) = (DAEMON + self.severity(), process::id());
        cut(format!("<{priority}>cloudtalker[{id}]: {}", self.body()), LONGEST_LINE)
    }

    fn body(&self) -> String {
        format!("[{}] {}", self.target, self.text)
    }

    fn severity(&self) -> u8 {
        match self.level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        }
    }
}

fn ended(line: String) -> String {
    cut(line, LONGEST_LINE - 1) + "\n"
}

/// Some of it may be a stranger's: it begins no line of its own, and tells no terminal anything.
fn in_a_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escape =
        |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.into() };
    text.chars().map(escape).collect()
}

fn cut(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: String) -> Message {
        Message { level: Level::Info, target: "cloudtalker::shell".into(), text }
    }

    #[test]
    fn a_line_has_time_level_and_place() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_529_842_538_042);
        let line = message("up".into()).line(now);
        assert_eq!(line, "2018-06-24T12:15:38.042Z INFO  [cloudtalker::shell] up\n");
    }

    #[test]
    fn the_journal_and_syslog_get_a_priority_and_keep_the_time_themselves() {
        let up = message("up".into());
        assert_eq!(up.journal_line(), "<6>[cloudtalker::shell] up\n");
        assert_eq!(up.datagram(), format!("<30>cloudtalker[{}]: [cloudtalker::shell] up", process::id()));
        for (level, journal, syslog) in [
            (Level::Error, "<3>[", "<27>c"),
            (Level::Warn, "<4>[", "<28>c"),
            (Level::Debug, "<7>[", "<31>c"),
            (Level::Trace, "<7>[", "<31>c"),
        ] {
            let message = Message { level, ..up.clone() };
            assert!(message.journal_line().starts_with(journal), "{}", message.journal_line());
            assert!(message.datagram().starts_with(syslog), "{}", message.datagram());
        }
    }

    #[test]
    fn nothing_that_is_said_begins_a_line_of_its_own() {
        let said = "the server said: no\n<0>[kernel] dead\u{1b}[2J";
        let message = Message::of(&Record::builder().args(format_args!("{said}")).build());
        assert_eq!(message.text, "the server said: no\\n<0>[kernel] dead\\u{1b}[2J");
        assert_eq!(message.journal_line().matches('\n').count(), 1);
    }

    #[test]
    fn a_line_is_no_longer_than_a_pipe_takes_at_once() {
        let long = Message::of(&Record::builder().args(format_args!("{}", "ü".repeat(5000))).build());
        for line in [long.line(SystemTime::now()), long.journal_line()] {
            assert!((4094..=4096).contains(&line.len()) && line.ends_with("ü\n"), "{}", line.len());
        }
        assert!((4095..=4096).contains(&long.datagram().len()), "{}", long.datagram().len());
    }
}
