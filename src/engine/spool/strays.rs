//! What lies in the spool and is no part of it: a person's notes, another program's directory. It is never removed. It is
//! put aside into `refused/`, and where that fails it stays, and holds up nothing.

use super::{CaptureName, EntryKind, Files, HERE, Place, REFUSED, absent_is_fine, parts::Part, settle};
use std::io;

/// What names in `refused/` begin with that came there from the spool unasked.
const STRAY: &str = "stray.";

/// Whether a name in `refused/` is one of a stray.
pub fn is_stray(name: &str) -> bool {
    name.starts_with(STRAY)
}

/// Removes a capture's directory with all its parts. Where a stray can't be put aside the directory stays, with nothing
/// else in it.
pub fn clean<F: Files>(
    files: &mut F,
    dir: &str,
    capture: CaptureName,
    problems: &mut Vec<String>,
) -> io::Result<()> {
    let entries = match files.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    let mut is_empty = true;
    for entry in entries {
        match Part::of(&entry) {
            Some(_) => absent_is_fine(files.remove(&format!("{dir}/{}", entry.name)))?,
            None => is_empty &= put_aside_of(files, dir, capture, &entry.name, problems),
        }
    }
    if is_empty { absent_is_fine(files.remove_dir(dir)) } else { Ok(()) }
}

/// A directory in the very place of a part is put aside, so that the next try has the place for itself. The error says so.
/// Which error it is depends on which end of a renaming the directory is.
pub fn make_way<F: Files, T>(files: &mut F, capture: CaptureName, tried: io::Result<T>) -> io::Result<T> {
    use io::ErrorKind::{DirectoryNotEmpty, IsADirectory, NotADirectory};
    let error = match tried {
        Err(error) if matches!(error.kind(), IsADirectory | NotADirectory | DirectoryNotEmpty) => error,
        other => return other,
    };
    let (dir, mut told) = (capture.dir(), vec![error.to_string()]);
    for entry in files.list(&dir).unwrap_or_default() {
        if Part::of(&entry).is_none() {
            put_aside_of(files, &dir, capture, &entry.name, &mut told);
        }
    }
    Err(io::Error::new(error.kind(), told.join("; ")))
}

/// Puts aside what is no part of a capture, and says whether it could.
pub fn put_aside_of<F: Files>(
    files: &mut F,
    dir: &str,
    capture: CaptureName,
    name: &str,
    problems: &mut Vec<String>,
) -> bool {
    let (stray, plain) = (format!("{dir}/{name}"), format!("{STRAY}{capture}.{name}"));
    tell(put_aside(files, &stray, &plain), &stray, "no part of a capture", problems)
}

/// Puts aside what is no capture's directory.
pub fn put_aside_beside<F: Files>(files: &mut F, dir: &str, name: &str, problems: &mut Vec<String>) {
    let (stray, plain) = (format!("{dir}/{name}"), format!("{STRAY}{name}"));
    tell(put_aside(files, &stray, &plain), &stray, "no capture's directory", problems);
}

/// Puts aside a directory where a file of ours should be: it could never be read or written.
pub fn put_aside_in_the_place_of<F: Files>(files: &mut F, file: &str, problems: &mut Vec<String>) {
    if matches!(files.kind(file), Ok(Some(EntryKind::Dir))) {
        let aside = put_aside(files, file, &format!("{STRAY}{file}"));
        tell(aside, file, "a directory in the place of a file", problems);
    }
}

/// Puts aside a segment whose number another one has in its capture. It may be one that was acknowledged: like a stray it
/// is never removed.
pub fn put_aside_second<F: Files>(files: &mut F, place: Place) -> io::Result<String> {
    put_aside(files, &place.file(), &format!("{STRAY}{}.{}", place.capture, place.base()))
}

/// Moves a file or a directory into `refused/`, never in place of what is there, and gives its path. It is durable there
/// before its former directory may go; where it can't be, it goes back.
fn put_aside<F: Files>(files: &mut F, from: &str, name: &str) -> io::Result<String> {
    // It would only be as safe there as the directory's own name, and may stay there although it goes back.
    files.sync_dir(HERE)?;
    let to = settle::free_name(files, &format!("{REFUSED}/{name}"))?;
    files.rename(from, &to)?;
    if let Err(error) = files.sync_dir(REFUSED) {
        let _ = files.rename(&to, from);
        return Err(error);
    }
    Ok(to)
}

fn tell(put_aside: io::Result<String>, stray: &str, what: &str, problems: &mut Vec<String>) -> bool {
    let (told, is_aside) = match put_aside {
        Ok(path) => (format!("{stray} is {what}: it is {path} now"), true),
        Err(error) => (format!("{stray} is {what}, and can't be put aside: {error}; remove it"), false),
    };
    problems.push(told);
    is_aside
}
