//! The same message is written once a minute at most: what comes in between is counted. How long somebody waits before the
//! next try, at a message's end, makes no other one of it, nor does a moment in it.

use super::Message;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How long a message is not written again.
const QUIET: Duration = Duration::from_secs(60);
/// So many different messages are remembered. Where more come within [`QUIET`], as when a backlog goes out, the first of
/// them is forgotten early, and of those that came again only where all have: memory is bounded.
const REMEMBERED: usize = 256;

/// What was written lately, the oldest first, and how often it was said since.
#[derive(Debug)]
pub struct Repeats {
    written: VecDeque<Written>,
    /// How many messages were not written, ever.
    counted: u64,
}

#[derive(Debug)]
struct Written {
    message: Message,
    at: Instant,
    /// How often it came since.
    more: u64,
}

impl Repeats {
    pub const fn new() -> Repeats {
        Repeats { written: VecDeque::new(), counted: 0 }
    }

    /// How many messages were counted and not written, ever.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// Takes what is said, and gives what is to be written: counts that are due, and the message where it is not
    /// one to be counted.
    pub fn take(&mut self, now: Instant, message: Message) -> Vec<Message> {
        let mut due = self.settle(now);
        if let Some(written) = self.written.iter_mut().find(|written| written.is_of(&message)) {
            written.message = message;
            written.more += 1;
            self.counted += 1;
            return due;
        }
        if self.written.len() == REMEMBERED {
            let unrepeated = self.written.iter().position(|written| written.more == 0);
            let forgotten = self.written.remove(unrepeated.unwrap_or(0));
            due.extend(forgotten.and_then(|forgotten| forgotten.count(now)));
        }
        due.push(message.clone());
        self.written.push_back(Written { message, at: now, more: 0 });
        due
    }

    /// The counts that are due. With its count a message is written anew, and is quiet again.
    pub fn settle(&mut self, now: Instant) -> Vec<Message> {
        let mut due = Vec::new();
        while let Some(written) = self.written.pop_front_if(|written| written.at + QUIET <= now) {
            if let Some(count) = written.count(now) {
                due.push(count);
                self.written.push_back(Written { at: now, more: 0, ..written });
            }
        }
        due
    }

    /// When the next count is due.
    pub fn due(&self) -> Option<Instant> {
        self.written.iter().find(|written| written.more > 0).map(|written| written.at + QUIET)
    }

    /// Every count, for nothing will come after it.
    pub fn finish(&mut self, now: Instant) -> Vec<Message> {
        self.written.drain(..).filter_map(|written| written.count(now)).collect()
    }
}

impl Written {
    fn is_of(&self, other: &Message) -> bool {
        let Message { level, target, text } = &self.message;
        *level == other.level && *target == other.target && gist(text).eq(gist(&other.text))
    }

    fn count(&self, now: Instant) -> Option<Message> {
        let (more, seconds) = (self.more, now.duration_since(self.at).as_secs());
        let times = if more == 1 { "once".to_owned() } else { format!("{more} times") };
        let text = format!("{} ({times} more within {seconds} s)", self.message.text);
        (more > 0).then(|| Message { text, ..self.message.clone() })
    }
}

/// The words, without the seconds at their end: `…; next try in 1.3 s`; and moments are all the same.
fn gist(text: &str) -> impl Iterator<Item = &str> {
    let is_of_a_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let text = text.strip_suffix(" s").map_or(text, |text| text.trim_end_matches(is_of_a_number));
    text.split(' ').map(|word| if is_moment(word) { "2018-06-24T12:15:38Z" } else { word })
}

