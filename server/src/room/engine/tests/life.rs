//! What ends: Janus' memory, the room, a guesser's luck.

use super::*;

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
    assert_eq!(scene.handle(Input::Tick), [answer(1, Refusal::WrongToken.into())]);
    assert_eq!(scene.room.deadline(), None);
}

#[test]
fn nothing_but_a_wrong_token_counts_as_a_guess() {
    let mut scene = Scene::open();
    scene.connect(1);
    for (data, refusal) in [
        (json!({ "slot": 0, "token": "guess" }), Refusal::SlotClosed),
        (json!({ "slot": 9, "token": "guess" }), Refusal::NoSuchSlot),
        (json!({ "slot": 1 }), Refusal::NoToken),
    ] {
        for _ in 0..30 {
            assert_eq!(scene.say(1, "sender_init", &data), [answer(1, refusal.into())]);
        }
    }
    let outputs = scene.say(1, "sender_init", &json!({ "slot": 1, "token": "guess" }));
    assert_eq!(outputs, [answer(1, Refusal::WrongToken.into())], "at once");
}

#[test]
fn who_guesses_faster_than_answers_come_is_disconnected_alone() {
    let mut scene = Scene::open();
    scene.connect(1);
    scene.connect(2);
    let wrong = json!({ "slot": 1, "token": "guess" });
    let guesses: Vec<_> = (0..37).map(|_| scene.say(1, "sender_init", &wrong)).collect();
    assert_eq!(guesses[19], [answer(1, Refusal::WrongToken.into())]);
    assert!(guesses[20..36].iter().all(Vec::is_empty), "they wait");
    assert_eq!(guesses[36], [Output::Disconnect(SocketId(1))]);
    assert_eq!(scene.state(2), json!({}));
}

#[test]
fn a_guess_that_wants_no_answer_counts_as_one_that_waits() {
    let mut scene = Scene::open();
    scene.connect(1);
    let wrong = json!({ "slot": 1, "token": "guess" });
    let ended =
        (0..100).position(|_| scene.mutter(1, "sender_init", &wrong) == [Output::Disconnect(SocketId(1))]);
    assert_eq!(ended, Some(36));
}

#[test]
fn a_guesser_gains_nothing_by_coming_back() {
    let mut scene = Scene::open();
    scene.connect(1);
    let wrong = json!({ "slot": 1, "token": "guess" });
    (0..37).for_each(|_| drop(scene.mutter(1, "sender_init", &wrong)));
    scene.handle(Input::Disconnected(SocketId(1)));
    let from = IpAddr::from([192, 0, 2, 1]);
    scene.handle(Input::Connected(SocketId(9), from));
    assert_eq!(
        scene.say(9, "sender_init", &wrong),
        [Output::Disconnect(SocketId(9))],
        "nothing more may wait"
    );
    scene.handle(Input::Connected(SocketId(10), from));
    let heard = (0..100)
        .position(|_| scene.say(10, "query_state", &Value::Null) == [Output::Disconnect(SocketId(10))]);
    assert_eq!(heard, Some(20), "most of what it may say is spent");
    scene.handle(Input::Connected(SocketId(11), from));
    let outputs = scene.say(11, "sender_init", &json!({ "slot": 1, "token": "t0ken" }));
    assert!(message(&outputs).0, "the right one never waits");
    scene.now += Duration::from_secs(60);
    assert_eq!(scene.handle(Input::Tick), [], "nobody is told what he is not there to hear");
    assert_eq!(scene.room.deadline(), None);
}

#[test]
fn a_wrong_token_undoes_the_right_one_before_it() {
    let mut scene = Scene::publishing();
    let outputs = scene.say(1, "sender_init", &json!({ "slot": 1, "token": "guess" }));
    let refused = answer(1, Refusal::WrongToken.into());
    assert_eq!(outputs, [Output::TellReceivers(Event::RemoveFeed(1)), notify("remove_feed 1"), refused]);
    let outputs = scene.say(1, "set_bitrate_limit", &json!({ "bitrateLimit": 5 }));
    assert_eq!(outputs, [answer(1, Refusal::NotInitialised.into())]);
    assert_eq!(scene.receivers(), [1]);
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
fn what_is_no_event_counts_as_one() {
    let mut scene = Scene::open();
    scene.connect(1);
    let ended =
        (0..1000).position(|_| scene.say(1, "dance", &Value::Null) == [Output::Disconnect(SocketId(1))]);
    assert_eq!(ended, Some(200));
}

#[test]
fn a_feed_from_before_janus_kept_the_room_is_asked_for_again() {
    let mut scene = Scene::publishing_with(&json!("mine"));
    let outputs = scene.handle(Input::JanusKept);
    let forgotten = [Output::TellReceivers(Event::RemoveAllFeeds), notify("remove_feed 1")];
    assert_eq!(outputs[..2], forgotten);
    assert_eq!(outputs[2..], [Output::Tell(SocketId(1), Event::PublishAgain)]);
}

#[test]
fn last_words_of_a_socket_that_is_gone_are_not_heard() {
    let mut scene = Scene::publishing();
    scene.handle(Input::Disconnected(SocketId(1)));
    assert_eq!(scene.say(1, "set_feed_id", &feed(12)), []);
    assert_eq!(scene.handle(Input::Disconnected(SocketId(1))), []);
}
