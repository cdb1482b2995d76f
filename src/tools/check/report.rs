//! What was found: for people a line each, as it comes; for programs one line of JSON.

use crate::tools::{Audience, ToolError, print, text::printable};
use serde_json::json;
use std::{
    env, fmt,
    io::{self, IsTerminal},
};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Configuration,
    Certificate,
    Expiry,
    Clock,
    InputSock,
    InputPort,
    MotionList,
    StateDir,
    Flash,
    FreeSpace,
    Quota,
    CaptureDirs,
    Log,
    Pidfile,
    Watchdog,
    Metrics,
    Dns,
    Tcp,
    Tls,
    WebSocket,
    Uploads,
    Camera,
}

/// What was found of it, as a sentence; where something is wrong, with the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Fine(String),
    /// It works, but not as one would like it.
    Doubtful(String),
    Failed(String),
    /// This has to work first.
    NotAsked(Subject),
}

/// Everything that was found so far.
#[derive(Debug)]
pub struct Report {
    findings: Vec<(Subject, Outcome)>,
    telling: Telling,
    /// Whether somebody has read what was printed last, or why it could not be printed.
    printed: Result<Audience, ToolError>,
}

/// Whether each finding is printed as it comes: the network may take its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Quiet,
    Plain,
    Coloured,
}

impl Report {
    /// Nothing is printed.
    pub fn quiet() -> Report {
        Report::of(Telling::Quiet)
    }

    /// Each finding is printed at once, in colours where a person looks.
    pub fn told_at_once() -> Report {
        let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let telling =
            if io::stdout().is_terminal() && !is_plain { Telling::Coloured } else { Telling::Plain };
        Report::of(telling)
    }

    fn of(telling: Telling) -> Report {
        Report { findings: Vec::new(), telling, printed: Ok(Audience::There) }
    }

    pub fn tell(&mut self, subject: Subject, outcome: Outcome) {
        match self.telling {
            Telling::Quiet => {}
            Telling::Plain => self.print(&line(subject, &outcome, false)),
            Telling::Coloured => self.print(&line(subject, &outcome, true)),
        }
        self.findings.push((subject, outcome));
    }

    /// Tells of something that the next look stands on, and gives that; or what has failed.
    pub fn take<T>(&mut self, subject: Subject, seen: Result<(String, T), String>) -> Result<T, Subject> {
        match seen {
            Ok((says, value)) => {
                self.tell(subject, Outcome::Fine(says));
                Ok(value)
            }
            Err(says) => {
                self.tell(subject, Outcome::Failed(says));
                Err(subject)
            }
        }
    }

    /// Those of the subjects that were not told are not asked, because of one that failed.
    pub fn skip(&mut self, subjects: &[Subject], failed: Subject) {
        for subject in subjects {
            if !self.findings.iter().any(|(told, _)| told == subject) {
                self.tell(*subject, Outcome::NotAsked(failed));
            }
        }
    }

