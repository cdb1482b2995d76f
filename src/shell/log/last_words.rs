//! What a panic says, to whoever keeps the log: it ends the agent, and standard error may lead nowhere.

use super::{Message, Sink};
use crate::config::LogTo;
use log::Level;
use std::{
    panic::{self, Location},
    thread,
    time::SystemTime,
};

/// Of what it says: a value that was not expected may be of any size.
const LONGEST: usize = 1024;

/// From now on a panic is told there. Not by the logger, whose lock the panicking thread may hold.
pub fn tell_panics(to: LogTo) {
    panic::set_hook(Box::new(move |panic| {
        let words = panic.payload_as_str().unwrap_or("without a word");
        let thread = thread::current();
        let message = last_words(thread.name(), panic.location(), words);
        Sink::at_once(to).write(SystemTime::now(), &message);
    }));
}

fn last_words(thread: Option<&str>, location: Option<&Location<'_>>, words: &str) -> Message {
    let words = &words[..words.floor_char_boundary(LONGEST)];
    let thread = thread.unwrap_or("without a name");
    let place = location.map(|location| format!(" at {location}")).unwrap_or_default();
    let text = format!("a fault of this program, please report it: thread {thread} panicked{place}: {words}");
    Message::new(Level::Error, module_path!(), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, process::Command};

    #[test]
    fn last_words_are_one_line_and_short() {
        let message = last_words(Some("disk"), Some(Location::caller()), "no\n<0>such");
        let begin =
            "a fault of this program, please report it: thread disk panicked at src/shell/log/last_words.rs:";
        assert!(
            message.text.starts_with(begin) && message.text.ends_with(": no\\n<0>such"),
            "{}",
            message.text
        );
        let message = last_words(None, None, &"ü".repeat(1 << 20));
        assert!(message.text.len() < 2 * LONGEST, "{}", message.text.len());
    }

    /// Started by the test below, in a process of its own.
    #[test]
    #[ignore = "it panics"]
    fn panics() {
        super::super::init(LogTo::Stderr, log::LevelFilter::Off);
        let _logger = super::super::LOGGER.state();
        panic!("expected {}, but came\n{}", "this", "that");
    }

    #[test]
    fn a_panic_is_told_in_the_log_also_while_it_is_written() {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "shell::log::last_words::tests::panics", "--ignored", "--nocapture"]);
        let told = child.env_remove("JOURNAL_STREAM").output().unwrap();
        assert!(!told.status.success());
        let told = String::from_utf8(told.stderr).unwrap();
        let line =
            told.lines().find(|line| line.contains(" panicked at ")).unwrap_or_else(|| panic!("{told}"));
        assert!(
            line.contains("Z ERROR [cloudtalker::shell::log::last_words] a fault of this program"),
            "{line}"
        );
        assert!(line.ends_with(": expected this, but came\\nthat"), "{line}");
    }
}
