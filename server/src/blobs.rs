//! Finished files: segments and joined captures, each under a key, in any object store.
//!
//! Here the store is the directory `DIR/blobs`, with every file and its directory on the disk before a call returns.
//!
//! | key | what |
//! |---|---|
//! | `segments/UPLOAD` | one segment, named by the upload that brought it |
//! | `joined/CAPTURE.mp4` | one joined capture |

use bytes::Bytes;
use cloudtalker::wire::{Sha256, segment_name::Container};
use futures_util::{Stream, TryStreamExt};
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem,
};
use ring::digest;
use std::{
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::io::AsyncReadExt;

/// What is read from a file and handed to the store at a time; S3 takes no smaller part than 5 MiB.
const PART: usize = 5 << 20;

/// Packets of a transport stream are this long, and begin with [`TS_SYNC`].
const TS_PACKET: usize = 188;
const TS_SYNC: u8 = 0x47;

/// The store of finished files.
#[derive(Clone, Debug)]
pub struct Blobs {
    files: Arc<LocalFileSystem>,
}

/// What was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its length.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
    /// How its video is packed, by its first bytes.
    pub container: Container,
}

/// Why a file is not in the store, or not to be had from it.
#[derive(Debug)]
pub enum BlobError {
    /// The file to be put could not be read.
    File(PathBuf, io::Error),
    /// The file's digest is not the expected one; nothing was stored.
    WrongDigest {
        /// What the file has.
        found: Sha256,
    },
    /// The store failed.
    Store(object_store::Error),
}

impl Blobs {
    /// The store in this directory, which must exist.
    pub fn open(dir: &Path) -> Result<Blobs, BlobError> {
        let files = LocalFileSystem::new_with_prefix(dir).map_err(BlobError::Store)?.with_fsync(true);
        Ok(Blobs { files: Arc::new(files) })
    }

    /// Puts a file's bytes under a key, durably, if their digest is the expected one.
    pub async fn put_file(&self, key: &str, file: &Path, expected: Option<Sha256>) -> Result<Put, BlobError> {
        let unreadable = |error| BlobError::File(file.to_owned(), error);
        let mut source = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let mut context = digest::Context::new(&digest::SHA256);
        let mut bytes = 0;
        let mut container = Container::Mp4;
        let mut upload = self.files.put_multipart(&key.into()).await.map_err(BlobError::Store)?;
        loop {
            let mut part = Vec::new();
            (&mut source).take(PART as u64).read_to_end(&mut part).await.map_err(unreadable)?;
            if part.is_empty() {
                break;
            }
            if bytes == 0 {
                container = packed_as(&part);
            }
            context.update(&part);
            bytes += part.len() as u64;
            upload.put_part(PutPayload::from(part)).await.map_err(BlobError::Store)?;
        }
        let sha256 = Sha256(context.finish().as_ref().try_into().expect("a SHA-256 is 32 bytes long"));
        if expected.is_some_and(|expected| expected != sha256) {
            upload.abort().await.map_err(BlobError::Store)?;
            return Err(BlobError::WrongDigest { found: sha256 });
        }
        upload.complete().await.map_err(BlobError::Store)?;
        Ok(Put { bytes, sha256, container })
    }

    /// A range of a blob's bytes, piece by piece.
    pub async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<impl Stream<Item = Result<Bytes, BlobError>> + Send + use<>, BlobError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.files.get_opts(&key.into(), options).await.map_err(BlobError::Store)?;
        Ok(found.into_stream().map_err(BlobError::Store))
    }

    /// Forgets a blob; one that is not there is fine.
    pub async fn delete(&self, key: &str) -> Result<(), BlobError> {
        match self.files.delete(&key.into()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BlobError::Store(error)),
        }
    }

    /// Each kind of blobs, and where they are: a key is `KIND/NAME`.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        ["segments", "joined"].into_iter().filter_map(|kind| Some((kind, self.file(kind).ok()?)))
    }

    /// Whether a file in one of them was never put as a whole: the store's own name for what it still writes.
    pub fn is_unfinished(name: &str) -> bool {
        name.contains('#')
    }

    /// The blob as a file, for what needs to seek in it.
    pub fn file(&self, key: &str) -> Result<PathBuf, BlobError> {
        self.files.path_to_filesystem(&key.into()).map_err(BlobError::Store)
    }
}

/// An original client says nothing of the container, and a file's name may lie.
fn packed_as(beginning: &[u8]) -> Container {
    let is_sync = |at: usize| beginning.get(at) == Some(&TS_SYNC);
    if is_sync(0) && (beginning.len() <= TS_PACKET || is_sync(TS_PACKET)) {
        Container::Ts
    } else {
        Container::Mp4
    }
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlobError::File(path, error) => write!(f, "{} could not be read: {error}", path.display()),
            BlobError::WrongDigest { found } => write!(f, "the digest is not the expected one but {found}"),
            BlobError::Store(error) => write!(f, "the store of files failed: {error}"),
        }
    }
}

impl std::error::Error for BlobError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_crash_left_half_put_is_told_from_a_blob() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"bytes").unwrap();
        blobs.put_file("segments/whole", &file, None).await.unwrap();
        let mut half = blobs.files.put_multipart(&"segments/half".into()).await.unwrap();
        half.put_part(PutPayload::from_static(b"by")).await.unwrap();
        std::mem::forget(half);
        let (_, segments) = blobs.kinds().next().unwrap();
        let names = std::fs::read_dir(segments).unwrap().map(|file| file.unwrap().file_name().into_string());
        let mut names: Vec<String> = names.map(Result::unwrap).collect();
        names.sort();
        let unfinished: Vec<bool> = names.iter().map(|name| Blobs::is_unfinished(name)).collect();
        assert_eq!(unfinished, [true, false], "{names:?}");
    }
}
