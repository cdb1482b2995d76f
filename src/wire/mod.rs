//! What goes over wires, as types: no state, no input or output.
//!
//! | module | between |
//! |---|---|
//! | [`input`] | local programs and the agent: a stream of JSON objects |
//! | [`command`] | the agent and the camera program: datagrams |
//! | [`cloud`] | the agent and the cloud: text frames of a WebSocket |
//! | [`tus`] | the agent and the upload endpoint: headers of HTTP requests |
//! | [`segment_name`] | file names that carry a segment's identity |
//! | [`utc`] | times and people |

pub mod cloud;
pub mod command;
pub mod input;
pub mod segment_name;
pub mod tus;
pub mod utc;

mod id;

pub use id::{Id, IdError, Sha256};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Enough of a stranger's text for a message.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What made the camera record a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// The motion detector saw something (`pir`, after the passive infrared sensor).
    Pir,
    /// A person asked for it.
    Request,
}

impl Trigger {
    /// The word of the cloud's messages and of tus metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Pir => "pir",
            Trigger::Request => "request",
        }
    }

    /// The trigger that a word of the cloud's messages names.
    pub fn from_word(word: &str) -> Option<Trigger> {
        match word {
            "pir" => Some(Trigger::Pir),
            "request" => Some(Trigger::Request),
            _ => None,
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
