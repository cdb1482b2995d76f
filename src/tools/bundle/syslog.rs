//! What the system's logs say of an agent that does not answer.
//!
//! A line of theirs is `TIME [HOST] [FACILITY.SEVERITY] TAG: MESSAGE`, where the time has one to four words, and the tag
//! may have the process's number behind it. By the tag alone it is known whose line it is: other programs may name the
//! agent, and tell of it what is nobody's business.

use super::{
    files,
    programs::{self, Said},
    scrub,
};
use std::{io::ErrorKind, path::Path, time::Duration};

/// Where systems keep their logs in files.
const LOGS: [&str; 3] = ["/var/log/messages", "/var/log/syslog", "/var/log/daemon.log"];
/// Of each of them, from its end.
const TAIL: u64 = 256 * 1024;
/// Who tells of the others: systemd's journal, and the memory of a syslogd that keeps no file.
const READERS: [&[&str]; 2] = [
    &["journalctl", "--quiet", "--no-pager", "--output=short-iso", "--identifier=cloudtalker", "--lines=200"],
    &["logread"],
];
/// Of each of them. A memory that is larger would be a board's.
const MEMORY: u64 = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
/// The last lines of the agent's in them.
const LINES: usize = 200;
/// As the agent has it.
const TAG: &str = "cloudtalker";
/// Before the tag: host and facility.
const ORIGIN: usize = 2;
/// `Sat Nov 28 23:00:00`
const LONGEST_TIME: usize = 4;

/// The agent's last lines in each of the system's logs.
pub fn text() -> String {
    let files = LOGS.map(|path| {
        let log = files::tail(Path::new(path), TAIL);
        (path.to_owned(), log.map(|text| Said { text, trouble: None }))
    });
    let readers = READERS.map(|program| (program.join(" "), programs::said(program, MEMORY, PATIENCE)));
    let mut text = String::new();
    for (name, log) in files.into_iter().chain(readers) {
        match log {
            Ok(Said { text: log, trouble }) => {
                let lines: Vec<&str> = log.lines().filter(|line| is_agents(line)).collect();
                let last = &lines[lines.len().saturating_sub(LINES)..];
                text += &format!("{name}, its last lines of {TAG}: {}\n", last.len());
                text += &scrub::log(last.iter().copied());
                if let Some(why) = trouble {
                    text += &format!("there may be more: {why}\n");
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => text += &format!("{name} can't be read: {error}\n"),
        }
    }
    if text.is_empty() {
        text += &format!("nothing keeps the system's log: no {}, journalctl or logread\n", LOGS.join(", "));
    }
    text
}

/// Whether the agent's tag stands where a tag stands. Only it ends in a colon there.
fn is_agents(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let has_time = words.by_ref().take(LONGEST_TIME).any(tells_time);
    has_time && words.take(ORIGIN + 1).find(|word| word.ends_with(':')).is_some_and(is_tag)
}

/// `23:00:00`, perhaps with a date before it and fractions or a zone behind it.
fn tells_time(word: &str) -> bool {
    word.as_bytes().windows("23:00:00".len()).any(|part| {
        let mut bytes = part.iter().enumerate();
        bytes.all(|(at, byte)| if at % 3 == 2 { *byte == b':' } else { byte.is_ascii_digit() })
    })
}

/// `cloudtalker:` or `cloudtalker[12]:`
fn is_tag(word: &str) -> bool {
    let Some(rest) = word.strip_prefix(TAG).and_then(|rest| rest.strip_suffix(':')) else { return false };
    let number = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    rest.is_empty() || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_agents_by_its_tag_whatever_stands_before_it() {
        for before in [
            "Nov 28 23:00:00 porch user.info",
            "Nov  8 23:00:00 porch daemon.warn",
            "Nov 28 23:00:00 user.info",
            "Nov 28 23:00:00 porch",
            "Nov 28 23:00:00",
            "Sat Nov 28 23:00:00 porch user.info",
            "2026-11-28T23:00:00.123456+01:00 porch",
            "2026-11-28T23:00:00Z",
            "2026-11-28 23:00:00 porch",
        ] {
            for tag in ["cloudtalker:", "cloudtalker[12]:"] {
                assert!(is_agents(&format!("{before} {tag} connected to the cloud")), "{before} {tag}");
            }
            for other in [
                "cloudtalker-server[44]: password:",
                "cloudtalker.sh:",
                "cloudtalker[x]:",
                "cloudtalker[12:",
                "cloudtalker",
                "my-cloudtalker:",
                "su: cloudtalker:",
                "su[7]: cloudtalker[12]:",
                "kernel: [   12.3] cloudtalker[12]:",
                "CRON[3]: (root) CMD (cloudtalker: …)",
            ] {
                assert!(!is_agents(&format!("{before} {other} hunter2")), "{before} {other}");
            }
        }
    }

    #[test]
    fn what_is_no_line_of_a_log_is_nobodys() {
        for line in [
            "",
            "cloudtalker: password",
            "a b c d e 23:00:00 cloudtalker: password",
            "Nov 28 23:00:00 a b c cloudtalker: password",
            "Nov 28 23.00.00 porch cloudtalker: password",
        ] {
            assert!(!is_agents(line), "{line}");
        }
    }
}
