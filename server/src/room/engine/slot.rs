//! A slot: closed, or open to whoever has its token.

use super::SocketId;
use crate::room::{
    wire::Published,
    words::{Annotation, CustomName, Directive, Geometry, Secret, Shown, Visibility},
};

/// A numbered place for a feed.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) geometry: Geometry,
    pub(super) visibility: Visibility,
    /// The controller's limit in bit/s; 0 is no limit.
    pub(super) limit: u64,
    pub(super) annotation: Option<Annotation>,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Closed,
    Open(Open),
}

#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) token: Secret,
    pub(super) feed: Option<Feed>,
}

/// What is published in a slot.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) published: Published,
    /// Whose it is.
    pub(super) holder: SocketId,
    /// What Janus was last told to let it send, in bit/s.
    pub(super) bitrate: u64,
}

/// A slot, to be shown to people who are signed in.
#[derive(Clone, Debug)]
pub struct SlotView<'a> {
    /// Its number.
    pub number: usize,
    /// Where its picture is.
    pub geometry: &'a Geometry,
    /// Whether its picture is to be seen.
    pub visibility: Visibility,
    /// The controller's limit in bit/s; 0 is no limit.
    pub limit: u64,
    /// The HTML over its picture.
    pub annotation: Option<&'a Annotation>,
    /// What is in it.
    pub state: SlotState<'a>,
}

/// What is in a slot.
#[derive(Clone, Debug)]
pub enum SlotState<'a> {
    /// Nobody may send.
    Closed,
    /// Whoever has the token may.
    Open {
        /// The token.
        token: &'a Secret,
        /// Janus' number of the feed that is there.
        feed: Option<u64>,
        /// What its sender calls itself.
        name: Option<&'a CustomName>,
    },
}

impl Slot {
    /// A closed slot, whose sender may send so many bit/s.
    pub(super) fn new(limit: u64) -> Slot {
        Slot {
            geometry: Geometry::default(),
            visibility: Visibility::default(),
            limit,
            annotation: None,
            state: State::Closed,
        }
    }

    /// Where its picture is, and whether it is seen, outlives what is in it.
    pub(super) fn close(&mut self, limit: u64) {
        self.limit = limit;
        self.annotation = None;
        self.state = State::Closed;
    }

    pub(super) fn open(&self) -> Option<&Open> {
        match &self.state {
            State::Open(open) => Some(open),
            State::Closed => None,
        }
    }

    pub(super) fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.state {
            State::Open(open) => Some(open),
            State::Closed => None,
        }
    }

    pub(super) fn feed(&self) -> Option<&Feed> {
        self.open()?.feed.as_ref()
    }

    pub(super) fn feed_mut(&mut self) -> Option<&mut Feed> {
        self.open_mut()?.feed.as_mut()
    }

    pub(super) fn is_held_by(&self, socket: SocketId) -> bool {
        self.feed().is_some_and(|feed| feed.holder == socket)
    }

    /// What receivers are told of its feed; none where there is none.
    pub(super) fn shown(&self) -> Option<Shown> {
        let feed = self.feed()?;
        Some(Shown {
            feed_id: feed.published.feed,
            visibility: Directive::Visibility(self.visibility),
            geometry: Directive::Geometry(self.geometry.clone()),
            annotation: self.annotation.clone(),
        })
    }

    pub(super) fn view(&self, number: usize) -> SlotView<'_> {
        let state = match &self.state {
            State::Closed => SlotState::Closed,
            State::Open(Open { token, feed }) => SlotState::Open {
                token,
                feed: feed.as_ref().map(|feed| feed.published.feed),
                name: feed.as_ref().and_then(|feed| feed.published.name.as_ref()),
            },
        };
        SlotView {
            number,
            geometry: &self.geometry,
            visibility: self.visibility,
            limit: self.limit,
            annotation: self.annotation.as_ref(),
            state,
        }
    }
}
