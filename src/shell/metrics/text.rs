//! Numbers to text, as Prometheus reads it (text exposition format 0.0.4).
//!
//! What the process tells of itself has the usual names after `cloudtalker_`: node_exporter tells the same of itself on the
//! same page (docs/decisions/0009-names-of-process-metrics.md).

use super::Process;
use crate::{
    engine::{Counters, Figures, spool::LostReason},
    wire::command::Command,
};
use std::fmt::{Display, Write};

/// What the text begins with.
pub const BEGINNING: &str = "# HELP cloudtalker_";

/// The whole text.
pub fn render(figures: &Figures, process: &Process) -> String {
    let mut page = Page(String::new());
    page.write(
        Kind::Gauge,
        "build_info",
        "The agent's version, as a label.",
        [(format!("{{version=\"{}\"}}", figures.version), 1)],
    );
    page.process(process);
    page.state(figures);
    page.counters(&figures.counters);
    page.0
}

struct Page(String);

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

impl Page {
    fn process(&mut self, process: &Process) {
        self.gauge_if_any(
            "process_start_time_seconds",
            "When the agent started, in seconds since 1970 by the board's clock.",
            process.start,
        );
        self.gauge_if_any("process_resident_memory_bytes", "Resident memory of the agent.", process.memory);
        self.counter(
            "process_cpu_seconds_total",
            "Processor time of the agent, its own and the system's for it.",
            process.cpu.as_secs_f64(),
        );
        self.counter(
            "log_messages_suppressed_total",
            "Log messages that were counted and not written, because the same was written within a minute.",
            process.counted_messages,
        );
    }

    fn state(&mut self, figures: &Figures) {
        let Figures { session_up, armed, backlog, .. } = figures;
        self.gauge("session_up", "Whether there is a connection with the cloud.", u8::from(*session_up));
        self.counter(
            "session_up_seconds_total",
            "How long there has been a connection with the cloud.",
            figures.session_time.as_secs_f64(),
        );
        self.gauge_if_any(
            "armed",
            "Whether motion is watched for, as the cloud last said.",
            armed.map(u8::from),
        );
        self.gauge("spool_captures", "Captures that the cloud does not have whole yet.", backlog.captures);
        self.gauge("spool_segments", "Segments that the server has not confirmed yet.", backlog.segments);
        self.gauge(
            "spool_bytes",
            "Size of the segments that the server has not confirmed yet.",
            backlog.bytes,
        );
        self.gauge_if_any(
            "spool_oldest_capture_timestamp_seconds",
            "When the oldest of these captures began, in seconds since 1970 by the board's clock.",
            backlog.oldest,
        );
        self.gauge(
            "spool_refused_segments",
            "Segments that the server refused for good, and that are still kept.",
            figures.refused,
        );
        self.gauge("alarms_owed", "Alarms that the cloud has not confirmed yet.", figures.alarms);
        self.gauge_if_any(
            "last_receipt_timestamp_seconds",
            "When the cloud last had a capture whole, in seconds since 1970 by the board's clock.",
            figures.last_receipt,
        );
        self.gauge_if_any(
            "certificate_expiry_timestamp_seconds",
            "When the camera's certificate expires, in seconds since 1970.",
            figures.certificate_expires,
        );
        self.gauge_if_any(
            "upload_rate_limit_bytes_per_second",
            "How fast uploads may go at this time of day; 0 is not at all.",
            figures.rate_limit,
        );
        self.gauge_if_any(
            "monthly_budget_bytes",
            "What uploads may put on the wire in a calendar month.",
            figures.budget.map(|budget| budget.limit),
        );
        self.gauge_if_any(
            "monthly_budget_used_bytes",
            "What uploads may have put on the wire in this one.",
            figures.budget.map(|budget| budget.spent),
        );
    }

