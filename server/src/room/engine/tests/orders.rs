//! What the controller orders, and what is told to whom.

use super::*;

#[test]
fn every_order_is_told_to_receivers_where_there_is_a_feed_and_kept_where_not() {
    let window = || Geometry::parse(RelativeTo::Window, &["lt", "1", "2", "3", "4", "5"]).unwrap();
    let canvas = || Geometry::parse(RelativeTo::Canvas, &["rb", "1", "2", "3", "4"]).unwrap();
    for (line, event) in [
        ("hide 1", Event::Command(1, Directive::Visibility(Visibility::Hidden))),
        ("show 1", Event::Command(1, Directive::Visibility(Visibility::Shown))),
        ("set_geometry_relative_to_window 1 lt 1 2 3 4 5", Event::Command(1, Directive::Geometry(window()))),
        ("set_geometry_relative_to_canvas 1 rb 1 2 3 4", Event::Command(1, Directive::Geometry(canvas()))),
        ("set_annotation 1 <b>Ada</b>", Event::SetAnnotation(1, Annotation::trusted("<b>Ada</b>"))),
        (
            "set_annotation 1 <script>alert(1)</script><b onclick=x>Ada</b>",
            Event::SetAnnotation(1, Annotation::trusted("<b>Ada</b>")),
        ),
        ("remove_annotation 1", Event::RemoveAnnotation(1)),
    ] {
        assert_eq!(Scene::publishing().order(line), [Output::TellReceivers(event)], "{line}");
        assert_eq!(Scene::open().order(line), [], "{line}");
    }
    for (line, outputs) in [
        ("activate_slot 0 t0ken", vec![]),
        ("refresh_token 1 another", vec![]),
        ("edit_pin 1234", vec![Output::Janus(Wish::EditPin(crate::room::words::Secret::of("1234")))]),
    ] {
        assert_eq!(Scene::publishing().order(line), outputs, "{line}");
    }
}

#[test]
fn an_order_that_the_room_can_not_carry_out_changes_nothing() {
    for line in ["refresh_token 0 t0ken", "deactivate_slot 0", "set_bitrate_limit 0 5"] {
        let refused = Scene::open().refused(line);
        assert_eq!(refused, "slot 0 is not activated: activate_slot does that", "{line}");
    }
    let refused = Scene::publishing().refused("activate_slot 1 another Ada");
    assert_eq!(refused, "slot 1 is activated already: refresh_token gives it another token");
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
            Output::Disconnect(SocketId(1)),
            Output::Disconnect(SocketId(2)),
            Output::TellReceivers(Event::RemoveFeed(1)),
            notify("remove_feed 1"),
            Output::Janus(Wish::Kick(11)),
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
    assert_eq!(scene.room.slots().nth(1).unwrap().annotation, None);
}

#[test]
fn an_annotation_may_be_there_before_its_slot_is_open() {
    let mut scene = Scene::new();
    for line in ["set_annotation 1 Ada", "activate_slot 1 t0ken"] {
        assert_eq!(scene.order(line), []);
    }
    scene.connect(1);
    scene.init(1, &Value::Null);
    scene.say(1, "set_feed_id", &feed(11));
    scene.connect(2);
    assert_eq!(scene.state(2)["1"]["annotation"], "Ada");
}

#[test]
fn a_limit_ends_with_its_slots_activation() {
    let mut scene = Scene::open();
    for line in ["set_bitrate_limit 1 5", "deactivate_slot 1", "activate_slot 1 t0ken"] {
        scene.order(line);
    }
    assert_eq!(scene.room.slots().nth(1).unwrap().limit, BITRATE);
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
    let annotation = scene.room.slots().nth(1).unwrap().annotation;
    assert_eq!(annotation.unwrap().as_str(), "<b onclick=x>Ada</b>");
}
