//! The arguments as types, and their spellings.

use crate::{
    library::CaptureId,
    pki,
    room::{
        door::{Upstream, UpstreamError},
        janus::JanusUrl,
    },
    server::DEFAULT_QUOTA,
};
use argh::FromArgs;
use cloudtalker::wire::command::Command;
use std::{fs, io, net::IpAddr, path::PathBuf};

/// The cloud of cloudtalker's cameras: takes their captures, keeps them, shows them.
#[derive(FromArgs, Debug)]
pub(super) struct Cli {
    #[argh(subcommand)]
    pub(super) action: Action,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub(super) enum Action {
    Serve(Serve),
    Room(Room),
    Camera(Camera),
    Captures(Captures),
    Password(NewPassword),
}

/// Serve cameras and people until SIGTERM.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "serve",
    usage = "--data DIR [OPTION...]",
    example = "cloudtalker-server serve --data /srv/cloudtalker --host cam.example.org
cloudtalker-server serve --data /srv/cloudtalker --web-addr 0.0.0.0:8080 --web-self-signed",
    note = "It prints where cameras and people reach it, and at the first start the password
for people. Dashes and underscores in names are the same, and --name=VALUE is
--name VALUE.",
    error_code(0, "asked to stop"),
    error_code(1, "the directory, a port, a certificate or the database can't be had"),
    error_code(64, "wrong usage, or a certificate or key that was given can't be used")
)]
pub(super) struct Serve {
    /// directory that holds everything; made if missing
    #[argh(option, from_str_fn(directory))]
    pub(super) data: PathBuf,
    /// where cameras connect, by mutual TLS (0.0.0.0:8443)
    #[argh(option, default = "\"0.0.0.0:8443\".into()")]
    pub(super) camera_addr: String,
    /// where people connect (127.0.0.1:8080); beyond loopback it needs --web-cert with --web-key, --web-self-signed or
    /// --behind-proxy
    #[argh(option, default = "\"127.0.0.1:8080\".into()")]
    pub(super) web_addr: String,
    /// certificate (and chain) for people, PEM
    #[argh(option)]
    pub(super) web_cert: Option<PathBuf>,
    /// its key, PEM
    #[argh(option)]
    pub(super) web_key: Option<PathBuf>,
    /// serve people by HTTPS with a certificate of our own CA
    #[argh(switch)]
    pub(super) web_self_signed: bool,
    /// serve people by plain HTTP to a proxy that speaks HTTPS with them
    #[argh(switch)]
    pub(super) behind_proxy: bool,
    /// one more name or address by which cameras reach this machine; repeatable, the first is what `camera add` prints
    #[argh(option)]
    pub(super) host: Vec<String>,
    /// camera to add where its files are missing in --out: for systems that are set up by starting them; repeatable
    #[argh(option, from_str_fn(camera_name))]
    pub(super) camera: Vec<String>,
    /// directory for the files of --camera; made if missing
    #[argh(option)]
    pub(super) out: Option<PathBuf>,
    /// bytes that one camera may take, with K, M, G or T (64G)
    #[argh(option, default = "DEFAULT_QUOTA", from_str_fn(bytes))]
    pub(super) camera_quota: u64,
    /// where Janus' HTTP API is, http:// or https://, as in http://127.0.0.1:8088/janus; without it there are no rooms
    // Boxed, as the next, because they take more room than other commands have arguments.
    #[argh(option, from_str_fn(janus_url))]
    pub(super) janus_url: Option<Box<JanusUrl>>,
    /// where Janus' WebSocket API is, ws:// or wss://, to which browsers come through this server (ws://localhost:8188)
    #[argh(option, default = "Box::default()", from_str_fn(janus_ws_url))]
    pub(super) janus_ws_url: Box<Upstream>,
    /// file with what Janus wants of those who make rooms
    #[argh(option)]
    pub(super) janus_admin_key: Option<PathBuf>,
    /// error, warn, info, debug or trace (info)
    #[argh(option, default = "log::LevelFilter::Info", from_str_fn(level))]
    pub(super) log_level: log::LevelFilter,
}

/// Serve one room of cameras in browsers, driven by lines on standard input, until SIGTERM. Its configuration is a JSON
/// file named by CONFIG_PATH, and variables CVH_CAMERA_CONFIG_ and a key.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "room")]
pub(super) struct Room {
    /// the one address to listen on (every one)
    #[argh(option, from_str_fn(address))]
    pub(super) bind: Option<IpAddr>,
    /// take the address of who sends a request from X-Forwarded-For, which a proxy adds
    #[argh(switch)]
    pub(super) behind_proxy: bool,
    /// give annotations to receivers as they were written, scripts and all
    #[argh(switch)]
    pub(super) trust_annotations: bool,
    /// let senders send VP8 alone, as the original does, and not H.264 as well
    #[argh(switch)]
    pub(super) vp8_only: bool,
    /// error, warn, info, debug or trace (info)
    #[argh(option, default = "log::LevelFilter::Info", from_str_fn(level))]
    pub(super) log_level: log::LevelFilter,
}

/// Make another password for people, print it, and sign everybody out.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "password")]
pub(super) struct NewPassword {
    /// the server's directory
    #[argh(option, from_str_fn(directory))]
    pub(super) data: PathBuf,
}

