//! The camera program's datagram socket.

use super::executor::Executor;
use crate::{config::CommandTarget, engine::Input, wire::command::Command};
use async_channel::Sender;
use rustix::fs::inotify::{self, ReadFlags};
use smol::{Async, Task, Timer};
use std::{
    cell::RefCell,
    io,
    net::{SocketAddr, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

/// Room for a few events of a directory; a name has 255 bytes at most.
const INOTIFY_BUFFER: usize = 4 * 1024;
/// Before a directory that is not there is looked for again.
const RETRY: Duration = Duration::from_secs(5);

/// The way to the camera program. Sending never waits.
pub struct Commands {
    way: Way,
    _watch: Option<Task<()>>,
}

enum Way {
    Nobody,
    Unix { socket: UnixDatagram, path: PathBuf },
    Udp(Rc<Udp>),
}

/// A name is resolved again until somebody answers there.
struct Udp {
    host: String,
    port: u16,
    executor: Executor,
    inputs: Sender<Input>,
    state: RefCell<UdpState>,
}

enum UdpState {
    Resolving { _task: Task<()> },
    Unresolved(String),
    Connected { socket: Rc<Async<UdpSocket>>, last: Option<Command>, _task: Task<()> },
}

impl Commands {
    /// Opens the way. Watches for the camera program's coming back: [`Input::ListenerAppeared`].
    pub fn open(
        executor: &Executor,
        target: Option<&CommandTarget>,
        inputs: &Sender<Input>,
    ) -> io::Result<Commands> {
        match target {
            None => Ok(Commands { way: Way::Nobody, _watch: None }),
            Some(CommandTarget::Unix(path)) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                let watch = executor.spawn(watch(path.clone(), inputs.clone()));
                Ok(Commands { way: Way::Unix { socket, path: path.clone() }, _watch: Some(watch) })
            }
            Some(CommandTarget::Udp { host, port }) => {
                let udp = Rc::new(Udp {
                    host: host.clone(),
                    port: *port,
                    executor: executor.clone(),
                    inputs: inputs.clone(),
                    state: RefCell::new(UdpState::Unresolved(String::new())),
                });
                udp.resolve();
                Ok(Commands { way: Way::Udp(udp), _watch: None })
            }
        }
    }

    /// Sends a command now, or says why not.
    pub fn send(&self, command: Command) -> Result<(), String> {
        match &self.way {
            Way::Nobody => Err("there is nobody to tell".to_owned()),
            Way::Unix { socket, path } => match socket.send_to(command.datagram(), path) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{}: {error}", path.display())),
            },
            Way::Udp(udp) => udp.send(command),
        }
    }
}

impl Udp {
    fn send(self: &Rc<Self>, command: Command) -> Result<(), String> {
        let result = match &mut *self.state.borrow_mut() {
            UdpState::Resolving { .. } => {
                return Err(format!("the address of {:?} is being looked up", self.host));
            }
            UdpState::Unresolved(why) => Err(why.clone()),
            UdpState::Connected { socket, last, .. } => {
                *last = Some(command);
                socket.get_ref().send(command.datagram()).map(drop).map_err(|error| error.to_string())
            }
        };
        if result.is_err() {
            self.resolve();
        }
        result.map_err(|why| format!("{}:{}: {why}", self.host, self.port))
    }

    fn resolve(self: &Rc<Self>) {
        let udp = self.clone();
        let task = self.executor.spawn(async move {
            let resolved = udp.connect().await;
            let is_there = resolved.is_ok();
            let next = match resolved {
                Ok(socket) => {
                    let socket = Rc::new(socket);
                    let task = udp.executor.spawn(udp.clone().listen(socket.clone()));
                    UdpState::Connected { socket, last: None, _task: task }
                }
                Err(why) => UdpState::Unresolved(why),
            };
            // Replacing the state drops this very task's handle, which would cancel it: what is left to do
            // goes on detached.
            if let UdpState::Resolving { _task } = udp.state.replace(next) {
                _task.detach();
            }
            if is_there {
                let _ = udp.inputs.send(Input::ListenerAppeared).await;
            }
        });
        self.state.replace(UdpState::Resolving { _task: task });
    }

    async fn connect(&self) -> Result<Async<UdpSocket>, String> {
        let addresses = smol::net::resolve((self.host.as_str(), self.port)).await;
        let addresses: Vec<SocketAddr> = addresses.map_err(|error| error.to_string())?;
        let first = addresses.first().ok_or_else(|| "the name has no address".to_owned())?;
        let any =
            if first.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { SocketAddr::from(([0; 16], 0)) };
        let socket = Async::<UdpSocket>::bind(any).map_err(|error| error.to_string())?;
        socket.get_ref().connect(first).map_err(|error| error.to_string())?;
        Ok(socket)
    }

    /// A datagram that nobody was there for comes back as an error, after it was sent.
    async fn listen(self: Rc<Self>, socket: Rc<Async<UdpSocket>>) {
        let mut ignored = [0; 64];
        loop {
            let Err(error) = socket.recv(&mut ignored).await else { continue };
            // The name may lead elsewhere by now: the next command looks it up again.
            let former = self.state.replace(UdpState::Unresolved(error.to_string()));
            let UdpState::Connected { last, _task, .. } = former else { return };
            // It is this very task, which dropping its handle would cancel.
            _task.detach();
            if let Some(command) = last {
                let why = format!("{}:{}: {error}", self.host, self.port);
                let _ = self.inputs.send(Input::CommandUndelivered(command, why)).await;
            }
            return;
        }
    }
}

/// Tells whenever a socket of this name is made: whoever listens there now knows nothing yet.
async fn watch(path: PathBuf, inputs: Sender<Input>) {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut is_late = false;
    while !inputs.is_closed() {
        // The directory may come later, or come anew: a supervisor makes it with each start of the camera program.
        if let Ok(events) = events_of(dir) {
            let was_missed = is_late && path.exists();
            if was_missed && inputs.send(Input::ListenerAppeared).await.is_err() {
                return;
            }
            tell_of(&path, &events, &inputs).await;
        } else {
            Timer::after(RETRY).await;
        }
        is_late = true;
    }
}

/// Until there is nothing more to be heard of the directory.
async fn tell_of(path: &Path, events: &Async<OwnedFd>, inputs: &Sender<Input>) {
    while events.readable().await.is_ok() {
        let mut buffer = [std::mem::MaybeUninit::uninit(); INOTIFY_BUFFER];
        let mut reader = inotify::Reader::new(events.get_ref(), &mut buffer);
        let (mut appeared, mut has_gone) = (false, false);
        while let Ok(event) = reader.next() {
            let name = event.file_name().and_then(|name| name.to_str().ok());
            appeared |= name.is_some() && name == path.file_name().and_then(|name| name.to_str());
            has_gone |= event.events().intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF);
            if reader.is_buffer_empty() {
                break;
            }
        }
        if appeared && inputs.send(Input::ListenerAppeared).await.is_err() || has_gone {
            return;
        }
    }
}

fn events_of(dir: &Path) -> io::Result<Async<OwnedFd>> {
    let events = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
    let made = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&events, dir, made | inotify::WatchFlags::MOVE_SELF)?;
    Async::new(events)
}
