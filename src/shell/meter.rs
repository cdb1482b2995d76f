//! What uploads have put on the wire, and what they may: shared by the executor and the upload worker, so that either
//! counts in the middle of a request.

use crate::engine::Pace;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// A meter, and the marks that it is not to pass.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<State>);

#[derive(Debug, Default)]
struct State {
    total: AtomicU64,
    pace: Mutex<Pace>,
}

impl Meter {
    /// So many bytes more have crossed the wire, either way.
    pub fn count(&self, bytes: usize) {
        self.0.total.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All bytes since the start.
    pub fn total(&self) -> u64 {
        self.0.total.load(Ordering::Relaxed)
    }

    /// Another pace from now on.
    pub fn set_pace(&self, pace: Pace) {
        *self.0.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
    }

    /// How uploads go on.
    pub fn pace(&self) -> Pace {
        *self.0.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no more may go before another pace is set.
    pub fn is_at_its_mark(&self) -> bool {
        self.pace().bytes.is_some_and(|mark| self.total() >= mark)
    }
}
