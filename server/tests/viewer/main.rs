//! The people's side: who gets in, what every answer carries, and what is to be had.

#![allow(clippy::unwrap_used, reason = "a failed step of the scenery fails the test")]

mod rooms;
mod scene;

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use cloudtalker::wire::command::Command;
use cloudtalker_server::{
    bus::Event,
    commands::Commanded,
    store::{RequestState, StateReport, unix_now},
    viewer::{self, Reach},
};
use scene::Scene;
use serde_json::{Value, json};

const OFF_CLOCK: u64 = 35;

#[tokio::test]
async fn everything_under_api_wants_a_sign_in_whether_it_is_there_or_not() {
    let scene = Scene::open(Reach::Loopback).await;
    let porch = scene.camera("porch").await;
    scene.complete_capture(porch, unix_now(), b"video").await;
    for (method, path) in [
        (Method::GET, "/api/cameras"),
        (Method::POST, "/api/cameras/porch/command"),
        (Method::GET, "/api/captures"),
        (Method::GET, "/api/captures/1"),
        (Method::GET, "/api/captures/1/video"),
        (Method::HEAD, "/api/captures/1/video"),
        (Method::GET, "/api/captures/1/segments/0"),
        (Method::GET, "/api/events"),
        (Method::GET, "/api/session"),
        (Method::DELETE, "/api/session"),
        (Method::GET, "/api/"),
        (Method::GET, "/api/nothing"),
        (Method::PUT, "/api/captures/../nothing"),
    ] {
        for cookie in ["", "cloudtalker=", "cloudtalker=0123456789abcdef"] {
            let request = scene.request(method.clone(), path).header(header::COOKIE, cookie);
            let answer = scene.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {cookie}");
        }
    }
}

