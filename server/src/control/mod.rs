//! Commands: one JSON line asks, one JSON line answers, and a file's bytes may follow. Before an answer that takes long
//! comes one line of what it waits for.
//!
//! While a process serves they reach it through `DIR/control.sock`; otherwise the command opens the data directory
//! itself and answers over a pair of sockets, so that there is one way to do each thing.

mod answer;
mod refusal;
mod socket;

pub use socket::{bind, listen};

use crate::{
    library::{CaptureId, jobs},
    server::{DEFAULT_QUOTA, DataDir, OpenError, Server},
};
use answer::{Mode, answer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

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
