//! A server's people's side on a real port, with cameras and captures that no camera had to send.

use axum::{
    body::{Body, Bytes},
    http::{Method, Request, Response, StatusCode, header},
};
use cloudtalker::wire::{Id, Sha256, Trigger};
use cloudtalker_server::{
    bus::Event,
    library::{CameraId, CaptureId, Identity, Joined, Listed, Lost, intake::WholeSegment},
    net::{self, Door, Stop},
    room::{
        self, Rooms,
        hosted::{Hosted, Janus},
    },
    server::{DEFAULT_QUOTA, Server, random_name},
    store::{OnConflict, Placed, unix_now},
    viewer::{self, Reach},
};
use http_body_util::BodyExt;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use ring::digest;
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

/// Nothing here takes a second; a machine under load may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose people's side listens on a port of its own.
pub(crate) struct Scene {
    pub(crate) server: Arc<Server>,
    pub(crate) password: String,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
    _dir: TempDir,
}

/// An answer with its whole body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) body: Bytes,
}

/// A stream of server-sent events.
pub(crate) struct Events {
    body: Incoming,
    read: String,
}

impl Scene {
    pub(crate) async fn open(reach: Reach) -> Scene {
        Scene::with_janus(reach, None).await
    }

    pub(crate) async fn with_janus(reach: Reach, janus: Option<Janus>) -> Scene {
        let dir = TempDir::new().unwrap();
        let server = Arc::new(Server::open(dir.path(), DEFAULT_QUOTA).await.unwrap());
        let password = viewer::first_password(&server.store).await.unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = Stop::new();
        let rooms = Rooms::new(room::Reach::Direct);
        let rooms = Hosted::open(server.store.clone(), server.bus.clone(), rooms, janus).await.unwrap();
        let router = viewer::router(server.clone(), reach, rooms);
        tokio::spawn(net::serve(listener, Door::Plain, router, stopped));
        Scene { server, password, address, _stop: stop, _dir: dir }
    }

    /// A request that names this server as its host.
    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(path).header(header::HOST, self.address.to_string())
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.begin(request).await.into_parts();
        let body = timeout(PATIENCE, body.collect()).await.expect("the answer ends").unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Answer {
        let request = self.request(Method::GET, path).header(header::COOKIE, cookie);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, cookie: &str, json: &Value) -> Answer {
        let request = self.request(Method::POST, path).header(header::COOKIE, cookie);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(json.to_string().into()).unwrap()).await
    }

    pub(crate) async fn sign_in(&self, password: &str) -> Answer {
        self.post("/api/session", "", &serde_json::json!({ "password": password })).await
    }

    /// The cookie of somebody who signed in.
    pub(crate) async fn cookie(&self) -> String {
        let answer = self.sign_in(&self.password).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    pub(crate) async fn events(&self, cookie: &str) -> Events {
        let request = self.request(Method::GET, "/api/events").header(header::COOKIE, cookie);
        let response = self.begin(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { body: response.into_body(), read: String::new() }
    }

    pub(crate) async fn camera(&self, name: &str) -> CameraId {
        let certificate = digest(name.as_bytes());
        self.server.store.add_camera(name, certificate, unix_now()).await.unwrap().unwrap()
    }

    /// A capture with these segments, which has not ended.
    pub(crate) async fn begin_capture(
        &self,
        camera: CameraId,
        timestamp: u64,
        segments: &[&[u8]],
    ) -> CaptureId {
        self.begin_of(camera, &of_agent(timestamp), segments).await
    }

    async fn begin_of(&self, camera: CameraId, identity: &Identity, segments: &[&[u8]]) -> CaptureId {
        let (capture, _) = self.server.store.begin_capture(camera, identity, unix_now()).await.unwrap();
        for (seg_no, bytes) in (0..).zip(segments) {
            let upload = random_name();
            std::fs::write(self.server.data.upload(&upload), bytes).unwrap();
            let whole = WholeSegment {
                upload: &upload,
                camera,
                identity: *identity,
                capture: Some(capture),
                on_conflict: OnConflict::Refuse,
                seg_no,
                sha256: Some(digest(bytes)),
            };
            assert_eq!(self.server.take_segment(&whole).await.unwrap(), Placed::Stored(capture));
        }
        capture
    }

    /// A capture that was joined into these bytes.
    pub(crate) async fn complete_capture(
        &self,
        camera: CameraId,
        timestamp: u64,
        joined: &[u8],
    ) -> CaptureId {
        let identity = of_agent(timestamp);
        let capture = self.begin_of(camera, &identity, &[joined]).await;
        let listed = [Listed { seg_no: 0, bytes: joined.len() as u64, sha256: digest(joined) }];
        self.server.store.end_capture(camera, &identity, &listed, &[], unix_now()).await.unwrap();
        let due = self.server.store.join_due(CaptureId(capture.0 - 1)).await.unwrap().unwrap();
        let blob = format!("joined/{capture}.mp4");
        let file = self.server.data.work().join("joined");
        std::fs::write(&file, joined).unwrap();
        self.server.blobs.put_file(&blob, &file, None).await.unwrap();
        let joined = Joined { bytes: joined.len() as u64, duration_s: 1.5, blob };
        self.server.store.join_ended(&due, Ok(&joined)).await.unwrap();
        self.server.bus.tell(Event::Capture(capture, camera));
        capture
    }

    /// A capture whose segment 2 is lost.
    pub(crate) async fn broken_capture(
        &self,
        camera: CameraId,
        timestamp: u64,
        segments: &[&[u8]],
    ) -> CaptureId {
        let identity = of_agent(timestamp);
        let capture = self.begin_of(camera, &identity, segments).await;
        let lost = [Lost { seg_no: 2, reason: "evicted".into() }];
        self.server.store.end_capture(camera, &identity, &[], &lost, unix_now()).await.unwrap();
        capture
    }

    async fn begin(&self, request: Request<Body>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        timeout(PATIENCE, sender.send_request(request)).await.expect("the answer begins").unwrap()
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A header that must be there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers));
        value.to_str().unwrap()
    }
}

impl Events {
    /// The next event of this name, past all others.
    pub(crate) async fn next(&mut self, name: &str) -> Value {
        let wanted = format!("event: {name}\n");
        loop {
            while let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.strip_prefix(&wanted).map(|event| event.strip_prefix("data: ").unwrap());
                let data = data.map(|data| serde_json::from_str(data).unwrap());
                self.read = rest.to_owned();
                if let Some(data) = data {
                    return data;
                }
            }
            assert!(self.more().await, "the stream ended before an event {name}");
        }
    }

    /// Whether there is more; what it was is forgotten where nobody asks for it.
    pub(crate) async fn more(&mut self) -> bool {
        let frame = timeout(PATIENCE, self.body.frame()).await.expect("the stream goes on or ends");
        let Some(frame) = frame else { return false };
        if let Ok(data) = frame.unwrap().into_data() {
            self.read.push_str(std::str::from_utf8(&data).unwrap());
        }
        true
    }
}

pub(crate) fn digest(bytes: &[u8]) -> Sha256 {
    Sha256(digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap())
}

/// A capture that no other is.
fn of_agent(trigger_timestamp: u64) -> Identity {
    let agent_id = Some(Id(u64::from_str_radix(&random_name()[..16], 16).unwrap()));
    Identity { agent_id, trigger: Trigger::Pir, trigger_timestamp }
}
