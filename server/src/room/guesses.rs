//! Wrong tokens and pins, and how long their answers wait. Pure.
//!
//! Who tries some waits longer and longer for each "wrong": at his address, and for one slot's tokens alone. Nobody is
//! ever refused for it: whoever shows the right one meanwhile, from that very address, is let in at once.

use super::{
    engine::Mono,
    meter::{Meter, Rate},
};
use std::{collections::BTreeMap, ops::RangeBounds, time::Duration};

/// Twenty a minute.
const RATE: Rate = Rate { cost: Duration::from_secs(3), credit: Duration::from_secs(60), debt: LONGEST };
/// No answer waits longer: it is of no use to anybody by then, and a mistyped token is not a reason to wait for an hour.
/// Pages wait somewhat longer for it (`VERDICT_MS`).
const LONGEST: Duration = Duration::from_secs(30);
/// Addresses, or addresses and slots, that are remembered. Beyond, who has guessed least lately is forgotten: to be so, somebody needs
/// more addresses than these.
const REMEMBERED: usize = 4096;

/// Who has guessed how often.
#[derive(Debug)]
pub(super) struct Guesses<Who>(BTreeMap<Who, Meter>);

impl<Who: Ord + Copy> Guesses<Who> {
    /// Nobody has guessed.
    pub(super) fn new() -> Guesses<Who> {
        Guesses(BTreeMap::new())
    }

    /// Counts a wrong one, and says how long its answer waits.
    pub(super) fn count(&mut self, now: Mono, who: Who) -> Duration {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&who) {
            self.forget(now);
        }
        self.0.entry(who).or_default().count(now, RATE)
    }

    /// Whether answers to one of these wait.
    pub(super) fn are_waiting(&self, now: Mono, whose: impl RangeBounds<Who>) -> bool {
        self.0.range(whose).any(|(_, meter)| meter.until_whole(now) > RATE.credit)
    }

    /// Forgets whose guesses are forgiven; where nobody's are, an eighth of all, so that this is seldom done.
    fn forget(&mut self, now: Mono) {
        self.0.retain(|_, meter| !meter.until_whole(now).is_zero());
        if self.0.len() >= REMEMBERED {
            let mut least: Vec<_> =
                self.0.iter().map(|(who, meter)| (meter.until_whole(now), *who)).collect();
            least.sort_unstable();
            least.truncate(REMEMBERED / 8);
            least.iter().for_each(|(_, who)| {
                self.0.remove(who);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn the_twenty_first_wrong_token_of_a_minute_waits() {
        let (mut guesses, now) = (Guesses::new(), Duration::from_secs(100));
        for _ in 0..20 {
            assert_eq!(guesses.count(now, (address(1), 0)), Duration::ZERO);
        }
        assert_eq!(guesses.count(now, (address(1), 0)), Duration::from_secs(3));
        assert_eq!(guesses.count(now, (address(1), 0)), Duration::from_secs(6));
        assert_eq!(guesses.count(now, (address(1), 1)), Duration::ZERO, "another slot");
        assert_eq!(guesses.count(now, (address(2), 0)), Duration::ZERO, "another address");
        let later = now + Duration::from_secs(120);
        assert_eq!(guesses.count(later, (address(1), 0)), Duration::ZERO, "forgiven by then");
    }

    #[test]
    fn no_answer_waits_for_ever_and_no_table_grows_for_ever() {
        let (mut guesses, now) = (Guesses::new(), Duration::ZERO);
        let longest = (0..1_000).map(|_| guesses.count(now, (address(0), 0))).max();
        assert_eq!(longest, Some(LONGEST));
        for number in 1..3 * REMEMBERED as u32 {
            guesses.count(now, (address(number), 0));
        }
        assert!(guesses.0.len() <= REMEMBERED);
        assert_eq!(guesses.count(now, (address(0), 0)), LONGEST, "who guesses most is remembered");
    }
}
