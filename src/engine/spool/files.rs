//! The file system as the spool sees it, call by call, so that a test can put another one in its place: one
//! that fails at each call, holds each fsync, and loses what was not synced.

use std::{fmt, io};

/// A file system. Paths are relative to the state directory, except those of sources.
pub trait Files {
    /// An open file.
    type File;

    /// Opens a file that a local program named. It must be a regular file beneath the directories allowed.
    fn open_source(&mut self, path: &str) -> Result<Self::File, SourceError>;
    /// Removes a source, if its path still leads to that very file, unchanged. A source that can't be removed stays.
    fn remove_source(&mut self, path: &str, file: SourceFile);

    /// What a name stands for, if there is one. Nothing is opened: a pipe would be waited for.
    fn kind(&mut self, path: &str) -> io::Result<Option<EntryKind>>;
    /// Opens a file to read.
    fn open(&mut self, path: &str) -> io::Result<Self::File>;
    /// Makes an empty file, in place of what was there.
    fn create(&mut self, path: &str) -> io::Result<Self::File>;
    /// Opens a file to write at its end, making it if need be.
    fn append(&mut self, path: &str) -> io::Result<Self::File>;
    /// Reads on; 0 bytes are the end.
    fn read(&mut self, file: &mut Self::File, buffer: &mut [u8]) -> io::Result<usize>;
    /// Goes back to the first byte.
    fn rewind(&mut self, file: &mut Self::File) -> io::Result<()>;
    /// Writes all bytes.
    fn write(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    /// Makes contents and size durable. The name is the directory's.
    fn sync(&mut self, file: &Self::File) -> io::Result<()>;
    /// What the file system knows of an open file.
    fn facts(&mut self, file: &Self::File) -> io::Result<Facts>;

    /// Gives an open file another name.
    fn link(&mut self, file: &Self::File, to: &str) -> io::Result<()>;
    /// Moves a file or a directory, in place of what was there.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file's name.
    fn remove(&mut self, path: &str) -> io::Result<()>;
    /// Makes a directory.
    fn make_dir(&mut self, path: &str) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&mut self, path: &str) -> io::Result<()>;
    /// Makes a directory's names durable.
    fn sync_dir(&mut self, path: &str) -> io::Result<()>;
    /// The names in a directory, in no order.
    fn list(&mut self, path: &str) -> io::Result<Vec<Entry>>;

    /// Bytes that the spool may still fill.
    fn free(&mut self) -> io::Result<u64>;
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What a name stands for. Links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A link, a socket, a pipe or a device.
    Other,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Inode {
    /// The device.
    pub dev: u64,
    /// The number on it.
    pub ino: u64,
}

/// A camera's own file. A board without a clock chip gives the same names at every boot, and a file system the same
/// inodes: only all of it together is that file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceFile {
    /// Which file it is.
    pub inode: Inode,
    /// Size.
    pub bytes: u64,
    /// Last change, in nanoseconds since 1970.
    pub mtime_ns: i64,
}

impl From<Facts> for SourceFile {
    fn from(facts: Facts) -> SourceFile {
        SourceFile { inode: facts.inode, bytes: facts.bytes, mtime_ns: facts.mtime_ns }
    }
}

/// What the file system knows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Size.
    pub bytes: u64,
    /// Last change of its contents, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Which file it is.
    pub inode: Inode,
    /// How many names it has.
    pub links: u64,
}

/// Why a file that a local program named can't be taken.
#[derive(Debug)]
pub enum SourceError {
    /// There is no such file.
    Missing,
    /// It is something else, named here.
    NotRegular(&'static str),
    /// It lies outside the directories allowed.
    Outside,
    /// It holds nothing.
    Empty,
    /// It changes faster than it can be read.
    Growing,
    /// The system says no.
    Io(io::Error),
    /// The state directory can't be looked at.
    NoSpool(io::Error),
}

impl From<io::Error> for SourceError {
    fn from(error: io::Error) -> SourceError {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SourceError::Missing,
            _ => SourceError::Io(error),
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Missing => write!(f, "there is no such file"),
            SourceError::NotRegular(kind) => write!(f, "expected a regular file, but it is {kind}"),
            SourceError::Outside => {
                write!(f, "it lies outside the directories given by --capture_dir (links are followed)")
            }
            SourceError::Empty => write!(f, "the file is empty: name a segment once it is finished"),
            SourceError::Growing => {
                write!(f, "the file is still being written: name a segment once it is finished")
            }
            SourceError::Io(error) => write!(f, "it can't be read: {error}"),
            SourceError::NoSpool(error) => write!(f, "the state directory can't be used: {error}"),
        }
    }
}

impl std::error::Error for SourceError {}
