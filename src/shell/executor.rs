//! The one executor, which all of the agent's tasks share.

use smol::{LocalExecutor, Task, future::FutureExt};
use std::{future::Future, rc::Rc};

/// A handle of it.
#[derive(Clone, Debug, Default)]
pub struct Executor(Rc<LocalExecutor<'static>>);

impl Executor {
    /// Runs the tasks until this one, their first, is done.
    pub fn block_on<T>(&self, main: impl Future<Output = T>) -> T {
        smol::block_on(self.0.run(main))
    }

    /// Begins a task. It is boxed: what drives tasks is in the program once, not for each kind of them.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) -> Task<()> {
        self.0.spawn(task.boxed_local())
    }
}
