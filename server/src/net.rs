//! Connections with bounds: how many, how long a handshake and a request's head may take, and what ends them.

use crate::{
    bus::Event,
    pki::{self, Identity},
    server::Server,
};
use axum::{Router, extract::ConnectInfo};
use cloudtalker::wire::Sha256;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::CertificateDer,
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// Connections of one port at a time; a camera has two.
const MAX_CONNECTIONS: u32 = 4096;
/// Connections of one camera at a time: an agent has two, and for a minute those that a bad network cut off. A camera
/// that loses count of its own must not take everybody's.
const SHARE: usize = 64;
/// A TLS handshake over a bad mobile link takes seconds, never this long.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// A request's head, and the pause before it on a connection that is kept.
const HEAD: Duration = Duration::from_secs(60);
/// How long a request may go on once the process is to end; a page's stream of events never ends by itself.
const GRACE: Duration = Duration::from_secs(2);
/// What a connection buffers of what it reads.
const READ_BUFFER: usize = 64 << 10;
/// After a failed accept, which is nearly always a lack of file descriptors: until some are back.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Becomes true once, when the process is to end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Who listens on a port.
#[derive(Clone, Debug)]
pub enum Door {
    /// Cameras, each with a certificate of our CA.
    Cameras(Arc<ServerConfig>, Arc<Server>, Shares),
    /// People, without TLS.
    Plain,
    /// People, with TLS.
    Tls(Arc<ServerConfig>),
}

/// How many connections each certificate may still have, of those that have any.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Mutex<HashMap<Sha256, Arc<Semaphore>>>>);

/// Who is at the other end, as an extension of every request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The certificate that it showed; people have none.
    pub certificate: Option<Sha256>,
    /// Ends when the process is to end.
    pub stop: Stop,
    /// Holds the connection's place; a WebSocket keeps it beyond its request.
    pub place: Arc<OwnedSemaphorePermit>,
    /// Holds it among those of its certificate; people have none.
    pub share: Option<Arc<OwnedSemaphorePermit>>,
}

impl Shares {
    /// A place for one more connection of this certificate; none where it has all of its own.
    fn take(&self, certificate: Sha256) -> Option<OwnedSemaphorePermit> {
        let mut shares = self.0.lock().expect("nothing panics while it holds this lock");
        shares.retain(|_, share| share.available_permits() < SHARE);
        let share = shares.entry(certificate).or_insert_with(|| Arc::new(Semaphore::new(SHARE)));
        share.clone().try_acquire_owned().ok()
    }
}

impl Stop {
    /// A stop, and what requests it.
    pub fn new() -> (watch::Sender<bool>, Stop) {
        let (sender, receiver) = watch::channel(false);
        (sender, Stop(receiver))
    }

    /// Pends until the process is to end.
    pub async fn requested(&self) {
        // A dropped sender is a process that ends, too.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}

/// Lets the process have more files open. Each connection is one, and the usual limit of 1,024 is there for programs that use select. What may be had
/// at most is the administrator's word.
pub fn allow_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        log::warn!("the limit of open files could not be raised: {error}");
    }
}

/// Accepts connections until told to stop, then waits for those that are open.
pub async fn serve(listener: TcpListener, door: Door, router: Router, stop: Stop) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let mut is_short = false;
    loop {
        let place = places.clone().acquire_owned().await.expect("this semaphore is never closed");
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    is_short = false;
                    stream
                }
                Err(error) => {
                    // Whoever opens many connections would fill the log.
                    let level = if is_short { log::Level::Debug } else { log::Level::Warn };
                    log::log!(level, "no connection could be accepted: {error}");
                    is_short = true;
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            },
            () = stop.requested() => break,
        };
        let peer = Peer { certificate: None, stop: stop.clone(), place: Arc::new(place), share: None };
        tokio::spawn(connection(stream, door.clone(), router.clone(), peer));
    }
    drop(listener);
    let _all_closed = places.acquire_many(MAX_CONNECTIONS).await;
}

/// TLS for cameras: a certificate of our CA is required. 1.2 is for original clients.
pub fn camera_tls(identity: Identity, ca: &CertificateDer<'static>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build();
    let verifier =
        verifier.map_err(|error: VerifierBuilderError| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain, identity.key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS for people.
pub fn people_tls(identity: Identity) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn connection(stream: TcpStream, door: Door, router: Router, mut peer: Peer) {
    // Small messages both ways: receipts, commands, echoes.
    let _ = stream.set_nodelay(true);
    let Ok(address) = stream.peer_addr() else { return };
    let from = ConnectInfo(address);
    match door {
        Door::Plain => requests(stream, router, from, peer, std::future::pending()).await,
        Door::Tls(config) => {
            if let Some(stream) = handshake(stream, config).await {
                requests(stream, router, from, peer, std::future::pending()).await;
            }
        }
        Door::Cameras(config, server, shares) => {
            let Some(stream) = handshake(stream, config).await else { return };
            let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            peer.certificate = certificate.map(pki::fingerprint);
            if let Some(certificate) = peer.certificate {
                let Some(share) = shares.take(certificate) else {
                    return log::warn!(
                        "a connection was refused: certificate {certificate} has {SHARE} already"
                    );
                };
                peer.share = Some(Arc::new(share));
            }
            let removed = removed(server, peer.certificate);
            requests(stream, router, from, peer, removed).await;
        }
    }
}

async fn handshake(
    stream: TcpStream,
    config: Arc<ServerConfig>,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let from = stream.peer_addr().map_or_else(|_| "somebody".to_owned(), |address| address.ip().to_string());
    match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        // A port scan, or a peer that went away.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => log::debug!("{from} left: {error}"),
        Ok(Err(error)) => log::info!("{from} was refused: {error}"),
        Err(_) => log::info!("{from} was refused: no TLS handshake within {} s", HANDSHAKE.as_secs()),
    }
    None
}

/// Answers requests until the peer goes, the process is to end, or `revoked` says so.
async fn requests<S>(
    stream: S,
    router: Router,
    from: ConnectInfo<SocketAddr>,
    peer: Peer,
    revoked: impl Future<Output = ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stop = peer.stop.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from);
        request.extensions_mut().insert(peer.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(READ_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = revoked => return,
        () = stop.requested() => {
            connection.as_mut().graceful_shutdown();
            match timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        log::debug!("a connection ended: {error}");
    }
}

/// Pends until the camera of this certificate is removed. One that is unknown or removed already is let in: each of
/// its requests is refused with a message that names the reason.
async fn removed(server: Arc<Server>, certificate: Option<Sha256>) {
    let mut events = server.bus.listen();
    let Some(certificate) = certificate else { return std::future::pending().await };
    let Ok(Some((camera, _))) = server.store.camera_of_certificate(certificate).await else {
        return std::future::pending().await;
    };
    loop {
        let event = events.next().await;
        if event == Event::CameraRemoved(camera) {
            return;
        }
        let is_there =
            async || server.store.camera_of_certificate(certificate).await.is_ok_and(|found| found.is_some());
        if event == Event::Missed && !is_there().await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_certificates_own_and_comes_back() {
        let (shares, one, other) = (Shares::default(), Sha256([1; 32]), Sha256([2; 32]));
        let mut held: Vec<_> = (0..SHARE).map(|_| shares.take(one).unwrap()).collect();
        assert!(shares.take(one).is_none());
        assert!(shares.take(other).is_some());
        held.pop();
        assert!(shares.take(one).is_some());
        held.clear();
        drop(shares.take(other));
        assert_eq!(shares.0.lock().unwrap().len(), 1, "who has no connection is forgotten");
    }
}
