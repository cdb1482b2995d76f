//! What a room decides: slots, tokens, feeds, bitrates, and what each socket is told. Pure: no clock, socket, file or
//! thread.
//!
//! A shell tells the room what happened ([`Room::handle`], [`Room::handle_order`]), then drains what is to be done
//! ([`Room::poll`]). [`Room::deadline`] says when it wants to be called again although nothing happened.
//!
//! ```text
//!            activate_slot                     set_feed_id
//!   Closed ───────────────▶ Open, no feed ───────────────────▶ Open, a feed
//!      ▲                     │        ▲                         │        │
//!      └── deactivate_slot ──┘        └─ its sender went, Janus ┘        │
//!      └───────────────────── deactivate_slot ───────────────────────────┘
//! ```
//!
//! Where a picture is, whether it is seen, and the controller's limit belong to the slot's number: they outlive what is
//! in the slot, so that viewers who come later see what the controller wants.

mod guesses;
mod meter;
mod orders;
mod sender;
mod slot;

#[cfg(test)]
mod tests;

pub use orders::OrderRefused;
pub use slot::{SlotState, SlotView};

use super::{
    order::Order,
    wire::{Answer, Event, Refusal, Said},
    words::{Secret, Shown},
};
use guesses::Guesses;
use meter::{Meter, Rate};
use slot::Slot;
use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

/// Since the room began, on a clock that never jumps.
pub type Mono = Duration;

/// What one socket may say: a slider that is dragged says it often, and nobody says it for ever.
const EVENTS: Rate = Rate {
    cost: Duration::from_millis(50),
    credit: Duration::from_secs(10),
    debt: Duration::from_millis(50),
};
/// Answers that wait of one socket, and of all. Who guesses faster is disconnected.
const WAITING_OF_ONE: usize = 16;
const WAITING: usize = 1024;

/// A socket. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// What an answer belongs to; the shell's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyId(pub u64);

/// What the owner decided.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many slots there are; they are numbered from 0.
    pub slots: usize,
    /// What Janus lets a publisher send unless it is told otherwise, in bit/s; 0 is no limit.
    pub bitrate: u64,
    /// Annotations reach receivers as they were written.
    pub trust_annotations: bool,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A socket is there.
    Connected(SocketId, IpAddr),
    /// A socket said something, and waits for an answer where the event has one.
    Said(SocketId, Said, Option<ReplyId>),
    /// A socket is gone.
    Disconnected(SocketId),
    /// Janus keeps the room, newly made and empty.
    JanusKept,
    /// Janus has forgotten the room and all that was published into it.
    JanusLost,
    /// A deadline has come.
    Tick,
    /// The room ends.
    Stop,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Answer an event.
    Answer(ReplyId, Answer),
    /// Tell one socket something.
    Tell(SocketId, Event),
    /// Tell all of [`Room::receivers`] something.
    TellReceivers(Event),
    /// End a socket for good: its client is not to come back by itself.
    Disconnect(SocketId),
    /// Close a socket's transport: its client comes back by itself.
    Cut(SocketId),
    /// A line for the controller.
    Notify(String),
    /// A wish to Janus. Nothing waits for it.
    Janus(Wish),
}

/// What Janus is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A publisher is to send no more than so many bit/s.
    Configure {
        /// Its session.
        session: u64,
        /// Its handle.
        handle: u64,
        /// Bit/s; 0 is no limit.
        bitrate: u64,
    },
    /// The room has another pin.
    EditPin(Secret),
    /// A publisher has to leave.
    Kick(u64),
}

