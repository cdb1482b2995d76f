//! `--max_rate`: bytes a second, `200K`; or a list, `1M,06:00-22:00=64K,22:00-06:00=2M`, of windows with a rate each and
//! at most one rate without times, for the rest of the day. `0` is nothing at all. Times are local.

use super::value;
use crate::engine::rates::{DAY, Rate, Rates, RatesError, Window};

const FORM: &str =
    "bytes a second, or K, M or G of them, as 200K, or a list by local time, as 1M,06:00-22:00=64K";
const ONE_BARE: &str = "one rate without times, at most";
const APART: &str = "windows that do not overlap, as 06:00-22:00=64K,22:00-06:00=2M";
const EVER: &str = "a rate above 0 at some time of the day, as 0,22:00-06:00=1M";

/// The text's meaning, or what was expected.
pub(super) fn parse(text: &str) -> Result<Rates, &'static str> {
    let (mut otherwise, mut windows) = (None, Vec::new());
    for part in text.split(',') {
        match part.split_once('=') {
            Some((times, rate)) => windows.push(window(times.trim(), rate.trim()).ok_or(FORM)?),
            None => {
                let rate = Rate::of(value::bytes(part.trim()).ok_or(FORM)?);
                if otherwise.replace(rate).is_some() {
                    return Err(ONE_BARE);
                }
            }
        }
    }
    if (otherwise, windows.is_empty()) == (Some(Rate::Nothing), true) {
        return Err(EVER);
    }
    Rates::new(otherwise.unwrap_or(Rate::Unlimited), &windows).map_err(|error| match error {
        RatesError::Overlap => APART,
        RatesError::Never => EVER,
    })
}

/// From one time of day until another, which may be one of the next day.
fn window(times: &str, rate: &str) -> Option<Window> {
    let (from, until) = times.split_once('-')?;
    let from = minute_of_day(from.trim_end()).filter(|from| *from < DAY)?;
    let until = minute_of_day(until.trim_start())?;
    let minutes = if until > from { until - from } else { until + DAY - from };
    let rate = Rate::of(value::bytes(rate)?);
    // From a time until the same one is perhaps a day, perhaps nothing.
    (from != until).then_some(Window { from, minutes, rate })
}

/// `00:00` to `24:00`.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| value::number::<u16>(text).filter(|_| text.len() == 2);
    let (hour, minute) = (number(hour)?, number(minute)?);
    let minutes = 60 * hour + minute;
    (minute < 60 && minutes <= DAY).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates of a day as `from` and bytes, where they change.
    fn day(text: &str) -> Vec<(String, Option<u64>)> {
        let rates = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let is_step = |minute: &u16| *minute == 0 || rates.at(*minute) != rates.at(minute - 1);
        let step = |minute| (format!("{:02}:{:02}", minute / 60, minute % 60), rates.at(minute).bytes());
        (0..DAY).filter(is_step).map(step).collect()
    }

    #[test]
    fn each_form_has_its_meaning() {
        for (text, expected) in [
            ("7", vec![("00:00", Some(7))]),
            ("200K", vec![("00:00", Some(204_800))]),
            ("06:00-22:00=1K", vec![("00:00", None), ("06:00", Some(1024)), ("22:00", None)]),
            ("22:00-06:00=1K", vec![("00:00", Some(1024)), ("06:00", None), ("22:00", Some(1024))]),
            ("1,06:00-22:00=2", vec![("00:00", Some(1)), ("06:00", Some(2)), ("22:00", Some(1))]),
            ("06:00-22:00=2,1", vec![("00:00", Some(1)), ("06:00", Some(2)), ("22:00", Some(1))]),
            (
                "1,06:00-22:00=2,22:00-06:00=3",
                vec![("00:00", Some(3)), ("06:00", Some(2)), ("22:00", Some(3))],
            ),
            (" 1 , 06:00 - 22:00 = 2 ", vec![("00:00", Some(1)), ("06:00", Some(2)), ("22:00", Some(1))]),
            ("0,01:00-05:00=2", vec![("00:00", Some(0)), ("01:00", Some(2)), ("05:00", Some(0))]),
            ("08:00-09:30=0", vec![("00:00", None), ("08:00", Some(0)), ("09:30", None)]),
            ("00:00-24:00=5", vec![("00:00", Some(5))]),
            ("23:59-00:01=5", vec![("00:00", Some(5)), ("00:01", None), ("23:59", Some(5))]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(from, bytes)| (from.to_owned(), bytes)).collect();
            assert_eq!(day(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, expected) in [
            ("", FORM),
            ("0", EVER),
            ("fast", FORM),
            ("1,", FORM),
            ("6:00-22:00=1", FORM),
            ("06-22=1", FORM),
            ("06:00=1", FORM),
            ("06:00-22:00", FORM),
            ("06:00-22:00=", FORM),
            ("06:00-22:00=-1", FORM),
            ("06:00-22:00:00=1", FORM),
            ("06:60-22:00=1", FORM),
            ("24:00-06:00=1", FORM),
            ("06:00-24:01=1", FORM),
            ("06:00-99:99=1", FORM),
            ("+6:00-22:00=1", FORM),
            ("06:00-06:00=1", FORM),
            ("00:00-00:00=1", FORM),
            ("1,2", ONE_BARE),
            ("1,06:00-22:00=2,3", ONE_BARE),
            ("06:00-22:00=1,21:59-23:00=2", APART),
            ("22:00-06:00=1,05:59-07:00=2", APART),
            ("00:00-24:00=1,12:00-13:00=2", APART),
            ("0,06:00-22:00=0", EVER),
            ("00:00-24:00=0", EVER),
            ("12:00-06:00=0,06:00-12:00=0", EVER),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }
}
