//! What becomes of a segment after it was kept, and of its capture.

use super::ledger::{self, Loss};
use super::{
    CaptureName, Entry, EntryKind, Files, LostReason, Place, REFUSED, SPOOL, UploadHint, absent_is_fine,
    if_whole, write_whole,
};
use super::{scan::read_record, strays};
use std::io;

/// Shows that a capture has ended. Not synced: without it, a start makes sure of the capture's names once more.
pub fn close<F: Files>(files: &mut F, capture: CaptureName) -> io::Result<()> {
    files.create(&capture.closed()).map(drop)
}

/// A hint: without it a new upload is created, and the server keeps what is whole first. Never synced, so that it may
/// be torn: the last newline tells.
pub fn note_url<F: Files>(files: &mut F, place: Place, hint: Option<&UploadHint>) -> io::Result<()> {
    let path = place.beside("tus");
    let Some(UploadHint { made_at, url, sha256 }) = hint else { return absent_is_fine(files.remove(&path)) };
    let mut file = files.create(&path)?;
    files.write(&mut file, format!("{made_at}\n{url}\n{sha256}\n").as_bytes())
}

/// The server has it: the record stays until the whole capture is confirmed, the bytes go.
pub fn confirm<F: Files>(files: &mut F, place: Place) -> io::Result<()> {
    absent_is_fine(files.rename(&place.beside("from"), &place.beside("sent")))?;
    files.sync_dir(&place.capture.dir())?;
    absent_is_fine(files.remove(&place.file()))?;
    absent_is_fine(files.remove(&place.beside("tus")))
}

/// It will never be sent. A refused segment is put aside, where a person can find it; others go.
///
/// On a full disk the ledger may have no room before the segment has gone, but has it then.
pub fn lose<F: Files>(
    files: &mut F,
    place: Place,
    reason: LostReason,
    why: &str,
    unix: u64,
    refused: &mut Option<(String, u64)>,
) -> io::Result<()> {
    if reason == LostReason::Missing && files.kind(&place.file())?.is_some() {
        return Err(io::Error::other("a segment that was missing is there again: a restart will send it"));
    }
    let lost = place.file();
    let loss = [Loss { unix, lost: &lost, reason: reason.as_str(), why }];
    // A retry tells of it once more only where the ledger had no room before, and finds the reason where it should be.
    let is_begun = is_there(files, &place.beside(reason.as_str()))?;
    let is_told = is_begun && ledger::tells_of(files, &loss);
    let noted = if is_told { ledger::make_sure(files) } else { ledger::note(files, &loss) };
    if reason == LostReason::Refused && !is_begun && is_there(files, &place.file())? {
        let path = free_name(files, &place.refused())?;
        write_whole(files, &format!("{path}.why"), why.as_bytes())?;
        // A start that finds the record's new name knows no reason.
        files.sync_dir(REFUSED)?;
    }
    absent_is_fine(files.rename(&place.beside("from"), &place.beside(reason.as_str())))?;
    files.sync_dir(&place.capture.dir())?;
    put_away(files, place, reason, refused)?;
    if noted.is_ok() { Ok(()) } else { ledger::note(files, &loss) }
}

/// The last steps of a loss, which a start repeats if they were cut off. Path and size of what came into `refused/` are
/// told even where a later step fails: no retry would find them.
pub fn put_away<F: Files>(
    files: &mut F,
    place: Place,
    reason: LostReason,
    refused: &mut Option<(String, u64)>,
) -> io::Result<()> {
    absent_is_fine(files.remove(&place.beside("tus")))?;
    match reason {
        LostReason::Refused => {
            if is_there(files, &place.file())? {
                let bytes = size(files, &place.file())?;
                let path = free_name(files, &place.refused())?;
                files.rename(&place.file(), &path)?;
                *refused = Some((path, bytes));
            }
            files.sync_dir(REFUSED)
        }
        LostReason::Evicted | LostReason::Missing => absent_is_fine(files.remove(&place.file())),
    }
}

