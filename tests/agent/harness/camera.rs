//! A camera program: the other end of the agent's command socket.

use super::DEADLINE;
use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

/// Listens for datagrams. A unix socket's file goes with it.
pub enum Camera {
    Unix(UnixDatagram, PathBuf),
    Udp(UdpSocket),
}

impl Camera {
    pub fn at(path: &Path) -> Camera {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Camera::Unix(socket, path.to_owned())
    }

    pub fn at_port(port: u16) -> Camera {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Camera::Udp(socket)
    }

    /// The next datagram, to the byte.
    pub fn hears(&self) -> String {
        let mut datagram = [0; 4096];
        let length = match self {
            Camera::Unix(socket, _) => socket.recv(&mut datagram),
            Camera::Udp(socket) => socket.recv(&mut datagram),
        };
        let length = length.expect("a command comes before the deadline");
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    }

    /// The next datagram that does not only repeat this one: a level is told as often as it may have been missed.
    pub fn hears_beside(&self, level: &str) -> String {
        loop {
            let heard = self.hears();
            if heard != level {
                return heard;
            }
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        if let Camera::Unix(_, path) = self {
            let _ = fs::remove_file(path);
        }
    }
}
