//! The agent's answer to `{"query":"status"}`.

use super::pace::{Budget, RateInForce};
use crate::{
    tools::{Connection, PATIENCE, ToolError, text::printable},
    wire::shortened,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What an agent says of itself. What came later than the first version may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    pub version: String,
    pub session: Session,
    pub armed: Option<bool>,
    pub spool: Spool,
    pub upload: Option<Upload>,
    /// Bytes of segments that have gone out since the agent's start.
    #[serde(default)]
    pub sent: u64,
    /// The latest, newest last.
    #[serde(default)]
    pub commands: Vec<Command>,
    /// How fast uploads go, and how far.
    pub rate: Option<RateInForce>,
    pub budget: Option<Budget>,
    pub last_receipt: Option<u64>,
    pub lost: u64,
    /// Of what local programs said, since the agent's start.
    #[serde(default)]
    pub inputs_refused: u64,
    pub last_refusal: Option<Fault>,
    /// Since when the state directory can't be written.
    pub disk_failure: Option<Fault>,
    pub certificate_expires: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Fault {
    /// How many seconds ago it was, or began.
    pub age: u64,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Session {
    pub state: String,
    pub since: u64,
    pub reason: Option<String>,
    pub endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Spool {
    pub captures: u64,
    pub segments: u64,
    pub bytes: u64,
    pub oldest: Option<u64>,
    pub refused: u64,
    pub state_dir: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Upload {
    pub capture: String,
    #[serde(default)]
    pub file: String,
    pub seg_no: u32,
    pub bytes: u64,
    pub sent: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Command {
    pub command: String,
    /// How many seconds ago the cloud wanted it.
    pub age: u64,
    pub state: String,
    pub why: Option<String>,
}

/// Asks for it, for whoever needs more than the text.
pub fn ask(connection: &mut Connection) -> Result<Status, ToolError> {
    parse(&answer(connection)?)
}

/// Asks for it: its text.
pub fn answer(connection: &mut Connection) -> Result<String, ToolError> {
    connection.ask(&json!({"query": "status"}), PATIENCE)
}

/// What it says. Words from elsewhere come out fit for a terminal.
pub fn parse(answer: &str) -> Result<Status, ToolError> {
    let nonsense = |error: serde_json::Error| ToolError::Nonsense(error.to_string(), shortened(answer));
    let value: Value = serde_json::from_str(answer).map_err(nonsense)?;
    if let Some(error) = value["error"].as_str() {
        return Err(ToolError::Nonsense(printable(error), shortened(answer)));
    }
    Ok(serde_json::from_value::<Status>(value).map_err(nonsense)?.printable())
}

impl Status {
    /// Whether the agent is connected with this cloud.
    pub fn has_session_with(&self, endpoint: &str) -> bool {
        self.session.state == "up" && self.session.endpoint == endpoint
    }

    /// The order to arm or disarm that the camera program has not had, if it lacks the latest one.
    pub fn unheard(&self) -> Option<&Command> {
        let latest = self.commands.iter().rev().find(|said| matches!(&*said.command, "arm" | "disarm"))?;
        (latest.state != "delivered").then_some(latest)
    }

    fn printable(mut self) -> Status {
        let Status { version, session, spool, upload, commands, budget, last_refusal, disk_failure, .. } =
            &mut self;
        let Session { state, reason, endpoint, .. } = session;
        let mut words = vec![version, state, endpoint, &mut spool.state_dir];
        words.extend(reason);
        words.extend([last_refusal, disk_failure].into_iter().flatten().map(|fault| &mut fault.why));
        words.extend(upload.iter_mut().flat_map(|upload| [&mut upload.capture, &mut upload.file]));
        if let Some(Budget { month, standing, .. }) = budget {
            words.push(standing);
            words.extend(month);
        }
        for Command { command, state, why, .. } in commands {
            words.extend([command, state]);
            words.extend(why);
        }
        for word in words {
            *word = printable(word);
        }
        self
    }
}

impl Upload {
    /// How much of it has gone out, in hundredths.
    pub fn percent(&self) -> u64 {
        let percent = (u128::from(self.sent) * 100).checked_div(u128::from(self.bytes)).unwrap_or(100);
        u64::try_from(percent).unwrap_or(100).min(100)
    }

    /// Its place in the spool, without the spool.
    pub fn place(&self) -> String {
        match self.file.split_once('/') {
            Some((_, place)) => place.to_owned(),
            None => format!("segment {} of capture {}", self.seg_no, self.capture),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const BUSY: &str = r#"{"version":"0.1.0","session":{"state":"up","since":1795219200,"reason":null,
        "endpoint":"cloud.example:8443/"},"armed":true,"spool":{"captures":1,"segments":3,"bytes":36175872,
        "oldest":1795215600,"refused":2,"state_dir":"/var/lib/cloudtalker"},"upload":{"capture":"00abcdef01234567",
        "file":"spool/1795215600.pir/2.mp4","seg_no":2,"bytes":4096,"sent":1024},"sent":1024,
        "rate":{"bytes_per_second":65536,"until":1795222800,"is_timely":true},
        "budget":{"month":"2026-11","until":1796083200,"limit":1073741824,"spent":996147200,"standing":"short"},
        "commands":[{"command":"arm","at":1795219090,"age":200,"state":"delivered","why":null},
        {"command":"capture","at":1795219278,"age":12,"state":"waiting","why":"/camera.sock: Connection refused"}],
        "last_receipt":1795219190,"lost":1,"inputs_refused":3,
        "last_refusal":{"at":1795219250,"age":40,"why":"the disk is full: 0 bytes are free"},
        "disk_failure":{"at":1795219230,"age":60,"why":"/var/lib/cloudtalker: No space left on device"},
        "certificate_expires":1826755200}"#;
    pub const NEW: &str = r#"{"version":"0.1.0","session":{"state":"down","since":1795219200,
        "reason":"connection refused","endpoint":"cloud.example:8443/"},"armed":null,"spool":{"captures":0,
        "segments":0,"bytes":0,"oldest":null,"refused":0,"state_dir":"/s"},"upload":null,
        "rate":{"bytes_per_second":null,"until":null,"is_timely":true},"budget":null,"last_receipt":null,"lost":0,"certificate_expires":null}"#;

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        for answer in ["", "{}", "[]", r#"{"ok":false,"error":"busy"}"#] {
            assert!(matches!(parse(answer), Err(ToolError::Nonsense(..))), "{answer}");
        }
    }

    #[test]
    fn an_answer_that_is_none_is_repeated_in_short_and_does_nothing_to_a_terminal() {
        let long = format!(r#"{{"error":"\u001b[2J","more":"{}"}}"#, "x".repeat(60_000));
        let told = parse(&long).unwrap_err().to_string();
        assert!(told.contains(r"(\u{1b}[2J), but came") && told.len() < 300, "{told}");
    }

    #[test]
    fn words_from_elsewhere_do_nothing_to_a_terminal() {
        let answer = BUSY.replace("/camera.sock", "\\u001b[2J").replace("cloud.example", "\\u202ecloud");
        let status = parse(&answer).unwrap();
        assert_eq!(status.commands[1].why.as_deref(), Some("\\u{1b}[2J: Connection refused"));
        assert_eq!(status.session.endpoint, "\\u{202e}cloud:8443/");
    }

    #[test]
    fn a_part_of_an_upload_is_never_more_than_all_of_it() {
        for (sent, bytes, percent) in
            [(0, 0, 100), (0, 1, 0), (999, 1000, 99), (3, 2, 100), (u64::MAX, 1, 100)]
        {
            let upload = Upload { capture: String::new(), file: String::new(), seg_no: 0, bytes, sent };
            assert_eq!(upload.percent(), percent);
        }
    }
}
