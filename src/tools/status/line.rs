//! What is seen, as a line: for logs and pipes.

use super::{
    frame::View,
    pace::{Budget, RateInForce},
};
use crate::{
    engine::event::counted,
    tools::text::{size, span},
    wire::utc::Utc,
};
use std::time::Duration;

/// What only moves is not told more often.
const EVERY: Duration = Duration::from_secs(10);

/// What was told last.
#[derive(Debug, Default)]
pub struct Told(Option<(Duration, String, String)>);

impl Told {
    /// The line that is due at this moment, if one is: at once where something has changed.
    pub fn next(&mut self, at: Duration, view: &View<'_>) -> Option<String> {
        let (state, motion) = (state(view), motion(view));
        let is_due = self.0.as_ref().is_none_or(|(told_at, told_state, told_motion)| {
            *told_state != state || *told_motion != motion && *told_at + EVERY <= at
        });
        let line = is_due.then(|| format!("{} {state}{motion}\n", Utc(view.now)));
        if is_due {
            self.0 = Some((at, state, motion));
        }
        line
    }
}

/// `up, armed; capture delivered; 2 segments lost; at most 64.0 KiB/s, until 22:00:00 UTC; budget short`
fn state(view: &View<'_>) -> String {
    if let Some(away) = view.away {
        return format!("away: {}", away.why);
    }
    let Some(status) = view.status else { return String::new() };
    let reason = status.session.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let armed = match status.armed {
        Some(true) => ", armed",
        Some(false) => ", not armed",
        None => "",
    };
    let mut state = format!("{}{reason}{armed}", status.session.state);
    if let Some(command) = status.commands.last() {
        state += &format!("; {} {}", command.command, command.fate());
    }
    if status.lost > 0 {
        state += &format!("; {} lost", counted(status.lost, "segment"));
    }
    if status.spool.refused > 0 {
        state += &format!("; {} refused", status.spool.refused);
    }
    if let Some(last) = status.last_refusal.as_ref().filter(|_| status.inputs_refused > 0) {
        let inputs = counted(status.inputs_refused, "input");
        state += &format!("; {inputs} not taken ({})", last.why);
    }
    if let Some(fault) = &status.disk_failure {
        state += &format!("; the disk can't be written ({})", fault.why);
    }
    let rate = status.rate.as_ref().map(RateInForce::brief).unwrap_or_default();
    if !rate.is_empty() {
        state += &format!("; {}", rate.join(", "));
    }
    if let Some(standing) = status.budget.as_ref().and_then(Budget::standing) {
        state += &format!("; budget {standing}");
    }
    if status.spool.captures == 0 {
        state += "; nothing waits";
    }
    state
}

/// `; 3 captures, 14 segments, 34.5 MiB wait, 48 s left; 1529842538.pir/2.mp4 56 % at 1.1 MiB/s, 12 s left; 950.0 MiB of the
/// budget's 1.0 GiB spent`
fn motion(view: &View<'_>) -> String {
    let Some(status) = view.status.filter(|_| view.away.is_none()) else { return String::new() };
    let left =
        |seconds: Option<u64>| seconds.map(|left| format!(", {} left", span(left))).unwrap_or_default();
    let mut motion = String::new();
    if status.spool.captures > 0 {
        motion += &format!("; {} wait{}", status.waiting().join(", "), left(view.left_of_all()));
    }
    if let Some(upload) = &status.upload {
        let pace = view.rate.map(|rate| format!(" at {}/s", size(rate))).unwrap_or_default();
        let (place, percent, left) = (upload.place(), upload.percent(), left(view.left_of_upload()));
        motion += &format!("; {place} {percent} %{pace}{left}");
    }
    if let Some(budget) = &status.budget {
        motion += &format!("; {} of the budget's {} spent", size(budget.spent), size(budget.limit));
    }
    motion
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            answer::{
                Status, parse,
                tests::{BUSY, NEW},
            },
            frame::Away,
        },
        *,
    };

    fn view(status: &Status) -> View<'_> {
        View { now: 1_795_219_290, status: Some(status), away: None, rate: Some(1024) }
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_line_holds_everything() {
        let expected = "2026-11-21T00:01:30Z up, armed; capture waiting: /camera.sock: Connection refused; \
                        1 segment lost; 2 refused; 3 inputs not taken (the disk is full: 0 bytes are free); the disk can't be \
                        written (/var/lib/cloudtalker: No space left on device); at most 64.0 KiB/s, until 01:00:00 UTC; budget short; \
                        1 capture, 3 segments, 34.5 MiB wait, 9 h left; 1795215600.pir/2.mp4 25 % at 1.0 KiB/s, \
                        3 s left; 950.0 MiB of the budget's 1.0 GiB spent\n";
        assert_eq!(Told::default().next(at(0), &view(&parse(BUSY).unwrap())).as_deref(), Some(expected));
        let expected = "2026-11-21T00:01:30Z down (connection refused); nothing waits\n";
        assert_eq!(Told::default().next(at(0), &view(&parse(NEW).unwrap())).as_deref(), Some(expected));
    }

    #[test]
    fn what_changes_is_told_at_once_and_what_moves_each_ten_seconds() {
        let mut told = Told::default();
        let mut status = parse(BUSY).unwrap();
        let mut lines = Vec::new();
        for second in 0..35 {
            status.upload.as_mut().unwrap().sent += 41;
            if second == 12 {
                status.armed = Some(false);
            }
            status.commands.iter_mut().for_each(|command| command.age += 1);
            lines.extend(told.next(at(second), &view(&status)).map(|_| second));
        }
        assert_eq!(lines, [0, 10, 12, 22, 32]);
        assert!(told.next(at(1000), &view(&status)).is_some());
        assert_eq!(told.next(at(2000), &view(&status)), None, "nothing has moved since");
    }

    #[test]
    fn a_rate_and_a_standing_that_change_are_told_at_once_also_where_nothing_waits() {
        let mut told = Told::default();
        let mut status = parse(NEW).unwrap();
        told.next(at(0), &view(&status));
        status.rate = Some(RateInForce { bytes_per_second: Some(0), until: None, is_timely: false });
        let expected =
            "down (connection refused); nothing is uploaded, the time of day is not known; nothing waits\n";
        let line = told.next(at(1), &view(&status)).unwrap();
        assert!(line.ends_with(expected), "{line}");
        status.budget = parse(BUSY).unwrap().budget;
        let expected = "; budget short; nothing waits; 950.0 MiB of the budget's 1.0 GiB spent\n";
        let line = told.next(at(2), &view(&status)).unwrap();
        assert!(line.ends_with(expected), "{line}");
    }

    #[test]
    fn an_agent_that_goes_and_comes_is_told_each_time_and_no_number_beside_it() {
        let mut told = Told::default();
        let status = parse(BUSY).unwrap();
        told.next(at(0), &view(&status));
        let away = Away { since: 1_795_219_290, seconds: 0, why: "nobody answers".into() };
        let gone = View { away: Some(&away), ..view(&status) };
        assert_eq!(told.next(at(1), &gone).as_deref(), Some("2026-11-21T00:01:30Z away: nobody answers\n"));
        assert_eq!(told.next(at(99), &gone), None);
        assert!(told.next(at(100), &view(&status)).is_some());
    }
}
