//! The table, and docs/benchmarks.md around it.

use crate::Plan;
use cloudtalker::wire::utc::Utc;
use std::{fmt, fs, path::Path, process::Command, time::SystemTime};

/// What was measured, in order.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    /// Bytes of code by crate.
    pub crates: Vec<(String, u64)>,
}

/// One figure.
pub struct Row {
    what: String,
    ours: String,
    beside: String,
    aim: String,
}

impl Report {
    pub fn add(&mut self, row: Row) {
        eprintln!("{row}");
        self.rows.push(row);
    }

    /// The tables alone.
    pub fn tables(&self) -> String {
        let mut text = String::from("| figure | cloudtalker | beside it | aim |\n|---|---|---|---|\n");
        text.extend(self.rows.iter().map(|row| format!("{row}\n")));
        if !self.crates.is_empty() {
            text += "\n| crate | kB of code |\n|---|---|\n";
            let crates = self.crates.iter();
            text.extend(crates.map(|(name, bytes)| format!("| {name} | {:.1} |\n", *bytes as f64 / 1e3)));
        }
        text
    }

    /// Writes docs/benchmarks.md.
    pub fn write(&self, plan: &Plan) {
        let text = include_str!("benchmarks.md")
            .replace("{date}", &Utc(unix_now()).date().to_string())
            .replace("{idle}", &plan.idle.as_secs().to_string())
            .replace("{machine}", &machine())
            .replace("{commit}", &commit())
            .replace("{tables}", &self.tables());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
        fs::write(&path, text).unwrap();
        eprintln!("{} is written", path.display());
    }
}

impl Row {
    pub fn new(what: impl Into<String>, ours: impl Into<String>) -> Row {
        Row { what: what.into(), ours: ours.into(), beside: String::new(), aim: String::new() }
    }

    pub fn beside(mut self, other: impl Into<String>) -> Row {
        self.beside = other.into();
        self
    }

    pub fn aim(mut self, aim: &str, is_met: bool) -> Row {
        self.aim = format!("{aim}: {}", if is_met { "met" } else { "**missed**" });
        self
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { what, ours, beside, aim } = self;
        write!(f, "| {what} | {ours} | {beside} | {aim} |")
    }
}

/// The middle one; of an even number the upper.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values, 0.5)
}

/// The value that this share of all lies below.
pub fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share) as usize).min(values.len() - 1)]
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cpu = cpu.trim_start_matches([':', ' ', '\t']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let text =
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    let kernel = said("uname", &["-srm"]);
    let curl = said("curl", &["--version"]);
    let curl: Vec<&str> = curl.split(' ').take(2).collect();
    let (curl, openssl, rustc) =
        (curl.join(" "), said("openssl", &["version"]), said("rustc", &["--version"]));
    format!("{cpu}, {cores} cores; {kernel}; {rustc}; {curl}; {openssl}")
}

/// What is measured; with a mark where it is not as it was committed.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let changed = git(&["status", "--porcelain", "--", ":!docs/benchmarks.md"]);
    let mark = if changed.is_empty() { "" } else { ", with changes" };
    format!("{}{mark}", git(&["rev-parse", "--short=12", "HEAD"]))
}
