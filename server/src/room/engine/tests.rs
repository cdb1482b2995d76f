//! A room, by scenes: what each event and each order brings.

use super::{Input, Mono, Output, ReplyId, Room, Settings, SlotState, SocketId, Wish};
use crate::room::{
    order::Order,
    wire::{Answer, Event, Refusal, Said},
    words::{Annotation, Directive, Geometry, RelativeTo, Shown, Visibility},
};
use serde_json::{Value, json};
use std::{net::IpAddr, time::Duration};

const BITRATE: u64 = 128_000;
const REPLY: ReplyId = ReplyId(7);

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
        let said = Said::parse(event, data).unwrap();
        self.handle(Input::Said(SocketId(socket), said, Some(REPLY)))
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
        let [Output::Answer(REPLY, answer @ Answer::State(_))] = outputs.as_slice() else {
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
    Output::Janus(Wish::Configure { session: 100 + id, handle: 200 + id, bitrate })
}

/// The answer among some outputs.
fn message(outputs: &[Output]) -> (bool, String) {
    let answer = outputs.iter().find_map(|output| match output {
        Output::Answer(REPLY, answer) => Some(serde_json::to_value(answer).unwrap()),
        _ => None,
    });
    let answer = answer.unwrap_or_else(|| panic!("no answer in {outputs:?}"));
    (answer["success"].as_bool().unwrap(), answer["message"].as_str().unwrap().to_owned())
}

#[test]
fn sender_init_is_refused_for_each_reason() {
    for (data, refusal) in [
        (Value::Null, Refusal::NoData),
        (json!("text"), Refusal::NoData),
        (json!([1, "t0ken"]), Refusal::NoData),
        (json!({ "token": "t0ken" }), Refusal::NoSlot),
        (json!({ "slot": null, "token": "t0ken" }), Refusal::NoSlot),
        (json!({ "slot": "", "token": "t0ken" }), Refusal::NoSlot),
        (json!({ "slot": "one", "token": "t0ken" }), Refusal::SlotNotANumber),
        (json!({ "slot": [1], "token": "t0ken" }), Refusal::SlotNotANumber),
        (json!({ "slot": true, "token": "t0ken" }), Refusal::SlotNotANumber),
        (json!({ "slot": "NaN", "token": "t0ken" }), Refusal::SlotNotANumber),
        (json!({ "slot": 2, "token": "t0ken" }), Refusal::NoSuchSlot),
        (json!({ "slot": -1, "token": "t0ken" }), Refusal::NoSuchSlot),
        (json!({ "slot": 0.5, "token": "t0ken" }), Refusal::NoSuchSlot),
        (json!({ "slot": 1e300, "token": "t0ken" }), Refusal::NoSuchSlot),
        (json!({ "slot": 0, "token": "t0ken" }), Refusal::SlotClosed),
        (json!({ "slot": 1 }), Refusal::NoToken),
        (json!({ "slot": 1, "token": "" }), Refusal::NoToken),
        (json!({ "slot": 1, "token": 5 }), Refusal::NoToken),
        (json!({ "slot": 1, "token": "T0ken" }), Refusal::WrongToken),
        (json!({ "slot": 1, "token": "t0ken " }), Refusal::WrongToken),
    ] {
        let mut scene = Scene::open();
        scene.connect(1);
        let outputs = scene.say(1, "sender_init", &data);
        assert_eq!(outputs, [Output::Answer(REPLY, refusal.into())], "{data}");
        assert_eq!(scene.receivers(), [1], "it is no sender: {data}");
    }
}

#[test]
fn a_slot_may_be_a_number_or_text() {
    for slot in [json!(1), json!("1"), json!(" 1 "), json!(1.0)] {
        let mut scene = Scene::open();
        scene.connect(1);
        let outputs = scene.say(1, "sender_init", &json!({ "slot": slot, "token": "t0ken" }));
        assert!(message(&outputs).0, "{slot}");
        assert_eq!(scene.receivers(), [0; 0], "a sender is told nothing of other feeds");
    }
}

