//! The agent's only loop, and the translators around it: one kind of descriptor a file.
//!
//! The executor has one thread, this one. Beside it there are the disk worker and the upload worker, async-io's
//! own thread, which waits for descriptors, and at times smol's thread for blocking calls: names that are
//! resolved, lists of files that are no pipes, what a start reads and SIGHUP has read again, sockets' names, and files
//! that tell of the running agent.

pub mod clock;
pub mod cloud;
pub mod executor;
pub mod log;

mod alarm;
mod commands;
pub(crate) mod disk;
pub mod handed;
mod input;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod medium;
pub(crate) mod meter;
pub(crate) mod metrics;
mod notify;
pub(crate) mod pidfile;
pub(crate) mod progress;
mod reload;
mod rhythm;
mod signals;
pub(crate) mod sockets;
mod start;
mod start_error;
mod supervisor;
pub(crate) mod upkeep;
pub(crate) mod uploader;
pub(crate) mod ureq_tls;
pub(crate) mod watchdog;
mod zone;

use crate::{
    cli,
    config::Config,
    engine::{
        Engine, Input, Output, Settings,
        calendar::Zone,
        event::{Event, Level},
    },
    tls::{self, ClientTls, Floor, IdentityFiles},
};
use ::log::{error, info};
use alarm::Alarm;
use async_channel::{Receiver, Sender};
use clock::Clock;
use cloud::{Link, Target};
use commands::Commands;
use disk::Disk;
use executor::Executor;
use handed::{Handed, HandedError};
use input::{Control, Door, Listeners, Numbers, Sources};
use list::List;
use metrics::Metrics;
use pidfile::Pidfile;
use progress::Vigil;
use reload::{Reload, Step};
use signals::Signal;
use smol::{
    Task, Timer,
    future::{self, FutureExt},
};
use start_error::StartError;
use std::{
    collections::VecDeque,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use supervisor::Supervisor;
use uploader::Uploader;
use watchdog::Watchdog;

/// After SIGTERM. Supervisors kill after 5 s or more; a disk call can't be cut short, so it is left behind.
const GRACE: Duration = Duration::from_millis(4_500);
/// After that, for files that tell of the agent to be removed: they may lie where a call hangs.
const TIDYING: Duration = Duration::from_millis(200);

/// Runs the agent until it is told to end, with the sockets that were handed to it.
pub fn run(args: cli::Run, config: Config, handed: Result<Handed, HandedError>) -> ExitCode {
    let executor = Executor::default();
    let ended = executor.block_on(async {
        if let Some(shell) = Shell::start(args, config, handed, executor.clone()).await? {
            shell.run().await;
        }
        Ok::<(), StartError>(())
    });
    ::log::logger().flush();
    let code = match ended {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!("can't start: {error}");
            ExitCode::from(error.exit_code())
        }
    };
    log::finish();
    code
}

struct Shell {
    args: cli::Run,
    config: Config,
    executor: Executor,
    clock: Clock,
    floor: Arc<Floor>,
    tls: ClientTls,
    engine: Engine,
    inputs: Sender<Input>,
    waiting: Receiver<Input>,
    signals: Receiver<Signal>,
    numbers: Numbers,
    sources: Sources,
    door: Door,
    listeners: Option<Listeners>,
    /// Input sockets that are being closed, as the agent stops.
    closing: Option<Task<()>>,
    commands: Commands,
    link: Option<Link>,
    disk: Disk,
    uploader: Uploader,
    /// Whether a SIGHUP came that nobody has heeded.
    reload_due: bool,
    reload: Option<Reload>,
    /// When a stopping agent ends in any case.
    end: Option<Instant>,
    alarm: Alarm,
    list: Option<List>,
    vigil: Vigil,
    supervisor: Supervisor,
    metrics: Metrics,
    watchdog: Watchdog,
    pidfile: Option<Pidfile>,
    _signals: Task<()>,
}

impl Shell {
    async fn run(mut self) {
        self.supervisor.tell_ready();
        if std::mem::take(&mut self.reload_due) {
            self.begin_reload();
        }
        let mut next = None;
        loop {
            let deadline = self.drain(next.take());
            if let Some(end) = self.end.filter(|end| self.engine.is_finished() || *end <= Instant::now()) {
                return self.leave(end).await;
            }
            next = self.wait(deadline.map(|deadline| self.clock.instant(deadline))).await;
        }
    }

    /// Takes away what tells of a running agent.
    async fn leave(self, end: Instant) {
        let Shell { watchdog, metrics, closing, pidfile, .. } = self;
        let signs = future::zip(watchdog.end(), metrics.end());
        let names = async {
            if let Some(closing) = closing {
                closing.await;
            }
            smol::unblock(move || drop(pidfile)).await;
        };
        let gone = async { _ = future::zip(signs, names).await };
        let patience = Timer::at(end.max(Instant::now() + TIDYING));
        gone.or(async { _ = patience.await }).await;
    }

