//! A watchdog that is fed while the agent gets on: a device, which else reboots the board, or a file that is touched, for
//! whoever looks at its time of change.
//!
//! The agent gets on while its loop turns and no worker is stuck (`progress`); slow cards and links are no matter. A device
//! is fed by the executor itself: its driver sets a timer, which touches no flash, and a board that is short of threads
//! must not be rebooted for that. A file is touched beside it (`upkeep`).

mod alive;
mod device;

use super::{
    executor::Executor,
    progress::Worker,
    rhythm::Rhythm,
    upkeep::{self, SignError, Upkeep},
};
use alive::Alive;
use device::Device;
use log::{error, info};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::{
    fmt, fs,
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often what does not tell its limit is fed: a third of the shortest that is in use, the Raspberry Pi's 15 s.
const USUAL: Duration = Duration::from_secs(5);

/// The watchdog, if there is one.
pub struct Watchdog(Option<Fed>);

struct Fed {
    way: Way,
    rhythm: Rhythm,
    /// Whether it got nothing when it was last due.
    is_hungry: bool,
}

enum Way {
    Device(Device),
    File { path: PathBuf, upkeep: Upkeep<Alive> },
}

/// Why there is no watchdog.
#[derive(Debug)]
pub enum WatchdogError {
    /// Somebody else feeds this device.
    Busy(PathBuf),
    /// There is no such device.
    Missing(PathBuf),
    /// The device is one of another class.
    Other(PathBuf, String),
    /// The device can't be opened.
    Unopened(PathBuf, io::Error),
    /// The file can't be kept.
    File(SignError),
}

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A device that is fed.
    Device,
    /// A file that is touched.
    File,
}

/// Tries whether it may be written. It is not opened: that would start a device's timer.
pub fn try_place(path: &Path) -> Result<Kind, WatchdogError> {
    let kind = kind(path)?;
    match kind {
        Kind::Device => accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS)
            .map_err(|error| WatchdogError::Unopened(path.to_owned(), error.into()))?,
        Kind::File => upkeep::try_place(&Alive(path.to_owned())).map_err(WatchdogError::File)?,
    }
    Ok(kind)
}

impl Watchdog {
    /// Begins with it. This is the last that a start does: from here on a device reboots the board unless it is fed.
    pub async fn start(executor: &Executor, path: Option<&Path>) -> Result<Watchdog, WatchdogError> {
        let Some(path) = path.map(Path::to_owned) else { return Ok(Watchdog(None)) };
        let (way, every) = match smol::unblock(move || Opened::at(path)).await? {
            Opened::Device(device) => {
                let every = device.every();
                (Way::Device(device), every)
            }
            Opened::File(alive) => {
                (Way::File { path: alive.0.clone(), upkeep: Upkeep::of(executor, alive) }, USUAL)
            }
        };
        info!("--watchdog: {way} is fed every {:.1} s", every.as_secs_f32());
        let rhythm = Rhythm::new(Instant::now(), every);
        Ok(Watchdog(Some(Fed { way, rhythm, is_hungry: false })))
    }

    /// Feeds it where that is due, in each turn of the loop; when it will be next.
    pub fn attend(&mut self, now: Instant, stuck: Option<Worker>) -> Option<Instant> {
        let fed = self.0.as_mut()?;
        if fed.rhythm.comes(now) {
            fed.come(stuck.is_some());
        }
        Some(fed.rhythm.at())
    }

    /// Nobody needs it any more: the agent ends because it was asked to.
    pub async fn end(self) {
        match self.0 {
            Some(Fed { way: Way::Device(device), .. }) => device.stop(),
            Some(Fed { way: Way::File { upkeep, .. }, .. }) => upkeep.end().await,
            None => {}
        }
    }
}

enum Opened {
    Device(Device),
    File(Alive),
}

impl Opened {
    fn at(path: PathBuf) -> Result<Opened, WatchdogError> {
        match kind(&path)? {
            Kind::Device => Device::open(&path).map(Opened::Device),
            Kind::File => {
                let mut alive = Alive(path);
                upkeep::write(&mut alive, ()).map_err(WatchdogError::File)?;
                Ok(Opened::File(alive))
            }
        }
    }
}

