//! What a former life left. A start never fails on what it finds: unfinished work is removed or finished, what is
//! no part of the spool is put into `refused/`, and what can't be read stays and is looked for again.

use super::{
    super::rng::Rng,
    CaptureName, Entry, EntryKind, Files, GONE, Kept, LostReason, Place, REFUSED, Record, Remembered, SPOOL,
    Spool, UploadHint, absent_is_fine, if_whole,
    keep::{self, Doubts},
    ledger, make_dir_if_absent,
    parts::{Part, Traces},
    read_text, settle, strays, write_whole,
};
use crate::wire::{Id, cloud::Alarm, segment_name::Container};
use std::{collections::BTreeMap, io};

/// A record has a path and some numbers.
const MAX_RECORD: usize = 16 * 1024;
/// No segment has a tebibyte: a record that says so is damaged, and sums of believable sizes can't overflow.
const MAX_BYTES: u64 = 1 << 40;
/// The longest upload URL that is kept.
const MAX_URL: usize = 4 * 1024;

/// What a start found.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Captures that are owed, oldest first.
    pub captures: Vec<FoundCapture>,
    /// Captures that could not be read; they stay where they are.
    pub unread: Vec<CaptureName>,
    /// Whether there was anything else that could not be read, and may be another time.
    pub is_partial: bool,
    /// What the server refused: path and size.
    pub refused: Vec<(String, u64)>,
    /// Alarms that are owed; `None` where they could not be read.
    pub alarms: Option<Vec<Alarm>>,
    /// What the cloud last said.
    pub remembered: Remembered,
    /// What could not be read, a sentence each.
    pub problems: Vec<String>,
}

/// A capture that is owed.
#[derive(Debug)]
pub struct FoundCapture {
    /// Its directory.
    pub name: CaptureName,
    /// Its identity.
    pub id: Id,
    /// Its segments, by number.
    pub segments: Vec<FoundSegment>,
}

/// A segment of it.
#[derive(Debug)]
pub struct FoundSegment {
    /// Its number.
    pub seg_no: u32,
    /// Its ending.
    pub container: Container,
    /// Its contents.
    pub kept: Kept,
    /// Where it stands.
    pub found: Found,
}

/// Where a found segment stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Owed, with its upload, if one was noted.
    Owed(Option<Box<UploadHint>>),
    /// Confirmed by the server.
    Sent,
    /// Never to be sent.
    Lost(LostReason),
}

impl<F: Files> Spool<F> {
    /// Makes the directories and reads what a former life left. `seed` is for the identity of a capture that a
    /// crash left without one.
    pub fn start(&mut self, seed: u64) -> Scanned {
        let files = &mut self.files;
        let mut scanned = scan(files, &mut self.doubts, &[], seed);
        scanned.refused = read_refused(files, &mut scanned.problems);
        let (remembered, problem) = ledger::recall(files);
        scanned.problems.extend(problem);
        Scanned { remembered, ..scanned }
    }
}

/// Reads the captures that are not known, and the alarms.
pub fn scan<F: Files>(files: &mut F, doubts: &mut Doubts, known: &[CaptureName], seed: u64) -> Scanned {
    let mut scanned = Scanned::default();
    let mut rng = Rng::new(seed);
    for dir in [SPOOL, REFUSED] {
        // On a disk that can't be written the agent goes on: it says no to segments, and keeps the session.
        if let Err(error) = make_dir_if_absent(files, dir) {
            scanned.problems.push(format!("{dir}/ can't be made: {error}"));
        }
    }
    // A kill may have left a stray that was moved there and not synced: it is safe before its former directory goes.
    let are_strays_safe = files.sync_dir(REFUSED).is_ok();
    scanned.is_partial |= !are_strays_safe;
    let mut entries = files.list(SPOOL).unwrap_or_else(|error| {
        scanned.problems.push(format!("{SPOOL}/ can't be listed: {error}; looking again later"));
        scanned.is_partial = true;
        Vec::new()
    });
    entries.sort_unstable_by(|one, next| one.name.cmp(&next.name));
    for Entry { name, kind } in entries {
        match Dir::of(&name, kind) {
            Some(Dir::Owed(capture)) if known.contains(&capture) => {}
            Some(Dir::Owed(capture)) => match read_capture(files, doubts, capture, &mut rng, &mut scanned) {
                Ok(found) => scanned.captures.extend(found),
                Err(error) => {
                    scanned
                        .problems
                        .push(format!("{SPOOL}/{name} can't be read: {error}; looking again later"));
                    scanned.unread.push(capture);
                }
            },
            Some(Dir::Gone(_)) if !are_strays_safe => {}
            Some(Dir::Gone(capture)) => {
                // Its new name must be durable before its contents go.
                let cleaned = files
                    .sync_dir(SPOOL)
                    .and_then(|()| strays::clean(files, &capture.gone(), capture, &mut scanned.problems));
                scanned.is_partial |= cleaned.is_err();
            }
            None => strays::put_aside_beside(files, SPOOL, &name, &mut scanned.problems),
        }
    }
    scanned.captures.sort_unstable_by_key(|capture| capture.name);
    ledger::make_way(files, &mut scanned.problems);
    let (alarms, problem) = ledger::read_alarms(files);
    scanned.problems.extend(problem);
    Scanned { alarms, ..scanned }
}

