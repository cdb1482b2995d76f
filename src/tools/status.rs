//! `cloudtalker status`: how the running agent is doing.

use super::{Address, Connection, ToolError};
use crate::{cli, engine::event::counted, wire::utc::Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
    time::{Duration, SystemTime},
};

/// The agent answers from memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks, and prints the answer.
pub fn run(status: &cli::Status) -> Result<(), ToolError> {
    let address = Address::find(status.settings(), status.config.as_deref())?;
    let mut connection = address.connect().map_err(|error| ToolError::Absent(address.clone(), error))?;
    let answer = answer(&mut connection)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let text = if status.json { one_line(&answer)? } else { parse(&answer)?.table(now.as_secs()) };
    // Nobody reading it is no error.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Asks the agent, for another tool.
pub(super) fn ask(connection: &mut Connection) -> Result<Status, ToolError> {
    parse(&answer(connection)?)
}

fn answer(connection: &mut Connection) -> Result<String, ToolError> {
    connection.ask(&json!({"query": "status"}), PATIENCE)
}

/// The agent's answer.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    version: String,
    session: Session,
    armed: Option<bool>,
    spool: Spool,
    upload: Option<Upload>,
    last_receipt: Option<u64>,
    lost: u64,
    certificate_expires: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Session {
    state: String,
    since: u64,
    reason: Option<String>,
    endpoint: String,
}

#[derive(Debug, Deserialize)]
struct Spool {
    captures: u64,
    segments: u64,
    bytes: u64,
    oldest: Option<u64>,
    refused: u64,
    state_dir: String,
}

#[derive(Debug, Deserialize)]
struct Upload {
    capture: String,
    seg_no: u32,
    bytes: u64,
    sent: u64,
}

fn one_line(answer: &str) -> Result<String, ToolError> {
    parse(answer)?;
    Ok(format!("{answer}\n"))
}

fn parse(answer: &str) -> Result<Status, ToolError> {
    let nonsense = |error: serde_json::Error| ToolError::Nonsense(error.to_string(), answer.to_owned());
    let value: Value = serde_json::from_str(answer).map_err(nonsense)?;
    if let Some(error) = value["error"].as_str() {
        return Err(ToolError::Nonsense(error.to_owned(), answer.to_owned()));
    }
    serde_json::from_value(value).map_err(nonsense)
}

impl Status {
    /// Whether the agent is connected with this cloud.
    pub(super) fn has_session_with(&self, endpoint: &str) -> bool {
        self.session.state == "up" && self.session.endpoint == endpoint
    }

    fn table(&self, now: u64) -> String {
        let Status { session, spool, .. } = self;
        let reason = session.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let armed = match self.armed {
            Some(true) => "yes",
            Some(false) => "no",
            None => "the cloud has not said",
        };
        let oldest = spool.oldest.map(|oldest| format!(", oldest of {}", ago(oldest, now)));
        let refused = match spool.refused {
            0 => "none".to_owned(),
            refused => format!("{refused}, see {}/refused", spool.state_dir),
        };
        let upload = self.upload.as_ref().map_or("none in progress".to_owned(), Upload::to_string);
        let receipt =
            self.last_receipt.map_or("none yet".to_owned(), |receipt| ago(receipt, now).to_string());
        let lost = match self.lost {
            0 => "none".to_owned(),
            lost => format!("{}, see {}/lost.log", counted(lost, "segment"), spool.state_dir),
        };
        let expiry = match self.certificate_expires {
            None => "unknown end".to_owned(),
            Some(end) if end <= now => format!("expired {}", ago(end, now)),
            Some(end) => format!("until {} (in {})", Utc(end), span(end - now)),
        };
        let spooled = format!(
            "{}, {}, {}{}",
            counted(spool.captures, "capture"),
            counted(spool.segments, "segment"),
            size(spool.bytes),
            oldest.unwrap_or_default()
        );
        let rows = [
            ("session", format!("{} since {}{reason}", session.state, ago(session.since, now))),
            ("endpoint", session.endpoint.clone()),
            ("armed", armed.to_owned()),
            ("waiting", spooled),
            ("upload", upload),
            ("last receipt", receipt),
            ("refused", refused),
            ("lost", lost),
            ("certificate", expiry),
            ("version", self.version.clone()),
        ];
        rows.iter().fold(String::new(), |mut table, (name, value)| {
            writeln!(table, "{name:<14}{value}").expect("a String takes everything");
            table
        })
    }
}

impl fmt::Display for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (u128::from(self.sent) * 100).checked_div(u128::from(self.bytes)).unwrap_or(100);
        let (sent, bytes) = (size(self.sent), size(self.bytes));
        write!(f, "segment {} of capture {}: {sent} of {bytes} ({percent} %)", self.seg_no, self.capture)
    }
}

