//! What a socket was answered to `query_state` and has not read. A state may be long, and is written anew each time that
//! somebody asks: who asks and never reads would have us keep a whole queue of them.
//!
//! Engine.IO drops an answer's text as soon as it has it written, or fetched: then ours is the only one left.

use bytes::Bytes;
use engineioxide::Str;

/// Answers that are not counted. A receiver asks once, whenever it has connected.
const UNCOUNTED: usize = 4;
/// Bytes of answers.
const MAX_UNREAD: usize = 1 << 20;

/// The answers of one socket.
#[derive(Debug, Default)]
pub(super) struct Unread {
    uncounted: usize,
    texts: Vec<Bytes>,
}

impl Unread {
    /// Whether there is more than anybody needs.
    pub(super) fn is_too_much(&mut self) -> bool {
        self.forget_read();
        self.texts.iter().map(Bytes::len).sum::<usize>() > MAX_UNREAD
    }

    /// Another answer goes out.
    pub(super) fn count(&mut self, text: &Str) {
        if self.uncounted < UNCOUNTED {
            self.uncounted += 1;
        } else {
            self.texts.push(text.clone().into());
        }
    }

    /// What was read meanwhile is kept no longer.
    pub(super) fn forget_read(&mut self) {
        self.texts.retain(|text| !text.is_unique());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Str {
        Str::from("x".repeat(MAX_UNREAD / 4))
    }

    #[test]
    fn who_reads_what_it_asked_for_may_ask_for_ever() {
        let mut unread = Unread::default();
        for _ in 0..1_000 {
            assert!(!unread.is_too_much());
            unread.count(&answer());
        }
        unread.forget_read();
        assert!(unread.texts.is_empty(), "nothing of it is kept");
    }

    #[test]
    fn who_reads_nothing_is_told_no_more_than_a_few_and_a_mebibyte() {
        let (mut unread, mut queue) = (Unread::default(), Vec::new());
        while !unread.is_too_much() {
            queue.push(answer());
            unread.count(queue.last().unwrap());
        }
        assert_eq!(queue.len(), UNCOUNTED + 5);
        queue.truncate(UNCOUNTED + 4);
        assert!(!unread.is_too_much(), "it has read one");
    }
}
