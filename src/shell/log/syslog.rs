//! The system's log: a datagram a message to `/dev/log` (RFC 3164, as local daemons take it).
//!
//! The name is looked up for each, so that a daemon that is started anew, or later than the agent, is found at once.

use super::{Message, missed::Missed};
use log::Level;
use std::{io, os::unix::net::UnixDatagram, path::PathBuf, time::Instant};

/// Where it takes messages.
pub const DEV_LOG: &str = "/dev/log";

/// The way to the daemon. Sending never waits.
#[derive(Debug)]
pub struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    missed: Missed,
}

impl Syslog {
    pub fn new() -> Syslog {
        Syslog::at(DEV_LOG.into())
    }

    fn at(path: PathBuf) -> Syslog {
        Syslog { path, socket: None, missed: Missed::default() }
    }

    /// Whether the daemon has taken it. Those that it missed are told before, once a minute at most.
    pub fn send(&mut self, message: &Message) -> bool {
        let is_taken = self.say_what_was_missed().and_then(|()| self.try_send(message)).is_ok();
        if !is_taken {
            self.missed.count();
        }
        is_taken
    }

    fn say_what_was_missed(&mut self) -> io::Result<()> {
        let (now, why) = (Instant::now(), format!("nobody was at {}, or too slow", self.path.display()));
        let Some(text) = self.missed.words(now, &why) else { return Ok(()) };
        self.try_send(&Message { level: Level::Warn, target: module_path!().to_owned(), text })?;
        self.missed.told(now);
        Ok(())
    }

    fn try_send(&mut self, message: &Message) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket
            }
        };
        self.socket.insert(socket).send_to(message.datagram().as_bytes(), &self.path).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process};

    /// Where a daemon listens, or doesn't.
    struct Place(PathBuf);

    impl Place {
        fn new(test: &str) -> Place {
            Place(std::env::temp_dir().join(format!("cloudtalker-{test}-{}.log", process::id())))
        }

        fn daemon(&self) -> UnixDatagram {
            let _ = fs::remove_file(&self.0);
            let daemon = UnixDatagram::bind(&self.0).unwrap();
            daemon.set_nonblocking(true).unwrap();
            daemon
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn message(text: &str) -> Message {
        Message { level: Level::Info, target: "cloudtalker".into(), text: text.into() }
    }

    fn heard(daemon: &UnixDatagram) -> String {
        let mut buffer = [0; 8192];
        let length = daemon.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_daemon_that_comes_late_or_anew_is_found_and_told_what_it_missed() {
        let place = Place::new("anew");
        let mut syslog = Syslog::at(place.0.clone());
        assert!(!syslog.send(&message("early")));
        let daemon = place.daemon();
        assert!(syslog.send(&message("one")));
        let missed = heard(&daemon);
        let expected = format!(
            "one message before this one was not taken: nobody was at {}, or too slow",
            place.0.display()
        );
        assert!(missed.starts_with("<28>cloudtalker[") && missed.ends_with(&expected), "{missed}");
        assert_eq!(heard(&daemon), message("one").datagram());
        drop(daemon);
        // A process that another test begins at this moment has it until it is another program.
        while UnixDatagram::unbound().unwrap().connect(&place.0).is_ok() {
            std::thread::yield_now();
        }
        assert!(!syslog.send(&message("two")) && !syslog.send(&message("three")), "nobody answers there");
        fs::remove_file(&place.0).unwrap();
        assert!(!syslog.send(&message("four")), "and now there is nothing at all");
        let daemon = place.daemon();
        assert!(syslog.send(&message("five")) && syslog.send(&message("six")));
        let expected = ["five", "six"].map(|text| message(text).datagram());
        assert_eq!([heard(&daemon), heard(&daemon)], expected, "it was told of those it missed just now");
    }

    #[test]
    fn a_daemon_that_has_stopped_is_not_waited_for() {
        let place = Place::new("stopped");
        let daemon = place.daemon();
        let mut syslog = Syslog::at(place.0.clone());
        let taken = (0..100_000).take_while(|_| syslog.send(&message("unread"))).count();
        assert!((1..100_000).contains(&taken), "the kernel keeps some, then it is refused: {taken}");
        while daemon.recv(&mut [0; 8192]).is_ok() {}
        assert!(syslog.send(&message("read again")));
        assert!(heard(&daemon).contains("one message before this one was not taken"));
        assert_eq!(heard(&daemon), message("read again").datagram());
    }
}
