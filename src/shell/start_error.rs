//! Why the agent can't start, and what that tells a supervisor.

use super::{
    handed::HandedError, lock::LockError, pidfile::PidfileError, sockets::ListenError, upkeep::SignError,
    watchdog::WatchdogError,
};
use crate::{cli::exit, tls::TlsError};
use std::{fmt, io};

/// Why the agent can't start.
#[derive(Debug)]
pub enum StartError {
    Handed(HandedError),
    Pidfile(PidfileError),
    Tls(TlsError),
    Listen(ListenError),
    Commands(io::Error),
    Lock(LockError),
    Thread(io::Error),
    Signals(io::Error),
    Seed(io::Error),
    Metrics(SignError),
    Watchdog(WatchdogError),
}

impl StartError {
    /// What a supervisor should do: 64 and 78 say that starting again is no use, 69 and 75 that it may be.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Handed(_) | StartError::Tls(_) => exit::USAGE,
            StartError::Pidfile(PidfileError::Misplaced(..))
            | StartError::Listen(ListenError::NoSocket(_) | ListenError::Foreign(..))
            | StartError::Metrics(SignError::Misplaced { .. })
            | StartError::Watchdog(
                WatchdogError::Other(..) | WatchdogError::File(SignError::Misplaced { .. }),
            ) => exit::CONFIG,
            StartError::Pidfile(PidfileError::Taken(..) | PidfileError::Unwritten(..))
            // Whoever feeds a device may let go of it, and its driver may still come.
            | StartError::Watchdog(
                WatchdogError::Busy(_)
                | WatchdogError::Missing(_)
                | WatchdogError::Unopened(..)
                | WatchdogError::File(SignError::Unwritten { .. }),
            )
            | StartError::Metrics(SignError::Unwritten { .. })
            | StartError::Listen(
                ListenError::Answered(_)
                | ListenError::Unix(..)
                | ListenError::Tcp(..)
                | ListenError::Handed(_),
            )
            | StartError::Lock(_)
            | StartError::Commands(_) => exit::UNAVAILABLE,
            StartError::Thread(_) | StartError::Signals(_) | StartError::Seed(_) => exit::TEMPORARY,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Handed(error) => error.fmt(f),
            StartError::Pidfile(error) => error.fmt(f),
            StartError::Tls(error) => error.fmt(f),
            StartError::Listen(error) => error.fmt(f),
            StartError::Lock(error) => error.fmt(f),
            StartError::Commands(error) => write!(f, "no datagram socket: {error}"),
            StartError::Thread(error) => write!(f, "no thread for a worker: {error}"),
            StartError::Signals(error) => write!(f, "signals can't be watched: {error}"),
            StartError::Seed(error) => write!(f, "the system has no randomness: {error}"),
            StartError::Metrics(error) => error.fmt(f),
            StartError::Watchdog(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_supervisor_starts_again_what_may_do_better_the_next_time() {
        let path = || PathBuf::from("/run/cloudtalker.pid");
        let broken = || io::Error::from(io::ErrorKind::PermissionDenied);
        for (error, code) in [
            (StartError::Pidfile(PidfileError::Taken(path(), "1".to_owned())), exit::UNAVAILABLE),
            (StartError::Commands(broken()), exit::UNAVAILABLE),
            (StartError::Thread(broken()), exit::TEMPORARY),
            (StartError::Signals(broken()), exit::TEMPORARY),
            (StartError::Seed(broken()), exit::TEMPORARY),
        ] {
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }
}
