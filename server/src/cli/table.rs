//! Lists for people: a line of headers, and columns that are aligned. Programs have `--json`.

use cloudtalker::wire::Trigger;
use serde_json::Value;
use std::time::{Duration, UNIX_EPOCH};

/// Between two columns.
const GAP: &str = "  ";

/// The cameras of `camera list`.
pub(super) fn cameras(list: &[Value]) -> String {
    table(["CAMERA", "SESSION", "STATE", "VERSION"], list.iter().map(camera_row))
}

/// The captures of `captures list`.
pub(super) fn captures(list: &[Value]) -> String {
    table(["NUMBER", "CAMERA", "TRIGGER", "TIME", "STATE", "SEGMENTS", "ERROR"], list.iter().map(capture_row))
}

fn camera_row(camera: &Value) -> [String; 4] {
    let word = |key: &str, yes: &str, no: &str| match camera[key].as_bool() {
        Some(true) => yes.to_owned(),
        Some(false) => no.to_owned(),
        None => "-".to_owned(),
    };
    [
        text(camera, "name"),
        word("online", "online", "offline"),
        word("armed", "armed", "disarmed"),
        camera["version"].as_str().unwrap_or("-").to_owned(),
    ]
}

fn capture_row(capture: &Value) -> [String; 7] {
    [
        text(capture, "id"),
        text(capture, "camera"),
        trigger(text(capture, "trigger")),
        moment(capture["trigger_timestamp"].as_u64().unwrap_or_default()),
        text(capture, "state"),
        capture["segments"].as_array().map_or(0, Vec::len).to_string(),
        text(capture, "error"),
    ]
}

fn text(item: &Value, key: &str) -> String {
    item[key].as_str().unwrap_or_default().to_owned()
}

/// As files' names and the agent's log have it.
fn trigger(word: String) -> String {
    match Trigger::from_word(&word) {
        Some(Trigger::Request) => "cap".to_owned(),
        Some(Trigger::Pir) | None => word,
    }
}

/// In UTC, as RFC 3339 has it. A camera may say any number: those after the year 9999 stay as they are.
fn moment(seconds: u64) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    match seconds {
        0..YEAR_10000 => {
            humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
        }
        later => later.to_string(),
    }
}

fn table<const N: usize>(headers: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut lines = vec![headers.map(str::to_owned)];
    lines.extend(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    });
    let aligned = lines.iter().map(|line| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    });
    aligned.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn captures_stand_in_columns_with_dates_and_the_words_of_files_names() {
        let capture = |id: &str, trigger: &str, timestamp: u64, segments: &[u32]| {
            json!({
                "id": id, "camera": "porch", "trigger": trigger, "trigger_timestamp": timestamp,
                "state": "complete", "segments": segments,
            })
        };
        let mut broken = capture("9", "request", 35, &[]);
        broken["state"] = "broken".into();
        broken["error"] = "segment 2 is lost: evicted".into();
        let list = captures(&[capture("10", "pir", 1_529_842_538, &[0, 1]), broken]);
        let expected = "\
NUMBER  CAMERA  TRIGGER  TIME                  STATE     SEGMENTS  ERROR
10      porch   pir      2018-06-24T12:15:38Z  complete  2
9       porch   cap      1970-01-01T00:00:35Z  broken    0         segment 2 is lost: evicted";
        assert_eq!(list, expected);
        let lists = |timestamp, time: &str| captures(&[capture("1", "pir", timestamp, &[])]).contains(time);
        assert!(lists(253_402_300_799, "  9999-12-31T23:59:59Z  "));
        assert!(lists(u64::MAX, "  18446744073709551615  "));
    }

    #[test]
    fn cameras_stand_in_columns_and_what_is_unknown_is_a_dash() {
        let list = cameras(&[
            json!({ "name": "porch", "online": true, "armed": false, "version": "0.1.0" }),
            json!({ "name": "garden-gate", "online": false, "armed": null, "version": null }),
        ]);
        let expected = "\
CAMERA       SESSION  STATE     VERSION
porch        online   disarmed  0.1.0
garden-gate  offline  -         -";
        assert_eq!(list, expected);
        assert_eq!(cameras(&[]), "CAMERA  SESSION  STATE  VERSION");
    }
}
