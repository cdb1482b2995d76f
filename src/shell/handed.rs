//! Sockets that a supervisor has opened for the agent: systemd's socket activation.
//!
//! Each takes the place of the one that the agent would open itself, the unix one of `--input_sock` and the TCP one of
//! `--input_port`. Where it lies and who may connect is the supervisor's business, and it stays open when the agent ends:
//! what local programs hand over while the agent is restarted waits in it.

use rustix::net::{
    AddressFamily, SocketType,
    sockopt::{socket_domain, socket_type},
};
use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixListener},
};

/// What was handed over.
#[derive(Debug, Default)]
pub struct Handed {
    /// In the place of `--input_sock`.
    pub unix: Option<UnixListener>,
    /// In the place of `--input_port`.
    pub tcp: Option<TcpListener>,
}

/// Why it is not what the agent can use.
#[derive(Debug, PartialEq, Eq)]
pub enum HandedError {
    /// The environment tells of them, but not as it should.
    Untold,
    /// There is one of this kind already.
    Twice(&'static str),
    /// Neither kind; its place among them, from 0.
    Unknown(usize),
    /// The network reaches it, and no directory confines what is taken from there.
    Open(SocketAddr),
}

impl Handed {
    /// Takes what `LISTEN_FDS` tells of. Only before the program has opened anything: a descriptor is known by its number
    /// alone.
    pub fn take() -> Result<Handed, HandedError> {
        let mut handed = Handed::default();
        let descriptors = sd_listen_fds::get().map_err(|_| HandedError::Untold)?;
        for (place, (_, descriptor)) in descriptors.into_iter().enumerate() {
            let descriptor = descriptor.into_std();
            match family_of_stream(&descriptor) {
                Some(AddressFamily::UNIX) => one_only(&mut handed.unix, descriptor.into(), "unix")?,
                Some(AddressFamily::INET | AddressFamily::INET6) => {
                    one_only(&mut handed.tcp, descriptor.into(), "TCP")?;
                }
                Some(_) | None => return Err(HandedError::Unknown(place)),
            }
        }
        Ok(handed)
    }

    /// A socket that is open to the network is for captures that are confined to directories.
    pub fn confined(self, is_confined: bool) -> Result<Handed, HandedError> {
        let address = self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok());
        match address.filter(|address| !is_confined && !address.ip().to_canonical().is_loopback()) {
            Some(address) => Err(HandedError::Open(address)),
            None => Ok(self),
        }
    }
}

/// Of what family a stream socket is; `None` for all else.
fn family_of_stream(descriptor: &OwnedFd) -> Option<AddressFamily> {
    let is_stream = socket_type(descriptor).is_ok_and(|kind| kind == SocketType::STREAM);
    is_stream.then(|| socket_domain(descriptor).ok()).flatten()
}

fn one_only<T>(slot: &mut Option<T>, listener: T, kind: &'static str) -> Result<(), HandedError> {
    if slot.is_some() {
        return Err(HandedError::Twice(kind));
    }
    *slot = Some(listener);
    Ok(())
}

impl fmt::Display for HandedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = "expected one unix and one TCP stream socket at most from the supervisor (LISTEN_FDS)";
        match self {
            HandedError::Untold => write!(f, "{expected}, but LISTEN_FDS or LISTEN_PID is no number"),
            HandedError::Twice(kind) => write!(f, "{expected}, but there is a second {kind} one"),
            HandedError::Unknown(place) => {
                write!(f, "{expected}, but descriptor {} is neither", place + 3)
            }
            HandedError::Open(address) => write!(
                f,
                "the supervisor's socket listens on {address}: beyond loopback --capture_dir must confine what is taken"
            ),
        }
    }
}

impl std::error::Error for HandedError {}
