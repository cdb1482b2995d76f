//! What lies in the state directory: names, sizes and ages, without its agent and without its contents.

use super::files::{facts, tail};
use crate::{
    engine::{Remembered, event::counted, spool::STATE},
    tools::text::{printable, size},
};
use serde_json::json;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Lines for each of the state directory's directories, and for itself. A person reads the first.
const LINES: usize = 1_000;
/// Where all of them together have more entries, the first alone are told of: looking takes its time.
const COUNTED: usize = 50_000;
/// Captures are directories of files, and nothing is deeper.
const DEPTH: usize = 3;
/// Of the loss ledger, from its end.
const LEDGER: u64 = 16 * 1024;
const LONGEST_STATE: u64 = 64 * 1024;

/// Everything, as text.
pub fn listing(state_dir: &Path, now: u64) -> String {
    let mut text = format!("{}\n", facts(state_dir, now));
    let entries = match entries(state_dir) {
        Ok(entries) => entries,
        Err(error) => return text + &format!("it can't be read: {error}\n"),
    };
    let (dirs, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.into_iter().partition(|path| is_dir(path));
    for file in files.iter().take(LINES) {
        text += &format!("{}\n", facts(file, now));
    }
    if files.len() > LINES {
        text += &format!("[{} more left out]\n", files.len() - LINES);
    }
    text + &trees(&dirs, now, COUNTED) + &state(state_dir) + &ledger(state_dir)
}

/// Each of these directories with all that is beneath it, as far as so many entries go.
fn trees(dirs: &[PathBuf], now: u64, most: usize) -> String {
    let (mut text, mut left) = (String::new(), most);
    for (dir, more) in dirs.iter().zip((0..dirs.len()).rev()) {
        let mut tree = Tree { now, most: left, ..Tree::default() };
        tree.walk(dir, DEPTH);
        text += &format!("\n{}\n{}", tree.summary(dir), tree.lines);
        left -= tree.entries;
        if left == 0 && more > 0 {
            text += &format!("\n[{more} more left out]\n");
            break;
        }
    }
    text
}

/// A directory with all that is beneath it.
#[derive(Default)]
struct Tree {
    now: u64,
    /// Entries that are looked at.
    most: usize,
    lines: String,
    listed: usize,
    entries: usize,
    bytes: u64,
    is_cut: bool,
}

impl Tree {
    fn walk(&mut self, dir: &Path, depth: usize) {
        let entries = match entries(dir) {
            Ok(entries) => entries,
            Err(error) => return self.tell(&format!("{} can't be read: {error}", shown(dir))),
        };
        for path in entries {
            if self.entries == self.most {
                self.is_cut = true;
                return;
            }
            self.entries += 1;
            self.bytes += fs::symlink_metadata(&path).map_or(0, |about| about.len());
            self.tell(&facts(&path, self.now));
            if depth > 1 && is_dir(&path) {
                self.walk(&path, depth - 1);
            }
        }
    }

    fn tell(&mut self, line: &str) {
        if self.listed < LINES {
            self.lines += &format!("{line}\n");
        }
        self.listed += 1;
    }

    fn summary(&self, dir: &Path) -> String {
        let at_least = if self.is_cut { "at least " } else { "" };
        let entries = format!("{at_least}{}, {}", counted(self.entries as u64, "name"), size(self.bytes));
        let left_out = match self.listed.saturating_sub(LINES) {
            0 => String::new(),
            more => format!(" [{} left out below]", counted(more as u64, "line")),
        };
        format!("{}/: {entries}{left_out}", shown(dir))
    }
}

/// By their names; what a directory holds beyond all measure is not even looked at.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.take(COUNTED + 1);
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    // As bytes: component by component takes longer, and more code.
    paths.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    Ok(paths)
}

fn is_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_dir())
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// What the cloud last said; its requests and endpoints are only counted.
fn state(state_dir: &Path) -> String {
    let text = match tail(&state_dir.join(STATE), LONGEST_STATE) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return format!("\n{STATE}: the cloud has said nothing yet\n");
        }
        Err(error) => return format!("\n{STATE} can't be read: {error}\n"),
    };
    let Remembered { pir_armed, id, heartbeat_period, requests, receipts_from, good_time, spent } =
        match serde_json::from_str(&text) {
            Ok(remembered) => remembered,
            // serde's own words repeat some of it.
            Err(error) => return format!("\n{STATE} makes no sense at its column {}\n", error.column()),
        };
    let told = json!({
        "pir_armed": pir_armed, "id": id, "heartbeat_period": heartbeat_period, "good_time": good_time,
        "requests": requests.len(), "receipts_from": receipts_from.len(),
        "spent": spent,
    });
    format!("\n{STATE}: {told}\n")
}

