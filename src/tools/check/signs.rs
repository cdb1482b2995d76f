//! What tells of the running agent: its log, a pidfile, a watchdog, and a file with numbers.

use super::{
    board::user,
    camera::connect,
    report::{Outcome, Report, Subject},
};
use crate::{
    config::{Config, LogTo},
    shell::{
        log::DEV_LOG,
        metrics,
        pidfile::{Pidfile, PidfileError},
        upkeep,
        watchdog::{self, Kind},
    },
};
use std::{fmt::Display, path::Path};

/// Looks at all of them, beside an agent or without one. A device is not opened, for that would start its timer.
pub fn look(config: &Config, is_there: bool, report: &mut Report) {
    report.tell(Subject::Log, log(config.log_to, Path::new(DEV_LOG)));
    report.tell(Subject::Pidfile, pidfile(config.pidfile.as_deref(), is_there));
    report.tell(Subject::Watchdog, watchdog(config.watchdog.as_deref()));
    report.tell(Subject::Metrics, metrics(config.metrics.as_deref()));
}

/// The agent does not fail for want of somebody there: then it writes to standard error.
fn log(log_to: LogTo, system: &Path) -> Outcome {
    if log_to == LogTo::Stderr {
        return Outcome::Fine("standard error (--log_to)".into());
    }
    let shown = system.display();
    match connect(system) {
        Ok(()) => Outcome::Fine(format!("the system's log listens at {shown} (--log_to)")),
        Err(error) => Outcome::Doubtful(format!(
            "nobody takes it at {shown} (--log_to): {error}; until somebody does it goes to standard error, and is lost where \
             that leads nowhere, as in the background: start the system's log (syslogd), or leave --log_to out"
        )),
    }
}

fn pidfile(path: Option<&Path>, is_there: bool) -> Outcome {
    let Some(path) = path else { return Outcome::Fine("none (--pidfile)".into()) };
    let shown = path.display();
    match Pidfile::try_claim(path) {
        Ok(()) => Outcome::Fine(format!("{shown} can be written by {}", user())),
        Err(PidfileError::Taken(_, id)) if is_there => {
            Outcome::Fine(format!("{shown} is the running agent's, process {id}"))
        }
        Err(error) => failed(&error),
    }
}

fn watchdog(path: Option<&Path>) -> Outcome {
    let Some(path) = path else { return Outcome::Fine("none (--watchdog)".into()) };
    match watchdog::try_place(path) {
        Ok(Kind::Device) => Outcome::Fine(format!(
            "{} may be written by {}; whether something else feeds it, a start will tell",
            path.display(),
            user()
        )),
        Ok(Kind::File) => sign(path, upkeep::wear(path)),
        Err(error) => failed(&error),
    }
}

fn metrics(path: Option<&Path>) -> Outcome {
    let Some(path) = path else { return Outcome::Fine("none (--metrics)".into()) };
    match metrics::try_place(path) {
        Ok(()) => sign(path, upkeep::wear(path)),
        Err(error) => failed(&error),
    }
}

fn sign(path: &Path, wear: Option<String>) -> Outcome {
    wear.map_or_else(
        || Outcome::Fine(format!("{} can be written by {}", path.display(), user())),
        Outcome::Doubtful,
    )
}

fn failed(error: &impl Display) -> Outcome {
    Outcome::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::net::UnixDatagram, process};

    #[test]
    fn what_is_not_wanted_is_not_looked_at() {
        assert_eq!(pidfile(None, false), Outcome::Fine("none (--pidfile)".into()));
        assert_eq!(watchdog(None), Outcome::Fine("none (--watchdog)".into()));
        assert_eq!(metrics(None), Outcome::Fine("none (--metrics)".into()));
    }

    #[test]
    fn a_log_that_nobody_takes_is_a_warning() {
        let path = std::env::temp_dir().join(format!("cloudtalker-log-{}", process::id()));
        let _ = fs::remove_file(&path);
        assert_eq!(log(LogTo::Stderr, &path), Outcome::Fine("standard error (--log_to)".into()));
        let told = log(LogTo::Syslog, &path);
        let begins = format!("nobody takes it at {} (--log_to): No such file", path.display());
        assert!(matches!(&told, Outcome::Doubtful(says) if says.starts_with(&begins)), "{told:?}");
        let _daemon = UnixDatagram::bind(&path).unwrap();
        assert!(matches!(log(LogTo::Syslog, &path), Outcome::Fine(_)));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_watchdog_is_told_as_a_start_would() {
        for (path, expected) in [
            (
                "/dev/no-such-watchdog",
                "--watchdog: expected a watchdog at /dev/no-such-watchdog, but there is no",
            ),
            (
                "/dev/null",
                "--watchdog: expected a watchdog at /dev/null, but it is a device of the class mem",
            ),
            (
                "/nowhere/alive",
                "--watchdog: expected to write /nowhere/alive, but: No such file or directory",
            ),
            (
                "/etc/passwd",
                "--watchdog: /etc/passwd: expected a watchdog's device, an empty file or nothing, but",
            ),
        ] {
            let told = watchdog(Some(Path::new(path)));
            assert!(matches!(&told, Outcome::Failed(says) if says.starts_with(expected)), "{told:?}");
        }
    }

    #[test]
    fn a_place_for_numbers_is_tried_and_left_as_it_was() {
        let dir = std::env::temp_dir().join(format!("cloudtalker-signs-{}", process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        for former in [None, Some("# HELP cloudtalker_build_info …")] {
            if let Some(former) = former {
                fs::write(dir.join("cloudtalker.prom"), former).unwrap();
            }
            let told = metrics(Some(&dir.join("cloudtalker.prom")));
            assert!(matches!(&told, Outcome::Fine(_) | Outcome::Doubtful(_)), "{told:?}");
            assert_eq!(fs::read_dir(&dir).unwrap().count(), usize::from(former.is_some()));
        }
        let told = metrics(Some(&dir));
        assert!(
            matches!(&told, Outcome::Failed(says) if says.contains("but a directory is there")),
            "{told:?}"
        );
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_place_that_wears_out_is_a_warning() {
        let path = Path::new("/run/cloudtalker.prom");
        assert!(
            matches!(sign(path, None), Outcome::Fine(says) if says.starts_with("/run/cloudtalker.prom can be"))
        );
        assert_eq!(sign(path, Some("it wears out".into())), Outcome::Doubtful("it wears out".into()));
    }
}