/// Cameras: who may connect, and what they are told.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "camera")]
pub(super) struct Camera {
    #[argh(subcommand)]
    pub(super) action: CameraAction,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub(super) enum CameraAction {
    Add(CameraAdd),
    List(CameraList),
    Remove(CameraRemove),
    Command(CameraCommand),
}

/// Add a camera: write its certificate, its key and the CA's certificate, and print the agent's command line.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "add")]
pub(super) struct CameraAdd {
    /// its name: letters, digits, '-', '_' and '.'
    #[argh(positional, from_str_fn(camera_name))]
    pub(super) name: String,
    /// the server's directory; begun if missing
    #[argh(option, from_str_fn(directory))]
    pub(super) data: PathBuf,
    /// directory for NAME.pem, NAME-key.pem and ca.pem; made if missing
    #[argh(option)]
    pub(super) out: PathBuf,
}

/// List the cameras.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list")]
pub(super) struct CameraList {
    /// the server's directory
    #[argh(option, from_str_fn(directory))]
    pub(super) data: PathBuf,
    /// print JSON
    #[argh(switch)]
    pub(super) json: bool,
}

/// Remove a camera: its certificate counts no more, at once. Its captures stay.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "remove")]
pub(super) struct CameraRemove {
    /// its name
    #[argh(positional)]
    pub(super) name: String,
    /// the server's directory
    #[argh(option, from_str_fn(directory))]
    pub(super) data: PathBuf,
}

/// Tell a camera to arm, to disarm or to take a capture.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "command")]
pub(super) struct CameraCommand {
    /// its name
    #[argh(positional)]
    pub(super) name: String,
    /// arm, disarm or capture
    #[argh(positional, from_str_fn(word))]
    pub(super) command: String,
    /// the server's directory
    #[argh(option, from_str_fn(directory))]
    pub(super) data: PathBuf,
}

/// Captures: what there is, and getting it out.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "captures")]
pub(super) struct Captures {
    #[argh(subcommand)]
    pub(super) action: CapturesAction,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub(super) enum CapturesAction {
    List(CapturesList),
    Export(CapturesExport),
}

/// List the captures: the one that arrived last comes first, whenever it was recorded.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list")]
pub(super) struct CapturesList {
    /// the server's directory
    #[argh(option, from_str_fn(directory))]
    pub(super) data: PathBuf,
    /// print JSON
    #[argh(switch)]
    pub(super) json: bool,
}

/// Write a capture's joined video to a file that is not there yet; waits up to a minute for a join in progress.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "export")]
pub(super) struct CapturesExport {
    /// the capture's id
    #[argh(positional, from_str_fn(capture))]
    pub(super) id: CaptureId,
    /// the file; one that is there stays as it is, unless --force is given
    #[argh(positional)]
    pub(super) file: PathBuf,
    /// overwrite a file that is there
    #[argh(switch)]
    pub(super) force: bool,
    /// the server's directory
    #[argh(option, from_str_fn(directory))]
    pub(super) data: PathBuf,
}

/// Underscores in options' names become dashes, and `--x=y` two arguments, as argh wants them; values stay as they are.
pub(super) fn folded(arguments: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    arguments.flat_map(|argument| {
        if !argument.starts_with("--") {
            return [Some(argument), None].into_iter().flatten();
        }
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        [Some(name.replace('_', "-")), value].into_iter().flatten()
    })
}

fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("expected a directory".into());
    }
    let dir = PathBuf::from(text);
    let is_in_the_way = match fs::metadata(&dir) {
        Ok(found) => !found.is_dir(),
        Err(error) => error.kind() == io::ErrorKind::NotADirectory,
    };
    if is_in_the_way {
        return Err("expected a directory, with no file in its place or above it".into());
    }
    Ok(dir)
}

fn camera_name(text: &str) -> Result<String, String> {
    pki::check_name(text).map_err(|_| format!("expected {}", pki::NAME_RULE))?;
    Ok(text.to_owned())
}

fn janus_url(text: &str) -> Result<Box<JanusUrl>, String> {
    text.parse().map(Box::new)
}

fn janus_ws_url(text: &str) -> Result<Box<Upstream>, String> {
    text.parse().map(Box::new).map_err(|error: UpstreamError| error.to_string())
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "expected an address without a port, as in 127.0.0.1".into())
}

fn level(text: &str) -> Result<log::LevelFilter, String> {
    text.parse().map_err(|_| "expected error, warn, info, debug or trace".into())
}

fn capture(text: &str) -> Result<CaptureId, String> {
    text.parse().map_err(|_| "expected a capture's number, as `captures list` prints it".into())
}

fn word(text: &str) -> Result<String, String> {
    let command = Command::from_word(text).ok_or("expected arm, disarm or capture")?;
    Ok(command.as_str().to_owned())
}

fn bytes(text: &str) -> Result<u64, String> {
    let expected = || "expected bytes above 0, perhaps with K, M, G or T: 64G".to_owned();
    let (digits, shift) = match text.char_indices().last() {
        Some((end, 'K' | 'k')) => (&text[..end], 10),
        Some((end, 'M' | 'm')) => (&text[..end], 20),
        Some((end, 'G' | 'g')) => (&text[..end], 30),
        Some((end, 'T' | 't')) => (&text[..end], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| expected())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(expected)
}
