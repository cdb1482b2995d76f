//! Files that tell of the running agent: written time and again, beside the executor, and gone once it ends.
//!
//! They belong on tmpfs, but may lie on flash, or where a call hangs. So they are written on smol's thread for blocking
//! calls, each once at a time; not by the disk worker, for behind an fsync that takes minutes an agent would look dead that
//! only waits.

use super::{executor::Executor, medium::Medium};
use async_channel::Sender;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use smol::Task;
use std::{
    ffi::OsString,
    fmt,
    fs::{self, File, FileType, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

/// Such a file.
pub trait Sign: Send + 'static {
    /// The option that names it.
    const OPTION: &'static str;
    /// What may be in its place, for a person to read.
    const EXPECTED: &'static str;
    /// What there is to be told.
    type News: Send + 'static;

    fn path(&self) -> &Path;

    /// What a regular file in its place is, where the agent has not made it: such a file stays as it is.
    fn stranger(&self, about: &Metadata) -> io::Result<Option<&'static str>>;

    fn write(&mut self, news: Self::News) -> io::Result<()>;
}

/// Why a file can't be kept.
#[derive(Debug)]
pub enum SignError {
    /// Something else has its name: what was expected, and what came.
    Misplaced { option: &'static str, path: PathBuf, expected: &'static str, came: &'static str },
    /// It can't be written now.
    Unwritten { option: &'static str, path: PathBuf, error: io::Error },
}

/// Writes it, unless something else is in its place.
pub fn write<S: Sign>(sign: &mut S, news: S::News) -> Result<(), SignError> {
    is_there(sign)?;
    sign.write(news).map_err(|error| unwritten(sign, error))
}

/// Removes it, if it is there. Something else in its place stays.
pub fn remove<S: Sign>(sign: &S) -> Result<(), SignError> {
    if is_there(sign)? {
        fs::remove_file(sign.path()).map_err(|error| unwritten(sign, error))?;
    }
    Ok(())
}

/// Tries whether there is a place for it, and whether it may be written. Nothing of it is changed.
pub fn try_place<S: Sign>(sign: &S) -> Result<(), SignError> {
    let tried = match is_there(sign)? {
        true => accessat(CWD, sign.path(), Access::WRITE_OK, AtFlags::EACCESS).map_err(io::Error::from),
        false => Ok(()),
    };
    let tried = tried.and_then(|()| try_beside(sign.path()));
    tried.map_err(|error| unwritten(sign, error))
}

/// What is wrong with where it lies; `None` also where that can't be told.
pub fn wear(path: &Path) -> Option<String> {
    let may_be_flash = matches!(Medium::of(directory_of(path)), Ok(Medium::Lasting | Medium::Unseen));
    may_be_flash.then(|| {
        format!(
            "{} is not on tmpfs: written as often as it is, it wears out flash; give a path on tmpfs, as in /run",
            path.display()
        )
    })
}

/// What to do about a file that can't be written.
pub fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "remove something there",
        _ => "is its directory there, and this user's?",
    }
}

/// A new file beside this one, to take its place once it is whole.
pub fn new_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut name = OsString::from(path);
    name.push(format!(".{}", process::id()));
    let beside = PathBuf::from(name);
    // Left by a process that had this number; a new file follows no link.
    let _ = fs::remove_file(&beside);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside)?;
    Ok((beside, file))
}

/// Tries whether a file can be made beside this one.
pub fn try_beside(path: &Path) -> io::Result<()> {
    fs::remove_file(new_beside(path)?.0)
}

/// Where a file of this name lies.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// The nearest directory that is there: this one, or where it is still to be made.
pub fn nearest(dir: &Path) -> &Path {
    let there = dir.ancestors().find(|dir| !dir.as_os_str().is_empty() && dir.exists());
    there.unwrap_or_else(|| Path::new("."))
}

