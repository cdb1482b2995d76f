//! What senders may do: show a token, publish, limit themselves, name themselves, and come back.

use super::{Late, Mono, Output, Room, Sender, SocketId, Wish, slot::Feed};
use crate::room::{
    wire::{Answer, Event, Published, Refusal, SenderInit},
    words::CustomName,
};
use std::time::Duration;

impl Room {
    /// A socket shows a token. Whose feed is in the slot is no matter yet.
    pub(super) fn init(&mut self, now: Mono, id: SocketId, init: SenderInit) -> Result<Answer, Late> {
        let number = usize::try_from(init.slot).unwrap_or(usize::MAX);
        let slot = self.slots.get(number).ok_or(Refusal::NoSuchSlot)?;
        let open = slot.open().ok_or(Refusal::SlotClosed)?;
        let token = init.token.ok_or(Refusal::NoToken)?;
        let from = self.sockets[&id].from;
        if open.token != token {
            let after = self.guesses.count(now, (from, number));
            return Err(Late { refusal: Refusal::WrongToken, after });
        }
        let sender = Sender { slot: number, token, resume: init.resume, limit: 0, was_publishing: false };
        self.take_back(id, &sender);
        self.become_sender(id, sender);
        Ok(Answer::done(format!("Slot {number} is ready for your camera.")))
    }

    /// A sender that comes back, while the room and Janus still count what it was: that has to go first, or there is no
    /// place for it in a room that is full.
    fn take_back(&mut self, id: SocketId, sender: &Sender) {
        let holder = self.slots[sender.slot].feed().map(|feed| feed.holder);
        if let Some(holder) = holder.filter(|holder| *holder != id && self.is_same_sender(*holder, sender)) {
            // In this order, as where a slot is deactivated.
            self.end(holder);
            self.expel_feed(sender.slot);
        }
    }

    fn become_sender(&mut self, id: SocketId, sender: Sender) {
        // One that goes to another slot, or begins anew, leaves its feed.
        self.resign(id);
        let socket = self.sockets.get_mut(&id).expect("who says something is there");
        socket.is_receiver = false;
        socket.sender = Some(sender);
    }

    /// A socket is no sender any more.
    pub(super) fn resign(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let Some(before) = socket.sender.take() else { return };
        socket.is_receiver = true;
        if self.slots[before.slot].is_held_by(id) {
            self.remove_feed(before.slot);
        }
    }

    /// A sender publishes.
    pub(super) fn set_feed(
        &mut self,
        id: SocketId,
        published: Result<Published, Refusal>,
    ) -> Result<Answer, Refusal> {
        let sender = self.sender(id)?.clone();
        let open = self.slots[sender.slot].open().ok_or(Refusal::TokenExpired)?;
        if open.token != sender.token {
            return Err(Refusal::TokenExpired);
        }
        let holder = open.feed.as_ref().map(|feed| feed.holder);
        if holder.is_some_and(|holder| holder != id && !self.is_same_sender(holder, &sender)) {
            return Err(Refusal::SlotInUse);
        }
        let published = published?;
        let others = self.slots.iter().enumerate().filter(|(number, _)| *number != sender.slot);
        if others.filter_map(|(_, slot)| slot.feed()).any(|feed| feed.published.feed == published.feed) {
            return Err(Refusal::FeedElsewhere);
        }

        self.take_back(id, &sender);
        self.remove_feed(sender.slot);
        self.publish(id, sender.slot, published);
        let limit = self.slots[sender.slot].limit;
        Ok(Answer::taken(format!("Your camera is in slot {}.", sender.slot), limit))
    }

    /// Whether the sender of this socket is the one that comes back now: by the same token, and a secret of its own.
    fn is_same_sender(&self, holder: SocketId, sender: &Sender) -> bool {
        let held = self.sockets.get(&holder).and_then(|socket| socket.sender.as_ref());
        held.is_some_and(|held| {
            held.token == sender.token && held.resume.is_some() && held.resume == sender.resume
        })
    }

    fn publish(&mut self, id: SocketId, number: usize, published: Published) {
        let name = published.name.clone();
        let bitrate = self.settings.bitrate;
        let open = self.slots[number].open_mut().expect("its token was right");
        open.feed = Some(Feed { published, holder: id, bitrate });
        if let Some(sender) = self.sockets.get_mut(&id).and_then(|socket| socket.sender.as_mut()) {
            sender.was_publishing = false;
        }
        let shown = self.slots[number].shown().expect("it has a feed");
        self.tell_receivers(Event::NewFeed(number, shown));
        if let Some(name) = name {
            self.outputs.push_back(Output::Notify(format!("custom_name {number} {name}")));
        }
        self.outputs.push_back(Output::Notify(format!("new_feed {number}")));
        self.apply_limit(number);
    }

    /// Takes a slot's feed away, and tells everybody.
    pub(super) fn remove_feed(&mut self, number: usize) {
        let feed = self.slots[number].open_mut().and_then(|open| open.feed.take());
        if feed.is_some() {
            self.tell_receivers(Event::RemoveFeed(number));
            self.outputs.push_back(Output::Notify(format!("remove_feed {number}")));
        }
    }

