//! Input sockets: made by the agent, or taken as the supervisor has made them.

use rustix::{
    fs::{Mode, fchmod},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with},
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

pub fn bind_unix(path: &Path, mode: u32) -> Result<UnixListener, ListenError> {
    let no = |error| ListenError::Unix(path.to_owned(), error);
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NoSocket(path.to_owned()));
        }
        Ok(_) => match knock(path) {
            // A queue that is full has an owner, too.
            Ok(()) | Err(Errno::AGAIN) => return Err(ListenError::Answered(path.to_owned())),
            // Left by a process that died.
            Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(no)?,
            Err(error) => return Err(ListenError::Foreign(path.to_owned(), error)),
        },
        Err(_) => {}
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(no)?;
    }
    let listener = bind_privately(path).map_err(|error| no(error.into()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(no)?;
    log::info!("listening on {}", path.display());
    Ok(listener)
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
                write!(f, "--input_sock: expected to open a socket at {}, but: {error}", path.display())
            }
            ListenError::Tcp(address, error) => {
                write!(f, "--input_port: expected to open {address}, but: {error}")
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
