//! The disk worker: a thread of its own, because an fsync on a memory card can take seconds.

use super::{
    lock::{self, LockError},
    medium::Medium,
    progress::Pulse,
};
use crate::{
    config::SpoolConfig,
    engine::{
        Input, Remembered,
        spool::{self, Entry, EntryKind, Facts, Files, Inode, Scanned, SourceError, SourceFile, Spool, Task},
    },
};
use async_channel::{Receiver, Sender};
use rustix::fs::{AtFlags, CWD, OFlags, linkat};
use std::{
    cell::RefCell,
    fs::{self, File, FileType, OpenOptions},
    io::{self, Read, Seek, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    rc::Rc,
    sync::mpsc,
    thread,
};

/// Tasks for the disk worker, which answers each with [`Input::DiskDone`], in order.
pub struct Disk(mpsc::Sender<Job>);

enum Job {
    Task(Task),
    Confine(Vec<PathBuf>),
}

impl Disk {
    /// Starts the worker, which first takes the state directory and reads what a former life left: that comes
    /// through the channel. It ends with this handle, once the task it is at is done.
    pub fn start(
        config: &SpoolConfig,
        seed: u64,
        inputs: Sender<Input>,
        pulse: Pulse,
    ) -> io::Result<(Disk, Receiver<Result<Scanned, LockError>>)> {
        let (jobs, waiting) = mpsc::channel();
        let (begun, beginning) = async_channel::bounded(1);
        let (dir, capture_dirs) = (config.state_dir.clone(), config.capture_dirs.clone());
        thread::Builder::new().name("disk".into()).spawn(move || {
            let sources = SourceDirs::default();
            sources.confine(&capture_dirs);
            let mut state_dir = StateDir::new(&dir, sources.clone(), pulse.clone());
            if let Err(error @ LockError::Taken(_)) = state_dir.lock() {
                // Nobody waits for it where the agent has ended meanwhile.
                let _ = begun.send_blocking(Err(error));
                return;
            }
            if let Ok(Medium::Memory(kind)) = Medium::of(&dir) {
                let dir = dir.display();
                log::warn!("{dir} is on {kind}: a power cut empties it; give a --state_dir on flash");
            }
            let mut spool = Spool::new(state_dir);
            if begun.send_blocking(Ok(spool.start(seed))).is_err() {
                return;
            }
            pulse.rest();
            for job in waiting {
                pulse.beat();
                match job {
                    Job::Confine(dirs) => sources.confine(&dirs),
                    Job::Task(task) => {
                        if inputs.send_blocking(Input::DiskDone(spool.perform(task))).is_err() {
                            return;
                        }
                    }
                }
                pulse.rest();
            }
        })?;
        Ok((Disk(jobs), beginning))
    }

    /// Hands a task over.
    pub fn perform(&self, task: Task) {
        self.push(Job::Task(task));
    }

    /// From the next task on, only files beneath these directories are taken; any, where there are none.
    pub fn confine(&self, capture_dirs: Vec<PathBuf>) {
        self.push(Job::Confine(capture_dirs));
    }

    fn push(&self, job: Job) {
        self.0.send(job).expect("the worker lives as long as its handle, or the process has panicked");
    }
}

/// The state directory, and the files that local programs name.
struct StateDir {
    dir: PathBuf,
    /// Once it could be locked. Nothing is changed before.
    lock: Option<File>,
    sources: SourceDirs,
    pulse: Pulse,
}

impl StateDir {
    /// Makes the directory if need be. A directory that can't be made is told by every later call.
    fn new(dir: &Path, sources: SourceDirs, pulse: Pulse) -> StateDir {
        if let Err(error) = make_dirs(dir) {
            let (dir, cure) = (
                dir.display(),
                match error.kind() {
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                        "remove what is in its place"
                    }
                    _ => "make it for this user",
                },
            );
            log::warn!("{dir} can't be made: {error}; {cure}, or give another --state_dir");
        }
        StateDir { dir: dir.to_owned(), lock: None, sources, pulse }
    }

    fn lock(&mut self) -> Result<(), LockError> {
        if self.lock.is_none() {
            self.lock = Some(lock::take(&self.dir)?);
        }
        Ok(())
    }

    /// Where something lies that a call is about: each such call is a step.
    fn at(&self, path: &str) -> PathBuf {
        self.pulse.beat();
        self.dir.join(path)
    }

    /// Where something is about to change, which only one agent may do.
    fn own(&mut self, path: &str) -> io::Result<PathBuf> {
        self.lock()?;
        Ok(self.at(path))
    }

    fn is_allowed(&self, resolved: &Path) -> bool {
        self.sources.contain(resolved)
    }
}