fn ledger(state_dir: &Path) -> String {
    match tail(&state_dir.join("lost.log"), LEDGER) {
        Ok(text) => format!("\nlost.log, its end:\n{text}"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "\nlost.log: nothing was lost\n".to_owned(),
        Err(error) => format!("\nlost.log can't be read: {error}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process};

    struct Dir(PathBuf);

    impl Dir {
        fn new(test: &str) -> Dir {
            let dir = std::env::temp_dir().join(format!("cloudtalker-listing-{test}-{}", process::id()));
            fs::create_dir_all(dir.join("spool")).unwrap();
            Dir(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn everything_is_listed_by_name_and_nothing_by_content() {
        let dir = Dir::new("all");
        fs::create_dir(dir.0.join("spool/2.pir")).unwrap();
        fs::write(dir.0.join("spool/2.pir/0.mp4"), "moving").unwrap();
        fs::write(dir.0.join("spool/evil\u{1b}[2J"), "").unwrap();
        fs::write(
            dir.0.join("state.json"),
            r#"{"pir_armed":true,"requests":["token"],"receipts_from":["a/b"]}"#,
        )
        .unwrap();
        fs::write(dir.0.join("lost.log"), "{\"lost\":\"1.pir/0.mp4\"}\n").unwrap();
        let text = listing(&dir.0, 0);
        for expected in [
            "/spool/: 3 names, ",
            "/spool/2.pir/\n",
            "/spool/2.pir/0.mp4\n",
            "/spool/evil\\u{1b}[2J\n",
            "state.json: {\"good_time\":null,\"heartbeat_period\":null,\"id\":0,\"pir_armed\":true,\"receipts_from\":1,\"requests\":1,\"spent\":null}\n",
            "lost.log, its end:\n{\"lost\":\"1.pir/0.mp4\"}\n",
        ] {
            assert!(text.contains(expected), "expected {expected:?}: {text}");
        }
        assert!(!text.contains("token") && !text.contains("moving"), "{text}");
    }

    #[test]
    fn a_large_spool_is_listed_in_part_and_counted() {
        let dir = Dir::new("large");
        for number in 0..LINES + 50 {
            fs::write(dir.0.join(format!("spool/{number}")), "x").unwrap();
        }
        let text = listing(&dir.0, 0);
        assert!(text.contains("/spool/: 1050 names, 1.0 KiB [50 lines left out below]\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("/spool/")).count(), LINES + 1);
    }

    #[test]
    fn the_entries_of_all_directories_are_bounded_together() {
        let dir = Dir::new("wide");
        for name in ["a", "b", "c"] {
            fs::create_dir(dir.0.join(name)).unwrap();
            fs::write(dir.0.join(name).join("file"), "x").unwrap();
        }
        fs::remove_dir(dir.0.join("spool")).unwrap();
        for (most, expected) in [(3, 0), (2, 1), (1, 2)] {
            let dirs = ["a", "b", "c"].map(|name| dir.0.join(name));
            let text = trees(&dirs, 0, most);
            let left_out = format!("\n[{expected} more left out]\n");
            assert_eq!(text.contains(&left_out), expected > 0, "{text}");
            assert_eq!(text.matches("/file\n").count(), most, "{text}");
        }
        fs::write(dir.0.join("b/other"), "x").unwrap();
        let text = trees(&[dir.0.join("b")], 0, 1);
        assert!(text.contains("/b/: at least 1 name, 1 bytes\n"), "{text}");
    }

    #[test]
    fn a_state_that_makes_no_sense_is_not_repeated() {
        let dir = Dir::new("senseless");
        fs::write(dir.0.join(STATE), r#"{"requests":"token"}"#).unwrap();
        let text = listing(&dir.0, 0);
        assert!(text.contains("state.json makes no sense at its column 19\n"), "{text}");
        assert!(!text.contains("token"), "{text}");
    }

    #[test]
    fn what_is_not_there_is_told() {
        let text = listing(Path::new("/nowhere"), 0);
        assert!(text.contains("/nowhere: No such file or directory"), "{text}");
    }
}
