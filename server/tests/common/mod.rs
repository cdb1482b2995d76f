//! The real server as a process, and cameras that talk to it.

#![allow(dead_code, reason = "each test file uses its own part")]

use bytes::Bytes;
use cloudtalker::wire::{
    Id, Sha256, Trigger,
    cloud::{CaptureEnd, ListedSegment, LostSegment, State, ToAgent, ToCloud},
    tus::{Metadata, OFFSET_OCTET_STREAM},
};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, client::conn::http1, header::HeaderMap};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::CloseFrame},
};

/// Generous: it only ends a test that would hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) type Tls = TlsStream<TcpStream>;

/// A data directory, and the process that serves from it.
pub(crate) struct Serving {
    pub(crate) data: TempDir,
    pub(crate) cameras: SocketAddr,
    pub(crate) people: String,
    pub(crate) password: Option<String>,
    child: Option<Child>,
    log: Option<Receiver<String>>,
    flags: Vec<String>,
}

/// A camera that was added.
#[derive(Clone)]
pub(crate) struct Camera {
    pub(crate) address: SocketAddr,
    tls: Arc<ClientConfig>,
}

/// A camera's session.
pub(crate) struct Session(WebSocketStream<Tls>);

/// An answer of HTTP, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cloudtalker-server"))
}

impl Serving {
    pub(crate) fn start() -> Serving {
        Serving::with(&[])
    }

    pub(crate) fn with(flags: &[&str]) -> Serving {
        let mut serving = Serving {
            data: tempfile::tempdir().unwrap(),
            cameras: "127.0.0.1:0".parse().unwrap(),
            people: String::new(),
            password: None,
            child: None,
            log: None,
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        };
        serving.go_on();
        serving
    }

    /// Serves, again on the port of before.
    pub(crate) fn go_on(&mut self) {
        let mut child = program()
            .args(["serve", "--web-addr", "127.0.0.1:0", "--log-level", "debug", "--camera-addr"])
            .arg(self.cameras.to_string())
            .arg("--data")
            .arg(self.data.path())
            .args(&self.flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.log = Some(logged(child.stderr.take().unwrap()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut value = |name: &str| {
            let line = lines.next().expect("the server says where it listens").unwrap();
            line.strip_prefix(name).unwrap_or_else(|| panic!("expected {name:?}, not {line:?}")).to_owned()
        };
        let port = value("cameras: https://").rsplit(':').next().unwrap().parse().unwrap();
        self.cameras = SocketAddr::new(self.cameras.ip(), port);
        self.people = value("people: ");
        if self.password.is_none() {
            self.password = Some(value("password: "));
        }
        self.child = Some(child);
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it serves");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn id(&self) -> i32 {
        self.child.as_ref().expect("it serves").id().try_into().unwrap()
    }

    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let id = nix::unistd::Pid::from_raw(self.id());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.take().expect("it serves").wait().unwrap()
    }

    /// A command on this data directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        self.commanding(arguments).output().unwrap()
    }

    pub(crate) fn commanding(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).arg("--data").arg(self.data.path());
        command
    }