/// This path, or one like it under which there is nothing. The engine gives no capture a name that is still in `refused/`,
/// as far as a start could read that: where it could not, nothing may be replaced all the same.
pub fn free_name<F: Files>(files: &mut F, plain: &str) -> io::Result<String> {
    let (mut name, mut ordinal) = (plain.to_owned(), 1);
    while is_there(files, &name)? {
        ordinal += 1;
        name = format!("{plain}.{ordinal}");
    }
    Ok(name)
}

fn is_there<F: Files>(files: &mut F, path: &str) -> io::Result<bool> {
    files.kind(path).map(|kind| kind.is_some())
}

/// A capture is owed no longer: all of it goes, and the camera's own files with it where that is wanted.
pub fn forget<F: Files>(
    files: &mut F,
    capture: CaptureName,
    delete_sources: bool,
    problems: &mut Vec<String>,
) -> io::Result<()> {
    if delete_sources {
        delete_sent_sources(files, capture)?;
    }
    let gone = gone_name(files, capture, problems)?;
    // Absent after a first try, which failed later: then it was under one of the names that were cleaned.
    absent_is_fine(files.rename(&capture.dir(), &gone))?;
    files.sync_dir(SPOOL)?;
    strays::clean(files, &gone, capture, problems)
}

/// The dotted name for a capture's directory. What has that name already goes: it is of a former try, or of another
/// capture that is owed no longer. Where a stray in it can't be put aside, or it is no directory, there is a next name.
fn gone_name<F: Files>(
    files: &mut F,
    capture: CaptureName,
    problems: &mut Vec<String>,
) -> io::Result<String> {
    let mut name = capture;
    loop {
        let gone = name.gone();
        if files.kind(&gone)? == Some(EntryKind::Dir) {
            // Its own new name must be durable before its contents go.
            files.sync_dir(SPOOL)?;
            strays::clean(files, &gone, name, problems)?;
        }
        if !is_there(files, &gone)? {
            return Ok(gone);
        }
        name.ordinal += 1;
    }
}

/// Gives up a refused segment for want of space. See [`lose`] for the ledger.
pub fn drop_refused<F: Files>(files: &mut F, path: &str, unix: u64) -> io::Result<()> {
    let why = "the spool was full, and the server had refused it";
    let loss = [Loss { unix, lost: path, reason: LostReason::Evicted.as_str(), why }];
    let noted = ledger::note(files, &loss);
    absent_is_fine(files.remove(path))?;
    // Its reason outlives it.
    files.sync_dir(REFUSED)?;
    absent_is_fine(files.remove(&format!("{path}.why")))?;
    if noted.is_ok() { Ok(()) } else { ledger::note(files, &loss) }
}

/// How many bytes the disk would win by giving up each capture: a file with another name elsewhere wins none.
pub fn weigh<F: Files>(files: &mut F, captures: &[Vec<Place>]) -> io::Result<Vec<u64>> {
    let mut weight = |place: &Place| {
        let file = files.open(&place.file())?;
        let facts = files.facts(&file)?;
        Ok(if facts.links == 1 { facts.bytes } else { 0 })
    };
    let weighed = captures.iter().map(|places| {
        places.iter().map(|place| weight(place).or_else(absent_weighs_nothing)).sum::<io::Result<u64>>()
    });
    weighed.collect()
}

/// A file's size.
pub fn size<F: Files>(files: &mut F, path: &str) -> io::Result<u64> {
    let file = files.open(path)?;
    files.facts(&file).map(|facts| facts.bytes)
}

fn absent_weighs_nothing(error: io::Error) -> io::Result<u64> {
    if error.kind() == io::ErrorKind::NotFound { Ok(0) } else { Err(error) }
}

fn delete_sent_sources<F: Files>(files: &mut F, capture: CaptureName) -> io::Result<()> {
    let dir = capture.dir();
    let entries = match files.list(&dir) {
        // They went in a first try, which failed after the directory had its new name.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    for Entry { name, kind } in entries {
        if !name.ends_with(".sent") || kind != EntryKind::File {
            continue;
        }
        // A damaged record names no file that could be removed.
        if let Some(record) = if_whole(read_record(files, &format!("{dir}/{name}")))?
            && !record.path.is_empty()
        {
            files.remove_source(&record.path, record.source);
        }
    }
    Ok(())
}