#[test]
fn set_feed_id_is_refused_for_each_reason() {
    let good = feed(12);
    let without = |key: &str| {
        let mut data = good.clone();
        data.as_object_mut().unwrap().remove(key);
        data
    };
    let with = |key: &str, value: Value| {
        let mut data = good.clone();
        data[key] = value;
        data
    };
    for (data, refusal) in [
        (Value::Null, Refusal::NoData),
        (json!(11), Refusal::NoData),
        (without("feedId"), Refusal::Missing("feedId")),
        (without("sessionId"), Refusal::Missing("sessionId")),
        (without("videoroomId"), Refusal::Missing("videoroomId")),
        (with("feedId", json!("12")), Refusal::NotANumber("feedId")),
        (with("sessionId", json!(-1)), Refusal::NotANumber("sessionId")),
        (with("videoroomId", json!(0.5)), Refusal::NotANumber("videoroomId")),
        (with("videoroomId", json!(1e300)), Refusal::NotANumber("videoroomId")),
    ] {
        let mut scene = Scene::open();
        scene.connect(2);
        scene.init(2, &Value::Null);
        let outputs = scene.say(2, "set_feed_id", &data);
        assert_eq!(outputs, [Output::Answer(REPLY, refusal.into())], "{data}");
    }

    let mut scene = Scene::open();
    scene.connect(2);
    let outputs = scene.say(2, "set_feed_id", &good);
    assert_eq!(outputs, [Output::Answer(REPLY, Refusal::NotInitialised.into())], "a receiver");
    scene.init(2, &Value::Null);
    scene.order("refresh_token 1 another");
    let outputs = scene.say(2, "set_feed_id", &good);
    assert_eq!(outputs, [Output::Answer(REPLY, Refusal::TokenExpired.into())]);

    let mut scene = Scene::publishing();
    scene.connect(2);
    scene.init(2, &Value::Null);
    let outputs = scene.say(2, "set_feed_id", &good);
    assert_eq!(outputs, [Output::Answer(REPLY, Refusal::SlotInUse.into())]);
}

#[test]
fn a_feed_is_told_to_receivers_and_to_the_controller() {
    let mut scene = Scene::open();
    scene.connect(1);
    scene.connect(2);
    scene.init(1, &Value::Null);
    let mut data = feed(11);
    data["customName"] = json!(" <b>Ada</b> ");
    let outputs = scene.say(1, "set_feed_id", &data);
    let taken = Answer::taken("Your camera is in slot 1.", BITRATE);
    assert_eq!(
        outputs,
        [
            Output::TellReceivers(Event::NewFeed(1, shown(11))),
            notify("new_feed 1"),
            notify("custom_name 1 &lt;b&gt;Ada&lt;/b&gt;"),
            Output::Answer(REPLY, taken),
        ]
    );
    assert_eq!(scene.receivers(), [2]);
    assert_eq!(
        scene.state(2),
        json!({ "1": {
            "feedId": 11,
            "visibility": { "command": "show", "params": [] },
            "geometry": { "command": "set_geometry_relative_to_canvas", "params": ["rb", "0", "0", "320", "240"] },
            "annotation": null,
        } })
    );
    let outputs = scene.handle(Input::Disconnected(SocketId(1)));
    assert_eq!(outputs, [Output::TellReceivers(Event::RemoveFeed(1)), notify("remove_feed 1")]);
    assert_eq!(scene.state(2), json!({}));
}

#[test]
fn a_sender_that_publishes_again_replaces_its_own_feed() {
    let mut scene = Scene::publishing();
    let outputs = scene.say(1, "set_feed_id", &feed(12));
    assert_eq!(
        outputs[..4],
        [
            Output::TellReceivers(Event::RemoveFeed(1)),
            notify("remove_feed 1"),
            Output::TellReceivers(Event::NewFeed(1, shown(12))),
            notify("new_feed 1"),
        ]
    );
}

