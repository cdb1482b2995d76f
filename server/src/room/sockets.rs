//! Engine.IO's sockets: each finds its room by the path of its request, says that it wants to talk, and talks.
//!
//! Everything that a socket says is handled where Engine.IO read it, in order, and never waits.

use super::{
    engine::SocketId,
    packet::{self, Malformed, Packet},
    places,
    running::{RunningRoom, Socket},
    wire::Said,
};
use bytes::Bytes;
use engineioxide::{
    DisconnectReason, Str, config::EngineIoConfig, handler::EngineIoHandler, service::EngineIoService,
};
use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::OwnedSemaphorePermit;

/// A sender whose address changed waits no longer than these two for its slot.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a message, or of a request's body. The longest of ours has a few hundred.
const MAX_PAYLOAD: usize = 64 << 10;
/// Packets that wait for one socket. With more it doesn't read, and is closed.
const MAX_BUFFERED: usize = 256;
/// Between the handshake and the first packet; and for changing from polling to WebSocket.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a WebSocket reads at once, and holds even while nothing comes. Nearly every message fits.
const READ_BUFFER: usize = 512;

/// Engine.IO's service for all rooms.
pub(super) type Service = EngineIoService<Sockets>;

/// What happens with sockets.
#[derive(Debug)]
pub(super) struct Sockets;

/// Where a request leads, as an extension of it. It lives as long as the socket that the request began.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) room: Arc<RunningRoom>,
    pub(super) from: IpAddr,
    /// One of all places that there are for sockets, and one of its address's; requests of a socket that is there need none.
    #[expect(dead_code, reason = "held for the places")]
    pub(super) seat: Option<Arc<(OwnedSemaphorePermit, places::Place)>>,
}

/// What a socket is to its room; nothing before it wants to talk.
#[derive(Debug, Default)]
pub(super) struct Talk(OnceLock<SocketId>);

/// The service at `/socket.io` and below. Each request must have its [`Place`].
pub(super) fn service() -> Service {
    let config = EngineIoConfig::builder()
        .req_path("/socket.io")
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .upgrade_timeout(PATIENCE)
        .max_buffer_size(MAX_BUFFERED)
        .max_payload(MAX_PAYLOAD as u64)
        .ws_read_buffer_size(READ_BUFFER)
        .ws_max_message_size(MAX_PAYLOAD)
        .ws_max_frame_size(MAX_PAYLOAD)
        .build();
    EngineIoService::with_config(Arc::new(Sockets), config)
}

impl EngineIoHandler for Sockets {
    type Data = Talk;

    fn on_connect(self: Arc<Self>, socket: Arc<Socket>) {
        // One that never wants to talk, or broke off while it was greeted, would hold its place for ever.
        let socket = Arc::downgrade(&socket);
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if let Some(socket) = socket.upgrade().filter(|socket| socket.data.0.get().is_none()) {
                socket.close(DisconnectReason::TransportClose);
            }
        });
    }

    fn on_disconnect(&self, socket: Arc<Socket>, reason: DisconnectReason) {
        if let (Some(place), Some(id)) = (place(&socket), socket.data.0.get()) {
            log::debug!("room {}: a socket is gone: {reason:?}", place.room.number());
            place.room.leave(*id);
        }
    }

    fn on_message(self: &Arc<Self>, text: Str, socket: Arc<Socket>) {
        let Some(Place { room, .. }) = place(&socket) else { return };
        match (Packet::parse(&text), socket.data.0.get()) {
            (Ok(Packet::Connect), None) => enter(&socket),
            (Ok(Packet::ForeignNamespace(namespace)), known) => {
                known.into_iter().for_each(|id| room.hear(*id, Said::Nothing, None));
                if socket.emit(packet::no_namespace(&namespace)).is_err() {
                    socket.close(DisconnectReason::TransportError);
                }
            }
            (Ok(Packet::Event { name, data, ack }), Some(id)) => {
                room.hear(*id, Said::parse(&name, &data), ack);
            }
            (Ok(Packet::Ack), Some(id)) => room.hear(*id, Said::Nothing, None),
            (Ok(Packet::Disconnect), Some(_)) => socket.close(DisconnectReason::TransportClose),
            // No packet, one before its time, or one too many.
            (Err(Malformed), _)
            | (Ok(Packet::Connect), Some(_))
            | (Ok(Packet::Event { .. } | Packet::Ack | Packet::Disconnect), None) => {
                socket.close(DisconnectReason::PacketParsingError);
            }
        }
    }

    fn on_binary(self: &Arc<Self>, _: Bytes, socket: Arc<Socket>) {
        socket.close(DisconnectReason::PacketParsingError);
    }
}

fn enter(socket: &Arc<Socket>) {
    let Some(place) = place(socket) else { return };
    let _ = socket.emit(packet::connected(&socket.id.to_string()));
    let Some(id) = place.room.enter(socket.clone(), place.from) else {
        return socket.close(DisconnectReason::ClosingServer);
    };
    // It may have gone meanwhile, unknown as it was: then nobody will say that it left.
    let is_first = socket.data.0.set(id).is_ok();
    if !is_first || socket.is_closed() {
        place.room.leave(id);
    }
}

fn place(socket: &Socket) -> Option<&Place> {
    socket.req_parts.extensions.get::<Place>()
}