    /// Hands an input to the engine and does what it says, until it says to wait.
    fn drain(&mut self, input: Option<Input>) -> Option<Duration> {
        // What an output brings about at once is handled before anything else.
        let mut inputs = VecDeque::from_iter(input);
        loop {
            if let Some(input) = inputs.pop_front() {
                self.engine.handle(self.clock.now(), input);
            }
            loop {
                match self.engine.poll() {
                    Output::Wait(deadline) if inputs.is_empty() => return deadline,
                    Output::Wait(_) => break,
                    Output::Command(command) => inputs.push_back(match self.commands.send(command) {
                        Ok(()) => Input::CommandDelivered(command),
                        Err(why) => Input::CommandUndelivered(command, why),
                    }),
                    output => self.carry_out(output),
                }
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect => {
                let target = Target { endpoint: self.config.endpoint.clone(), tls: self.tls.config.clone() };
                self.link = Some(Link::open(&self.executor, target, self.inputs.clone()));
            }
            Output::Send(message) => {
                if let Some(link) = &self.link {
                    link.send(&message);
                }
            }
            Output::Ping => {
                if let Some(link) = &self.link {
                    link.ping();
                }
            }
            Output::Disconnect => self.link = None,
            Output::Close => {
                if let Some(link) = &self.link {
                    link.close();
                }
            }
            Output::Disk(task) => self.disk.perform(task),
            Output::Upload(request) => self.uploader.request(request),
            Output::AbandonUpload => self.uploader.abandon(),
            Output::Pace(pace) => self.uploader.set_pace(pace),
            Output::Reply(source, line) => self.sources.tell(source, Control::Reply(line)),
            Output::ReplyLog(source) => self.sources.tell(source, Control::Reply(log::recent())),
            Output::NextMessage(source) => self.sources.tell(source, Control::Next),
            Output::Drop(source) => self.sources.end(source),
            Output::RaiseClockFloor(unix) => self.floor.raise(unix),
            Output::Event(event) => tell(&event),
            Output::Command(_) | Output::Wait(_) => unreachable!("the loop that drains has taken these"),
        }
    }

    /// Tells whoever wants to know how the agent is doing; when there is more to tell although nothing has happened.
    fn attend(&mut self, now: Instant) -> Option<Instant> {
        let stuck = self.vigil.look(now);
        let supervisor = self.supervisor.attend(now, stuck, || self.engine.summary());
        let watchdog = self.watchdog.attend(now, stuck);
        let metrics = self.metrics.attend(now, || self.engine.figures(self.clock.now()));
        supervisor.into_iter().chain(watchdog).chain(metrics).min()
    }

    /// The next thing that happens: an input, a signal, or the deadline.
    async fn wait(&mut self, deadline: Option<Instant>) -> Option<Input> {
        #[expect(clippy::large_enum_variant, reason = "there is one, on the stack")]
        enum Woken {
            Input(Input),
            Signal(Signal),
            Reload(Step),
        }
        let attended = self.attend(Instant::now());
        let nearest = deadline.into_iter().chain(self.end).chain(log::settle()).chain(attended).min();
        let alarm = self.alarm.ring_at(nearest);
        let input = async { Woken::Input(self.waiting.recv().await.unwrap_or(Input::Wake)) };
        let signal = async { self.signals.recv().await.map_or(Woken::Input(Input::Wake), Woken::Signal) };
        let reload = async {
            match &mut self.reload {
                Some(reload) => Woken::Reload(reload.step().await),
                None => future::pending().await,
            }
        };
        let woken = input.or(signal).or(reload).or(async {
            alarm.await;
            Woken::Input(Input::Wake)
        });
        match woken.await {
            Woken::Input(input) => Some(input),
            Woken::Reload(step) => self.go_on_reloading(step),
            Woken::Signal(Signal::Reload) => {
                self.begin_reload();
                None
            }
            Woken::Signal(Signal::Stop) => {
                self.close_sockets();
                self.supervisor.tell_stopping();
                self.end.get_or_insert_with(|| Instant::now() + GRACE);
                Some(Input::Stop)
            }
        }
    }

    /// As the agent stops: also those that a reload is about to open.
    fn close_sockets(&mut self) {
        let (listeners, reload) = (self.listeners.take(), self.reload.take());
        if listeners.is_none() && reload.is_none() {
            return;
        }
        self.closing = Some(self.executor.spawn(async {
            if let Some(listeners) = listeners {
                listeners.close().await;
            }
            if let Some(reload) = reload {
                reload.end().await;
            }
        }));
    }
}

fn client_tls(config: &Config, floor: &Arc<Floor>) -> Result<ClientTls, StartError> {
    let identity = IdentityFiles { cert: config.cert.clone(), key: config.key.clone() };
    tls::client_config(&identity, config.ca.as_deref(), floor.clone()).map_err(StartError::Tls)
}

fn settings(config: &Config, tls: &ClientTls, zone: Zone) -> Settings {
    Settings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        endpoint: config.endpoint.to_string(),
        uploads_elsewhere: config.upload_url.is_some(),
        upload_url: config.uploads_at(),
        state_dir: config.spool.state_dir.display().to_string(),
        spool_max: config.spool.max,
        min_free: config.spool.min_free,
        copy: config.spool.copy,
        delete_uploaded: config.spool.delete_uploaded,
        has_camera: config.commands.is_some(),
        certificate_expires: tls.certificate_expires,
        earliest_time: tls::clock::earliest(),
        latest_time: tls::clock::latest(tls.certificate_expires),
        rates: config.max_rate.clone(),
        monthly_budget: config.monthly_budget,
        zone,
    }
}

fn tell(event: &Event) {
    let level = match event.level() {
        Level::Error => ::log::Level::Error,
        Level::Warn => ::log::Level::Warn,
        Level::Info => ::log::Level::Info,
        Level::Debug => ::log::Level::Debug,
    };
    ::log::log!(level, "{event}");
}
