//! Numbers, moments and strangers' words, for people.

use crate::wire::utc::Utc;
use std::fmt;

/// A moment, and how long ago that is if the clock can tell.
pub fn ago(moment: u64, now: u64) -> impl fmt::Display {
    fmt::from_fn(move |f| match now.checked_sub(moment) {
        Some(seconds) => write!(f, "{} ({} ago)", Utc(moment), span(seconds)),
        None => write!(f, "{}", Utc(moment)),
    })
}

/// So many seconds.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// In powers of 1024, as the options that set bounds have them.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let steps = (bytes.max(1).ilog2() / 10).min(4) as usize;
    match steps {
        0 => format!("{bytes} bytes"),
        steps => {
            let tenths = (u128::from(bytes) * 10) >> (10 * steps);
            format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[steps - 1])
        }
    }
}

/// A stranger's words as one line that does nothing to a terminal: control characters, and what turns or joins letters,
/// stand there as Rust writes them.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\'' | '\\' => shown.push(letter),
            letter => shown.extend(letter.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_have_no_more_digits_than_one_reads() {
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
        assert_eq!((span(119), span(7199), span(172_799)), ("119 s".into(), "119 min".into(), "47 h".into()));
    }

    #[test]
    fn a_strangers_words_do_nothing_to_a_terminal() {
        for (text, expected) in [
            ("a b'\"\\é日", "a b'\"\\é日"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\r\nb\t", "a\\r\\nb\\t"),
            ("\u{7f}\u{9b}1m", "\\u{7f}\\u{9b}1m"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("e\u{301}", "e\\u{301}"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
