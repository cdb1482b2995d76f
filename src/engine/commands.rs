//! What the camera program was to be told lately, and what became of it: for whoever asks how the agent is doing.

use super::Now;
use crate::wire::command::Command;
use serde::Serialize;
use std::collections::VecDeque;

/// As many as a person looks back on.
const REMEMBERED: usize = 8;

/// The cloud's latest commands, newest last. A level that is told again and again is one command.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<Given>);

#[derive(Debug)]
struct Given {
    command: Command,
    at: Now,
    fate: Fate,
}

#[derive(Debug)]
enum Fate {
    /// It is tried until it is delivered: why it could not be so far.
    Waiting(Option<String>),
    /// The camera program has it.
    Delivered,
    /// It is tried no more: why.
    Lapsed(&'static str),
}

/// As the status has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CommandStatus<'a> {
    command: &'static str,
    /// When the cloud wanted it, in seconds since 1970 by the board's clock.
    at: u64,
    /// How many seconds ago that was, whatever the clock did meanwhile.
    age: u64,
    state: &'static str,
    why: Option<&'a str>,
}

impl Recent {
    /// The cloud wants this from now on. What it wanted before, and nobody has taken, nobody needs any more.
    pub fn begin(&mut self, now: Now, command: Command) {
        if let Some(Given { fate: fate @ Fate::Waiting(_), .. }) = self.newest_like(command) {
            *fate = Fate::Lapsed("another one came");
        }
        if self.0.len() == REMEMBERED {
            // The level that counts is told as long as it does.
            let level = self.0.iter().rposition(|given| is_level(given.command));
            let is_kept = level == Some(0) && !is_level(command);
            self.0.remove(usize::from(is_kept));
        }
        self.0.push_back(Given { command, at: now, fate: Fate::Waiting(None) });
    }

    /// The camera program got it, perhaps once more.
    pub fn deliver(&mut self, command: Command) {
        self.settle(command, Fate::Delivered);
    }

    /// The camera program did not get it.
    pub fn miss(&mut self, command: Command, why: &str) {
        self.settle(command, Fate::Waiting(Some(why.to_owned())));
    }

    /// It is given up.
    pub fn lapse(&mut self, command: Command, why: &'static str) {
        self.settle(command, Fate::Lapsed(why));
    }

    /// For the status, in their order.
    pub fn status(&self, now: Now) -> Vec<CommandStatus<'_>> {
        self.0.iter().map(|given| given.status(now)).collect()
    }

    /// Late word of a level that counts no longer is no news of the one that does.
    fn settle(&mut self, command: Command, fate: Fate) {
        if let Some(given) = self.newest_like(command).filter(|given| given.command == command) {
            given.fate = fate;
        }
    }

    /// The newest level, or the newest wish for a capture.
    fn newest_like(&mut self, command: Command) -> Option<&mut Given> {
        self.0.iter_mut().rev().find(|given| is_level(given.command) == is_level(command))
    }
}

impl Given {
    fn status(&self, now: Now) -> CommandStatus<'_> {
        let (state, why) = match &self.fate {
            Fate::Waiting(why) => ("waiting", why.as_deref()),
            Fate::Delivered => ("delivered", None),
            Fate::Lapsed(why) => ("lapsed", Some(*why)),
        };
        let age = now.mono.saturating_sub(self.at.mono).as_secs();
        CommandStatus { command: self.command.as_str(), at: self.at.unix, age, state, why }
    }
}

fn is_level(command: Command) -> bool {
    match command {
        Command::Arm | Command::Disarm => true,
        Command::Capture => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(second: u64) -> Now {
        Now { mono: Duration::from_secs(second), unix: 1_795_219_200 + second }
    }

    /// `arm delivered, capture lapsed (another one came)`
    fn told(recent: &Recent) -> String {
        let told = recent.status(at(0)).into_iter().map(|status| {
            let why = status.why.map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{} {}{why}", status.command, status.state)
        });
        told.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn wishes_for_captures_push_no_level_out_that_counts() {
        let mut recent = Recent::default();
        recent.begin(at(0), Command::Disarm);
        recent.begin(at(1), Command::Arm);
        recent.miss(Command::Arm, "nobody is there");
        for number in 2..20 {
            recent.begin(at(number), Command::Capture);
        }
        let captures = ", capture lapsed (another one came)".repeat(REMEMBERED - 2) + ", capture waiting";
        assert_eq!(told(&recent), format!("arm waiting (nobody is there){captures}"));
    }

    #[test]
    fn a_level_that_is_told_again_is_one_command() {
        let mut recent = Recent::default();
        recent.begin(at(0), Command::Arm);
        for _ in 0..3 {
            recent.deliver(Command::Arm);
        }
        recent.begin(at(5), Command::Capture);
        recent.deliver(Command::Arm);
        assert_eq!(told(&recent), "arm delivered, capture waiting");
        recent.miss(Command::Arm, "nobody listens");
        assert_eq!(told(&recent), "arm waiting (nobody listens), capture waiting");
    }

    #[test]
    fn what_nobody_took_lapses_when_another_one_comes() {
        let mut recent = Recent::default();
        for command in [Command::Capture, Command::Arm, Command::Capture, Command::Disarm] {
            recent.begin(at(0), command);
        }
        recent.deliver(Command::Capture);
        let expected = "capture lapsed (another one came), arm lapsed (another one came), capture delivered, \
                        disarm waiting";
        assert_eq!(told(&recent), expected);
        recent.miss(Command::Arm, "late word");
        recent.deliver(Command::Arm);
        assert_eq!(told(&recent), expected, "it counts no longer");
    }

    #[test]
    fn what_was_never_wanted_is_not_remembered() {
        let mut recent = Recent::default();
        recent.deliver(Command::Arm);
        recent.lapse(Command::Capture, "nobody took it");
        assert_eq!(told(&recent), "");
    }

    #[test]
    fn memory_is_bounded_and_ages_outlast_a_clock_that_jumps() {
        let mut recent = Recent::default();
        for second in 0..100 {
            recent.begin(at(second), Command::Capture);
        }
        let status = recent.status(Now { mono: Duration::from_secs(100), unix: 7 });
        assert_eq!(status.len(), REMEMBERED);
        assert_eq!((status[7].at, status[7].age), (1_795_219_299, 1));
        assert_eq!(status[0].age, 8);
    }
}
