//! What a former life left. A start never fails on what it finds: unfinished work is removed or finished, what is
//! no part of the spool is put into `refused/`, and what can't be read stays and is looked for again.

use super::{
    super::rng::Rng, CaptureName, Files, Kept, LostReason, Place, REFUSED, Record, Remembered, SPOOL, Spool,
    UploadHint, absent_is_fine, if_whole, keep, ledger, make_dir_if_absent, read_text, settle, write_whole,
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
        let mut scanned = scan(files, &[], seed);
        scanned.refused = read_refused(files, &mut scanned.problems);
        let (remembered, problem) = ledger::recall(files);
        scanned.problems.extend(problem);
        Scanned { remembered, ..scanned }
    }
}

/// Reads the captures that are not known, and the alarms.
pub fn scan<F: Files>(files: &mut F, known: &[CaptureName], seed: u64) -> Scanned {
    let mut scanned = Scanned::default();
    let mut rng = Rng::new(seed);
    for dir in [SPOOL, REFUSED] {
        // On a disk that can't be written the agent goes on: it says no to segments, and keeps the session.
        if let Err(error) = make_dir_if_absent(files, dir) {
            scanned.problems.push(format!("{dir}/ can't be made: {error}"));
        }
    }
    let mut names = files.list(SPOOL).unwrap_or_else(|error| {
        scanned.problems.push(format!("{SPOOL}/ can't be listed: {error}; looking again later"));
        scanned.is_partial = true;
        Vec::new()
    });
    names.sort_unstable();
    for name in names {
        match name.parse::<CaptureName>() {
            Ok(capture) if known.contains(&capture) => {}
            Ok(capture) => match read_capture(files, capture, &mut rng, &mut scanned.problems) {
                Ok(found) => scanned.captures.extend(found),
                Err(error) => {
                    scanned
                        .problems
                        .push(format!("{SPOOL}/{name} can't be read: {error}; looking again later"));
                    scanned.unread.push(capture);
                }
            },
            Err(()) if name.starts_with('.') => {
                // Its new name must be durable before its contents go.
                let cleaned = files.sync_dir(SPOOL).and_then(|()| clean(files, &format!("{SPOOL}/{name}")));
                scanned.is_partial |= cleaned.is_err();
            }
            Err(()) => scanned.problems.push(set_aside(files, &name)),
        }
    }
    scanned.captures.sort_unstable_by_key(|capture| capture.name);
    let (alarms, problem) = ledger::read_alarms(files);
    scanned.problems.extend(problem);
    Scanned { alarms, ..scanned }
}

