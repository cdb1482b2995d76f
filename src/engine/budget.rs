//! The data budget: how many bytes uploads may put on the wire in a calendar month, answers included.
//!
//! ```text
//!            nine tenths are spent, or
//!            more is owed than is left          all but a margin is spent
//!   Ample ──────────────────────────────▶ Short ──────────────────────────▶ UsedUp
//!     ▲ ◀──────── less is owed ────────────┘                                   │
//!     └──────────────────── another month, or another budget ──────────────────┘
//! ```
//!
//! The count outlives restarts without wearing flash: what the disk has is ahead of what was spent, by a step of the
//! budget. No byte goes that the disk does not have the count of yet, so that a power cut can only make the count too
//! large, by that step at most. A disk that can't be written holds up no capture: then bytes go on credit, and a restart
//! would not know of those.
//!
//! A month begins only by a clock that can be believed (`timekeeping`). One that goes back to an earlier month
//! takes what it has counted since with it (docs/decisions/0008-a-budget-is-written-ahead.md).

use super::{calendar::Month, sight::BudgetSight, uploads::Choice};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

/// A smaller budget would be spent on greetings.
pub const LEAST: u64 = 1024 * 1024;
/// What a request may take beside its body (greetings of TLS, heads, the answer), and what of a body is on its way when
/// it is stopped. All of it comes to a few KiB and two TLS records.
const MARGIN: u64 = 64 * 1024;
/// The count on disk is so much of the budget ahead.
const STEPS: u64 = 256;
/// And not less than so many bytes,
const LEAST_STEP: u64 = 1024 * 1024;
/// unless that would be more than this part of the budget: a few power cuts would use a small one up.
const LARGEST_STEP: u64 = 16;
/// Months whose counts are kept: the one that counts, the one before, and those in which a wrong clock has been.
const MONTHS: usize = 4;
/// This part of the budget is kept for the first segments of captures.
const RESERVE: u64 = 10;

/// What uploads have put on the wire, by month. A month's count has the bytes of later months in it, too: where the clock
/// has come back from them, they were sent in this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The one that counts; none while no clock could be believed.
    month: Option<Month>,
    /// A few of the last ones, and those in which a clock that was wrong has been.
    months: BTreeMap<Month, u64>,
    /// Before the first month was known.
    #[serde(default)]
    earlier: u64,
}

/// How far the budget reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// For all that is owed.
    Ample,
    /// Perhaps not for all: first segments go before others.
    Short,
    /// For nothing more.
    UsedUp,
}

/// What is counted, and what of it the disk has.
#[derive(Debug)]
pub struct Budget {
    /// All bytes since the start.
    total: u64,
    /// To the byte.
    spent: Spent,
    /// As a restart would find it.
    on_disk: Spent,
    /// The disk could not be written lately.
    on_credit: bool,
    /// How it stood when the owner was told last.
    pub told: Standing,
}

impl Spent {
    /// Another month counts, or the first that is known.
    fn turn(&mut self, month: Month) {
        let Some(before) = self.month.replace(month) else {
            let earlier = std::mem::take(&mut self.earlier);
            return self.add(earlier);
        };
        if before < month {
            // What a wrong clock has counted for months beyond it was sent before it.
            let beyond = sum(self.months.range((Excluded(month), Unbounded)));
            self.months.retain(|other, _| *other <= month);
            if beyond > 0 {
                let bytes = self.months.entry(before).or_default();
                *bytes = bytes.saturating_add(beyond);
            }
        }
        while self.months.len() > MONTHS
            && let Some(oldest) = self.months.first_entry()
            && *oldest.key() < month
        {
            oldest.remove();
        }
    }

    fn add(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let count = match self.month {
            Some(month) => self.months.entry(month).or_default(),
            None => &mut self.earlier,
        };
        *count = count.saturating_add(bytes);
    }

    /// What counts in the month that counts.
    fn bytes(&self) -> u64 {
        self.bytes_in(self.month)
    }

