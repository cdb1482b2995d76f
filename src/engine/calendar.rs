//! The owner's calendar: what day and hour it is where the board is.

use crate::wire::utc::Utc;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// A time zone: how far clocks are ahead of UTC, in seconds, and when that changes. UTC, unless something is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    first: i32,
    changes: Vec<(u64, i32)>,
}

/// A calendar month; `2026-11` in files and words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Month {
    year: u16,
    /// The first is 1.
    month: u8,
}

impl Zone {
    /// Clocks are `first` seconds ahead of UTC, and so many from each of these moments on (in seconds since 1970, in
    /// their order).
    pub fn new(first: i32, changes: Vec<(u64, i32)>) -> Zone {
        Zone { first, changes }
    }

    /// The minute of the day that clocks show, 0 to 1,439.
    pub fn minute_of_day(&self, unix: u64) -> u16 {
        u16::try_from(self.local(unix).0 % DAY / 60).expect("a day has no more minutes")
    }

    /// The month that calendars show.
    pub fn month(&self, unix: u64) -> Month {
        let (year, month, _) = self.local(unix).civil();
        // The year of a clock that is broken does not matter.
        Month { year: year.try_into().unwrap_or(u16::MAX), month: month.try_into().unwrap_or(12) }
    }

    /// When the month after this moment's begins, in seconds since 1970; none after the year 9999.
    pub fn next_month(&self, unix: u64) -> Option<u64> {
        let (year, month, _) = self.local(unix).civil();
        let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let shown = Utc::from_civil((year, month, 1), (0, 0, 0))?.0;
        // Until then, clocks may have changed.
        let about = shown.saturating_add_signed(-i64::from(self.offset(unix)));
        Some(shown.saturating_add_signed(-i64::from(self.offset(about))))
    }

    /// When so many minutes have passed on clocks since the minute began that they show now; or when clocks are changed
    /// before that.
    pub fn minutes_later(&self, unix: u64, minutes: u16) -> u64 {
        let later = unix.saturating_sub(self.local(unix).0 % 60) + 60 * u64::from(minutes);
        self.next_change(unix).map_or(later, |change| change.min(later))
    }

    fn local(&self, unix: u64) -> Utc {
        Utc(unix.saturating_add_signed(self.offset(unix).into()))
    }

    fn offset(&self, unix: u64) -> i32 {
        let passed = self.changes.partition_point(|(at, _)| *at <= unix);
        passed.checked_sub(1).map_or(self.first, |last| self.changes[last].1)
    }

    fn next_change(&self, unix: u64) -> Option<u64> {
        let passed = self.changes.partition_point(|(at, _)| *at <= unix);
        self.changes.get(passed).map(|(at, _)| *at)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Month { year, month } = self;
        write!(f, "{year:04}-{month:02}")
    }
}

impl fmt::Debug for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Month> for String {
    fn from(month: Month) -> String {
        month.to_string()
    }
}

impl TryFrom<String> for Month {
    type Error = String;

    /// Takes only what `Display` writes.
    fn try_from(text: String) -> Result<Month, String> {
        let parsed = text.split_once('-');
        let parsed = parsed.and_then(|(year, month)| Some((year.parse().ok()?, month.parse().ok()?)));
        let month = parsed.map(|(year, month)| Month { year, month });
        let is_one = |month: &Month| (1..=12).contains(&month.month) && month.to_string() == text;
        month.filter(is_one).ok_or_else(|| format!("expected a month as 2026-11, but came {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-25T01:00:00Z, when clocks of Central Europe go back from 03:00 to 02:00.
    const BACK: u64 = 1_792_890_000;
    /// 2027-03-28T01:00:00Z, when they go forward from 02:00 to 03:00.
    const FORTH: u64 = 1_806_195_600;

    fn berlin() -> Zone {
        Zone::new(7200, vec![(BACK, 3600), (FORTH, 7200)])
    }

    fn month(text: &str) -> Month {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn clocks_show_the_zones_time() {
        let hours = |unix| f64::from(berlin().minute_of_day(unix)) / 60.0;
        assert_eq!((hours(BACK - 60), hours(BACK)), (3.0 - 1.0 / 60.0, 2.0));
        assert_eq!((hours(FORTH - 60), hours(FORTH)), (2.0 - 1.0 / 60.0, 3.0));
        assert_eq!(Zone::default().minute_of_day(BACK), 60);
        // West of Greenwich, in the first hours of 1970.
        assert_eq!(Zone::new(-36_000, Vec::new()).minute_of_day(60), 0);
    }

    #[test]
    fn a_month_begins_at_the_zones_midnight() {
        // 2026-10-31T23:00:00Z, after clocks went back.
        let november = 1_793_487_600;
        assert_eq!(berlin().next_month(BACK - 1), Some(november));
        assert_eq!(berlin().month(november - 1), month("2026-10"));
        assert_eq!(berlin().month(november), month("2026-11"));
        // 2026-12-31T23:00:00Z.
        assert_eq!(berlin().next_month(1_797_000_000), Some(1_798_758_000));
        assert_eq!(Zone::default().next_month(u64::MAX), None);
    }

    #[test]
    fn minutes_pass_until_clocks_are_changed() {
        assert_eq!(berlin().minutes_later(BACK + 61, 5), BACK + 60 + 300);
        assert_eq!(berlin().minutes_later(BACK - 59, 5), BACK);
    }

    #[test]
    fn a_months_name_comes_back_and_no_other_is_taken() {
        for name in ["2026-11", "1970-01", "0000-12"] {
            assert_eq!(month(name).to_string(), name);
        }
        for name in ["", "2026", "2026-13", "2026-00", "2026-1", "+2026-11", "26-11", "2026-11-01"] {
            assert!(Month::try_from(name.to_owned()).is_err(), "{name}");
        }
    }
}
