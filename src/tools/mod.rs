//! The short-lived commands beside the agent. They block: each has one thing to wait for.

pub mod bundle;
pub mod check;
pub mod listen;
pub mod send;
pub mod status;

mod text;

use crate::{
    cli::exit,
    config::{ConfigError, InputConfig, LogTo},
    shell,
    wire::shortened,
};
use log::LevelFilter;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt},
};
use serde_json::Value;
use simple_logger::SimpleLogger;
use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::fs::FileTypeExt},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

/// A look for an agent that is not there yet costs next to nothing, and nobody sees a fifth of a second.
const RETRY: Duration = Duration::from_millis(200);
/// For an agent that need not be waited for, and may have something to do.
const MOMENT: Duration = Duration::from_secs(1);
/// For the answer to a question: the agent answers from memory.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time enough to have a new certificate made.
const EXPIRES_SOON: u64 = 30 * 24 * 60 * 60;
/// Far beyond any answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Does a command: logs on standard error meanwhile, then says why it failed, if it did.
pub fn finish(command: &str, work: impl FnOnce() -> Result<(), ToolError>) -> ExitCode {
    SimpleLogger::new().with_level(LevelFilter::Info).init().expect("no logger is set before");
    end(command, work())
}

/// The same for one that may outlive whoever reads its log, which then must not end it. Each message is written: nobody
/// would tell of those that were counted.
pub fn finish_lasting(command: &str, work: impl FnOnce() -> Result<(), ToolError>) -> ExitCode {
    shell::log::init(LogTo::Stderr, LevelFilter::Debug);
    end(command, work())
}

fn end(command: &str, ended: Result<(), ToolError>) -> ExitCode {
    let Err(error) = ended else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr(), "cloudtalker {command}: {error}");
    ExitCode::from(error.exit_code())
}

/// Whether anybody is there for what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    There,
    /// A pipe that was closed: no error, but a reason to end.
    Gone,
}

impl Audience {
    fn of(printed: io::Result<()>) -> Result<Audience, ToolError> {
        match printed {
            Ok(()) => Ok(Audience::There),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Audience::Gone),
            Err(error) => Err(ToolError::Unwritten("standard output".to_owned(), error)),
        }
    }
}

