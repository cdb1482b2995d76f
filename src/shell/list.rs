//! The motion detector's list of files, a path a line: a named pipe, standard input or a regular file.

use super::input::{Control, Numbers, Sources};
use crate::{
    engine::{Input, SourceKind},
    wire::input::{Message, Request},
};
use async_channel::Sender;
use rustix::fs::{Mode, OFlags};
use smol::{
    Async, Timer,
    io::{AsyncBufRead, AsyncBufReadExt, BufReader},
    stream::StreamExt,
};
use std::{
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::FileTypeExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Before a list that is not there is looked for again.
const RETRY: Duration = Duration::from_secs(10);

/// Follows the list for ever; a regular file and standard input once.
pub async fn follow(path: PathBuf, numbers: Numbers, sources: Sources, inputs: Sender<Input>) {
    let reader = List { numbers, sources, inputs };
    loop {
        match open(&path).await {
            Ok(Lines::Once(lines)) => return reader.read(lines).await,
            Ok(Lines::Pipe(lines)) => reader.read(lines).await,
            Err(error) => {
                log::warn!("{}: the list can't be read: {error}; trying again", path.display());
                Timer::after(RETRY).await;
            }
        }
    }
}

enum Lines {
    Once(Box<dyn AsyncBufRead + Unpin>),
    Pipe(Box<dyn AsyncBufRead + Unpin>),
}

async fn open(path: &Path) -> io::Result<Lines> {
    if path == Path::new("-") {
        // Any kind of file may be there, so it is read on smol's thread for blocking calls.
        let stdin = smol::Unblock::new(io::stdin());
        return Ok(Lines::Once(Box::new(BufReader::new(stdin))));
    }
    if !fs::metadata(path)?.file_type().is_fifo() {
        let file = smol::Unblock::new(File::open(path)?);
        return Ok(Lines::Once(Box::new(BufReader::new(file))));
    }
    let pipe: OwnedFd =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let pipe = Async::new(File::from(pipe))?;
    // Before its first writer comes, reading would find an end.
    pipe.readable().await?;
    Ok(Lines::Pipe(Box::new(BufReader::new(pipe))))
}

struct List {
    numbers: Numbers,
    sources: Sources,
    inputs: Sender<Input>,
}

impl List {
    /// One source from the first line to the end of the file.
    async fn read(&self, lines: Box<dyn AsyncBufRead + Unpin>) {
        let id = self.numbers.next();
        let controls = self.sources.add(id);
        let mut lines = lines.lines();
        if self.inputs.send(Input::SourceOpened(id, SourceKind::List)).await.is_err() {
            return;
        }
        while let Ok(control) = controls.recv().await {
            if let Control::Reply(_) = control {
                continue;
            }
            let path = loop {
                match lines.next().await {
                    Some(Ok(line)) if line.trim().is_empty() => {}
                    Some(Ok(line)) => break Some(line.trim().to_owned()),
                    Some(Err(_)) | None => break None,
                }
            };
            let Some(path) = path else { break };
            let message = Message::Segment { path, naming: None };
            let request = Request { message, ack: false, unknown: Vec::new() };
            if self.inputs.send(Input::SourceSaid(id, Ok(request))).await.is_err() {
                return;
            }
        }
        self.sources.end(id);
        let _ = self.inputs.send(Input::SourceEnded(id, None)).await;
    }
}