#[test]
fn a_sender_that_goes_to_another_slot_leaves_its_feed() {
    let mut scene = Scene::publishing();
    scene.order("activate_slot 0 other");
    let outputs = scene.say(1, "sender_init", &json!({ "slot": 0, "token": "other" }));
    assert_eq!(outputs[..2], [Output::TellReceivers(Event::RemoveFeed(1)), notify("remove_feed 1")]);
}

#[test]
fn the_same_token_and_secret_take_the_slot_at_once() {
    let mut scene = Scene::publishing_with(&json!("mine"));
    scene.connect(2);
    scene.init(2, &json!("mine"));
    let outputs = scene.say(2, "set_feed_id", &feed(12));
    assert_eq!(
        outputs[..5],
        [
            Output::TellReceivers(Event::RemoveFeed(1)),
            notify("remove_feed 1"),
            Output::Disconnect(SocketId(1)),
            Output::TellReceivers(Event::NewFeed(1, shown(12))),
            notify("new_feed 1"),
        ]
    );
    assert_eq!(scene.handle(Input::Disconnected(SocketId(1))), [], "the slot is another's by then");
}

#[test]
fn another_secret_or_none_takes_no_slot() {
    for (held, shown) in [
        (json!("mine"), json!("yours")),
        (json!("mine"), Value::Null),
        (Value::Null, json!("mine")),
        (Value::Null, Value::Null),
        (json!(""), json!("")),
    ] {
        let mut scene = Scene::publishing_with(&held);
        scene.connect(2);
        scene.init(2, &shown);
        let outputs = scene.say(2, "set_feed_id", &feed(12));
        assert_eq!(outputs, [Output::Answer(REPLY, Refusal::SlotInUse.into())], "{held} {shown}");
    }
}

#[test]
fn set_bitrate_limit_is_refused_for_each_reason() {
    for (data, refusal) in [
        (Value::Null, Refusal::NoData),
        (json!(5), Refusal::NoData),
        (json!({}), Refusal::Missing("bitrateLimit")),
        (json!({ "bitrateLimit": null }), Refusal::Missing("bitrateLimit")),
        (json!({ "bitrateLimit": "5" }), Refusal::NotANumber("bitrateLimit")),
        (json!({ "bitrateLimit": 1e300 }), Refusal::NotANumber("bitrateLimit")),
    ] {
        let outputs = Scene::publishing().say(1, "set_bitrate_limit", &data);
        assert_eq!(outputs, [Output::Answer(REPLY, refusal.into())], "{data}");
    }
    let limit = json!({ "bitrateLimit": 64_000 });
    let mut scene = Scene::open();
    scene.connect(1);
    let outputs = scene.say(1, "set_bitrate_limit", &limit);
    assert_eq!(outputs, [Output::Answer(REPLY, Refusal::NotInitialised.into())], "a receiver");
    scene.init(1, &Value::Null);
    scene.order("refresh_token 1 another");
    let outputs = scene.say(1, "set_bitrate_limit", &limit);
    assert_eq!(outputs, [Output::Answer(REPLY, Refusal::TokenExpired.into())]);
}

#[test]
fn the_smaller_of_both_limits_reaches_janus_where_it_changes() {
    let mut scene = Scene::publishing();
    let senders = |scene: &mut Scene, limit: i64| {
        let mut outputs = scene.say(1, "set_bitrate_limit", &json!({ "bitrateLimit": limit }));
        assert!(message(&outputs).0);
        outputs.retain(|output| !matches!(output, Output::Answer(..)));
        outputs
    };
    assert_eq!(senders(&mut scene, 64_000), [configure(11, 64_000)]);
    assert_eq!(senders(&mut scene, 64_000), []);
    assert_eq!(senders(&mut scene, 256_000), [configure(11, BITRATE)]);
    assert_eq!(senders(&mut scene, -5), []);
    let told = |limit| Output::Tell(SocketId(1), Event::NewControllerBitrateLimit(limit));
    assert_eq!(scene.order("set_bitrate_limit 1 32000"), [told(32_000), configure(11, 32_000)]);
    assert_eq!(scene.order("set_bitrate_limit 1 0"), [told(0), configure(11, 0)]);
    assert_eq!(senders(&mut scene, 64_000), [configure(11, 64_000)]);
    assert_eq!(scene.order("set_bitrate_limit 0 32000"), [], "nobody is there");
}