/// Whether directories can be made in this one, by its permissions.
pub fn may_make_in(dir: &Path) -> io::Result<()> {
    Ok(accessat(CWD, dir, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}

fn is_there<S: Sign>(sign: &S) -> Result<bool, SignError> {
    let about = match fs::symlink_metadata(sign.path()) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unwritten(sign, error)),
    };
    let stranger = match irregular(about.file_type()) {
        None => sign.stranger(&about).map_err(|error| unwritten(sign, error))?,
        irregular => irregular,
    };
    match stranger {
        None => Ok(true),
        Some(came) => Err(SignError::Misplaced {
            option: S::OPTION,
            path: sign.path().to_owned(),
            expected: S::EXPECTED,
            came,
        }),
    }
}

fn irregular(kind: FileType) -> Option<&'static str> {
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_symlink() => Some("a symbolic link"),
        () if kind.is_fifo() => Some("a named pipe"),
        () if kind.is_socket() => Some("a socket"),
        () if kind.is_block_device() => Some("a block device"),
        () => Some("a character device"),
    }
}

/// Why a file could not be written.
fn unwritten<S: Sign>(sign: &S, error: io::Error) -> SignError {
    SignError::Unwritten { option: S::OPTION, path: sign.path().to_owned(), error }
}

/// Keeps a file up to date.
pub struct Upkeep<S: Sign> {
    news: Sender<S::News>,
    task: Task<()>,
}

impl<S: Sign> Upkeep<S> {
    pub fn of(executor: &Executor, sign: S) -> Upkeep<S> {
        // What could not be told yet is told no more once there is something newer.
        let (news, waiting) = async_channel::bounded(1);
        let mut keeper = Keeper { sign, is_failing: false, is_placed: false };
        let task = executor.spawn(async move {
            while let Ok(news) = waiting.recv().await {
                keeper = smol::unblock(move || keeper.write(news)).await;
            }
            smol::unblock(move || keeper.leave()).await;
        });
        Upkeep { news, task }
    }

    /// Has it written, as soon as it is not being written any more.
    pub fn tell(&self, news: S::News) {
        // The task lives as long as this, or the executor has ended.
        let _ = self.news.force_send(news);
    }

    /// Removes it.
    pub async fn end(self) {
        drop(self.news);
        self.task.await;
    }

    /// Removes it, and waits for nothing.
    pub fn leave(self) {
        self.task.detach();
    }
}

struct Keeper<S> {
    sign: S,
    is_failing: bool,
    /// Whether it was looked at where the file lies.
    is_placed: bool,
}

impl<S: Sign> Keeper<S> {
    fn write(mut self, news: S::News) -> Keeper<S> {
        let written = write(&mut self.sign, news);
        let was_failing = std::mem::replace(&mut self.is_failing, written.is_err());
        match written {
            Ok(()) if was_failing => log::info!("{}: {} is written again", S::OPTION, self.shown()),
            Ok(()) => self.look_where_it_lies(),
            Err(_) if was_failing => {}
            Err(error) => log::warn!("{error}; trying again"),
        }
        self
    }

    fn look_where_it_lies(&mut self) {
        if std::mem::replace(&mut self.is_placed, true) {
            return;
        }
        if let Some(wear) = wear(self.sign.path()) {
            log::warn!("{}: {wear}", S::OPTION);
        }
    }

    fn leave(self) {
        if let Err(error) = remove(&self.sign) {
            log::warn!("{error}; it stays as it is");
        }
    }

    fn shown(&self) -> impl fmt::Display {
        self.sign.path().display()
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignError::Misplaced { option, path, expected, came } => write!(
                f,
                "{option}: {}: expected {expected}, but {came} is there; remove it, or give another {option}",
                path.display()
            ),
            SignError::Unwritten { option, path, error } => {
                write!(f, "{option}: expected to write {}, but: {error}; {}", path.display(), cure(error))
            }
        }
    }
}

impl std::error::Error for SignError {}
