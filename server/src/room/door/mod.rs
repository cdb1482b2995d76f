//! `/janus`: the WebSocket that carries a browser's messages to Janus, and Janus' to the browser.
//!
//! So browsers need one port, one certificate and one origin, and Janus' own interfaces can stay on loopback. Each
//! connection has one of its own to Janus, and only what `admission` lists passes. Whichever side goes, the other is
//! told: a browser whose Janus is away or was restarted is closed with a reason, and comes back by itself.

mod admission;
mod upstream;

pub use admission::{Admission, Heard, Refusal};
pub use upstream::{Upstream, UpstreamError};

use super::{
    Reach,
    guesses::Guesses,
    meter::{Meter, Rate},
    places::{Place, Places},
};
use crate::{
    net::Peer,
    viewer::{auth::household, is_own_page, session::client_of_proxy},
};
use axum::{
    Extension, Router,
    extract::{
        ConnectInfo, State,
        ws::{
            CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{
    convert::Infallible,
    error::Error,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite;
use upstream::{Connector, Stream};

/// Where browsers find it.
pub const PATH: &str = "/janus";
/// The subprotocol of Janus' own WebSockets.
const PROTOCOL: &str = "janus-protocol";

/// An offer of a browser with all its codecs has 10 kB.
const MAX_MESSAGE: usize = 64 << 10;
/// What a connection buffers each way.
const BUFFER: usize = 8 << 10;
/// Connections of one address: a school behind one address has so many screens, and no more.
const MAX_OF_ADDRESS: usize = 512;
/// A screen that finds 32 feeds at once says 500 messages: attach, join, start and a dozen candidates each. And later two
/// a second for each feed that comes or goes.
const MESSAGES: Rate = Rate::of(1000, 50);
/// Janus forgets a session that says nothing for a minute, so a browser that says nothing for longer is gone.
const SILENCE: Duration = Duration::from_secs(65);
/// Who takes no byte for so long is gone.
const SEND: Duration = Duration::from_secs(10);

/// The door: which Janus is behind it, and for which rooms.
pub struct Door {
    janus: Connector,
    reach: Reach,
    has_room: Box<dyn Fn(u64) -> bool + Send + Sync>,
    places: Arc<Places>,
    /// Pins that were wrong, by address.
    pins: Mutex<Guesses<IpAddr>>,
    began: Instant,
    /// Janus could not be reached when somebody came last.
    is_away: AtomicBool,
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The browser closed it, or the connection to it failed.
    Left,
    /// The browser sent what is no text.
    NotText,
    /// The browser sent more than [`MAX_MESSAGE`] at once.
    TooLong,
    /// The browser said nothing for [`SILENCE`], or took nothing for [`SEND`].
    Silent,
    /// Janus can't be reached.
    Away,
    /// Janus closed the connection, or it failed.
    Lost,
    /// The process is to end.
    Stopped,
}

impl Door {
    /// A door to this Janus, for the rooms of which `has_room` says that they are ours.
    pub fn new(
        janus: Upstream,
        reach: Reach,
        has_room: impl Fn(u64) -> bool + Send + Sync + 'static,
    ) -> Door {
        Door {
            janus: Connector::new(janus),
            reach,
            has_room: Box::new(has_room),
            places: Places::new(MAX_OF_ADDRESS, "connections to Janus"),
            pins: Mutex::new(Guesses::new()),
            began: Instant::now(),
            is_away: AtomicBool::new(false),
        }
    }

    /// A connection to Janus.
    async fn open(&self) -> Result<Stream, End> {
        let opened = self.janus.open().await;
        let was_away = self.is_away.swap(opened.is_err(), Ordering::Relaxed);
        match &opened {
            Err(error) if !was_away => log::warn!("browsers are sent away: {error}"),
            Ok(_) if was_away => log::info!("browsers reach Janus again"),
            Ok(_) | Err(_) => {}
        }
        opened.map_err(|_| End::Away)
    }

    /// Counts a wrong pin, and says how long its answer waits.
    fn count_pin(&self, from: IpAddr) -> Duration {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.count(self.began.elapsed(), from)
    }
}

/// The door's route. Each request must carry the extensions [`Peer`] and `ConnectInfo<SocketAddr>`.
pub fn routes<S: Clone + Send + Sync + 'static>(door: Arc<Door>) -> Router<S> {
    Router::new().route(PATH, get(upgrade)).with_state(door)
}

async fn upgrade(
    State(door): State<Arc<Door>>,
    Extension(ConnectInfo(from)): Extension<ConnectInfo<SocketAddr>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    // Any page may open a WebSocket to anywhere, and rooms without a pin are shown to whoever reaches this network.
    if !is_own_page(&headers) {
        return (StatusCode::FORBIDDEN, "expected a page of this server's own origin").into_response();
    }
    let client = match door.reach {
        Reach::Direct => None,
        Reach::Proxied => client_of_proxy(&headers),
    };
    let Some(place) = door.places.take(household(client.unwrap_or(from.ip()))) else {
        return (StatusCode::TOO_MANY_REQUESTS, "too many connections of this address").into_response();
    };
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |browser| run(door, peer, place, browser))
}

async fn run(door: Arc<Door>, peer: Peer, place: Place, mut browser: WebSocket) {
    let Err(end) = carry(&door, &peer, place.address, &mut browser).await;
    log::debug!("a browser's connection to Janus ended: {end}");
    let Some(code) = end.code() else { return };
    let frame = CloseFrame { code, reason: end.to_string().into() };
    let _ = timeout(SEND, browser.send(Message::Close(Some(frame)))).await;
}

/// Carries messages both ways until something ends it.
async fn carry(door: &Door, peer: &Peer, from: IpAddr, browser: &mut WebSocket) -> Result<Infallible, End> {
    let mut janus = door.open().await?;
    let mut admission = Admission::default();
    let mut meter = Meter::default();
    let mut last_heard = Instant::now();
    loop {
        tokio::select! {
            said = timeout_at(last_heard + SILENCE, browser.recv()) => {
                let said = said.map_err(|_| End::Silent)?.ok_or(End::Left)?.map_err(|error| End::of(&error))?;
                last_heard = Instant::now();
                let text = match said {
                    Message::Text(text) => text,
                    Message::Ping(_) | Message::Pong(_) => continue,
                    Message::Binary(_) => return Err(End::NotText),
                    Message::Close(_) => return Err(End::Left),
                };
                // Who says too much is read more slowly.
                pause(peer, meter.count(door.began.elapsed(), MESSAGES)).await?;
                match admission.admit(&text, &door.has_room) {
                    Ok(admitted) => janus.send(admitted).await.ok_or(End::Lost)?,
                    Err(refusal) => {
                        log::debug!("a browser's message was refused: {}", refusal.reason);
                        send(browser, refusal.to_json()).await?;
                    }
                }
            }
            said = janus.next() => {
                let text = said.ok_or(End::Lost)?;
                match admission.heard(&text) {
                    // Nothing else is carried meanwhile, and the place stays taken even if the browser leaves.
                    Heard::WrongPin => pause(peer, door.count_pin(from)).await?,
                    Heard::Other => {}
                }
                send(browser, text).await?;
            }
            () = peer.stop.requested() => return Err(End::Stopped),
        }
    }
}

async fn pause(peer: &Peer, wait: Duration) -> Result<(), End> {
    timeout(wait, peer.stop.requested()).await.map_or(Ok(()), |()| Err(End::Stopped))
}

async fn send(browser: &mut WebSocket, text: String) -> Result<(), End> {
    let sent = timeout(SEND, browser.send(Message::Text(text.into()))).await;
    sent.map_err(|_| End::Silent)?.map_err(|_| End::Left)
}

impl End {
    /// Why nothing more could be read of a browser.
    fn of(error: &axum::Error) -> End {
        let error = error.source().and_then(<dyn Error>::downcast_ref);
        match error {
            Some(tungstenite::Error::Capacity(_)) => End::TooLong,
            _ => End::Left,
        }
    }

    /// The code by which the browser is told; none where it has gone.
    fn code(&self) -> Option<CloseCode> {
        match self {
            End::Left => None,
            End::NotText => Some(close_code::UNSUPPORTED),
            End::TooLong => Some(close_code::SIZE),
            End::Silent => Some(close_code::POLICY),
            End::Away | End::Lost => Some(close_code::AGAIN),
            End::Stopped => Some(close_code::AWAY),
        }
    }
}

/// Fit to be shown: the reason that the browser is told.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Left => "The browser left.",
            End::NotText => "Expected messages of text, got one of bytes.",
            End::TooLong => "Expected shorter messages.",
            End::Silent => "The browser fell silent.",
            End::Away => "The video server is away.",
            End::Lost => "The video server ended the connection.",
            End::Stopped => "The server is restarting.",
        })
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("janus", &self.janus).finish_non_exhaustive()
    }
}
