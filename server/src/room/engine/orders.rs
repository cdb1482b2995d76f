//! What a controller may do with a slot.

use super::{
    Output, Room,
    slot::{Open, SlotView, State},
};
use crate::room::{
    order::SlotOrder,
    wire::Event,
    words::{Annotation, Directive},
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
    /// The slot is activated already.
    SlotOpen(usize),
}

impl Room {
    /// What a slot would be after an order, of which nothing comes yet.
    pub fn rehearse<T>(
        &self,
        number: usize,
        order: SlotOrder,
        look: impl FnOnce(&SlotView<'_>) -> T,
    ) -> Result<T, OrderRefused> {
        let mut rehearsal = Room { slots: self.slots.clone(), ..Room::new(self.settings.clone()) };
        rehearsal.handle_slot_order(number, order)?;
        Ok(look(&rehearsal.slots[number].view(number)))
    }

    pub(super) fn handle_slot_order(&mut self, number: usize, order: SlotOrder) -> Result<(), OrderRefused> {
        let slots = self.slots.len();
        let slot = self.slots.get_mut(number).ok_or(OrderRefused::NoSuchSlot { slot: number, slots })?;
        let closed = OrderRefused::SlotClosed(number);
        match order {
            SlotOrder::Activate(token, html) => {
                if slot.open().is_some() {
                    return Err(OrderRefused::SlotOpen(number));
                }
                slot.state = State::Open(Open { token, feed: None });
                if html.is_some() {
                    self.annotate(number, html);
                }
            }
            SlotOrder::RefreshToken(token) => slot.open_mut().ok_or(closed)?.token = token,
            SlotOrder::Deactivate => {
                slot.open().ok_or(closed)?;
                self.deactivate(number);
            }
            SlotOrder::SetAnnotation(html) => self.annotate(number, Some(html)),
            SlotOrder::RemoveAnnotation => self.annotate(number, None),
            SlotOrder::SetBitrateLimit(limit) => {
                slot.open().ok_or(closed)?;
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

    /// Closes a slot: whoever has shown its token is sent away, and what was published is taken out of Janus, too.
    fn deactivate(&mut self, number: usize) {
        let of_slot = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.sender.as_ref().is_some_and(|sender| sender.slot == number));
        let of_slot: Vec<_> = of_slot.map(|(id, _)| *id).collect();
        // First: a page that hears of it from Janus takes it for a fault, and tries again.
        for id in of_slot {
            self.end(id);
        }
        self.expel_feed(number);
        self.slots[number].close(self.settings.bitrate);
    }

    fn annotate(&mut self, number: usize, html: Option<String>) {
        let annotation = html.map(|html| match self.settings.trust_annotations {
            true => Annotation::trusted(&html),
            false => Annotation::sanitised(&html),
        });
        let slot = &mut self.slots[number];
        slot.annotation.clone_from(&annotation);
        if slot.feed().is_some() {
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
            OrderRefused::SlotOpen(slot) => {
                write!(f, "slot {slot} is activated already: refresh_token gives it another token")
            }
        }
    }
}

impl std::error::Error for OrderRefused {}