/// A capture that is owed; `None` where nothing was left of it.
fn read_capture<F: Files>(
    files: &mut F,
    name: CaptureName,
    rng: &mut Rng,
    problems: &mut Vec<String>,
) -> io::Result<Option<FoundCapture>> {
    let dir = name.dir();
    let mut traces: BTreeMap<(u32, Container), Traces> = BTreeMap::new();
    let entries = files.list(&dir)?;
    let mut left_over = None;
    for entry in &entries {
        if entry.starts_with('.') {
            // What can't go takes room, and nothing else.
            let _ = files.remove(&format!("{dir}/{entry}"));
        } else if let Some((segment, kind)) = Trace::parse(entry) {
            traces.entry(segment).or_default().add(kind);
        } else if entry != "id" && entry != "closed" {
            let stray = format!("{dir}/{entry}");
            match put_aside(files, &stray, &format!("{name}.{entry}")) {
                Ok(path) => problems.push(format!("{stray} is no part of a capture: it is {path} now")),
                Err(error) => {
                    problems
                        .push(format!("{stray} is no part of a capture, and can't be put aside: {error}"));
                    left_over = Some(error);
                }
            }
        }
    }
    let mut segments = Vec::with_capacity(traces.len());
    for ((seg_no, container), traces) in traces {
        let place = Place { capture: name, seg_no, container };
        let found = read_segment(files, place, traces, problems)?;
        if segments.last().is_some_and(|former: &FoundSegment| former.seg_no == seg_no) && found.is_some() {
            // Left by an attempt that failed in its last step.
            if traces.contents {
                let path = put_aside(files, &place.file(), &format!("{name}.{}", place.base()))?;
                absent_is_fine(files.remove(&place.beside("from")))?;
                problems.push(format!("{} is a second segment {seg_no}: it is {path} now", place.file()));
            }
            continue;
        }
        segments.extend(found);
    }
    if segments.is_empty() {
        // Whatever could not be put aside must not go with the directory.
        return left_over.map_or_else(|| clean(files, &dir).map(|()| None), Err);
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
    if !entries.iter().any(|entry| entry == "closed") {
        // The agent was killed while it was open. What is uploaded now must not be gone after a power cut, and
        // then come again under another identity. The mark only spares the next start the syncs.
        files.sync_dir(&dir)?;
        files.sync_dir(SPOOL)?;
        let _ = settle::close(files, name);
    }
    Ok(Some(FoundCapture { name, id, segments }))
}

/// What the directory holds of one segment.
#[derive(Clone, Copy, Default)]
struct Traces {
    contents: bool,
    url: bool,
    sent: bool,
    lost: Option<LostReason>,
}

#[derive(Clone, Copy)]
enum Trace {
    Contents,
    Record,
    Url,
    Sent,
    Lost(LostReason),
}

impl Trace {
    fn parse(entry: &str) -> Option<((u32, Container), Trace)> {
        let mut parts = entry.splitn(3, '.');
        let seg_no: u32 = parts.next()?.parse().ok()?;
        let container = Container::of_path(&format!(".{}", parts.next()?))?;
        let trace = match parts.next() {
            None => Trace::Contents,
            Some("from") => Trace::Record,
            Some("tus") => Trace::Url,
            Some("sent") => Trace::Sent,
            Some(word) => Trace::Lost(LostReason::ALL.into_iter().find(|reason| reason.as_str() == word)?),
        };
        // Only as we write it: no sign, no leading zero.
        entry.starts_with(&format!("{seg_no}.")).then_some(((seg_no, container), trace))
    }
}

impl Traces {
    fn add(&mut self, trace: Trace) {
        match trace {
            Trace::Contents => self.contents = true,
            Trace::Record => {}
            Trace::Url => self.url = true,
            Trace::Sent => self.sent = true,
            Trace::Lost(reason) => self.lost = Some(reason),
        }
    }
}

fn read_segment<F: Files>(
    files: &mut F,
    place: Place,
    traces: Traces,
    problems: &mut Vec<String>,
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
        let put_away = put_away.and_then(|()| settle::put_away(files, place, reason));
        // What only takes room may stay, on a disk that can't be written: what was refused must be put aside first.
        if reason == LostReason::Refused {
            put_away?;
        }
        return Ok(found(&record.unwrap_or_else(Record::of_unknown_source), Found::Lost(reason)));
    }
    if !traces.contents {
        // A crash while it was being kept leaves this: it was not acknowledged then.
        problems.push(format!(
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
            let Kept { bytes, sha256, mtime_ns } = keep::rehash(files, place)?;
            Record { bytes, sha256, mtime_ns, ..Record::of_unknown_source() }
        }
    };
    Ok(found(&record, Found::Owed(hint.map(Box::new))))
}

/// Two whole lines, or nothing: a hint may be torn.
fn read_hint(text: &str) -> Option<UploadHint> {
    let (made_at, url) = text.strip_suffix('\n')?.split_once('\n')?;
    let is_url = |text: &str| text.starts_with("http") && !text.contains(|char: char| char.is_control());
    (is_url(made_at) && is_url(url)).then(|| UploadHint { made_at: made_at.to_owned(), url: url.to_owned() })
}

/// Reads a segment's record.
pub fn read_record<F: Files>(files: &mut F, path: &str) -> io::Result<Record> {
    let text = read_text(files, path, MAX_RECORD)?;
    let record: Record =
        serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    if record.bytes < MAX_BYTES { Ok(record) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Removes a directory with its files, or a file.
pub fn clean<F: Files>(files: &mut F, path: &str) -> io::Result<()> {
    let names = match files.list(path) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return files.remove(path),
        Err(error) => return Err(error),
    };
    for name in names {
        absent_is_fine(files.remove(&format!("{path}/{name}")))?;
    }
    absent_is_fine(files.remove_dir(path))
}

fn set_aside<F: Files>(files: &mut F, name: &str) -> String {
    match put_aside(files, &format!("{SPOOL}/{name}"), name) {
        Ok(path) => format!("{SPOOL}/{name} is no capture's directory: it is {path} now"),
        Err(error) => {
            format!("{SPOOL}/{name} is no capture's directory, and can't be put into {REFUSED}/: {error}")
        }
    }
}

/// Moves a file or a directory into `refused/`, never in place of what is there, and gives its path.
fn put_aside<F: Files>(files: &mut F, from: &str, name: &str) -> io::Result<String> {
    let to = settle::free_name(files, &format!("{REFUSED}/{name}"))?;
    files.rename(from, &to).map(|()| to)
}

fn read_refused<F: Files>(files: &mut F, problems: &mut Vec<String>) -> Vec<(String, u64)> {
    let mut names = files.list(REFUSED).unwrap_or_else(|error| {
        problems.push(format!("{REFUSED}/ can't be listed: {error}"));
        Vec::new()
    });
    names.retain(|name| !name.ends_with(".why") && !name.starts_with('.'));
    names.sort_unstable();
    let sized = names.into_iter().map(|name| {
        let path = format!("{REFUSED}/{name}");
        let parts = files.list(&path).map_or_else(
            |_| vec![path.clone()],
            |parts| parts.into_iter().map(|part| format!("{path}/{part}")).collect(),
        );
        let bytes = parts.iter().map(|part| size(files, part).unwrap_or(0)).sum();
        (path, bytes)
    });
    sized.collect()
}

fn size<F: Files>(files: &mut F, path: &str) -> io::Result<u64> {
    let file = files.open(path)?;
    files.facts(&file).map(|facts| facts.bytes)
}
