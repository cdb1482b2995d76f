//! The disk, what goes wrong with it, and who waits for it.

use crate::{
    control::Control,
    disk::{Disk, DiskError, Ino, Loss},
    faults::{Fault, Faults, Operation, Verdict},
    rng::Rng,
};
use fuser::{
    Errno, INodeNo, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite,
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The file system: one handle for the kernel's requests, one for the test's commands.
#[derive(Clone)]
pub struct Shell(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// User and group of every file.
    owner: (u32, u32),
}

struct State {
    disk: Disk,
    faults: Faults,
    is_holding: bool,
    /// Syncs that wait for their release.
    held: Vec<(Ino, ReplyEmpty)>,
    /// What is not answered for want of power.
    dark: Vec<Box<dyn FnOnce() + Send>>,
}

impl Shell {
    pub fn new(disk: Disk, owner: (u32, u32)) -> Shell {
        let (held, dark) = (Vec::new(), Vec::new());
        let state = State { disk, faults: Faults::new(0), is_holding: false, held, dark };
        Shell(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), owner }))
    }

    /// Does what a test wants, and says what came of it. May wait for the kernel's requests.
    pub fn obey(&self, control: Control) -> String {
        let mut state = self.state();
        match control {
            Control::Cut(changes) => state.faults.cut_after(changes),
            Control::AwaitCut => {
                let state = self.wait_while(state, |state| state.faults.cut_at().is_none());
                return state.faults.cut_at().map(|operation| operation.to_string()).unwrap_or_default();
            }
            Control::Power => {
                return if state.faults.cut_at().is_some() { "cut" } else { "on" }.to_owned();
            }
            Control::Up(seed) => {
                let Loss { names, contents } = state.power_up(seed);
                return format!("names={names} contents={contents}");
            }
            Control::Hold => state.is_holding = true,
            Control::AwaitHeld => {
                let state = self.wait_while(state, |state| state.held.is_empty());
                return state.held.len().to_string();
            }
            Control::Release => {
                state.is_holding = false;
                return state.finish_syncs().to_string();
            }
            Control::Fail(failing) => state.faults.set_failing(failing),
            Control::Count => {
                let counts = state.faults.counts.iter();
                let counts: Vec<String> = counts.map(|(what, count)| format!("{what}={count}")).collect();
                return counts.join(" ");
            }
        }
        String::new()
    }

    /// User and group of every file.
    pub fn owner(&self) -> (u32, u32) {
        self.0.owner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere is the finding: it must not be buried beneath others.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while<'a>(
        &self,
        state: MutexGuard<'a, State>,
        is_waiting: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let waited = self.0.changed.wait_while(state, |state| is_waiting(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// One request of the kernel's: it is done and answered, refused, or never heard of again.
    pub fn operate<R: Reply, T>(
        &self,
        operation: Operation,
        reply: R,
        act: impl FnOnce(&mut Disk) -> Result<T, DiskError>,
        answer: impl FnOnce(R, T),
    ) {
        let mut state = self.state();
        let Some(reply) = self.admit(&mut state, operation, reply) else { return };
        match act(&mut state.disk) {
            Ok(done) => answer(reply, done),
            Err(error) => reply.refuse(error.into()),
        }
    }

    pub fn sync(&self, operation: Operation, ino: INodeNo, reply: ReplyEmpty) {
        let mut state = self.state();
        let Some(reply) = self.admit(&mut state, operation, reply) else { return };
        state.held.push((ino.0, reply));
        if state.is_holding {
            self.0.changed.notify_all();
        } else {
            state.finish_syncs();
        }
    }

    /// Gives the reply back where the operation is to be done.
    fn admit<R: Reply>(&self, state: &mut State, operation: Operation, reply: R) -> Option<R> {
        match state.faults.judge(operation) {
            Verdict::Done => return Some(reply),
            Verdict::Fails(fault) => reply.refuse(fault.into()),
            Verdict::Dark => {
                state.dark.push(Box::new(move || reply.refuse(Errno::EIO)));
                self.0.changed.notify_all();
            }
        }
        None
    }
}

impl State {
    fn power_up(&mut self, seed: u64) -> Loss {
        let loss = self.disk.power_cycle(&mut Rng::new(seed));
        self.faults.power_up();
        self.is_holding = false;
        for (_, reply) in self.held.drain(..) {
            reply.error(Errno::EIO);
        }
        for refuse in self.dark.drain(..) {
            refuse();
        }
        loss
    }

    /// Those that wait are done; gives how many.
    fn finish_syncs(&mut self) -> usize {
        let held = std::mem::take(&mut self.held);
        let count = held.len();
        for (ino, reply) in held {
            match self.disk.sync(ino) {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(error.into()),
            }
        }
        count
    }
}

/// Every answer to the kernel may be an error.
pub trait Reply: Send + 'static {
    fn refuse(self, errno: Errno);
}

macro_rules! replies {
    ($($reply:ty),*) => {
        $(impl Reply for $reply {
            fn refuse(self, errno: Errno) {
                self.error(errno);
            }
        })*
    };
}

replies!(
    ReplyAttr,
    ReplyCreate,
    ReplyData,
    ReplyDirectory,
    ReplyEmpty,
    ReplyEntry,
    ReplyOpen,
    ReplyStatfs,
    ReplyWrite
);

impl From<DiskError> for Errno {
    fn from(error: DiskError) -> Errno {
        match error {
            DiskError::NotFound => Errno::ENOENT,
            DiskError::Exists => Errno::EEXIST,
            DiskError::IsDir => Errno::EISDIR,
            DiskError::NotDir => Errno::ENOTDIR,
            DiskError::NotEmpty => Errno::ENOTEMPTY,
            DiskError::NoSpace => Errno::ENOSPC,
        }
    }
}

impl From<Fault> for Errno {
    fn from(fault: Fault) -> Errno {
        match fault {
            Fault::NoSpace => Errno::ENOSPC,
            Fault::Broken => Errno::EIO,
            Fault::ReadOnly => Errno::EROFS,
        }
    }
}