    /// What would count in that month, were it to count now.
    fn bytes_in(&self, month: Option<Month>) -> u64 {
        let of_months = match (self.month, month) {
            (Some(now), Some(month)) if now < month => self.months.get(&month).copied().unwrap_or(0),
            (_, Some(month)) => sum(self.months.range(month..)),
            (_, None) => sum(&self.months),
        };
        let earlier = if self.month.is_none() { self.earlier } else { 0 };
        of_months.saturating_add(earlier)
    }
}

fn sum<'a>(months: impl IntoIterator<Item = (&'a Month, &'a u64)>) -> u64 {
    months.into_iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes))
}

impl Budget {
    /// What can be seen of it.
    pub fn sight(&self) -> BudgetSight {
        let counted = |spent: &Spent| spent.month.map(|month| (month, spent.bytes()));
        BudgetSight {
            spent: counted(&self.spent),
            on_disk: counted(&self.on_disk),
            is_on_credit: self.on_credit,
        }
    }

    /// As a former life left it.
    pub fn new(found: Option<Spent>) -> Budget {
        let spent = found.unwrap_or_default();
        Budget { total: 0, on_disk: spent.clone(), spent, on_credit: false, told: Standing::Ample }
    }

    /// The month that counts, if it is known.
    pub fn month(&self) -> Option<Month> {
        self.spent.month
    }

    /// Bytes of this month.
    pub fn spent(&self) -> u64 {
        self.spent.bytes()
    }

    /// All bytes since the start are so many now.
    pub fn count(&mut self, total: u64) {
        self.spent.add(total.saturating_sub(self.total));
        self.total = total.max(self.total);
    }

    /// A clock that can be believed is in this month. Whether that is a later one than before.
    pub fn turn(&mut self, month: Month) -> bool {
        let is_later = self.spent.month.is_some_and(|before| before < month);
        self.spent.turn(month);
        is_later
    }

    /// The disk has this from now on, or could not write it.
    pub fn written(&mut self, spent: Option<&Spent>, is_written: bool) {
        self.on_credit = !is_written;
        if let Some(spent) = spent.filter(|_| is_written) {
            self.on_disk = spent.clone();
        }
    }

    /// What the disk should have next, where `asked` is what it was asked to have last. None while that will do.
    pub fn next_on_disk(&self, limit: u64, asked: Option<&Spent>) -> Option<Spent> {
        let asked = asked.map_or(0, |asked| asked.bytes_in(self.spent.month));
        let step = (limit / STEPS).max(LEAST_STEP.min(limit / LARGEST_STEP));
        let needed = self.spent().saturating_add(MARGIN);
        let bytes = needed.saturating_add(step).min(limit).max(self.spent());
        let is_enough = asked >= needed.saturating_add(step / 2) || asked >= bytes;
        (!is_enough).then(|| {
            let mut next = self.spent.clone();
            next.add(bytes - self.spent());
            next
        })
    }

    /// To the byte, for a restart that was asked for; none where the disk was asked for that already.
    pub fn last_on_disk(&self, asked: Option<&Spent>) -> Option<Spent> {
        asked.filter(|asked| **asked != self.spent).map(|_| self.spent.clone())
    }

    /// How many bytes may have gone since the start, all in all, when a segment of that kind is to stop.
    pub fn allowed(&self, limit: u64, is_first: bool) -> u64 {
        let on_disk = if self.on_credit { u64::MAX } else { self.on_disk.bytes_in(self.spent.month) };
        let end = end(limit, is_first).min(on_disk.saturating_sub(MARGIN));
        self.total.saturating_add(end.saturating_sub(self.spent()))
    }

    /// Whether a segment of that kind may go on now: the disk has the count of what comes next.
    pub fn allows(&self, limit: u64, is_first: bool) -> bool {
        self.allowed(limit, is_first) > self.total
    }

    /// Whether nothing more of a segment of that kind will go in this month.
    pub fn is_spent(&self, limit: u64, is_first: bool) -> bool {
        self.spent() >= end(limit, is_first)
    }

