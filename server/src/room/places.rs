//! Places of which an address has only so many, so that one household's browsers, or one stranger's, leave others theirs.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// The places that are taken, by address.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    /// What a place is for, in the plural.
    what: &'static str,
    of_address: Mutex<HashMap<IpAddr, Taken>>,
}

/// What an address has.
#[derive(Debug, Default)]
struct Taken {
    places: usize,
    /// It wanted more, and the log has it.
    is_told: bool,
}

/// One of an address's places, for as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// Whose it is.
    pub(super) address: IpAddr,
}

impl Places {
    /// So many for each address.
    pub(super) fn new(most: usize, what: &'static str) -> Arc<Places> {
        Arc::new(Places { most, what, of_address: Mutex::default() })
    }

    /// One more for this address; none where it has all of its own.
    pub(super) fn take(self: &Arc<Places>, address: IpAddr) -> Option<Place> {
        let mut of_address = self.of_address.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = of_address.entry(address).or_default();
        if taken.places >= self.most {
            if !taken.is_told {
                log::warn!("browsers of {address} are refused: it has {} {} already", self.most, self.what);
                taken.is_told = true;
            }
            return None;
        }
        taken.places += 1;
        Some(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_address = self.places.of_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut taken) = of_address.entry(self.address) {
            taken.get_mut().places -= 1;
            if taken.get().places == 0 {
                taken.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_bounded_number_of_places_that_come_back() {
        const MOST: usize = 3;
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let places = Places::new(MOST, "sockets");
        let mut held: Vec<_> = (0..MOST).map(|_| places.take(one).unwrap()).collect();
        assert!(places.take(one).is_none());
        assert!(places.take(other).is_some());
        held.pop();
        held.push(places.take(one).unwrap());
        held.clear();
        assert!(places.of_address.lock().unwrap().is_empty(), "who has no connection is forgotten");
    }
}
