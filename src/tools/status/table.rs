//! The answer as a table, for people.

use super::answer::{Command, Fault, Status, Upload};
use crate::{
    engine::event::counted,
    tools::text::{ago, size, span},
    wire::utc::Utc,
};
use std::fmt::{self, Write};

/// How the agent is doing: a row for each thing.
pub fn table(status: &Status, now: u64) -> String {
    let Status { session, spool, .. } = status;
    let reason = session.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let oldest = spool.oldest.map(|oldest| format!(", oldest of {}", ago(oldest, now)));
    let refused = match spool.refused {
        0 => "none".to_owned(),
        refused => format!("{refused}, see {}/refused", spool.state_dir),
    };
    let unheard =
        status.unheard().map(|order| format!(", but the camera program was not told ({})", order.fate()));
    let unheard = unheard.unwrap_or_default();
    let upload = status.upload.as_ref().map_or("none in progress".to_owned(), Upload::to_string);
    let receipt = status.last_receipt.map_or("none yet".to_owned(), |receipt| ago(receipt, now).to_string());
    let lost = match status.lost {
        0 => "none".to_owned(),
        lost => format!("{}, see {}/lost.log", counted(lost, "segment"), spool.state_dir),
    };
    let expiry = match status.certificate_expires {
        None => "unknown end".to_owned(),
        Some(end) if end <= now => format!("expired {}", ago(end, now)),
        Some(end) => format!("until {} (in {})", Utc(end), span(end - now)),
    };
    let mut rows = vec![
        ("session", format!("{} since {}{reason}", session.state, ago(session.since, now))),
        ("endpoint", session.endpoint.clone()),
        ("armed", status.armed_word().to_owned() + &unheard),
        ("waiting", status.waiting().join(", ") + &oldest.unwrap_or_default()),
        ("upload", upload),
    ];
    rows.extend(status.rate.iter().map(|rate| ("rate", rate.to_string())));
    rows.extend(status.budget.iter().map(|budget| ("data budget", budget.to_string())));
    rows.extend([("last receipt", receipt), ("refused", refused), ("lost", lost)]);
    rows.extend(status.not_taken().map(|inputs| ("inputs", inputs)));
    let disk = |Fault { age, why }: &Fault| format!("can't be written for {}: {why}", span(*age));
    rows.extend(status.disk_failure.iter().map(|fault| ("disk", disk(fault))));
    let names = ["commands"].into_iter().chain(std::iter::repeat(""));
    rows.extend(names.zip(status.commands.iter().rev().map(Command::to_string)));
    rows.push(("certificate", expiry));
    rows.push(("version", status.version.clone()));
    rows.iter().fold(String::new(), |mut table, (name, value)| {
        writeln!(table, "{name:<14}{value}").expect("a String takes everything");
        table
    })
}

impl Status {
    fn armed_word(&self) -> &'static str {
        match self.armed {
            Some(true) => "yes",
            Some(false) => "no",
            None => "the cloud has not said",
        }
    }

    /// What local programs could not hand over.
    pub fn not_taken(&self) -> Option<String> {
        let last = self.last_refusal.as_ref().filter(|_| self.inputs_refused > 0)?;
        Some(format!("{} not taken, the last one {} ago: {}", self.inputs_refused, span(last.age), last.why))
    }

    /// What the cloud has not confirmed.
    pub fn waiting(&self) -> [String; 3] {
        let spool = &self.spool;
        [counted(spool.captures, "capture"), counted(spool.segments, "segment"), size(spool.bytes)]
    }
}

impl fmt::Display for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, bytes, percent) = (size(self.sent), size(self.bytes), self.percent());
        write!(f, "segment {} of capture {}: {sent} of {bytes} ({percent} %)", self.seg_no, self.capture)
    }
}

impl Command {
    /// What became of it, and why.
    pub fn fate(&self) -> String {
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{}{why}", self.state)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ago, {}", self.command, span(self.age), self.fate())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::answer::{
            parse,
            tests::{BUSY, NEW},
        },
        *,
    };

    #[test]
    fn an_order_that_the_camera_program_has_not_had_stands_beside_what_the_cloud_wants() {
        let mut status = parse(BUSY).unwrap();
        let order = |command: &str, state: &str, why: Option<&str>| Command {
            command: command.to_owned(),
            age: 1,
            state: state.to_owned(),
            why: why.map(str::to_owned),
        };
        let row = |status: &Status| {
            let table = table(status, 1_795_219_290);
            table.lines().find(|line| line.starts_with("armed ")).unwrap().to_owned()
        };
        status.commands = vec![
            order("arm", "lapsed", Some("there is nobody to tell")),
            order("capture", "delivered", None),
        ];
        assert_eq!(
            row(&status),
            "armed         yes, but the camera program was not told (lapsed: there is nobody to tell)"
        );
        status.commands.push(order("arm", "delivered", None));
        assert_eq!(row(&status), "armed         yes");
    }

    #[test]
    fn a_busy_agent_fills_the_table() {
        let expected = "\
session       up since 2026-11-21T00:00:00Z (90 s ago)
endpoint      cloud.example:8443/
armed         yes
waiting       1 capture, 3 segments, 34.5 MiB, oldest of 2026-11-20T23:00:00Z (61 min ago)
upload        segment 2 of capture 00abcdef01234567: 1.0 KiB of 4.0 KiB (25 %)
rate          at most 64.0 KiB a second until 2026-11-21T01:00:00Z
data budget   950.0 MiB of 1.0 GiB (92 %) in 2026-11: first segments go before others until 2026-12-01T00:00:00Z
last receipt  2026-11-20T23:59:50Z (100 s ago)
refused       2, see /var/lib/cloudtalker/refused
lost          1 segment, see /var/lib/cloudtalker/lost.log
inputs        3 not taken, the last one 40 s ago: the disk is full: 0 bytes are free
disk          can't be written for 60 s: /var/lib/cloudtalker: No space left on device
commands      capture 12 s ago, waiting: /camera.sock: Connection refused
              arm 3 min ago, delivered
certificate   until 2027-11-21T00:00:00Z (in 364 days)
version       0.1.0
";
        assert_eq!(table(&parse(BUSY).unwrap(), 1_795_219_290), expected);
    }

    #[test]
    fn a_new_agent_has_little_to_say() {
        let expected = "\
session       down since 2026-11-21T00:00:00Z: connection refused
endpoint      cloud.example:8443/
armed         the cloud has not said
waiting       0 captures, 0 segments, 0 bytes
upload        none in progress
rate          as fast as it goes
last receipt  none yet
refused       none
lost          none
certificate   unknown end
version       0.1.0
";
        assert_eq!(table(&parse(NEW).unwrap(), 0), expected);
    }
}
