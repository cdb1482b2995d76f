//! What is seen, as a frame of the terminal. Nothing in it is wider than the terminal, nor higher.

mod paint;

use super::{
    answer::{Command, Status, Upload},
    pace::RateInForce,
};
use crate::{
    engine::event::counted,
    tools::{
        EXPIRES_SOON,
        text::{size, span},
    },
    wire::utc::Utc,
};
use paint::{Line, Style, width};

/// Where a row's value begins.
const INDENT: usize = 11;
/// A longer bar says no more.
const LONGEST_BAR: usize = 72;
/// For a bar's ` 100 %`.
const PERCENT: usize = 6;
/// Below so many columns words are spared.
const NARROW: usize = 60;

/// What is to be shown.
#[derive(Debug)]
pub struct View<'a> {
    /// Seconds since 1970.
    pub now: u64,
    /// What it said last.
    pub status: Option<&'a Status>,
    /// That it does not answer.
    pub away: Option<&'a Away>,
    /// Of uploads, in bytes a second, where it is known.
    pub rate: Option<u64>,
}

/// An agent that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// In seconds since 1970, by the clock of that time: the latest status tells times by it, too.
    pub since: u64,
    /// For so many, whatever the clock was set to meanwhile.
    pub seconds: u64,
    pub why: String,
}

/// What the terminal can do.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub columns: usize,
    pub rows: usize,
    pub has_unicode: bool,
    pub has_colours: bool,
}

impl View<'_> {
    /// Seconds until the segment that is being uploaded is there.
    pub fn left_of_upload(&self) -> Option<u64> {
        let upload = self.status?.upload.as_ref()?;
        self.time_for(upload.bytes.saturating_sub(upload.sent))
    }

    /// Seconds until everything is there.
    pub fn left_of_all(&self) -> Option<u64> {
        let status = self.status?;
        let sent = status.upload.as_ref().map_or(0, |upload| upload.sent);
        self.time_for(status.spool.bytes.saturating_sub(sent)).filter(|seconds| *seconds > 0)
    }

    fn time_for(&self, bytes: u64) -> Option<u64> {
        self.rate.filter(|rate| *rate > 0).map(|rate| bytes.div_ceil(rate))
    }
}

/// The frame's lines, without a newline after the last.
pub fn frame(view: &View<'_>, look: Look) -> String {
    let mut frame = Frame { view, look, lines: Vec::new() };
    frame.title();
    frame.away();
    if let Some(status) = view.status {
        frame.session(status);
        match &status.upload {
            Some(upload) => frame.upload(upload),
            None => frame.no_upload(status),
        }
        frame.bounds(status);
        frame.waiting(status);
        frame.losses(status);
        frame.certificate(status);
        frame.commands(&status.commands);
    }
    frame.cut(look.rows.max(1));
    frame.lines.join("\n")
}

/// A frame that is being drawn.
struct Frame<'v> {
    view: &'v View<'v>,
    look: Look,
    lines: Vec<String>,
}