#[test]
fn a_new_feed_is_configured_only_where_its_limit_is_not_the_rooms() {
    let mut scene = Scene::open();
    scene.order("set_bitrate_limit 1 64000");
    scene.connect(1);
    scene.init(1, &Value::Null);
    let outputs = scene.say(1, "set_feed_id", &feed(11));
    assert!(outputs.contains(&configure(11, 64_000)), "{outputs:?}");
    assert!(outputs.contains(&Output::Answer(REPLY, Answer::taken("Your camera is in slot 1.", 64_000))));

    let mut scene = Scene::open();
    scene.connect(1);
    scene.init(1, &Value::Null);
    scene.say(1, "set_bitrate_limit", &json!({ "bitrateLimit": 32_000 }));
    let outputs = scene.say(1, "set_feed_id", &feed(11));
    assert!(outputs.contains(&configure(11, 32_000)), "{outputs:?}");

    let outputs = Scene::open().order("set_bitrate_limit 1 64000");
    assert_eq!(outputs, []);
}

#[test]
fn a_name_changes_for_the_controller_while_there_is_a_feed() {
    let rename = |scene: &mut Scene, name: Value| scene.say(1, "change_name", &json!({ "newName": name }));
    let mut scene = Scene::publishing();
    assert_eq!(rename(&mut scene, json!("Ada\nremove_feed 1")), [notify("custom_name 1 Ada remove_feed 1")]);
    for nothing in [json!("  "), json!(""), json!(5), Value::Null] {
        assert_eq!(rename(&mut scene, nothing), []);
    }
    let mut scene = Scene::open();
    scene.connect(1);
    assert_eq!(rename(&mut scene, json!("Ada")), [], "a receiver");
    scene.init(1, &Value::Null);
    assert_eq!(rename(&mut scene, json!("Ada")), [], "nothing is to be seen of it yet");
}

#[test]
fn every_order_is_told_to_receivers_where_there_is_a_feed_and_kept_where_not() {
    let window = || Geometry::parse(RelativeTo::Window, &["lt", "1", "2", "3", "4", "5"]).unwrap();
    for (line, event) in [
        ("hide 1", Event::Command(1, Directive::Visibility(Visibility::Hidden))),
        ("show 1", Event::Command(1, Directive::Visibility(Visibility::Shown))),
        ("set_geometry_relative_to_window 1 lt 1 2 3 4 5", Event::Command(1, Directive::Geometry(window()))),
        ("set_annotation 1 <b>Ada</b>", Event::SetAnnotation(1, Annotation::trusted("<b>Ada</b>"))),
        (
            "set_annotation 1 <script>alert(1)</script><b onclick=x>Ada</b>",
            Event::SetAnnotation(1, Annotation::trusted("<b>Ada</b>")),
        ),
        ("remove_annotation 1", Event::RemoveAnnotation(1)),
        ("activate_slot 1 t0ken Ada", Event::SetAnnotation(1, Annotation::trusted("Ada"))),
    ] {
        assert_eq!(Scene::publishing().order(line), [Output::TellReceivers(event)], "{line}");
        assert_eq!(Scene::open().order(line), [], "{line}");
    }
    for (line, outputs) in [
        ("activate_slot 1 another", vec![]),
        ("activate_slot 0 t0ken", vec![]),
        ("refresh_token 1 another", vec![]),
        ("edit_pin 1234", vec![Output::Janus(Wish::EditPin(crate::room::words::Secret::of("1234")))]),
    ] {
        assert_eq!(Scene::publishing().order(line), outputs, "{line}");
    }
}

