//! A local program that hands segments to the agent.

use super::{DEADLINE, Segment};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{Shutdown, shutdown, sockopt},
};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

/// One connection on an input socket.
#[derive(Debug)]
pub struct Source(BufReader<File>);

impl Source {
    pub fn at(path: &Path) -> Source {
        Source::try_at(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn try_at(path: &Path) -> io::Result<Source> {
        Ok(Source::over(UnixStream::connect(path)?.into()))
    }

    pub fn at_port(port: u16) -> Source {
        Source::over(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap().into())
    }

    fn over(socket: OwnedFd) -> Source {
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(DEADLINE)).unwrap();
        Source(BufReader::new(File::from(socket)))
    }

    /// Says these bytes and waits for nothing.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_say(bytes).unwrap();
    }

    pub fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    /// Says this again and again, until the agent reads no more of it: answers fill the way back.
    pub fn say_until_unheard(&mut self, text: &str) {
        const UNHEARD: Duration = Duration::from_secs(2);
        sockopt::set_socket_timeout(self.0.get_ref(), sockopt::Timeout::Send, Some(UNHEARD)).unwrap();
        while self.try_say(text).is_ok() {}
    }

    /// Says something and gives the line of answer.
    pub fn ask(&mut self, message: &Value) -> Value {
        self.say(message.to_string());
        self.answer()
    }

    pub fn answer(&mut self) -> Value {
        self.try_answer().expect("an answer comes, and the agent lives")
    }

    /// A line of answer, unless the agent ends before. It comes before the deadline.
    pub fn try_answer(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                panic!("no answer before the deadline")
            }
            read => read?,
        };
        if !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?} is no answer: {error}")))
    }

    /// Hands a segment over and waits until it is safe.
    pub fn hand_over(&mut self, segment: &Segment) -> Value {
        let answer = self.ask(&json!({"segment": segment.path(), "ack": true}));
        assert_eq!(answer["ok"], true, "{}: {answer}", segment.name());
        answer
    }

    /// Why the agent does not take a file.
    pub fn refusal(&mut self, path: &str) -> String {
        let answer = self.ask(&json!({"segment": path, "ack": true}));
        assert_eq!(answer["ok"], false, "{path}: {answer}");
        answer["error"].as_str().expect("a refusal has a reason").to_owned()
    }

    /// Waits until the agent closes it, and reads nothing meanwhile.
    pub fn is_closed(&self) -> bool {
        let patience = Timespec { tv_sec: DEADLINE.as_secs().cast_signed(), tv_nsec: 0 };
        // A hang-up is told without being asked for.
        poll(&mut [PollFd::new(self.0.get_ref(), PollFlags::empty())], Some(&patience)) == Ok(1)
    }

    /// Says that nothing more will come, and gives all that the agent still wrote before it closed, too.
    pub fn rest(mut self) -> String {
        let _ = shutdown(self.0.get_ref(), Shutdown::Write);
        let mut rest = Vec::new();
        // The agent closes what it does not like with bytes unread: that is a reset.
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            read => drop(read.expect("the agent closes before the deadline")),
        }
        String::from_utf8(rest).unwrap()
    }
}
