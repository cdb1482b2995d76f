//! A watchdog's device, as Linux has them (watchdog-api): opening it starts a timer that reboots the board at its end,
//! whatever is written sets the timer anew, and closing the device after a `V` stops it.
//!
//! The timer's length would take an ioctl; sysfs tells it, too, where the kernel was built for that.

use super::{USUAL, WatchdogError};
use rustix::{
    fs::{OFlags, major, minor},
    io::Errno,
};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// What is written to feed it: anything but the farewell.
const FOOD: &[u8] = b"\0";
/// Closed after this the device stops its timer, else it takes its owner for dead.
const FAREWELL: &[u8] = b"V";
/// `/dev/watchdog`, another name of watchdog0, has these numbers (devices.txt).
const ALIAS: (u32, u32) = (10, 130);

/// An open device: its timer runs.
#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    file: File,
    sysfs: Sysfs,
    /// After so long without food the board is rebooted; not every device tells.
    limit: Option<Duration>,
    is_failing: bool,
}

/// The directory in which the kernel tells of a device.
#[derive(Clone, Debug)]
struct Sysfs(PathBuf);

impl Device {
    /// Opens it, which starts the timer.
    pub fn open(path: &Path) -> Result<Device, WatchdogError> {
        let unopened = |error: io::Error| match Errno::from_io_error(&error) {
            Some(Errno::BUSY) => WatchdogError::Busy(path.to_owned()),
            Some(_) | None => WatchdogError::Unopened(path.to_owned(), error),
        };
        let number = fs::metadata(path).map_err(unopened)?.rdev();
        let sysfs = Sysfs::of(major(number), minor(number));
        let limit = sysfs.timeout();
        // A device that is no watchdog may want to become a terminal, or have us wait for room.
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let opened = OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(path);
        let file = opened.map_err(unopened)?;
        Ok(Device { path: path.to_owned(), file, sysfs, limit, is_failing: false })
    }

    /// How often it is to be fed.
    pub fn every(&self) -> Duration {
        self.limit.map_or(USUAL, |limit| limit / 3)
    }

    /// Sets the timer anew.
    pub fn feed(&mut self) {
        let fed = self.file.write_all(FOOD);
        let was_failing = std::mem::replace(&mut self.is_failing, fed.is_err());
        match fed {
            Ok(()) if was_failing => log::info!("--watchdog: {self} takes its food again"),
            Err(error) if !was_failing => {
                log::warn!("--watchdog: {self} does not take its food: {error}; trying again");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Stops the timer, where that can be done.
    pub fn stop(mut self) {
        let (said, shown) = (self.file.write_all(FAREWELL), self.to_string());
        // Only now the device acts on it.
        drop(self.file);
        match said {
            Ok(()) if self.sysfs.is_active() => {
                log::warn!(
                    "--watchdog: {shown} can't be stopped (nowayout): unless it is fed, the board reboots"
                );
            }
            Ok(()) => log::info!("--watchdog: {shown} is stopped"),
            Err(error) => {
                log::warn!(
                    "--watchdog: {shown} can't be stopped: {error}; unless it is fed, the board reboots"
                );
            }
        }
    }
}

/// What the kernel has a device for that is no watchdog: `mem`, `tty`. Of one that sysfs does not know nobody can tell.
pub fn other_class(number: u64) -> Option<String> {
    let class = fs::read_link(Sysfs::of(major(number), minor(number)).0.join("subsystem")).ok()?;
    let class = class.file_name()?.to_string_lossy().into_owned();
    (class != "watchdog").then_some(class)
}

impl Sysfs {
    fn of(major: u32, minor: u32) -> Sysfs {
        match (major, minor) {
            ALIAS => Sysfs("/sys/class/watchdog/watchdog0".into()),
            (major, minor) => Sysfs(format!("/sys/dev/char/{major}:{minor}").into()),
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let seconds: u32 = self.read("timeout")?.parse().ok()?;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    fn is_active(&self) -> bool {
        self.read("state").is_some_and(|state| state == "active")
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.0.join(name)).ok().map(|text| text.trim().to_owned())
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.limit {
            Some(limit) => write!(f, "{path} (its limit is {} s)", limit.as_secs()),
            None => path.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    fn temp(test: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("cloudtalker-{test}-{}", process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        dir
    }

    impl Device {
        /// A file stands for the device; its directory for that in sysfs.
        pub fn standing_in(path: &Path) -> Device {
            let sysfs = Sysfs(path.parent().unwrap().to_owned());
            let file = OpenOptions::new().append(true).create(true).open(path).unwrap();
            Device { path: path.to_owned(), file, limit: sysfs.timeout(), sysfs, is_failing: false }
        }
    }

    fn device(dir: &Path) -> Device {
        Device::standing_in(&dir.join("device"))
    }

    #[test]
    fn it_is_fed_three_times_within_its_limit() {
        let dir = temp("limit");
        assert_eq!(device(&dir).every(), USUAL);
        for (timeout, millis) in
            [("60\n", 20_000), ("1\n", 333), ("0\n", 5_000), ("soon", 5_000), ("", 5_000)]
        {
            fs::write(dir.join("timeout"), timeout).unwrap();
            assert_eq!(device(&dir).every().as_millis(), millis, "{timeout:?}");
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn whether_it_still_runs_is_the_kernels_word() {
        let dir = temp("state");
        assert!(!device(&dir).sysfs.is_active());
        for (state, is_active) in [("active\n", true), ("inactive\n", false)] {
            fs::write(dir.join("state"), state).unwrap();
            assert_eq!(device(&dir).sysfs.is_active(), is_active);
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn dev_watchdog_is_watchdog0() {
        assert_eq!(Sysfs::of(10, 130).0, Path::new("/sys/class/watchdog/watchdog0"));
        assert_eq!(Sysfs::of(249, 1).0, Path::new("/sys/dev/char/249:1"));
    }

    #[test]
    fn a_device_of_another_class_is_told_from_one_that_nobody_knows() {
        let number = |path: &str| fs::metadata(path).unwrap().rdev();
        assert_eq!(other_class(number("/dev/null")).as_deref(), Some("mem"));
        assert_eq!(other_class(rustix::fs::makedev(4095, 4095)), None);
    }

    #[test]
    fn only_its_last_byte_is_a_farewell() {
        let dir = temp("fed");
        let mut device = device(&dir);
        device.feed();
        device.feed();
        device.stop();
        assert_eq!(fs::read(dir.join("device")).unwrap(), b"\0\0V");
        fs::remove_dir_all(&dir).unwrap();
    }
}