    /// A command that must succeed; what it prints.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// A command while the test's own camera has something to do, too.
    pub(crate) async fn command_beside(&self, arguments: &[&str]) -> tokio::task::JoinHandle<Output> {
        let mut command = self.commanding(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    pub(crate) fn captures(&self) -> Vec<Value> {
        let Value::Array(list) = self.json(&["captures", "list", "--json"]) else {
            panic!("expected an array")
        };
        list
    }

    /// The next line of its log that has this text.
    pub(crate) fn logged(&self, wanted: &str) -> String {
        let lines = self.log.as_ref().expect("it served");
        loop {
            let line = lines.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("no line with {wanted:?}"));
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// Changes what the database holds, while nobody serves: as if time had passed.
    pub(crate) async fn rewrite(&self, statement: &'static str) {
        assert!(self.child.is_none(), "it serves");
        let options = SqliteConnectOptions::new().filename(self.data.path().join("cloudtalker.db"));
        let mut database = options.connect().await.unwrap();
        assert!(sqlx::query(statement).execute(&mut database).await.unwrap().rows_affected() > 0);
        database.close().await.unwrap();
    }

    pub(crate) fn add(&self, name: &str) -> Camera {
        let out = tempfile::tempdir().unwrap();
        self.ok(&["camera", "add", name, "--out", out.path().to_str().unwrap()]);
        Camera::of(self.cameras, out.path(), name)
    }
}

/// The lines of a log, which go on to the test's own.
fn logged(stderr: ChildStderr) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            eprintln!("{line}");
            let _ = sender.send(line);
        }
    });
    lines
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Camera {
    pub(crate) fn of(address: SocketAddr, dir: &Path, name: &str) -> Camera {
        let certificate = CertificateDer::from_pem_file(dir.join(format!("{name}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(dir.join(format!("{name}-key.pem"))).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
        // Original clients speak 1.2 alone; agents' tests cover 1.3.
        let versions =
            if name.starts_with("original") { &[&rustls::version::TLS12] } else { rustls::ALL_VERSIONS };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)
            .unwrap();
        Camera { address, tls: Arc::new(tls) }
    }

    pub(crate) async fn connect(&self) -> Tls {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(self.tls.clone()).connect(name, stream).await.unwrap()
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("Host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let answer =
            timeout(DEADLINE, sender.send_request(request)).await.expect("an answer in time").unwrap();
        Answer::of(answer).await
    }

    /// A request that may be refused before there is an answer.
    pub(crate) async fn try_request(&self) -> Result<StatusCode, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request =
            Request::builder().uri("/").header("Host", "localhost").body(Full::new(Bytes::new()))?;
        Ok(timeout(DEADLINE, sender.send_request(request)).await??.status())
    }

    pub(crate) async fn tus(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut all = vec![("Tus-Resumable", "1.0.0")];
        all.extend_from_slice(headers);
        self.request(method, path, &all, body).await
    }

    pub(crate) async fn create(&self, metadata: &str, length: usize) -> Answer {
        let length = length.to_string();
        self.tus("POST", "/uploads/", &[("Upload-Length", &length), ("Upload-Metadata", metadata)], &[]).await
    }

    pub(crate) async fn patch(&self, path: &str, offset: usize, body: &[u8]) -> Answer {
        let offset = offset.to_string();
        let headers = [("Upload-Offset", offset.as_str()), ("Content-Type", OFFSET_OCTET_STREAM)];
        self.tus("PATCH", path, &headers, body).await
    }

    pub(crate) async fn offset(&self, path: &str) -> Result<usize, StatusCode> {
        let answer = self.tus("HEAD", path, &[], &[]).await;
        if answer.status.is_success() { Ok(answer.number("Upload-Offset")) } else { Err(answer.status) }
    }

    /// Uploads a segment as the agent does.
    pub(crate) async fn upload(&self, metadata: &Metadata, bytes: &[u8]) {
        let created = self.create(&metadata.to_string(), bytes.len()).await;
        assert_eq!(created.status, 201, "{created:?}");
        let path = created.location();
        if self.offset(&path).await.unwrap() < bytes.len() {
            let patched = self.patch(&path, 0, bytes).await;
            assert_eq!(patched.status, 204, "{patched:?}");
        }
    }

    pub(crate) async fn upgrade(&self) -> Result<Session, tokio_tungstenite::tungstenite::Error> {
        let stream = self.connect().await;
        let (socket, _) = tokio_tungstenite::client_async("wss://localhost/ds/v3", stream).await?;
        Ok(Session(socket))
    }

    /// A session of an agent that has said its state and heard the hello.
    pub(crate) async fn session(&self) -> Session {
        let mut session = self.upgrade().await.unwrap();
        session.state(false).await;
        assert_eq!(session.next().await, ToAgent { receipts: Some(true), ..ToAgent::default() });
        session
    }
}

impl Session {
    pub(crate) async fn say(&mut self, message: &ToCloud) {
        self.text(&message.to_text()).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        self.0.feed(Message::binary(bytes.to_vec())).await.unwrap();
    }

    pub(crate) async fn state(&mut self, armed: bool) {
        let state = State { pir_armed: armed, version: Some("0.1.0".into()), ..State::default() };
        self.say(&ToCloud::State(state)).await;
    }

    /// The next message of the cloud.
    pub(crate) async fn next(&mut self) -> ToAgent {
        loop {
            match timeout(DEADLINE, self.0.next()).await.expect("a message in time") {
                Some(Ok(Message::Text(text))) => return ToAgent::parse(&text).unwrap().0,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("expected a message, not {other:?}"),
            }
        }
    }

    /// Waits until the server has heard all that was said until now.
    pub(crate) async fn heard(&mut self) {
        self.0.send(Message::Ping(Bytes::from_static(b"heard?"))).await.unwrap();
        loop {
            match timeout(DEADLINE, self.0.next()).await.expect("a pong in time") {
                Some(Ok(Message::Pong(payload))) if payload == b"heard?".as_slice() => return,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("expected a pong, not {other:?}"),
            }
        }
    }

    /// Nothing but what was expected was said until now: the receipt of a new alarm comes next.
    pub(crate) async fn nothing_else(&mut self) {
        let id = Id(0x00a1_a230);
        self.text(&format!(r#"{{"type":"alarm","trigger_timestamp":1,"id":"{id}"}}"#)).await;
        let receipt = cloudtalker::wire::cloud::Receipt::Alarm { alarm: id };
        assert_eq!(self.next().await, ToAgent { receipt: Some(receipt), ..ToAgent::default() });
    }

    /// The code with which the server closes the session.
    pub(crate) async fn closed(&mut self) -> u16 {
        self.goodbye().await.code.into()
    }

    /// The code and the reason with which the server closes the session.
    pub(crate) async fn goodbye(&mut self) -> CloseFrame {
        loop {
            match timeout(DEADLINE, self.0.next()).await.expect("a close in time") {
                Some(Ok(Message::Close(Some(frame)))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("expected a close, not {other:?}"),
            }
        }
    }

    /// Goes away without a word.
    pub(crate) fn drop_connection(self) {}

    /// Closes, and waits until the server has, too.
    pub(crate) async fn close(mut self) {
        self.0.close(None).await.unwrap();
        let mut answered = false;
        while let Some(Ok(message)) = timeout(DEADLINE, self.0.next()).await.expect("a close in time") {
            answered |= message.is_close();
        }
        assert!(answered, "a goodbye is answered");
    }
}

impl Answer {
    async fn of(answer: Response<hyper::body::Incoming>) -> Answer {
        let (parts, body) = answer.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} in {self:?}")).to_str().unwrap()
    }

    pub(crate) fn number(&self, name: &str) -> usize {
        self.header(name).parse().unwrap()
    }

    /// The path of the Location.
    pub(crate) fn location(&self) -> String {
        let location = self.header("Location");
        location.strip_prefix("https://localhost").unwrap_or_else(|| panic!("{location}")).to_owned()
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(::ring::digest::digest(&::ring::digest::SHA256, bytes).as_ref().try_into().unwrap())
}

/// Bytes that look random and are the same for the same seed (xorshift).
pub(crate) fn seeded(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

pub(crate) fn metadata(capture: u64, seg_no: u32, bytes: &[u8]) -> Metadata {
    Metadata {
        filename: format!("pir.1529842538.{seg_no}.mp4"),
        capture: Some(Id(capture)),
        trigger: Trigger::Pir,
        trigger_timestamp: 1_529_842_538,
        seg_no,
        sha256: Some(sha256(bytes)),
    }
}

pub(crate) fn end(capture: u64, segments: &[(u32, &[u8])], lost: &[(u32, &str)]) -> ToCloud {
    let listed = segments.iter().map(|&(seg_no, bytes)| ListedSegment {
        seg_no,
        bytes: bytes.len() as u64,
        sha256: sha256(bytes),
    });
    let lost = lost.iter().map(|&(seg_no, reason)| LostSegment { seg_no, reason: reason.into() });
    ToCloud::CaptureEnd(CaptureEnd {
        trigger_timestamp: 1_529_842_538,
        trigger: Trigger::Pir,
        capture: Some(Id(capture)),
        segments: Some(listed.collect()),
        lost: lost.collect(),
    })
}
