//! A room that runs: its sockets, its clock, and where its outputs go. Nothing here waits for anybody.

use super::{
    engine::{Input, Mono, OrderRefused, Output, ReplyTo, Room, Settings, SocketId},
    janus::{Trouble, Wishes},
    notify::Notifications,
    order::Order,
    packet,
    unread::Unread,
    wire::{Answer, Event, Said},
};
use crate::bus::{self, Bus};
use engineioxide::{DisconnectReason, Str};
use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Until a socket that was told its end is closed by us. A client that polls fetches that first, from however far away.
pub(super) const UNTIL_CLOSED: Duration = Duration::from_secs(3);

/// A socket of Engine.IO.
pub(super) type Socket = engineioxide::Socket<super::sockets::Talk>;

/// A room that runs.
#[derive(Debug)]
pub struct RunningRoom {
    /// Its number in Janus.
    number: u64,
    began: Instant,
    inner: Mutex<Inner>,
    /// The room's next deadline may be another one since.
    changed: Notify,
    wishes: Wishes,
    listeners: Listeners,
}

/// Who hears what comes of a room, besides its sockets.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// A controller.
    pub notifications: Option<Notifications>,
    /// People's pages.
    pub bus: Option<Bus>,
}

#[derive(Debug)]
struct Inner {
    room: Room,
    members: HashMap<SocketId, Member>,
    /// Sockets that hear nothing any more, of which the room doesn't know yet.
    deaf: Vec<SocketId>,
    /// Why Janus doesn't keep the room, where that is known.
    trouble: Option<Trouble>,
    /// It ends, and nobody comes in any more.
    is_over: bool,
    /// The number of the last socket.
    numbered: u64,
}

/// A socket that is there.
#[derive(Debug)]
struct Member {
    socket: Arc<Socket>,
    unread: Unread,
}

impl RunningRoom {
    /// A room of this number in Janus.
    pub fn new(number: u64, settings: Settings, listeners: Listeners) -> Arc<RunningRoom> {
        let inner = Inner {
            room: Room::new(settings),
            members: HashMap::new(),
            deaf: Vec::new(),
            trouble: None,
            is_over: false,
            numbered: 0,
        };
        let room = RunningRoom {
            number,
            began: Instant::now(),
            inner: Mutex::new(inner),
            changed: Notify::new(),
            wishes: Wishes::default(),
            listeners,
        };
        Arc::new(room)
    }

    /// Its number in Janus.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it wishes of Janus.
    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// Carries out an order of whoever drives the room.
    pub fn order(&self, order: Order) -> Result<(), OrderRefused> {
        let mut inner = self.lock();
        let outcome = inner.room.handle_order(order);
        self.drain(&mut inner);
        outcome
    }

    /// Tells the room that Janus keeps it, or doesn't.
    pub fn handle(&self, input: Input) {
        let mut inner = self.lock();
        let was_kept = inner.room.is_kept();
        inner.room.handle(self.began.elapsed(), input);
        let is_kept = inner.room.is_kept();
        self.drain(&mut inner);
        if was_kept != is_kept {
            self.tell_pages();
        }
    }

    /// Why Janus doesn't keep the room; none where it does, or has not answered yet.
    pub fn in_trouble(&self, trouble: Option<Trouble>) {
        let before = mem::replace(&mut self.lock().trouble, trouble);
        if before != trouble {
            self.tell_pages();
        }
    }

    /// As [`in_trouble`](Self::in_trouble) was told it last.
    pub fn trouble(&self) -> Option<Trouble> {
        self.lock().trouble
    }

    /// Asks the room something.
    pub fn look<T>(&self, question: impl FnOnce(&Room) -> T) -> T {
        question(&self.lock().room)
    }

    /// Calls the room at its deadlines, for ever.
    pub async fn keep_time(&self) {
        loop {
            let deadline = self.look(Room::deadline);
            tokio::select! {
                () = until(deadline.map(|deadline| self.began + deadline)) => self.handle(Input::Tick),
                () = self.changed.notified() => {}
            }
        }
    }

    /// Lets a socket in, and says by what name the room knows it; not at all where the room has ended.
    pub(super) fn enter(&self, socket: Arc<Socket>, from: IpAddr) -> Option<SocketId> {
        let mut inner = self.lock();
        if inner.is_over {
            return None;
        }
        inner.numbered += 1;
        let id = SocketId(inner.numbered);
        inner.members.insert(id, Member { socket, unread: Unread::default() });
        inner.room.handle(self.began.elapsed(), Input::Connected(id, from));
        self.drain(&mut inner);
        Some(id)
    }

    /// Takes in what a socket says, and marked where it wants to hear what is answered.
    pub(super) fn hear(&self, id: SocketId, said: Said, ack: Option<u64>) {
        let mut inner = self.lock();
        inner.room.handle(self.began.elapsed(), Input::Said(id, said, ack));
        self.drain(&mut inner);
    }

