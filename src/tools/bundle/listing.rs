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
/// A spool that is larger is told of by its first entries alone: looking takes its time.
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
    for dir in &dirs {
        let mut tree = Tree { now, ..Tree::default() };
        tree.walk(dir, DEPTH);
        text += &format!("\n{}\n{}", tree.summary(dir), tree.lines);
    }
    text + &state(state_dir) + &ledger(state_dir)
}

/// A directory with all that is beneath it.
#[derive(Default)]
struct Tree {
    now: u64,
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
            if self.entries == COUNTED {
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
        let entries = format!("{at_least}{} entries, {}", self.entries, size(self.bytes));
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
    paths.sort_unstable();
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
            Err(error) => return format!("\n{STATE} makes no sense: {error}\n"),
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
            "/spool/: 3 entries, ",
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
        assert!(text.contains("/spool/: 1050 entries, 1.0 KiB [50 lines left out below]\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("/spool/")).count(), LINES + 1);
    }

    #[test]
    fn what_is_not_there_is_told() {
        let text = listing(Path::new("/nowhere"), 0);
        assert!(text.contains("/nowhere: No such file or directory"), "{text}");
    }
}
