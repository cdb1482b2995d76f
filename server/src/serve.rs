//! The process that serves: opens everything, runs until it is told to stop.

use crate::{
    control, device,
    library::{ending, jobs},
    net::{self, Door, Shares, Stop},
    pki::{self, Identity, PkiError},
    room::{
        self, Rooms,
        hosted::{Hosted, Janus},
    },
    server::{DataDir, OpenError, Server},
    store::{StoreError, unix_now},
    viewer::{self, Reach},
};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};

/// Connections have ended by themselves before; this is for those that don't.
const LAST_CALL: Duration = Duration::from_secs(4);

/// The setting in which commands without a running server find the cameras' endpoint.
pub const ENDPOINT: &str = "endpoint";

/// How the process is to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// Where cameras connect.
    pub camera_addr: SocketAddr,
    /// Where people connect.
    pub web_addr: SocketAddr,
    /// More names by which cameras reach the server.
    pub hosts: Vec<String>,
    /// How people reach it.
    pub web: Web,
    /// Bytes that one camera may take.
    pub quota: u64,
    /// Who keeps rooms; without one there are none.
    pub janus: Option<Janus>,
}

/// How people reach the server.
#[derive(Clone, Debug)]
pub enum Web {
    /// By plain HTTP from this machine alone.
    Loopback,
    /// By HTTPS with a certificate of their own.
    Certificate(Arc<rustls::ServerConfig>),
    /// By HTTPS with the server's certificate of our own CA.
    SelfSigned,
    /// Through a proxy that speaks HTTPS with people.
    Proxy,
}

/// Where the process listens, once it does.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// HOST:PORT by which cameras reach it.
    pub cameras: String,
    /// The page's URL.
    pub people: String,
    /// The password, where it was made just now.
    pub password: Option<String>,
}

/// Why the process doesn't serve.
#[derive(Debug)]
pub enum ServeError {
    /// The data directory.
    Open(OpenError),
    /// A port can't be had.
    Bind(&'static str, SocketAddr, io::Error),
    /// The control socket can't be had.
    Control(PathBuf, io::Error),
    /// A certificate.
    Pki(PkiError),
    /// A certificate and its key don't fit.
    Tls(rustls::Error),
    /// The database.
    Store(StoreError),
    /// Signals can't be handled.
    Signals(io::Error),
}

/// Serves until SIGTERM or SIGINT. `ready` is told the addresses once every port is open.
pub async fn run(options: Options, ready: impl FnOnce(&Addresses)) -> Result<(), ServeError> {
    net::allow_files();
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let server = Arc::new(Server::open(&options.data, options.quota).await?);
    let _lock = DataDir::lock_to_serve(&server.data)?;
    server.store.all_offline(unix_now()).await?;
    server.store.lapse_requests().await?;
    server.store.end_interrupted(device::CUT_OFF).await?;
    server.sweep().await?;

    let cameras = bound("cameras", options.camera_addr).await?;
    let people = bound("people", options.web_addr).await?;
    let mut names = pki::machine_names();
    names.extend(options.hosts.iter().cloned());
    // What is printed for cameras and people must be in the certificate, though no interface has it: 127.0.0.2.
    let listened = [options.camera_addr, options.web_addr].map(|address| address.ip());
    names.extend(listened.iter().filter(|ip| !ip.is_unspecified()).map(IpAddr::to_string));
    let camera_tls = net::camera_tls(server.pki.server(&names)?, server.pki.ca())?;
    let (reach, door) = match &options.web {
        Web::Loopback => (Reach::Loopback, Door::Plain),
        Web::Proxy => (Reach::Proxy, Door::Plain),
        Web::SelfSigned => (Reach::Tls, tls(server.pki.server(&names)?)?),
        Web::Certificate(tls) => (Reach::Tls, Door::Tls(tls.clone())),
    };
    let control = control::bind(&server.data)?;
    let rooms = Rooms::new(if reach == Reach::Proxy { room::Reach::Proxied } else { room::Reach::Direct });
    let hosted = Hosted::open(server.store.clone(), server.bus.clone(), rooms, options.janus.clone()).await?;

    let addresses =
        addresses(&server, &options, local(&cameras, options.camera_addr), local(&people, options.web_addr));
    let addresses = addresses.await?;
    ready(&addresses);

    let (stop, stopped) = Stop::new();
    let camera_door = Door::Cameras(Arc::new(camera_tls), server.clone(), Shares::default());
    let mut ports = tokio::task::JoinSet::new();
    ports.spawn(net::serve(cameras, camera_door, device::router(server.clone()), stopped.clone()));
    ports.spawn(net::serve(
        people,
        door,
        viewer::router(server.clone(), reach, hosted.clone()),
        stopped.clone(),
    ));
    let background = [
        tokio::spawn(jobs::run(server.clone())),
        tokio::spawn(ending::run(server.clone(), ending::QUIET)),
        tokio::spawn(device::reap(server.clone())),
        tokio::spawn(control::listen(control, server.clone())),
    ];

    tokio::select! {
        _ = terminate.recv() => log::info!("SIGTERM: ending"),
        _ = interrupt.recv() => log::info!("SIGINT: ending"),
    }
    if !hosted.numbers().is_empty() {
        hosted.say_goodbye();
        sleep(room::LAST_WORDS).await;
    }
    let _ = stop.send(true);
    if timeout(LAST_CALL, hosted.end()).await.is_err() {
        log::warn!("some rooms did not end and are left to Janus");
    }
    for task in background {
        task.abort();
    }
    if timeout(LAST_CALL, async { while ports.join_next().await.is_some() {} }).await.is_err() {
        log::warn!("some connections did not end and are cut");
    }
    let _ = std::fs::remove_file(server.data.control_socket());
    let _ = timeout(LAST_CALL, server.store.close()).await;
    Ok(())
}

async fn bound(who: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|error| ServeError::Bind(who, address, error))
}

