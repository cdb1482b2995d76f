//! SIGHUP: certificate, key, configuration and time zone are read again, while captures come and go.
//!
//! They are files, on flash or wherever the owner has them, and an input socket has a name there. So smol's thread for
//! blocking calls reads the ones and opens the other, and the loop turns meanwhile.

use super::{
    Shell, client_tls,
    commands::Commands,
    input::{Door, Listeners},
    list::List,
    log,
    metrics::Metrics,
    settings, zone,
};
use crate::{
    cli,
    config::{Config, InputConfig},
    engine::{Input, calendar::Zone},
    tls::{ClientTls, Floor},
};
use ::log::{error, warn};
use smol::{
    Task,
    future::{BoxedLocal, FutureExt},
};
use std::sync::Arc;

/// What was read.
pub(super) struct Anew {
    config: Config,
    tls: ClientTls,
    zone: Zone,
}

/// What SIGHUP has the agent do, while that lasts.
pub(super) enum Reload {
    /// Reading all of that, which may show what is wrong with it.
    Reading(Task<Result<Anew, String>>),
    /// Opening input sockets in the place of the former ones; none, where not even those can be opened once more.
    Opening(BoxedLocal<(Anew, Option<Listeners>)>),
}

/// A part of it that is done.
pub(super) enum Step {
    Read(Result<Anew, String>),
    Opened(Anew, Option<Listeners>),
}

impl Reload {
    /// Waits until what is under way is done.
    pub(super) async fn step(&mut self) -> Step {
        match self {
            Reload::Reading(reading) => Step::Read(reading.await),
            Reload::Opening(opening) => {
                let (anew, listeners) = opening.await;
                Step::Opened(anew, listeners)
            }
        }
    }

    /// The agent stops: what is read is of no use any more, and sockets that come to be open are closed.
    pub(super) async fn end(self) {
        if let Reload::Opening(opening) = self
            && let (_, Some(listeners)) = opening.await
        {
            listeners.close().await;
        }
    }
}

impl Shell {
    /// Has certificate, key and configuration read anew; once more, where that is under way: it may have come too early for
    /// what was changed now.
    pub(super) fn begin_reload(&mut self) {
        if self.end.is_some() {
            return;
        }
        if self.reload.is_some() {
            self.reload_due = true;
            return;
        }
        self.supervisor.tell_reloading();
        let (args, floor) = (self.args.clone(), self.floor.clone());
        self.reload = Some(Reload::Reading(smol::unblock(move || read(&args, &floor))));
    }

    /// A part of the reload is done. What is wrong is told, and what was before stays.
    pub(super) fn go_on_reloading(&mut self, step: Step) -> Option<Input> {
        self.reload = None;
        let input = match step {
            Step::Read(Ok(mut anew)) => {
                self.keep_what_takes_a_restart(&mut anew.config);
                // Before it is open: a socket that is open to the network is confined.
                self.disk.confine(anew.config.spool.capture_dirs.clone());
                if anew.config.input != self.config.input || self.listeners.is_none() {
                    let former = (self.config.input.clone(), self.listeners.take());
                    let opening = reopen(self.door.clone(), former, anew);
                    self.reload = Some(Reload::Opening(opening.boxed_local()));
                    return None;
                }
                Some(self.take_over(anew))
            }
            Step::Read(Err(error)) => {
                warn!("SIGHUP: {error}; the former configuration stays");
                None
            }
            Step::Opened(anew, listeners) => {
                self.listeners = listeners;
                Some(self.take_over(anew))
            }
        };
        self.supervisor.tell_ready();
        if std::mem::take(&mut self.reload_due) {
            self.begin_reload();
        }
        input
    }

    fn take_over(&mut self, anew: Anew) -> Input {
        let Anew { config, tls, zone } = anew;
        self.tls = tls;
        if config.motion_file_list != self.config.motion_file_list {
            let path = config.motion_file_list.as_deref();
            self.list = List::follow(&self.executor, path, &self.numbers, &self.sources, &self.inputs);
        }
        if config.commands != self.config.commands {
            match Commands::open(&self.executor, config.commands.as_ref(), &self.inputs) {
                Ok(commands) => self.commands = commands,
                Err(error) => warn!("SIGHUP: the camera program can't be reached: {error}"),
            }
        }
        self.uploader.reconfigure(self.tls.config.clone());
        if config.metrics != self.config.metrics {
            let metrics = Metrics::of(&self.executor, config.metrics.as_deref());
            std::mem::replace(&mut self.metrics, metrics).leave();
        }
        log::init(config.log_to, config.log_level);
        self.config = config;
        Input::Reload(settings(&self.config, &self.tls, zone))
    }

    fn keep_what_takes_a_restart(&self, config: &mut Config) {
        if config.pidfile != self.config.pidfile {
            warn!("SIGHUP: another --pidfile takes a restart; the former one stays");
            config.pidfile.clone_from(&self.config.pidfile);
        }
        // Another device can't be had without a moment in which the former one may reboot the board.
        if config.watchdog != self.config.watchdog {
            warn!("SIGHUP: another --watchdog takes a restart; the former one stays");
            config.watchdog.clone_from(&self.config.watchdog);
        }
        let (new, former) = (&mut config.spool, &self.config.spool);
        if new.state_dir != former.state_dir {
            warn!("SIGHUP: another --state_dir takes a restart; the former one stays");
            new.state_dir.clone_from(&former.state_dir);
        }
        // Connections of the network's that were confined to it may still be open.
        if new.capture_dirs.is_empty() && !former.capture_dirs.is_empty() {
            warn!("SIGHUP: to take files from anywhere takes a restart; the former --capture_dir stays");
            new.capture_dirs.clone_from(&former.capture_dirs);
        }
    }
}

/// Closes the former input sockets, as the new ones may be at the same place, and opens those. Where that fails, the former
/// ones are opened once more.
async fn reopen(
    door: Door,
    (former, open): (InputConfig, Option<Listeners>),
    mut anew: Anew,
) -> (Anew, Option<Listeners>) {
    if let Some(listeners) = open {
        listeners.close().await;
    }
    let mut opened = door.open(&anew.config.input).await;
    if let Err(error) = &opened {
        warn!("SIGHUP: {error}; the former input stays");
        anew.config.input = former;
        opened = door.open(&anew.config.input).await;
    }
    let listeners = opened
        .inspect_err(|error| error!("no input socket is open any more: {error}; mend it and send SIGHUP"))
        .ok();
    (anew, listeners)
}

fn read(args: &cli::Run, floor: &Arc<Floor>) -> Result<Anew, String> {
    let config = Config::load(args).map_err(|error| error.to_string())?;
    let tls = client_tls(&config, floor).map_err(|error| error.to_string())?;
    let zone = zone::of(&config);
    Ok(Anew { config, tls, zone })
}
