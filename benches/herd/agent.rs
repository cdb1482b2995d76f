//! The agents: an engine each, and its session.

use crate::{AGENTS, harness::Identity};
use async_channel::{Receiver, Sender};
use cloudtalker::{
    config::Endpoint,
    engine::{
        Engine, Input, Output, Settings,
        spool::{Done, Scanned},
    },
    shell::{
        clock::Clock,
        cloud::{Link, Target},
        executor::Executor,
    },
    tls::{self, Floor, IdentityFiles},
};
use smol::{Timer, future, future::FutureExt};
use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Every agent is back by then: a last wait at the engine's cap, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(300);

/// All of them, on a thread of their own.
pub struct Herd {
    connected: mpsc::Receiver<Instant>,
}

/// One with nothing to upload.
struct Agent {
    engine: Engine,
    clock: Clock,
    target: Target,
    executor: Executor,
    inputs: Sender<Input>,
    waiting: Receiver<Input>,
    link: Option<Link>,
    connected: mpsc::Sender<Instant>,
}

impl Herd {
    /// Starts an agent for each identity; all connect at once.
    pub fn start(endpoint: Endpoint, identities: Vec<Identity>) -> Herd {
        let (sender, connected) = mpsc::channel();
        thread::spawn(move || {
            let executor = Executor::default();
            for (seed, identity) in (0..).zip(&identities) {
                let agent = Agent::new(seed, &endpoint, identity, &executor, &sender);
                executor.spawn(agent.live()).detach();
            }
            executor.block_on(future::pending::<()>());
        });
        Herd { connected }
    }

    /// Waits until each has connected, and gives when.
    pub fn connects(&self) -> Vec<Instant> {
        let deadline = Instant::now() + PATIENCE;
        let next = |_| self.connected.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let connected: Result<Vec<Instant>, _> = (0..AGENTS).map(next).collect();
        connected.unwrap_or_else(|_| panic!("expected {AGENTS} agents to connect within {PATIENCE:?}"))
    }

    /// Nobody has connected once more.
    pub fn is_settled(&self) -> bool {
        self.connected.try_iter().count() == 0
    }
}

impl Agent {
    fn new(
        seed: u64,
        endpoint: &Endpoint,
        identity: &Identity,
        executor: &Executor,
        connected: &mpsc::Sender<Instant>,
    ) -> Agent {
        let files = IdentityFiles { cert: identity.cert.clone(), key: identity.key.clone() };
        let tls = tls::client_config(&files, Some(&identity.ca), Arc::new(Floor::since_build())).unwrap();
        let uploads = format!("https://{}/uploads/", endpoint.authority());
        let settings = Settings {
            has_camera: false,
            certificate_expires: tls.certificate_expires,
            ..Settings::new(&endpoint.to_string(), &uploads)
        };
        let clock = Clock::start();
        let found = Scanned { alarms: Some(Vec::new()), ..Scanned::default() };
        let (inputs, waiting) = async_channel::unbounded();
        Agent {
            engine: Engine::new(clock.now(), seed, settings, found),
            clock,
            target: Target { endpoint: endpoint.clone(), tls: tls.config },
            executor: executor.clone(),
            inputs,
            waiting,
            link: None,
            connected: connected.clone(),
        }
    }

    async fn live(mut self) {
        loop {
            let deadline = self.drain().map(|deadline| self.clock.instant(deadline));
            let input = async { self.waiting.recv().await.expect("it has a sender of its own") };
            let wake = async {
                deadline.map_or_else(Timer::never, Timer::at).await;
                Input::Wake
            };
            let input = input.or(wake).await;
            if matches!(input, Input::SessionUp(_)) {
                let _ = self.connected.send(Instant::now());
            }
            self.engine.handle(self.clock.now(), input);
        }
    }

    fn drain(&mut self) -> Option<Duration> {
        loop {
            match (self.engine.poll(), &self.link) {
                (Output::Wait(deadline), _) => return deadline,
                (Output::Connect, _) => {
                    self.link = Some(Link::open(&self.executor, self.target.clone(), self.inputs.clone()));
                }
                (Output::Send(message), Some(link)) => link.send(&message),
                (Output::Ping, Some(link)) => link.ping(),
                (Output::Close, Some(link)) => link.close(),
                (Output::Disconnect, _) => self.link = None,
                // What is to be remembered: this board has no next life.
                (Output::Disk(_), _) => {
                    self.inputs.try_send(Input::DiskDone(Done::Settled(Ok(())))).expect("it is unbounded");
                }
                (Output::Event(_) | Output::RaiseClockFloor(_) | Output::Command(_), _) => {}
                (output, _) => unreachable!("who has nothing to upload asked for {output:?}"),
            }
        }
    }
}
