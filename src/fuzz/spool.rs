//! A state directory as a crash, a person or another program may have left it.

use super::{
    board::Board,
    files::{Memory, Node, Tree},
};
use crate::engine::{
    Input,
    spool::{CaptureName, Found, Record, Scanned, Spool},
};
use std::collections::{BTreeMap, BTreeSet};

/// Whatever the directory holds, a start reads it without a panic and loses nothing: each whole segment is owed, or
/// put aside, or told as unread. A second start finds the same, and an engine can work with it.
pub fn spool_scan(bytes: &[u8]) {
    let disk = Memory::of_listing(bytes);
    let before = disk.tree();
    let found = Spool::new(disk.clone()).start(1);
    let after = disk.tree();
    expect_well_formed(&found);
    expect_kept(&before, &after, &found);

    let mut spool = Spool::new(disk.clone());
    let again = spool.start(2);
    assert_eq!(told(&again), told(&found), "a second start finds something else");
    assert_eq!(disk.tree(), after, "a second start changes something");

    let mut board = Board::new(spool, again, false);
    board.handle(Input::SessionUp(Some(1_800_000_000)));
    for _ in 0..4 {
        board.sleep();
    }
    board.handle(Input::Stop);
}

/// All that an engine is told, but for sentences to people.
fn told(found: &Scanned) -> String {
    let Scanned { captures, unread, is_partial, refused, alarms, remembered, problems: _ } = found;
    format!("{captures:?} {unread:?} {is_partial} {refused:?} {alarms:?} {remembered:?}")
}

fn expect_well_formed(found: &Scanned) {
    let names: Vec<CaptureName> = found.captures.iter().map(|capture| capture.name).collect();
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    assert!(found.unread.iter().all(|unread| !names.contains(unread)), "{:?} is owed, too", found.unread);
    for capture in &found.captures {
        let numbers: Vec<u32> = capture.segments.iter().map(|segment| segment.seg_no).collect();
        assert!(!numbers.is_empty() && numbers.is_sorted_by(|one, next| one < next), "{capture:?}");
    }
}

/// What held something is there still, but for unfinished work and what the server, or nobody, will get.
fn expect_kept(before: &Tree, after: &Tree, found: &Scanned) {
    let owed = accounted(found);
    let mut wanted: BTreeMap<&[u8], usize> = BTreeMap::new();
    for (path, bytes) in files(before) {
        let what = What::of(before, path);
        if bytes.is_empty() || what == What::Dispensable {
            continue;
        }
        *wanted.entry(bytes).or_default() += 1;
        if let What::Segment(capture, seg_no) = what
            && after.contains_key(path)
        {
            assert!(
                owed.contains(&(capture, None)) || owed.contains(&(capture, Some(seg_no))),
                "{path} is lost"
            );
        }
    }
    let mut kept: BTreeMap<&[u8], usize> = BTreeMap::new();
    for (_, bytes) in files(after) {
        *kept.entry(bytes).or_default() += 1;
    }
    for (bytes, count) in wanted {
        let kept = kept.get(bytes).copied().unwrap_or(0);
        assert!(kept >= count, "{count} files held {:?}, {kept} hold it now", String::from_utf8_lossy(bytes));
    }
}

/// Segments that the engine is told of; all of a capture that it is told of as unread.
fn accounted(found: &Scanned) -> BTreeSet<(CaptureName, Option<u32>)> {
    let unread = found.unread.iter().map(|capture| (*capture, None));
    let owed = found.captures.iter().flat_map(|capture| {
        let owed = capture.segments.iter().filter(|segment| matches!(segment.found, Found::Owed(_)));
        owed.map(|segment| (capture.name, Some(segment.seg_no)))
    });
    unread.chain(owed).collect()
}

fn files(tree: &Tree) -> impl Iterator<Item = (&str, &[u8])> {
    tree.iter().filter_map(|(path, node)| match node {
        Node::File(bytes) => Some((path.as_str(), bytes.as_slice())),
        Node::Dir => None,
    })
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// A segment that is owed.
    Segment(CaptureName, u32),
    /// Unfinished, or only about a segment, or never to be sent.
    Dispensable,
    /// Somebody else's.
    Other,
}

impl What {
    fn of(tree: &Tree, path: &str) -> What {
        let parts: Vec<&str> = path.split('/').collect();
        let (gone, dir, entry) = match parts.as_slice() {
            ["spool", dir, entry] => (dir.strip_prefix(".gone."), *dir, *entry),
            _ => return What::Other,
        };
        let Ok(capture) = gone.unwrap_or(dir).parse::<CaptureName>() else { return What::Other };
        if matches!(entry, "id" | "closed") {
            return What::Dispensable;
        }
        let unfinished = entry.strip_prefix('.');
        let name = unfinished.unwrap_or(entry);
        let (number, ending) = name.split_once('.').unwrap_or((name, ""));
        let (container, about) =
            ending.split_once('.').map_or((ending, None), |(one, rest)| (one, Some(rest)));
        let seg_no: Option<u32> = number.parse().ok().filter(|seg_no: &u32| seg_no.to_string() == number);
        let Some(seg_no) = seg_no.filter(|_| matches!(container, "mp4" | "ts")) else { return What::Other };
        match about {
            Some("from" | "tmp") if unfinished.is_some() => return What::Dispensable,
            None | Some(_) if unfinished.is_some() => return What::Other,
            Some("from" | "tus" | "sent" | "refused" | "evicted" | "missing") => return What::Dispensable,
            Some(_) => return What::Other,
            None if gone.is_some() => return What::Dispensable,
            None => {}
        }
        let has = |about: &str| tree.get(&format!("{path}.{about}"));
        let is_sent = matches!(has("sent"), Some(Node::File(line)) if is_record(line));
        if is_sent || has("evicted").is_some() || has("missing").is_some() {
            return What::Dispensable;
        }
        if has("refused").is_some() { What::Other } else { What::Segment(capture, seg_no) }
    }
}

fn is_record(line: &[u8]) -> bool {
    serde_json::from_slice::<Record>(line).is_ok_and(|record| record.bytes < 1 << 40)
}
