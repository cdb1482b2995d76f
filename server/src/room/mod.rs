//! Rooms: cameras in browsers send by [Janus](https://janus.conf.meetecho.com), screens receive, and a controller says who
//! may send, and where each picture is to be seen.
//!
//! ```text
//!  controller ──orders──▶ ┌─ engine (pure) ─┐ ──notifications──▶ controller
//!  senders  ◀─Socket.IO─▶ │  slots, tokens  │ ◀─Socket.IO─▶ receivers
//!                         └───────┬─────────┘
//!                              janus/ ──HTTP──▶ Janus ◀──WebRTC── senders, receivers
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`engine`] | what is decided; no clock, socket, file or thread |
//! | [`wire`], [`words`], [`order`], [`packet`] | events, orders and packets, from and to bytes |
//! | [`running`], `sockets`, `unread` | a room that runs, the sockets in it, and what they leave unread |
//! | [`janus`] | the room in Janus: made, kept, made again |
//! | [`door`] | browsers' way to Janus |
//! | `meter`, `guesses`, `places` | how often somebody does something, guesses, and how much of it an address may have at once |
//! | [`input`], [`notify`] | orders from standard input; notifications, to a file or a named pipe |
//! | [`hosted`] | rooms in `serve`, kept in the database |
//! | [`process`], [`config`] | `cloudtalker-server room`, and the original's configuration |
//!
//! Socket.IO is at `/socket.io/` where one room is served, and at `/socket.io/PORT`, where PORT is 4000 and the room's
//! number in Janus, as the original's pages have it.

pub mod config;
pub mod door;
pub mod engine;
pub mod hosted;
pub mod input;
pub mod janus;
pub mod notify;
pub mod order;
pub mod packet;
pub mod process;
pub mod running;
pub mod wire;
pub mod words;

mod guesses;
mod meter;
mod places;
mod sockets;
mod unread;

use crate::{
    net::Peer,
    viewer::{auth::household, session::client_of_proxy},
};
use axum::{
    Extension, Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, uri::PathAndQuery},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use door::{Door, Upstream};
use places::Places;
use running::RunningRoom;
use sockets::Place;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::Semaphore;

/// What lies between a room's number in Janus and the port in the path of its Socket.IO.
const PORT_OFFSET: u64 = 4000;
/// Sockets of all rooms together; the rest of a port's connections is for pages.
const MAX_SOCKETS: usize = 3000;
/// Those of one address: a school behind one has so many screens and cameras, and leaves others theirs.
const MAX_OF_ADDRESS: usize = 1024;

/// How long clients that poll have for fetching what they were told at the process' end, for which somebody waits.
pub const LAST_WORDS: Duration = Duration::from_millis(500);

/// All rooms that run in this process.
#[derive(Debug)]
pub struct Rooms {
    rooms: RwLock<BTreeMap<u64, Arc<RunningRoom>>>,
    /// Places for sockets.
    places: Arc<Semaphore>,
    of_address: Arc<Places>,
    reach: Reach,
}

/// Whose address a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Its sender's.
    Direct,
    /// A proxy's, which says whose it passes on.
    Proxied,
}

impl Rooms {
    /// No room yet.
    pub fn new(reach: Reach) -> Arc<Rooms> {
        Arc::new(Rooms {
            rooms: RwLock::default(),
            places: Arc::new(Semaphore::new(MAX_SOCKETS)),
            of_address: Places::new(MAX_OF_ADDRESS, "sockets in rooms"),
            reach,
        })
    }

    /// Makes a room known.
    pub fn add(&self, room: Arc<RunningRoom>) {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner).insert(room.number(), room);
    }

    /// Forgets a room: nobody finds it any more.
    pub fn remove(&self, number: u64) {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// Browsers' way to this Janus, into these rooms.
    pub fn door(self: &Arc<Rooms>, janus: Upstream) -> Door {
        let rooms = self.clone();
        Door::new(janus, self.reach, move |number| rooms.room(number).is_some_and(|room| !room.is_over()))
    }

    /// The room of this number in Janus.
    pub fn room(&self, number: u64) -> Option<Arc<RunningRoom>> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// The room that a path of Socket.IO names. One without a number is the only room's.
    fn at(&self, path: &str) -> Option<Arc<RunningRoom>> {
        let rest = path.strip_prefix("/socket.io")?.trim_matches('/');
        if rest.is_empty() {
            let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
            let mut rooms = rooms.values();
            let first = rooms.next().cloned();
            return first.filter(|_| rooms.next().is_none());
        }
        let port: u64 = rest.parse().ok()?;
        self.room(port.checked_sub(PORT_OFFSET)?)
    }
}

