//! The motion detector's list of files, a path a line: a named pipe, standard input or a regular file.

use super::{
    executor::Executor,
    input::{Control, Numbers, Sources},
};
use crate::{
    engine::{Input, SourceKind},
    wire::input::{MAX_OBJECT, Message, Request},
};
use async_channel::{Receiver, Sender};
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat};
use smol::{
    Async, Timer,
    future::FutureExt,
    io::{AsyncRead, AsyncReadExt},
};
use std::{
    convert::Infallible,
    fmt,
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Before a list that is not there is looked for again.
const RETRY: Duration = Duration::from_secs(10);
/// The longest line: what names a file in any other way may be as long.
const MAX_LINE: usize = MAX_OBJECT;

/// In the place of a list's name.
const STDIN: &str = "-";

/// What is read at a time.
const BUFFER: usize = 4 * 1024;

/// A list that is followed. Dropping it ends that, and its source with it.
pub struct List {
    _followed: Sender<Infallible>,
}

impl List {
    /// Follows the list, if there is one: a named pipe for ever, a regular file and standard input once.
    pub fn follow(
        executor: &Executor,
        path: Option<&Path>,
        numbers: &Numbers,
        sources: &Sources,
        inputs: &Sender<Input>,
    ) -> Option<List> {
        let (followed, dropped) = async_channel::bounded(1);
        let follower = Follower {
            path: path?.to_owned(),
            numbers: numbers.clone(),
            sources: sources.clone(),
            inputs: inputs.clone(),
            dropped,
        };
        // Not cancelled: a source that has begun needs its end.
        executor.spawn(async move { follower.follow().await }).detach();
        Some(List { _followed: followed })
    }
}

struct Follower {
    path: PathBuf,
    numbers: Numbers,
    sources: Sources,
    inputs: Sender<Input>,
    dropped: Receiver<Infallible>,
}

enum Opened {
    Once(Lines),
    Pipe(Lines),
}

/// A stream, line by line. futures-lite's BufReader won't do: at the end of what `Unblock` reads it panics, because it
/// polls once more what has just been ready.
struct Lines {
    stream: Box<dyn AsyncRead + Unpin>,
    buffer: Vec<u8>,
    unread: Range<usize>,
}

/// Why a line names no file.
enum LineError {
    TooLong,
    NotText,
    Unreadable(io::Error),
}

impl Follower {
    async fn follow(&self) {
        loop {
            let opened = async { Some(open(&self.path).await) };
            match opened.or(self.end()).await {
                None => return,
                Some(Ok(Opened::Once(lines))) => return self.read(lines).await,
                Some(Ok(Opened::Pipe(lines))) => self.read(lines).await,
                Some(Err(error)) => {
                    log::warn!("{}: the list can't be read: {error}; trying again", self.path.display());
                    let rested = async { Some(Timer::after(RETRY).await) };
                    rested.or(self.end()).await;
                }
            }
        }
    }

    /// `None`, once nobody wants the list any more.
    async fn end<T>(&self) -> Option<T> {
        while self.dropped.recv().await.is_ok() {}
        None
    }

    /// One source from the first line to the end of the file.
    async fn read(&self, mut lines: Lines) {
        let id = self.numbers.next();
        let controls = self.sources.add(id);
        if self.inputs.send(Input::SourceOpened(id, SourceKind::List)).await.is_err() {
            return;
        }
        let next_control = async || async { controls.recv().await.ok() }.or(self.end()).await;
        while let Some(control) = next_control().await {
            if let Control::Reply(_) = control {
                continue;
            }
            let Some(path) = self.next_path(&mut lines).or(self.end()).await else { break };
            let message = Message::Segment { path, naming: None };
            let request = Request { message, ack: false, unknown: Vec::new() };
            if self.inputs.send(Input::SourceSaid(id, Ok(request))).await.is_err() {
                return;
            }
        }
        self.sources.end(id);
        let _ = self.inputs.send(Input::SourceEnded(id, None)).await;
    }

    async fn next_path(&self, lines: &mut Lines) -> Option<String> {
        loop {
            match lines.next().await? {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => return Some(line.trim().to_owned()),
                Err(error) => {
                    log::warn!("{}: {error}", self.path.display());
                    if let LineError::Unreadable(_) = error {
                        return None;
                    }
                }
            }
        }
    }
}

/// Tries whether the list could be read. A named pipe is not opened: who writes into it would take this for its reader.
pub fn try_place(path: &Path) -> io::Result<()> {
    if path == Path::new(STDIN) {
        return Ok(());
    }
    if fs::metadata(path)?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS)?)
}

