//! SIGHUP: certificate, key, configuration and time zone are read again, while captures come and go.
//!
//! They are files, on flash or wherever the owner has them. So smol's thread for blocking calls reads them, and the loop turns
//! meanwhile.

use super::{
    Shell, client_tls, commands::Commands, input::Listeners, list::List, log, metrics::Metrics, settings,
    zone,
};
use crate::{
    cli,
    config::{Config, InputConfig},
    engine::{Input, calendar::Zone},
    tls::{ClientTls, Floor},
};
use ::log::{error, warn};
use smol::Task;
use std::sync::Arc;

/// What was read.
pub(super) struct Anew {
    config: Config,
    tls: ClientTls,
    zone: Zone,
}

/// All of that, while it is read; or what is wrong with it.
pub(super) type Reading = Task<Result<Anew, String>>;

impl Shell {
    /// Has certificate, key and configuration read anew; once more, where that is under way: it may have come too early for
    /// what was changed now.
    pub(super) fn begin_reload(&mut self) {
        if self.end.is_some() {
            return;
        }
        if self.reading.is_some() {
            self.reload_due = true;
            return;
        }
        self.supervisor.tell_reloading();
        let (args, floor) = (self.args.clone(), self.floor.clone());
        self.reading = Some(smol::unblock(move || read(&args, &floor)));
    }

    /// They are read. What is wrong is told, and the former ones stay.
    pub(super) async fn reload(&mut self, read: Result<Anew, String>) -> Option<Input> {
        self.reading = None;
        if self.end.is_some() {
            return None;
        }
        let input = match read {
            Ok(anew) => Some(self.take_over(anew).await),
            Err(error) => {
                warn!("SIGHUP: {error}; the former configuration stays");
                None
            }
        };
        self.supervisor.tell_ready();
        if std::mem::take(&mut self.reload_due) {
            self.begin_reload();
        }
        input
    }

    async fn take_over(&mut self, anew: Anew) -> Input {
        let Anew { mut config, tls, zone } = anew;
        self.tls = tls;
        self.keep_what_takes_a_restart(&mut config);
        self.reload_inputs(&mut config).await;
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

    /// Sockets, the directories that they are confined to, and the list.
    async fn reload_inputs(&mut self, config: &mut Config) {
        // First: a socket that is open to the network is confined before it is open.
        self.disk.confine(config.spool.capture_dirs.clone());
        if config.input != self.config.input || self.listeners.is_none() {
            self.reopen_sockets(config).await;
        }
        if config.motion_file_list != self.config.motion_file_list {
            let path = config.motion_file_list.as_deref();
            self.list = List::follow(&self.executor, path, &self.numbers, &self.sources, &self.inputs);
        }
    }

    async fn reopen_sockets(&mut self, config: &mut Config) {
        // The former sockets go first: the new ones may be at the same place.
        if let Some(listeners) = self.listeners.take() {
            listeners.close().await;
        }
        let open = async |input: &InputConfig| {
            let Shell { executor, handed, numbers, sources, inputs, .. } = &*self;
            Listeners::open(executor, input, handed, numbers, sources, inputs).await
        };
        let mut opened = open(&config.input).await;
        if let Err(error) = &opened {
            warn!("SIGHUP: {error}; the former input stays");
            config.input = self.config.input.clone();
            opened = open(&config.input).await;
        }
        self.listeners = opened
            .inspect_err(|error| error!("no input socket is open any more: {error}; mend it and send SIGHUP"))
            .ok();
    }
}

fn read(args: &cli::Run, floor: &Arc<Floor>) -> Result<Anew, String> {
    let config = Config::load(args).map_err(|error| error.to_string())?;
    let tls = client_tls(&config, floor).map_err(|error| error.to_string())?;
    let zone = zone::of(&config);
    Ok(Anew { config, tls, zone })
}
