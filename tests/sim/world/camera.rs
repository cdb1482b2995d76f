//! The camera program, the sensor, and what they hand over.

use super::{
    Handed, World,
    board::{Asked, Source},
    time::Happening,
};
use crate::{disk::CAMERA, scene::sha256};
use cloudtalker::{
    engine::{Input, SourceId, SourceKind},
    wire::{
        Sha256,
        input::{Message, Naming, Request},
        segment_name::SegmentName,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    time::Duration,
};

/// Bytes of its own recordings that a camera program keeps on a small disk.
const CAMERA_KEEPS: usize = 4_000;

impl World {
    pub(super) fn camera_records(&mut self) {
        if self.kind.scarce {
            self.files.camera_keeps(CAMERA_KEEPS);
        }
        // Few times, so that boards without a clock chip collide with themselves.
        let timestamp = 30 + self.chance(6);
        let prefix = if self.chance(4) == 0 { "cap" } else { "pir" };
        let from = if self.chance(4) == 0 { 1 } else { 0 };
        let count = 1 + self.chance(4);
        let mut messages = VecDeque::new();
        for seg_no in from..from + count {
            let length = 20 + self.chance(300) as usize;
            let bytes = self.film(length);
            let name = format!("{prefix}.{timestamp}.{seg_no}.mp4");
            // A camera program writes each recording into a directory of its own.
            let stored = format!("{:06}.{name}", self.serial);
            self.files.camera_writes(&stored, bytes);
            messages.push_back(self.segment(&stored));
        }
        self.open_source(messages);
    }

    /// Hands over what was not acknowledged, as a careful camera program does, or for once what was.
    pub(super) fn camera_repeats(&mut self) {
        let names: Vec<String> = self.files.contents(CAMERA).into_iter().map(|(name, _)| name).collect();
        if names.is_empty() {
            return;
        }
        let name = names[self.chance(names.len() as u64) as usize].clone();
        let message = self.segment(&name);
        self.open_source(VecDeque::from([message]));
    }

    /// Writes into a file that is there, and perhaps was handed over: what a camera program should not do. It may be the
    /// one that is being uploaded.
    pub(super) fn camera_rewrites(&mut self) {
        let names: Vec<String> = self.files.contents(CAMERA).into_iter().map(|(name, _)| name).collect();
        if names.is_empty() {
            return;
        }
        let inode_of = |name: &String| self.files.inode(&format!("{CAMERA}/{name}"));
        let uploaded = self.uploaded_file().and_then(|file| self.files.inode(&file));
        let uploaded = names.iter().position(|name| uploaded.is_some() && inode_of(name) == uploaded);
        let by_chance = self.chance(names.len() as u64) as usize;
        let name = &names[uploaded.filter(|_| self.chance(2) == 0).unwrap_or(by_chance)];
        let path = format!("{CAMERA}/{name}");
        let (former, _) = self.files.file(&path).unwrap();
        let bytes = if self.chance(2) == 0 { former.len() } else { 20 + self.chance(300) as usize };
        let bytes = self.film(bytes.max(16));
        self.files.camera_rewrites(name, bytes);
        let inode = self.files.inode(&path).unwrap();
        self.has_become(inode);
    }

    /// What a power cut has left of files that were rewritten and not synced since.
    pub(super) fn see_what_power_left(&mut self) {
        for inode in self.rewritten.keys().copied().collect::<Vec<_>>() {
            if self.files.file_of(inode).is_some_and(|(bytes, _)| bytes != self.rewritten[&inode]) {
                self.has_become(inode);
            }
        }
    }

    /// A file of the camera's has other contents than before. Where the spool has a link to it, these are right from now
    /// on; and where it makes copies, if it had not acknowledged the file yet.
    fn has_become(&mut self, inode: u64) {
        let (bytes, _) = self.files.file_of(inode).unwrap();
        let digest = self.digest(&bytes);
        self.note(|| format!("file {inode} is {digest} now"));
        let is_linked = !self.kind.copies;
        for (former, handed) in &mut self.handed {
            if handed.inodes.contains(&inode) && *former != digest {
                *self.cloud.may_have.entry(digest).or_default() += handed.times;
                if is_linked {
                    handed.became.insert(digest, Rc::clone(&bytes));
                }
            }
        }
        for source in self.board.iter_mut().flat_map(|board| board.sources.values_mut()) {
            if let Some(Asked::Segment(_, asked, became)) = &mut source.asked
                && *asked == inode
            {
                became.insert(digest, Rc::clone(&bytes));
            }
        }
        self.rewritten.insert(inode, bytes);
    }

    /// New bytes, by which a person can tell them.
    fn film(&mut self, length: usize) -> Vec<u8> {
        self.serial += 1;
        let mut bytes = format!("segment {:08}", self.serial).into_bytes();
        bytes.resize(length, b'x');
        bytes
    }

    /// A segment's message; the file's name on the scheme follows its serial number.
    fn segment(&mut self, stored: &str) -> Request {
        let name: SegmentName = stored[7..].parse().unwrap();
        let message =
            Message::Segment { path: format!("{CAMERA}/{stored}"), naming: Some(Naming::of_name(name)) };
        Request { message, ack: self.chance(5) > 0, unknown: Vec::new() }
    }

    pub(super) fn sensor_alarms(&mut self) {
        let message = Message::Alarm { gpio: Some(17) };
        self.open_source(VecDeque::from([Request { message, ack: true, unknown: Vec::new() }]));
    }

    fn open_source(&mut self, messages: VecDeque<Request>) {
        let Some(board) = &mut self.board else { return };
        board.next_source += 1;
        let id = SourceId(board.next_source);
        board.sources.insert(id, Source { messages, asked: None });
        self.input(Input::SourceOpened(id, SourceKind::Stream));
    }

    /// The engine asks for a source's next message.
    pub(super) fn source_goes_on(&mut self, id: SourceId) {
        let Some(source) = self.source(id) else { return };
        let Some(request) = source.messages.pop_front() else {
            self.board.as_mut().unwrap().sources.remove(&id);
            return self.input(Input::SourceEnded(id, None));
        };
        let asked = match &request.message {
            Message::Segment { path, .. } => match self.hand_over(path) {
                Some((digest, inode)) => request.ack.then(|| Asked::Segment(digest, inode, BTreeMap::new())),
                // A power cut has taken it.
                None => return self.happen(Duration::from_millis(1), Happening::SourceGoesOn(id)),
            },
            Message::Alarm { .. } => Some(Asked::Alarm),
            Message::Status | Message::Log => None,
        };
        self.source(id).unwrap().asked = asked;
        self.input(Input::SourceSaid(id, Ok(request)));
    }

    fn source(&mut self, id: SourceId) -> Option<&mut Source> {
        self.board.as_mut()?.sources.get_mut(&id)
    }

    /// What it is, and in which file.
    fn hand_over(&mut self, path: &str) -> Option<(Sha256, u64)> {
        let inode = self.files.inode(path)?;
        let (bytes, _) = self.files.file_of(inode)?;
        let digest = self.digest(&bytes);
        let (inodes, became) = (BTreeSet::new(), BTreeMap::new());
        let handed = Handed { bytes, times: 0, acked: false, inodes, became };
        let handed = self.handed.entry(digest).or_insert(handed);
        handed.times += 1;
        handed.inodes.insert(inode);
        *self.cloud.may_have.entry(digest).or_default() += 1;
        Some((digest, inode))
    }

    fn digest(&mut self, bytes: &Rc<Vec<u8>>) -> Sha256 {
        *self.digests.entry(Rc::clone(bytes)).or_insert_with(|| sha256(bytes))
    }

    pub(super) fn source_hears(&mut self, id: SourceId, line: &str) {
        let reply: serde_json::Value = serde_json::from_str(line).unwrap();
        self.note(|| format!("reply to {id:?}: {line}"));
        let Some(asked) = self.source(id).and_then(|source| source.asked.take()) else { return };
        if reply["ok"] != true {
            return;
        }
        match asked {
            Asked::Segment(digest, _, became) => {
                if reply["repeated"] == true {
                    self.was_known(&digest, &became);
                }
                let handed = self.handed.get_mut(&digest).unwrap();
                handed.acked = true;
                handed.became.extend(became);
                self.awaited.insert(digest);
                let capture = reply["capture"].as_str().unwrap().parse().unwrap();
                let seg_no = reply["seg_no"].as_u64().unwrap();
                self.acked_as.insert((capture, seg_no.try_into().unwrap()), digest);
            }
            Asked::Alarm => {
                self.acked_alarms.insert(reply["alarm"].as_str().unwrap().parse().unwrap());
            }
        }
    }

    /// A segment that was handed over is one that the agent has already: it may not be stored once more, whatever became of
    /// its file meanwhile.
    fn was_known(&mut self, digest: &Sha256, became: &BTreeMap<Sha256, Rc<Vec<u8>>>) {
        self.handed.get_mut(digest).unwrap().times -= 1;
        let others = became.keys().filter(|other| *other != digest);
        for digest in std::iter::once(digest).chain(others) {
            if let Some(why) = self.cloud.take_back(digest) {
                self.accuse(|| why);
            }
        }
    }

    /// The digest of a content, if it is one that was handed over, or what became of that.
    pub(super) fn digest_of(&self, bytes: &Rc<Vec<u8>>) -> Option<Sha256> {
        self.digests.get(bytes).copied()
    }
}
