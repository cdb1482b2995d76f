//! The time zone of the board: `TZ`, as tzset(3) reads it, else `/etc/localtime`, else UTC.

use crate::{config::Config, engine::calendar::Zone, tls::clock};
use std::{env, fs, path::Path};
use tz::{LocalTimeType, TimeZone};

const LOCALTIME: &str = "/etc/localtime";
/// Where names of zones lead.
const ZONES: &str = "/usr/share/zoneinfo";
/// Clocks are changed at most once within it, in seconds.
const STEP: u64 = 24 * 60 * 60;

/// Reads it anew, where it matters. It is a file, which may take its time.
pub fn of(config: &Config) -> Zone {
    if config.needs_a_calendar() { local() } else { Zone::default() }
}

/// What it says of the years in which this build may run.
fn local() -> Zone {
    let (origin, tzif) = match env::var("TZ") {
        Ok(name) if name.is_empty() => return Zone::default(),
        Ok(name) => (format!("TZ, which is {name:?},"), tzif_of(&name)),
        Err(_) => match fs::read(LOCALTIME) {
            Ok(tzif) => (LOCALTIME.to_owned(), tzif),
            // Nobody has chosen one.
            Err(_) => return Zone::default(),
        },
    };
    match TimeZone::from_tz_data(&tzif) {
        Ok(zone) => changes_of(&zone),
        Err(_) => {
            log::warn!("{origin} says nothing of a time zone: times of day and months are those of UTC");
            Zone::default()
        }
    }
}

/// The file that `TZ` names, or one that says no more than the rule that it is.
fn tzif_of(name: &str) -> Vec<u8> {
    let name = name.strip_prefix(':').unwrap_or(name);
    fs::read(Path::new(ZONES).join(name)).unwrap_or_else(|_| tzif_of_rule(name))
}

/// RFC 9636: a block for old readers and one of version 2, each without any change, then the rule. The crate's own reader
/// of `TZ` would bring along 12 KB of paths and messages.
fn tzif_of_rule(rule: &str) -> Vec<u8> {
    const DESIGNATION: &[u8] = b"UTC\0";
    let mut block = b"TZif2".to_vec();
    block.resize(20, 0);
    // There is one type of local time, which counts only where the rule does not.
    for count in [0, 0, 0, 0, 1, DESIGNATION.len() as u32] {
        block.extend(count.to_be_bytes());
    }
    block.extend([0; 6]);
    block.extend(DESIGNATION);
    [&block, &block, &b"\n"[..], rule.as_bytes(), b"\n"].concat()
}

fn changes_of(zone: &TimeZone) -> Zone {
    let offset = |unix: u64| {
        let unix = unix.try_into().unwrap_or(i64::MAX);
        zone.find_local_time_type(unix).map_or(0, LocalTimeType::ut_offset)
    };
    let (first, last) = (clock::earliest(), clock::latest(None));
    let mut changes = Vec::new();
    for before in (first..last).step_by(STEP as usize) {
        let after = before + STEP;
        if offset(before) != offset(after) {
            changes.push((change_between(before, after, offset), offset(after)));
        }
    }
    Zone::new(offset(first), changes)
}

/// The first moment with the later one's offset.
fn change_between(mut before: u64, mut after: u64, offset: impl Fn(u64) -> i32) -> u64 {
    let new = offset(after);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        *(if offset(middle) == new { &mut after } else { &mut before }) = middle;
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_known_for_all_years_to_come() {
        let tzif = tzif_of_rule("CET-1CEST,M3.5.0,M10.5.0/3");
        let berlin = changes_of(&TimeZone::from_tz_data(&tzif).unwrap());
        // 2027-03-28T01:00:00Z, 2027-10-31T01:00:00Z, 2045-03-26T01:00:00Z.
        for (change, before, after) in
            [(1_806_195_600, 60, 120), (1_824_944_400, 120, 60), (2_374_102_800, 60, 120)]
        {
            let ahead = |unix: u64| {
                let minute = (unix / 60 % 1440) as u16;
                (berlin.minute_of_day(unix) + 1440 - minute) % 1440
            };
            assert_eq!((ahead(change - 1), ahead(change)), (before, after), "{change}");
        }
    }

    #[test]
    fn what_is_no_rule_is_no_zone() {
        for rule in ["no/such", "CET", "CET-1CEST,M13.5.0,M10.5.0"] {
            assert!(TimeZone::from_tz_data(&tzif_of_rule(rule)).is_err(), "{rule}");
        }
    }
}
