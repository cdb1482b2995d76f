//! Why a command was not carried out.

use super::answer::EXPORT_WAIT;
use crate::{blobs::BlobError, library::CaptureId, pki::PkiError, store::StoreError};
use std::fmt;

/// Why something was not done. People read [`Display`](fmt::Display); what is ours alone goes to the log.
#[derive(Debug)]
pub(super) enum Refusal {
    NoCamera(String),
    NameTaken(String),
    NoCommand(String),
    NoCapture(CaptureId),
    Lapsed(String),
    NobodyServes(String),
    StillOpen(CaptureId),
    Broken(CaptureId, String, Vec<String>),
    Pki(PkiError),
    Store(StoreError),
    Blob(BlobError),
}

impl Refusal {
    /// What people are not told the whole of.
    pub(super) fn log(&self) {
        match self {
            Refusal::Store(error) => log::error!("a command failed: {error}"),
            Refusal::Blob(error) => log::error!("a command failed: {error}"),
            Refusal::NoCamera(_)
            | Refusal::NameTaken(_)
            | Refusal::NoCommand(_)
            | Refusal::NoCapture(_)
            | Refusal::Lapsed(_)
            | Refusal::NobodyServes(_)
            | Refusal::StillOpen(_)
            | Refusal::Broken(..)
            | Refusal::Pki(_) => {}
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoCamera(name) => write!(f, "there is no camera {name:?}: see `camera list`"),
            Refusal::NameTaken(name) => {
                write!(f, "there is a camera {name:?} already: remove it first, or take another name")
            }
            Refusal::NoCommand(word) => write!(f, "expected arm, disarm or capture, not {word:?}"),
            Refusal::NoCapture(id) => write!(f, "there is no capture {id}: see `captures list`"),
            Refusal::Lapsed(name) => {
                write!(f, "{name} was not there for a minute: the request for a capture lapsed")
            }
            Refusal::NobodyServes(name) => {
                write!(f, "nobody serves, so {name} can't be asked for a capture: start `serve`")
            }
            Refusal::StillOpen(id) => {
                write!(
                    f,
                    "capture {id} is not whole and joined after {} s: try again later",
                    EXPORT_WAIT.as_secs()
                )
            }
            Refusal::Broken(id, why, parts) if parts.is_empty() => {
                write!(f, "capture {id} is broken: {why}; it has no parts")
            }
            Refusal::Broken(id, why, parts) => {
                write!(f, "capture {id} is broken: {why}; its parts are {}", parts.join(", "))
            }
            Refusal::Pki(error) => error.fmt(f),
            Refusal::Store(_) => f.write_str("the database failed: see the server's log"),
            Refusal::Blob(_) => f.write_str("the store of files failed: see the server's log"),
        }
    }
}

impl From<PkiError> for Refusal {
    fn from(error: PkiError) -> Refusal {
        Refusal::Pki(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::Store(error)
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Refusal {
        Refusal::Blob(error)
    }
}