/// A directory in the spool.
enum Dir {
    /// A capture's.
    Owed(CaptureName),
    /// Of a capture that is owed no longer.
    Gone(CaptureName),
}

impl Dir {
    /// `None` for a stray.
    fn of(name: &str, kind: EntryKind) -> Option<Dir> {
        match (kind, name.strip_prefix(GONE)) {
            (EntryKind::Dir, Some(name)) => name.parse().ok().map(Dir::Gone),
            (EntryKind::Dir, None) => name.parse().ok().map(Dir::Owed),
            (EntryKind::File | EntryKind::Other, _) => None,
        }
    }
}

/// A capture that is owed; `None` where nothing was left of it.
fn read_capture<F: Files>(
    files: &mut F,
    doubts: &mut Doubts,
    name: CaptureName,
    rng: &mut Rng,
    scanned: &mut Scanned,
) -> io::Result<Option<FoundCapture>> {
    let dir = name.dir();
    let mut traces: BTreeMap<(u32, Container), Traces> = BTreeMap::new();
    let (mut strays, mut is_closed) = (Vec::new(), false);
    for entry in files.list(&dir)? {
        match Part::of(&entry) {
            Some(Part::Id) => {}
            Some(Part::Closed) => is_closed = true,
            // What can't go takes room, and nothing else.
            Some(Part::Unfinished) => drop(files.remove(&format!("{dir}/{}", entry.name))),
            Some(Part::OfSegment(segment, trace)) => traces.entry(segment).or_default().add(trace),
            None => strays.push(entry.name),
        }
    }
    // Before anything is read: one may be where a part of the capture should be.
    for stray in strays {
        strays::put_aside_of(files, &dir, name, &stray, &mut scanned.problems);
    }
    let mut segments = Vec::with_capacity(traces.len());
    for ((seg_no, container), traces) in traces {
        let place = Place { capture: name, seg_no, container };
        let found = read_segment(files, doubts, place, traces, scanned)?;
        if segments.last().is_some_and(|former: &FoundSegment| former.seg_no == seg_no) && found.is_some() {
            // One is left by an attempt that failed in its last step, and nobody knows which.
            if traces.contents {
                let path = strays::put_aside_second(files, place)?;
                absent_is_fine(files.remove(&place.beside("from")))?;
                let told = format!("{} is a second segment {seg_no}: it is {path} now", place.file());
                scanned.problems.push(told);
            }
            continue;
        }
        segments.extend(found);
    }
    if segments.is_empty() {
        // A stray that could not be put aside is told already.
        return strays::clean(files, &dir, name, &mut Vec::new()).map(|()| None);
    }
    let id_path = format!("{dir}/id");
    let noted = if_whole(read_text(files, &id_path, MAX_RECORD))?.and_then(|text| text.trim().parse().ok());
    let id = match noted {
        Some(id) => id,
        None => {
            let id = rng.id();
            write_whole(files, &id_path, id.to_string().as_bytes())?;
            files.sync_dir(&dir)?;
            id
        }
    };
    if !is_closed {
        // The agent was killed while it was open. What is uploaded now must not be gone after a power cut, and
        // then come again under another identity. The mark only spares the next start the syncs.
        files.sync_dir(&dir)?;
        files.sync_dir(SPOOL)?;
        let _ = settle::close(files, name);
    }
    Ok(Some(FoundCapture { name, id, segments }))
}

