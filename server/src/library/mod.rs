//! Captures: what they are, how segments enter them, and when they are whole.
//!
//! A capture is `open` until it has ended, every listed segment is stored and the joined file is ready;
//! `complete` only then; `broken` where a segment is lost or joining is impossible.
//!
//! ```text
//!              capture_end, all listed stored          joined
//!   Open(…) ───────────────────────────────▶ Open(due) ──────▶ Complete
//!     │  ▲                                      │ impossible
//!     │  └── a new segment or list ◀────────────┤
//!     └── … and something lost ──▶ Broken ◀─────┘
//! ```
//!
//! What ends a capture: an agent's `capture_end`; the end of an original client's session; for a plain tus client, which
//! can't say it, [`ending`].

pub mod ending;
pub mod intake;
pub mod jobs;
pub mod join;
mod sweep;

use cloudtalker::wire::{Id, Sha256, Trigger, segment_name::Container};
use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A capture in the library, as people and `captures list --json` see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capture {
    /// The server's own number of it.
    pub id: CaptureId,
    /// The camera's name.
    pub camera: String,
    /// What made the camera record.
    pub trigger: Trigger,
    /// Unix seconds by the camera's clock, which may be wrong.
    pub trigger_timestamp: u64,
    /// Unix seconds by the server's clock when it first heard of the capture.
    pub received_at: u64,
    /// How far it is, with the joined file or the reason why there is none.
    #[serde(flatten)]
    pub state: State,
    /// The stored segments, by number.
    pub segments: Vec<Segment>,
}

/// How far a capture is.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Not ended, or a listed segment or the joined file is still missing.
    Open,
    /// Whole, and joined into one file.
    Complete(Joined),
    /// Never to be whole; playable part by part. The text says why.
    Broken(String),
}

/// One stored segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Its place in the capture.
    pub seg_no: u32,
    /// Its length.
    pub bytes: u64,
    /// Its digest, computed here.
    pub sha256: Sha256,
    /// How the video is packed, by its first bytes.
    #[serde(skip)]
    pub container: Container,
    /// Its key in the store.
    #[serde(skip)]
    pub blob: String,
}

/// The one file that a whole capture was joined into.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Joined {
    /// Its length.
    pub bytes: u64,
    /// How long it plays, in seconds.
    pub duration_s: f64,
    /// Its key in the store.
    #[serde(skip)]
    pub blob: String,
}

/// Who a capture is to the camera that recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The agent's own identity of it; original clients and plain tus clients have none.
    pub agent_id: Option<Id>,
    /// What made the camera record.
    pub trigger: Trigger,
    /// Unix seconds by the camera's clock.
    pub trigger_timestamp: u64,
}

/// A segment that a capture's end lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its place in the capture.
    pub seg_no: u32,
    /// Its length.
    pub bytes: u64,
    /// Its digest by the agent.
    pub sha256: Sha256,
}

/// A segment that will never come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its place in the capture.
    pub seg_no: u32,
    /// Why, in the agent's word or ours.
    pub reason: String,
}

/// The server's number of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureId(pub i64);

/// The server's number of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CameraId(pub i64);

impl fmt::Display for CaptureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CaptureId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<CaptureId, Self::Err> {
        text.parse().map(CaptureId)
    }
}

/// Ids are texts in JSON: opaque to clients.
impl Serialize for CaptureId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CaptureId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<CaptureId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `"state"`, `"joined"` (null unless complete) and, where broken, `"error"`.
impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            state: &'static str,
            joined: Option<&'a Joined>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
        }
        match self {
            State::Open => Fields { state: "open", joined: None, error: None },
            State::Complete(joined) => Fields { state: "complete", joined: Some(joined), error: None },
            State::Broken(error) => Fields { state: "broken", joined: None, error: Some(error) },
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_what_scripts_read() {
        let joined = Joined { bytes: 9, duration_s: 12.5, blob: "joined/7.mp4".into() };
        let mut capture = Capture {
            id: CaptureId(7),
            camera: "porch".into(),
            trigger: Trigger::Request,
            trigger_timestamp: 35,
            received_at: 1_800_000_000,
            state: State::Complete(joined),
            segments: vec![Segment {
                seg_no: 0,
                bytes: 3,
                sha256: Sha256([0xab; 32]),
                container: Container::Mp4,
                blob: "segments/x".into(),
            }],
        };
        let digest = "ab".repeat(32);
        assert_eq!(
            serde_json::to_value(&capture).unwrap(),
            serde_json::json!({
                "id": "7", "camera": "porch", "trigger": "request", "trigger_timestamp": 35,
                "received_at": 1_800_000_000u64, "state": "complete",
                "joined": {"bytes": 9, "duration_s": 12.5},
                "segments": [{"seg_no": 0, "bytes": 3, "sha256": digest}],
            })
        );
        capture.state = State::Broken("segment 1 is lost: evicted".into());
        let broken = serde_json::to_value(&capture).unwrap();
        assert_eq!((&broken["state"], &broken["joined"]), (&"broken".into(), &serde_json::Value::Null));
        assert_eq!(broken["error"], "segment 1 is lost: evicted");
    }
}
