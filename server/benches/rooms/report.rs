//! What was measured, and docs/benchmarks-rooms.md around it.

use crate::{RECEIVERS, SENDERS, process::Memory};
use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

/// The original server's memory when idle, in MB, as recorded.
const ORIGINAL: f64 = 59.0;
/// Ours is to be a fifth of it.
const MEMORY_AIM: f64 = ORIGINAL / 5.0;
const LATENCY_AIM: Duration = Duration::from_millis(100);

/// What was measured.
pub(crate) struct Figures {
    /// Before anybody came, with everybody there, and after all rounds.
    pub(crate) memory: [Memory; 3],
    /// Of a core, in per cent, while everybody is there and nothing happens.
    pub(crate) cpu: f64,
    /// CPU time of each round.
    pub(crate) round: Duration,
    /// From a camera's word to the last receiver's, the shortest first.
    pub(crate) latencies: Vec<Duration>,
}

impl Figures {
    pub(crate) fn table(&self) -> String {
        let memory = |what: &str, memory: Memory, beside: &str| {
            let is_met = word(memory.resident < MEMORY_AIM);
            format!("| {what} | {} | {beside} | < {MEMORY_AIM:.1} MB: {is_met} |", shown(memory))
        };
        let [empty, full, after] = self.memory;
        let original = format!("the original, as recorded: {ORIGINAL} MB");
        let each = 1e3 * (full.own - empty.own) / RECEIVERS as f64;
        let [half, most] = [50, 99].map(|hundredths| self.percentile(hundredths));
        [
            "| figure | cloudtalker | beside it | aim |\n|---|---|---|---|".to_owned(),
            memory("memory of a room: nobody is there", empty, &original),
            memory(&format!("… {SENDERS} senders, {RECEIVERS} receivers"), full, &format!("{each:.1} kB each")),
            memory(&format!("… after {} more cameras came and went", self.latencies.len()), after, ""),
            format!("| CPU of a room: as many, each pinged every 5 s | {:.2} % of a core | | |", self.cpu),
            format!(
                "| … a camera goes, another comes, and all receivers hear of both | {:.1} ms | | |",
                milliseconds(self.round)
            ),
            format!(
                "| a camera comes, to the last of {RECEIVERS} receivers | p50 {:.1} ms, p99 {:.1} ms | | p99 < {} ms: {} |",
                milliseconds(half),
                milliseconds(most),
                LATENCY_AIM.as_millis(),
                word(most < LATENCY_AIM)
            ),
        ]
        .join("\n")
    }

    /// Writes docs/benchmarks-rooms.md.
    pub(crate) fn write(&self, load: &str) {
        let day = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let text = include_str!("benchmarks.md")
            .replace("{date}", day.split('T').next().unwrap_or_default())
            .replace("{commit}", &commit())
            .replace("{machine}", &machine())
            .replace("{load}", load)
            .replace("{table}", &self.table());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks-rooms.md");
        fs::write(&path, text).unwrap();
        println!("{} is written", path.display());
    }

    fn percentile(&self, hundredths: usize) -> Duration {
        self.latencies[(self.latencies.len() - 1) * hundredths / 100]
    }
}

fn shown(memory: Memory) -> String {
    format!("{:.1} MB, of which {:.1} MB no file backs", memory.resident, memory.own)
}

fn word(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**missed**" }
}

fn milliseconds(duration: Duration) -> f64 {
    1e3 * duration.as_secs_f64()
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cpu = cpu.trim_start_matches([':', ' ', '\t']);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = Command::new("uname").arg("-srm").output().map(|output| output.stdout).unwrap_or_default();
    format!("{cpu}, {cores} cores; {}", String::from_utf8_lossy(&kernel).trim())
}

/// What is measured; with a mark where it is not as it was committed.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let changed = git(&["status", "--porcelain", "--", ":(top)", ":(top,exclude)docs/benchmarks-rooms.md"]);
    let mark = if changed.is_empty() { "" } else { ", with changes" };
    format!("{}{mark}", git(&["rev-parse", "--short=12", "HEAD"]))
}
