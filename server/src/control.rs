//! Commands: one JSON line asks, one JSON line answers, and a file's bytes may follow. Before an answer that takes long
//! comes one line of what it waits for.
//!
//! While a process serves they reach it through `DIR/control.sock`; otherwise the command opens the data directory
//! itself and answers over a pair of sockets, so that there is one way to do each thing.

use crate::{
    blobs::BlobError,
    bus::Event,
    commands::{Commanded, REQUEST_LIFE},
    library::{Capture, CaptureId, Joined, State, jobs},
    pki::PkiError,
    serve::{ENDPOINT, ServeError},
    server::{DEFAULT_QUOTA, DataDir, OpenError, Server},
    store::{RequestState, StoreError, unix_now},
    viewer,
};
use cloudtalker::wire::command::Command;
use futures_util::{StreamExt, pin_mut};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fmt, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};

/// The longest question: names and ids.
const MAX_LINE: u64 = 64 << 10;
/// Commands at a time.
const MAX_COMMANDS: usize = 32;
/// How long an export waits for the capture to be joined.
const EXPORT_WAIT: Duration = Duration::from_secs(60);
/// Captures read at a time for a list.
const PAGE: u32 = 500;
/// Where cameras connect, as long as no process has served from the data directory.
const DEFAULT_PORT: u16 = 8443;

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// A new camera and its certificate.
    AddCamera {
        /// Its name.
        name: String,
    },
    /// All cameras.
    Cameras,
    /// A camera's certificate counts no more.
    RemoveCamera {
        /// Its name.
        name: String,
    },
    /// Tell a camera something.
    Command {
        /// Its name.
        name: String,
        /// `arm`, `disarm` or `capture`.
        command: String,
    },
    /// All captures.
    Captures,
    /// A capture's joined file.
    Export {
        /// Which.
        id: CaptureId,
    },
    /// Another password for people.
    NewPassword,
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The new camera's files.
    Added {
        /// Its certificate, PEM.
        certificate: String,
        /// Its key, PEM.
        key: String,
        /// The CA's certificate, PEM.
        ca: String,
        /// HOST:PORT to which it connects.
        endpoint: String,
    },
    /// Cameras or captures.
    List(Vec<Value>),
    /// Not done yet, and why: another answer follows.
    Waiting(String),
    /// Done, and what there is to say about it.
    Done(String),
    /// So many bytes follow.
    File {
        /// How many.
        bytes: u64,
    },
    /// Not done, and why.
    Failed(String),
}

/// Why something was not done. People read [`Display`](fmt::Display); what is ours alone goes to the log.
#[derive(Debug)]
enum Refusal {
    NoCamera(String),
    NameTaken(String),
    NoCommand(String),
    NoCapture(CaptureId),
    Lapsed(String),
    NobodyServes(String),
    StillOpen(CaptureId),
    Broken(CaptureId, String, Vec<String>),
    Pki(PkiError),
    Store(StoreError),
    Blob(BlobError),
}

/// Why a command got no answer.
#[derive(Debug)]
pub enum AskError {
    /// There is no server's data in the directory, and the command is no reason to begin some.
    NoData(PathBuf),
    /// The data directory can't be opened.
    Open(OpenError),
    /// The process that serves went away, or speaks another language.
    Broken(io::Error),
}