    fn counters(&mut self, counters: &Counters) {
        let Counters { accepted, confirmed, .. } = counters;
        self.counter("sessions_total", "Connections with the cloud that came about.", counters.sessions);
        self.counter(
            "session_failures_total",
            "Tries to connect with the cloud that failed.",
            counters.session_failures,
        );
        self.counter("segments_accepted_total", "Segments that were made safe.", accepted.segments);
        self.counter("segments_accepted_bytes_total", "Size of these segments.", accepted.bytes);
        self.counter("segments_confirmed_total", "Segments that the server confirmed.", confirmed.segments);
        self.counter("segments_confirmed_bytes_total", "Size of these segments.", confirmed.bytes);
        self.counter(
            "upload_failures_total",
            "Tries to upload a segment that failed and are made again.",
            counters.upload_failures,
        );
        self.counter("receipts_total", "Captures that the cloud said it has whole.", counters.receipts);
        let lost = LostReason::ALL.into_iter().map(LostReason::as_str).zip(counters.lost);
        self.labelled(
            "segments_lost_total",
            "Segments that the cloud will never have, by reason.",
            "reason",
            lost,
        );
        self.counter(
            "inputs_refused_total",
            "Messages and files of local programs that were not taken.",
            counters.inputs_refused,
        );
        self.counter("alarms_total", "Alarms of local programs.", counters.alarms);
        let delivered = Command::ALL.into_iter().map(Command::as_str).zip(counters.delivered);
        self.labelled(
            "commands_delivered_total",
            "Datagrams that went to the camera program; a level is told time and again.",
            "command",
            delivered,
        );
        let undelivered = Command::ALL.into_iter().map(Command::as_str).zip(counters.undelivered);
        self.labelled(
            "commands_undelivered_total",
            "Datagrams that the camera program did not take; each is tried every second.",
            "command",
            undelivered,
        );
        self.counter(
            "disk_failures_total",
            "Changes of the state directory that failed and are tried again.",
            counters.disk_failures,
        );
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.write(Kind::Gauge, name, help, [(String::new(), value)]);
    }

    /// What is not known is left out.
    fn gauge_if_any(&mut self, name: &str, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.gauge(name, help, value);
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.write(Kind::Counter, name, help, [(String::new(), value)]);
    }

    fn labelled(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl Iterator<Item = (&'static str, u64)>,
    ) {
        let samples = samples.map(|(word, value)| (format!("{{{label}=\"{word}\"}}"), value));
        self.write(Kind::Counter, name, help, samples);
    }

    fn write(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, impl Display)>,
    ) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let mut line = |line: std::fmt::Arguments<'_>| {
            writeln!(self.0, "{line}").expect("a String takes everything");
        };
        line(format_args!("# HELP cloudtalker_{name} {help}"));
        line(format_args!("# TYPE cloudtalker_{name} {kind}"));
        for (labels, value) in samples {
            line(format_args!("cloudtalker_{name}{labels} {value}"));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        engine::{Allowance, Volume},
        wire::cloud::Backlog,
    };
    use std::time::Duration;

    pub fn busy() -> (Figures, Process) {
        let figures = Figures {
            version: "0.1.0".into(),
            session_up: true,
            session_time: Duration::from_millis(3_723_500),
            armed: Some(true),
            backlog: Backlog { captures: 2, segments: 5, bytes: 36_175_872, oldest: Some(1_795_215_600) },
            refused: 1,
            alarms: 3,
            last_receipt: Some(1_795_219_190),
            certificate_expires: Some(1_826_755_200),
            rate_limit: Some(65_536),
            budget: Some(Allowance { limit: 1_073_741_824, spent: 996_147_200 }),
            counters: Counters {
                sessions: 4,
                session_failures: 7,
                accepted: Volume { segments: 11, bytes: 72_351_744 },
                confirmed: Volume { segments: 6, bytes: 36_175_872 },
                upload_failures: 8,
                receipts: 2,
                lost: [1, 9, 0],
                inputs_refused: 12,
                delivered: [13, 14, 15],
                undelivered: [0, 16, 17],
                alarms: 18,
                disk_failures: 19,
            },
        };
        let process = Process {
            start: Some(1_795_200_000),
            memory: Some(1_433_600),
            cpu: Duration::from_micros(1_250_000),
            counted_messages: 20,
        };
        (figures, process)
    }

    #[test]
    fn a_busy_agent_tells_everything() {
        let (figures, process) = busy();
        assert_eq!(render(&figures, &process), include_str!("busy.prom"));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let (figures, process) = busy();
        let figures = Figures {
            session_up: false,
            armed: None,
            backlog: Backlog::default(),
            last_receipt: None,
            certificate_expires: None,
            rate_limit: None,
            budget: None,
            ..figures
        };
        let page = render(&figures, &Process { start: None, memory: None, ..process });
        let is_told = |name: &str| page.contains(&format!(" cloudtalker_{name} "));
        for name in [
            "armed",
            "spool_oldest_capture_timestamp_seconds",
            "last_receipt_timestamp_seconds",
            "certificate_expiry_timestamp_seconds",
            "upload_rate_limit_bytes_per_second",
            "monthly_budget_bytes",
            "monthly_budget_used_bytes",
            "process_start_time_seconds",
            "process_resident_memory_bytes",
        ] {
            assert!(!is_told(name), "{name}");
        }
        assert!(is_told("session_up") && page.contains("\ncloudtalker_session_up 0\n"));
    }

    #[test]
    fn a_page_is_known_by_its_beginning() {
        let (figures, process) = busy();
        assert!(render(&figures, &process).starts_with(BEGINNING));
    }
}
