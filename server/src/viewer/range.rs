//! Which bytes of a file an HTTP request wants (RFC 9110, sections 13 and 14): what lets a browser seek in a video.

use axum::http::{HeaderMap, header};
use std::ops::Range;

/// What a request for a file is to be answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes, which are at least one.
    Part(Range<u64>),
    /// Bytes that it doesn't have.
    Beyond,
    /// Nothing: the browser has it.
    Unchanged,
}

impl Wanted {
    /// What these headers of a GET want of a file of this length and (strong, quoted) tag.
    pub(super) fn of(headers: &HeaderMap, length: u64, tag: &str) -> Wanted {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if text(header::IF_NONE_MATCH).is_some_and(|tags| lists(tags, tag)) {
            return Wanted::Unchanged;
        }
        // A date in If-Range never matches: the tag alone says what is the same.
        let is_same = text(header::IF_RANGE).is_none_or(|condition| condition == tag);
        match text(header::RANGE).filter(|_| is_same) {
            Some(range) => wanted(range, length).unwrap_or(Wanted::Whole),
            None => Wanted::Whole,
        }
    }
}

fn lists(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// `None` for what is to be ignored: other units, malformed ranges, and several at once, which no player asks for.
fn wanted(range: &str, length: u64) -> Option<Wanted> {
    let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
    let (first, end) = match (first, last) {
        ("", suffix) => (length.saturating_sub(number(suffix)?), length),
        (first, "") => (number(first)?, length),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, length.min(last.saturating_add(1)))
        }
    };
    Some(if first < end { Wanted::Part(first..end) } else { Wanted::Beyond })
}

/// Digits alone: `parse` would take a sign, too. A number past any file's length stands for the greatest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    const TAG: &str = "\"abc\"";

    fn asked(headers: &[(HeaderName, &str)]) -> Wanted {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        Wanted::of(&headers.collect(), 1000, TAG)
    }

    fn range(text: &str) -> Wanted {
        asked(&[(header::RANGE, text)])
    }

    #[test]
    fn a_range_is_cut_to_the_file() {
        assert_eq!(range("bytes=0-499"), Wanted::Part(0..500));
        assert_eq!(range("bytes=500-"), Wanted::Part(500..1000));
        assert_eq!(range("bytes=-200"), Wanted::Part(800..1000));
        assert_eq!(range("bytes=-2000"), Wanted::Part(0..1000));
        assert_eq!(range("bytes=999-99999999999999999999999"), Wanted::Part(999..1000));
    }

    #[test]
    fn bytes_that_are_not_there_are_said_to_be_beyond() {
        for text in ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(range(text), Wanted::Beyond, "{text}");
        }
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        for text in
            ["bytes=", "bytes=-", "bytes=2-1", "bytes=+1-2", "bytes=0-1,4-5", "lines=0-1", "0-1", "bytes=a-b"]
        {
            assert_eq!(range(text), Wanted::Whole, "{text}");
        }
    }

    #[test]
    fn a_range_of_another_version_is_answered_with_the_whole() {
        let part = (header::RANGE, "bytes=0-1");
        assert_eq!(asked(&[part.clone(), (header::IF_RANGE, TAG)]), Wanted::Part(0..2));
        assert_eq!(asked(&[part.clone(), (header::IF_RANGE, "\"other\"")]), Wanted::Whole);
        assert_eq!(asked(&[part, (header::IF_RANGE, "Sat, 21 Nov 2026 21:02:03 GMT")]), Wanted::Whole);
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        for tags in [TAG, "\"x\", \"abc\"", "W/\"abc\"", "*"] {
            assert_eq!(asked(&[(header::IF_NONE_MATCH, tags)]), Wanted::Unchanged, "{tags}");
        }
        assert_eq!(asked(&[(header::IF_NONE_MATCH, "\"x\"")]), Wanted::Whole);
    }
}
