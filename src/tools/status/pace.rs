//! How fast and how far uploads go, in the agent's answer and in words.

use crate::{
    tools::text::{size, span},
    wire::utc::Utc,
};
use serde::Deserialize;
use std::fmt;

/// The rate in force.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RateInForce {
    /// None where there is no limit.
    pub bytes_per_second: Option<u64>,
    pub until: Option<u64>,
    pub is_timely: bool,
}

/// The month's data budget.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Budget {
    pub month: Option<String>,
    pub until: Option<u64>,
    pub limit: u64,
    pub spent: u64,
    pub standing: String,
}

impl RateInForce {
    /// In few words, as parts of a row; none where nothing bounds it.
    pub fn brief(&self) -> Vec<String> {
        let rate = match self.bytes_per_second {
            None if self.until.is_none() => return Vec::new(),
            None => "no limit".to_owned(),
            Some(0) => "nothing is uploaded".to_owned(),
            Some(bytes) => format!("at most {}/s", size(bytes)),
        };
        let doubt = (!self.is_timely).then(|| "the time of day is not known".to_owned());
        let until = self.until.map(|until| format!("until {} UTC", Utc(until).time_of_day()));
        [rate].into_iter().chain(doubt).chain(until).collect()
    }
}

impl Budget {
    /// In few words, as parts of a row.
    pub fn brief(&self, now: u64) -> Vec<String> {
        let standing = self.standing().map(str::to_owned);
        let spent = format!("{} of {}", size(self.spent), size(self.limit));
        // Of the owner's month: a date in UTC may be the day before.
        let left = self.until.and_then(|until| until.checked_sub(now));
        let left = left.map(|seconds| format!("{} until the next month", span(seconds)));
        [spent].into_iter().chain(standing).chain(left).collect()
    }

    /// How it stands, where there is not enough of it.
    pub fn standing(&self) -> Option<&'static str> {
        match self.standing.as_str() {
            "short" => Some("short"),
            "used_up" => Some("used up"),
            _ => None,
        }
    }
}

impl fmt::Display for RateInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes_per_second {
            None => write!(f, "as fast as it goes")?,
            Some(0) => write!(f, "nothing is uploaded")?,
            Some(bytes) => write!(f, "at most {} a second", size(bytes))?,
        }
        if !self.is_timely {
            write!(f, ", as the time of day is not known")?;
        }
        self.until.map_or(Ok(()), |until| write!(f, " until {}", Utc(until)))
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (u128::from(self.spent) * 100).checked_div(u128::from(self.limit)).unwrap_or(100);
        let month = self.month.as_deref().unwrap_or("a month that is not known yet");
        write!(f, "{} of {} ({percent} %) in {month}", size(self.spent), size(self.limit))?;
        match self.standing.as_str() {
            "short" => write!(f, ": first segments go before others")?,
            "used_up" => write!(f, ": used up, nothing is uploaded")?,
            _ => return Ok(()),
        }
        self.until.map_or(Ok(()), |until| write!(f, " until {}", Utc(until)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_words_tell_the_rate_and_until_when() {
        const ONE: u64 = 1_795_222_800;
        for (bytes_per_second, until, is_timely, expected) in [
            (None, None, true, ""),
            (Some(65_536), None, true, "at most 64.0 KiB/s"),
            (Some(65_536), Some(ONE), true, "at most 64.0 KiB/s, until 01:00:00 UTC"),
            (None, Some(ONE), true, "no limit, until 01:00:00 UTC"),
            (Some(0), Some(ONE), true, "nothing is uploaded, until 01:00:00 UTC"),
            (Some(0), None, false, "nothing is uploaded, the time of day is not known"),
        ] {
            let rate = RateInForce { bytes_per_second, until, is_timely };
            assert_eq!(rate.brief().join(", "), expected, "{rate:?}");
        }
    }

    #[test]
    fn few_words_tell_the_budget() {
        const NOW: u64 = 1_795_219_290;
        for (spent, until, standing, expected) in [
            (0, None, "ample", "0 bytes of 1.0 GiB"),
            (1 << 20, Some(NOW + 864_000), "ample", "1.0 MiB of 1.0 GiB, 10 days until the next month"),
            (996_147_200, Some(NOW + 90), "short", "950.0 MiB of 1.0 GiB, short, 90 s until the next month"),
            (1 << 30, None, "used_up", "1.0 GiB of 1.0 GiB, used up"),
            (1 << 30, Some(NOW - 1), "used_up", "1.0 GiB of 1.0 GiB, used up"),
        ] {
            let budget = Budget { month: None, until, limit: 1 << 30, spent, standing: standing.to_owned() };
            assert_eq!(budget.brief(NOW).join(", "), expected, "{budget:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_told() {
        let rate = RateInForce { bytes_per_second: Some(0), until: None, is_timely: false };
        assert_eq!(rate.to_string(), "nothing is uploaded, as the time of day is not known");
        let standing = "used_up".to_owned();
        let budget = Budget { month: None, until: None, limit: 1 << 20, spent: 1 << 20, standing };
        let expected =
            "1.0 MiB of 1.0 MiB (100 %) in a month that is not known yet: used up, nothing is uploaded";
        assert_eq!(budget.to_string(), expected);
    }
}
