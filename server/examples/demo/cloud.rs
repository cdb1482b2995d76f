//! The server as the demo uses it: by its commands, as scripts do.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::child::{self, Child};
use crate::janus::Janus;

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
    /// `serve`, on ports that the system picks, with rooms where there is a Janus.
    pub(crate) fn serve(&self, janus: Option<&Janus>) -> Command {
        let mut command =
            self.command(&["serve", "--camera-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"]);
        if let Some(Janus { url, web_socket_url, .. }) = janus {
            command.args(["--janus-url", url, "--janus-ws-url", web_socket_url]);
        }
        command
    }

    /// Adds the demo's camera; its certificate goes to `out`. Gives the arguments for its agent.
    pub(crate) async fn add_camera(&self, out: &Path) -> Result<Vec<String>, Error> {
        let mut command = self.command(&["camera", "add", CAMERA]);
        command.arg("--out").arg(out);
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

    /// Whether the server has an alarm of the demo's camera.
    pub(crate) async fn has_alarm(&self) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Camera {
            name: String,
            last_alarm: Option<u64>,
        }
        let printed = child::run(self.command(&["camera", "list", "--json"])).await?;
        let cameras: Vec<Camera> = json(&printed)?;
        Ok(cameras.iter().any(|camera| camera.name == CAMERA && camera.last_alarm.is_some()))
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
    pub(crate) link: String,
    pub(crate) password: String,
}

impl Page {
    pub(crate) async fn printed_by(server: &mut Child) -> Result<Self, Error> {
        let link = server.line_after("people: ").await?;
        let password = server.line_after("password: ").await?;
        Ok(Self { link, password })
    }
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Json(text.into(), error))
}

#[derive(Debug)]
pub(crate) enum Error {
    /// The server or one of its commands.
    Child(child::Error),
    /// What should be JSON of a known form is not.
    Json(String, serde_json::Error),
    /// `camera add` printed no command line for the agent.
    NoCommandLine(String),
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
            Self::Json(text, error) => write!(f, "expected other JSON of the server: {error}: {text}"),
            Self::NoCommandLine(printed) => {
                write!(f, "expected the agent's command line, but got: {printed}")
            }
        }
    }
}