/// Prints at once.
fn print(text: &str) -> Result<Audience, ToolError> {
    let mut out = io::stdout().lock();
    Audience::of(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Whether who should read standard output has gone.
fn is_unread() -> bool {
    let out = io::stdout();
    let mut polled = [PollFd::new(&out, PollFlags::empty())];
    let is_asked = poll(&mut polled, Some(&Timespec::default())).is_ok();
    is_asked && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Why a command failed.
#[derive(Debug)]
pub enum ToolError {
    /// Its options make no sense.
    Config(ConfigError),
    /// It lacks something, or has too much.
    Usage(&'static str),
    /// Nobody answers at the agent's socket.
    Absent(Address, io::Error),
    /// The agent did not answer in time.
    Silent(Address, Duration),
    /// The agent ended the connection.
    Lost(Address, io::Error),
    /// Something that is no agent answers there: its first words.
    Stranger(Address, String),
    /// The agent will not have some files, and why.
    Refused(Vec<(String, String)>),
    /// The agent's answer makes no sense: why, and the answer.
    Nonsense(String, String),
    /// The command socket does not open, or fails.
    Socket(String, io::Error),
    /// Something is where a file is to be made.
    Taken(String),
    /// A file can't be made, or written.
    Unwritten(String, io::Error),
}

/// Where the agent listens for captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A port, on this machine.
    Tcp(SocketAddr),
}

impl Address {
    /// Finds the agent by options, by its configuration file, or where it usually is.
    fn find(options: Vec<(&'static str, String)>, file: Option<&str>) -> Result<Address, ToolError> {
        Ok(Address::of(InputConfig::find(options, file)?))
    }

    /// Where an agent listens that has these sockets.
    fn of(input: InputConfig) -> Address {
        match (input.unix, input.tcp) {
            (Some(path), _) => Address::Unix(path),
            (None, Some(tcp)) => Address::of_port(tcp),
            (None, None) => unreachable!("an agent has an input socket"),
        }
    }

    /// Where an agent is reached that listens here.
    fn of_port(bound: SocketAddr) -> Address {
        Address::Tcp(SocketAddr::new(reachable(bound.ip()), bound.port()))
    }

    fn connect(&self) -> Result<Connection, ToolError> {
        self.connect_within(PATIENCE)
    }

    /// An agent that takes no connection, as it is stopped or hangs, keeps nobody longer.
    fn connect_within(&self, patience: Duration) -> Result<Connection, ToolError> {
        let connected = match self {
            Address::Unix(path) => {
                connect_unix(path, patience).map_err(|error| no_socket(path).unwrap_or(error))
            }
            Address::Tcp(address) => TcpStream::connect_timeout(address, patience).map(OwnedFd::from),
        };
        match connected {
            Ok(socket) => Ok(Connection { socket: File::from(socket), address: self.clone() }),
            Err(error) if is_late(&error) => Err(ToolError::Silent(self.clone(), patience)),
            Err(error) => Err(ToolError::Absent(self.clone(), error)),
        }
    }

    /// Waits for the agent to be there. Only what another moment can change is tried again.
    fn connect_by(&self, deadline: Instant) -> Result<Connection, ToolError> {
        let mut is_told = false;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.connect_within(left.max(MOMENT)) {
                Err(ToolError::Absent(_, error)) if is_nobody(&error) && !left.is_zero() => {}
                ended => return ended,
            }
            if !is_told {
                log::info!("waiting for the agent at {self}");
                is_told = true;
            }
            thread::sleep(RETRY);
        }
    }
}

/// Waits so long where the queue of those who want to be let in is full: unix(7).
fn connect_unix(path: &Path, patience: Duration) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let (address, deadline) = (SocketAddrUnix::new(path)?, Instant::now() + patience);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(left))?;
        match connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            // As a terminal's resizing does it.
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a socket says once its time is over.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// Nobody listens there; an agent that is being started does soon.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Where something else is, connecting to it fails as it does where an agent has died.
fn no_socket(path: &Path) -> Option<io::Error> {
    let is_other = fs::metadata(path).is_ok_and(|about| !about.file_type().is_socket());
    is_other.then(|| io::Error::new(io::ErrorKind::InvalidInput, "something that is no socket is there"))
}

/// An address that a listener was bound to is reached at loopback where it stands for all.
fn reachable(bound: IpAddr) -> IpAddr {
    match bound {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// A connection to the agent.
struct Connection {
    socket: File,
    address: Address,
}

impl Connection {
    /// Says something and waits for the line of answer to it.
    fn ask(&mut self, message: &Value, wait: Duration) -> Result<String, ToolError> {
        let deadline = Instant::now() + wait;
        let mut answer = Vec::new();
        let mut exchange = || -> io::Result<()> {
            sockopt::set_socket_timeout(&self.socket, sockopt::Timeout::Send, Some(wait))?;
            self.socket.write_all(format!("{message}\n").as_bytes())?;
            // What does not begin as the agent's answers do need not end as they do.
            while !answer.ends_with(b"\n") && answer.len() < LONGEST_ANSWER && !is_strange(&answer) {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                sockopt::set_socket_timeout(&self.socket, sockopt::Timeout::Recv, Some(left))?;
                let mut bytes = [0; 4096];
                match self.socket.read(&mut bytes)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    count => answer.extend_from_slice(&bytes[..count]),
                }
            }
            Ok(())
        };
        exchange().map_err(|error| match is_late(&error) {
            true => ToolError::Silent(self.address.clone(), wait),
            false => ToolError::Lost(self.address.clone(), error),
        })?;
        let answer = String::from_utf8_lossy(&answer);
        if is_strange(answer.as_bytes()) {
            let words = shortened(answer.lines().next().unwrap_or_default());
            return Err(ToolError::Stranger(self.address.clone(), words));
        }
        Ok(answer.trim_end().to_owned())
    }
}

/// The agent's answers are JSON objects.
fn is_strange(answer: &[u8]) -> bool {
    answer.first().is_some_and(|byte| *byte != b'{')
}

impl ToolError {
    fn exit_code(&self) -> u8 {
        match self {
            ToolError::Config(_) | ToolError::Usage(_) => exit::USAGE,
            ToolError::Absent(..) | ToolError::Silent(..) | ToolError::Lost(..) => exit::UNAVAILABLE,
            ToolError::Refused(_)
            | ToolError::Stranger(..)
            | ToolError::Nonsense(..)
            | ToolError::Socket(..)
            | ToolError::Taken(_)
            | ToolError::Unwritten(..) => exit::FAILED,
        }
    }
}

impl From<ConfigError> for ToolError {
    fn from(error: ConfigError) -> ToolError {
        ToolError::Config(error)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => path.display().fmt(f),
            Address::Tcp(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToolError::Config(error) => error.fmt(f),
            ToolError::Usage(why) => f.write_str(why),
            ToolError::Absent(address, error) => {
                let hint = match error.kind() {
                    io::ErrorKind::PermissionDenied => "join the group of its socket, or see --input_mode",
                    io::ErrorKind::InvalidInput => "is --input_sock right?",
                    _ if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => {
                        "a stream socket should be there; is --input_sock right?"
                    }
                    _ => "does it run, and with this input socket?",
                };
                write!(f, "expected the agent at {address}, but: {error}; {hint}")
            }
            ToolError::Silent(address, wait) => {
                write!(f, "the agent at {address} did not answer within {:.0} s", wait.as_secs_f64().ceil())
            }
            ToolError::Lost(address, error) => {
                write!(f, "the agent at {address} ended the connection: {error}")
            }
            ToolError::Stranger(address, words) => {
                let option = match address {
                    Address::Unix(_) => "--input_sock",
                    Address::Tcp(_) => "--input_port",
                };
                write!(
                    f,
                    "expected the agent at {address}, but something else answers there: {words:?}; is {option} right?"
                )
            }
            ToolError::Refused(files) => {
                let lines: Vec<String> =
                    files.iter().map(|(file, why)| format!("the agent refused {file}: {why}")).collect();
                f.write_str(&lines.join("\n"))
            }
            ToolError::Nonsense(why, answer) => {
                write!(f, "expected another answer of the agent ({why}), but came {answer:?}")
            }
            ToolError::Socket(address, error) => {
                write!(f, "expected to receive commands at {address}, but: {error}")
            }
            ToolError::Taken(file) => {
                write!(f, "expected to make {file}, but something is there already: give another name")
            }
            ToolError::Unwritten(file, error) => write!(f, "expected to write {file}, but: {error}"),
        }
    }
}

impl std::error::Error for ToolError {}

#[cfg(test)]
mod tests;
