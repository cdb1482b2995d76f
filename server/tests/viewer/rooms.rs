//! Rooms: who may drive them, what is refused, and what is kept. Janus is not there: nothing of this waits for it.

use crate::scene::Scene;
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use cloudtalker_server::{
    room::{
        self, Rooms,
        door::Upstream,
        hosted::{Hosted, Janus},
        janus::Client,
    },
    viewer::Reach,
};
use serde_json::{Value, json};

/// A Janus that can't be reached.
fn nowhere() -> Option<Janus> {
    Some(Janus {
        client: Client::new("http://127.0.0.1:9/janus".parse().unwrap()),
        admin_key: None,
        web_socket: Upstream::default(),
    })
}

async fn delete(scene: &Scene, path: &str, cookie: &str) -> StatusCode {
    let request = scene.request(Method::DELETE, path).header(header::COOKIE, cookie);
    scene.send(request.body(Body::empty()).unwrap()).await.status
}

#[tokio::test]
async fn rooms_are_for_people_who_are_signed_in() {
    let scene = Scene::with_janus(Reach::Loopback, nowhere()).await;
    let cookie = scene.cookie().await;
    let made = scene.post("/api/rooms", &cookie, &json!({ "name": "Lecture" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    for (method, path) in [
        (Method::GET, "/api/rooms"),
        (Method::POST, "/api/rooms"),
        (Method::GET, "/api/rooms/1000"),
        (Method::DELETE, "/api/rooms/1000"),
        (Method::POST, "/api/rooms/1000/pin"),
        (Method::POST, "/api/rooms/1000/slots/0/activate"),
    ] {
        let request = scene.request(method.clone(), path).body(Body::empty()).unwrap();
        assert_eq!(scene.send(request).await.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
}

#[tokio::test]
async fn a_room_is_driven_and_pages_follow() {
    let scene = Scene::with_janus(Reach::Loopback, nowhere()).await;
    let cookie = scene.cookie().await;
    let mut events = scene.events(&cookie).await;
    let made =
        scene.post("/api/rooms", &cookie, &json!({ "name": " Lecture ", "slots": 2, "pin": "1234" })).await;
    let room = made.json();
    assert_eq!(
        (&room["number"], &room["name"], &room["pin"]),
        (&json!(1000), &json!("Lecture"), &json!("1234"))
    );
    assert_eq!(room["kept"], false);
    let told = events.next("room").await;
    assert_eq!((&told["number"], &told["slots"]), (&room["number"], &room["slots"]));
    let again = scene.get("/api/rooms/1000", &cookie).await.json();
    assert!(again["as_of"].as_u64().unwrap() > told["as_of"].as_u64().unwrap(), "{again}");
    // Its Janus is soon known to be away.
    let mut trouble = told["trouble"].clone();
    while trouble != "away" {
        assert_eq!(trouble, Value::Null);
        trouble = events.next("room").await["trouble"].clone();
    }

    let act = async |action: &str, body: Value| {
        let answer = scene.post(&format!("/api/rooms/1000/slots/1/{action}"), &cookie, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{action}: {}", answer.json());
        answer.json()["slots"][1].clone()
    };
    let slot = act("activate", json!({ "annotation": "<b onclick=x>Ada</b>" })).await;
    assert_eq!(slot["annotation"], "<b>Ada</b>");
    let token = slot["token"].as_str().unwrap().to_owned();
    assert!(token.len() >= 32, "one that nobody guesses: {token}");
    // What was said of its Janus may come once more.
    while events.next("room").await["slots"][1] != slot {}
    assert_ne!(act("refresh", json!({})).await["token"], token);
    assert_eq!(act("refresh", json!({ "token": "t0ken" })).await["token"], "t0ken");
    assert_eq!(act("annotation", json!({ "html": null })).await["annotation"], Value::Null);
    assert_eq!(act("visibility", json!({ "visible": false })).await["visible"], false);
    assert_eq!(act("bitrate", json!({ "limit": 64_000 })).await["bitrate_limit"], 64_000);
    let place = json!({ "relative_to": "window", "params": ["lt", "1", "2", "30", "40"] });
    assert_eq!(act("geometry", place.clone()).await["geometry"], place);
    let answer = scene.post("/api/rooms/1000/pin", &cookie, &json!({ "pin": "4321" })).await;
    assert_eq!(answer.json()["pin"], "4321");
    let seen = |mut room: Value| {
        room["as_of"].take();
        room
    };
    assert_eq!(seen(scene.get("/api/rooms", &cookie).await.json()[0].clone()), seen(answer.json()));
    assert_eq!(seen(scene.get("/api/rooms/1000", &cookie).await.json()), seen(answer.json()));

    // As after a restart.
    let (store, bus) = (scene.server.store.clone(), scene.server.bus.clone());
    let again = Hosted::open(store, bus, Rooms::new(room::Reach::Direct), nowhere()).await.unwrap();
    again.look(1000, |room| {
        assert_eq!((room.name, room.pin), ("Lecture", "4321"));
        assert_eq!(room.slots[1].limit, 64_000);
        assert_eq!(room.slots[1].geometry.params(), ["lt", "1", "2", "30", "40"]);
    });

    assert_eq!(act("deactivate", json!({})).await["token"], Value::Null);
    assert_eq!(delete(&scene, "/api/rooms/1000", &cookie).await, StatusCode::OK);
    assert_eq!(events.next("room_gone").await, json!({ "number": 1000 }));
    assert_eq!(scene.get("/api/rooms/1000", &cookie).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_can_not_be_done_with_a_room_says_why() {
    let scene = Scene::with_janus(Reach::Loopback, nowhere()).await;
    let cookie = scene.cookie().await;
    scene.post("/api/rooms", &cookie, &json!({ "name": "Lecture", "slots": 2 })).await;
    scene.post("/api/rooms/1000/slots/1/activate", &cookie, &json!({})).await;
    for (path, body, status, message) in [
        ("/1000/slots/1/activate", json!({}), 409, "Slot 1 is activated already."),
        ("", json!({}), 422, "missing field `name`"),
        ("", json!({ "name": " " }), 422, "1 to 64 letters"),
        ("", json!({ "name": "a\nb" }), 422, "1 to 64 letters"),
        ("", json!({ "name": "a", "slots": 0 }), 422, "1 to 100 slots, but not 0"),
        ("", json!({ "name": "a", "slots": 101 }), 422, "1 to 100 slots"),
        ("", json!({ "name": "a", "pin": "1 2" }), 422, "without spaces"),
        ("", json!({ "name": "a", "bitrate": 1e12 }), 422, ""),
        ("", json!({ "name": "a", "pin": "none" }), 422, "any word but \"none\""),
        ("/1000/pin", json!({ "pin": "none" }), 422, "any word but \"none\""),
        ("/1001/pin", json!({ "pin": "1" }), 404, "There is no room 1001."),
        ("/one/pin", json!({ "pin": "1" }), 404, "nothing at this address"),
        ("/1000/pin", json!({ "pin": "" }), 422, "expected a pin"),
        ("/1000/slots/2/activate", json!({}), 404, "The room has no slot 2."),
        ("/1000/slots/-1/activate", json!({}), 404, "nothing at this address"),
        ("/1000/slots/0/dance", json!({}), 404, "nothing at this address"),
        ("/1000/slots/0/refresh", json!({}), 409, "Slot 0 is not activated."),
        ("/1000/slots/0/deactivate", json!({}), 409, "Slot 0 is not activated."),
        ("/1000/slots/0/bitrate", json!({ "limit": 5 }), 409, "Slot 0 is not activated."),
        ("/1000/slots/0/activate", json!({ "token": "a b" }), 422, "without spaces"),
        ("/1000/slots/0/activate", json!({ "token": 5 }), 422, "expected a string"),
        ("/1000/slots/0/annotation", json!({ "html": "" }), 422, "expected an annotation"),
        ("/1000/slots/0/visibility", json!({}), 422, "missing field `visible`"),
        ("/1000/slots/0/bitrate", json!({ "limit": -1 }), 422, "invalid value"),
        ("/1000/slots/0/geometry", json!({ "relative_to": "moon", "params": [] }), 422, "canvas"),
        (
            "/1000/slots/0/geometry",
            json!({ "relative_to": "canvas", "params": ["lt", "0", "0", "1", "-1"] }),
            422,
            "expected a height in pixels, but came \"-1\"",
        ),
    ] {
        let answer = scene.post(&format!("/api/rooms{path}"), &cookie, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {}", answer.json());
        let told = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(told.contains(message), "{path} {body}: {told}");
    }
    assert_eq!(delete(&scene, "/api/rooms/1001", &cookie).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_a_janus_there_are_no_rooms() {
    let scene = Scene::open(Reach::Loopback).await;
    let cookie = scene.cookie().await;
    let answer = scene.post("/api/rooms", &cookie, &json!({ "name": "Lecture" })).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.json()["message"].as_str().unwrap().contains("--janus-url"));
    assert_eq!(scene.get("/api/rooms", &cookie).await.json(), json!([]));
    assert_eq!(scene.get("/api/server", &cookie).await.json()["rooms"], false);
}

#[tokio::test]
async fn pages_learn_whether_there_can_be_rooms() {
    let scene = Scene::with_janus(Reach::Loopback, nowhere()).await;
    let cookie = scene.cookie().await;
    let about = json!({ "version": env!("CARGO_PKG_VERSION"), "rooms": true });
    assert_eq!(scene.get("/api/server", &cookie).await.json(), about);
    assert_eq!(scene.get("/api/server", "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn socket_io_takes_no_sign_in_but_the_guards_word() {
    let scene = Scene::with_janus(Reach::Loopback, nowhere()).await;
    let cookie = scene.cookie().await;
    scene.post("/api/rooms", &cookie, &json!({ "name": "Lecture" })).await;
    let opened = scene.get("/socket.io/5000?EIO=4&transport=polling", "").await;
    assert_eq!(opened.status, StatusCode::OK);
    assert!(opened.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(scene.get("/socket.io/5001?EIO=4&transport=polling", "").await.status, StatusCode::NOT_FOUND);
    let foreign = scene.request(Method::POST, "/socket.io/5000?EIO=4&transport=polling&sid=x");
    let foreign = foreign.header(header::ORIGIN, "https://evil.example").body(Body::empty()).unwrap();
    assert_eq!(scene.send(foreign).await.status, StatusCode::FORBIDDEN);
}
