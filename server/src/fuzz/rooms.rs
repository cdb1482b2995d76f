//! What sockets and a controller say to a room, against a receiver that does what it is told.

use crate::room::{
    engine::{Input, Mono, Output, ReplyTo, Room, Settings, SocketId},
    order::Order,
    packet::{self, Packet},
    wire::{Answer, Event, Said},
};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

const SLOTS: usize = 3;
/// Who only asks at the end.
const OBSERVER: SocketId = SocketId(1_000);

/// A room, and what must be true of it.
struct Talk {
    room: Room,
    now: Mono,
    /// Events that were marked.
    marked: u64,
    /// What a receiver shows that was there from the first event on.
    shown: BTreeMap<String, Value>,
}

/// A receiver that heard everything shows what the room says when it is asked; a notification is one line; nobody is
/// answered twice. Each line is `0` to `9` and a socket's packet, `>` and an order, or a word for what else happens:
/// `janus kept`, `janus lost`, `later`, `gone` and a socket.
pub fn room_talk(bytes: &[u8]) {
    let settings = Settings { slots: SLOTS, bitrate: 128_000, trust_annotations: false };
    let mut talk = Talk { room: Room::new(settings), now: Duration::ZERO, marked: 0, shown: BTreeMap::new() };
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(line) = std::str::from_utf8(line) {
            talk.line(line);
        }
    }
    talk.look();
}

impl Talk {
    fn line(&mut self, line: &str) {
        if let Some(order) = line.strip_prefix('>') {
            match Order::parse(order) {
                Ok(Some(order)) => drop(self.room.handle_order(order)),
                Ok(None) => {}
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            return self.drain();
        }
        match line {
            "janus kept" => self.handle(Input::JanusKept),
            "janus lost" => self.handle(Input::JanusLost),
            "later" => {
                self.now += Duration::from_secs(1);
                self.handle(Input::Tick);
            }
            line => match (line.strip_prefix("gone "), line.split_at_checked(1)) {
                (Some(socket), _) => {
                    socket.parse().into_iter().for_each(|id| self.handle(Input::Disconnected(SocketId(id))));
                }
                (None, Some((socket, packet))) => {
                    socket.parse().into_iter().for_each(|id| self.packet(SocketId(id), packet));
                }
                (None, None) => {}
            },
        }
    }

    fn packet(&mut self, socket: SocketId, text: &str) {
        match Packet::parse(text) {
            Ok(Packet::Connect) => self.connect(socket),
            Ok(Packet::Disconnect) => self.handle(Input::Disconnected(socket)),
            Ok(Packet::Event { name, data, ack }) => {
                let written = packet::event(&name, Some(data.clone()));
                let again = Packet::Event { name: name.clone(), data: data.clone(), ack: None };
                assert_eq!(Packet::parse(&written), Ok(again), "what is read is written as it was");
                self.marked += 1;
                self.handle(Input::Said(socket, Said::parse(&name, &data), ack.map(|_| self.marked)));
            }
            Ok(Packet::ForeignNamespace(_) | Packet::Ack) => {
                self.handle(Input::Said(socket, Said::Nothing, None));
            }
            Err(_) => {}
        }
    }

    fn connect(&mut self, socket: SocketId) {
        // No number is used twice while its socket is there.
        self.handle(Input::Disconnected(socket));
        self.handle(Input::Connected(socket, IpAddr::from([127, 0, 0, 1])));
    }

    fn handle(&mut self, input: Input) {
        self.room.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.room.poll() {
            match output {
                Output::TellReceivers(event) => self.show(&event),
                Output::Notify(line) => {
                    assert!(!line.contains(char::is_control), "{line:?}");
                    assert!(!line.contains(['<', '>', '"', '\'']), "{line:?}");
                }
                Output::Disconnect(socket) | Output::Cut(socket) => {
                    self.room.handle(self.now, Input::Disconnected(socket));
                }
                Output::Answer(ReplyTo { ack, .. }, answer) => {
                    assert!(ack <= self.marked);
                    assert!(Packet::parse(&packet::ack(ack, &answer)) == Ok(Packet::Ack));
                }
                Output::Tell(..) | Output::Janus(_) => {}
            }
        }
    }

    /// Does what a receiver does.
    fn show(&mut self, event: &Event) {
        let data = event.data().unwrap_or(Value::Null);
        let slot = data["slot"].to_string();
        match event {
            Event::NewFeed(..) => {
                let mut shown = data.clone();
                shown.as_object_mut().expect("it has fields").remove("slot");
                assert!(self.shown.insert(slot, shown).is_none(), "a feed is removed before another comes");
            }
            Event::RemoveFeed(_) => assert!(self.shown.remove(&slot).is_some(), "it was shown"),
            Event::RemoveAllFeeds => self.shown.clear(),
            Event::Command(..) => {
                let command = serde_json::json!({ "command": data["command"], "params": data["params"] });
                let is_visibility = ["show", "hide"].contains(&data["command"].as_str().unwrap_or_default());
                let key = if is_visibility { "visibility" } else { "geometry" };
                self.shown.get_mut(&slot).expect("it is shown")[key] = command;
            }
            Event::SetAnnotation(..) | Event::RemoveAnnotation(_) => {
                self.shown.get_mut(&slot).expect("it is shown")["annotation"] = data["annotation"].clone();
            }
            Event::NewControllerBitrateLimit(_) | Event::PublishAgain => panic!("that is a sender's"),
        }
    }

    /// Asks for the state, as one who comes now.
    fn look(&mut self) {
        self.connect(OBSERVER);
        let reply = ReplyTo { socket: OBSERVER, ack: u64::MAX };
        self.room.handle(self.now, Input::Said(OBSERVER, Said::QueryState, Some(reply.ack)));
        let mut outputs = std::iter::from_fn(|| self.room.poll());
        let state = outputs.find_map(|output| match output {
            Output::Answer(to, answer @ Answer::State(_)) if to == reply => Some(answer),
            _ => None,
        });
        let state = serde_json::to_value(state.expect("it is answered")).expect("it is JSON");
        let shown = serde_json::to_value(&self.shown).expect("it is JSON");
        assert_eq!(state, shown, "who heard everything sees what who comes now sees");
    }
}
