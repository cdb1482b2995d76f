//! Janus, where the machine has one: on loopback, with a configuration of its own, ended with the demo.

use std::env;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::{self, Child};

/// What pictures come by, besides the two ports of its interfaces.
const PICTURES: &str = "20000-20999";
/// The interfaces that the server wants, and the plugin that rooms want. Others may listen where nobody looks.
const TRANSPORTS: [&str; 2] = ["libjanus_http.so", "libjanus_websockets.so"];
const PLUGINS: [&str; 1] = ["libjanus_videoroom.so"];

/// A Janus, and where it listens.
pub(crate) struct Janus {
    pub(crate) url: String,
    pub(crate) web_socket_url: String,
    child: Child,
}

impl Janus {
    /// The machine's program: in `PATH`, to which `make` adds what scripts/install-tools has fetched.
    pub(crate) fn program() -> Option<PathBuf> {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).find_map(|dir| dir.join("janus").canonicalize().ok())
    }

    /// Starts it with all its files in `directory`.
    pub(crate) fn start(program: &Path, directory: &Path, verbose: bool) -> Result<Self, Error> {
        let modules = modules_of(program)?;
        let (http, web_socket) = (free_port()?, free_port()?);
        configure(directory, &modules, http, web_socket)?;
        let mut command = Command::new(program);
        command.arg("-F").arg(directory).arg("-C").arg(directory.join("janus.jcfg"));
        let child = Child::start("janus", command, &directory.join("log"), verbose).map_err(Error::Child)?;
        Ok(Self {
            url: format!("http://127.0.0.1:{http}/janus"),
            web_socket_url: format!("ws://127.0.0.1:{web_socket}"),
            child,
        })
    }

    /// Waits until it has ended, which it should not.
    pub(crate) async fn ended(&mut self) -> child::Error {
        self.child.ended().await
    }
}

/// Why there is no Janus though the machine has one.
#[derive(Debug)]
pub(crate) enum Error {
    /// Its program.
    Child(child::Error),
    /// Its configuration can't be written, or there is no port for it.
    Configuration(io::Error),
    /// Its plugins are not where its program is.
    NoModules(PathBuf),
}

fn configure(directory: &Path, modules: &Path, http: u16, web_socket: u16) -> Result<(), Error> {
    let [plugins, transports] = ["plugins", "transports"].map(|name| modules.join(name));
    let files = [
        (
            "janus.jcfg",
            format!(
                "general: {{ plugins_folder = \"{}\", transports_folder = \"{}\" }}\n\
                 media: {{ rtp_port_range = \"{PICTURES}\" }}\n\
                 plugins: {{ disable = \"{}\" }}\n\
                 transports: {{ disable = \"{}\" }}\n",
                plugins.display(),
                transports.display(),
                others(&plugins, &PLUGINS)?,
                others(&transports, &TRANSPORTS)?,
            ),
        ),
        (
            "janus.transport.http.jcfg",
            format!("general: {{ http = true, port = {http}, ip = \"127.0.0.1\" }}\n"),
        ),
        (
            "janus.transport.websockets.jcfg",
            format!("general: {{ ws = true, ws_port = {web_socket}, ws_ip = \"127.0.0.1\" }}\n"),
        ),
    ];
    fs::create_dir(directory).map_err(Error::Configuration)?;
    files
        .iter()
        .try_for_each(|(name, text)| fs::write(directory.join(name), text))
        .map_err(Error::Configuration)
}

/// Where it has its plugins and transports: in lib, or beneath that by the machine's architecture.
fn modules_of(program: &Path) -> Result<PathBuf, Error> {
    let none = || Error::NoModules(program.to_owned());
    let lib = program.ancestors().nth(2).ok_or_else(none)?.join("lib");
    let within = fs::read_dir(&lib).map_err(|_| none())?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut candidates = [lib.clone()].into_iter().chain(within).map(|dir| dir.join("janus"));
    candidates.find(|modules| modules.join("plugins").is_dir()).ok_or_else(none)
}

/// What a folder has besides the files that are wanted, as Janus writes lists.
fn others(folder: &Path, wanted: &[&str]) -> Result<String, Error> {
    let names: Result<Vec<String>, io::Error> = fs::read_dir(folder)
        .map_err(Error::Configuration)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into()))
        .collect();
    let mut names = names.map_err(Error::Configuration)?;
    names.retain(|name| !wanted.contains(&name.as_str()));
    Ok(names.join(","))
}

/// One that nobody has at the moment.
fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(Error::Configuration)
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Child(error) => error.fmt(f),
            Self::Configuration(error) => {
                write!(f, "could not give Janus a configuration and ports: {error}")
            }
            Self::NoModules(program) => {
                write!(f, "expected the plugins of {} in the lib beside it", program.display())
            }
        }
    }
}
