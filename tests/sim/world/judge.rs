//! Whether everything that was acknowledged came home.

use super::World;
use crate::cloud::sha256;
use cloudtalker::wire::{Sha256, cloud::Alarm};
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// Whether the board owes nothing any more.
    pub(super) fn is_home(&self) -> bool {
        self.files.contents("/spool").is_empty() && self.owed_alarms().is_empty()
    }

    pub(super) fn owed_alarms(&self) -> Vec<Alarm> {
        let (bytes, _) = self.files.file("/alarms").unwrap_or_default();
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    pub(super) fn judge(&self) -> Result<(), String> {
        if !self.is_home() {
            let left: Vec<String> = self.files.contents("/spool").into_iter().map(|(name, _)| name).collect();
            return Err(format!("still owed after the calm: {left:?} {:?}", self.owed_alarms()));
        }
        let mut copies: BTreeMap<Sha256, u32> = BTreeMap::new();
        for stored in self.cloud.stored.values() {
            *copies.entry(sha256(&stored.bytes)).or_default() += 1;
        }
        let refused: BTreeSet<Sha256> =
            self.files.contents("/refused").iter().map(|(_, bytes)| sha256(bytes)).collect();
        let (ledger, _) = self.files.file("/lost.log").unwrap_or_default();
        // A power cut between a loss and its line leaves the capture's end to tell it.
        let told: usize = self.cloud.ends.values().map(|end| end.lost.len()).sum();
        let lost = ledger.iter().filter(|byte| **byte == b'\n').count().max(told);
        let mut missing = Vec::new();
        for (digest, handed) in &self.handed {
            let copies = copies.get(digest).copied().unwrap_or(0);
            if handed.acked && copies == 0 && !refused.contains(digest) {
                missing.push(*digest);
            }
            if copies > handed.times {
                return Err(format!(
                    "{digest} was handed over {} times and is there {copies} times",
                    handed.times
                ));
            }
        }
        if missing.len() > lost {
            return Err(format!("acknowledged, but nowhere: {missing:?}, and the ledger has {lost} lines"));
        }
        if let Some(alien) = copies.keys().find(|digest| !self.handed.contains_key(digest)) {
            return Err(format!("{alien} was never handed over"));
        }
        if let Some(alarm) = self.acked_alarms.difference(&self.cloud.alarms).next() {
            return Err(format!("the acknowledged alarm {alarm} never arrived"));
        }
        if self.captures_told > self.wishes {
            return Err(format!("{} captures were told for {} wishes", self.captures_told, self.wishes));
        }
        for (capture, end) in &self.cloud.ends {
            if self.cloud.receipt(*capture).is_none() && !end.segments.as_ref().unwrap().is_empty() {
                return Err(format!("the cloud holds the end of {capture}, but not all that it lists"));
            }
        }
        Ok(())
    }
}
