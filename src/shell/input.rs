//! What listens for local programs, and their connections.

use super::{
    executor::Executor,
    handed::Handed,
    sockets::{self, ListenError, SocketFile},
};
use crate::{
    config::InputConfig,
    engine::{Input, SourceId, SourceKind},
    wire::input::{Request, Scanner, StreamError},
};
use async_channel::{Receiver, Sender};
use smol::{
    Async, Task, Timer,
    future::FutureExt,
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
};
use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

/// What is read at a time; a message is rarely longer.
const BUFFER: usize = 4 * 1024;
/// How long a program may leave an answer unread. It is a line; sockets hold hundreds.
const UNREAD: Duration = Duration::from_secs(30);

/// Numbers for sources, never given twice.
#[derive(Clone, Default)]
pub struct Numbers(Rc<Cell<u64>>);

impl Numbers {
    /// The next one.
    pub fn next(&self) -> SourceId {
        self.0.set(self.0.get() + 1);
        SourceId(self.0.get())
    }
}

/// What the engine says to a source. A closed channel ends it.
pub enum Control {
    /// Read on.
    Next,
    /// Write a line.
    Reply(String),
}

/// The sources that are open, by number.
#[derive(Clone, Default)]
pub struct Sources(Rc<std::cell::RefCell<BTreeMap<SourceId, Sender<Control>>>>);

impl Sources {
    /// A new source's channel.
    pub fn add(&self, id: SourceId) -> Receiver<Control> {
        let (sender, receiver) = async_channel::unbounded();
        self.0.borrow_mut().insert(id, sender);
        receiver
    }

    /// Says something to a source, if it is still there.
    pub fn tell(&self, id: SourceId, control: Control) {
        if let Some(source) = self.0.borrow().get(&id) {
            // A source that has just ended hears nothing more.
            let _ = source.try_send(control);
        }
    }

    /// Ends a source.
    pub fn end(&self, id: SourceId) {
        self.0.borrow_mut().remove(&id);
    }
}

/// Where local programs come in: opens input sockets, and takes whoever knocks there.
#[derive(Clone)]
pub struct Door {
    pub executor: Executor,
    /// What is listened on in the place of what is configured.
    pub handed: Rc<Handed>,
    pub numbers: Numbers,
    pub sources: Sources,
    pub inputs: Sender<Input>,
}

impl Door {
    /// Opens what is configured, but for what was handed to the agent in its place. Where this is given up meanwhile, no
    /// socket file stays behind.
    pub async fn open(&self, config: &InputConfig) -> Result<Listeners, ListenError> {
        let mut listeners = Listeners { unix: None, tasks: Vec::new() };
        // First: where this fails there is no socket file yet.
        let tcp = match (&self.handed.tcp, config.tcp) {
            (Some(listener), _) => Some(sockets::handed_tcp(listener).map_err(ListenError::Handed)?),
            (None, Some(address)) => Some(sockets::bind_tcp(address)?),
            (None, None) => None,
        };
        let unix = match (&self.handed.unix, &config.unix) {
            (Some(listener), _) => Some(sockets::handed_unix(listener).map_err(ListenError::Handed)?),
            (None, Some(path)) => {
                let (bound, mode) = (path.clone(), config.mode);
                let (listener, file) = smol::unblock(move || sockets::bind_unix(&bound, mode)).await?;
                listeners.unix = Some(file);
                Some(Async::new(listener).map_err(|error| ListenError::Unix(path.clone(), error))?)
            }
            (None, None) => None,
        };
        if let Some(listener) = unix {
            let door = self.clone();
            listeners.tasks.push(self.executor.spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => door.welcome(Box::new(stream), SourceKind::Stream),
                        Err(error) => rest(&error).await,
                    }
                }
            }));
        }
        if let Some(listener) = tcp {
            let door = self.clone();
            listeners.tasks.push(self.executor.spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, peer)) => door.welcome(Box::new(stream), kind_of(peer)),
                        Err(error) => rest(&error).await,
                    }
                }
            }));
        }
        Ok(listeners)
    }

    fn welcome(&self, stream: Box<dyn Stream>, kind: SourceKind) {
        let id = self.numbers.next();
        let (controls, inputs, sources) = (self.sources.add(id), self.inputs.clone(), self.sources.clone());
        let task = async move {
            if inputs.send(Input::SourceOpened(id, kind)).await.is_err() {
                return;
            }
            if let Some(error) = Connection::new(stream).serve(id, &controls, &inputs).await {
                let _ = inputs.send(Input::SourceEnded(id, error)).await;
            }
            sources.end(id);
        };
        self.executor.spawn(task).detach();
    }
}

/// Open input sockets. Dropping them closes them soon and removes the socket file that was made, which may take its time;
/// connections go on.
pub struct Listeners {
    unix: Option<SocketFile>,
    tasks: Vec<Task<()>>,
}

