//! Taking a segment in: stage, decide, keep.

use super::{
    CaptureName, Facts, Files, Kept, Place, Record, SPOOL, SourceError, SourceFile, Staged, absent_is_fine,
    if_whole, write_whole,
};
use super::{scan::read_record, strays};
use crate::wire::{Id, Sha256};
use ring::digest;
use std::{collections::VecDeque, io};

/// How often a file is read anew that changes while it is read, before it counts as unfinished.
const READINGS: u32 = 3;
/// What is read at a time.
const BUFFER: usize = 64 * 1024;

/// A staged file.
pub struct Held<File> {
    file: File,
    path: String,
    facts: Facts,
    is_doubtful: bool,
    pub staged: Staged,
}

impl<File> Held<File> {
    /// A power cut may make something else of a file in doubt, of the same size and age: nobody may take it for the camera's
    /// own file then, and remove it.
    fn record(&self, kept: Kept) -> Record {
        let Kept { bytes, sha256, mtime_ns } = kept;
        let of_copy = Record { bytes, mtime_ns, sha256, ..Record::of_unknown_source() };
        match self.is_doubtful {
            true => of_copy,
            false => Record { path: self.path.clone(), source: self.facts.into(), ..of_copy },
        }
    }
}

/// Files that could not be synced. The system may tell of that once, and call the next sync a success although nothing more
/// was written: what it still shows of such a file is whole, and only a copy of that is sure to be on the disk. Each is known
/// by size and time of change, too, as its inode may be another file's soon.
#[derive(Default)]
pub struct Doubts(VecDeque<SourceFile>);

impl Doubts {
    /// Of more, the oldest are forgotten.
    const MOST: usize = 1000;

    fn about(&self, file: Facts) -> bool {
        self.0.contains(&file.into())
    }

    fn add(&mut self, file: Facts) {
        if self.about(file) {
            return;
        }
        if self.0.len() == Doubts::MOST {
            self.0.pop_front();
        }
        self.0.push_back(file.into());
    }
}

/// Opens, syncs and hashes what a local program named. The descriptor stays open, so that what is kept is what
/// was hashed, whatever happens to the name.
pub fn stage<F: Files>(files: &mut F, path: &str, doubts: &mut Doubts) -> Result<Held<F::File>, SourceError> {
    let mut file = files.open_source(path)?;
    let named = files.facts(&file)?;
    files.sync(&file).inspect_err(|_| doubts.add(named))?;
    let (facts, sha256) = hash_steadily(files, &mut file)?.ok_or(SourceError::Growing)?;
    if facts.bytes == 0 {
        return Err(SourceError::Empty);
    }
    let free = files.free().map_err(SourceError::NoSpool)?;
    let staged = Staged { bytes: facts.bytes, sha256, mtime_ns: facts.mtime_ns, free };
    Ok(Held { file, path: path.to_owned(), facts, is_doubtful: doubts.about(facts), staged })
}

/// Makes the held file a segment. Once this is done it survives a power cut.
pub fn keep<F: Files>(
    files: &mut F,
    held: Held<F::File>,
    place: Place,
    new_capture: Option<Id>,
    copy: bool,
) -> io::Result<Kept> {
    if new_capture.is_some() {
        // One that is there already is one that a start could not read: it is not to be touched.
        files.make_dir(&place.capture.dir())?;
    }
    let made = make_segment(files, held, place, new_capture, copy);
    strays::make_way(files, place.capture, made).map_err(|error| {
        // On a full disk its remains would take the room of smaller ones.
        let removed = match new_capture {
            Some(_) => strays::clean(files, &place.capture.dir(), place.capture, &mut Vec::new()),
            None => remove_remains(files, place),
        };
        // Where they can't go now, a later look takes them for a segment: it must not be tried again meanwhile.
        if removed.is_ok() { error } else { io::Error::other(error) }
    })
}

fn remove_remains<F: Files>(files: &mut F, place: Place) -> io::Result<()> {
    for path in [place.unfinished(), place.file(), place.beside("from")] {
        absent_is_fine(files.remove(&path))?;
    }
    Ok(())
}

/// What is here already may have lost its sync to a kill: a repeat is acknowledged, too, only once it is durable.
pub fn sync_names<F: Files>(files: &mut F, capture: CaptureName) -> io::Result<()> {
    files.sync_dir(&capture.dir())?;
    files.sync_dir(SPOOL)
}