async fn open(path: &Path) -> io::Result<Opened> {
    if path == Path::new(STDIN) {
        // Any kind of file may be there, so it is read on smol's thread for blocking calls.
        let stdin = smol::Unblock::new(io::stdin());
        return Ok(Opened::Once(Lines::of(stdin)));
    }
    // On a disk that hangs even its name is waited for.
    let path = path.to_owned();
    let (file, is_pipe) = smol::unblock(move || open_either(&path)).await?;
    if !is_pipe {
        return Ok(Opened::Once(Lines::of(smol::Unblock::new(file))));
    }
    let pipe = Async::new(file)?;
    // Before its first writer comes, reading would find an end.
    pipe.readable().await?;
    Ok(Opened::Pipe(Lines::of(pipe)))
}

/// Opens the list, and says whether it is a named pipe.
fn open_either(path: &Path) -> io::Result<(File, bool)> {
    if !fs::metadata(path)?.file_type().is_fifo() {
        return Ok((File::open(path)?, false));
    }
    let pipe = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    Ok((pipe.into(), true))
}

impl Lines {
    fn of(stream: impl AsyncRead + Unpin + 'static) -> Lines {
        Lines { stream: Box::new(stream), buffer: vec![0; BUFFER], unread: 0..0 }
    }

    /// The next line; `None` at the end. Of one that is too long nothing is kept but that it was.
    async fn next(&mut self) -> Option<Result<String, LineError>> {
        let (mut line, mut is_too_long) = (Vec::new(), false);
        loop {
            let bytes = match self.fill().await {
                Ok([]) if line.is_empty() && !is_too_long => return None,
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(LineError::Unreadable(error))),
            };
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            is_too_long |= line.len() + part.len() > MAX_LINE;
            if is_too_long {
                line.clear();
            } else {
                line.extend_from_slice(part);
            }
            let is_whole = end.is_some() || bytes.is_empty();
            self.unread.start += part.len() + usize::from(end.is_some());
            if is_whole {
                break;
            }
        }
        if is_too_long {
            return Some(Err(LineError::TooLong));
        }
        Some(String::from_utf8(line).map_err(|_| LineError::NotText))
    }

    /// What is unread, after reading more if need be; nothing at the end.
    async fn fill(&mut self) -> io::Result<&[u8]> {
        if self.unread.is_empty() {
            self.unread = 0..self.stream.read(&mut self.buffer).await?;
        }
        Ok(&self.buffer[self.unread.clone()])
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::TooLong => {
                write!(f, "expected a path of at most {MAX_LINE} bytes a line, but one is longer: skipped")
            }
            LineError::NotText => write!(f, "expected a path in UTF-8 a line, but one is not: skipped"),
            LineError::Unreadable(error) => write!(f, "the list can't be read on: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::io::Cursor;

    #[test]
    fn a_regular_file_ends_quietly() {
        let path = std::env::temp_dir().join(format!("cloudtalker-list-{}", std::process::id()));
        fs::write(&path, "a.mp4\nb.mp4\n").unwrap();
        for _ in 0..50 {
            let Ok(Opened::Once(mut lines)) = smol::block_on(open(&path)) else {
                panic!("it is a regular file")
            };
            for expected in [Some("a.mp4"), Some("b.mp4"), None] {
                let line =
                    smol::block_on(lines.next()).map(|line| line.unwrap_or_else(|error| error.to_string()));
                assert_eq!(line.as_deref(), expected);
            }
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_bad_line_is_told_and_the_next_one_counts() {
        let long = "x".repeat(3 * MAX_LINE);
        let list = [b"a.mp4\n", long.as_bytes(), b"\n\xff.mp4\n\nb.mp4"].concat();
        let mut lines = Lines::of(Cursor::new(list));
        let mut heard = Vec::new();
        while let Some(line) = smol::block_on(lines.next()) {
            heard.push(line.unwrap_or_else(|error| error.to_string()));
        }
        let expected = [
            "a.mp4",
            "expected a path of at most 65536 bytes a line, but one is longer: skipped",
            "expected a path in UTF-8 a line, but one is not: skipped",
            "",
            "b.mp4",
        ];
        assert_eq!(heard, expected);
    }

    #[test]
    fn the_longest_line_is_taken() {
        let list = ["x".repeat(MAX_LINE), "y".to_owned()].join("\n");
        let mut lines = Lines::of(Cursor::new(list.into_bytes()));
        let line = smol::block_on(lines.next()).unwrap();
        assert!(line.is_ok_and(|line| line.len() == MAX_LINE));
    }
}
