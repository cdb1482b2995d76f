//! Files that tests make: directories that go with their owner, and segments of seeded bytes.

use super::Stored;
use ring::digest;
use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

/// A directory of its own, removed with it. Its path is short, as those of sockets must be.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("cloudtalker-{}-{number}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return TempDir(path),
                // Of a killed process, which had this one's number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file that a camera has finished, and what a server should list of it.
#[derive(Clone, Debug)]
pub struct Segment {
    pub path: PathBuf,
    pub stored: Stored,
}

impl Segment {
    /// Writes a file of seeded bytes. It need not play: receipts don't ask for that.
    pub fn write(path: PathBuf, seg_no: u32, length: usize) -> Segment {
        let seed = digest::digest(&digest::SHA256, path.as_os_str().as_encoded_bytes()).as_ref()[0];
        fs::write(&path, seeded(u64::from(seed), length)).unwrap();
        Segment::of(path, seg_no)
    }

    /// A file that is there.
    pub fn of(path: PathBuf, seg_no: u32) -> Segment {
        let content = fs::read(&path).unwrap();
        let stored = Stored { seg_no, bytes: content.len() as u64, sha256: sha256(&content) };
        Segment { path, stored }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().expect("tests' paths are text")
    }

    pub fn name(&self) -> &str {
        self.path().rsplit('/').next().expect("there is always one part")
    }
}

/// Bytes without a pattern, the same for the same seed (xorshift).
pub fn seeded(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

/// In lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a program's text, in a process that does nothing else: what another thread starts meanwhile would have it open
/// for writing for a moment, and nobody could run it.
pub fn write_program(path: &Path, text: &str) {
    let script = r#"printf '%s' "$1" >"$0" && chmod 755 "$0""#;
    let written = Command::new("sh").args(["-c", script]).arg(path).arg(text).status();
    assert!(written.is_ok_and(|status| status.success()), "{} can't be written", path.display());
}

/// What a directory holds, sorted; nothing where it is not there.
pub fn file_names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}
