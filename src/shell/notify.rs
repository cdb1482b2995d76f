//! What a supervisor that wants to be told is told: sd_notify(3). `NOTIFY_SOCKET` names its datagram socket, by a path
//! or, after an `@`, in the abstract name space; a datagram holds lines of `NAME=value`.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// A supervisor that reads nothing is owed no more news than this: each is soon followed by newer ones.
const UNSENT: usize = 16;
/// Nor more changes, which it waits for: as many come of hundreds of SIGHUPs that it has not heard of.
const UNSENT_CHANGES: usize = 1024;

/// The way to the supervisor. Sending never waits: what it has no room for is sent later.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    to: SocketAddr,
    unsent: VecDeque<String>,
}

impl Notify {
    /// To the socket of this name.
    pub fn to(name: &OsStr) -> io::Result<Notify> {
        let to = match name.as_bytes() {
            [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("expected a path, or @ and a name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Notify { socket, to, unsent: VecDeque::new() })
    }

    /// Tells of a change, after what is still unsent.
    pub fn tell_change(&mut self, lines: String) {
        self.tell(lines, UNSENT_CHANGES);
    }

    /// Tells this, after what is still unsent; not at all, where that is much. Whether it is told, or will be.
    pub fn tell_news(&mut self, lines: String) -> bool {
        self.tell(lines, UNSENT)
    }

    fn tell(&mut self, lines: String, limit: usize) -> bool {
        let has_room = self.unsent.len() < limit;
        if has_room {
            self.unsent.push_back(lines);
        }
        self.send_on();
        has_room
    }

    /// Sends what there was no room for; whether there is some left.
    pub fn send_on(&mut self) -> bool {
        while let Some(lines) = self.unsent.front() {
            match self.socket.send_to_addr(lines.as_bytes(), &self.to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // Where there is no supervisor any more, nobody is to be told.
                Ok(_) | Err(_) => self.unsent.pop_front(),
            };
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process};

    #[test]
    fn a_supervisor_is_told_by_a_path_or_an_abstract_name() {
        let path = std::env::temp_dir().join(format!("cloudtalker-notify-{}", process::id()));
        let _ = fs::remove_file(&path);
        let name = format!("cloudtalker-notify-{}", process::id());
        for (listener, to) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str()),
            (
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
                OsStr::new(&format!("@{name}")),
            ),
        ] {
            Notify::to(to).unwrap().tell_change("READY=1".into());
            let mut buffer = [0; 64];
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_a_slow_supervisor_has_no_room_for_comes_later() {
        let name = format!("cloudtalker-slow-{}", process::id());
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut notify = Notify::to(OsStr::new(&format!("@{name}"))).unwrap();
        let mut told = 0;
        while notify.unsent.is_empty() {
            told += 1;
            notify.tell_change(told.to_string());
        }
        assert!(notify.send_on(), "there is no room yet");
        let mut heard = 0;
        loop {
            let mut buffer = [0; 64];
            while let Ok(length) = listener.recv(&mut buffer) {
                heard += 1;
                assert_eq!(&buffer[..length], heard.to_string().as_bytes());
            }
            if heard == told {
                break;
            }
            assert!(!notify.send_on());
        }
    }

    #[test]
    fn no_news_displace_a_change() {
        let name = format!("cloudtalker-changes-{}", process::id());
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut notify = Notify::to(OsStr::new(&format!("@{name}"))).unwrap();
        while notify.unsent.is_empty() {
            notify.tell_news("WATCHDOG=1".into());
        }
        notify.tell_change("READY=1".into());
        while notify.tell_news("STATUS=up".into()) {}
        notify.tell_change("STOPPING=1".into());
        assert_eq!(notify.unsent.len(), UNSENT + 1);
        let mut changes = Vec::new();
        while notify.send_on() || changes.len() < 2 {
            let mut buffer = [0; 64];
            while let Ok(length) = listener.recv(&mut buffer) {
                let told = String::from_utf8(buffer[..length].to_vec()).unwrap();
                changes.extend(Some(told).filter(|told| told == "READY=1" || told == "STOPPING=1"));
            }
        }
        assert_eq!(changes, ["READY=1", "STOPPING=1"]);
    }

    #[test]
    fn a_supervisor_that_has_gone_is_owed_nothing() {
        let mut notify = Notify::to(OsStr::new("/nonexistent/notify")).unwrap();
        notify.tell_change("READY=1".into());
        assert!(!notify.send_on());
    }

    #[test]
    fn other_names_are_no_sockets() {
        for name in ["", "notify", "vsock:2:1", "@", &"/x".repeat(100)] {
            assert!(Notify::to(OsStr::new(name)).is_err(), "{name:?}");
        }
    }
}
