//! Notifications for a controller: lines, appended to a file or a named pipe.
//!
//! Either is opened whenever something is to be written, and closed after it: so a file may be changed for another in
//! between, and who reads a pipe to its end has what was to say. A pipe is opened without waiting, as nobody has to read it.
//! What waits for it is bounded: of a pipe that nobody reads the oldest lines go. Neither is made: where nothing is, lines
//! wait until there is something.

use nix::errno::Errno;
use std::{
    collections::VecDeque,
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    fs::{self, OpenOptions},
    io::AsyncWriteExt,
    net::unix::pipe,
    sync::Notify,
    time::sleep,
};

/// Lines that wait: a pipe's reader may be busy, and one that never comes costs no more than these.
const WAITING: usize = 1000;
/// Until a pipe is looked at again that nobody reads, or a file that could not be written: as the first time, and twice as
/// long each time, but no longer. Who reads a pipe to its end opens it again at once.
const AGAIN_FIRST: Duration = Duration::from_millis(15);
const AGAIN_MOST: Duration = Duration::from_secs(1);

/// Where notifications go.
#[derive(Clone, Debug)]
pub struct Notifications(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    lines: Mutex<Lines>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: VecDeque<String>,
    /// Lines that went since all were written.
    dropped: u64,
}

/// Where lines can be written to.
enum Sink {
    Pipe(pipe::Sender),
    File(fs::File),
}

impl Notifications {
    /// Notifications, and what writes them to this path for as long as it is polled.
    pub fn to(path: PathBuf) -> (Notifications, impl Future<Output = ()>) {
        let queue = Arc::new(Queue { lines: Mutex::default(), more: Notify::new() });
        (Notifications(queue.clone()), async move { queue.write(path).await })
    }

    /// Has a line written, without waiting for it.
    pub fn push(&self, line: String) {
        let mut lines = self.0.lock();
        if lines.waiting.len() == WAITING {
            lines.waiting.pop_front();
            lines.dropped += 1;
            if lines.dropped == 1 {
                log::warn!("notifications are dropped: {WAITING} wait already, and nobody reads them");
            }
        }
        lines.waiting.push_back(line + "\n");
        drop(lines);
        self.0.more.notify_one();
    }
}

impl Queue {
    async fn write(&self, path: PathBuf) {
        if let Err(error) = fs::metadata(&path).await {
            log::warn!("{}: notifications wait until it is there: {error}", path.display());
        }
        let mut complained = false;
        let mut again = AGAIN_FIRST;
        loop {
            self.wait().await;
            let written = match open(&path).await {
                Ok(sink) => self.write_to(sink).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(()) => {
                    complained = false;
                    again = AGAIN_FIRST;
                    continue;
                }
                // No reader yet, or none any more.
                Err(error) if is_unread(&error) => {}
                Err(error) if !complained => {
                    log::warn!("{}: notifications can't be written: {error}", path.display());
                    complained = true;
                }
                Err(_) => {}
            }
            sleep(again).await;
            again = (again * 2).min(AGAIN_MOST);
        }
    }

    /// Pends until a line waits.
    async fn wait(&self) {
        loop {
            let more = self.more.notified();
            if !self.lock().waiting.is_empty() {
                return;
            }
            more.await;
        }
    }

    /// Writes each line that waits.
    async fn write_to(&self, mut sink: Sink) -> io::Result<()> {
        loop {
            let Some(line) = self.lock().waiting.front().cloned() else { return Ok(()) };
            match &mut sink {
                Sink::Pipe(pipe) => pipe.write_all(line.as_bytes()).await?,
                Sink::File(file) => {
                    file.write_all(line.as_bytes()).await?;
                    file.flush().await?;
                }
            }
            self.lock().written(&line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Forgets a line that was written, unless it had to go meanwhile.
    fn written(&mut self, line: &str) {
        if self.waiting.front().is_some_and(|first| first == line) {
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() && self.dropped > 0 {
            log::warn!("notifications are read again; {} were dropped", self.dropped);
            self.dropped = 0;
        }
    }
}

/// Whether a pipe has no reader.
fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(Errno::ENXIO as i32)
}

async fn open(path: &Path) -> io::Result<Sink> {
    let is_pipe = fs::metadata(path).await.is_ok_and(|found| found.file_type().is_fifo());
    if is_pipe {
        return pipe::OpenOptions::new().open_sender(path).map(Sink::Pipe);
    }
    OpenOptions::new().append(true).open(path).await.map(Sink::File)
}
