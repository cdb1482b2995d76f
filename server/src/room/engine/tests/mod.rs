//! A room, by scenes: what each event and each order brings.

mod life;
mod orders;
mod senders;

use super::{Input, Mono, Output, ReplyTo, Room, Settings, SlotState, SocketId, Wish};
use crate::room::{
    order::Order,
    wire::{Answer, Event, Refusal, Said},
    words::{Annotation, Directive, Geometry, RelativeTo, Shown, Visibility},
};
use serde_json::{Value, json};
use std::{net::IpAddr, time::Duration};

const BITRATE: u64 = 128_000;
/// What each event is marked with.
const ACK: u64 = 7;

/// A room, and its clock.
struct Scene {
    room: Room,
    now: Mono,
}

impl Scene {
    fn new() -> Scene {
        let settings = Settings { slots: 2, bitrate: BITRATE, trust_annotations: false };
        Scene { room: Room::new(settings), now: Duration::from_secs(1000) }
    }

    /// With slot 1 open to "t0ken".
    fn open() -> Scene {
        let mut scene = Scene::new();
        assert_eq!(scene.order("activate_slot 1 t0ken"), []);
        scene
    }

    /// With socket 1 publishing feed 11 in slot 1.
    fn publishing() -> Scene {
        Scene::publishing_with(&Value::Null)
    }

    fn publishing_with(resume: &Value) -> Scene {
        let mut scene = Scene::open();
        scene.connect(1);
        scene.init(1, resume);
        scene.say(1, "set_feed_id", &feed(11));
        scene
    }

    fn connect(&mut self, socket: u64) {
        let from = IpAddr::from([192, 0, 2, socket as u8]);
        self.handle(Input::Connected(SocketId(socket), from));
    }

    fn init(&mut self, socket: u64, resume: &Value) {
        let outputs =
            self.say(socket, "sender_init", &json!({ "slot": 1, "token": "t0ken", "resume": resume }));
        assert_eq!(message(&outputs), (true, "Slot 1 is ready for your camera.".into()));
    }

    fn say(&mut self, socket: u64, event: &str, data: &Value) -> Vec<Output> {
        self.handle(Input::Said(SocketId(socket), Said::parse(event, data), Some(ACK)))
    }

    /// Without wanting an answer.
    fn mutter(&mut self, socket: u64, event: &str, data: &Value) -> Vec<Output> {
        self.handle(Input::Said(SocketId(socket), Said::parse(event, data), None))
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.room.handle(self.now, input);
        self.drain()
    }

    fn order(&mut self, line: &str) -> Vec<Output> {
        let order = Order::parse(line).unwrap().unwrap();
        self.room.handle_order(order).unwrap();
        self.drain()
    }

    fn refused(&mut self, line: &str) -> String {
        let order = Order::parse(line).unwrap().unwrap();
        let refused = self.room.handle_order(order).unwrap_err();
        assert_eq!(self.drain(), [], "{line}");
        refused.to_string()
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.room.poll()).collect()
    }

    fn state(&mut self, socket: u64) -> Value {
        let outputs = self.say(socket, "query_state", &Value::Null);
        let [Output::Answer(_, answer @ Answer::State(_))] = outputs.as_slice() else {
            panic!("{outputs:?}")
        };
        serde_json::to_value(answer).unwrap()
    }

    fn receivers(&self) -> Vec<u64> {
        self.room.receivers().map(|id| id.0).collect()
    }
}

fn feed(id: u64) -> Value {
    json!({ "feedId": id, "sessionId": 100 + id, "videoroomId": 200 + id })
}

fn shown(id: u64) -> Shown {
    Shown {
        feed_id: id,
        visibility: Directive::Visibility(Visibility::Shown),
        geometry: Directive::Geometry(Geometry::default()),
        annotation: None,
    }
}

fn notify(line: &str) -> Output {
    Output::Notify(line.into())
}

fn configure(id: u64, bitrate: u64) -> Output {
    Output::Janus(Wish::Configure { slot: 1, session: 100 + id, handle: 200 + id, bitrate })
}

fn answer(socket: u64, answer: Answer) -> Output {
    Output::Answer(ReplyTo { socket: SocketId(socket), ack: ACK }, answer)
}

/// The answer among some outputs.
fn message(outputs: &[Output]) -> (bool, String) {
    let answer = outputs.iter().find_map(|output| match output {
        Output::Answer(_, answer) => Some(serde_json::to_value(answer).unwrap()),
        _ => None,
    });
    let answer = answer.unwrap_or_else(|| panic!("no answer in {outputs:?}"));
    (answer["success"].as_bool().unwrap(), answer["message"].as_str().unwrap().to_owned())
}
