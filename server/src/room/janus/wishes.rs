//! What a room wishes of Janus, until Janus knows: of each thing the newest, so that Janus may be slow for any time.

use crate::room::{engine::Wish, words::Secret};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Publishers who have to leave. Beyond, the oldest are gone by themselves.
const MAX_KICKS: usize = 1000;

/// Wishes, between who has them and who tells Janus.
#[derive(Clone, Debug, Default)]
pub struct Wishes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<Open>,
    more: Notify,
}

/// What Janus doesn't know yet.
#[derive(Debug, Default)]
struct Open {
    pin: Option<Secret>,
    /// Publishers' numbers.
    kicks: BTreeSet<u64>,
    /// What a slot's publisher may send.
    limits: BTreeMap<usize, Wish>,
}

impl Wishes {
    /// Has Janus told, instead of what was wished of the same thing before.
    pub fn push(&self, wish: Wish) {
        self.lock().push(wish);
        self.0.more.notify_one();
    }

    /// Has Janus told again, unless something newer is wished since.
    pub(super) fn again(&self, wish: Wish) {
        let mut open = self.lock();
        let newer = std::mem::take(&mut *open);
        open.push(wish);
        newer.into_wishes().for_each(|wish| open.push(wish));
        drop(open);
        self.0.more.notify_one();
    }

    /// The next, once there is one.
    pub(super) async fn next(&self) -> Wish {
        loop {
            let more = self.0.more.notified();
            if let Some(wish) = self.lock().pop() {
                return wish;
            }
            more.await;
        }
    }

    /// Forgets what was wished of feeds that are gone, and returns the pin of the room that is to be made.
    pub(super) fn begin_anew(&self) -> Option<Secret> {
        std::mem::take(&mut *self.lock()).pin
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn push(&mut self, wish: Wish) {
        match wish {
            Wish::EditPin(pin) => self.pin = Some(pin),
            Wish::Kick(feed) => {
                if self.kicks.len() == MAX_KICKS {
                    self.kicks.pop_first();
                }
                self.kicks.insert(feed);
            }
            Wish::Configure { slot, .. } => drop(self.limits.insert(slot, wish)),
        }
    }

    /// Who has to leave goes first: somebody may wait for the place.
    fn pop(&mut self) -> Option<Wish> {
        let kick = self.kicks.pop_first().map(Wish::Kick);
        let pin = || self.pin.take().map(Wish::EditPin);
        kick.or_else(pin).or_else(|| self.limits.pop_first().map(|(_, wish)| wish))
    }

    fn into_wishes(mut self) -> impl Iterator<Item = Wish> {
        std::iter::from_fn(move || self.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configure(slot: usize, bitrate: u64) -> Wish {
        Wish::Configure { slot, session: 1, handle: 2, bitrate }
    }

    fn pin(pin: &str) -> Wish {
        Wish::EditPin(Secret::of(pin))
    }

    fn all(wishes: &Wishes) -> Vec<Wish> {
        std::mem::take(&mut *wishes.lock()).into_wishes().collect()
    }

    #[test]
    fn of_each_thing_the_newest_is_told_and_every_kick() {
        let wishes = Wishes::default();
        for bitrate in 0..10_000 {
            wishes.push(configure(0, bitrate));
            wishes.push(configure(1, 2 * bitrate));
        }
        [pin("1"), Wish::Kick(5), pin("2"), Wish::Kick(6)].into_iter().for_each(|wish| wishes.push(wish));
        let told = [Wish::Kick(5), Wish::Kick(6), pin("2"), configure(0, 9_999), configure(1, 19_998)];
        assert_eq!(all(&wishes), told);
    }

    #[test]
    fn what_was_not_answered_is_told_again_unless_it_is_old() {
        let wishes = Wishes::default();
        wishes.push(configure(0, 2));
        wishes.again(configure(0, 1));
        wishes.again(configure(1, 1));
        wishes.again(Wish::Kick(5));
        assert_eq!(all(&wishes), [Wish::Kick(5), configure(0, 2), configure(1, 1)]);
    }

    #[test]
    fn a_new_room_has_the_newest_pin_and_no_old_feeds() {
        let wishes = Wishes::default();
        [pin("1"), Wish::Kick(5), configure(0, 1)].into_iter().for_each(|wish| wishes.push(wish));
        assert_eq!(wishes.begin_anew(), Some(Secret::of("1")));
        assert_eq!(all(&wishes), []);
    }

    #[test]
    fn kicks_are_bounded() {
        let wishes = Wishes::default();
        (0..3 * MAX_KICKS as u64).for_each(|feed| wishes.push(Wish::Kick(feed)));
        assert_eq!(all(&wishes).len(), MAX_KICKS);
    }
}
