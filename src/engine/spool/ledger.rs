//! The small files beside the spool: the loss ledger, owed alarms, and what the cloud last said.

use super::{Files, HERE, Remembered, absent_is_fine, read_bytes, read_text, strays, write_whole};
use crate::wire::cloud::Alarm;
use serde::Serialize;
use std::io;

const LEDGER: &str = "lost.log";
const FORMER_LEDGER: &str = "lost.log.1";
/// Two files of this size hold some thousands of losses: more than anybody reads, and little of a card.
const MAX_LEDGER: u64 = 256 * 1024;
/// With room for the lines that made it longer than that.
const MAX_LEDGER_FILE: usize = 512 * 1024;
const ALARMS: &str = "alarms";
/// A thousand alarms of at most 100 bytes, with room for those that a failing disk could not yet take out.
const MAX_ALARMS_FILE: usize = 4 * 1024 * 1024;
/// What the cloud last said.
pub const STATE: &str = "state.json";
const MAX_STATE: usize = 64 * 1024;

/// One line of the loss ledger.
#[derive(Serialize)]
pub struct Loss<'a> {
    /// When, in seconds since 1970 by the board's clock.
    pub unix: u64,
    /// What: a segment's path in the spool, or an alarm's identity.
    pub lost: &'a str,
    /// Why, in a word.
    pub reason: &'a str,
    /// Why, in words.
    pub why: &'a str,
}

/// Puts aside what would be in the way of each of these files for ever.
pub fn make_way<F: Files>(files: &mut F, problems: &mut Vec<String>) {
    for file in [LEDGER, FORMER_LEDGER, ALARMS, STATE] {
        strays::put_aside_in_the_place_of(files, file, problems);
    }
}

/// Adds lines to the ledger, durably.
pub fn note<F: Files>(files: &mut F, losses: &[Loss]) -> io::Result<()> {
    if losses.is_empty() {
        return Ok(());
    }
    let mut file = files.append(LEDGER)?;
    if files.facts(&file)?.bytes > MAX_LEDGER {
        files.rename(LEDGER, FORMER_LEDGER)?;
        file = files.append(LEDGER)?;
    }
    files.write(&mut file, &lines(losses))?;
    files.sync(&file)?;
    files.sync_dir(HERE)
}

/// Whether the ledger has these lines already, as far as it can be read.
pub fn tells_of<F: Files>(files: &mut F, losses: &[Loss]) -> bool {
    let ledger = read_bytes(files, LEDGER, MAX_LEDGER_FILE).unwrap_or_default();
    let lines = lines(losses);
    ledger.windows(lines.len()).any(|part| part == lines)
}

/// Makes durable what the ledger says already. A first try may have failed to, and a sync that follows one that failed may do
/// nothing: a copy is sure.
pub fn make_sure<F: Files>(files: &mut F) -> io::Result<()> {
    let ledger = read_bytes(files, LEDGER, MAX_LEDGER_FILE)?;
    replace(files, LEDGER, &ledger)
}

/// Adds one owed alarm, durably.
pub fn add_alarm<F: Files>(files: &mut F, alarm: &Alarm) -> io::Result<()> {
    let mut file = files.append(ALARMS)?;
    files.write(&mut file, &lines(&[alarm]))?;
    files.sync(&file)?;
    // The file may be there from an attempt that failed right here.
    files.sync_dir(HERE)
}

/// Owes only these alarms from now on.
pub fn set_alarms<F: Files>(files: &mut F, owed: &[Alarm], given_up: &[Alarm], unix: u64) -> io::Result<()> {
    let names: Vec<String> =
        given_up.iter().map(|alarm| format!("alarm of {}", alarm.trigger_timestamp)).collect();
    let why = "more alarms are owed than are kept";
    let losses: Vec<Loss> = names.iter().map(|lost| Loss { unix, lost, reason: "evicted", why }).collect();
    note(files, &losses)?;
    replace(files, ALARMS, &lines(owed))
}

/// The owed alarms that a former life left, unless they can't be read, and what is wrong with them.
pub fn read_alarms<F: Files>(files: &mut F) -> (Option<Vec<Alarm>>, Option<String>) {
    let bytes = match read_bytes(files, ALARMS, MAX_ALARMS_FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Some(Vec::new()), None),
        Err(error) => return (None, Some(format!("{ALARMS}: {error}; looking again later"))),
    };
    // After a power cut, a file system may show zeros for what was never written.
    let is_written = |byte: &u8| *byte != 0;
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| {
        let end = line.iter().rposition(is_written).map_or(0, |last| last + 1);
        &line[line.iter().position(is_written).unwrap_or(end)..end]
    });
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    let read = |line: &&[u8]| serde_json::from_str(str::from_utf8(line).ok()?).ok();
    let alarms: Vec<Alarm> = lines.iter().filter_map(read).collect();
    let unread = lines.len() - alarms.len();
    let problem =
        (unread > 0).then(|| format!("{ALARMS}: {unread} lines are no alarms (a write was cut off)"));
    (Some(alarms), problem)
}

/// Keeps what the cloud last said.
pub fn remember<F: Files>(files: &mut F, remembered: &Remembered) -> io::Result<()> {
    let text =
        serde_json::to_vec(remembered).expect("what is remembered holds nothing that JSON could refuse");
    replace(files, STATE, &text)
}

/// What the cloud last said in a former life, and what is wrong where that can't be read.
pub fn recall<F: Files>(files: &mut F) -> (Remembered, Option<String>) {
    let text = match read_text(files, STATE, MAX_STATE) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Remembered::default(), None),
        Err(error) => return (Remembered::default(), Some(format!("{STATE}: {error}"))),
    };
    match serde_json::from_str(&text) {
        Ok(remembered) => (remembered, None),
        Err(error) => (Remembered::default(), Some(format!("{STATE}: {error}"))),
    }
}

fn replace<F: Files>(files: &mut F, path: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = format!(".{path}.tmp");
    absent_is_fine(files.remove(&unfinished))?;
    let written = write_whole(files, &unfinished, bytes);
    if written.is_err() {
        // On a full disk it would take the room of others until the next try.
        let _ = files.remove(&unfinished);
    }
    written?;
    files.rename(&unfinished, path)?;
    files.sync_dir(HERE)
}

/// A line begins with its newline, so that one that was cut off spoils none but itself.
fn lines<T: Serialize>(items: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        bytes.push(b'\n');
        serde_json::to_writer(&mut bytes, item).expect("a line holds nothing that JSON could refuse");
    }
    bytes
}