impl Listeners {
    /// Closes them now, so that others may be opened at the same place.
    pub async fn close(mut self) {
        for task in self.tasks.drain(..) {
            task.cancel().await;
        }
        smol::unblock(move || drop(self.unix)).await;
    }
}

fn kind_of(peer: SocketAddr) -> SourceKind {
    if peer.ip().to_canonical().is_loopback() { SourceKind::Stream } else { SourceKind::Remote }
}

/// Out of descriptors, mostly: accepting again at once would only spin.
async fn rest(error: &io::Error) {
    const REST: Duration = Duration::from_millis(200);
    log::warn!("a local connection can't be taken: {error}");
    Timer::after(REST).await;
}

/// Why a reply did not get through.
enum ReplyError {
    /// The connection has gone.
    Unheard,
    /// It is there, and nobody reads.
    Unread,
}

/// What the engine says, in order, also while something else is under way.
struct Controls<'a> {
    receiver: &'a Receiver<Control>,
    /// Came meanwhile.
    early: VecDeque<Control>,
}

impl Controls<'_> {
    /// `None` once the engine has ended the source.
    async fn next(&mut self) -> Option<Control> {
        match self.early.pop_front() {
            Some(control) => Some(control),
            None => self.receiver.recv().await.ok(),
        }
    }

    /// Waits until the engine ends the source.
    async fn end<T>(&mut self) -> Option<T> {
        while let Ok(control) = self.receiver.recv().await {
            self.early.push_back(control);
        }
        None
    }
}

/// Of either kind of socket: what serves it is in the program once.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

struct Connection {
    stream: Box<dyn Stream>,
    scanner: Scanner,
    buffer: Vec<u8>,
    /// What of the buffer is read but not scanned.
    unscanned: std::ops::Range<usize>,
}

impl Connection {
    fn new(stream: Box<dyn Stream>) -> Connection {
        Connection { stream, scanner: Scanner::default(), buffer: vec![0; BUFFER], unscanned: 0..0 }
    }

    /// Reads a message whenever the engine asks for one. `None` where the engine ended it, else how it ended.
    async fn serve(
        &mut self,
        id: SourceId,
        controls: &Receiver<Control>,
        inputs: &Sender<Input>,
    ) -> Option<Option<StreamError>> {
        let mut controls = Controls { receiver: controls, early: VecDeque::new() };
        loop {
            match controls.next().await? {
                Control::Reply(line) => {
                    match async { Some(self.reply(&line).await) }.or(controls.end()).await? {
                        // Who does not stay for the answer does not need it.
                        Ok(()) | Err(ReplyError::Unheard) => {}
                        Err(ReplyError::Unread) => {
                            log::warn!(
                                "a local connection took no answer for {} s: closed",
                                UNREAD.as_secs()
                            );
                            return Some(None);
                        }
                    }
                }
                Control::Next => {
                    let said = match async { Some(self.message().await) }.or(controls.end()).await? {
                        Ok(Some(object)) => match Request::parse(&object) {
                            Ok(request) => request,
                            Err(error) => return Some(Some(error)),
                        },
                        Ok(None) => return Some(None),
                        Err(error) => return Some(Some(error)),
                    };
                    inputs.send(Input::SourceSaid(id, said)).await.ok()?;
                }
            }
        }
    }

    async fn reply(&mut self, line: &str) -> Result<(), ReplyError> {
        let written = async { self.stream.write_all(line.as_bytes()).await.map_err(|_| ReplyError::Unheard) };
        let unread = async {
            Timer::after(UNREAD).await;
            Err(ReplyError::Unread)
        };
        written.or(unread).await
    }

    /// The next object; `None` at the end.
    async fn message(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        loop {
            let (taken, object) = self.scanner.scan(&self.buffer[self.unscanned.clone()])?;
            self.unscanned.start += taken;
            if object.is_some() {
                return Ok(object);
            }
            // A reset is an end like any other.
            let count = self.stream.read(&mut self.buffer).await.unwrap_or(0);
            self.unscanned = 0..count;
            if count == 0 {
                return if self.scanner.is_between() { Ok(None) } else { Err(StreamError::CutOff) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        for (peer, expected) in [
            ("127.0.0.1:1", SourceKind::Stream),
            ("127.8.0.1:1", SourceKind::Stream),
            ("[::1]:1", SourceKind::Stream),
            ("[::ffff:127.0.0.1]:1", SourceKind::Stream),
            ("192.0.2.1:1", SourceKind::Remote),
            ("[fe80::1]:1", SourceKind::Remote),
            ("[::ffff:192.0.2.1]:1", SourceKind::Remote),
        ] {
            assert_eq!(kind_of(peer.parse().unwrap()), expected, "{peer}");
        }
    }
}
