//! The lock on the state directory: two agents in one would destroy each other's work.
//!
//! It is an flock(2) on the directory itself, so that nothing is left behind by an agent that is killed.

use rustix::{
    fs::{FlockOperation, flock, major, minor},
    io::Errno,
};
use std::{
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Why a state directory is not ours.
#[derive(Debug)]
pub enum LockError {
    /// Another agent has it.
    Taken(PathBuf),
    /// It can't be opened: it may be there another time.
    Unopened(io::Error),
}

/// Holds the directory as long as the file is open. Never waits.
pub fn take(dir: &Path) -> Result<File, LockError> {
    let file = File::open(dir).map_err(LockError::Unopened)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(LockError::Taken(dir.to_owned())),
        // Some network file systems have no locks; captures are safer there than nowhere.
        Err(error) => {
            log::warn!("{} can't be locked: {error}; let no other agent use it", dir.display());
        }
    }
    Ok(file)
}

/// Whether somebody has locked this file, as the kernel tells. Where it can't be found there, as on btrfs or from another
/// container, nobody has. To lock it for a moment would tell more, but keep an agent out that starts just then.
pub fn is_held(file: &File) -> bool {
    let Ok(about) = file.metadata() else { return false };
    let id = format!("{:02x}:{:02x}:{}", major(about.dev()), minor(about.dev()), about.ino());
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().any(|line| line.contains("FLOCK") && line.split_whitespace().any(|word| word == id))
}

impl From<LockError> for io::Error {
    fn from(error: LockError) -> io::Error {
        match error {
            LockError::Taken(_) => io::Error::new(io::ErrorKind::ResourceBusy, error.to_string()),
            LockError::Unopened(error) => error,
        }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Taken(dir) => {
                write!(
                    f,
                    "{}: another agent has this state directory; stop it, or give --state_dir",
                    dir.display()
                )
            }
            LockError::Unopened(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LockError {}
