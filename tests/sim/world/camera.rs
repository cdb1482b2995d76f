//! The camera program, the sensor, and what they hand over.

use super::{
    Handed, World,
    board::{Asked, Source},
    time::Happening,
};
use crate::{cloud::sha256, disk::CAMERA};
use cloudtalker::{
    engine::{Input, SourceId, SourceKind},
    wire::{
        Sha256,
        input::{Message, Naming, Request},
        segment_name::SegmentName,
    },
};
use std::{collections::VecDeque, rc::Rc, time::Duration};

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
            self.serial += 1;
            let mut bytes = format!("segment {:08}", self.serial).into_bytes();
            bytes.resize(20 + self.chance(300) as usize, b'x');
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
                Some(digest) => request.ack.then_some(Asked::Segment(digest)),
                // A power cut has taken it.
                None => return self.happen(Duration::from_millis(1), Happening::SourceGoesOn(id)),
            },
            Message::Alarm { .. } => Some(Asked::Alarm),
            Message::Status => None,
        };
        self.source(id).unwrap().asked = asked;
        self.input(Input::SourceSaid(id, Ok(request)));
    }

    fn source(&mut self, id: SourceId) -> Option<&mut Source> {
        self.board.as_mut()?.sources.get_mut(&id)
    }

    fn hand_over(&mut self, path: &str) -> Option<Sha256> {
        let (bytes, _) = self.files.file(path)?;
        let digest = *self.digests.entry(Rc::clone(&bytes)).or_insert_with(|| sha256(&bytes));
        let handed = self.handed.entry(digest).or_insert(Handed { bytes, times: 0, acked: false });
        handed.times += 1;
        self.cloud.may_have.insert(digest, handed.times);
        Some(digest)
    }

    pub(super) fn source_hears(&mut self, id: SourceId, line: &str) {
        let reply: serde_json::Value = serde_json::from_str(line).unwrap();
        self.note(|| format!("reply to {id:?}: {line}"));
        let Some(asked) = self.source(id).and_then(|source| source.asked.take()) else { return };
        if reply["ok"] != true {
            return;
        }
        match asked {
            Asked::Segment(digest) => {
                self.handed.get_mut(&digest).unwrap().acked = true;
                self.awaited.insert(digest);
            }
            Asked::Alarm => {
                self.acked_alarms.insert(reply["alarm"].as_str().unwrap().parse().unwrap());
            }
        }
    }

    /// The digest of a content, if it is one that was handed over.
    pub(super) fn digest_of(&self, bytes: &Rc<Vec<u8>>) -> Option<Sha256> {
        self.digests.get(bytes).copied()
    }
}
