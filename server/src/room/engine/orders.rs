//! What a controller may do with a slot.

use super::{
    Output, Room, Wish,
    slot::{Open, State},
};
use crate::room::{
    order::SlotOrder,
    wire::Event,
    words::{Annotation, Directive, Secret},
};
use std::fmt;

/// Why an order is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderRefused {
    /// The room has fewer slots.
    NoSuchSlot {
        /// The one that was named.
        slot: usize,
        /// How many there are.
        slots: usize,
    },
    /// It needs a slot that is activated.
    SlotClosed(usize),
}

impl Room {
    pub(super) fn handle_slot_order(&mut self, number: usize, order: SlotOrder) -> Result<(), OrderRefused> {
        let slots = self.slots.len();
        let slot = self.slots.get_mut(number).ok_or(OrderRefused::NoSuchSlot { slot: number, slots })?;
        let closed = OrderRefused::SlotClosed(number);
        match order {
            SlotOrder::Activate(token, html) => self.activate(number, token, html),
            SlotOrder::RefreshToken(token) => slot.open_mut().ok_or(closed)?.token = token,
            SlotOrder::Deactivate => {
                slot.open().ok_or(closed)?;
                self.deactivate(number);
            }
            SlotOrder::SetAnnotation(html) => {
                slot.open().ok_or(closed)?;
                self.annotate(number, Some(html));
            }
            SlotOrder::RemoveAnnotation => {
                slot.open().ok_or(closed)?;
                self.annotate(number, None);
            }
            SlotOrder::SetBitrateLimit(limit) => {
                slot.limit = limit;
                if let Some(holder) = slot.feed().map(|feed| feed.holder) {
                    let event = Event::NewControllerBitrateLimit(limit);
                    self.outputs.push_back(Output::Tell(holder, event));
                    self.apply_limit(number);
                }
            }
            SlotOrder::SetGeometry(geometry) => {
                slot.geometry = geometry.clone();
                self.direct(number, Directive::Geometry(geometry));
            }
            SlotOrder::SetVisibility(visibility) => {
                slot.visibility = visibility;
                self.direct(number, Directive::Visibility(visibility));
            }
        }
        Ok(())
    }

    /// Opens a slot. One that is open has another token since; who sends goes on, and what is written over it stays
    /// unless there is something new.
    fn activate(&mut self, number: usize, token: Secret, html: Option<String>) {
        let slot = &mut self.slots[number];
        match &mut slot.state {
            State::Open(open) => open.token = token,
            State::Closed => slot.state = State::Open(Open { token, annotation: None, feed: None }),
        }
        if html.is_some() {
            self.annotate(number, html);
        }
    }

    /// Closes a slot: whoever has shown its token is sent away, and what was published is taken out of Janus, too.
    fn deactivate(&mut self, number: usize) {
        if let Some(feed) = self.slots[number].feed() {
            let kick = Wish::Kick(feed.published.feed);
            self.remove_feed(number);
            self.outputs.push_back(Output::Janus(kick));
        }
        self.slots[number].state = State::Closed;
        let of_slot = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.sender.as_ref().is_some_and(|sender| sender.slot == number));
        let of_slot: Vec<_> = of_slot.map(|(id, _)| *id).collect();
        for id in of_slot {
            self.end(id);
        }
    }

    fn annotate(&mut self, number: usize, html: Option<String>) {
        let annotation = html.map(|html| match self.settings.trust_annotations {
            true => Annotation::trusted(&html),
            false => Annotation::sanitised(&html),
        });
        let Some(open) = self.slots[number].open_mut() else { return };
        open.annotation.clone_from(&annotation);
        if open.feed.is_some() {
            self.tell_receivers(match annotation {
                Some(annotation) => Event::SetAnnotation(number, annotation),
                None => Event::RemoveAnnotation(number),
            });
        }
    }

    /// Tells receivers what to do with a picture; those who have none hear of it with the next feed.
    fn direct(&mut self, number: usize, directive: Directive) {
        if self.slots[number].feed().is_some() {
            self.tell_receivers(Event::Command(number, directive));
        }
    }
}

impl fmt::Display for OrderRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderRefused::NoSuchSlot { slot, slots } => {
                write!(f, "there is no slot {slot}: the room has {slots}, numbered from 0")
            }
            OrderRefused::SlotClosed(slot) => {
                write!(f, "slot {slot} is not activated: activate_slot does that")
            }
        }
    }
}

impl std::error::Error for OrderRefused {}
