//! What others put into the spool: it is no part of it, outlives everything, and holds up nothing.

use super::World;
use std::{collections::BTreeSet, rc::Rc};

/// Names that the spool never gives.
const FOREIGN: [&str; 4] = ["notes.txt", ".hidden", "00.mp4", "0.mp4.sha256"];
/// Names that it gives to files. A directory that has one is in the very place of a part.
const PARTS: [&str; 9] = [
    "id",
    "closed",
    "1.mp4",
    "1.mp4.from",
    ".1.mp4.tmp",
    "0.mp4.sent",
    "1.mp4.sent",
    "0.mp4.tus",
    "0.mp4.refused",
];

impl World {
    /// Beside the captures, or in the directory of one: a file, a directory with one, or an empty directory.
    pub(super) fn stray_appears(&mut self) {
        let names: Vec<String> = self.files.contents("/spool").into_iter().map(|(name, _)| name).collect();
        let within = match self.chance(3) {
            0 => None,
            _ => names.get(self.chance(names.len() as u64) as usize),
        };
        let dir = within.map_or("/spool".to_owned(), |name| format!("/spool/{name}"));
        let foreign = FOREIGN[self.chance(FOREIGN.len() as u64) as usize];
        let path = format!("{dir}/{foreign}");
        let is_there = match self.chance(3) {
            0 if within.is_some() => {
                let part = PARTS[self.chance(PARTS.len() as u64) as usize];
                self.files.stranger_puts(&format!("{dir}/{part}"), None)
            }
            1 => self.files.stranger_puts(&path, None) && self.stranger_writes(&format!("{path}/within")),
            _ => self.stranger_writes(&path),
        };
        self.note(|| format!("a stray in {dir}: {is_there}"));
        if is_there && within.is_none() {
            self.strays_beside.insert(foreign.to_owned());
        }
    }

    fn stranger_writes(&mut self, path: &str) -> bool {
        self.serial += 1;
        let bytes = Rc::new(format!("stray {:08}", self.serial).into_bytes());
        let is_there = self.files.stranger_puts(path, Some(Rc::clone(&bytes)));
        if is_there {
            self.strays.insert(bytes);
        }
        is_there
    }

    /// None of them is ever removed.
    pub(super) fn check_strays(&self) -> Result<(), String> {
        if self.strays.is_empty() {
            return Ok(());
        }
        let there: BTreeSet<_> =
            ["/spool", "/refused"].iter().flat_map(|dir| self.files.all_contents(dir)).collect();
        match self.strays.difference(&there).next() {
            Some(bytes) => {
                Err(format!("{:?} was put there by others, and is gone", String::from_utf8_lossy(bytes)))
            }
            None => Ok(()),
        }
    }

    /// Whether nothing is left in the spool but strays: beside the captures, where a start puts them aside, and in the
    /// directory of one that is owed no longer, where that has failed. Where one came into `refused/`, and it can't be made
    /// sure that it stays there, its former directory stays as well.
    pub(super) fn holds_only_strays(&self) -> bool {
        let is_left_of_a_capture = |name: &str| {
            let Some(capture) = name.strip_prefix(".gone.") else { return false };
            let dir = format!("/spool/{name}");
            let files = self.files.all_contents(&dir);
            match self.files.contents(&dir).is_empty() {
                true => self.has_put_aside_of(capture),
                false => files.iter().all(|bytes| self.strays.contains(bytes)),
            }
        };
        let names = self.files.contents("/spool").into_iter().map(|(name, _)| name);
        names.into_iter().all(|name| self.strays_beside.contains(&name) || is_left_of_a_capture(&name))
    }

    /// Whether a stray of this capture, or of one of the same name, is in `refused/`.
    fn has_put_aside_of(&self, capture: &str) -> bool {
        let parts: Vec<&str> = capture.splitn(3, '.').collect();
        let prefix = format!("stray.{}.", parts[..parts.len().min(2)].join("."));
        self.files.contents("/refused").into_iter().any(|(name, _)| name.starts_with(&prefix))
    }
}