    pub fn has_failed(&self) -> bool {
        self.findings.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    /// Prints, unless that has failed before, or nobody reads it: that is no error.
    pub fn print(&mut self, text: &str) {
        if let Ok(Audience::There) = self.printed {
            self.printed = print(text);
        }
    }

    pub fn unprinted(&self) -> Option<&ToolError> {
        self.printed.as_ref().err()
    }

    /// The lines for people, without colours.
    pub fn text(&self) -> String {
        self.findings.iter().map(|(subject, outcome)| line(*subject, outcome, false)).collect()
    }

    pub fn json(&self) -> String {
        let checks = self.findings.iter().map(|(subject, outcome)| {
            json!({"name": subject.as_str(), "outcome": outcome.word(), "says": outcome.to_string()})
        });
        json!({"ok": !self.has_failed(), "checks": checks.collect::<Vec<_>>()}).to_string() + "\n"
    }
}

/// Whatever names the owner's files have, it is one line, and does nothing to a terminal.
fn line(subject: Subject, outcome: &Outcome, is_coloured: bool) -> String {
    let (begin, end) = if is_coloured { (outcome.colour(), "\x1b[0m") } else { ("", "") };
    let (name, word) = (subject.as_str(), outcome.word());
    // Seen at once also where there are no colours.
    let word = if matches!(outcome, Outcome::Failed(_)) { word.to_uppercase() } else { word.to_owned() };
    let says = printable(&outcome.to_string());
    format!("{name:<14}{begin}{word:<8}{end}{says}\n")
}

impl Subject {
    /// In the order of telling.
    pub const ALL: [Subject; 22] = [
        Subject::Configuration,
        Subject::Certificate,
        Subject::Expiry,
        Subject::Clock,
        Subject::InputSock,
        Subject::InputPort,
        Subject::MotionList,
        Subject::StateDir,
        Subject::Flash,
        Subject::FreeSpace,
        Subject::Quota,
        Subject::CaptureDirs,
        Subject::Log,
        Subject::Pidfile,
        Subject::Watchdog,
        Subject::Metrics,
        Subject::Dns,
        Subject::Tcp,
        Subject::Tls,
        Subject::WebSocket,
        Subject::Uploads,
        Subject::Camera,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Subject::Configuration => "configuration",
            Subject::Certificate => "certificate",
            Subject::Expiry => "expiry",
            Subject::Clock => "clock",
            Subject::InputSock => "input_sock",
            Subject::InputPort => "input_port",
            Subject::MotionList => "motion_list",
            Subject::StateDir => "state_dir",
            Subject::Flash => "flash",
            Subject::FreeSpace => "free_space",
            Subject::Quota => "quota",
            Subject::CaptureDirs => "capture_dir",
            Subject::Log => "log",
            Subject::Pidfile => "pidfile",
            Subject::Watchdog => "watchdog",
            Subject::Metrics => "metrics",
            Subject::Dns => "dns",
            Subject::Tcp => "tcp",
            Subject::Tls => "tls",
            Subject::WebSocket => "websocket",
            Subject::Uploads => "uploads",
            Subject::Camera => "camera",
        }
    }
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Outcome::Fine(_) => "ok",
            Outcome::Doubtful(_) => "warning",
            Outcome::Failed(_) => "failed",
            Outcome::NotAsked(_) => "skipped",
        }
    }

    fn colour(&self) -> &'static str {
        match self {
            Outcome::Fine(_) => "\x1b[32m",
            Outcome::Doubtful(_) => "\x1b[33m",
            Outcome::Failed(_) => "\x1b[1;31m",
            Outcome::NotAsked(_) => "\x1b[2m",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Fine(says) | Outcome::Doubtful(says) | Outcome::Failed(says) => f.write_str(says),
            Outcome::NotAsked(failed) => write!(f, "{} has to work first", failed.as_str()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[track_caller]
    pub fn is(outcome: &Outcome, expected: &str) {
        let word = match outcome {
            Outcome::Fine(_) => "fine",
            Outcome::Doubtful(_) => "doubtful",
            Outcome::Failed(_) => "failed",
            Outcome::NotAsked(_) => "not asked",
        };
        let told = format!("{word}: {outcome}");
        assert!(told.starts_with(expected), "expected {expected:?}: {told:?}");
    }

    #[test]
    fn lines_stand_below_each_other_and_failures_stand_out() {
        for (subject, outcome, expected) in [
            (Subject::Tcp, Outcome::Fine("all is well".into()), "tcp           ok      all is well\n"),
            (Subject::Quota, Outcome::Doubtful("look".into()), "quota         warning look\n"),
            (Subject::Configuration, Outcome::Failed("mend".into()), "configuration FAILED  mend\n"),
            (Subject::Tls, Outcome::NotAsked(Subject::Dns), "tls           skipped dns has to work first\n"),
        ] {
            assert_eq!(line(subject, &outcome, false), expected);
        }
        let coloured = line(Subject::Tcp, &Outcome::Failed("mend".into()), true);
        assert_eq!(coloured, "tcp           \x1b[1;31mFAILED  \x1b[0mmend\n");
    }

    #[test]
    fn a_name_with_line_ends_and_escapes_is_one_line_for_people_and_exact_for_programs() {
        let mut report = Report::quiet();
        report.tell(Subject::StateDir, Outcome::Fine("/tmp/x\ny\u{1b}[2J takes files of root".into()));
        assert_eq!(report.text(), "state_dir     ok      /tmp/x\\ny\\u{1b}[2J takes files of root\n");
        let expected = r#""says":"/tmp/x\ny\u001b[2J takes files of root""#;
        assert!(report.json().contains(expected), "{}", report.json());
    }

    #[test]
    fn what_was_told_is_not_skipped_and_a_skip_is_no_failure() {
        let mut report = Report::quiet();
        report.tell(Subject::Dns, Outcome::Doubtful("slow".into()));
        report.skip(&[Subject::Dns, Subject::Tcp], Subject::Configuration);
        assert!(!report.has_failed());
        let expected = r#"{"checks":[{"name":"dns","outcome":"warning","says":"slow"},{"name":"tcp","outcome":"skipped","says":"configuration has to work first"}],"ok":true}"#;
        assert_eq!(report.json(), format!("{expected}\n"));
        assert_eq!(report.take::<()>(Subject::Tls, Err("no".into())), Err(Subject::Tls));
        assert!(report.has_failed() && report.json().contains(r#""ok":false"#));
    }

    #[test]
    fn programs_can_read_of_every_subject_and_outcome_in_the_papers() {
        let papers = include_str!("../../../docs/protocol.md");
        let (_, section) = papers.split_once("\n## I. `check --json`\n").unwrap();
        let outcomes = [
            Outcome::Fine(String::new()),
            Outcome::Doubtful(String::new()),
            Outcome::Failed(String::new()),
            Outcome::NotAsked(Subject::Dns),
        ];
        let words = outcomes.iter().map(Outcome::word);
        for word in Subject::ALL.iter().map(|subject| subject.as_str()).chain(words) {
            assert!(section.contains(&format!("`{word}`")), "{word} is missing");
        }
    }

    #[test]
    fn every_subject_has_a_name_of_its_own_that_fits() {
        for (index, subject) in Subject::ALL.iter().enumerate() {
            assert!(subject.as_str().len() < 14);
            assert!(Subject::ALL[..index].iter().all(|other| other.as_str() != subject.as_str()));
        }
    }
}