fn read_segment<F: Files>(
    files: &mut F,
    doubts: &mut Doubts,
    place: Place,
    traces: Traces,
    scanned: &mut Scanned,
) -> io::Result<Option<FoundSegment>> {
    let found = |record: &Record, found| {
        let kept = Kept { bytes: record.bytes, sha256: record.sha256, mtime_ns: record.mtime_ns };
        Some(FoundSegment { seg_no: place.seg_no, container: place.container, kept, found })
    };
    if traces.sent
        && let Some(record) = if_whole(read_record(files, &place.beside("sent")))?
    {
        // On a disk that can't be written it stays as it is, and goes with its capture.
        let _ = settle::confirm(files, place);
        return Ok(found(&record, Found::Sent));
    }
    if let Some(reason) = traces.lost {
        let record = if_whole(read_record(files, &place.beside(reason.as_str())))?;
        // A kill may have come before the record's new name was durable.
        let put_away = files.sync_dir(&place.capture.dir());
        let mut refused = None;
        let put_away = put_away.and_then(|()| settle::put_away(files, place, reason, &mut refused));
        scanned.refused.extend(refused);
        // What only takes room may stay, on a disk that can't be written: what was refused must be put aside first.
        if reason == LostReason::Refused {
            put_away?;
        }
        return Ok(found(&record.unwrap_or_else(Record::of_unknown_source), Found::Lost(reason)));
    }
    if !traces.contents {
        // A crash while it was being kept leaves this: it was not acknowledged then.
        scanned.problems.push(format!(
            "{} has a record but no contents: it was never acknowledged, or somebody removed it",
            place.file()
        ));
        for ending in ["from", "tus", "sent"] {
            absent_is_fine(files.remove(&place.beside(ending)))?;
        }
        return Ok(None);
    }
    let hint = match traces.url {
        true => if_whole(read_text(files, &place.beside("tus"), MAX_URL))?.and_then(|text| read_hint(&text)),
        false => None,
    };
    let record = match if_whole(read_record(files, &place.beside("from")))? {
        Some(record) => record,
        None => {
            let Kept { bytes, sha256, mtime_ns } = keep::rehash(files, place, doubts)?;
            Record { bytes, sha256, mtime_ns, ..Record::of_unknown_source() }
        }
    };
    let hint = hint.filter(|hint| hint.sha256 == record.sha256);
    Ok(found(&record, Found::Owed(hint.map(Box::new))))
}

/// Three whole lines, or nothing: a hint may be torn.
fn read_hint(text: &str) -> Option<UploadHint> {
    let (urls, sha256) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let (made_at, url) = urls.split_once('\n')?;
    let sha256 = sha256.parse().ok()?;
    let is_url = |text: &str| text.starts_with("http") && !text.contains(|char: char| char.is_control());
    let (made_at, url) = (Some(made_at).filter(|text| is_url(text))?, Some(url).filter(|text| is_url(text))?);
    Some(UploadHint { made_at: made_at.to_owned(), url: url.to_owned(), sha256 })
}

/// Reads a segment's record.
pub fn read_record<F: Files>(files: &mut F, path: &str) -> io::Result<Record> {
    let text = read_text(files, path, MAX_RECORD)?;
    let record: Record =
        serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    if record.bytes < MAX_BYTES { Ok(record) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn read_refused<F: Files>(files: &mut F, problems: &mut Vec<String>) -> Vec<(String, u64)> {
    let entries = files.list(REFUSED).unwrap_or_else(|error| {
        problems.push(format!("{REFUSED}/ can't be listed: {error}"));
        Vec::new()
    });
    let is_segment = |Entry { name, kind }: &Entry| {
        *kind == EntryKind::File
            && !name.ends_with(".why")
            && !name.starts_with('.')
            && !strays::is_stray(name)
    };
    let mut names: Vec<String> = entries.into_iter().filter(is_segment).map(|entry| entry.name).collect();
    names.sort_unstable();
    let sized = names.into_iter().map(|name| {
        let path = format!("{REFUSED}/{name}");
        let bytes = settle::size(files, &path).unwrap_or(0);
        (path, bytes)
    });
    sized.collect()
}
