//! Janus keeps a room's feeds; this keeps the room in Janus.
//!
//! ```text
//!            session, handle, destroy, create
//!  ┌─▶ Away ──────────────────────────────────▶ Kept ──the process, or the room, ends──▶ destroy
//!  │    ▲ └─ an error: again, after a while ─┘    │
//!  │    └──── the session or the room is gone ────┘
//! ```
//!
//! While Janus keeps the room it is asked every two seconds whether it still does, which keeps the session alive, too. A
//! Janus that was started anew knows nothing of us. Nothing that a socket says waits for any of this.

pub(super) mod tls;

mod client;
mod request;
mod wishes;

pub use client::{Client, JanusError, JanusUrl};
pub use wishes::Wishes;

use super::{
    engine::{Input, Wish},
    running::RunningRoom,
    words::Secret,
};
use crate::net::Stop;
use client::Session;
use serde::Serialize;
use std::{collections::HashSet, mem::discriminant, sync::Arc, time::Duration};
use tokio::time::{interval, sleep, timeout};

/// Between two looks. A room that Janus lost is to be there again within ten seconds.
const LOOK: Duration = Duration::from_secs(2);
/// Looks in a row that may bring no answer, as of a Janus that is busy; one that can't be reached is gone at once.
const UNANSWERED: u32 = 3;
/// Between attempts to make the room; each waits twice as long as the one before.
const AGAIN_FIRST: Duration = Duration::from_millis(250);
const AGAIN_MOST: Duration = Duration::from_secs(5);
/// How long the end of the room may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// A room as Janus is to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JanusRoom {
    /// Its number.
    pub number: u64,
    /// What administers it.
    pub secret: Secret,
    /// What senders and receivers need.
    pub pin: Option<Secret>,
    /// Bit/s that a publisher may send; 0 is no limit.
    pub bitrate: u64,
    /// Publishers at a time.
    pub publishers: usize,
    /// What Janus wants of those who make rooms.
    pub admin_key: Option<Secret>,
    /// What publishers may send.
    pub codecs: Codecs,
}

/// What publishers may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codecs {
    /// H.264, which camera boards encode, and VP8.
    H264AndVp8,
    /// VP8, as in the original's rooms.
    Vp8,
}

/// Why Janus doesn't keep a room, as people are told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// It does not answer.
    Away,
    /// It says no, whose reason is in the log.
    Refused,
}

/// What came of making the room.
enum Made {
    Kept(Session),
    Failed(JanusError),
    Stopped,
}

/// How a time in which Janus kept the room ended.
enum Ended {
    Lost(JanusError),
    Stopped,
}

/// Keeps a room in Janus, and carries out its wishes, until told to stop. Then the room is taken out of Janus.
pub async fn keep(running: Arc<RunningRoom>, client: Client, mut room: JanusRoom, stop: Stop) {
    let number = room.number;
    let mut again = AGAIN_FIRST;
    // Each reason is told once until Janus keeps the room: it may be away for days.
    let mut told = HashSet::new();
    loop {
        if let Some(pin) = running.wishes().begin_anew() {
            room.pin = Some(pin);
        }
        let error = match make(&client, &room, &stop).await {
            Made::Kept(session) => {
                running.in_trouble(None);
                running.handle(Input::JanusKept);
                log::info!("room {number}: Janus keeps it");
                again = AGAIN_FIRST;
                told.clear();
                match hold(&client, &session, &mut room, running.wishes(), &stop).await {
                    Ended::Stopped => return end(&client, &session, &room).await,
                    Ended::Lost(error) => {
                        running.handle(Input::JanusLost);
                        error
                    }
                }
            }
            Made::Failed(error) => error,
            Made::Stopped => return,
        };
        let level = if told.insert(discriminant(&error)) { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "room {number}: Janus doesn't keep it: {error}; trying again at {}", client.url());
        running.in_trouble(Some(Trouble::of(&error)));
        tokio::select! {
            () = sleep(again) => {}
            () = stop.requested() => return,
        }
        again = (again * 2).min(AGAIN_MOST);
    }
}

impl Trouble {
    fn of(error: &JanusError) -> Trouble {
        match error {
            // The one that knew us is away, and the next is asked at once.
            JanusError::Refused { .. } if error.is_of_a_new_janus() => Trouble::Away,
            JanusError::Refused { .. } => Trouble::Refused,
            JanusError::Unreachable(_) | JanusError::Late | JanusError::Broken(_) | JanusError::NoRoom => {
                Trouble::Away
            }
        }
    }
}

/// Makes the room. One that was nearly made when it is told to stop is taken out again.
async fn make(client: &Client, room: &JanusRoom, stop: &Stop) -> Made {
    let making = client.make(room);
    tokio::pin!(making);
    let made = tokio::select! {
        made = &mut making => made,
        () = stop.requested() => {
            if let Ok(Ok(session)) = timeout(GOODBYE, making).await {
                end(client, &session, room).await;
            }
            return Made::Stopped;
        }
    };
    made.map_or_else(Made::Failed, Made::Kept)
}

/// Looks after the room that Janus keeps.
async fn hold(
    client: &Client,
    session: &Session,
    room: &mut JanusRoom,
    wishes: &Wishes,
    stop: &Stop,
) -> Ended {
    let mut look = interval(LOOK);
    let mut unanswered = 0;
    loop {
        tokio::select! {
            _ = look.tick() => match client.has_room(session, room).await {
                Ok(()) => unanswered = 0,
                Err(error) if error.is_final() || unanswered + 1 >= UNANSWERED => return Ended::Lost(error),
                Err(_) => unanswered += 1,
            },
            // While Janus doesn't answer only the looks go on.
            wish = wishes.next(), if unanswered == 0 => {
                if let Wish::EditPin(pin) = &wish {
                    room.pin = Some(pin.clone());
                }
                let number = room.number;
                match client.wish(session, room, &wish).await {
                    Ok(()) => {}
                    Err(error @ (JanusError::Refused { .. } | JanusError::NoRoom)) => {
                        log::warn!("room {number}: Janus didn't do what it was asked: {error}");
                    }
                    Err(error @ (JanusError::Unreachable(_) | JanusError::Late | JanusError::Broken(_))) => {
                        log::debug!("room {number}: Janus is asked again: {error}");
                        wishes.again(wish);
                        unanswered += 1;
                    }
                }
            }
            () = stop.requested() => return Ended::Stopped,
        }
    }
}

async fn end(client: &Client, session: &Session, room: &JanusRoom) {
    match timeout(GOODBYE, client.unmake(session, room)).await {
        Ok(Ok(())) => log::info!("room {}: taken out of Janus", room.number),
        Ok(Err(error)) => log::warn!("room {}: still in Janus: {error}", room.number),
        Err(_) => log::warn!("room {}: still in Janus, which doesn't answer", room.number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_janus_that_was_started_anew_refuses_nothing() {
        let trouble = |code| Trouble::of(&JanusError::Refused { code, reason: String::new() });
        for gone in [request::NO_SUCH_SESSION, request::NO_SUCH_HANDLE] {
            assert_eq!(trouble(gone), Trouble::Away, "{gone}");
        }
        // Unauthorised, and a room's number that is taken.
        for refused in [403, 427] {
            assert_eq!(trouble(refused), Trouble::Refused, "{refused}");
        }
    }
}