#[tokio::test]
async fn a_password_signs_in_until_signed_out() {
    let scene = Scene::open(Reach::Loopback).await;
    assert_eq!(scene.sign_in("another").await.status, StatusCode::UNAUTHORIZED);

    let answer = scene.sign_in(&scene.password).await;
    let set = answer.header("set-cookie");
    assert!(
        set.starts_with("cloudtalker=") && set.contains("HttpOnly") && set.contains("SameSite=Strict"),
        "{set}"
    );
    assert!(!set.contains("Secure"), "browsers would not keep it for plain HTTP: {set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    assert_eq!(scene.get("/api/cameras", &cookie).await.status, StatusCode::OK);

    let other = scene.cookie().await;
    let request = scene.request(Method::DELETE, "/api/session").header(header::COOKIE, &cookie);
    assert_eq!(scene.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
    assert_eq!(scene.get("/api/cameras", &cookie).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.get("/api/cameras", &other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_new_password_replaces_the_old_and_signs_everybody_out() {
    let scene = Scene::open(Reach::Loopback).await;
    let cookie = scene.cookie().await;
    let password = viewer::new_password(&scene.server.store).await.unwrap();
    assert_eq!(scene.get("/api/cameras", &cookie).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.sign_in(&scene.password).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.sign_in(&password).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_cookie_over_https_stays_with_its_host() {
    let scene = Scene::open(Reach::Tls).await;
    let answer = scene.sign_in(&scene.password).await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-cloudtalker=") && set.contains("; Secure"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    assert_eq!(scene.get("/api/cameras", &cookie).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_has_the_policy() {
    let scene = Scene::open(Reach::Loopback).await;
    let porch = scene.camera("porch").await;
    scene.complete_capture(porch, unix_now(), b"video").await;
    let cookie = scene.cookie().await;
    let page = scene.get("/", "").await;
    let tag = page.header("etag");
    let plain = |method, path| scene.request(method, path);
    let signed_in = |method, path| scene.request(method, path).header(header::COOKIE, &cookie);
    for (expected, request) in [
        (StatusCode::OK, plain(Method::GET, "/")),
        (StatusCode::OK, plain(Method::GET, "/app.js")),
        (StatusCode::NOT_MODIFIED, plain(Method::GET, "/").header(header::IF_NONE_MATCH, tag)),
        (StatusCode::PERMANENT_REDIRECT, plain(Method::GET, "/index.html")),
        (StatusCode::NOT_FOUND, plain(Method::GET, "/nothing")),
        (StatusCode::METHOD_NOT_ALLOWED, plain(Method::POST, "/")),
        (StatusCode::UNAUTHORIZED, plain(Method::GET, "/api/cameras")),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, plain(Method::POST, "/api/session")),
        (
            StatusCode::FORBIDDEN,
            plain(Method::POST, "/api/session").header(header::ORIGIN, "https://evil.example"),
        ),
        (StatusCode::OK, signed_in(Method::GET, "/api/cameras")),
        (StatusCode::BAD_REQUEST, signed_in(Method::GET, "/api/captures?limit=many")),
        (StatusCode::NOT_FOUND, signed_in(Method::GET, "/api/nothing")),
        (StatusCode::NOT_FOUND, signed_in(Method::GET, "/api/captures/99/video")),
        (StatusCode::METHOD_NOT_ALLOWED, signed_in(Method::PUT, "/api/cameras")),
        (StatusCode::OK, signed_in(Method::GET, "/api/captures/1/video")),
        (
            StatusCode::PARTIAL_CONTENT,
            signed_in(Method::GET, "/api/captures/1/video").header("range", "bytes=1-2"),
        ),
        (
            StatusCode::RANGE_NOT_SATISFIABLE,
            signed_in(Method::GET, "/api/captures/1/video").header("range", "bytes=9-"),
        ),
    ] {
        let answer = scene.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, expected);
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{expected}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{expected}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{expected}");
        assert!(answer.headers.contains_key("referrer-policy"), "{expected}");
        assert!(answer.headers.contains_key("cache-control"), "{expected}");
    }
}

#[tokio::test]
async fn a_foreign_name_for_loopback_gets_nothing() {
    let scene = Scene::open(Reach::Loopback).await;
    for path in ["/", "/api/cameras"] {
        let request = axum::http::Request::get(path).header(header::HOST, "evil.example");
        let answer = scene.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn another_sites_page_can_not_command_a_camera() {
    let scene = Scene::open(Reach::Loopback).await;
    let porch = scene.camera("porch").await;
    let cookie = scene.cookie().await;
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:1")]
    {
        let request =
            scene.request(Method::POST, "/api/cameras/porch/command").header(header::COOKIE, &cookie);
        let request = request.header(header::CONTENT_TYPE, "application/json").header(name, value);
        let answer = scene.send(request.body(r#"{"command":"arm"}"#.into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    assert_eq!(scene.server.store.camera(porch).await.unwrap().unwrap().wanted_armed, None);
}

#[tokio::test]
async fn captures_come_newest_first_page_by_page() {
    let scene = Scene::open(Reach::Loopback).await;
    let (porch, garden) = (scene.camera("porch").await, scene.camera("garden").await);
    let cookie = scene.cookie().await;
    for camera in [porch, garden, porch, garden, porch] {
        scene.begin_capture(camera, unix_now(), &[b"one"]).await;
    }
    let ids = |answer: &scene::Answer| -> Vec<String> {
        answer
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|capture| capture["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = scene.get("/api/captures?limit=3", &cookie).await;
    assert_eq!(ids(&first), ["5", "4", "3"]);
    let link = first.header("link");
    let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    let second = scene.get(next, &cookie).await;
    assert_eq!(ids(&second), ["2", "1"]);
    assert!(!second.headers.contains_key("link"));

    let of_porch = scene.get("/api/captures?camera=porch&limit=2", &cookie).await;
    assert_eq!(ids(&of_porch), ["5", "3"]);
    assert_eq!(of_porch.header("link"), "</api/captures?before=3&limit=2&camera=porch>; rel=\"next\"");
    assert!(ids(&scene.get("/api/captures?camera=attic", &cookie).await).is_empty());
}

#[tokio::test]
async fn a_capture_says_when_it_was_recorded_and_where_its_videos_are() {
    let scene = Scene::open(Reach::Loopback).await;
    let porch = scene.camera("porch").await;
    let cookie = scene.cookie().await;
    let now = unix_now();
    scene.complete_capture(porch, now - 60, b"video").await;
    scene.broken_capture(porch, OFF_CLOCK, &[b"one"]).await;
    let captures = scene.get("/api/captures", &cookie).await.json();
    let (broken, complete) = (&captures[0], &captures[1]);
    assert_eq!(complete["state"], "complete");
    assert_eq!(complete["video"], "/api/captures/1/video");
    assert_eq!((&complete["shown_at"], &complete["clock_is_off"]), (&json!(now - 60), &json!(false)));
    assert_eq!(complete["joined"], json!({ "bytes": 5, "duration_s": 1.5 }));

    assert_eq!((&broken["state"], &broken["video"]), (&json!("broken"), &Value::Null));
    assert_eq!(broken["error"], "segment 2 is lost: evicted");
    assert_eq!(broken["clock_is_off"], true);
    assert!(broken["shown_at"].as_u64().unwrap() >= now);
    assert_eq!(broken["trigger_timestamp"], OFF_CLOCK);
    let part = json!({ "seg_no": 0, "url": "/api/captures/2/segments/0", "type": "video/mp4" });
    assert_eq!(broken["parts"], json!([part]));
    assert_eq!(scene.get("/api/captures/2", &cookie).await.json(), *broken);
}

#[tokio::test]
async fn a_video_comes_whole_or_by_ranges() {
    let scene = Scene::open(Reach::Loopback).await;
    let porch = scene.camera("porch").await;
    let cookie = scene.cookie().await;
    let video: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    scene.complete_capture(porch, 1_795_294_923, &video).await;
    let path = "/api/captures/1/video";
    let ask = async |headers: &[(&str, &str)]| {
        let request = scene.request(Method::GET, path).header(header::COOKIE, &cookie);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        scene.send(request.body(Body::empty()).unwrap()).await
    };

    let whole = ask(&[]).await;
    assert_eq!((whole.status, &whole.body[..]), (StatusCode::OK, &video[..]));
    assert_eq!((whole.header("content-type"), whole.header("accept-ranges")), ("video/mp4", "bytes"));
    assert_eq!(whole.header("content-disposition"), "inline; filename=\"porch-20261121T210203Z.mp4\"");
    let tag = whole.header("etag");

    let part = ask(&[("range", "bytes=70000-")]).await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &video[70_000..]));
    assert_eq!(part.header("content-range"), "bytes 70000-99999/100000");
    assert_eq!(part.header("content-length"), "30000");

    let part = ask(&[("range", "bytes=5-9"), ("if-range", tag)]).await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &video[5..10]));
    assert_eq!(ask(&[("range", "bytes=5-9"), ("if-range", "\"old\"")]).await.status, StatusCode::OK);
    let beyond = ask(&[("range", "bytes=100000-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.header("content-range"), "bytes */100000");
    assert_eq!(ask(&[("if-none-match", tag)]).await.status, StatusCode::NOT_MODIFIED);

    let request = scene.request(Method::HEAD, path).header(header::COOKIE, &cookie);
    let head = scene.send(request.header("range", "bytes=5-9").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), "100000");
}

#[tokio::test]
async fn a_broken_capture_is_had_segment_by_segment() {
    let scene = Scene::open(Reach::Loopback).await;
    let porch = scene.camera("porch").await;
    let cookie = scene.cookie().await;
    let transport_stream = [0x47; 400];
    scene.broken_capture(porch, unix_now(), &[b"one", &transport_stream, b""]).await;

    let one = scene.get("/api/captures/1/segments/0", &cookie).await;
    assert_eq!((one.status, &one.body[..]), (StatusCode::OK, &b"one"[..]));
    assert_eq!(one.header("etag"), format!("\"{}\"", scene::digest(b"one")));
    let two = scene.get("/api/captures/1/segments/1", &cookie).await;
    assert_eq!(two.header("content-type"), "video/mp2t");
    let empty = scene.get("/api/captures/1/segments/2", &cookie).await;
    assert_eq!((empty.status, empty.body.len()), (StatusCode::OK, 0));
    for path in
        ["/api/captures/1/video", "/api/captures/1/segments/3", "/api/captures/2", "/api/captures/x/video"]
    {
        let answer = scene.get(path, &cookie).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json()["ok"], false, "{path}");
    }
}

#[tokio::test]
async fn a_command_says_what_will_come_of_it() {
    let scene = Scene::open(Reach::Loopback).await;
    let porch = scene.camera("porch").await;
    let cookie = scene.cookie().await;
    let path = "/api/cameras/porch/command";

    let arm = scene.post(path, &cookie, &json!({ "command": "arm" })).await.json();
    assert_eq!(arm["message"], "porch is offline. It will watch for motion as soon as it is back.");
    assert_eq!(scene.get("/api/cameras", &cookie).await.json()[0]["wanted_armed"], true);

    let capture = scene.post(path, &cookie, &json!({ "command": "capture" })).await.json();
    assert_eq!(
        capture["message"],
        "porch is offline. It will record if it is back within 60 seconds; then the request lapses."
    );
    let waiting = scene.server.store.waiting_requests(porch).await.unwrap();
    assert_eq!(json!(waiting), json!([capture["request"]]));

    scene.server.store.session_began(porch, "session", unix_now()).await.unwrap();
    let capture = scene.post(path, &cookie, &json!({ "command": "capture" })).await.json();
    assert_eq!(
        (&capture["ok"], &capture["message"]),
        (&json!(true), &json!("porch is asked for a capture."))
    );

    let nobody = scene.post("/api/cameras/attic/command", &cookie, &json!({ "command": "arm" })).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let nonsense = scene.post(path, &cookie, &json!({ "command": "explode" })).await;
    assert_eq!(nonsense.status, StatusCode::BAD_REQUEST);
    assert_eq!(scene.post(path, &cookie, &json!({})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn events_tell_what_happens() {
    let scene = Scene::open(Reach::Loopback).await;
    let porch = scene.camera("porch").await;
    let cookie = scene.cookie().await;
    let mut events = scene.events(&cookie).await;

    let capture = scene.complete_capture(porch, unix_now(), b"video").await;
    // An event tells what is when it is sent, which may be more than what it was for.
    let mut told = events.next("capture").await;
    while told["state"] == "open" {
        told = events.next("capture").await;
    }
    assert_eq!((&told["id"], &told["state"]), (&json!(capture), &json!("complete")));
    assert_eq!(told["video"], "/api/captures/1/video");

    scene.server.store.session_began(porch, "session", unix_now()).await.unwrap();
    let state = StateReport { armed: true, version: Some("1.2.3") };
    scene.server.store.set_state(porch, state).await.unwrap();
    scene
        .server
        .store
        .set_report(porch, r#"{"backlog":{"captures":2,"segments":5,"bytes":7}}"#)
        .await
        .unwrap();
    scene.server.bus.tell(Event::Camera(porch));
    let camera = events.next("camera").await;
    assert_eq!((&camera["online"], &camera["armed"]), (&json!(true), &json!(true)));
    assert_eq!((&camera["version"], &camera["report"]["backlog"]["captures"]), (&json!("1.2.3"), &json!(2)));

    assert!(scene.server.store.add_alarm(porch, "a1", OFF_CLOCK, None, unix_now()).await.unwrap());
    scene.server.bus.tell(Event::Alarm(porch));
    assert!(events.next("alarm").await["last_alarm"].is_u64());

    let Commanded::Requested(request) = scene.server.command(porch, Command::Capture).await.unwrap() else {
        panic!("a capture is a request");
    };
    scene.server.settle_request(porch, &request, RequestState::Delivered).await.unwrap();
    let settled = json!({ "camera": "porch", "request": request, "state": "delivered" });
    assert_eq!(events.next("request").await, settled);

    scene.server.bus.tell_gone(vec![capture]);
    assert_eq!(events.next("gone").await, json!({ "ids": [capture] }));

    scene.server.bus.tell(Event::CameraRemoved(porch));
    assert_eq!(events.next("reload").await, json!({}));
}

#[tokio::test]
async fn events_end_with_the_sign_in() {
    let scene = Scene::open(Reach::Loopback).await;
    let porch = scene.camera("porch").await;
    let cookie = scene.cookie().await;
    let mut events = scene.events(&cookie).await;
    assert!(events.more().await, "the greeting");
    let request = scene.request(Method::DELETE, "/api/session").header(header::COOKIE, &cookie);
    scene.send(request.body(Body::empty()).unwrap()).await;
    scene.server.bus.tell(Event::Camera(porch));
    assert!(!events.more().await);
}

#[tokio::test]
async fn a_stranger_who_guesses_does_not_keep_others_out() {
    let scene = Scene::open(Reach::Proxy).await;
    let attempt = async |from: &str, password: &str| {
        let request = scene.request(Method::POST, "/api/session").header("x-forwarded-for", from);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        scene.send(request.body(json!({ "password": password }).to_string().into()).unwrap()).await.status
    };
    let guesses = futures_util::future::join_all((0..10).map(|_| attempt("192.0.2.1", "guess")));
    let (guesses, owner) = tokio::join!(guesses, attempt("192.0.2.2", &scene.password));
    assert_eq!(owner, StatusCode::OK);
    assert!(
        guesses.contains(&StatusCode::TOO_MANY_REQUESTS) && !guesses.contains(&StatusCode::OK),
        "{guesses:?}"
    );
}
