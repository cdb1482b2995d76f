//! What the cloud is told of captures, and when they may be forgotten.
//!
//! A capture is announced when something of it happens in a session, or its upload begins. Its end, with the list of its
//! segments, is said when it closes, in each later session, and again where the list has changed; the receipt answers
//! it once all that is listed is stored. Messages may be repeated and come in any order.

use super::{
    Engine, Event, Now,
    capture::Standing,
    spool::{CaptureName, LostReason, Place, Task},
};
use crate::wire::{Id, cloud::ToCloud};
use std::time::Duration;

/// Ends that wait for a receipt at one time: a backlog of thousands is told bit by bit.
const MAX_ENDS_UNANSWERED: usize = 32;
/// An end that has no answer by then holds up no other.
const PATIENCE: Duration = Duration::from_secs(120);

impl Engine {
    /// A new segment is durable: a cloud that is there hears of it.
    pub(super) fn announce_segment(&mut self, place: Place) {
        if !self.session.is_ready() {
            return;
        }
        let Some(capture) = self.captures.at(place.capture) else { return };
        if capture.announced != Some(self.session.epoch) {
            return self.announce(place.capture);
        }
        let info = capture.segment(place.seg_no).map(|segment| capture.info(place.capture, segment));
        if let Some(info) = info {
            self.say(ToCloud::CaptureSegment(info));
        }
    }

    /// The cloud hears of a capture and its segments, once a session.
    pub(super) fn announce(&mut self, name: CaptureName) {
        let epoch = self.session.epoch;
        let Some(capture) = self.captures.at_mut(name) else { return };
        if !self.session.is_ready() || capture.announced == Some(epoch) {
            return;
        }
        capture.announced = Some(epoch);
        let mut messages = vec![ToCloud::CaptureStart(capture.start(name))];
        messages.extend(capture.owed().map(|segment| ToCloud::CaptureSegment(capture.info(name, segment))));
        for message in messages {
            self.say(message);
        }
    }

    /// No source adds to it any more.
    pub(super) fn capture_closed(&mut self, now: Now, name: CaptureName) {
        if let Some(capture) = self.captures.at_mut(name) {
            // There may be thousands until the cloud is back.
            capture.segments.shrink_to_fit();
        }
        self.chores.add(Task::Close { capture: name });
        self.tell(Event::Closed(name));
        if self.session.is_ready() {
            self.announce(name);
            self.say_end(now, name);
        }
    }

    /// Captures that have nothing left to upload: the cloud hears their ends, a few at a time.
    pub(super) fn send_ends(&mut self, now: Now) {
        if !self.session.is_ready() || self.is_confirmation_enough() || self.stopping {
            return;
        }
        let (epoch, target) = (self.session.epoch, self.intake.target());
        let (mut unanswered, mut unsaid) = (0, Vec::new());
        for (name, capture) in self.captures.iter() {
            let is_whole = !capture.is_open() && capture.is_settled() && target != Some(name);
            if !is_whole || unanswered + unsaid.len() >= MAX_ENDS_UNANSWERED {
                continue;
            }
            match capture.end_said {
                Some(said) if capture.is_end_said(epoch) => {
                    unanswered += usize::from(now.mono < said.at + PATIENCE);
                }
                Some(_) | None => unsaid.push(name),
            }
        }
        for name in unsaid {
            self.announce(name);
            self.say_end(now, name);
        }
    }

    fn say_end(&mut self, now: Now, name: CaptureName) {
        let epoch = self.session.epoch;
        let Some(capture) = self.captures.at_mut(name) else { return };
        capture.note_end_said(epoch, now.mono);
        let end = capture.end(name);
        self.say(ToCloud::CaptureEnd(end));
    }

    /// The cloud's word that a whole capture is stored. It counts for nothing while something is left to upload, or on
    /// its way into the spool: then the end is said, and answered, once more after that. Nor does it count where it
    /// answers a shorter list: then the answer to the newest end is still to come, and is waited for, because an end
    /// for each such receipt would be a storm.
    pub(super) fn receipt(&mut self, now: Now, id: Id, segments: Option<u32>) {
        let Some(name) = self.captures.named(id) else {
            return self.say(ToCloud::ReceiptOk { capture: id });
        };
        let (epoch, target) = (self.session.epoch, self.intake.target());
        let Some(capture) = self.captures.at_mut(name) else { return };
        if capture.forgotten {
            return;
        }
        let answers_the_list = match segments {
            Some(count) => usize::try_from(count) == Ok(capture.listed()),
            None => true,
        };
        let is_whole = !capture.is_open() && capture.is_settled() && target != Some(name);
        if !is_whole {
            capture.end_said = None;
        }
        if !(is_whole && answers_the_list && capture.is_end_said(epoch)) {
            return self.tell(Event::StaleReceipt(name));
        }
        self.uploads.last_receipt = Some(now.unix);
        self.tell(Event::Receipt(name));
        self.forget(name);
    }

    /// Whether a confirmed upload is the last word on a capture: this cloud gives no receipts, or another server has
    /// the bytes.
    fn is_confirmation_enough(&self) -> bool {
        self.session.is_ready_without_receipts()
            || (self.session.is_ready() && self.settings.uploads_elsewhere)
    }

    /// Without receipts, a capture that has ended is owed no longer once all of it is confirmed.
    pub(super) fn forget_settled(&mut self, now: Now) {
        if !self.is_confirmation_enough() {
            return;
        }
        let settled = self.captures.iter().filter(|(name, capture)| {
            !capture.is_open() && capture.is_settled() && self.intake.target() != Some(*name)
        });
        for name in settled.map(|(name, _)| name).collect::<Vec<_>>() {
            self.uploads.last_receipt = Some(now.unix);
            self.announce(name);
            self.say_end(now, name);
            self.forget(name);
        }
    }

    /// A capture is owed no longer. Its name is free once the disk has done its part.
    pub(super) fn forget(&mut self, name: CaptureName) {
        if let Some(capture) = self.captures.at_mut(name) {
            capture.forgotten = true;
            let delete_sources = self.settings.delete_uploaded;
            self.uploads.abandon(name, &mut self.outputs);
            self.chores.add(Task::Forget { capture: name, delete_sources });
        }
    }

    /// The disk has forgotten it, too.
    pub(super) fn forgot(&mut self, name: CaptureName) {
        if let Some(capture) = self.captures.remove(name)
            && self.session.is_ready()
            && !self.is_confirmation_enough()
        {
            self.say(ToCloud::ReceiptOk { capture: capture.id });
        }
    }

    /// A segment will never be sent: the ledger says why, the capture's end says so.
    pub(super) fn lose(&mut self, now: Now, place: Place, reason: LostReason, why: &str) {
        let Some(capture) = self.captures.at_mut(place.capture) else { return };
        let Some(segment) = capture.segment_mut(place.seg_no) else { return };
        segment.standing = Standing::Lost(reason);
        segment.upload = None;
        capture.note_change();
        match reason {
            // It counts once the disk has put it there.
            LostReason::Refused => {}
            LostReason::Evicted => self.room.evicted += 1,
            LostReason::Missing => self.room.missing += 1,
        }
        self.chores.add(Task::Lose { place, reason, why: why.to_owned(), unix: now.unix });
        self.tell(Event::Lost { place, reason, why: why.to_owned() });
    }
}
