//! A shell elsewhere: in a room of its own, or on a machine that is reached by a serial line.
//!
//! The other end runs [`LISTENER`]. It takes a number and a command a line, runs the command, prints what that prints
//! with the number before each line, and then the number and the command's exit code. So what other programs print on
//! the same line meanwhile is told from it.

use super::{Ended, Process};
use std::{io::Write, process::ChildStdin};

/// What the other end's shell runs. A command has no input, and variables of its own. What it prints may lack its last
/// line's end.
pub const LISTENER: &str = r#"while read -r number command; do
	{ eval "$command" </dev/null; echo "$?" >/tmp/code; } 2>&1 | sed "s/^/$number| /"
	printf '\n%s= %s\n' "$number" "$(cat /tmp/code)"
done"#;

pub struct Console {
    process: Process,
    input: ChildStdin,
    commands: u32,
}

/// What a command printed, on either stream, and its exit code.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub text: String,
}

impl Console {
    pub fn of((process, input): (Process, ChildStdin)) -> Console {
        Console { process, input, commands: 0 }
    }

    /// Runs a command of one line to its end. What others print meanwhile can be waited for afterwards.
    pub fn run(&mut self, command: &str) -> Said {
        self.commands += 1;
        let (prefix, mark) = (format!("{}| ", self.commands), format!("{}= ", self.commands));
        let already = self.process.printed();
        writeln!(self.input, "{} {command}", self.commands).expect("the other end listens");
        let (until, end) = self.process.prints_after(already, command, |line| line.starts_with(&mark));
        let code = end[mark.len()..].trim_end();
        let code = code.parse().unwrap_or_else(|_| panic!("{command}: expected an exit code, not {code:?}"));
        let log = self.process.log();
        let lines = log.lines().take(until).skip(already).filter_map(|line| line.strip_prefix(&prefix));
        let text = lines.map(str::trim_end).collect::<Vec<_>>().join("\n");
        Said { code, text }
    }

    /// Runs a command that must succeed; what it prints.
    #[track_caller]
    pub fn ok(&mut self, command: &str) -> String {
        let Said { code, text } = self.run(command);
        assert_eq!(code, 0, "{command}: {text}");
        text
    }

    /// Waits for a line with these words, after the last one that was waited for.
    pub fn says(&mut self, words: &str) -> String {
        self.process.says(words)
    }

    /// Waits until there is a line with these words, whatever was waited for before.
    pub fn has_said(&self, words: &str) {
        self.process.prints_after(0, words, |line| line.contains(words));
    }

    /// All that was printed so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until the other end has ended by itself.
    pub fn ends(self) -> Ended {
        self.process.ends()
    }

    /// Nothing that runs there is asked.
    pub fn cut_off(self) {
        self.process.kill();
    }
}
