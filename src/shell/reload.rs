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
    metrics::{self, Metrics},
    settings,
    sockets::ListenError,
    upkeep::SignError,
    zone,
};
use crate::{
    cli,
    config::{Config, InputConfig},
    engine::{Input, calendar::Zone},
    tls::{ClientTls, Floor},
};
use ::log::{error, warn};
use smol::{
    Task, Timer,
    future::{self, BoxedLocal, FutureExt},
};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// For input sockets to be opened, before that is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was read.
pub(super) struct Anew {
    config: Config,
    tls: ClientTls,
    zone: Zone,
    /// Why there is no place for metrics where they should go from now on.
    misplaced: Option<SignError>,
}

/// What SIGHUP has the agent do, while that lasts.
pub(super) enum Reload {
    /// Reading all of that, which may show what is wrong with it.
    Reading(Task<Result<Anew, String>>),
    /// Opening input sockets in the place of the former ones; none, where that fails.
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
        let (args, floor, metrics) = (self.args.clone(), self.floor.clone(), self.config.metrics.clone());
        let reading = smol::unblock(move || read(&args, &floor, metrics.as_deref()));
        self.reload = Some(Reload::Reading(reading));
    }

    /// A part of the reload is done. What is wrong is told, and what was before stays.
    pub(super) fn go_on_reloading(&mut self, step: Step) -> Option<Input> {
        self.reload = None;
        let input = match step {
            Step::Read(Ok(mut anew)) => {
                self.keep_what_takes_a_restart(&mut anew.config);
                if let Some(error) = anew.misplaced.take() {
                    warn!("SIGHUP: {error}; what --metrics was before stays");
                    anew.config.metrics.clone_from(&self.config.metrics);
                }
                // Before it is open: a socket that is open to the network is confined.
                self.disk.confine(anew.config.spool.capture_dirs.clone());
                if anew.config.input != self.config.input || self.listeners.is_none() {
                    self.reload = Some(Reload::Opening(self.reopen(anew)));
                    return None;
                }
                Some(self.take_over(anew))
            }
            Step::Read(Err(error)) => {
                warn!("SIGHUP: {error}; the former configuration stays");
                None
            }
            Step::Opened(anew, opened) => {
                if let Some(opened) = opened
                    && let Some(former) = self.listeners.replace(opened)
                {
                    self.executor.spawn(former.close()).detach();
                }
                Some(self.take_over(anew))
            }
        };
        self.supervisor.tell_ready();
        if std::mem::take(&mut self.reload_due) {
            self.begin_reload();
        }
        input
    }

    /// The former sockets stay open until the new ones are; but those in whose place the new ones may be are closed before.
    fn reopen(&mut self, mut anew: Anew) -> BoxedLocal<(Anew, Option<Listeners>)> {
        let (door, former) = (self.door.clone(), self.config.input.clone());
        let in_the_way =
            if are_neighbours(&former, &anew.config.input) { self.listeners.take() } else { None };
        let stays_open = self.listeners.is_some();
        let reopened = async move {
            if let Some(listeners) = in_the_way {
                listeners.close().await;
            }
            let mut opened = open(&door, &anew.config.input).await;
            if let Err(error) = &opened {
                warn!("SIGHUP: {error}; the former input stays");
                anew.config.input = former;
                if !stays_open {
                    opened = open(&door, &anew.config.input).await;
                }
            }
            if let Err(error) = &opened
                && !stays_open
            {
                error!("no input socket is open any more: {error}; mend it and send SIGHUP");
            }
            (anew, opened.ok())
        };
        reopened.boxed_local()
    }

    fn take_over(&mut self, anew: Anew) -> Input {
        let Anew { config, tls, zone, misplaced: _ } = anew;
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

async fn open(door: &Door, input: &InputConfig) -> Result<Listeners, ListenError> {
    let patience = async {
        Timer::after(PATIENCE).await;
        warn!("SIGHUP: the input sockets are not open after {} s; is their disk well?", PATIENCE.as_secs());
        future::pending().await
    };
    door.open(input).or(patience).await
}

/// Whether some of their sockets can't be there at once: at one port, or by one name, as a directory may have several.
fn are_neighbours(former: &InputConfig, new: &InputConfig) -> bool {
    fn is_shared<T: PartialEq + Copy>(one: Option<T>, other: Option<T>) -> bool {
        one.is_some() && one == other
    }
    let name = |path: &PathBuf| path.file_name().map(OsStr::to_owned);
    let [former_name, new_name] = [former, new].map(|input| input.unix.as_ref().and_then(name));
    let [former_port, new_port] = [former, new].map(|input| input.tcp.map(|address| address.port()));
    is_shared(former_name.as_deref(), new_name.as_deref()) || is_shared(former_port, new_port)
}

/// Reads all of it, and tries another place for metrics than the former one.
fn read(args: &cli::Run, floor: &Arc<Floor>, former_metrics: Option<&Path>) -> Result<Anew, String> {
    let config = Config::load(args).map_err(|error| error.to_string())?;
    let tls = client_tls(&config, floor).map_err(|error| error.to_string())?;
    let zone = zone::of(&config);
    let place = config.metrics.as_deref().filter(|place| Some(*place) != former_metrics);
    let misplaced = place.and_then(|place| metrics::try_place(place).err());
    Ok(Anew { config, tls, zone, misplaced })
}