/// Whether it is one as [`Utc`](crate::wire::utc::Utc) writes it, with whatever ends a clause.
fn is_moment(word: &str) -> bool {
    let shape = |(at, letter): (usize, u8)| match at {
        4 | 7 => letter == b'-',
        10 => letter == b'T',
        13 | 16 => letter == b':',
        19 => letter == b'Z',
        20 => matches!(letter, b',' | b':' | b';'),
        _ => letter.is_ascii_digit(),
    };
    (20..=21).contains(&word.len()) && word.bytes().enumerate().all(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    fn message(text: &str) -> Message {
        Message { level: Level::Warn, target: "cloudtalker".into(), text: text.into() }
    }

    /// A log that lives in virtual time.
    struct Said {
        repeats: Repeats,
        began: Instant,
    }

    impl Said {
        fn new() -> Said {
            Said { repeats: Repeats::new(), began: Instant::now() }
        }

        fn say(&mut self, second: u64, text: &str) -> Vec<String> {
            texts(self.repeats.take(self.at(second), message(text)))
        }

        fn at(&self, second: u64) -> Instant {
            self.began + Duration::from_secs(second)
        }
    }

    fn texts(messages: Vec<Message>) -> Vec<String> {
        messages.into_iter().map(|message| message.text).collect()
    }

    #[test]
    fn a_message_that_comes_again_within_a_minute_is_counted() {
        let mut log = Said::new();
        assert_eq!(log.say(0, "down"), ["down"]);
        assert_eq!(log.say(1, "up"), ["up"]);
        assert_eq!(log.say(2, "down"), [""; 0]);
        assert_eq!(log.say(59, "down"), [""; 0]);
        assert_eq!(log.say(60, "else"), ["down (2 times more within 60 s)", "else"]);
    }

    #[test]
    fn a_moment_in_a_message_makes_no_other_one_of_it() {
        let mut log = Said::new();
        let said = |minute: u32| format!("it ended at 2026-11-29T12:{minute:02}:38Z, it seems");
        assert_eq!(log.say(0, &said(1)), [said(1)]);
        assert_eq!(log.say(1, &said(2)), [""; 0]);
        assert_eq!(log.say(2, "it ended at 2026-11-29, it seems").len(), 1);
        assert_eq!(log.say(3, "it ended at 2026-11-29T12:01:38+01:00, it seems").len(), 1);
    }

    #[test]
    fn a_message_that_comes_once_an_hour_is_written_each_time() {
        let mut log = Said::new();
        for hour in 0..3 {
            assert_eq!(log.say(hour * 3600, "warm"), ["warm"]);
            assert_eq!(log.repeats.due(), None);
        }
    }

    #[test]
    fn a_flood_is_one_line_a_minute_and_none_of_it_goes_uncounted() {
        let mut log = Said::new();
        let written: Vec<String> = (0..600).flat_map(|second| log.say(second, "flood")).collect();
        assert_eq!(written.len(), 10);
        assert_eq!(
            (written[0].as_str(), written[1].as_str()),
            ("flood", "flood (59 times more within 60 s)")
        );
        let rest = texts(log.repeats.finish(log.at(600)));
        let counts = written[1..].iter().chain(&rest).map(|line| {
            let (count, _) = line.strip_prefix("flood (").unwrap().split_once(" times").unwrap();
            count.parse::<u64>().unwrap()
        });
        assert_eq!(1 + counts.sum::<u64>(), 600, "{written:?} {rest:?}");
        assert_eq!(log.repeats.counted(), 599);
    }

    #[test]
    fn a_count_comes_although_nothing_more_is_said() {
        let mut log = Said::new();
        log.say(0, "first");
        log.say(10, "down");
        assert_eq!(log.repeats.due(), None);
        log.say(20, "down");
        assert_eq!(log.repeats.due(), Some(log.at(70)));
        assert_eq!(texts(log.repeats.settle(log.at(69))), [""; 0]);
        assert_eq!(texts(log.repeats.settle(log.at(70))), ["down (once more within 60 s)"]);
        assert_eq!(log.repeats.due(), None);
        assert_eq!(log.say(80, "down"), [""; 0], "it was written ten seconds ago");
        assert_eq!(texts(log.repeats.finish(log.at(81))), ["down (once more within 11 s)"]);
    }

    #[test]
    fn how_long_the_next_try_waits_makes_no_other_message() {
        let mut log = Said::new();
        assert_eq!(log.say(0, "down; next try in 1.3 s"), ["down; next try in 1.3 s"]);
        assert_eq!(log.say(2, "down; next try in 2.9 s"), [""; 0]);
        assert_eq!(log.say(5, "down; next try in 55 s"), [""; 0]);
        assert_eq!(log.say(6, "refused; next try in 2.9 s"), ["refused; next try in 2.9 s"]);
        assert_eq!(log.say(7, "took 3 s, or so"), ["took 3 s, or so"]);
        assert_eq!(log.say(8, "took 4 s, or so"), ["took 4 s, or so"]);
        let expected = ["down; next try in 55 s (2 times more within 60 s)"];
        assert_eq!(texts(log.repeats.settle(log.at(60))), expected);
        assert_eq!(log.say(61, "down; next try in 54.1 s"), [""; 0], "it was written a second ago");
    }

    #[test]
    fn level_and_place_make_another_message() {
        let mut repeats = Repeats::new();
        let now = Instant::now();
        for message in [
            message("down"),
            Message { level: Level::Info, ..message("down") },
            Message { target: "rustls".into(), ..message("down") },
        ] {
            assert_eq!(repeats.take(now, message.clone()), [message]);
        }
    }

    #[test]
    fn what_is_said_again_is_counted_among_more_messages_than_are_remembered() {
        let mut log = Said::new();
        let mut written = Vec::new();
        for number in 0..10 * REMEMBERED {
            written.extend(log.say(1, &format!("segment {number}")));
            written.extend(log.say(1, "the disk is slow"));
        }
        assert_eq!(written.iter().filter(|text| text.starts_with("the disk")).count(), 1);
    }

    #[test]
    fn memory_is_bounded_and_counts_are_not_forgotten() {
        let mut log = Said::new();
        for number in 0..REMEMBERED {
            for _ in 0..2 {
                log.say(0, &number.to_string());
            }
        }
        assert_eq!(log.say(1, "else"), ["0 (once more within 1 s)", "else"]);
        assert_eq!(log.repeats.written.len(), REMEMBERED);
    }
}
