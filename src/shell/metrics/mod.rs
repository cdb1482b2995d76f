//! How the agent is doing, as a file for Prometheus: what node_exporter's textfile collector reads.
//!
//! The file is replaced as a whole, so that nobody reads half of it, and written also where nothing has changed: its age
//! tells of an agent that hangs. It goes when the agent ends: numbers of an agent that is no more would look as if all were
//! well. What a killed one has left goes at the next start.

mod text;

use super::{
    executor::Executor,
    log,
    rhythm::Rhythm,
    upkeep::{self, Sign, SignError, Upkeep},
};
use crate::engine::Figures;
use rustix::time::{ClockId, clock_gettime};
use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How often it is written: as often as Prometheus usually looks.
const EVERY: Duration = Duration::from_secs(15);
/// Whoever may come there may read it: node_exporter has a user of its own.
const MODE: u32 = 0o644;
/// So many seconds a start may seem to move while the clock is slewed; by a clock that is set it was at another time.
const SLEWED: u64 = 2;

/// The file, if there is one.
pub struct Metrics(Option<Written>);

struct Written {
    upkeep: Upkeep<Textfile>,
    rhythm: Rhythm,
}

/// Tries whether there is a place for it. Nothing of it is changed.
pub fn try_place(path: &Path) -> Result<(), SignError> {
    upkeep::try_place(&Textfile::at(path))
}

/// What the process tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Process {
    /// When it started, in seconds since 1970 by the board's clock.
    start: Option<u64>,
    /// In bytes.
    memory: Option<u64>,
    cpu: Duration,
    /// Log messages that were counted, not written.
    counted_messages: u64,
}

impl Metrics {
    /// Begins with it, if there is a place for it: the first numbers come from the loop.
    pub async fn start(executor: &Executor, path: Option<&Path>) -> Result<Metrics, SignError> {
        if let Some(path) = path {
            let textfile = Textfile::at(path);
            smol::unblock(move || {
                upkeep::remove(&textfile)?;
                upkeep::try_place(&textfile)
            })
            .await?;
        }
        Ok(Metrics::of(executor, path))
    }

    /// Begins with it, whether there is a place for it or not: that is told.
    pub fn of(executor: &Executor, path: Option<&Path>) -> Metrics {
        Metrics(path.map(|path| {
            let upkeep = Upkeep::of(executor, Textfile::at(path));
            Written { upkeep, rhythm: Rhythm::new(Instant::now(), EVERY) }
        }))
    }

    /// Writes where that is due, in each turn of the loop; when it will be next.
    pub fn attend(&mut self, now: Instant, figures: impl FnOnce() -> Figures) -> Option<Instant> {
        let written = self.0.as_mut()?;
        if written.rhythm.comes(now) {
            written.upkeep.tell(figures());
        }
        Some(written.rhythm.at())
    }

    /// Removes the file.
    pub async fn end(self) {
        if let Some(written) = self.0 {
            written.upkeep.end().await;
        }
    }

    /// Removes the file, and waits for nothing.
    pub fn leave(self) {
        if let Some(written) = self.0 {
            written.upkeep.leave();
        }
    }
}

struct Textfile {
    path: PathBuf,
    /// When the agent started, in seconds since 1970 by the board's clock, as it was written last.
    start: u64,
}

impl Sign for Textfile {
    const OPTION: &'static str = "--metrics";
    const EXPECTED: &'static str = "an agent's metrics or nothing";
    type News = Figures;

    fn path(&self) -> &Path {
        &self.path
    }

    fn stranger(&self, about: &Metadata) -> io::Result<Option<&'static str>> {
        let mut beginning = Vec::new();
        if about.len() > 0 {
            File::open(&self.path)?.take(text::BEGINNING.len() as u64).read_to_end(&mut beginning)?;
        }
        let is_ours = about.len() == 0 || beginning == text::BEGINNING.as_bytes();
        Ok((!is_ours).then_some("a file with something else in it"))
    }

    fn write(&mut self, figures: Figures) -> io::Result<()> {
        let process = Process {
            start: start().ok().map(|start| self.steady(start)),
            memory: memory().ok(),
            cpu: passed(ClockId::ProcessCPUTime),
            counted_messages: log::counted(),
        };
        let (beside, mut file) = upkeep::new_beside(&self.path)?;
        let mut replace = || {
            file.write_all(text::render(&figures, &process).as_bytes())?;
            // Whatever the umask is.
            file.set_permissions(Permissions::from_mode(MODE))?;
            fs::rename(&beside, &self.path)
        };
        replace().inspect_err(|_| drop(fs::remove_file(&beside)))
    }
}

impl Textfile {
    fn at(path: &Path) -> Textfile {
        Textfile { path: path.to_owned(), start: 0 }
    }

    /// What is taken for the start: each other one looks like another agent.
    fn steady(&mut self, start: u64) -> u64 {
        if self.start.abs_diff(start) > SLEWED {
            self.start = start;
        }
        self.start
    }
}

/// When the process started: the 22nd word tells it in ticks since the boot (proc(5)).
fn start() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second is the program's name in parentheses, in which there may be anything.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = number(after_name, 19)?;
    let booted = Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    let age = passed(ClockId::Boottime).saturating_sub(booted);
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(age).as_secs())
}

/// The process's resident memory, in bytes: the second word tells it in pages (proc(5)).
fn memory() -> io::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    Ok(number(&statm, 1)? * rustix::param::page_size() as u64)
}

fn number(words: &str, index: usize) -> io::Result<u64> {
    let number = words.split_whitespace().nth(index).and_then(|word| word.parse().ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn passed(on: ClockId) -> Duration {
    Duration::try_from(clock_gettime(on)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_moves_only_with_a_clock_that_is_set() {
        let mut textfile = Textfile::at(Path::new("metrics.prom"));
        assert_eq!(textfile.steady(1_795_219_200), 1_795_219_200);
        for slewed in [1_795_219_198, 1_795_219_202] {
            assert_eq!(textfile.steady(slewed), 1_795_219_200);
        }
        for set in [1_795_219_203, 35] {
            assert_eq!(textfile.steady(set), set);
        }
    }

    #[test]
    fn numbers_are_taken_each_15_seconds_and_not_before() {
        const SECOND: Duration = Duration::from_secs(1);
        // Nobody turns this executor, so that nothing is written.
        let mut metrics = Metrics::of(&Executor::default(), Some(Path::new("metrics.prom")));
        let (began, mut taken) = (Instant::now() + SECOND, Vec::new());
        for seconds in 0..=45 {
            let next = metrics.attend(began + SECOND * seconds, || {
                taken.push(seconds);
                text::tests::busy().0
            });
            assert!(next.is_some_and(|next| next > began + SECOND * seconds));
        }
        assert_eq!(taken, [0, 15, 30, 45]);
    }

    #[test]
    fn the_kernel_tells_of_this_process() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let start = start().unwrap();
        assert!((now - 3600..=now).contains(&start), "{start} {now}");
        assert!(memory().unwrap() > 1 << 20);
    }
}
