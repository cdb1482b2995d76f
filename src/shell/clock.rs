//! Clocks.

use crate::{engine::Now, wire::utc::Utc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The board's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A monotonic clock that begins now.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// What time it is.
    pub fn now(self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Now { mono: self.start.elapsed(), unix }
    }

    /// The moment of a deadline of the engine's.
    pub fn instant(self, deadline: Duration) -> Instant {
        self.start + deadline
    }
}

/// Seconds since 1970 of an HTTP date, as servers write it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.split([' ', ':']).collect();
    let &[_, day, month, year, hour, minute, second, "GMT"] = parts.as_slice() else { return None };
    let month = MONTHS.into_iter().zip(1..).find(|(name, _)| *name == month)?.1;
    let number = |text: &str| text.parse::<u64>().ok();
    let date = (number(year)?, month, number(day)?);
    let time = (number(hour)?, number(minute)?, number(second)?);
    Utc::from_civil(date, time).map(|utc| utc.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_date_is_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }
}
