//! Seconds since 1970 as people write them, and back.
//!
//! The civil calendar by Howard Hinnant's `days_from_civil`: exact for every day, and small enough for a board.

use std::fmt;

/// Seconds since 1970; shown as RFC 3339, `2026-11-21T00:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc(pub u64);

impl Utc {
    /// The moment of a date and a time of day; `None` where there is none such, or none since 1970.
    pub fn from_civil(date: (u64, u64, u64), time: (u64, u64, u64)) -> Option<Utc> {
        let ((year, month, day), (hour, minute, second)) = (date, time);
        // A leap second counts as the first of the next minute.
        let is_time = hour < 24 && minute < 60 && second <= 60;
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !is_time {
            return None;
        }
        let days = days_from_civil(year, month, day);
        let exists = day > 0 && civil_from_days(days) == (year, month, day);
        exists.then_some(Utc(days * DAY + hour * 3600 + minute * 60 + second))
    }

    /// Year, month and day; both of these count from 1.
    pub fn civil(self) -> (u64, u64, u64) {
        civil_from_days(self.0 / DAY)
    }

    /// The day alone, `2026-11-21`.
    pub fn date(self) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let (year, month, day) = self.civil();
            write!(f, "{year:04}-{month:02}-{day:02}")
        })
    }

    /// The time of that day, `17:05:59`.
    pub fn time_of_day(self) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let second = self.0 % DAY;
            write!(f, "{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
        })
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}Z", self.date(), self.time_of_day())
    }
}

const DAY: u64 = 24 * 60 * 60;
/// Days of 400 years, after which the calendar repeats.
const ERA: u64 = 146_097;
/// Days from the first of March of the year 0 to 1970.
const EPOCH: u64 = 719_468;

// Years begin in March here, so that the leap day is the last day of its year.

fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.saturating_sub(1);
    let year_of_era = year % 400;
    (year / 400) * ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH
}

fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let day_of_era = days % ERA;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + days / ERA * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_529_842_538, "2018-06-24T12:15:38Z"),
            (1_795_219_200, "2026-11-21T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Utc(seconds).to_string(), text);
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in 0..400 * 366 {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(Utc::from_civil((year, month, date), (0, 0, 0)), Some(Utc(day * DAY)));
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for date in [(1969, 12, 31), (2026, 0, 1), (2026, 13, 1), (2026, 2, 29), (2026, 1, 0), (2026, 4, 31)]
        {
            assert_eq!(Utc::from_civil(date, (0, 0, 0)), None, "{date:?}");
        }
        assert_eq!(Utc::from_civil((2026, 1, 1), (24, 0, 0)), None);
        assert_eq!(Utc::from_civil((10_000, 1, 1), (0, 0, 0)), None);
    }

    #[test]
    fn the_largest_number_is_no_fault() {
        assert!(Utc(u64::MAX).to_string().ends_with('Z'));
    }
}
