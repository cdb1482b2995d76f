//! The server as the demo uses it: by its commands, as scripts do, and by the page's API.

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use axum::http::request::Builder;
use axum::http::{self, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::TcpStream;

use crate::child::{self, Child};

pub(crate) const CAMERA: &str = "demo";

/// The program with its data directory.
pub(crate) struct Server {
    pub(crate) program: PathBuf,
    pub(crate) data: PathBuf,
}

/// A capture, as `captures list --json` prints it.
#[derive(Deserialize)]
pub(crate) struct Capture {
    pub(crate) id: String,
    pub(crate) trigger: String,
    pub(crate) trigger_timestamp: u64,
    pub(crate) state: String,
    pub(crate) error: Option<String>,
    pub(crate) segments: Vec<Stored>,
    pub(crate) joined: Option<Joined>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Stored {
    pub(crate) seg_no: u32,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

#[derive(Deserialize)]
pub(crate) struct Joined {
    pub(crate) bytes: u64,
    pub(crate) duration_s: f64,
}

impl Server {
    /// `serve`, on ports that the system picks.
    pub(crate) fn serve(&self) -> Command {
        self.command(&["serve", "--camera-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"])
    }

    /// Adds the demo's camera; its certificate goes to `out`. Gives the arguments for its agent.
    pub(crate) async fn add_camera(&self, out: &Path) -> Result<Vec<String>, Error> {
        let mut command = self.command(&["camera", "add", CAMERA, "--out"]);
        command.arg(out);
        let printed = child::run(command).await?;
        let line = printed.lines().find_map(|line| line.split_once("cloudtalker --"));
        let Some((_, arguments)) = line else { return Err(Error::NoCommandLine(printed)) };
        Ok(format!("--{arguments}").split_whitespace().map(str::to_owned).collect())
    }

    /// Tells the demo's camera something, as its owner would.
    pub(crate) async fn tell_camera(&self, command: &str) -> Result<(), Error> {
        child::run(self.command(&["camera", "command", CAMERA, command])).await?;
        Ok(())
    }

    pub(crate) async fn captures(&self) -> Result<Vec<Capture>, Error> {
        let printed = child::run(self.command(&["captures", "list", "--json"])).await?;
        json(&printed)
    }

    /// Writes a capture's joined video to `file`.
    pub(crate) async fn export(&self, id: &str, file: &Path) -> Result<(), Error> {
        let mut command = self.command(&["captures", "export", id]);
        command.arg(file);
        child::run(command).await?;
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--data").arg(&self.data);
        command
    }
}

/// The way to the page, as the server prints it when it starts for the first time.
pub(crate) struct Page {
    pub(crate) address: SocketAddr,
    pub(crate) password: String,
}

impl Page {
    pub(crate) async fn printed_by(server: &mut Child) -> Result<Self, Error> {
        let (mut address, mut password) = (None, None);
        loop {
            let line = server.line().await?;
            if let Some((_, rest)) = line.split_once("http://") {
                let end =
                    rest.find(|it: char| !it.is_ascii_digit() && !".:".contains(it)).unwrap_or(rest.len());
                address = rest[..end].parse().ok();
            }
            if let Some((_, rest)) = line.split_once("password: ") {
                password = rest.split_whitespace().next().map(str::to_owned);
            }
            if let (Some(address), Some(password)) = (address, &password) {
                return Ok(Self { address, password: password.clone() });
            }
        }
    }

    pub(crate) async fn sign_in(&self) -> Result<Session, Error> {
        let password = json!({"password": self.password}).to_string();
        let request = Request::post("/api/session").header(CONTENT_TYPE, "application/json");
        let answer = answer(self.address, request, password).await?;
        let cookie = answer.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        let (cookie, _) = cookie.and_then(|cookie| cookie.split_once(';')).ok_or(Error::NoSession)?;
        Ok(Session { address: self.address, cookie: cookie.into() })
    }
}

/// Someone who has signed in on the page.
pub(crate) struct Session {
    address: SocketAddr,
    cookie: String,
}

impl Session {
    /// Whether the server has an alarm of the demo's camera.
    pub(crate) async fn has_alarm(&self) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Camera {
            name: String,
            last_alarm: Option<u64>,
        }
        let request = Request::get("/api/cameras").header(COOKIE, &self.cookie);
        let answer = answer(self.address, request, String::new()).await?;
        let body = answer.into_body().collect().await.map_err(Error::Http)?.to_bytes();
        let cameras: Vec<Camera> = json(&String::from_utf8_lossy(&body))?;
        Ok(cameras.iter().any(|camera| camera.name == CAMERA && camera.last_alarm.is_some()))
    }
}

/// Makes one request on a connection of its own.
async fn answer(address: SocketAddr, request: Builder, body: String) -> Result<Response<Incoming>, Error> {
    let request = request.header(HOST, address.to_string()).body(body).map_err(Error::Request)?;
    let stream = TcpStream::connect(address).await.map_err(Error::Connection)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::Http)?;
    tokio::spawn(connection);
    let path = request.uri().path().to_owned();
    let answer = sender.send_request(request).await.map_err(Error::Http)?;
    let status = answer.status();
    if status.is_success() { Ok(answer) } else { Err(Error::Status { path, status }) }
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Json(text.into(), error))
}

#[derive(Debug)]
pub(crate) enum Error {
    /// The server or one of its commands.
    Child(child::Error),
    /// The page could not be connected to.
    Connection(io::Error),
    /// The page's connection broke.
    Http(hyper::Error),
    /// What should be JSON of a known form is not.
    Json(String, serde_json::Error),
    /// `camera add` printed no command line for the agent.
    NoCommandLine(String),
    /// Signing in gave no cookie.
    NoSession,
    /// A request could not be put together.
    Request(http::Error),
    /// The page refused a request.
    Status { path: String, status: StatusCode },
}

impl From<child::Error> for Error {
    fn from(error: child::Error) -> Self {
        Self::Child(error)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Child(error) => error.fmt(f),
            Self::Connection(error) => write!(f, "could not connect to the page: {error}"),
            Self::Http(error) => write!(f, "the connection to the page broke: {error}"),
            Self::Json(text, error) => write!(f, "expected other JSON of the server: {error}: {text}"),
            Self::NoCommandLine(printed) => {
                write!(f, "expected the agent's command line, but got: {printed}")
            }
            Self::NoSession => write!(f, "signing in gave no cookie"),
            Self::Request(error) => write!(f, "could not ask the page: {error}"),
            Self::Status { path, status } => write!(f, "the page answered {status} to {path}"),
        }
    }
}
