//! `cloudtalker-server room`: one room, driven by standard input, as the original's server process is.

use super::{
    LAST_WORDS, Rooms,
    config::Config,
    door,
    engine::Settings,
    input,
    janus::{self, Client, Codecs, JanusRoom},
    notify::Notifications,
    router,
    running::{Listeners, RunningRoom},
};
use crate::{
    net::{self, Stop},
    viewer,
};
use axum::Router;
use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Connections have ended by themselves before; this is for those that don't, and for a Janus that takes its time: to answer
/// what it is being asked, and to take the room out.
const LAST_CALL: Duration = Duration::from_secs(6);

/// How the process is to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// The original's configuration.
    pub config: Config,
    /// Where to listen; every address, where it is none.
    pub bind: Option<IpAddr>,
    /// Annotations reach receivers as they were written.
    pub trust_annotations: bool,
    /// What senders may send.
    pub codecs: Codecs,
}

/// Why the process doesn't serve.
#[derive(Debug)]
pub enum ProcessError {
    /// The port can't be had.
    Bind(SocketAddr, io::Error),
    /// Signals can't be handled.
    Signals(io::Error),
}

/// What ends the process, each with the room taken out of Janus: whatever a controller or its end may send.
const ENDS: [(&str, SignalKind); 6] = [
    ("SIGTERM", SignalKind::terminate()),
    ("SIGINT", SignalKind::interrupt()),
    ("SIGHUP", SignalKind::hangup()),
    ("SIGQUIT", SignalKind::quit()),
    ("SIGUSR1", SignalKind::user_defined1()),
    ("SIGUSR2", SignalKind::user_defined2()),
];

/// Serves until a signal ends it. `ready` is told the address once the port is open.
pub async fn run(options: Options, ready: impl FnOnce(SocketAddr)) -> Result<(), ProcessError> {
    net::allow_files();
    let mut ends = JoinSet::new();
    for (name, kind) in ENDS {
        let mut came = signal(kind).map_err(ProcessError::Signals)?;
        ends.spawn(async move { came.recv().await.map(|()| name) });
    }
    let config = options.config;
    let (listener, address) = bound(options.bind, config.port).await?;

    let mut tasks = JoinSet::new();
    let notifications = config.notify_path.map(|path| {
        let (notifications, write) = Notifications::to(path);
        tasks.spawn(write);
        notifications
    });
    let settings = Settings {
        slots: config.slots,
        bitrate: config.bitrate,
        trust_annotations: options.trust_annotations,
    };
    let room = RunningRoom::new(config.room, settings, Listeners { notifications, bus: None });
    let rooms = Rooms::new(config.reach);
    rooms.add(room.clone());
    tasks.spawn({
        let room = room.clone();
        async move { room.keep_time().await }
    });
    tasks.spawn({
        let room = room.clone();
        async move { input::obey(&room, tokio::io::stdin()).await }
    });

    let (stop, stopped) = Stop::new();
    let janus_room = JanusRoom {
        number: config.room,
        secret: config.secret,
        pin: config.pin,
        bitrate: config.bitrate,
        publishers: config.slots,
        admin_key: config.admin_key,
        codecs: options.codecs,
    };
    let client = Client::new(config.janus_url);
    let (end_room, room_ends) = Stop::new();
    let kept = tokio::spawn(janus::keep(room.clone(), client, janus_room, room_ends));
    let to_janus = Arc::new(rooms.door(config.janus_web_socket));
    let pages = Router::new()
        .merge(router(rooms))
        .merge(door::routes(to_janus))
        .merge(viewer::room_pages(config.room));
    let port = tokio::spawn(net::serve(listener, net::Door::Plain, pages, stopped));
    ready(address);

    let name = ends.join_next().await.and_then(Result::ok).flatten().unwrap_or("no signal");
    log::info!("{name}: ending");
    room.end();
    let _ = end_room.send(true);
    sleep(LAST_WORDS).await;
    room.close();
    let _ = stop.send(true);
    if timeout(LAST_CALL, async { tokio::join!(kept, port) }).await.is_err() {
        log::warn!("some connections did not end and are cut");
    }
    tasks.shutdown().await;
    Ok(())
}

/// As the original listens: to every address, of both families where there are both.
async fn bound(bind: Option<IpAddr>, port: u16) -> Result<(TcpListener, SocketAddr), ProcessError> {
    let asked = SocketAddr::new(bind.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), port);
    let listener = match (TcpListener::bind(asked).await, bind) {
        (Err(error), None) if error.kind() == io::ErrorKind::Unsupported || is_without_v6(&error) => {
            let asked = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            TcpListener::bind(asked).await.map_err(|error| ProcessError::Bind(asked, error))?
        }
        (bound, _) => bound.map_err(|error| ProcessError::Bind(asked, error))?,
    };
    let address = listener.local_addr().unwrap_or(asked);
    Ok((listener, address))
}

fn is_without_v6(error: &io::Error) -> bool {
    use nix::errno::Errno;
    [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL]
        .map(|errno| Some(errno as i32))
        .contains(&error.raw_os_error())
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::Bind(address, error) => write!(f, "the port, {address}, can't be had: {error}"),
            ProcessError::Signals(error) => write!(f, "signals can't be handled: {error}"),
        }
    }
}

impl std::error::Error for ProcessError {}
