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
