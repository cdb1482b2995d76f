//! The latest lines, for whoever looks for a fault: `{"query":"log"}`.

use serde_json::{Value, json};

/// A board's last minutes, or its last hours where little happens.
const REMEMBERED: usize = 32 * 1024;
/// In the answer, whose reader takes twice as much in all. Control characters grow sixfold on the way.
const ANSWERED: usize = 32 * 1024;

/// The latest lines, each with its newline.
#[derive(Debug)]
pub struct Recent(String);

impl Recent {
    pub const fn new() -> Recent {
        Recent(String::new())
    }

    /// Takes a line with its newline. The oldest make room for it.
    pub fn take(&mut self, line: &str) {
        let surplus = (self.0.len() + line.len()).saturating_sub(REMEMBERED);
        if surplus > 0 {
            let lines = self.0.as_bytes().iter().enumerate();
            let ends = lines.skip(surplus - 1).find(|(_, byte)| **byte == b'\n');
            self.0.drain(..ends.map_or(self.0.len(), |(at, _)| at + 1));
        }
        self.0.push_str(line);
    }

    /// One line of JSON, `{"log":["…","…"]}`, oldest first.
    pub fn to_line(&self) -> String {
        let mut room = ANSWERED;
        let newest_first = self.0.lines().rev().map(Value::from).take_while(|line| {
            let length = line.to_string().len() + 1;
            let fits = length <= room;
            room = room.saturating_sub(length);
            fits
        });
        let mut lines: Vec<Value> = newest_first.collect();
        lines.reverse();
        json!({"log": lines}).to_string() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(recent: &Recent) -> Vec<String> {
        let answer: Value = serde_json::from_str(&recent.to_line()).unwrap();
        let lines = answer["log"].as_array().unwrap();
        lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_latest_lines_are_told_in_their_order() {
        let mut recent = Recent::new();
        assert_eq!(recent.to_line(), "{\"log\":[]}\n");
        recent.take("one \"quoted\"\n");
        recent.take("two\n");
        assert_eq!(lines(&recent), ["one \"quoted\"", "two"]);
    }

    #[test]
    fn the_oldest_lines_make_room_and_no_line_is_cut() {
        let mut recent = Recent::new();
        for number in 0..10_000 {
            recent.take(&format!("line {number} {}\n", "x".repeat(number % 90)));
            assert!(recent.0.len() <= REMEMBERED);
        }
        let lines = lines(&recent);
        assert!(lines.len() > 300, "{}", lines.len());
        let first: usize = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        for (line, number) in lines.iter().zip(first..) {
            assert_eq!(line, &format!("line {number} {}", "x".repeat(number % 90)));
        }
        assert_eq!(first + lines.len(), 10_000);
    }

    #[test]
    fn an_answer_is_no_longer_than_its_reader_takes() {
        let mut recent = Recent::new();
        for _ in 0..100 {
            recent.take(&format!("{}\n", "\u{1}".repeat(4000)));
        }
        assert!(recent.to_line().len() <= ANSWERED + 20);
        assert_eq!(lines(&recent).len(), 1, "each takes 24,002 bytes there");
        recent.take(&format!("{}\n", "y".repeat(2 * REMEMBERED)));
        assert_eq!(lines(&recent), [""; 0], "what is longer than all of it is not told");
    }
}