/// The routes of Socket.IO. Each request must carry its peer's address as the extension `ConnectInfo<SocketAddr>`.
pub fn router<S: Clone + Send + Sync + 'static>(rooms: Arc<Rooms>) -> Router<S> {
    let service = sockets::service();
    Router::new()
        .route_service("/socket.io", service.clone())
        .route_service("/socket.io/", service.clone())
        .route_service("/socket.io/{port}", service.clone())
        .route_service("/socket.io/{port}/", service)
        .layer(from_fn_with_state(rooms, place))
}

/// A socket keeps the request that began it for as long as it lives. This leaves it what Engine.IO reads, as a copy: no cookie,
/// no place of a connection that may be gone long before the socket is, and none of the bytes that were read from it, all
/// of which a single header would hold.
fn strip(request: &mut Request) {
    const READ: [HeaderName; 2] = [header::SEC_WEBSOCKET_KEY, header::CONTENT_TYPE];
    let mut headers = HeaderMap::with_capacity(READ.len());
    for name in READ {
        let value = request.headers().get(&name).map(|value| HeaderValue::from_bytes(value.as_bytes()));
        headers.extend(value.and_then(Result::ok).map(|value| (name, value)));
    }
    *request.headers_mut() = headers;
    let path = request.uri().path_and_query().map(|path| path.as_str().parse::<PathAndQuery>());
    if let Some(Ok(path)) = path {
        *request.uri_mut() = path.into();
    }
    // A WebSocket is the connection of its request.
    if !request.headers().contains_key(header::SEC_WEBSOCKET_KEY) {
        request.extensions_mut().remove::<Peer>();
    }
}

/// Finds the room of a request, and a place for the socket that it begins.
async fn place(
    State(rooms): State<Arc<Rooms>>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    mut request: Request,
    next: Next,
) -> Response {
    let begins = !request.uri().query().unwrap_or_default().split('&').any(|pair| pair.starts_with("sid="));
    let Some(room) = rooms.at(request.uri().path()).filter(|room| !(begins && room.is_over())) else {
        return (StatusCode::NOT_FOUND, "There is no such room.\n").into_response();
    };
    let client = match rooms.reach {
        Reach::Direct => None,
        Reach::Proxied => client_of_proxy(request.headers()),
    };
    let from = household(client.unwrap_or(peer.ip()));
    let seat = if begins {
        let Some(of_address) = rooms.of_address.take(from) else {
            return (StatusCode::TOO_MANY_REQUESTS, "There are too many sockets of this address.\n")
                .into_response();
        };
        let Ok(of_all) = rooms.places.clone().try_acquire_owned() else {
            return (StatusCode::SERVICE_UNAVAILABLE, "All places are taken. Come again later.\n")
                .into_response();
        };
        Some(Arc::new((of_all, of_address)))
    } else {
        None
    };
    strip(&mut request);
    request.extensions_mut().insert(Place { room, from, seat });
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use bytes::Bytes;

    #[test]
    fn a_socket_holds_nothing_of_what_its_request_was_read_from() {
        let read = Bytes::from(b"/socket.io/5000?EIO=4&transport=websocket a2V5 secret".to_vec());
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = PathAndQuery::from_maybe_shared(read.slice(..41)).unwrap().into();
        for (name, value) in [(header::SEC_WEBSOCKET_KEY, 42..46), (header::COOKIE, 47..53)] {
            let value = HeaderValue::from_maybe_shared(read.slice(value)).unwrap();
            request.headers_mut().insert(name, value);
        }
        assert!(!read.is_unique());
        strip(&mut request);
        assert!(read.is_unique());
        assert_eq!(request.uri(), "/socket.io/5000?EIO=4&transport=websocket");
        assert_eq!(request.headers().len(), 1);
        assert_eq!(request.headers()[header::SEC_WEBSOCKET_KEY], "a2V5");
    }
}