/// What is remembered there, as the worker would read it. Nothing is changed.
pub(crate) fn remembered(state_dir: &Path) -> Remembered {
    let (dir, sources, pulse) = (state_dir.to_owned(), SourceDirs::default(), Pulse::new());
    spool::recall(&mut StateDir { dir, lock: None, sources, pulse }).0
}

/// Where the files lie that local programs may name: resolved directories, or none where they may name any.
#[derive(Clone, Default)]
struct SourceDirs(Rc<RefCell<Vec<PathBuf>>>);

impl SourceDirs {
    fn confine(&self, dirs: &[PathBuf]) {
        self.0.replace(dirs.iter().map(|dir| resolved(dir)).collect());
    }

    /// A relative path begins in the first of them.
    fn join(&self, path: &str) -> PathBuf {
        self.0.borrow().first().map_or_else(|| Path::new(".").join(path), |dir| dir.join(path))
    }

    fn contain(&self, resolved: &Path) -> bool {
        let dirs = self.0.borrow();
        dirs.is_empty() || dirs.iter().any(|dir| resolved.starts_with(dir))
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

    fn remove_source(&mut self, path: &str, file: SourceFile) {
        let remove = || -> io::Result<()> {
            let resolved = self.sources.join(path).canonicalize()?;
            let found = facts(&fs::symlink_metadata(&resolved)?);
            if SourceFile::from(found) == file && self.is_allowed(&resolved) {
                fs::remove_file(&resolved)?;
            }
            Ok(())
        };
        match remove() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log::warn!("{path:?} is uploaded, but can't be removed: {error}"),
            Ok(()) => {}
        }
    }

    fn kind(&mut self, path: &str) -> io::Result<Option<EntryKind>> {
        match fs::symlink_metadata(self.at(path)) {
            Ok(metadata) => Ok(Some(kind(metadata.file_type()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&mut self, path: &str) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(ours()).open(self.at(path))
    }

    fn create(&mut self, path: &str) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).custom_flags(ours()).open(self.own(path)?)
    }

    fn append(&mut self, path: &str) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).custom_flags(ours()).open(self.own(path)?)
    }

    fn read(&mut self, file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
        self.pulse.beat();
        file.read(buffer)
    }

    fn rewind(&mut self, file: &mut File) -> io::Result<()> {
        file.rewind()
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.pulse.beat();
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        self.pulse.beat();
        file.sync_all()
    }

    fn facts(&mut self, file: &File) -> io::Result<Facts> {
        file.metadata().map(|metadata| facts(&metadata))
    }

    fn link(&mut self, file: &File, to: &str) -> io::Result<()> {
        linkat(CWD, descriptor(file), CWD, self.own(to)?, AtFlags::SYMLINK_FOLLOW)?;
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.own(from)?, self.at(to))
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        fs::remove_file(self.own(path)?)
    }

    fn make_dir(&mut self, path: &str) -> io::Result<()> {
        fs::create_dir(self.own(path)?)
    }

    fn remove_dir(&mut self, path: &str) -> io::Result<()> {
        fs::remove_dir(self.own(path)?)
    }

    fn sync_dir(&mut self, path: &str) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn list(&mut self, path: &str) -> io::Result<Vec<Entry>> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok(Entry { name, kind: kind(entry.file_type()?) })
        };
        fs::read_dir(self.at(path))?.map(entry).collect()
    }

    fn free(&mut self) -> io::Result<u64> {
        let space = rustix::fs::statvfs(&self.dir)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// The spool's own files are plain ones. A pipe or a link in the place of one is an error, not a wait.
fn ours() -> i32 {
    (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed()
}

fn kind(of: FileType) -> EntryKind {
    match () {
        () if of.is_file() => EntryKind::File,
        () if of.is_dir() => EntryKind::Dir,
        () => EntryKind::Other,
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

/// Where a directory leads. One that is not there is told: nothing beneath it can be taken.
fn resolved(dir: &Path) -> PathBuf {
    let found = dir.canonicalize().and_then(|resolved| match resolved.is_dir() {
        true => Ok(resolved),
        false => Err(io::ErrorKind::NotADirectory.into()),
    });
    found.unwrap_or_else(|error| {
        let shown = dir.display();
        log::warn!("--capture_dir: expected a directory at {shown}, but: {error}; make it, then send SIGHUP");
        dir.to_owned()
    })
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
