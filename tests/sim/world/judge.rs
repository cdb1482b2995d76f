//! Whether promises are kept: after each operation, and when everything has come home.

use super::World;
use crate::scene::sha256;
use cloudtalker::{
    engine::Load,
    wire::{
        Sha256, Trigger,
        cloud::{Alarm, CaptureEnd},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Handles that the disk's worker holds at most: one staged file, one that is being written, one that is being read. The
/// upload's worker has one more, of the one request that there can be.
const MAX_OPEN: usize = 3;
/// One each of what may be under way beside an alarm of each source: staging or keeping, letting go, weighing, hashing
/// anew, looking again, a chore; and an alarm of a source that has gone.
const FEW_TASKS: usize = 7;
/// What may be on its way beside what can be seen: chores for an empty spool, a program that has gone with its segment
/// still to be taken in.
const FEW: usize = 10;
/// The engine keeps no more alarms, and knows no more wishes again.
const MAX_ALARMS: usize = 1_000;
const MAX_WISHES: usize = 32;

impl World {
    /// What holds at every moment.
    pub(super) fn check(&mut self) -> Result<(), String> {
        self.check_whereabouts()?;
        self.check_strays()?;
        let disk = self.files.0.borrow();
        if let Some(bytes) = disk.removed_sources.iter().find(|bytes| !self.cloud.has(&sha256(bytes))) {
            return Err(format!("the camera's own {:?} is gone, and the cloud lacks it", name(bytes)));
        }
        if disk.most_open > MAX_OPEN {
            return Err(format!("{} files were open at once", disk.most_open));
        }
        let Some(board) = &self.board else { return Ok(()) };
        let tasks = board.tasks.len();
        if tasks > board.sources.len() + FEW_TASKS {
            return Err(format!("{tasks} tasks wait for the disk"));
        }
        self.check_load(&board.engine.load())
    }

    /// What the engine holds is bounded by what is there for it: files, directories, local programs.
    fn check_load(&self, load: &Load) -> Result<(), String> {
        let sources = self.board.as_ref().map_or(0, |board| board.sources.len());
        let (spooled, refused) =
            (self.files.all_contents("/spool").len(), self.files.all_contents("/refused").len());
        let captures = self.files.contents("/spool").len();
        let bounds = [
            ("chores", load.chores, 3 * (spooled + refused) + FEW),
            ("sources", load.sources, sources + FEW),
            ("segments on their way in", load.wanted, sources + FEW),
            ("captures", load.captures, captures + FEW),
            ("captures not read", load.unread, captures + FEW),
            ("segments", load.segments, spooled + FEW),
            ("alarms", load.alarms, MAX_ALARMS),
            ("alarms being written", load.unwritten_alarms, sources + FEW),
            ("refused segments", load.refused, refused + load.chores + FEW),
            ("wishes", load.wishes, MAX_WISHES),
        ];
        match bounds.iter().find(|(_, count, bound)| count > bound) {
            Some((what, count, bound)) => {
                Err(format!("{count} {what} are in memory, and {bound} at most should be"))
            }
            None => Ok(()),
        }
    }

    /// What was acknowledged is in the spool, put aside, given up aloud, or at the cloud.
    fn check_whereabouts(&mut self) -> Result<(), String> {
        let is_home = |digest: &Sha256| {
            self.handed[digest].contents(*digest).any(|(digest, _)| self.cloud.has(&digest))
        };
        self.awaited.retain(|digest| !is_home(digest));
        if self.awaited.is_empty() {
            return Ok(());
        }
        let (spool, refused) = (self.files.all_contents("/spool"), self.files.all_contents("/refused"));
        let is_nowhere = |digest: &&Sha256| {
            !self.handed[*digest].contents(**digest).any(|(digest, bytes)| {
                spool.contains(bytes) || refused.contains(bytes) || self.given_up.contains_key(&digest)
            })
        };
        match self.awaited.iter().find(is_nowhere) {
            Some(digest) => {
                Err(format!("{:?} was acknowledged, and is nowhere", name(&self.handed[digest].bytes)))
            }
            None => Ok(()),
        }
    }

    /// Whether the board owes nothing any more, and holds nothing of it in memory.
    pub(super) fn is_home(&self) -> bool {
        let is_at_rest = self.board.as_ref().is_some_and(|board| {
            let load = board.engine.load();
            let Load { refused, wishes, .. } = load;
            load == Load { refused, wishes, sources: board.sources.len(), ..Load::default() }
        });
        is_at_rest && self.holds_only_strays() && self.owed_alarms().is_empty()
    }

    fn owed_alarms(&self) -> Vec<Alarm> {
        let (bytes, _) = self.files.file("/alarms").unwrap_or_default();
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// What holds at the end.
    pub(super) fn judge(&self) -> Result<(), String> {
        if !self.is_home() {
            let left: Vec<String> = self.files.contents("/spool").into_iter().map(|(name, _)| name).collect();
            let load = self.board.as_ref().map(|board| board.engine.load());
            return Err(format!("still owed after the calm: {left:?} {:?} {load:?}", self.owed_alarms()));
        }
        let refused: BTreeSet<Sha256> =
            self.files.all_contents("/refused").iter().filter_map(|bytes| self.digest_of(bytes)).collect();
        let (ledger, _) = self.files.file("/lost.log").unwrap_or_default();
        let ledger = String::from_utf8_lossy(&ledger);
        self.judge_reasons()?;
        for (digest, handed) in &self.handed {
            let is_well = handed.contents(*digest).any(|(digest, _)| {
                self.cloud.has(&digest) || refused.contains(&digest) || self.is_told_lost(&digest, &ledger)
            });
            if handed.acked && !is_well {
                let name = name(&handed.bytes);
                return Err(format!(
                    "{name:?} was acknowledged, and neither the ledger nor an end tells of it"
                ));
            }
        }
        self.judge_places(&refused)?;
        self.judge_copies()?;
        // Without receipts an alarm is said once, and nobody knows what became of it.
        if !self.kind.without_receipts
            && let Some(alarm) = self.acked_alarms.difference(&self.cloud.alarms).next()
        {
            return Err(format!("the acknowledged alarm {alarm} never arrived"));
        }
        self.judge_ends()
    }

    /// What is put aside has its reason beside it.
    fn judge_reasons(&self) -> Result<(), String> {
        let names: BTreeSet<String> =
            self.files.contents("/refused").into_iter().map(|(name, _)| name).collect();
        let is_bare = |name: &&String| {
            !name.starts_with("stray.") && !name.ends_with(".why") && !names.contains(&format!("{name}.why"))
        };
        match names.iter().find(is_bare) {
            Some(name) => Err(format!("refused/{name} was put aside, and nothing says why")),
            None => Ok(()),
        }
    }

    /// Where a segment was acknowledged, the cloud has what was handed over, or what its file became since, or that capture's
    /// end, which says that it is lost. Where it has the former contents of a file that was rewritten and handed over again, it
    /// has refused the new ones.
    fn judge_places(&self, refused: &BTreeSet<Sha256>) -> Result<(), String> {
        let is_told_ends = !self.kind.without_receipts && !self.kind.uploads_elsewhere;
        for (segment, digest) in &self.acked_as {
            let Some(stored) = self.cloud.stored.get(segment) else {
                let end = self.cloud.ends.get(&segment.0);
                if is_told_ends
                    && !end.is_some_and(|end| end.lost.iter().any(|lost| lost.seg_no == segment.1))
                {
                    let name = name(&self.handed[digest].bytes);
                    return Err(format!(
                        "{name:?} was acknowledged as {segment:?}, and the cloud never heard of it"
                    ));
                }
                continue;
            };
            let handed = &self.handed[digest];
            let is_refused = || handed.contents(*digest).any(|(digest, _)| refused.contains(&digest));
            let is_former = || {
                let of_file =
                    self.handed.iter().filter(|(_, other)| !other.inodes.is_disjoint(&handed.inodes));
                of_file
                    .flat_map(|(digest, other)| other.contents(*digest))
                    .any(|(digest, _)| stored.is(&digest))
            };
            let is_well = handed.contents(*digest).any(|(digest, _)| stored.is(&digest));
            if !(is_well || is_refused() && is_former()) {
                let name = name(&handed.bytes);
                return Err(format!(
                    "{name:?} was acknowledged as {segment:?}, and the cloud has another there"
                ));
            }
        }
        Ok(())
    }

    /// Of all that a file ever held, the cloud has no more copies than the file was handed over.
    fn judge_copies(&self) -> Result<(), String> {
        #[derive(Default)]
        struct File {
            times_handed: u32,
            contents: BTreeSet<Sha256>,
        }
        let mut files: BTreeMap<u64, File> = BTreeMap::new();
        for (digest, handed) in &self.handed {
            for inode in &handed.inodes {
                let file = files.entry(*inode).or_default();
                file.times_handed += handed.times;
                file.contents.extend(handed.contents(*digest).map(|(digest, _)| digest));
            }
        }
        let mut holders: BTreeMap<Sha256, u32> = BTreeMap::new();
        for digest in files.values().flat_map(|file| &file.contents) {
            *holders.entry(*digest).or_default() += 1;
        }
        for (inode, File { times_handed, contents }) in &files {
            // Of what two files have held, as of zeros that a power cut has left, nobody can tell whose copy it is.
            let own = contents.iter().filter(|digest| holders[*digest] == 1);
            let copies: u32 = own.map(|digest| self.cloud.copies(digest)).sum();
            if copies > *times_handed {
                return Err(format!(
                    "file {inode} was handed over {times_handed} times, and is there {copies} times"
                ));
            }
        }
        Ok(())
    }

    /// A cloud that gives receipts knows each capture's end, and has all that it lists.
    fn judge_ends(&self) -> Result<(), String> {
        if self.kind.without_receipts || self.kind.uploads_elsewhere {
            return Ok(());
        }
        for (capture, seg_no) in self.cloud.stored.keys() {
            let lists = |end: &CaptureEnd| {
                end.segments.iter().flatten().any(|listed| listed.seg_no == *seg_no)
                    || end.lost.iter().any(|lost| lost.seg_no == *seg_no)
            };
            if !self.cloud.ends.get(capture).is_some_and(lists) {
                return Err(format!("the cloud has segment {seg_no} of {capture}, and no end that lists it"));
            }
        }
        let unkept = self.cloud.ends.iter().find(|(capture, end)| {
            self.cloud.receipt(**capture).is_none() && !end.segments.as_ref().unwrap().is_empty()
        });
        unkept.map_or(Ok(()), |(capture, _)| {
            Err(format!("the cloud holds the end of {capture}, but not all that it lists"))
        })
    }

    /// Whether an owner can read of a loss. A power cut between a loss and its line leaves the capture's end.
    fn is_told_lost(&self, digest: &Sha256, ledger: &str) -> bool {
        let Some(path) = self.given_up.get(digest) else { return false };
        let Some((capture, segment)) = place_of(path) else { return false };
        let (timestamp, trigger) = capture.split_once('.').unwrap();
        let is_it = |end: &&CaptureEnd| {
            let word = if end.trigger == Trigger::Pir { "pir" } else { "cap" };
            end.trigger_timestamp.to_string() == timestamp && trigger.starts_with(word)
        };
        let is_lost =
            |end: &CaptureEnd| end.lost.iter().any(|lost| segment.starts_with(&format!("{}.", lost.seg_no)));
        ledger.contains(&format!("{path:?}"))
            || ledger.contains(&format!("\"spool/{capture}/{segment}\""))
            || self.cloud.ends.values().filter(is_it).any(is_lost)
    }
}

/// Capture and segment of a path in the spool, or of one that was refused.
fn place_of(path: &str) -> Option<(&str, &str)> {
    match path.strip_prefix("spool/") {
        Some(path) => path.split_once('/'),
        None => {
            let path = path.strip_prefix("refused/")?;
            let ending = path.rfind('.')?;
            let (capture, _) = path[..ending].rsplit_once('.')?;
            Some((capture, &path[capture.len() + 1..]))
        }
    }
}

/// What a person can tell a content by.
fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..16.min(bytes.len())]).into_owned()
}
