//! `cloudtalker listen`: the other end of the command socket, for people without a program for it.
//!
//! Commands that come while a program runs wait in the socket, in their order. One thread more waits for SIGTERM
//! and SIGINT: a blocked read, or a program that takes long, can't.

use super::{Audience, ToolError, print};
use crate::{cli, config::CommandTarget, wire::command::Command};
use async_signal::{Signal, Signals};
use serde_json::Value;
use smol::stream::StreamExt;
use std::{
    fs, io,
    net::UdpSocket,
    os::unix::{fs::FileTypeExt, net::UnixDatagram},
    path::{Path, PathBuf},
    process, thread,
};

/// Commands are far shorter; what is longer is cut, and then no command.
const LONGEST_DATAGRAM: usize = 4096;

/// Receives until it is asked to stop, or nobody reads what it prints.
pub fn run(listen: &cli::Listen) -> Result<(), ToolError> {
    let target = CommandTarget::find(listen.settings(), listen.config.as_deref())?;
    let Some(target) = target else {
        return Err(ToolError::Usage(
            "expected a place to receive commands at: give --cam_sock or --cam_addr",
        ));
    };
    let failed = |error: io::Error| ToolError::Socket(target.to_string(), error);
    let stop = Signals::new([Signal::Term, Signal::Int]).map_err(failed)?;
    let socket = Socket::bind(&target).map_err(failed)?;
    let _file = socket.file().map(SocketFile);
    thread::spawn({
        let file = socket.file();
        move || exit_on(stop, file.as_deref())
    });
    log::info!("listening at {target}");

    let mut datagram = [0; LONGEST_DATAGRAM];
    loop {
        let length = socket.receive(&mut datagram).map_err(failed)?;
        let Some(command) = command(&datagram[..length]) else {
            log::warn!("expected a command, but came {:?}", String::from_utf8_lossy(&datagram[..length]));
            continue;
        };
        match &listen.exec {
            Some(program) => execute(program, command),
            None if print(&format!("{command}\n"))? == Audience::Gone => return Ok(()),
            None => {}
        }
    }
}

fn command(datagram: &[u8]) -> Option<Command> {
    let object: Value = serde_json::from_str(str::from_utf8(datagram).ok()?).ok()?;
    Command::from_word(object.get("command")?.as_str()?)
}

/// By the shell, so that the program can have arguments of its own before the command.
fn execute(program: &str, command: Command) {
    let script = format!("{program} \"$1\"");
    match process::Command::new("sh").args(["-c", &script, "sh", command.as_str()]).status() {
        Ok(status) if status.success() => {}
        Ok(status) => log::warn!("{program} {command}: {status}"),
        Err(error) => log::warn!("expected to run {program:?} by sh, but: {error}"),
    }
}

fn exit_on(mut stop: Signals, file: Option<&Path>) {
    smol::block_on(stop.next());
    drop(file.map(|file| SocketFile(file.into())));
    process::exit(0);
}

enum Socket {
    Unix(UnixDatagram, PathBuf),
    Udp(UdpSocket),
}

impl Socket {
    fn bind(target: &CommandTarget) -> io::Result<Socket> {
        match target {
            CommandTarget::Unix(path) => Ok(Socket::Unix(bind_unix(path)?, path.clone())),
            CommandTarget::Udp { host, port } => UdpSocket::bind((host.as_str(), *port)).map(Socket::Udp),
        }
    }

    fn file(&self) -> Option<PathBuf> {
        match self {
            Socket::Unix(_, path) => Some(path.clone()),
            Socket::Udp(_) => None,
        }
    }

    fn receive(&self, datagram: &mut [u8]) -> io::Result<usize> {
        loop {
            let received = match self {
                Socket::Unix(socket, _) => socket.recv(datagram),
                Socket::Udp(socket) => socket.recv(datagram),
            };
            match received {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return received,
            }
        }
    }
}

/// A file that a dead listener left behind is replaced; a living one is not disturbed.
fn bind_unix(path: &Path) -> io::Result<UnixDatagram> {
    match UnixDatagram::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        bound => return bound,
    }
    let taken = |why| io::Error::new(io::ErrorKind::AddrInUse, why);
    // Other files refuse connections too.
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(taken("something that is no socket is there; give another --cam_sock"));
    }
    match UnixDatagram::unbound()?.connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path)?;
            UnixDatagram::bind(path)
        }
        _ => Err(taken("another program listens there; stop it, or give another --cam_sock")),
    }
}

/// Goes when the listener goes.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("cloudtalker-listen-{name}-{}", process::id()))
    }

    #[test]
    fn each_command_is_understood_and_nothing_else() {
        for expected in Command::ALL {
            assert_eq!(command(expected.datagram()), Some(expected));
        }
        for datagram in
            [&b""[..], b"arm", br#"{"command":"fly"}"#, br#"{"command":1}"#, br#"["arm"]"#, &[0xff; 9]]
        {
            assert_eq!(command(datagram), None, "{datagram:?}");
        }
    }

    #[test]
    fn a_dead_listeners_socket_is_replaced() {
        let path = temporary("stale");
        let _file = SocketFile(path.clone());
        drop(UnixDatagram::bind(&path).unwrap());
        // A process that another test begins at this moment has it until it is another program.
        while UnixDatagram::unbound().unwrap().connect(&path).is_ok() {
            std::thread::yield_now();
        }
        let living = bind_unix(&path).unwrap();
        let error = bind_unix(&path).unwrap_err().to_string();
        assert_eq!(error, "another program listens there; stop it, or give another --cam_sock");
        UnixDatagram::unbound().unwrap().send_to(b"x", &path).unwrap();
        assert_eq!(living.recv(&mut [0; 1]).unwrap(), 1);
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let path = temporary("file");
        fs::write(&path, "precious").unwrap();
        let _file = SocketFile(path.clone());
        let error = bind_unix(&path).unwrap_err().to_string();
        assert_eq!(error, "something that is no socket is there; give another --cam_sock");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_program_may_have_arguments_of_its_own() {
        let path = temporary("exec");
        let _file = SocketFile(path.clone());
        let program = format!("printf '%s %s\n' >> '{}' first", path.display());
        for command in [Command::Arm, Command::Disarm] {
            execute(&program, command);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "first arm\nfirst disarm\n");
    }
}
