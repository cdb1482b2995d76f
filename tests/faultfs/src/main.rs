//! A file system whose disk fails when a test wants it to.
//!
//! ```text
//! faultfs DIRECTORY SOCKET
//! ```
//!
//! It mounts an empty disk at the directory, listens at the unix socket, and says `mounted`. It records how often each
//! operation was asked for, holds fsyncs, answers errors, and forgets at a power cut what was not synced, as the first
//! connection commands (`control.rs`). When that connection ends, it unmounts and ends.
//!
//! It needs /dev/fuse and the right to mount, as root has it; else it asks for fusermount3.

mod control;
mod disk;
mod faults;
mod requests;
mod rng;
mod shell;

use control::Control;
use disk::Disk;
use fuser::{Config, MountOption, Session};
use shell::Shell;
use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{
        fs::MetadataExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    process::ExitCode,
    sync::mpsc,
    thread,
};

/// In bytes. More than a test fills.
const CAPACITY: u64 = 4 << 30;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [directory, socket] = &arguments[..] else {
        eprintln!("faultfs: expected DIRECTORY SOCKET, got {arguments:?}");
        return ExitCode::from(64);
    };
    match serve(Path::new(directory), Path::new(socket)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faultfs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(directory: &Path, socket: &Path) -> io::Result<()> {
    let named = |path: &Path, error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
    let owner = fs::metadata(directory).map_err(|error| named(directory, error))?;
    let listener = UnixListener::bind(socket).map_err(|error| named(socket, error))?;
    let shell = Shell::new(Disk::new(CAPACITY), (owner.uid(), owner.gid()));
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("faultfs".into()), MountOption::NoAtime];
    let session = Session::new(shell.clone(), directory, &config).and_then(Session::spawn);
    let session = session.map_err(|error| {
        let needs = "it takes /dev/fuse, and root or Debian's package fuse3";
        io::Error::other(format!("{} can't be mounted: {error}; {needs}", directory.display()))
    })?;
    println!("mounted");
    let ended = listener.accept().and_then(|(connection, _)| obey(connection, shell));
    // A file that is still open must not keep the mount: what is asked of it fails once this process has ended.
    let _ = nix::mount::umount2(directory, nix::mount::MntFlags::MNT_DETACH);
    drop(session);
    ended
}

/// Does what comes until the connection ends, also where a command is still waiting for something.
fn obey(connection: UnixStream, shell: Shell) -> io::Result<()> {
    let mut answers = connection.try_clone()?;
    let (commands, waiting) = mpsc::channel::<String>();
    thread::spawn(move || {
        for line in waiting {
            let answer = match line.parse::<Control>() {
                Ok(control) => format!("ok {}\n", shell.obey(control)),
                Err(why) => format!("no: {why}\n"),
            };
            // A test that has gone hears no answers.
            let _ = answers.write_all(answer.as_bytes());
        }
    });
    for line in BufReader::new(connection).lines() {
        commands.send(line?).map_err(io::Error::other)?;
    }
    Ok(())
}
