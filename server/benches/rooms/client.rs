//! Clients of a room: as much of Engine.IO 4 and Socket.IO 5 as a sender and a receiver speak, over WebSocket.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Instant};
use tokio::{
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// One that is connected.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    asked: u64,
}

/// What receivers note of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    Gone,
}

/// Everybody who watches.
pub(crate) struct Receivers {
    seen: UnboundedReceiver<(Seen, Instant)>,
    count: usize,
}

impl Client {
    /// Connects to a server that is nothing but a room.
    pub(crate) async fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (socket, _) = client_async(url, stream).await.unwrap();
        let mut client = Client { socket, asked: 0 };
        client.after("0").await;
        client.say("40").await;
        client.after("40").await;
        client
    }

    /// Says something, and gives the answer.
    pub(crate) async fn ask(&mut self, event: &str, data: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.say(&format!("42{id}{}", json!([event, data]))).await;
        let answer = self.after(&format!("43{id}")).await;
        serde_json::from_str::<Vec<Value>>(&answer).unwrap().swap_remove(0)
    }

    /// Stays for as long as the task that this is.
    pub(crate) async fn stay(mut self) {
        loop {
            self.next().await;
        }
    }

    /// Watches from now on, and tells `seen` of each feed that comes or goes.
    async fn watch(mut self, seen: UnboundedSender<(Seen, Instant)>) {
        loop {
            let packet = self.next().await;
            let event = if packet.starts_with(r#"42["new_feed""#) {
                Seen::New
            } else if packet.starts_with(r#"42["remove_feed""#) {
                Seen::Gone
            } else {
                continue;
            };
            if seen.send((event, Instant::now())).is_err() {
                return;
            }
        }
    }

    /// The rest of the next packet that begins so.
    async fn after(&mut self, beginning: &str) -> String {
        loop {
            if let Some(rest) = self.next().await.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    /// The next packet; pings are answered on the way.
    async fn next(&mut self) -> String {
        loop {
            let message = self.socket.next().await.expect("the server holds the connection").unwrap();
            let Message::Text(text) = message else { continue };
            if text.as_str() != "2" {
                return text.as_str().to_owned();
            }
            self.say("3").await;
        }
    }

    async fn say(&mut self, packet: &str) {
        self.socket.send(Message::text(packet)).await.unwrap();
    }
}

impl Receivers {
    /// So many of them, each of which knows the room's state.
    pub(crate) async fn connect(address: SocketAddr, count: usize) -> Receivers {
        let (sender, seen) = unbounded_channel();
        for _ in 0..count {
            let mut client = Client::connect(address).await;
            client.ask("query_state", Value::Null).await;
            tokio::spawn(client.watch(sender.clone()));
        }
        Receivers { seen, count }
    }

    /// When the last of them saw this.
    pub(crate) async fn all(&mut self, what: Seen) -> Instant {
        let mut last = None;
        for _ in 0..self.count {
            let (seen, at) = self.seen.recv().await.expect("receivers go on");
            assert_eq!(seen, what, "a receiver saw something else");
            last = last.max(Some(at));
        }
        last.expect("there are receivers")
    }
}
