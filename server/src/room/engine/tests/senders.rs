//! Who may send into a slot, and what comes of it.

use super::*;

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
        assert_eq!(outputs, [answer(1, refusal.into())], "{data}");
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
        assert_eq!(outputs, [answer(2, refusal.into())], "{data}");
    }

    let mut scene = Scene::open();
    scene.connect(2);
    let outputs = scene.say(2, "set_feed_id", &good);
    assert_eq!(outputs, [answer(2, Refusal::NotInitialised.into())], "a receiver");
    scene.init(2, &Value::Null);
    scene.order("refresh_token 1 another");
    let outputs = scene.say(2, "set_feed_id", &good);
    assert_eq!(outputs, [answer(2, Refusal::TokenExpired.into())]);

    let mut scene = Scene::publishing();
    scene.connect(2);
    scene.init(2, &Value::Null);
    let outputs = scene.say(2, "set_feed_id", &good);
    assert_eq!(outputs, [answer(2, Refusal::SlotInUse.into())]);
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
            notify("custom_name 1 &lt;b&gt;Ada&lt;/b&gt;"),
            notify("new_feed 1"),
            answer(1, taken),
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
    let kick = Output::Janus(Wish::Kick(11));
    assert_eq!(outputs, [Output::TellReceivers(Event::RemoveFeed(1)), notify("remove_feed 1"), kick]);
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
fn the_same_token_and_secret_take_the_slot_before_anything_is_published() {
    let mut scene = Scene::publishing_with(&json!("mine"));
    scene.connect(2);
    let outputs = scene.say(2, "sender_init", &json!({ "slot": 1, "token": "t0ken", "resume": "mine" }));
    assert_eq!(
        outputs,
        [
            Output::Disconnect(SocketId(1)),
            Output::TellReceivers(Event::RemoveFeed(1)),
            notify("remove_feed 1"),
            Output::Janus(Wish::Kick(11)),
            answer(2, Answer::done("Slot 1 is ready for your camera.")),
        ]
    );
    assert_eq!(scene.handle(Input::Disconnected(SocketId(1))), [], "the slot is another's by then");
    let outputs = scene.say(2, "set_feed_id", &feed(12));
    assert_eq!(outputs[..2], [Output::TellReceivers(Event::NewFeed(1, shown(12))), notify("new_feed 1")]);
}

#[test]
fn of_two_that_came_back_the_last_to_publish_has_the_slot() {
    let mut scene = Scene::open();
    for socket in [1, 2] {
        scene.connect(socket);
        scene.init(socket, &json!("mine"));
    }
    scene.say(1, "set_feed_id", &feed(11));
    let outputs = scene.say(2, "set_feed_id", &feed(12));
    assert_eq!(outputs[0], Output::Disconnect(SocketId(1)), "it hears so before Janus takes its feed away");
    assert_eq!(outputs[3], Output::Janus(Wish::Kick(11)));
    assert!(message(&outputs).0);
}

#[test]
fn a_feed_is_in_one_slot_alone() {
    let mut scene = Scene::publishing();
    scene.order("activate_slot 0 other");
    scene.connect(2);
    scene.say(2, "sender_init", &json!({ "slot": 0, "token": "other" }));
    let outputs = scene.say(2, "set_feed_id", &feed(11));
    assert_eq!(outputs, [answer(2, Refusal::FeedElsewhere.into())]);
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
        assert_eq!(outputs, [answer(2, Refusal::SlotInUse.into())], "{held} {shown}");
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
        assert_eq!(outputs, [answer(1, refusal.into())], "{data}");
    }
    let limit = json!({ "bitrateLimit": 64_000 });
    let mut scene = Scene::open();
    scene.connect(1);
    let outputs = scene.say(1, "set_bitrate_limit", &limit);
    assert_eq!(outputs, [answer(1, Refusal::NotInitialised.into())], "a receiver");
    scene.init(1, &Value::Null);
    scene.order("refresh_token 1 another");
    let outputs = scene.say(1, "set_bitrate_limit", &limit);
    assert_eq!(outputs, [answer(1, Refusal::TokenExpired.into())]);
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
    scene.order("activate_slot 0 other");
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
    assert!(outputs.contains(&answer(1, Answer::taken("Your camera is in slot 1.", 64_000))));

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