impl Frame<'_> {
    /// Leaves as many lines as there is room for, the last of which says what is missing.
    fn cut(&mut self, rows: usize) {
        let missing = self.lines.len().saturating_sub(rows);
        self.lines.truncate(rows);
        // One row is the title's.
        if missing > 0 && rows > 1 {
            self.lines.pop();
            let (mark, count) = (if self.look.has_unicode { '…' } else { '~' }, missing + 1);
            self.line(Style::Dim, &format!("{mark} {count} more lines"));
        }
    }

    /// When the status was as it is shown, in seconds since 1970: while nobody answers, nobody knows what has gone on.
    fn asked(&self) -> u64 {
        self.view.away.map_or(self.view.now, |away| away.since)
    }

    fn title(&mut self) {
        let clock = format!("{} UTC", Utc(self.view.now).time_of_day());
        let title = match self.view.status {
            Some(status) => format!("cloudtalker {} at {}", status.version, status.session.endpoint),
            None => "cloudtalker".to_owned(),
        };
        let mut line = Line::new(self.look, false);
        let room = self.look.columns.saturating_sub(clock.len() + 1);
        line.put_within(room, Style::Bold, &title);
        line.pad_to(room + 1);
        line.put(Style::Dim, &clock);
        self.lines.extend([line.text, String::new()]);
    }

    fn away(&mut self) {
        let Some(away) = self.view.away else { return };
        self.line(Style::Bad, &format!("no answer for {}", span(away.seconds)));
        for line in wrapped(&away.why, self.look.columns) {
            self.line(Style::Plain, &line);
        }
        self.lines.push(String::new());
    }

    fn session(&mut self, status: &Status) {
        let session = &status.session;
        let style = if session.state == "up" { Style::Good } else { Style::Doubtful };
        let since = self.asked().checked_sub(session.since);
        let since = since.map(|seconds| format!(" for {}", span(seconds))).unwrap_or_default();
        let reason = session.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        self.row("session", &[(style, &session.state), (Style::Plain, &(since + &reason))]);
        let armed = match status.armed {
            Some(true) => (Style::Good, "armed"),
            Some(false) => (Style::Plain, "not armed"),
            None => (Style::Dim, "the cloud has not said whether it is armed"),
        };
        let unheard = status.unheard().map(|_| (Style::Doubtful, ", but was not told"));
        self.row("camera", &[armed].into_iter().chain(unheard).collect::<Vec<_>>());
    }

    fn upload(&mut self, upload: &Upload) {
        let part = format!("{} of {}", size(upload.sent), size(upload.bytes));
        self.parts("upload", &[upload.place(), part]);
        self.bar(upload.percent());
        let pace = match self.view.rate {
            None => String::new(),
            Some(0) => "nothing goes out".to_owned(),
            Some(rate) => format!("{}/s", size(rate)),
        };
        let left = self.view.left_of_upload().map(left);
        self.parts("", &[pace].into_iter().chain(left).collect::<Vec<_>>());
    }

    /// As high as an upload where there will be another one, so that nothing jumps between two segments.
    fn no_upload(&mut self, status: &Status) {
        self.row("upload", &[(Style::Dim, "none in progress")]);
        if status.spool.segments > 0 {
            self.lines.extend([String::new(), String::new()]);
        }
    }

    /// What the owner lets uploads take.
    fn bounds(&mut self, status: &Status) {
        let rate = status.rate.as_ref().map(RateInForce::brief).unwrap_or_default();
        self.parts("rate", &rate);
        let budget = status.budget.as_ref().map(|budget| budget.brief(self.asked())).unwrap_or_default();
        self.parts("budget", &budget);
    }

    fn bar(&mut self, percent: u64) {
        let mut line = Line::new(self.look, self.view.away.is_some());
        line.pad_to(INDENT);
        let room = self.look.columns.saturating_sub(INDENT + PERCENT).min(LONGEST_BAR);
        // In half columns, of which only a font with blocks has any.
        let halves = usize::try_from(percent).unwrap_or(100) * 2 * room / 100;
        let (full, half, empty) = if self.look.has_unicode { ("█", "▌", "░") } else { ("#", "", ".") };
        let half = if halves % 2 == 1 { half } else { "" };
        line.put(Style::Good, &(full.repeat(halves / 2) + half));
        line.put(Style::Dim, &empty.repeat(room - halves / 2 - half.chars().count()));
        line.put(Style::Bold, &format!(" {percent:>3} %"));
        self.lines.push(line.text);
    }

    fn waiting(&mut self, status: &Status) {
        if status.spool.captures == 0 {
            self.row("waiting", &[(Style::Good, "nothing")]);
        } else {
            let left = self.view.left_of_all().map(left);
            self.parts("waiting", &status.waiting().into_iter().chain(left).collect::<Vec<_>>());
        }
        let receipt = status.last_receipt.and_then(|receipt| self.asked().checked_sub(receipt));
        let receipt = receipt.map_or("none yet".to_owned(), |seconds| format!("{} ago", span(seconds)));
        self.row("receipt", &[(Style::Plain, &receipt)]);
    }

    fn losses(&mut self, status: &Status) {
        let spool = &status.spool;
        if spool.refused > 0 {
            let refused = format!("{}, see {}/refused", spool.refused, spool.state_dir);
            self.row("refused", &[(Style::Bad, &refused)]);
        }
        if status.lost > 0 {
            let lost = format!("{}, see {}/lost.log", counted(status.lost, "segment"), spool.state_dir);
            self.row("lost", &[(Style::Bad, &lost)]);
        }
        if let Some(inputs) = status.not_taken() {
            self.row("inputs", &[(Style::Bad, &inputs)]);
        }
        if let Some(fault) = &status.disk_failure {
            let disk = format!("can't be written for {}: {}", span(fault.age), fault.why);
            self.row("disk", &[(Style::Bad, &disk)]);
        }
    }

    fn certificate(&mut self, status: &Status) {
        let Some(end) = status.certificate_expires else { return };
        match end.checked_sub(self.view.now) {
            None | Some(0) => self.row("expiry", &[(Style::Bad, "the certificate has expired")]),
            Some(left) if left < EXPIRES_SOON => {
                let expiry = format!("the certificate ends in {}", span(left));
                self.row("expiry", &[(Style::Doubtful, &expiry)]);
            }
            Some(_) => {}
        }
    }

    /// Newest first.
    fn commands(&mut self, commands: &[Command]) {
        let is_narrow = self.look.columns < NARROW;
        let mut name = "commands";
        for command in commands.iter().rev() {
            let word = format!("{:<8} ", command.command);
            let age = match is_narrow {
                true => format!("{:<8} ", span(command.age)),
                false => format!("{:<12} ", span(command.age) + " ago"),
            };
            let style = match command.state.as_str() {
                "delivered" => Style::Good,
                "waiting" => Style::Doubtful,
                _ => Style::Dim,
            };
            self.row(name, &[(Style::Plain, &word), (Style::Dim, &age), (style, &command.fate())]);
            name = "";
        }
    }

    fn line(&mut self, style: Style, text: &str) {
        let mut line = Line::new(self.look, false);
        line.put(style, text);
        self.lines.push(line.text);
    }

    fn row(&mut self, name: &str, parts: &[(Style, &str)]) {
        let mut line = Line::new(self.look, self.view.away.is_some());
        line.put(Style::Dim, name);
        line.pad_to(INDENT);
        for (style, text) in parts {
            line.put(*style, text);
        }
        self.lines.push(line.text);
    }

    /// Parts with commas between them, in as many rows as they take.
    fn parts(&mut self, name: &str, parts: &[String]) {
        let room = self.look.columns.saturating_sub(INDENT);
        let mut rows: Vec<String> = Vec::new();
        for part in parts {
            match rows.last_mut() {
                // They are words of the agent's own.
                Some(row) if row.chars().count() + part.chars().count() + 3 <= room => {
                    row.push_str(", ");
                    row.push_str(part);
                }
                Some(row) => {
                    row.push(',');
                    rows.push(part.clone());
                }
                None => rows.push(part.clone()),
            }
        }
        let names = [name].into_iter().chain(std::iter::repeat(""));
        for (name, row) in names.zip(&rows) {
            self.row(name, &[(Style::Plain, row)]);
        }
    }
}

/// A sentence in as many lines as it takes.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn left(seconds: u64) -> String {
    format!("{} left", span(seconds))
}

#[cfg(test)]
mod tests;
