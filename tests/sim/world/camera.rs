//! The camera program, the sensor, and what they hand over.

use super::{Asked, Handed, Happening, Source, World};
use crate::{cloud::sha256, disk::CAMERA};
use cloudtalker::{
    engine::{Input, SourceId, SourceKind},
    wire::{
        input::{Message, Naming, Request},
        segment_name::SegmentName,
    },
};
use std::{collections::VecDeque, time::Duration};

impl World {
    pub(super) fn camera_records(&mut self) {
        // Few times, so that boards without a clock chip collide with themselves.
        let timestamp = 30 + self.chance(6);
        let prefix = if self.chance(4) == 0 { "cap" } else { "pir" };
        let from = if self.chance(4) == 0 { 1 } else { 0 };
        let count = 1 + self.chance(4);
        let mut messages = VecDeque::new();
        for seg_no in from..from + count {
            self.serial += 1;
            let mut bytes = format!("segment {} ", self.serial).into_bytes();
            bytes.resize(20 + self.chance(300) as usize, b'x');
            let name = format!("{prefix}.{timestamp}.{seg_no}.mp4");
            // A camera program writes each recording into a directory of its own.
            let stored = format!("{:06}.{name}", self.serial);
            self.files.camera_writes(&stored, &bytes);
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
    pub(super) fn segment(&mut self, stored: &str) -> Request {
        let name: SegmentName = stored[7..].parse().unwrap();
        let message =
            Message::Segment { path: format!("{CAMERA}/{stored}"), naming: Some(Naming::of_name(name)) };
        Request { message, ack: self.chance(5) > 0, unknown: Vec::new() }
    }

    pub(super) fn sensor_alarms(&mut self) {
        let message = Message::Alarm { gpio: Some(17) };
        self.open_source(VecDeque::from([Request { message, ack: true, unknown: Vec::new() }]));
    }

    pub(super) fn open_source(&mut self, messages: VecDeque<Request>) {
        let boot = self.boots;
        let Some(board) = &mut self.board else { return };
        board.next_source += 1;
        let id = SourceId(board.next_source);
        board.sources.insert(id, Source { messages, asked: None });
        self.input(boot, Input::SourceOpened(id, SourceKind::Stream));
    }

    /// The engine asks for a source's next message.
    pub(super) fn source_goes_on(&mut self, id: SourceId) {
        let boot = self.boots;
        let Some(source) = self.board.as_mut().and_then(|board| board.sources.get_mut(&id)) else { return };
        let Some(request) = source.messages.pop_front() else {
            self.board.as_mut().unwrap().sources.remove(&id);
            return self.input(boot, Input::SourceEnded(id, None));
        };
        source.asked = None;
        match &request.message {
            Message::Segment { path, .. } => {
                let Some((bytes, _)) = self.files.file(path) else { return self.later_next(id) };
                let digest = sha256(&bytes);
                let handed = self.handed.entry(digest).or_insert(Handed { times: 0, acked: false });
                handed.times += 1;
                if request.ack {
                    self.board.as_mut().unwrap().sources.get_mut(&id).unwrap().asked =
                        Some(Asked::Segment(digest));
                }
            }
            Message::Alarm { .. } => source.asked = Some(Asked::Alarm),
            Message::Status => {}
        }
        self.input(boot, Input::SourceSaid(id, Ok(request)));
    }

    pub(super) fn later_next(&mut self, id: SourceId) {
        let boot = self.boots;
        self.happen(Duration::from_millis(1), Happening::Sources(boot, id));
    }

    pub(super) fn source_hears(&mut self, id: SourceId, line: &str) {
        let reply: serde_json::Value = serde_json::from_str(line).unwrap();
        self.note(|| format!("reply to {id:?}: {line}"));
        let Some(source) = self.board.as_mut().and_then(|board| board.sources.get_mut(&id)) else { return };
        if reply["ok"] != true {
            return;
        }
        match source.asked.take() {
            Some(Asked::Segment(digest)) => self.handed.get_mut(&digest).unwrap().acked = true,
            Some(Asked::Alarm) => {
                self.acked_alarms.insert(reply["alarm"].as_str().unwrap().parse().unwrap());
            }
            None => {}
        }
    }
}