/// The real address: port 0 asks for any free one.
fn local(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

fn tls(identity: Identity) -> Result<Door, ServeError> {
    Ok(Door::Tls(Arc::new(net::people_tls(identity)?)))
}

async fn addresses(
    server: &Server,
    options: &Options,
    cameras: SocketAddr,
    people: SocketAddr,
) -> Result<Addresses, ServeError> {
    let host = options.hosts.first().cloned().unwrap_or_else(|| reachable(cameras.ip()));
    let endpoint = with_port(&host, cameras.port());
    server.store.set_setting(ENDPOINT, &endpoint).await?;
    let scheme = match options.web {
        Web::Loopback | Web::Proxy => "http",
        Web::Certificate(_) | Web::SelfSigned => "https",
    };
    let people = with_port(&reachable(people.ip()), people.port());
    Ok(Addresses {
        cameras: endpoint,
        people: format!("{scheme}://{people}/"),
        password: viewer::first_password(&server.store).await?,
    })
}

/// A name by which others reach an address that we listen on; where that is every address, the first that isn't
/// this machine's own business.
fn reachable(ip: IpAddr) -> String {
    if !ip.is_unspecified() {
        return ip.to_string();
    }
    let addresses = pki::machine_names().into_iter().filter_map(|name| name.parse::<IpAddr>().ok());
    let outside = addresses.filter(|ip| !ip.is_loopback()).min_by_key(IpAddr::is_ipv6);
    outside.map_or_else(|| "localhost".to_owned(), |ip| ip.to_string())
}

fn with_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Open(error) => error.fmt(f),
            ServeError::Bind(who, address, error) => {
                write!(f, "the port for {who}, {address}, can't be had: {error}")
            }
            ServeError::Control(path, error) => write!(f, "{}: {error}", path.display()),
            ServeError::Pki(error) => error.fmt(f),
            ServeError::Tls(error) => write!(f, "the certificate and its key can't be used: {error}"),
            ServeError::Store(error) => error.fmt(f),
            ServeError::Signals(error) => write!(f, "signals can't be handled: {error}"),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<OpenError> for ServeError {
    fn from(error: OpenError) -> ServeError {
        ServeError::Open(error)
    }
}

impl From<PkiError> for ServeError {
    fn from(error: PkiError) -> ServeError {
        ServeError::Pki(error)
    }
}

impl From<rustls::Error> for ServeError {
    fn from(error: rustls::Error) -> ServeError {
        ServeError::Tls(error)
    }
}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> ServeError {
        ServeError::Store(error)
    }
}
