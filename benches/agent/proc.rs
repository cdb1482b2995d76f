//! What the kernel knows of a process. CPU time is that of its scheduler, to the nanosecond, for every program alike.

use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Pid, WaitId, WaitIdOptions, waitid},
};
use std::{
    fs::{self, File},
    io::{Read, Seek},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What a piece of work took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub wall: Duration,
    pub cpu: Duration,
}

/// CPU time of all its threads.
pub fn cpu(id: u32) -> Duration {
    per_thread(id, "schedstat", cpu_in).sum()
}

/// CPU time of its threads of this name.
pub fn cpu_of(id: u32, thread: &str) -> Duration {
    let named = threads(id)
        .filter(|dir| fs::read_to_string(dir.join("comm")).is_ok_and(|name| name.trim_end() == thread));
    named.filter_map(|dir| cpu_in(&fs::read_to_string(dir.join("schedstat")).ok()?)).sum()
}

/// How often its threads went to sleep and were woken again.
pub fn wake_ups(id: u32) -> u64 {
    per_thread(id, "status", |text| field(text, "voluntary_ctxt_switches:")).sum()
}

/// Memory of its own, in kilobytes: what no file backs.
pub fn rss_anon(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    field(&status, "RssAnon:").expect("a process that runs has memory")
}

/// Runs a program to its end; gives what it prints.
pub fn run(command: &mut Command) -> (String, Spent) {
    let mut printed = File::from(memfd_create("output", MemfdFlags::CLOEXEC).unwrap());
    let outputs = [printed.try_clone().unwrap(), printed.try_clone().unwrap()];
    let [stdout, stderr] = outputs.map(Stdio::from);
    let began = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?} can't be run: {error}"));
    // Asked once it has ended and before its end is taken note of: then its time is still known.
    let pid = Pid::from_child(&child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    let spent = Spent { wall: began.elapsed(), cpu: cpu(child.id()) };
    let status = child.wait().unwrap();
    let mut text = String::new();
    printed.rewind().unwrap();
    printed.read_to_string(&mut text).unwrap();
    assert!(status.success(), "{command:?}: {status}: {text}");
    (text, spent)
}

/// The most memory of its own that a process has, until this is asked.
pub struct Peak {
    is_over: Arc<AtomicBool>,
    watcher: JoinHandle<u64>,
}

impl Peak {
    pub fn of(id: u32) -> Peak {
        const LOOK_EVERY: Duration = Duration::from_millis(5);
        let is_over = Arc::new(AtomicBool::new(false));
        let watched = is_over.clone();
        let watcher = thread::spawn(move || {
            let mut peak = 0;
            while !watched.load(Ordering::Relaxed) {
                peak = rss_anon(id).max(peak);
                thread::sleep(LOOK_EVERY);
            }
            peak
        });
        Peak { is_over, watcher }
    }

    pub fn kilobytes(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap()
    }
}

impl std::ops::Add for Spent {
    type Output = Spent;

    fn add(self, other: Spent) -> Spent {
        Spent { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

/// A thread that ends meanwhile counts no more.
fn per_thread<T>(id: u32, file: &str, parse: impl Fn(&str) -> Option<T>) -> impl Iterator<Item = T> {
    threads(id).filter_map(move |dir| parse(&fs::read_to_string(dir.join(file)).ok()?))
}

fn threads(id: u32) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(format!("/proc/{id}/task")).unwrap().flatten().map(|thread| thread.path())
}

fn cpu_in(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}
