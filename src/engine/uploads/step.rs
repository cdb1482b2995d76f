//! Retry or give up: the one place that decides.

use super::{Answer, Request};
use crate::wire::tus::{STATUS_CHECKSUM_MISMATCH, resolve};
use std::cmp::Ordering;

/// How much of a wrong header a person is shown.
const MAX_SHOWN: usize = 100;

/// What an answer means for its segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The server has it.
    Confirmed,
    /// An upload is there: send from this offset.
    Send(String, u64),
    /// An upload is there: ask how much it has.
    Ask(String),
    /// The upload has gone: create one.
    CreateAgain,
    /// The server will never take it.
    Refused(String),
    /// Try again later.
    Later { why: String, retry_after: Option<u32> },
    /// The file is not what was kept, or did not arrive as that: hash it again.
    Rehash,
    /// Nothing more is to be done with it.
    Drop,
}

/// The next step after an answer, for a segment of so many bytes.
pub fn step(request: &Request, bytes: u64, answer: Answer) -> Step {
    let (status, offset, location, retry_after, text) = match answer {
        Answer::Status { status, offset, location, retry_after, text, .. } => {
            (status, offset, location, retry_after, text)
        }
        Answer::Broken(why) => return Step::Later { why, retry_after: None },
        Answer::FileUnreadable(why) => {
            return Step::Later { why: format!("the segment can't be read: {why}"), retry_after: None };
        }
        Answer::Abandoned => return Step::Drop,
        Answer::FileChanged | Answer::FileMissing => return Step::Rehash,
    };
    let later = |why: &str| {
        let said = if text.is_empty() { String::new() } else { format!(" ({text})") };
        Step::Later { why: format!("{} was answered {status}{said}: {why}", request.method()), retry_after }
    };
    match (request, status) {
        (Request::Create { .. }, 409) | (_, 413 | 415 | 422) => Step::Refused(format!("{status} {text}")),
        (Request::Create { url, .. }, 201) => match location.as_deref().and_then(|to| resolve(url, to)) {
            Some(url) => at_offset(url, offset.unwrap_or(0), bytes),
            None => {
                let came: String = location.as_deref().unwrap_or("none").chars().take(MAX_SHOWN).collect();
                later(&format!("expected a Location that can be asked by HTTPS, but came {came:?}"))
            }
        },
        (Request::Create { .. }, _) => later("expected 201"),
        (Request::Ask { .. } | Request::Send { .. }, 404 | 410) => Step::CreateAgain,
        // The way there or the flash here has changed a byte: only reading it again can tell.
        (Request::Ask { .. } | Request::Send { .. }, STATUS_CHECKSUM_MISMATCH) => Step::Rehash,
        (Request::Ask { url }, 200 | 204) => match offset {
            Some(offset) => at_offset(url.clone(), offset, bytes),
            None => later("expected an Upload-Offset"),
        },
        (Request::Ask { .. }, _) => later("expected 200"),
        (Request::Send { url, .. }, 409) => Step::Ask(url.clone()),
        (Request::Send { url, offset: from, .. }, 200 | 204) => match offset {
            Some(offset) if offset > *from => at_offset(url.clone(), offset, bytes),
            Some(_) | None => later("expected an Upload-Offset beyond the former one"),
        },
        (Request::Send { .. }, _) => later("expected 204"),
    }
}

/// An upload that is longer than its segment is somebody else's.
fn at_offset(url: String, offset: u64, bytes: u64) -> Step {
    match offset.cmp(&bytes) {
        Ordering::Less => Step::Send(url, offset),
        Ordering::Equal => Step::Confirmed,
        Ordering::Greater => Step::CreateAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::spool::Kept,
        wire::{Sha256, Trigger, tus::Metadata},
    };

    const URL: &str = "https://cloud/uploads/1";

    fn create() -> Request {
        let metadata = Metadata {
            filename: String::new(),
            capture: None,
            trigger: Trigger::Pir,
            trigger_timestamp: 1,
            seg_no: 0,
            sha256: None,
        };
        Request::Create { url: "https://cloud/uploads/".into(), bytes: 10, metadata }
    }

    fn ask() -> Request {
        Request::Ask { url: URL.into() }
    }

    fn send() -> Request {
        let kept = Kept { bytes: 10, sha256: Sha256([0; 32]), mtime_ns: 0 };
        Request::Send { url: URL.into(), file: String::new(), offset: 4, kept }
    }

    fn answer(status: u16, offset: Option<u64>) -> Answer {
        let location = Some("/uploads/1".to_owned());
        Answer::Status { status, offset, location, retry_after: None, date: None, text: String::new() }
    }

    #[test]
    fn each_answer_has_its_step() {
        let sent = |offset| Step::Send(URL.to_owned(), offset);
        for (request, status, offset, expected) in [
            (create(), 201, None, sent(0)),
            (create(), 201, Some(4), sent(4)),
            (create(), 201, Some(10), Step::Confirmed),
            (create(), 409, None, Step::Refused("409 ".into())),
            (create(), 413, None, Step::Refused("413 ".into())),
            (ask(), 200, Some(4), sent(4)),
            (ask(), 200, Some(10), Step::Confirmed),
            (ask(), 200, Some(11), Step::CreateAgain),
            (ask(), 404, None, Step::CreateAgain),
            (ask(), 410, None, Step::CreateAgain),
            (send(), 204, Some(10), Step::Confirmed),
            (send(), 204, Some(7), sent(7)),
            (send(), 409, None, Step::Ask(URL.into())),
            (send(), 404, None, Step::CreateAgain),
            (send(), 460, None, Step::Rehash),
            (send(), 415, None, Step::Refused("415 ".into())),
        ] {
            assert_eq!(step(&request, 10, answer(status, offset)), expected, "{} {status}", request.method());
        }
    }

    #[test]
    fn everything_else_is_tried_again() {
        for request in [create(), ask(), send()] {
            for status in [100, 301, 302, 307, 400, 401, 403, 423, 429, 500, 502, 503, 507] {
                let step = step(&request, 10, answer(status, None));
                assert!(matches!(step, Step::Later { .. }), "{} {status}: {step:?}", request.method());
            }
        }
        assert!(matches!(step(&send(), 10, answer(204, Some(4))), Step::Later { .. }));
        assert!(matches!(step(&send(), 10, Answer::Broken("reset".into())), Step::Later { .. }));
    }
}
