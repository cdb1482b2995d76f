//! `cloudtalker check`: looks at all that the agent needs, and says what is wrong and what to do about it.
//!
//! It takes the agent's own options and goes the agent's own ways. Beside a running agent it disturbs nothing: it listens
//! nowhere, takes no lock, and opens no watchdog's device and no named pipe. At the input sockets it asks the agent how it
//! is, as `status` does. In the state directory, and beside the names of the input socket and of the files that tell of the
//! agent, it makes one small file, which it removes. What is judged is apart from what is looked at: the judgements are
//! plain functions of what was seen.

mod board;
mod camera;
mod input;
mod network;
mod report;
mod signs;
mod time;

use crate::{
    cli::{self, exit},
    config::Config,
    tls::{self, Floor, IdentityFiles},
    tools::is_unread,
};
use report::{Report, Subject};
use smol::{Timer, future::FutureExt};
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

/// Between looks whether anybody still reads.
const GLANCE: Duration = Duration::from_millis(200);

/// Looks, and tells. The exit code is 1 where something has failed, or nobody could be told.
pub fn run(check: &cli::Check) -> ExitCode {
    let mut report = if check.json { Report::quiet() } else { Report::told_at_once() };
    let loaded = Config::load(&check.run).map_err(|error| error.to_string());
    // The network may take its time, which is nobody's where nobody reads: `cloudtalker check | grep -m 1 quota`.
    smol::block_on(unread().or(examine(loaded, &mut report)));
    if check.json {
        report.print(&report.json());
    }
    if let Some(error) = report.unprinted() {
        let _ = writeln!(io::stderr(), "cloudtalker check: {error}");
        return ExitCode::from(exit::FAILED);
    }
    if report.has_failed() { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS }
}

/// Looks, and gives what `check` would tell of this configuration, or of why there is none.
pub(super) fn text(loaded: Result<Config, String>) -> String {
    let mut report = Report::quiet();
    smol::block_on(examine(loaded, &mut report));
    report.text()
}

/// Waits until nobody reads standard output any more.
async fn unread() {
    while !is_unread() {
        Timer::after(GLANCE).await;
    }
}

/// Looks at everything, in the order of [`Subject::ALL`].
async fn examine(loaded: Result<Config, String>, report: &mut Report) {
    let loaded = loaded.map(|config| (format!("the cloud is {}", config.endpoint), config));
    let config = match report.take(Subject::Configuration, loaded) {
        Ok(config) => config,
        Err(failed) => return report.skip(&Subject::ALL, failed),
    };

    let floor = Arc::new(Floor::since_build());
    let identity = IdentityFiles { cert: config.cert.clone(), key: config.key.clone() };
    let read = tls::client_config(&identity, config.ca.as_deref(), floor.clone());
    let read = read.map(|tls| {
        let (cert, key) = (identity.cert.display(), identity.key.display());
        (format!("{cert} and {key} belong together"), tls)
    });
    let tls = report.take(Subject::Certificate, read.map_err(|error| error.to_string()));
    time::raise_to_good_time(&floor, &config.spool.state_dir, tls.as_ref().ok());
    match &tls {
        Ok(tls) => report.tell(Subject::Expiry, time::expiry(tls.certificate_expires, floor.unix())),
        Err(failed) => report.skip(&[Subject::Expiry], *failed),
    }
    report.tell(Subject::Clock, time::clock(floor.unix()));

    let is_there = input::look(&config, report);
    board::look(&config, is_there, report);
    signs::look(&config, is_there, report);
    network::look(&config, tls.map(|tls| tls.config), report).await;
    camera::look(config.commands.as_ref(), report).await;
}