#[test]
fn an_order_that_the_room_can_not_carry_out_changes_nothing() {
    for line in ["refresh_token 0 t0ken", "deactivate_slot 0", "set_annotation 0 a", "remove_annotation 0"] {
        let refused = Scene::open().refused(line);
        assert_eq!(refused, "slot 0 is not activated: activate_slot does that", "{line}");
    }
    for line in ["activate_slot 2 t0ken", "hide 99999999", "set_bitrate_limit 2 5", "deactivate_slot 2"] {
        let refused = Scene::open().refused(line);
        assert!(refused.ends_with("the room has 2, numbered from 0"), "{line}: {refused}");
    }
}

#[test]
fn viewers_who_come_later_see_what_the_controller_wants() {
    let mut scene = Scene::open();
    for line in ["hide 1", "set_geometry_relative_to_window 1 lt 1 2 3 4", "set_annotation 1 Ada"] {
        scene.order(line);
    }
    scene.connect(1);
    scene.init(1, &Value::Null);
    scene.say(1, "set_feed_id", &feed(11));
    scene.connect(2);
    assert_eq!(
        scene.state(2)["1"],
        json!({
            "feedId": 11,
            "visibility": { "command": "hide", "params": [] },
            "geometry": { "command": "set_geometry_relative_to_window", "params": ["lt", "1", "2", "3", "4"] },
            "annotation": "Ada",
        })
    );
}

#[test]
fn deactivating_takes_the_feed_away_and_disconnects_all_who_had_the_token() {
    let mut scene = Scene::publishing();
    scene.connect(2);
    scene.init(2, &Value::Null);
    scene.connect(3);
    let outputs = scene.order("deactivate_slot 1");
    assert_eq!(
        outputs,
        [
            Output::TellReceivers(Event::RemoveFeed(1)),
            notify("remove_feed 1"),
            Output::Janus(Wish::Kick(11)),
            Output::Disconnect(SocketId(1)),
            Output::Disconnect(SocketId(2)),
        ]
    );
    let outputs = scene.say(2, "set_feed_id", &feed(12));
    assert_eq!(outputs, [], "what it says on its way out is not heard");
    assert!(matches!(scene.room.slots().nth(1).unwrap().state, SlotState::Closed));
}

#[test]
fn an_annotation_ends_with_its_slots_activation() {
    let mut scene = Scene::open();
    scene.order("set_annotation 1 Ada");
    scene.order("deactivate_slot 1");
    scene.order("activate_slot 1 t0ken");
    let SlotState::Open { annotation, .. } = scene.room.slots().nth(1).unwrap().state else { panic!() };
    assert_eq!(annotation, None);
}

#[test]
fn a_refreshed_token_leaves_who_sends_alone() {
    let mut scene = Scene::publishing();
    scene.order("refresh_token 1 another");
    let outputs = scene.say(1, "set_bitrate_limit", &json!({ "bitrateLimit": 5 }));
    assert!(message(&outputs).0);
    scene.connect(2);
    let outputs = scene.say(2, "sender_init", &json!({ "slot": 1, "token": "t0ken" }));
    assert_eq!(message(&outputs), (false, Refusal::WrongToken.to_string()));
}

#[test]
fn trusted_annotations_reach_receivers_as_they_were_written() {
    let settings = Settings { slots: 2, bitrate: BITRATE, trust_annotations: true };
    let mut scene = Scene { room: Room::new(settings), now: Duration::ZERO };
    scene.order("activate_slot 1 t0ken <b onclick=x>Ada</b>");
    let SlotState::Open { annotation, .. } = scene.room.slots().nth(1).unwrap().state else { panic!() };
    assert_eq!(annotation.unwrap().as_str(), "<b onclick=x>Ada</b>");
}