/// A moment, and how long ago that is if the clock can tell.
fn ago(moment: u64, now: u64) -> impl fmt::Display {
    fmt::from_fn(move |f| match now.checked_sub(moment) {
        Some(seconds) => write!(f, "{} ({} ago)", Utc(moment), span(seconds)),
        None => write!(f, "{}", Utc(moment)),
    })
}

pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// In powers of 1024, as the options that set bounds have them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let steps = (bytes.max(1).ilog2() / 10).min(4) as usize;
    match steps {
        0 => format!("{bytes} bytes"),
        steps => {
            let tenths = (u128::from(bytes) * 10) >> (10 * steps);
            format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[steps - 1])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: &str = r#"{"version":"0.1.0","session":{"state":"up","since":1795219200,"reason":null,
        "endpoint":"cloud.example:8443/"},"armed":true,"spool":{"captures":1,"segments":3,"bytes":36175872,
        "oldest":1795215600,"refused":2,"state_dir":"/var/lib/cloudtalker"},"upload":{"capture":"00abcdef01234567",
        "seg_no":2,"bytes":4096,"sent":1024},"last_receipt":1795219190,"lost":1,"certificate_expires":1826755200}"#;
    const NEW: &str = r#"{"version":"0.1.0","session":{"state":"down","since":1795219200,
        "reason":"connection refused","endpoint":"cloud.example:8443/"},"armed":null,"spool":{"captures":0,
        "segments":0,"bytes":0,"oldest":null,"refused":0,"state_dir":"/s"},"upload":null,"last_receipt":null,
        "lost":0,"certificate_expires":null}"#;

    #[test]
    fn a_busy_agent_fills_the_table() {
        let expected = "\
session       up since 2026-11-21T00:00:00Z (90 s ago)
endpoint      cloud.example:8443/
armed         yes
waiting       1 capture, 3 segments, 34.5 MiB, oldest of 2026-11-20T23:00:00Z (61 min ago)
upload        segment 2 of capture 00abcdef01234567: 1.0 KiB of 4.0 KiB (25 %)
last receipt  2026-11-20T23:59:50Z (100 s ago)
refused       2, see /var/lib/cloudtalker/refused
lost          1 segment, see /var/lib/cloudtalker/lost.log
certificate   until 2027-11-21T00:00:00Z (in 364 days)
version       0.1.0
";
        assert_eq!(parse(BUSY).unwrap().table(1_795_219_290), expected);
    }

    #[test]
    fn a_new_agent_has_little_to_say() {
        let expected = "\
session       down since 2026-11-21T00:00:00Z: connection refused
endpoint      cloud.example:8443/
armed         the cloud has not said
waiting       0 captures, 0 segments, 0 bytes
upload        none in progress
last receipt  none yet
refused       none
lost          none
certificate   unknown end
version       0.1.0
";
        assert_eq!(parse(NEW).unwrap().table(0), expected);
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        for answer in ["", "{}", "[]", r#"{"ok":false,"error":"busy"}"#] {
            assert!(matches!(parse(answer), Err(ToolError::Nonsense(..))), "{answer}");
        }
    }

    #[test]
    fn sizes_and_spans_have_no_more_digits_than_one_reads() {
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
        assert_eq!((span(119), span(7199), span(172_799)), ("119 s".into(), "119 min".into(), "47 h".into()));
    }
}
