//! How fast and how far uploads go, in the agent's answer and in words.

use crate::{tools::text::size, wire::utc::Utc};
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