/// The control socket of the process that serves. It holds the lock: an older socket is a dead process's.
pub fn bind(data: &DataDir) -> Result<UnixListener, ServeError> {
    let path = data.control_socket();
    let bound = || {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bound().map_err(|error| ServeError::Control(path.clone(), error))
}

/// Answers commands until the process ends.
pub async fn listen(listener: UnixListener, server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(MAX_COMMANDS));
    loop {
        let place = places.clone().acquire_owned().await.expect("this semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let server = server.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(&server, stream, Mode::Serving).await {
                        log::debug!("a command went away: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                log::warn!("no command could be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Asks whoever serves from the data directory, or does it here. The answer, and the stream on which a file may
/// follow.
pub async fn ask(data: &Path, request: &Request) -> Result<(Answer, BufReader<UnixStream>), AskError> {
    let stream = match UnixStream::connect(DataDir::at(data).control_socket()).await {
        Ok(stream) => stream,
        Err(_) => answered_here(data, request).await?,
    };
    converse(stream, request).await.map_err(AskError::Broken)
}

/// What follows [`Answer::Waiting`].
pub async fn wait(stream: BufReader<UnixStream>) -> Result<(Answer, BufReader<UnixStream>), AskError> {
    next_answer(stream).await.map_err(AskError::Broken)
}

async fn converse(mut stream: UnixStream, request: &Request) -> io::Result<(Answer, BufReader<UnixStream>)> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    next_answer(BufReader::new(stream)).await
}

async fn next_answer(mut stream: BufReader<UnixStream>) -> io::Result<(Answer, BufReader<UnixStream>)> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok((serde_json::from_str(&line)?, stream))
}

/// Nobody serves: the other end of the returned stream is this very process.
async fn answered_here(data: &Path, request: &Request) -> Result<UnixStream, AskError> {
    // Adding cameras prepares a first start; for all else a directory without data is a typing error.
    if !matches!(request, Request::AddCamera { .. }) && !DataDir::at(data).is_begun() {
        return Err(AskError::NoData(data.to_owned()));
    }
    let server = Arc::new(Server::open(data, DEFAULT_QUOTA).await.map_err(AskError::Open)?);
    let (ours, theirs) = UnixStream::pair().map_err(AskError::Broken)?;
    let exports = matches!(request, Request::Export { .. });
    tokio::spawn(async move {
        // Holding the lock, no other process joins the same capture.
        let lock = exports.then(|| server.data.lock_to_serve().ok()).flatten();
        let joining = lock.is_some().then(|| tokio::spawn(jobs::run(server.clone())));
        let _ = answer(&server, theirs, Mode::Alone).await;
        if let Some(joining) = joining {
            joining.abort();
        }
    });
    Ok(ours)
}

/// Whether cameras have sessions with this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Serving,
    Alone,
}

async fn answer(server: &Arc<Server>, stream: UnixStream, mode: Mode) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(MAX_LINE).read_line(&mut line).await?;
    let mut file = None;
    let answer = match serde_json::from_str(&line) {
        Ok(Request::Export { id }) => joined(server, id).await.map(|joined| {
            let answer = Answer::File { bytes: joined.bytes };
            file = Some(joined);
            answer
        }),
        Ok(request) => done(server, &mut stream, request, mode).await,
        Err(error) => Ok(Answer::Failed(format!("the command was not understood: {error}"))),
    };
    let answer = answer.unwrap_or_else(|refusal| {
        refusal.log();
        Answer::Failed(refusal.to_string())
    });
    tell(&mut stream, &answer).await?;
    if let Some(joined) = file {
        let bytes = server.blobs.read(&joined.blob, 0..joined.bytes).await.map_err(io::Error::other)?;
        pin_mut!(bytes);
        while let Some(piece) = bytes.next().await {
            stream.write_all(&piece.map_err(io::Error::other)?).await?;
        }
    }
    stream.shutdown().await
}

