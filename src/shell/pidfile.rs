//! The file that tells an init script which process is the agent: its number, and a line's end.
//!
//! The file is locked (flock(2)) as long as the agent lives, and replaced as a whole. So whoever reads it reads all of
//! it, and what a dead agent has left is told from a live one's by the lock: the number would not do, for a board gives
//! the same numbers at each boot, to other processes.

use super::{
    lock,
    upkeep::{cure, new_beside, try_beside},
};
use rustix::{
    fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with},
    io::Errno,
};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

/// More than a process's number takes.
const LONGEST: u64 = 32;

/// A file that names this process, until it is dropped.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    /// Locked.
    file: File,
}

/// Why there is no pidfile.
#[derive(Debug)]
pub enum PidfileError {
    /// An agent lives that has this file: its process.
    Taken(PathBuf, String),
    /// Something else has this name: what.
    Misplaced(PathBuf, &'static str),
    /// It can't be written now.
    Unwritten(PathBuf, io::Error),
}

impl Pidfile {
    /// Takes the name over from a dead agent, or makes it.
    pub fn claim(path: &Path) -> Result<Pidfile, PidfileError> {
        let unwritten = |error: io::Error| PidfileError::Unwritten(path.to_owned(), error);
        let mut pidfile = Pidfile::write_beside(path).map_err(unwritten)?;
        loop {
            // Held until the name is ours: of several agents that find a dead one's file, one takes it over.
            let former = lock_former(path)?;
            let flags = match &former {
                None => RenameFlags::NOREPLACE,
                Some(former) if is_at(former, path) => RenameFlags::empty(),
                // Another agent was faster: it is looked at anew.
                Some(_) => continue,
            };
            match renameat_with(CWD, &pidfile.path, CWD, path, flags) {
                Ok(()) => {
                    path.clone_into(&mut pidfile.path);
                    return Ok(pidfile);
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(unwritten(error.into())),
            }
        }
    }

    /// Tries whether it could be claimed. Nothing is changed.
    pub fn try_claim(path: &Path) -> Result<(), PidfileError> {
        match open_former(path)? {
            Some((file, id)) if lock::is_held(&file) => Err(PidfileError::Taken(path.to_owned(), id)),
            Some(_) | None => {
                try_beside(path).map_err(|error| PidfileError::Unwritten(path.to_owned(), error))
            }
        }
    }

    fn write_beside(path: &Path) -> io::Result<Pidfile> {
        let (path, file) = new_beside(path)?;
        // Whatever fails from now on, it is removed.
        let mut pidfile = Pidfile { path, file };
        flock(&pidfile.file, FlockOperation::NonBlockingLockExclusive)?;
        writeln!(pidfile.file, "{}", process::id())?;
        Ok(pidfile)
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The file that a dead agent has left, locked; `None` where there is none.
fn lock_former(path: &Path) -> Result<Option<File>, PidfileError> {
    let Some((file, id)) = open_former(path)? else { return Ok(None) };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Err(PidfileError::Taken(path.to_owned(), id)),
        Err(error) => Err(PidfileError::Unwritten(path.to_owned(), error.into())),
    }
}

/// An agent's file, dead or alive, and the process that it names; `None` where there is none.
fn open_former(path: &Path) -> Result<Option<(File, String)>, PidfileError> {
    let unwritten = |error: io::Error| PidfileError::Unwritten(path.to_owned(), error);
    let misplaced = |what: &'static str| PidfileError::Misplaced(path.to_owned(), what);
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Err(misplaced("a symbolic link"));
        }
        // What open(2) says of a socket.
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
            return Err(misplaced("a socket"));
        }
        Err(error) => return Err(unwritten(error)),
    };
    if !file.metadata().map_err(unwritten)?.is_file() {
        return Err(misplaced("no regular file"));
    }
    let mut content = Vec::new();
    (&file).take(LONGEST).read_to_end(&mut content).map_err(unwritten)?;
    // A power cut may have left it empty.
    let content = content.trim_ascii();
    if !content.iter().all(u8::is_ascii_digit) {
        return Err(misplaced("a file that holds no process's number"));
    }
    let id = String::from_utf8_lossy(content).into_owned();
    Ok(Some((file, id)))
}

/// Whether this file is the one of this name.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