#[test]
fn after_janus_came_back_ours_are_asked_and_originals_cut() {
    let mut scene = Scene::publishing_with(&json!("mine"));
    scene.order("activate_slot 0 other");
    scene.connect(2);
    scene.say(2, "sender_init", &json!({ "slot": 0, "token": "other" }));
    scene.say(2, "set_feed_id", &feed(12));
    scene.connect(3);
    let outputs = scene.handle(Input::JanusLost);
    assert_eq!(
        outputs,
        [Output::TellReceivers(Event::RemoveAllFeeds), notify("remove_feed 0"), notify("remove_feed 1"),]
    );
    assert_eq!(scene.state(3), json!({}));
    let outputs = scene.handle(Input::JanusKept);
    let asked = Output::Tell(SocketId(1), Event::PublishAgain);
    assert_eq!(outputs, [asked, Output::Cut(SocketId(2))]);
    assert_eq!(scene.handle(Input::JanusKept), [], "once is enough");
    let outputs = scene.say(1, "set_feed_id", &feed(21));
    assert!(message(&outputs).0);
}

#[test]
fn the_end_removes_all_feeds() {
    let outputs = Scene::publishing().handle(Input::Stop);
    assert_eq!(outputs, [Output::TellReceivers(Event::RemoveAllFeeds)]);
}

#[test]
fn wrong_tokens_wait_and_the_right_one_never_does() {
    let mut scene = Scene::open();
    scene.connect(1);
    let wrong = json!({ "slot": 1, "token": "guess" });
    for _ in 0..20 {
        assert_eq!(scene.say(1, "sender_init", &wrong).len(), 1);
    }
    assert_eq!(scene.say(1, "sender_init", &wrong), []);
    let due = scene.room.deadline().unwrap();
    assert_eq!(due, scene.now + Duration::from_secs(3));
    let outputs = scene.say(1, "sender_init", &json!({ "slot": 1, "token": "t0ken" }));
    assert!(message(&outputs).0, "the right one");
    scene.now = due;
    assert_eq!(scene.handle(Input::Tick), [Output::Answer(REPLY, Refusal::WrongToken.into())]);
    assert_eq!(scene.room.deadline(), None);
}

#[test]
fn who_guesses_faster_than_answers_come_is_disconnected_alone() {
    let mut scene = Scene::open();
    scene.connect(1);
    scene.connect(2);
    let wrong = json!({ "slot": 1, "token": "guess" });
    let mut reply = 100;
    let ended = std::iter::from_fn(|| {
        reply += 1;
        let said = Said::parse("sender_init", &wrong).unwrap();
        Some(scene.handle(Input::Said(SocketId(1), said, Some(ReplyId(reply)))))
    });
    let ended = ended.take(100).find(|outputs| outputs.contains(&Output::Disconnect(SocketId(1))));
    assert!(ended.is_some());
    scene.handle(Input::Disconnected(SocketId(1)));
    assert_eq!(scene.room.deadline(), None, "nothing waits for who is gone");
    assert_eq!(scene.state(2), json!({}));
}

#[test]
fn who_says_too_much_is_disconnected_alone() {
    let mut scene = Scene::publishing();
    scene.connect(2);
    let flood = (0..1000).map(|_| scene.say(2, "query_state", &Value::Null)).collect::<Vec<_>>();
    let answered = flood.iter().filter(|outputs| matches!(outputs[..], [Output::Answer(..)])).count();
    assert_eq!(answered, 200);
    assert_eq!(flood[200], [Output::Disconnect(SocketId(2))]);
    assert!(flood[201..].iter().all(Vec::is_empty), "it is not heard any more");
    assert!(message(&scene.say(1, "set_bitrate_limit", &json!({ "bitrateLimit": 5 }))).0);
}

#[test]
fn last_words_of_a_socket_that_is_gone_are_not_heard() {
    let mut scene = Scene::publishing();
    scene.handle(Input::Disconnected(SocketId(1)));
    assert_eq!(scene.say(1, "set_feed_id", &feed(12)), []);
    assert_eq!(scene.handle(Input::Disconnected(SocketId(1))), []);
}
