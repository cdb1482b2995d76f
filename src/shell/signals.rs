//! Signals, as messages.

use super::executor::Executor;
use async_channel::Receiver;
use async_signal::{Signal as Number, Signals};
use smol::{Task, stream::StreamExt};
use std::io;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Watches for signals as long as the task is held.
pub fn watch(executor: &Executor) -> io::Result<(Receiver<Signal>, Task<()>)> {
    let mut signals = Signals::new([Number::Term, Number::Int, Number::Hup])?;
    let (sender, receiver) = async_channel::unbounded();
    let task = executor.spawn(async move {
        while let Some(Ok(number)) = signals.next().await {
            let signal = if number == Number::Hup { Signal::Reload } else { Signal::Stop };
            if sender.send(signal).await.is_err() {
                return;
            }
        }
    });
    Ok((receiver, task))
}
