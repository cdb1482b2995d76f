//! The start: everything that can fail, in an order that leaves nothing behind where it does.
//!
//! What lies in files, or needs a name in a directory, is left to smol's thread for blocking calls.

use super::{
    Shell,
    alarm::Alarm,
    client_tls,
    clock::Clock,
    commands::Commands,
    disk::Disk,
    executor::Executor,
    handed::{Handed, HandedError},
    input::{Door, Numbers, Sources},
    list::List,
    metrics::Metrics,
    pidfile::Pidfile,
    progress::{Progress, Vigil},
    settings,
    signals::{self, Signal},
    start_error::StartError,
    supervisor::Supervisor,
    uploader::Uploader,
    watchdog::Watchdog,
    zone,
};
use crate::{
    cli,
    config::Config,
    engine::{Engine, rng::Rng},
    tls::Floor,
};
use async_channel::Receiver;
use smol::future::FutureExt;
use std::{io, rc::Rc, sync::Arc};

/// Inputs that wait for the loop. Every task has one at most, and the workers one each; frames of the cloud wait
/// in the socket.
const INPUTS: usize = 64;

impl Shell {
    /// `None` where a signal ends the agent meanwhile: reading a large spool takes its time, and a call may hang.
    pub(super) async fn start(
        args: cli::Run,
        config: Config,
        handed: Result<Handed, HandedError>,
        executor: Executor,
    ) -> Result<Option<Shell>, StartError> {
        let is_confined = !config.spool.capture_dirs.is_empty();
        let handed = handed.and_then(|handed| handed.confined(is_confined)).map_err(StartError::Handed)?;
        let floor = Arc::new(Floor::since_build());
        let (inputs, waiting) = async_channel::bounded(INPUTS);
        let (signals, signals_task) = signals::watch(&executor).map_err(StartError::Signals)?;
        let (numbers, sources) = (Numbers::default(), Sources::default());
        let mut patience = Patience { signals: signals.clone(), reload_due: false };
        let files = (config.clone(), floor.clone());
        let read = smol::unblock(move || (client_tls(&files.0, &files.1), zone::of(&files.0)));
        let Some((tls, zone)) = patience.until(read).await else { return Ok(None) };
        let tls = tls?;
        // Before anything else is touched: a second agent mostly has the same pidfile or socket.
        let path = config.pidfile.clone();
        let claimed = smol::unblock(move || path.as_deref().map(Pidfile::claim).transpose());
        let Some(pidfile) = patience.until(claimed).await else { return Ok(None) };
        let pidfile = pidfile.map_err(StartError::Pidfile)?;
        let door = Door {
            executor: executor.clone(),
            handed: Rc::new(handed),
            numbers: numbers.clone(),
            sources: sources.clone(),
            inputs: inputs.clone(),
        };
        let Some(listeners) = patience.until(door.open(&config.input)).await else { return Ok(None) };
        let listeners = listeners.map_err(StartError::Listen)?;
        let commands =
            Commands::open(&executor, config.commands.as_ref(), &inputs).map_err(StartError::Commands)?;
        let mut seed = seed().map_err(StartError::Seed)?;
        let progress = Progress::new();
        let (disk, beginning) =
            Disk::start(&config.spool, seed.bits(), inputs.clone(), progress.disk.clone())
                .map_err(StartError::Thread)?;
        let Some(found) = patience.until(beginning.recv()).await else { return Ok(None) };
        let found = found.expect("the worker begins, or the process has panicked");
        let found = found.map_err(StartError::Lock)?;
        let state_dir = &config.spool.state_dir;
        let uploader =
            Uploader::start(state_dir, tls.config.clone(), inputs.clone(), progress.upload.clone())
                .map_err(StartError::Thread)?;
        let list = List::follow(&executor, config.motion_file_list.as_deref(), &numbers, &sources, &inputs);
        let clock = Clock::start();
        let engine = Engine::new(clock.now(), seed.bits(), settings(&config, &tls, zone), found);
        let begun = Metrics::start(&executor, config.metrics.as_deref());
        let Some(metrics) = patience.until(begun).await else { return Ok(None) };
        let metrics = metrics.map_err(StartError::Metrics)?;
        // The last that may fail or be ended: no such start leaves a timer running which reboots the board.
        let watchdog = Watchdog::start(&executor, config.watchdog.as_deref()).await;
        let watchdog = watchdog.map_err(StartError::Watchdog)?;
        Ok(Some(Shell {
            args,
            config,
            executor,
            clock,
            floor,
            tls,
            engine,
            inputs,
            waiting,
            signals,
            numbers,
            sources,
            door,
            listeners: Some(listeners),
            closing: None,
            commands,
            link: None,
            disk,
            uploader,
            reload_due: patience.reload_due,
            reload: None,
            end: None,
            alarm: Alarm::default(),
            list,
            vigil: Vigil::new(progress),
            supervisor: Supervisor::from_environment(),
            metrics,
            watchdog,
            pidfile,
            _signals: signals_task,
        }))
    }
}

/// With what a start waits for, as long as no signal ends the agent.
struct Patience {
    signals: Receiver<Signal>,
    /// Whether it is to read everything again.
    reload_due: bool,
}

impl Patience {
    /// What this comes to; `None` where a signal ends the agent meanwhile.
    async fn until<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let stopped = async {
            while let Ok(Signal::Reload) = self.signals.recv().await {
                self.reload_due = true;
            }
            None
        };
        async { Some(work.await) }.or(stopped).await
    }
}

/// A generator that the system's randomness seeds.
fn seed() -> io::Result<Rng> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(Rng::new(u64::from_ne_bytes(bytes)))
}