impl Fed {
    fn come(&mut self, is_stuck: bool) {
        let was_hungry = std::mem::replace(&mut self.is_hungry, is_stuck);
        match (was_hungry, is_stuck) {
            (false, true) => error!("--watchdog: {} is not fed until both workers get on again", self.way),
            (true, false) => info!("--watchdog: {} is fed again", self.way),
            (true, true) | (false, false) => {}
        }
        match &mut self.way {
            _ if is_stuck => {}
            Way::Device(device) => device.feed(),
            Way::File { upkeep, .. } => upkeep.tell(()),
        }
    }
}

/// Whether this is a device's name, or that of a file to touch, which need not be there yet.
fn kind(path: &Path) -> Result<Kind, WatchdogError> {
    match fs::metadata(path) {
        // One of another class may well take the food: the board would only look guarded.
        Ok(about) if about.file_type().is_char_device() => match device::other_class(about.rdev()) {
            Some(class) => Err(WatchdogError::Other(path.to_owned(), class)),
            None => Ok(Kind::Device),
        },
        // A file among the devices, made where a driver is missing, would only look like one.
        Ok(_) | Err(_) if is_in_dev(path) => Err(WatchdogError::Missing(path.to_owned())),
        Ok(_) | Err(_) => Ok(Kind::File),
    }
}

fn is_in_dev(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.canonicalize().is_ok_and(|dir| dir == Path::new("/dev")))
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Device(device) => device.fmt(f),
            Way::File { path, .. } => path.display().fmt(f),
        }
    }
}

impl fmt::Display for WatchdogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WatchdogError::Busy(path) => write!(
                f,
                "--watchdog: expected a device that nobody feeds, but somebody has {} open, as systemd \
                 (RuntimeWatchdogSec) or a watchdog daemon; end that, or leave --watchdog out",
                path.display()
            ),
            WatchdogError::Missing(path) => write!(
                f,
                "--watchdog: expected a watchdog at {}, but there is no such device; load its driver (softdog, where the \
                 board has none), or leave --watchdog out",
                path.display()
            ),
            WatchdogError::Other(path, class) => write!(
                f,
                "--watchdog: expected a watchdog at {}, but it is a device of the class {class}; give another",
                path.display()
            ),
            WatchdogError::Unopened(path, error) => {
                let cure = match error.kind() {
                    ErrorKind::PermissionDenied => "let the agent's user write to it",
                    _ => "is it a watchdog, and does its driver run?",
                };
                write!(f, "--watchdog: expected to open {}, but: {error}; {cure}", path.display())
            }
            WatchdogError::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WatchdogError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn it_is_not_fed_while_a_worker_is_stuck_and_fed_again_after_that() {
        let path = std::env::temp_dir().join(format!("cloudtalker-stuck-{}", process::id()));
        let _ = fs::remove_file(&path);
        let began = Instant::now();
        let (way, rhythm) = (Way::Device(Device::standing_in(&path)), Rhythm::new(began, USUAL));
        let mut watchdog = Watchdog(Some(Fed { way, rhythm, is_hungry: false }));
        let at = |second: u64| began + Duration::from_secs(second);
        for (second, stuck, meals) in [
            (0, None, 1),
            (1, None, 1),
            (4, Some(Worker::Disk), 1),
            (5, Some(Worker::Disk), 1),
            (10, Some(Worker::Upload), 1),
            (12, None, 1),
            (15, None, 2),
            (20, None, 3),
        ] {
            let next = watchdog.attend(at(second), stuck);
            assert_eq!(next, Some(at(second / 5 * 5 + 5)), "after {second} s");
            assert_eq!(fs::read(&path).unwrap().len(), meals, "after {second} s");
        }
        smol::block_on(watchdog.end());
        assert_eq!(fs::read(&path).unwrap(), b"\0\0\0V");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn without_a_watchdog_nothing_is_due() {
        assert_eq!(Watchdog(None).attend(Instant::now(), Some(Worker::Disk)), None);
    }
}