async fn tell(stream: &mut BufReader<UnixStream>, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

async fn done(
    server: &Arc<Server>,
    stream: &mut BufReader<UnixStream>,
    request: Request,
    mode: Mode,
) -> Result<Answer, Refusal> {
    match request {
        Request::AddCamera { name } => added(server, &name).await,
        Request::Cameras => {
            let cameras = server.store.cameras().await?;
            Ok(Answer::List(cameras.iter().filter_map(|camera| serde_json::to_value(camera).ok()).collect()))
        }
        Request::RemoveCamera { name } => {
            let camera =
                server.store.camera_named(&name).await?.ok_or_else(|| Refusal::NoCamera(name.clone()))?;
            server.store.remove_camera(camera.id, unix_now()).await?;
            server.bus.tell(Event::CameraRemoved(camera.id));
            Ok(Answer::Done(format!("{name} is removed; its captures stay")))
        }
        Request::Command { name, command } => commanded(server, stream, name, &command, mode).await,
        Request::Captures => Ok(Answer::List(captures(server).await?)),
        Request::Export { id } => joined(server, id).await.map(|joined| Answer::File { bytes: joined.bytes }),
        Request::NewPassword => {
            let password = viewer::new_password(&server.store).await?;
            Ok(Answer::Done(format!("password: {password}")))
        }
    }
}

async fn added(server: &Server, name: &str) -> Result<Answer, Refusal> {
    let issued = server.pki.camera(name)?;
    let added = server.store.add_camera(name, issued.fingerprint, unix_now()).await?;
    let camera = added.ok_or_else(|| Refusal::NameTaken(name.to_owned()))?;
    server.bus.tell(Event::Camera(camera));
    let endpoint = server.store.setting(ENDPOINT).await?.unwrap_or_else(|| {
        let host = crate::pki::host_name().unwrap_or_else(|| "localhost".to_owned());
        format!("{host}:{DEFAULT_PORT}")
    });
    Ok(Answer::Added {
        certificate: issued.certificate,
        key: issued.key,
        ca: server.pki.ca_pem().to_owned(),
        endpoint,
    })
}

async fn commanded(
    server: &Arc<Server>,
    stream: &mut BufReader<UnixStream>,
    name: String,
    command: &str,
    mode: Mode,
) -> Result<Answer, Refusal> {
    let command = Command::from_word(command).ok_or_else(|| Refusal::NoCommand(command.to_owned()))?;
    let camera = server.store.camera_named(&name).await?.ok_or_else(|| Refusal::NoCamera(name.clone()))?;
    if command == Command::Capture && mode == Mode::Alone {
        return Err(Refusal::NobodyServes(name));
    }
    let request = match server.command(camera.id, command).await? {
        Commanded::Kept if camera.online => return Ok(Answer::Done(format!("{name} is told to {command}"))),
        Commanded::Kept => {
            return Ok(Answer::Done(format!("{name} is offline, and told to {command} when it is back")));
        }
        Commanded::Requested(request) => request,
    };
    if !camera.online {
        let why = format!("{name} is offline: waiting up to {} s", REQUEST_LIFE.as_secs());
        // Who asks may be gone; the request stands all the same.
        let _ = tell(stream, &Answer::Waiting(why)).await;
    }
    match server.request_settled(&request).await? {
        RequestState::Delivered => Ok(Answer::Done(format!("{name} is told to {command}"))),
        RequestState::Lapsed | RequestState::Waiting => Err(Refusal::Lapsed(name)),
    }
}

async fn captures(server: &Server) -> Result<Vec<Value>, StoreError> {
    let mut list = Vec::new();
    let mut before = None;
    loop {
        let page = server.store.captures(before, PAGE).await?;
        let Some(oldest) = page.last() else { return Ok(list) };
        before = Some(oldest.id);
        list.extend(page.iter().filter_map(|capture| serde_json::to_value(capture).ok()));
    }
}

/// A capture's joined file, for which it waits a while.
async fn joined(server: &Server, id: CaptureId) -> Result<Joined, Refusal> {
    let mut events = server.bus.listen();
    let settled = async {
        loop {
            let capture = server.store.capture(id).await?.ok_or(Refusal::NoCapture(id))?;
            match capture.state {
                State::Complete(joined) => return Ok(joined),
                State::Broken(ref why) => return Err(Refusal::Broken(id, why.clone(), parts(&capture))),
                State::Open => {}
            }
            let concerns = |event| match event {
                Event::Capture(changed, _) => changed == id,
                event => event == Event::Missed,
            };
            while !concerns(events.next().await) {}
        }
    };
    timeout(EXPORT_WAIT, settled).await.unwrap_or(Err(Refusal::StillOpen(id)))
}

fn parts(capture: &Capture) -> Vec<String> {
    let each = capture.segments.iter();
    each.map(|segment| format!("segment {} ({} bytes, {})", segment.seg_no, segment.bytes, segment.sha256))
        .collect()
}

impl Refusal {
    /// What people are not told the whole of.
    fn log(&self) {
        match self {
            Refusal::Store(error) => log::error!("a command failed: {error}"),
            Refusal::Blob(error) => log::error!("a command failed: {error}"),
            Refusal::NoCamera(_)
            | Refusal::NameTaken(_)
            | Refusal::NoCommand(_)
            | Refusal::NoCapture(_)
            | Refusal::Lapsed(_)
            | Refusal::NobodyServes(_)
            | Refusal::StillOpen(_)
            | Refusal::Broken(..)
            | Refusal::Pki(_) => {}
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoCamera(name) => write!(f, "there is no camera {name:?}: see `camera list`"),
            Refusal::NameTaken(name) => {
                write!(f, "there is a camera {name:?} already: remove it first, or take another name")
            }
            Refusal::NoCommand(word) => write!(f, "expected arm, disarm or capture, not {word:?}"),
            Refusal::NoCapture(id) => write!(f, "there is no capture {id}: see `captures list`"),
            Refusal::Lapsed(name) => {
                write!(f, "{name} was not there for a minute: the request for a capture lapsed")
            }
            Refusal::NobodyServes(name) => {
                write!(f, "nobody serves, so {name} can't be asked for a capture: start `serve`")
            }
            Refusal::StillOpen(id) => {
                write!(
                    f,
                    "capture {id} is not whole and joined after {} s: try again later",
                    EXPORT_WAIT.as_secs()
                )
            }
            Refusal::Broken(id, why, parts) if parts.is_empty() => {
                write!(f, "capture {id} is broken: {why}; it has no parts")
            }
            Refusal::Broken(id, why, parts) => {
                write!(f, "capture {id} is broken: {why}; its parts are {}", parts.join(", "))
            }
            Refusal::Pki(error) => error.fmt(f),
            Refusal::Store(_) => f.write_str("the database failed: see the server's log"),
            Refusal::Blob(_) => f.write_str("the store of files failed: see the server's log"),
        }
    }
}

impl From<PkiError> for Refusal {
    fn from(error: PkiError) -> Refusal {
        Refusal::Pki(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::Store(error)
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Refusal {
        Refusal::Blob(error)
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::NoData(dir) => {
                write!(f, "no server's data in {}: run serve first, or mend --data", dir.display())
            }
            AskError::Open(error) => error.fmt(f),
            AskError::Broken(error) => write!(f, "the process that serves gave no answer: {error}"),
        }
    }
}

impl std::error::Error for AskError {}