fn make_segment<F: Files>(
    files: &mut F,
    mut held: Held<F::File>,
    place: Place,
    new_capture: Option<Id>,
    copy: bool,
) -> io::Result<Kept> {
    match new_capture {
        Some(id) => write_whole(files, &format!("{}/id", place.capture.dir()), id.to_string().as_bytes())?,
        None => absent_is_fine(files.remove(&place.capture.closed()))?,
    }
    let unfinished = place.unfinished();
    absent_is_fine(files.remove(&unfinished))?;
    // Links fail across file systems (recordings on tmpfs), and on another owner's file where
    // fs.protected_hardlinks is set: then a copy does as well.
    let linked = !copy && !held.is_doubtful && files.link(&held.file, &unfinished).is_ok();
    let facts =
        if linked { held.facts } else { copy_to(files, &mut held.file, held.staged.sha256, &unfinished)? };
    let kept = Kept { bytes: held.staged.bytes, sha256: held.staged.sha256, mtime_ns: facts.mtime_ns };
    write_record(files, place, &held.record(kept))?;
    // A failed attempt may have left this name; renaming one link of a file over another does nothing.
    absent_is_fine(files.remove(&place.file()))?;
    files.rename(&unfinished, &place.file())?;
    files.sync_dir(&place.capture.dir())?;
    if new_capture.is_some() {
        files.sync_dir(SPOOL)?;
    }
    Ok(kept)
}

/// Reads a segment anew that was changed behind the spool's back.
pub fn rehash<F: Files>(files: &mut F, place: Place, doubts: &mut Doubts) -> io::Result<Kept> {
    let mut file = files.open(&place.file())?;
    let growing = || io::Error::new(io::ErrorKind::ResourceBusy, SourceError::Growing);
    let (mut facts, sha256) = hash_steadily(files, &mut file)?.ok_or_else(growing)?;
    files.sync(&file).inspect_err(|_| doubts.add(facts))?;
    if doubts.about(facts) {
        // What a failed attempt has left there may be a link of the camera's file.
        absent_is_fine(files.remove(&place.unfinished()))?;
        let copied = copy_to(files, &mut file, sha256, &place.unfinished());
        if copied.is_err() {
            // On a full disk it would take the room of others until the next try.
            let _ = files.remove(&place.unfinished());
        }
        facts = copied?;
        files.rename(&place.unfinished(), &place.file())?;
    }
    let kept = Kept { bytes: facts.bytes, sha256, mtime_ns: facts.mtime_ns };
    let former = if_whole(read_record(files, &place.beside("from")))?;
    let source = former.unwrap_or_else(Record::of_unknown_source);
    let mut record = Record { bytes: kept.bytes, mtime_ns: kept.mtime_ns, sha256: kept.sha256, ..source };
    if record.source.inode == facts.inode {
        record.source = facts.into();
    }
    write_record(files, place, &record)?;
    files.sync_dir(&place.capture.dir())?;
    Ok(kept)
}

fn copy_to<F: Files>(files: &mut F, file: &mut F::File, sha256: Sha256, to: &str) -> io::Result<Facts> {
    files.rewind(file)?;
    let mut copy = files.create(to)?;
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = files.read(file, &mut buffer)?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
        files.write(&mut copy, &buffer[..count])?;
    }
    if sha256_of(digest) != sha256 {
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, SourceError::Growing));
    }
    files.sync(&copy)?;
    files.facts(&copy)
}

/// Digest and facts that belong together; `None` if the file never stood still.
fn hash_steadily<F: Files>(files: &mut F, file: &mut F::File) -> io::Result<Option<(Facts, Sha256)>> {
    for _ in 0..READINGS {
        let before = files.facts(file)?;
        let sha256 = hash(files, file)?;
        let after = files.facts(file)?;
        if (before.bytes, before.mtime_ns) == (after.bytes, after.mtime_ns) {
            return Ok(Some((after, sha256)));
        }
    }
    Ok(None)
}

fn hash<F: Files>(files: &mut F, file: &mut F::File) -> io::Result<Sha256> {
    files.rewind(file)?;
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; BUFFER];
    loop {
        match files.read(file, &mut buffer)? {
            0 => return Ok(sha256_of(digest)),
            count => digest.update(&buffer[..count]),
        }
    }
}

fn sha256_of(digest: digest::Context) -> Sha256 {
    Sha256(digest.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// Written beside and renamed, so that a record that is there already is never torn.
fn write_record<F: Files>(files: &mut F, place: Place, record: &Record) -> io::Result<()> {
    let unfinished = format!("{}/.{}.from", place.capture.dir(), place.base());
    write_whole(files, &unfinished, &record.to_line())?;
    files.rename(&unfinished, &place.beside("from"))
}

impl Record {
    /// The record of a segment whose own record was lost.
    pub fn of_unknown_source() -> Record {
        let (path, source) = (String::new(), SourceFile::default());
        Record { path, source, bytes: 0, mtime_ns: 0, sha256: Sha256([0; 32]) }
    }

    pub(super) fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a record holds nothing that JSON could refuse");
        line.push(b'\n');
        line
    }
}
