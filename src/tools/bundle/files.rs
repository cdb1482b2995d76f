//! Files, from outside: what they are like, and how they end.

use crate::tools::text::{printable, size, span};
use rustix::fs::OFlags;
use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

/// `0600 0:0  1.7 KiB  3 days old  /etc/key.pem`. A link is told as one.
pub fn facts(path: &Path, now: u64) -> String {
    let name = printable(&path.to_string_lossy());
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) => return format!("{name}: {error}"),
    };
    let changed = u64::try_from(about.mtime()).unwrap_or(0);
    let age =
        now.checked_sub(changed).map_or("from the future".to_owned(), |age| format!("{} old", span(age)));
    let mark = match about.file_type() {
        kind if kind.is_dir() => "/",
        kind if kind.is_symlink() => " (a link)",
        kind if kind.is_file() => "",
        kind if kind.is_socket() => " (a socket)",
        _ => " (no file)",
    };
    let (mode, owner) = (about.mode() & 0o7777, format!("{}:{}", about.uid(), about.gid()));
    format!("{mode:04o} {owner:<9} {:>11} {age:>15}  {name}{mark}", size(about.len()))
}

/// The last bytes of a file, from the beginning of a line on. What is no file is an error, not a wait.
pub fn tail(path: &Path, bytes: u64) -> io::Result<String> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let skipped = about.len().saturating_sub(bytes);
    file.seek(SeekFrom::Start(skipped))?;
    let mut text = Vec::new();
    file.take(bytes).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let begin = if skipped == 0 { 0 } else { text.find('\n').map_or(0, |at| at + 1) };
    Ok(text[begin..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn the_end_of_a_file_begins_with_a_line() {
        let path = std::env::temp_dir().join(format!("cloudtalker-tail-{}", process::id()));
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        for (bytes, expected) in
            [(99, "one\ntwo\nthree\n"), (14, "one\ntwo\nthree\n"), (12, "two\nthree\n"), (6, "")]
        {
            assert_eq!(tail(&path, bytes).unwrap(), expected, "{bytes}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(tail(&path, 1).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(tail(Path::new("/"), 1).unwrap_err().to_string(), "it is no file");
    }
}
