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
//! Where a picture is, and whether it is seen, belongs to the slot's number: it outlives what is in the slot, so that
//! viewers who come later see what the controller wants. So does an annotation that was set before the slot was opened;
//! with the end of what is in the slot it goes, and the controller's limit with it.

mod orders;
mod sender;
mod slot;

#[cfg(test)]
mod tests;

pub use orders::OrderRefused;
pub use slot::{SlotState, SlotView};

use super::{
    guesses::Guesses,
    meter::{Meter, Rate},
    order::Order,
    wire::{Answer, Event, Refusal, Said},
    words::{Secret, Shown},
};
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
/// What of it a socket has spent already that comes from where somebody guesses tokens: most, because guesses need sockets.
const SPENT_BY_GUESSERS: Duration = Duration::from_secs(9);
/// Answers that wait of one address, whether or not somebody is there to hear them, and of all. Who guesses faster is
/// disconnected.
const WAITING_OF_ONE: usize = 16;
const WAITING: usize = 1024;

/// A socket. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// Who asked.
    pub socket: SocketId,
    /// What it marked its event with.
    pub ack: u64,
}

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
    /// A socket said something, and may have marked it, so that it hears what is answered.
    Said(SocketId, Said, Option<u64>),
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
    Answer(ReplyTo, Answer),
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
        /// Its slot, of which the newest counts.
        slot: usize,
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
    /// By address and slot.
    guesses: Guesses<(IpAddr, usize)>,
    /// Answers that wait, by when they are due, and in their order.
    waiting: BTreeMap<(Mono, u64), Waiting>,
    /// The number of the last that had to wait.
    waited: u64,
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

/// An answer that waits.
#[derive(Debug)]
struct Waiting {
    /// Whose place it takes.
    from: IpAddr,
    /// Nowhere, where nobody wanted it, or who did is gone.
    to: Option<ReplyTo>,
    answer: Answer,
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
            guesses: Guesses::new(),
            waiting: BTreeMap::new(),
            waited: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Mono, input: Input) {
        match input {
            Input::Connected(id, from) => {
                let is_guesser = self.guesses.are_waiting(now, (from, 0)..=(from, usize::MAX));
                let spent = if is_guesser { now + SPENT_BY_GUESSERS } else { Mono::ZERO };
                let socket = Socket {
                    from,
                    events: Meter::whole_at(spent),
                    is_receiver: true,
                    sender: None,
                    is_ending: false,
                };
                self.sockets.insert(id, socket);
            }
            Input::Said(id, said, ack) => self.handle_said(now, id, said, ack),
            Input::Disconnected(id) => self.handle_disconnected(id),
            Input::JanusKept => {
                self.is_kept = true;
                self.handle_kept();
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

    fn handle_said(&mut self, now: Mono, id: SocketId, said: Said, ack: Option<u64>) {
        // Its last words may be on their way when it is gone.
        let Some(socket) = self.sockets.get_mut(&id).filter(|socket| !socket.is_ending) else { return };
        if !socket.events.count(now, EVENTS).is_zero() {
            return self.end(id);
        }
        let to = ack.map(|ack| ReplyTo { socket: id, ack });
        let answer = match said {
            Said::QueryState => {
                socket.is_receiver = true;
                Answer::State(self.feeds())
            }
            Said::ChangeName(name) => return self.change_name(id, name),
            Said::SenderInit(init) => {
                match init.map_err(Into::into).and_then(|init| self.init(now, id, init)) {
                    Ok(answer) => answer,
                    Err(refused) => {
                        // Whoever tries tokens learns nothing from what the one before allows.
                        self.resign(id);
                        return self.answer_late(now, id, to, refused);
                    }
                }
            }
            Said::SetFeedId(published) => self.set_feed(id, published).unwrap_or_else(Into::into),
            Said::SetBitrateLimit(limit) => self.set_sender_limit(id, limit).unwrap_or_else(Into::into),
            Said::Nothing => return,
        };
        self.answer(to, answer);
    }

    fn handle_disconnected(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(&id) else { return };
        for waiting in self.waiting.values_mut() {
            waiting.to = waiting.to.filter(|to| to.socket != id);
        }
        if let Some(sender) = socket.sender
            && self.slots[sender.slot].is_held_by(id)
        {
            // Where its network died Janus takes a minute to notice, and until then there is no place for its return in a
            // room that is full.
            self.expel_feed(sender.slot);
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

    fn answer(&mut self, to: Option<ReplyTo>, answer: Answer) {
        if let Some(to) = to {
            self.outputs.push_back(Output::Answer(to, answer));
        }
    }

    /// Nobody has to want an answer for it to wait: otherwise guessing would cost nothing without.
    fn answer_late(&mut self, now: Mono, id: SocketId, to: Option<ReplyTo>, refused: Late) {
        let answer = refused.refusal.into();
        if refused.after.is_zero() {
            return self.answer(to, answer);
        }
        let from = self.sockets[&id].from;
        let of_one = self.waiting.values().filter(|waiting| waiting.from == from).count();
        if of_one >= WAITING_OF_ONE || self.waiting.len() >= WAITING {
            return self.end(id);
        }
        self.waited += 1;
        self.waiting.insert((now + refused.after, self.waited), Waiting { from, to, answer });
    }

    fn answer_waiting(&mut self, now: Mono) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let Waiting { to, answer, .. } = entry.remove();
            self.answer(to, answer);
        }
    }
}

/// A refusal, and how long it waits.
#[derive(Debug)]
struct Late {
    refusal: Refusal,
    after: Duration,
}