impl fmt::Display for PidfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PidfileError::Taken(path, id) => write!(
                f,
                "--pidfile: {}: another agent has this file, process {id}; stop it, or give another --pidfile",
                path.display()
            ),
            PidfileError::Misplaced(path, what) => write!(
                f,
                "--pidfile: {}: expected a dead agent's file or nothing, but {what} is there; remove it, or give \
                 another --pidfile",
                path.display()
            ),
            PidfileError::Unwritten(path, error) => {
                write!(f, "--pidfile: expected to write {}, but: {error}; {}", path.display(), cure(error))
            }
        }
    }
}

impl std::error::Error for PidfileError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        ffi::OsString,
        os::unix::{fs::symlink, net::UnixListener},
    };

    /// A directory of its own.
    struct Dir(PathBuf);

    impl Dir {
        fn new(test: &str) -> Dir {
            let dir = std::env::temp_dir().join(format!("cloudtalker-{test}-{}", process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir(&dir).unwrap();
            Dir(dir)
        }

        fn pidfile(&self) -> PathBuf {
            self.0.join("agent.pid")
        }

        fn names(&self) -> Vec<OsString> {
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn it_names_this_process_and_goes_with_it() {
        let dir = Dir::new("pidfile");
        let pidfile = Pidfile::claim(&dir.pidfile()).unwrap();
        assert_eq!(fs::read_to_string(dir.pidfile()).unwrap(), format!("{}\n", process::id()));
        assert_eq!(dir.names(), ["agent.pid"]);
        drop(pidfile);
        assert_eq!(dir.names(), [""; 0]);
    }

    #[test]
    fn what_a_dead_agent_has_left_is_taken_over() {
        let dir = Dir::new("left");
        // The third is a process that lives, but no agent; the last is what a power cut may leave.
        for left in ["4194304\n", "4194304", "1\n", "\n", ""] {
            fs::write(dir.pidfile(), left).unwrap();
            let _pidfile = Pidfile::claim(&dir.pidfile()).unwrap();
            assert_eq!(
                fs::read_to_string(dir.pidfile()).unwrap(),
                format!("{}\n", process::id()),
                "{left:?}"
            );
        }
    }

    #[test]
    fn a_live_agents_file_is_its_own() {
        let dir = Dir::new("live");
        let _pidfile = Pidfile::claim(&dir.pidfile()).unwrap();
        let error = Pidfile::claim(&dir.pidfile()).unwrap_err().to_string();
        let (path, id) = (dir.pidfile(), process::id());
        let path = path.display();
        let expected = format!("--pidfile: {path}: another agent has this file, process {id}; stop it, ");
        assert!(error.starts_with(&expected), "{error}");
        assert_eq!(dir.names(), ["agent.pid"]);
    }

    #[test]
    fn what_is_no_pidfile_stays_as_it_is() {
        let dir = Dir::new("misplaced");
        let (path, precious) = (dir.pidfile(), dir.0.join("precious"));
        fs::write(&precious, "precious\n").unwrap();
        let refused = |what: &str| {
            let error = Pidfile::claim(&path).unwrap_err().to_string();
            let expected = format!("expected a dead agent's file or nothing, but {what} is there");
            assert!(error.contains(&expected), "{error}");
        };
        symlink(&precious, &path).unwrap();
        refused("a symbolic link");
        assert_eq!(fs::read_link(&path).unwrap(), precious);
        fs::remove_file(&path).unwrap();
        symlink(dir.0.join("nothing"), &path).unwrap();
        refused("a symbolic link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("no regular file");
        fs::remove_dir(&path).unwrap();
        let socket = UnixListener::bind(&path).unwrap();
        refused("a socket");
        drop(socket);
        fs::rename(&precious, &path).unwrap();
        refused("a file that holds no process's number");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious\n");
        assert_eq!(dir.names(), ["agent.pid"]);
    }

    #[test]
    fn a_file_that_somebody_put_in_its_place_is_not_removed() {
        let dir = Dir::new("replaced");
        let pidfile = Pidfile::claim(&dir.pidfile()).unwrap();
        fs::remove_file(dir.pidfile()).unwrap();
        fs::write(dir.pidfile(), "1\n").unwrap();
        drop(pidfile);
        assert_eq!(fs::read_to_string(dir.pidfile()).unwrap(), "1\n");
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let error = Pidfile::claim(Path::new("/nonexistent/agent.pid")).unwrap_err().to_string();
        assert!(
            error.starts_with("--pidfile: expected to write /nonexistent/agent.pid, but: No such"),
            "{error}"
        );
    }
}
