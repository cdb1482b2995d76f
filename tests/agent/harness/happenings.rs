//! What happens to the files of a directory, in order: inotify.

use super::{DEADLINE, eventually};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
};
use std::{collections::VecDeque, mem::MaybeUninit, os::fd::OwnedFd, path::Path};

/// From here on, what happens beneath a directory.
pub struct Happenings {
    descriptor: OwnedFd,
    unseen: VecDeque<(String, ReadFlags)>,
}

impl Happenings {
    /// Of these kinds, to files of any name.
    pub fn within(dir: &Path, kinds: WatchFlags) -> Happenings {
        // Root has 128 at once, whoever else watches something.
        let init = || inotify::init(CreateFlags::CLOEXEC);
        let descriptor = eventually("there is room for one who watches", init, Result::is_ok).unwrap();
        inotify::add_watch(&descriptor, dir, kinds).unwrap();
        Happenings { descriptor, unseen: VecDeque::new() }
    }

    /// Waits for the next one: the file's name, and what has happened.
    pub fn next(&mut self) -> (String, ReadFlags) {
        loop {
            if let Some(next) = self.unseen.pop_front() {
                return next;
            }
            let patience = Timespec { tv_sec: DEADLINE.as_secs().cast_signed(), tv_nsec: 0 };
            let ready = poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], Some(&patience)).unwrap();
            assert_eq!(ready, 1, "nothing has happened within {DEADLINE:?}");
            self.read();
        }
    }

    fn read(&mut self) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.descriptor, &mut buffer);
        loop {
            let event = reader.next().unwrap();
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
            self.unseen.push_back((name.unwrap_or_default(), event.events()));
            if reader.is_buffer_empty() {
                return;
            }
        }
    }
}
