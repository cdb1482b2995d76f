//! How fast the owner lets uploads go, by the time of day.

use std::fmt;

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;

/// How fast uploads may go at one moment. The slower is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rate {
    /// Not at all.
    Nothing,
    /// So many bytes a second, at least one.
    AtMost(u64),
    /// As fast as it goes.
    Unlimited,
}

impl Rate {
    /// So many bytes a second.
    pub fn of(bytes: u64) -> Rate {
        if bytes == 0 { Rate::Nothing } else { Rate::AtMost(bytes) }
    }

    /// Bytes a second; none where there is no limit.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Rate::Nothing => Some(0),
            Rate::AtMost(bytes) => Some(bytes),
            Rate::Unlimited => None,
        }
    }
}

impl fmt::Display for Rate {
    /// The beginning of a sentence about what is done so fast.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::Nothing => write!(f, "nothing is"),
            Rate::AtMost(bytes) => write!(f, "at most {bytes} bytes a second are"),
            Rate::Unlimited => write!(f, "as much as possible is"),
        }
    }
}

/// A part of the day that has a rate of its own. It may go beyond midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The minute of the day when it begins, below [`DAY`].
    pub from: u16,
    /// How many minutes it lasts, at most a [`DAY`].
    pub minutes: u16,
    /// The rate meanwhile.
    pub rate: Rate,
}

/// Why rates make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatesError {
    /// Two windows have a minute in common.
    Overlap,
    /// Nothing would ever be uploaded.
    Never,
}

/// The rate at each time of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// From which minute on which rate holds. The first is minute 0; neighbours differ.
    steps: Vec<(u16, Rate)>,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates { steps: vec![(0, Rate::Unlimited)] }
    }
}

impl Rates {
    /// One rate for each window, and another for all other times.
    pub fn new(otherwise: Rate, windows: &[Window]) -> Result<Rates, RatesError> {
        let mut minutes = vec![None; DAY.into()];
        for window in windows {
            for minute in (window.from..).take(window.minutes.into()) {
                if minutes[usize::from(minute % DAY)].replace(window.rate).is_some() {
                    return Err(RatesError::Overlap);
                }
            }
        }
        let minutes = minutes.into_iter().map(|rate| rate.unwrap_or(otherwise));
        let mut steps: Vec<(u16, Rate)> = (0..).zip(minutes).collect();
        steps.dedup_by_key(|(_, rate)| *rate);
        let is_ever = steps.iter().any(|(_, rate)| *rate > Rate::Nothing);
        if is_ever { Ok(Rates { steps }) } else { Err(RatesError::Never) }
    }

    /// Whether it is the same rate all day long.
    pub fn is_constant(&self) -> bool {
        self.steps.len() == 1
    }

    /// The rate of this minute of the day.
    pub fn at(&self, minute: u16) -> Rate {
        self.steps[self.step_at(minute)].1
    }

    /// In how many minutes another rate begins, if there is one: at least in one, at most in a day.
    pub fn change_after(&self, minute: u16) -> Option<u16> {
        let now = self.step_at(minute);
        let rate = self.steps[now].1;
        let (later, tomorrow) = (self.steps[now + 1..].iter(), self.steps[..=now].iter());
        let tomorrow = tomorrow.map(|(from, rate)| (from + DAY, *rate));
        later.copied().chain(tomorrow).find(|(_, next)| *next != rate).map(|(from, _)| from - minute)
    }

    /// The lowest of all rates.
    pub fn lowest(&self) -> Rate {
        self.steps.iter().map(|(_, rate)| *rate).min().expect("a day has a rate")
    }

    fn step_at(&self, minute: u16) -> usize {
        self.steps.partition_point(|(from, _)| *from <= minute) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: u16, minutes: u16, bytes: u64) -> Window {
        Window { from, minutes, rate: Rate::of(bytes) }
    }

    #[test]
    fn a_window_may_go_beyond_midnight() {
        let rates = Rates::new(Rate::Unlimited, &[window(22 * 60, 8 * 60, 7)]).unwrap();
        for (minute, rate, change) in [
            (0, Rate::AtMost(7), 360),
            (359, Rate::AtMost(7), 1),
            (360, Rate::Unlimited, 960),
            (1319, Rate::Unlimited, 1),
            (1320, Rate::AtMost(7), 480),
            (1439, Rate::AtMost(7), 361),
        ] {
            assert_eq!((rates.at(minute), rates.change_after(minute)), (rate, Some(change)), "{minute}");
        }
    }

    #[test]
    fn one_rate_never_changes() {
        for rates in [
            Rates::default(),
            Rates::new(Rate::AtMost(1), &[]).unwrap(),
            Rates::new(Rate::AtMost(1), &[window(1, 5, 1)]).unwrap(),
            Rates::new(Rate::Nothing, &[window(5, DAY, 1)]).unwrap(),
        ] {
            assert!(rates.is_constant() && rates.change_after(3).is_none(), "{rates:?}");
        }
    }

    #[test]
    fn the_lowest_rate_is_found() {
        let lowest = |otherwise, windows: &[Window]| Rates::new(otherwise, windows).unwrap().lowest();
        assert_eq!(lowest(Rate::Unlimited, &[window(0, 1, 5), window(1, 1, 3)]), Rate::AtMost(3));
        assert_eq!(lowest(Rate::AtMost(2), &[window(0, 1, 5)]), Rate::AtMost(2));
        assert_eq!(lowest(Rate::Nothing, &[window(0, 1, 5)]), Rate::Nothing);
    }

    #[test]
    fn what_overlaps_or_never_uploads_is_refused() {
        let overlap = [window(0, 60, 1), window(59, 60, 1)];
        assert_eq!(Rates::new(Rate::Unlimited, &overlap), Err(RatesError::Overlap));
        let beyond_midnight = [window(DAY - 1, 2, 1), window(0, 1, 1)];
        assert_eq!(Rates::new(Rate::Unlimited, &beyond_midnight), Err(RatesError::Overlap));
        assert_eq!(Rates::new(Rate::Nothing, &[window(0, 60, 0)]), Err(RatesError::Never));
        assert_eq!(Rates::new(Rate::Unlimited, &[window(0, DAY, 0)]), Err(RatesError::Never));
    }
}
