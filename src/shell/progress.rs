//! Whether the agent gets on: what a watchdog is told.
//!
//! That the executor gets on is shown by its asking. A worker gets on while it has nothing to do, or has taken a step
//! lately: a call of the file system that came back, a wait on the network that ended. Steps may be slow. A worn card
//! takes half a minute for an fsync, a link takes two minutes for an answer: that is progress, and no reason to start
//! anything anew.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// How long one step may take. The upload worker's longest wait has two minutes, and the system's resolver some more;
/// a call of the file system has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(300);
/// Nothing is to be done.
const IDLE: u32 = u32::MAX;

/// A worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    /// The disk's.
    Disk,
    /// The uploads'.
    Upload,
}

/// A worker's sign of life.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    began: Instant,
    /// When the last step was taken, in seconds since then; or [`IDLE`].
    last: AtomicU32,
}

impl Pulse {
    /// Of a worker that has nothing to do yet.
    pub fn new() -> Pulse {
        Pulse(Arc::new(Beats { began: Instant::now(), last: AtomicU32::new(IDLE) }))
    }

    /// A step is taken, and there is more to do.
    pub fn beat(&self) {
        self.beat_at(Instant::now());
    }

    /// There is nothing to do.
    pub fn rest(&self) {
        self.0.last.store(IDLE, Ordering::Relaxed);
    }

    fn beat_at(&self, now: Instant) {
        let seconds = now.duration_since(self.0.began).as_secs();
        self.0.last.store(u32::try_from(seconds).unwrap_or(IDLE), Ordering::Relaxed);
    }

    fn is_stuck(&self, now: Instant) -> bool {
        match self.0.last.load(Ordering::Relaxed) {
            IDLE => false,
            last => now.duration_since(self.0.began) > Duration::from_secs(last.into()) + PATIENCE,
        }
    }
}

/// Both workers'.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The disk worker's.
    pub disk: Pulse,
    /// The upload worker's.
    pub upload: Pulse,
}

impl Progress {
    /// Of two workers that have nothing to do yet.
    pub fn new() -> Progress {
        Progress { disk: Pulse::new(), upload: Pulse::new() }
    }

    /// The worker that does not get on.
    pub fn stuck(&self, now: Instant) -> Option<Worker> {
        let workers = [(Worker::Disk, &self.disk), (Worker::Upload, &self.upload)];
        workers.into_iter().find(|(_, pulse)| pulse.is_stuck(now)).map(|(worker, _)| worker)
    }
}

/// Looks after both workers, for every watchdog at once.
#[derive(Debug)]
pub struct Vigil {
    progress: Progress,
    /// As the last look found it.
    stuck: Option<Worker>,
}

impl Vigil {
    /// Over workers that get on.
    pub fn new(progress: Progress) -> Vigil {
        Vigil { progress, stuck: None }
    }

    /// The worker that does not get on. What has changed since the last look is logged.
    pub fn look(&mut self, now: Instant) -> Option<Worker> {
        let former = std::mem::replace(&mut self.stuck, self.progress.stuck(now));
        match self.stuck {
            Some(worker) if former != Some(worker) => log::error!("{worker}"),
            None if former.is_some() => log::info!("both workers get on again"),
            Some(_) | None => {}
        }
        self.stuck
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = PATIENCE.as_secs() / 60;
        match self {
            Worker::Disk => write!(f, "a call of the disk has not come back for {minutes} minutes"),
            Worker::Upload => write!(f, "an upload has not got on for {minutes} minutes, nor been given up"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{disk::Disk, uploader::Uploader},
        *,
    };
    use crate::{
        config::SpoolConfig,
        engine::{Input, spool::Task, uploads::Request},
    };
    use rustls::{ClientConfig, RootCertStore, crypto::ring};
    use std::{path::Path, thread};

    /// A worker whose answers nobody takes is seen at work, however long that lasts, and at rest once somebody has.
    fn is_seen_at_work_and_at_rest(pulse: &Pulse, answers: &async_channel::Receiver<Input>) {
        let comes_to_be = |what: &str, is_it: &dyn Fn() -> bool| {
            let began = Instant::now();
            while !is_it() {
                assert!(began.elapsed() < Duration::from_secs(60), "the worker is not seen {what}");
                thread::yield_now();
            }
        };
        let would_be_stuck = || pulse.is_stuck(Instant::now() + 2 * PATIENCE);
        comes_to_be("at work", &|| answers.is_full() && would_be_stuck());
        comes_to_be("at rest", &|| {
            let _ = answers.try_recv();
            !would_be_stuck()
        });
    }

    #[test]
    fn the_disks_worker_is_watched() {
        let dir = std::env::temp_dir().join(format!("cloudtalker-progress-{}", std::process::id()));
        let pulse = Pulse::new();
        let config = SpoolConfig {
            state_dir: dir.clone(),
            max: None,
            min_free: 0,
            copy: false,
            capture_dirs: Vec::new(),
            delete_uploaded: false,
        };
        let (inputs, answers) = async_channel::bounded(1);
        let (disk, begun) = Disk::start(&config, 1, inputs, pulse.clone()).unwrap();
        begun.recv_blocking().unwrap().unwrap();
        for _ in 0..2 {
            disk.perform(Task::Unstage);
        }
        is_seen_at_work_and_at_rest(&pulse, &answers);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_uploads_worker_is_watched() {
        let pulse = Pulse::new();
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let (inputs, answers) = async_channel::bounded(1);
        let mut uploader =
            Uploader::start(Path::new("/nowhere"), Arc::new(tls), inputs, pulse.clone()).unwrap();
        // Nobody is at that port: what comes is an error, and at once.
        uploader.request(Request::Ask { url: "https://127.0.0.1:9/1".to_owned() });
        is_seen_at_work_and_at_rest(&pulse, &answers);
    }

    #[test]
    fn a_slow_step_is_progress_and_one_that_never_ends_is_not() {
        let progress = Progress::new();
        let at = |seconds: u64| progress.disk.0.began + Duration::from_secs(seconds);
        assert_eq!(progress.stuck(at(100_000)), None, "there is nothing to do");
        progress.disk.beat_at(at(1000));
        progress.upload.beat_at(at(1100));
        assert_eq!(progress.stuck(at(1299)), None, "each waits for something slow");
        assert_eq!(progress.stuck(at(1302)), Some(Worker::Disk));
        progress.disk.beat_at(at(1310));
        assert_eq!(progress.stuck(at(1390)), None, "it came back after all");
        assert_eq!(progress.stuck(at(1410)), Some(Worker::Upload));
        progress.upload.rest();
        assert_eq!(progress.stuck(at(1411)), None);
    }

    #[test]
    fn a_vigil_sees_who_is_stuck_and_who_gets_on_again() {
        let progress = Progress::new();
        let at = |seconds: u64| progress.disk.0.began + Duration::from_secs(seconds);
        let mut vigil = Vigil::new(progress.clone());
        progress.disk.beat_at(at(1));
        assert_eq!(vigil.look(at(300)), None);
        assert_eq!(vigil.look(at(302)), Some(Worker::Disk));
        progress.disk.rest();
        assert_eq!(vigil.look(at(303)), None);
    }
}
