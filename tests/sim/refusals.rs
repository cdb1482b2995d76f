//! What the cloud refused, and with which status.

use crate::cloud::{SESSION_STATUSES, STATUSES};
use std::{collections::BTreeMap, fmt};

/// The handshake of a session, in the table.
pub const SESSION: &str = "session";
/// What can be refused: requests by their method, and sessions.
const ASKED: [&str; 4] = ["POST", "HEAD", "PATCH", SESSION];

/// How often each status was the answer to what.
#[derive(Clone, Default)]
pub struct Refusals(BTreeMap<(u16, &'static str), u64>);

impl Refusals {
    pub fn count(&mut self, asked: &'static str, status: u16) {
        *self.0.entry((status, asked)).or_default() += 1;
    }

    pub fn add(&mut self, more: &Refusals) {
        for (pair, count) in &more.0 {
            *self.0.entry(*pair).or_default() += count;
        }
    }

    /// Pairs that can happen, but did so less often than that.
    pub fn rarer_than(&self, count: u64) -> Vec<(u16, &'static str)> {
        let pairs = STATUSES.into_iter().flat_map(|status| ASKED.map(|asked| (status, asked)));
        pairs.filter(|(status, asked)| can_be(*status, asked) && self.of(*status, asked) < count).collect()
    }

    fn of(&self, status: u16, asked: &'static str) -> u64 {
        self.0.get(&(status, asked)).copied().unwrap_or(0)
    }
}

fn can_be(status: u16, asked: &str) -> bool {
    asked != SESSION || SESSION_STATUSES.contains(&status)
}

/// One line a status, one column for what was asked; a dash where it is no answer to that.
impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14}", "refused with")?;
        for asked in ASKED {
            write!(f, "{asked:>9}")?;
        }
        for status in STATUSES {
            write!(f, "\n{status:<14}")?;
            for asked in ASKED {
                match can_be(status, asked) {
                    true => write!(f, "{:>9}", self.of(status, asked))?,
                    false => write!(f, "{:>9}", "-")?,
                }
            }
        }
        Ok(())
    }
}
