//! Input sockets: made by the agent, or taken as the supervisor has made them.

use super::upkeep;
use rustix::{
    fs::{Mode, fchmod},
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
        sockopt::set_socket_reuseaddr,
    },
};
use smol::Async;
use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

/// Why an input socket can't be opened.
#[derive(Debug)]
pub enum ListenError {
    /// Another process answers there.
    Answered(PathBuf),
    /// Something that is no socket is there.
    NoSocket(PathBuf),
    /// A socket that is no dead agent's.
    Foreign(PathBuf, Errno),
    /// The system says no to a socket file.
    Unix(PathBuf, io::Error),
    /// The system says no to a port.
    Tcp(SocketAddr, io::Error),
    /// The system says no to a socket of the supervisor's.
    Handed(io::Error),
}

/// The file of a socket that was made here, removed with this.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.0);
    }
}

pub fn bind_unix(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), ListenError> {
    let no = |error| ListenError::Unix(path.to_owned(), error);
    match place(path)? {
        Place::Left => fs::remove_file(path).map_err(no)?,
        Place::Empty => {}
    }
    fs::create_dir_all(upkeep::directory_of(path)).map_err(no)?;
    let listener = bind_privately(path).map_err(|error| no(error.into()))?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(no)?;
    log::info!("listening on {}", path.display());
    Ok((listener, file))
}

/// Tries whether it could be opened. What is there stays as it is, and who listens there hears a knock.
pub fn try_unix(path: &Path) -> Result<(), ListenError> {
    place(path)?;
    let dir = upkeep::directory_of(path);
    let tried = match upkeep::nearest(dir) {
        there if there == dir => upkeep::try_beside(path),
        there => upkeep::may_make_in(there),
    };
    tried.map_err(|error| ListenError::Unix(path.to_owned(), error))
}

/// What a socket would take the place of.
enum Place {
    Empty,
    /// A socket of a process that died.
    Left,
}

fn place(path: &Path) -> Result<Place, ListenError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => Err(ListenError::NoSocket(path.to_owned())),
        Ok(_) => match knock(path) {
            // A queue that is full has an owner, too.
            Ok(()) | Err(Errno::AGAIN) => Err(ListenError::Answered(path.to_owned())),
            Err(Errno::CONNREFUSED) => Ok(Place::Left),
            Err(error) => Err(ListenError::Foreign(path.to_owned(), error)),
        },
        Err(_) => Ok(Place::Empty),
    }
}

/// Until its mode is set, nobody else may connect: a socket's file has the mode that the socket had before. A umask would do,
/// too, but it is the whole process's, and the disk worker makes directories meanwhile.
fn bind_privately(path: &Path) -> Result<UnixListener, Errno> {
    const BACKLOG: i32 = 128;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

pub fn bind_tcp(address: SocketAddr) -> Result<Async<TcpListener>, ListenError> {
    let no = |error| ListenError::Tcp(address, error);
    let listener = Async::<TcpListener>::bind(address).map_err(no)?;
    // Where the port was left to the system, people need to know which one it is.
    log::info!("listening on {}", listener.get_ref().local_addr().map_err(no)?);
    Ok(listener)
}

/// Tries whether it could be opened. Nobody listens meanwhile: who looks for the agent does not find this in its place.
pub fn try_tcp(address: SocketAddr) -> Result<(), ListenError> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let tried = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).and_then(|socket| {
        // As the agent's own: a port whose last connections have just ended is free.
        set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &address)
    });
    tried.map_err(|error| ListenError::Tcp(address, error.into()))
}

/// Another descriptor of the same socket: this one is closed when the agent listens no more.
pub fn handed_unix(listener: &UnixListener) -> io::Result<Async<UnixListener>> {
    match listener.local_addr()?.as_pathname() {
        Some(path) => log::info!("listening on {}, opened by the supervisor", path.display()),
        None => log::info!("listening on a socket without a path, opened by the supervisor"),
    }
    Async::new(listener.try_clone()?)
}

/// The same.
pub fn handed_tcp(listener: &TcpListener) -> io::Result<Async<TcpListener>> {
    log::info!("listening on {}, opened by the supervisor", listener.local_addr()?);
    Async::new(listener.try_clone()?)
}

/// Whether somebody answers at a socket. Does not wait for one who is busy.
fn knock(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenError::Answered(path) => {
                write!(f, "{}: another agent answers there; stop it, or give --input_sock", path.display())
            }
            ListenError::NoSocket(path) => {
                let path = path.display();
                write!(
                    f,
                    "{path}: expected a socket or nothing, but something else is there; give another --input_sock"
                )
            }
            ListenError::Foreign(path, error) => {
                let path = path.display();
                write!(
                    f,
                    "{path}: expected a dead agent's socket or nothing, but: {error}; give another --input_sock"
                )
            }
            ListenError::Unix(path, error) => {
                let (path, cure) =
                    (path.display(), "give its directory to this user, or give another --input_sock");
                write!(f, "--input_sock: expected to open a socket at {path}, but: {error}; {cure}")
            }
            ListenError::Tcp(address, error) => {
                let cure = match error.kind() {
                    io::ErrorKind::AddrInUse => "stop who has it, or give another --input_port",
                    io::ErrorKind::AddrNotAvailable => {
                        "this board has no such address: give another --input_bind"
                    }
                    _ => "give another --input_port; those below 1024 are root's",
                };
                write!(f, "--input_port: expected to open {address}, but: {error}; {cure}")
            }
            ListenError::Handed(error) => {
                write!(f, "expected a socket of the supervisor's that can be listened on, but: {error}")
            }
        }
    }
}

impl std::error::Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_its_owners_alone_from_the_first() {
        let path = std::env::temp_dir().join(format!("cloudtalker-private-{}.sock", std::process::id()));
        let _listener = bind_privately(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        fs::remove_file(&path).unwrap();
        assert_eq!(mode & 0o777, 0o600);
    }
}