    /// How far it reaches, where so many bytes are owed.
    pub fn standing(&self, limit: u64, owed: u64) -> Standing {
        match () {
            () if self.is_spent(limit, true) => Standing::UsedUp,
            () if self.is_spent(limit, false) || self.left(limit) < owed => Standing::Short,
            () => Standing::Ample,
        }
    }

    /// What may be uploaded, where it stands so.
    pub fn choice(&self, limit: u64, standing: Standing) -> Option<Choice> {
        match standing {
            Standing::Ample => Some(Choice::Oldest),
            Standing::Short if self.is_spent(limit, false) => Some(Choice::FirstsOnly),
            Standing::Short => Some(Choice::FirstsBeforeOthers),
            Standing::UsedUp => None,
        }
    }

    /// What is left of it.
    pub fn left(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.spent())
    }
}

/// Where segments of that kind stop.
fn end(limit: u64, is_first: bool) -> u64 {
    let reserve = if is_first { 0 } else { limit / RESERVE };
    limit - reserve - MARGIN.min(limit - reserve)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> Month {
        text.to_owned().try_into().unwrap()
    }

    fn found(json: &str) -> Budget {
        Budget::new(Some(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn no_budget_is_overdrawn_by_what_the_disk_or_the_shell_says() {
        for json in [
            r#"{"month":null,"months":{}}"#,
            r#"{"month":null,"months":{"2026-11":1048576},"earlier":18446744073709551615}"#,
            r#"{"month":"2026-11","months":{"2026-11":18446744073709551615,"2036-11":1}}"#,
        ] {
            for total in [0, 1, LEAST - MARGIN, LEAST, u64::MAX] {
                for limit in [LEAST, LEAST + 1, 1 << 40, u64::MAX] {
                    let mut budget = found(json);
                    budget.written(None, false);
                    budget.count(total);
                    budget.turn(month("2026-11"));
                    for is_first in [false, true] {
                        let left = limit.saturating_sub(budget.spent());
                        let may_go = budget.allowed(limit, is_first) - budget.total;
                        assert!(may_go <= left.saturating_sub(MARGIN), "{may_go} of {left}, {json}");
                    }
                    if let Some(next) = budget.next_on_disk(limit, None) {
                        assert!(next.bytes() >= budget.spent(), "{next:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_count_comes_back_from_the_disk() {
        for json in [
            r#"{"month":null,"months":{},"earlier":5}"#,
            r#"{"month":"2026-11","months":{"2026-10":7,"2026-11":5},"earlier":0}"#,
        ] {
            let spent: Spent = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&spent).unwrap(), json);
        }
    }

    #[test]
    fn a_month_that_is_come_back_to_has_all_that_was_counted_since() {
        let mut spent = Spent::default();
        spent.add(3);
        for (to, bytes, more) in [
            ("2026-10", 3, 1),
            ("2026-11", 0, 40),
            ("2036-02", 0, 0),
            ("2036-03", 0, 500),
            ("2026-11", 540, 0),
            // A clock that is wrong in the same way again has no month of its own for it.
            ("2036-03", 500, 0),
            ("2026-11", 540, 0),
            // Nor does one that was years ahead leave something for those years.
            ("2026-12", 0, 9),
            // As a time service sets it at midnight.
            ("2026-11", 549, 0),
            ("2026-12", 9, 0),
            ("2026-10", 553, 0),
            ("2026-12", 9, 0),
        ] {
            let (to, expected) = (month(to), spent.bytes_in(Some(month(to))));
            spent.turn(to);
            assert_eq!((spent.bytes(), expected), (bytes, bytes), "{to}");
            spent.add(more);
        }
    }

    #[test]
    fn few_months_are_kept() {
        let mut spent = Spent::default();
        for year in 1970..2070 {
            spent.turn(month(&format!("{year}-01")));
            spent.add(1);
        }
        assert!(spent.months.len() <= MONTHS + 1, "{spent:?}");
    }
}