    /// Takes a slot's feed away, out of Janus, too.
    pub(super) fn expel_feed(&mut self, number: usize) {
        if let Some(feed) = self.slots[number].feed() {
            let kick = Wish::Kick(feed.published.feed);
            self.remove_feed(number);
            self.outputs.push_back(Output::Janus(kick));
        }
    }

    /// A sender wants no more than so much.
    pub(super) fn set_sender_limit(
        &mut self,
        id: SocketId,
        limit: Result<u64, Refusal>,
    ) -> Result<Answer, Refusal> {
        let sender = self.sender(id)?;
        let number = sender.slot;
        // Who publishes may go on with a token that was replaced since.
        let is_current = self.slots[number].open().is_some_and(|open| open.token == sender.token);
        if !is_current && !self.slots[number].is_held_by(id) {
            return Err(Refusal::TokenExpired);
        }
        let limit = limit?;
        if let Some(sender) = self.sockets.get_mut(&id).and_then(|socket| socket.sender.as_mut()) {
            sender.limit = limit;
        }
        if self.slots[number].is_held_by(id) {
            self.apply_limit(number);
        }
        Ok(Answer::done(match limit {
            0 => "Your camera sends without a limit of yours.".to_owned(),
            limit => format!("Your camera sends {limit} bit/s at most."),
        }))
    }

    /// Tells Janus what a feed may send, where it doesn't know.
    pub(super) fn apply_limit(&mut self, number: usize) {
        let controllers = self.slots[number].limit;
        let Some(holder) = self.slots[number].feed().map(|feed| feed.holder) else { return };
        let sender = self.sockets.get(&holder).and_then(|socket| socket.sender.as_ref());
        let bitrate = in_force(controllers, sender.map_or(0, |sender| sender.limit));
        let Some(feed) = self.slots[number].feed_mut() else { return };
        if feed.bitrate != bitrate {
            feed.bitrate = bitrate;
            let Published { session, handle, .. } = feed.published;
            self.outputs.push_back(Output::Janus(Wish::Configure { slot: number, session, handle, bitrate }));
        }
    }

    /// A sender calls itself otherwise. Only one that is seen has a name.
    pub(super) fn change_name(&mut self, id: SocketId, name: Option<CustomName>) {
        let (Ok(sender), Some(name)) = (self.sender(id), name) else { return };
        let number = sender.slot;
        let feed = self.slots[number].feed_mut().filter(|feed| feed.holder == id);
        if let Some(feed) = feed {
            self.outputs.push_back(Output::Notify(format!("custom_name {number} {name}")));
            feed.published.name = Some(name);
        }
    }

    /// Janus has a room in which nobody is: what was told of feeds before it was made is not true any more.
    pub(super) fn handle_kept(&mut self) {
        if self.slots.iter().any(|slot| slot.feed().is_some()) {
            self.forget_feeds();
        }
        self.ask_to_publish_again();
    }

    /// Janus has lost everything: no feed is there any more, but its sender is.
    pub(super) fn forget_feeds(&mut self) {
        self.tell_receivers(Event::RemoveAllFeeds);
        for number in 0..self.slots.len() {
            let Some(feed) = self.slots[number].open_mut().and_then(|open| open.feed.take()) else {
                continue;
            };
            self.outputs.push_back(Output::Notify(format!("remove_feed {number}")));
            let holder = self.sockets.get_mut(&feed.holder);
            if let Some(sender) = holder.and_then(|socket| socket.sender.as_mut()) {
                sender.was_publishing = true;
            }
        }
    }

    /// Ours know the event; an original's page only asks its user to begin anew when its connection is gone.
    fn ask_to_publish_again(&mut self) {
        for (id, socket) in &mut self.sockets {
            let Some(sender) = socket.sender.as_mut().filter(|sender| sender.was_publishing) else {
                continue;
            };
            sender.was_publishing = false;
            self.outputs.push_back(match sender.resume {
                Some(_) => Output::Tell(*id, Event::PublishAgain),
                None => Output::Cut(*id),
            });
        }
    }

    fn sender(&self, id: SocketId) -> Result<&Sender, Refusal> {
        self.sockets.get(&id).and_then(|socket| socket.sender.as_ref()).ok_or(Refusal::NotInitialised)
    }
}

/// The smaller of two limits in bit/s, of which 0 is none. Janus counts in 32 bits, and would cut off what is beyond.
fn in_force(one: u64, other: u64) -> u64 {
    let limit = match (one, other) {
        (0, limit) | (limit, 0) => limit,
        (one, other) => one.min(other),
    };
    limit.min(u32::MAX.into())
}

impl From<Refusal> for Late {
    fn from(refusal: Refusal) -> Late {
        Late { refusal, after: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_limit_is_in_force_and_0_is_none() {
        for (one, other, both) in
            [(0, 0, 0), (0, 5, 5), (5, 0, 5), (5, 7, 5), (7, 5, 5), (5, 5, 5), (0, 1 << 32, (1 << 32) - 1)]
        {
            assert_eq!(in_force(one, other), both, "{one} {other}");
        }
    }
}
