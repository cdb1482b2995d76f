//! The disk worker: a thread of its own, because an fsync on a memory card can take seconds.

use crate::engine::{
    Input,
    spool::{Facts, Files, Inode, SourceError, Spool, Task},
};
use async_channel::Sender;
use rustix::fs::{AtFlags, CWD, OFlags, linkat};
use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, Read, Seek, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

/// Tasks for the disk worker, which answers each with [`Input::DiskDone`], in order.
pub struct Disk(mpsc::Sender<Task>);

impl Disk {
    /// Starts the worker. It ends with this handle, once the task it is at is done.
    pub fn start(mut spool: Spool<StateDir>, inputs: Sender<Input>) -> io::Result<Disk> {
        let (tasks, waiting) = mpsc::channel();
        thread::Builder::new().name("disk".into()).spawn(move || {
            for task in waiting {
                if inputs.send_blocking(Input::DiskDone(spool.perform(task))).is_err() {
                    return;
                }
            }
        })?;
        Ok(Disk(tasks))
    }

    /// Hands a task over.
    pub fn perform(&self, task: Task) {
        self.0.send(task).expect("the worker lives as long as its handle, or the process has panicked");
    }
}

/// The state directory, and the files that local programs name.
pub struct StateDir {
    dir: PathBuf,
    /// Resolved; empty where anything may be named.
    capture_dirs: Vec<PathBuf>,
    /// Where relative names begin.
    sources: PathBuf,
}

impl StateDir {
    /// Makes the directory if need be. A directory that can't be made is told by every later call.
    pub fn new(dir: &Path, capture_dirs: &[PathBuf]) -> StateDir {
        // The reason comes up again where the directory is used, and is told there.
        let _ = make_dirs(dir);
        let capture_dirs: Vec<PathBuf> =
            capture_dirs.iter().map(|dir| dir.canonicalize().unwrap_or_else(|_| dir.clone())).collect();
        let sources = capture_dirs.first().cloned().unwrap_or_else(|| PathBuf::from("."));
        StateDir { dir: dir.to_owned(), capture_dirs, sources }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    fn is_allowed(&self, resolved: &Path) -> bool {
        self.capture_dirs.is_empty() || self.capture_dirs.iter().any(|dir| resolved.starts_with(dir))
    }
}

impl Files for StateDir {
    type File = File;

    fn open_source(&mut self, path: &str) -> Result<File, SourceError> {
        let path = self.sources.join(path);
        // Looked at before it is opened: opening a device can do something.
        expect_regular(fs::metadata(&path)?.file_type())?;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path)?;
        expect_regular(file.metadata()?.file_type())?;
        // Where the descriptor leads, not the name: the name may lead elsewhere by now.
        let resolved = fs::read_link(descriptor(&file))?;
        if self.is_allowed(&resolved) { Ok(file) } else { Err(SourceError::Outside) }
    }

    fn remove_source(&mut self, path: &str, inode: Inode) -> io::Result<bool> {
        let resolved = match self.sources.join(path).canonicalize() {
            Ok(resolved) => resolved,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let is_same = facts(&fs::symlink_metadata(&resolved)?).inode == inode;
        if !is_same || !self.is_allowed(&resolved) {
            return Ok(false);
        }
        match fs::remove_file(&resolved) {
            Ok(()) => Ok(true),
            // A camera that keeps its files to itself is no failure of the spool's.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn open(&mut self, path: &str) -> io::Result<File> {
        File::open(self.at(path))
    }

    fn create(&mut self, path: &str) -> io::Result<File> {
        File::create(self.at(path))
    }

    fn append(&mut self, path: &str) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).open(self.at(path))
    }

    fn read(&mut self, file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
        file.read(buffer)
    }

    fn rewind(&mut self, file: &mut File) -> io::Result<()> {
        file.rewind()
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn facts(&mut self, file: &File) -> io::Result<Facts> {
        file.metadata().map(|metadata| facts(&metadata))
    }

    fn link(&mut self, file: &File, to: &str) -> io::Result<()> {
        linkat(CWD, descriptor(file), CWD, self.at(to), AtFlags::SYMLINK_FOLLOW)?;
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn make_dir(&mut self, path: &str) -> io::Result<()> {
        fs::create_dir(self.at(path))
    }

    fn remove_dir(&mut self, path: &str) -> io::Result<()> {
        fs::remove_dir(self.at(path))
    }

    fn sync_dir(&mut self, path: &str) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn list(&mut self, path: &str) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(self.at(path))?.map(name).collect()
    }

    fn free(&mut self) -> io::Result<u64> {
        let space = rustix::fs::statvfs(&self.dir)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// What the file system knows of a file.
pub fn facts(metadata: &fs::Metadata) -> Facts {
    Facts {
        bytes: metadata.len(),
        mtime_ns: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        inode: Inode { dev: metadata.dev(), ino: metadata.ino() },
        links: metadata.nlink(),
    }
}

/// The kind of file system, where it is one that a power cut empties.
pub fn forgetful_kind(dir: &Path) -> Option<&'static str> {
    // From linux/magic.h.
    match rustix::fs::statfs(dir).ok()?.f_type {
        0x0102_1994 => Some("tmpfs"),
        0x8584_58f6 => Some("ramfs"),
        0x794c_7630 => Some("overlay"),
        _ => None,
    }
}

/// Makes a directory and those above it, each durable in the one above.
fn make_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent =
        dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    make_dirs(parent)?;
    fs::create_dir(dir)?;
    File::open(parent)?.sync_all()
}

fn descriptor(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn expect_regular(kind: FileType) -> Result<(), SourceError> {
    let other = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(SourceError::NotRegular(other))
}
