//! A file whose time of change says when the agent last got on. It is empty, as `touch` makes it.

use super::super::upkeep::Sign;
use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_NOW, futimens};
use std::{
    fs::{Metadata, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Such a file.
pub struct Alive(pub PathBuf);

impl Sign for Alive {
    const OPTION: &'static str = "--watchdog";
    const EXPECTED: &'static str = "a watchdog's device, an empty file or nothing";
    type News = ();

    fn path(&self) -> &Path {
        &self.0
    }

    fn stranger(&self, about: &Metadata) -> io::Result<Option<&'static str>> {
        Ok((about.len() > 0).then_some("a file with something in it"))
    }

    fn write(&mut self, (): ()) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o644);
        // It may have become something else since it was looked at: neither wait for that, nor follow it.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = options.custom_flags(flags.bits().cast_signed()).open(&self.0)?;
        // In the kernel's words: now.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        futimens(&file, &Timestamps { last_access: now, last_modification: now })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::upkeep::{remove, write};
    use super::*;
    use std::{
        fs::{self, File},
        os::unix::{fs::symlink, net::UnixListener},
        process,
        time::SystemTime,
    };

    /// A place for one test's file, and whatever is there.
    struct Place(PathBuf);

    impl Place {
        fn new(test: &str) -> Place {
            let dir = std::env::temp_dir().join(format!("cloudtalker-{test}-{}", process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir(&dir).unwrap();
            Place(dir)
        }

        fn alive(&self) -> Alive {
            Alive(self.0.join("alive"))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn it_is_made_touched_and_removed() {
        let place = Place::new("alive");
        let mut alive = place.alive();
        write(&mut alive, ()).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        File::open(alive.path()).unwrap().set_modified(long_ago).unwrap();
        write(&mut alive, ()).unwrap();
        let about = fs::metadata(alive.path()).unwrap();
        assert!(about.modified().unwrap() > long_ago && about.len() == 0);
        remove(&alive).unwrap();
        assert!(!alive.path().exists());
        remove(&alive).unwrap();
    }

    #[test]
    fn what_is_something_else_is_neither_touched_nor_removed() {
        let place = Place::new("strangers");
        let (mut alive, other) = (place.alive(), place.0.join("other"));
        fs::write(&other, "").unwrap();
        let mut refused = |came: &str| {
            let path = place.0.join("alive");
            for refused in [write(&mut alive, ()), remove(&alive)] {
                let expected = format!(
                    "--watchdog: {}: expected a watchdog's device, an empty file or nothing, but {came} is there; remove \
                     it, or give another --watchdog",
                    path.display()
                );
                assert_eq!(refused.unwrap_err().to_string(), expected);
            }
            path
        };
        fs::write(place.alive().path(), "precious").unwrap();
        let path = refused("a file with something in it");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        for target in [other, place.0.join("nothing")] {
            symlink(&target, &path).unwrap();
            refused("a symbolic link");
            assert_eq!(fs::read_link(&path).unwrap(), target);
            fs::remove_file(&path).unwrap();
        }
        let socket = UnixListener::bind(&path).unwrap();
        refused("a socket");
        drop(socket);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("a directory");
    }
}
