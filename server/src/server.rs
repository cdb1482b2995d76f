//! What all parts of the server share, and the directory that holds everything.

use crate::{
    blobs::{BlobError, Blobs},
    bus::Bus,
    device::upload::Turns,
    pki::{Pki, PkiError},
    store::{Store, StoreError},
};
use std::{
    fmt,
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::AtomicUsize,
};

/// Bytes that one camera may take, unless `--camera-quota` says otherwise.
pub const DEFAULT_QUOTA: u64 = 64 << 30;

/// What all parts share.
#[derive(Debug)]
pub struct Server {
    /// Where everything is on disk.
    pub data: DataDir,
    /// Captures, cameras, uploads: what is known.
    pub store: Store,
    /// Finished files.
    pub blobs: Blobs,
    /// What happened, told within the process.
    pub bus: Bus,
    /// Our own CA and the server's certificate.
    pub pki: Pki,
    /// Bytes that one camera may take.
    pub quota: u64,
    /// Whose turn it is to write to an upload.
    pub turns: Turns,
    /// Cameras' sessions that are open, or were when the process was told to end.
    pub sessions: AtomicUsize,
}

/// The data directory.
///
/// ```text
/// DIR/
///   serve.lock      held by the one process that serves
///   open.lock       held for the moment in which a process makes what is missing here
///   cloudtalker.db  the database
///   pki/            the CA and the server's certificate, keys 0600
///   blobs/          finished files
///   uploads/        what is still arriving, one append file an upload
///   work/           joins in progress
///   control.sock    where commands reach the process that serves, 0600
/// ```
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

/// The right to serve from a data directory; it ends with the process.
#[derive(Debug)]
pub struct ServeLock(#[expect(dead_code, reason = "held for its lock")] File);

/// Why a data directory could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process serves from it.
    Served(PathBuf),
    /// A file is in its place, or in that of a directory above or in it.
    NotADirectory(PathBuf),
    /// It, a directory above it or one in it could not be made.
    NotMade(PathBuf, io::Error),
    /// A file or directory in it could not be made, opened or locked.
    Io(PathBuf, io::Error),
    /// The CA or a certificate.
    Pki(PkiError),
    /// The database.
    Store(StoreError),
    /// The store of finished files.
    Blobs(BlobError),
}

impl Server {
    /// Opens a data directory, and makes whatever is missing in it.
    pub async fn open(dir: &Path, quota: u64) -> Result<Server, OpenError> {
        let data = DataDir::at(dir);
        for dir in [data.0.clone(), data.blobs(), data.uploads(), data.work(), data.pki()] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => OpenError::NotADirectory(dir),
                _ => OpenError::NotMade(first_missing(&dir).to_owned(), error),
            })?;
        }
        let _making = data.lock_to_make().await?;
        Ok(Server {
            store: Store::open(&data.database()).await.map_err(OpenError::Store)?,
            blobs: Blobs::open(&data.blobs()).map_err(OpenError::Blobs)?,
            pki: Pki::open(&data.pki()).map_err(OpenError::Pki)?,
            bus: Bus::new(),
            turns: Turns::default(),
            sessions: AtomicUsize::new(0),
            quota,
            data,
        })
    }
}

impl DataDir {
    /// The data directory at this path.
    pub fn at(path: &Path) -> DataDir {
        DataDir(path.to_owned())
    }

    /// Whether a server's data was begun here. What can't be looked at is for opening it to tell.
    pub fn is_begun(&self) -> bool {
        self.database().try_exists().unwrap_or(true)
    }

    /// The socket for commands.
    pub fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Where an upload's bytes are until they are whole.
    pub fn upload(&self, id: &str) -> PathBuf {
        self.uploads().join(id)
    }

    /// What is still arriving.
    pub fn uploads(&self) -> PathBuf {
        self.0.join("uploads")
    }

    /// Joins in progress.
    pub fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    fn database(&self) -> PathBuf {
        self.0.join("cloudtalker.db")
    }

    /// The right to serve, which one process has at a time. The kernel takes it back from one that dies.
    pub fn lock_to_serve(&self) -> Result<ServeLock, OpenError> {
        let (path, file) = self.lock_file("serve.lock")?;
        match file.try_lock() {
            Ok(()) => Ok(ServeLock(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::Served(self.0.clone())),
            Err(TryLockError::Error(error)) => Err(OpenError::Io(path, error)),
        }
    }

    /// Two processes that find the directory empty must not both make a CA.
    async fn lock_to_make(&self) -> Result<File, OpenError> {
        let (path, file) = self.lock_file("open.lock")?;
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        locked.expect("locking a file doesn't panic").map_err(|error| OpenError::Io(path, error))
    }

    fn lock_file(&self, name: &str) -> Result<(PathBuf, File), OpenError> {
        let path = self.0.join(name);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        match opened {
            Ok(file) => Ok((path, file)),
            Err(error) => Err(OpenError::Io(path, error)),
        }
    }
}

/// Of a directory and those above it, the first one that is to be made.
pub fn first_missing(dir: &Path) -> &Path {
    let missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    dir.ancestors().take_while(missing).last().unwrap_or(dir)
}

/// A random name of 128 bits, in hex: of an upload, a session, a request.
pub fn random_name() -> String {
    let mut bytes = [0; 16];
    fill_random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fills a buffer from the system's random numbers.
pub fn fill_random(bytes: &mut [u8]) {
    use ring::rand::{SecureRandom, SystemRandom};
    SystemRandom::new().fill(bytes).expect("the kernel has random numbers once it has booted");
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Served(dir) => {
                write!(
                    f,
                    "{} is served by another process: stop that one, or give another --data",
                    dir.display()
                )
            }
            OpenError::NotADirectory(path) => {
                write!(f, "expected a directory at {}, but there is a file: mend --data", path.display())
            }
            OpenError::NotMade(path, error) => {
                write!(
                    f,
                    "the directory {} can't be made: {error}; see that this user may make it, or mend --data",
                    path.display()
                )
            }
            OpenError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            OpenError::Pki(error) => error.fmt(f),
            OpenError::Store(error) => error.fmt(f),
            OpenError::Blobs(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
