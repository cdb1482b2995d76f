//! `cloudtalker status`: how the running agent is doing, once or for as long as somebody looks.

mod answer;
mod frame;
mod line;
mod pace;
mod rate;
mod screen;
mod table;
mod watch;

pub(super) use answer::{Status, answer, ask, parse};
pub(super) use table::table;

use super::{Address, ToolError, print};
use crate::cli;
use std::time::{Duration, SystemTime};

/// Asks, and prints the answer; with `--watch` again and again.
pub fn run(status: &cli::Status) -> Result<(), ToolError> {
    let address = Address::find(status.settings(), status.config.as_deref())?;
    if status.watch {
        return watch::run(address, status.json);
    }
    let mut connection = address.connect()?;
    let answer = answer(&mut connection)?;
    let status_of_agent = parse(&answer)?;
    let text = if status.json { format!("{answer}\n") } else { table(&status_of_agent, now()) };
    print(&text).map(drop)
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