    /// A socket is gone.
    pub(super) fn leave(&self, id: SocketId) {
        let mut inner = self.lock();
        inner.deaf.push(id);
        self.drain(&mut inner);
    }

    /// The room ends: everybody is told, and who comes now is too late. Those who are there have until [`close`](Self::close)
    /// to hear it.
    pub fn end(&self) {
        let mut inner = self.lock();
        inner.is_over = true;
        inner.room.handle(self.began.elapsed(), Input::Stop);
        self.drain(&mut inner);
    }

    /// Whether it ends.
    pub fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// Sends everybody away who is still there. Where the process ends they come back by themselves.
    pub fn close(&self) {
        let sockets: Vec<_> = self.lock().members.values().map(|member| member.socket.clone()).collect();
        for socket in sockets {
            socket.close(DisconnectReason::ClosingServer);
        }
    }

    /// Carries out what the room wants.
    fn drain(&self, inner: &mut Inner) {
        while let Some(output) = inner.next(self.began.elapsed()) {
            match output {
                Output::Answer(ReplyTo { socket, ack }, answer) => {
                    let text = packet::ack(ack, &answer).into();
                    match answer {
                        Answer::State(_) => inner.send_state(socket, &text),
                        Answer::Outcome(_) => inner.send(socket, &text),
                    }
                }
                Output::Tell(socket, event) => {
                    inner.send(socket, &packet::event(event.name(), event.data()).into());
                }
                Output::TellReceivers(event) => {
                    self.note(&event);
                    let text = Str::from(packet::event(event.name(), event.data()));
                    let receivers: Vec<_> = inner.room.receivers().collect();
                    receivers.into_iter().for_each(|socket| inner.send(socket, &text));
                }
                Output::Disconnect(socket) => {
                    inner.send(socket, &packet::DISCONNECT.into());
                    inner.cut_later(socket);
                }
                Output::Cut(socket) => inner.close(socket, DisconnectReason::TransportClose),
                Output::Notify(line) => {
                    if let Some(notifications) = &self.listeners.notifications {
                        notifications.push(line);
                    }
                    self.tell_pages();
                }
                Output::Janus(wish) => self.wishes.push(wish),
            }
        }
        self.changed.notify_one();
    }

    fn tell_pages(&self) {
        if let Some(bus) = &self.listeners.bus {
            bus.tell(bus::Event::Room(self.number));
        }
    }

    fn note(&self, event: &Event) {
        match event {
            Event::NewFeed(slot, _) => log::info!("room {}: slot {slot} has a feed", self.number),
            Event::RemoveFeed(slot) => log::info!("room {}: slot {slot} has no feed any more", self.number),
            Event::RemoveAllFeeds => log::info!("room {}: no slot has a feed any more", self.number),
            Event::Command(..)
            | Event::SetAnnotation(..)
            | Event::RemoveAnnotation(_)
            | Event::NewControllerBitrateLimit(_)
            | Event::PublishAgain => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What is to be done next.
    fn next(&mut self, now: Mono) -> Option<Output> {
        loop {
            if let Some(output) = self.room.poll() {
                return Some(output);
            }
            let gone = self.deaf.pop()?;
            self.members.remove(&gone);
            self.room.handle(now, Input::Disconnected(gone));
        }
    }

    /// One that doesn't read has its transport closed: it asks for everything again when it is back. Engine.IO tells of
    /// its end only when the last packet that was begun is written, which may be never.
    fn send(&mut self, socket: SocketId, text: &Str) {
        let Some(member) = self.members.get_mut(&socket) else { return };
        member.unread.forget_read();
        if member.socket.emit(text.clone()).is_err() {
            self.cut_deaf(socket);
        }
    }

    /// One that asks again and again without reading the answers is one that doesn't read, too, however few they are.
    fn send_state(&mut self, socket: SocketId, text: &Str) {
        let Some(member) = self.members.get_mut(&socket) else { return };
        if member.unread.is_too_much() {
            return self.cut_deaf(socket);
        }
        member.unread.count(text);
        self.send(socket, text);
    }

    fn cut_deaf(&mut self, socket: SocketId) {
        log::debug!("a socket doesn't read, and is cut off");
        self.deaf.push(socket);
        self.close(socket, DisconnectReason::TransportError);
    }

    /// A client that polls fetches its last packet first, and closes by itself once it has it.
    fn cut_later(&self, socket: SocketId) {
        let Some(member) = self.members.get(&socket) else { return };
        let socket = Arc::downgrade(&member.socket);
        tokio::spawn(async move {
            tokio::time::sleep(UNTIL_CLOSED).await;
            if let Some(socket) = socket.upgrade() {
                socket.close(DisconnectReason::TransportClose);
            }
        });
    }

    fn close(&self, socket: SocketId, why: DisconnectReason) {
        if let Some(member) = self.members.get(&socket) {
            member.socket.close(why);
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