/// A room.
#[derive(Debug)]
pub struct Room {
    settings: Settings,
    slots: Vec<Slot>,
    is_kept: bool,
    sockets: BTreeMap<SocketId, Socket>,
    guesses: Guesses,
    /// Answers that wait, by when they are due.
    waiting: BTreeMap<(Mono, ReplyId), (SocketId, Answer)>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Socket {
    from: IpAddr,
    events: Meter,
    /// Whether it is told what receivers are told. A sender isn't, unless it asked for the feeds.
    is_receiver: bool,
    sender: Option<Sender>,
    /// It is ended, and what it says meanwhile is not heard.
    is_ending: bool,
}

/// Who has shown a slot's token.
#[derive(Clone, Debug)]
struct Sender {
    slot: usize,
    /// The token as it was then.
    token: Secret,
    resume: Option<Secret>,
    /// Bit/s; 0 is no limit.
    limit: u64,
    /// It published before Janus lost the room.
    was_publishing: bool,
}

impl Room {
    /// A room in which all slots are closed.
    pub fn new(settings: Settings) -> Room {
        let slots = vec![Slot::new(settings.bitrate); settings.slots];
        Room {
            settings,
            slots,
            is_kept: false,
            sockets: BTreeMap::new(),
            guesses: Guesses::default(),
            waiting: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Mono, input: Input) {
        match input {
            Input::Connected(id, from) => {
                let socket = Socket {
                    from,
                    events: Meter::default(),
                    is_receiver: true,
                    sender: None,
                    is_ending: false,
                };
                self.sockets.insert(id, socket);
            }
            Input::Said(id, said, reply) => self.handle_said(now, id, said, reply),
            Input::Disconnected(id) => self.handle_disconnected(id),
            Input::JanusKept => {
                self.is_kept = true;
                self.ask_to_publish_again();
            }
            Input::JanusLost => {
                self.is_kept = false;
                self.forget_feeds();
            }
            Input::Tick => {}
            Input::Stop => self.tell_receivers(Event::RemoveAllFeeds),
        }
        self.answer_waiting(now);
    }

    /// Takes in an order. Where it is refused nothing has changed.
    pub fn handle_order(&mut self, order: Order) -> Result<(), OrderRefused> {
        match order {
            Order::EditPin(pin) => {
                self.outputs.push_back(Output::Janus(Wish::EditPin(pin)));
                Ok(())
            }
            Order::Slot(slot, order) => self.handle_slot_order(slot, order),
        }
    }

    /// What is to be done next; none where nothing is.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Mono> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Who is told what receivers are told.
    pub fn receivers(&self) -> impl Iterator<Item = SocketId> {
        self.sockets.iter().filter(|(_, socket)| socket.is_receiver).map(|(id, _)| *id)
    }

    /// The slots as they are, by number.
    pub fn slots(&self) -> impl Iterator<Item = SlotView<'_>> {
        self.slots.iter().enumerate().map(|(number, slot)| slot.view(number))
    }

    /// Whether Janus keeps the room.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    fn handle_said(&mut self, now: Mono, id: SocketId, said: Said, reply: Option<ReplyId>) {
        // Its last words may be on their way when it is gone.
        let Some(socket) = self.sockets.get_mut(&id).filter(|socket| !socket.is_ending) else { return };
        if !socket.events.count(now, EVENTS).is_zero() {
            return self.end(id);
        }
        let answer = match said {
            Said::QueryState => {
                socket.is_receiver = true;
                Answer::State(self.feeds())
            }
            Said::ChangeName(name) => return self.change_name(id, name),
            Said::SenderInit(init) => {
                match init.map_err(Into::into).and_then(|init| self.init(now, id, init)) {
                    Ok(answer) => answer,
                    Err(refused) => return self.answer_late(now, id, reply, refused),
                }
            }
            Said::SetFeedId(published) => self.set_feed(id, published).unwrap_or_else(Into::into),
            Said::SetBitrateLimit(limit) => self.set_sender_limit(id, limit).unwrap_or_else(Into::into),
        };
        if let Some(reply) = reply {
            self.outputs.push_back(Output::Answer(reply, answer));
        }
    }

    fn handle_disconnected(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(&id) else { return };
        self.waiting.retain(|_, (waiting, _)| *waiting != id);
        if let Some(sender) = socket.sender
            && self.slots[sender.slot].is_held_by(id)
        {
            self.remove_feed(sender.slot);
        }
    }

    /// What `query_state` is answered.
    fn feeds(&self) -> BTreeMap<usize, Shown> {
        let shown = self.slots.iter().enumerate();
        shown.filter_map(|(number, slot)| Some((number, slot.shown()?))).collect()
    }

    fn tell_receivers(&mut self, event: Event) {
        self.outputs.push_back(Output::TellReceivers(event));
    }

    /// Ends a socket. What it holds goes with it, when it is gone.
    fn end(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.is_ending = true;
            self.outputs.push_back(Output::Disconnect(id));
        }
    }

    fn answer_late(&mut self, now: Mono, id: SocketId, reply: Option<ReplyId>, refused: Late) {
        let Some(reply) = reply else { return };
        let answer = refused.refusal.into();
        if refused.after.is_zero() {
            return self.outputs.push_back(Output::Answer(reply, answer));
        }
        let of_one = self.waiting.values().filter(|(waiting, _)| *waiting == id).count();
        if of_one >= WAITING_OF_ONE || self.waiting.len() >= WAITING {
            return self.end(id);
        }
        self.waiting.insert((now + refused.after, reply), (id, answer));
    }

    fn answer_waiting(&mut self, now: Mono) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, reply), (_, answer)) = entry.remove_entry();
            self.outputs.push_back(Output::Answer(reply, answer));
        }
    }
}

/// A refusal, and how long it waits.
#[derive(Debug)]
struct Late {
    refusal: Refusal,
    after: Duration,
}
