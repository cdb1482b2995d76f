//! Files that could not be synced: the system calls the next sync a success, and a power cut takes them all the same.

use crate::{
    disk::{Fault, Trouble},
    strays::{CAPTURE, Scene},
};
use cloudtalker::{
    engine::spool::{Done, Place, Task},
    wire::segment_name::Container,
};

/// Whether a sync forgets what it could not write, and what a power cut takes, is chance.
const SEEDS: u64 = 300;

const SECOND: &str = "camera/pir.5.1.mp4";

fn place(seg_no: u32) -> Place {
    Place { capture: CAPTURE, seg_no, container: Container::Mp4 }
}

impl Scene {
    /// One on whose disk each call fails that writes, syncs among them.
    fn fails(&self) {
        self.files.0.borrow_mut().trouble = Trouble { one_in: None, all: Some(Fault::Erofs) };
    }

    fn heals(&self) {
        self.files.0.borrow_mut().trouble = Trouble::default();
    }

    /// Hands over the second file; whether it is a segment now.
    fn takes_second(&mut self) -> bool {
        let staged = self.spool.perform(Task::Stage { path: SECOND.into() });
        if !matches!(staged, Done::Staged(Ok(_))) {
            return false;
        }
        let kept = self.spool.perform(Task::Keep { place: place(1), new_capture: None, copy: false });
        assert!(matches!(kept, Done::Kept(Ok(_))), "{kept:?}");
        true
    }

    fn is_uploaded_and_forgotten(&mut self) {
        for seg_no in [0, 1] {
            let done = self.spool.perform(Task::Confirm { place: place(seg_no) });
            assert!(matches!(done, Done::Settled(Ok(()))), "{done:?}");
        }
        let done = self.spool.perform(Task::Forget { capture: CAPTURE, delete_sources: true });
        assert!(matches!(done, Done::Forgotten { result: Ok(()), .. }), "{done:?}");
    }
}

#[test]
fn a_file_that_could_not_be_synced_is_copied_and_stays_where_the_camera_has_it() {
    let mut taken_by_a_link = 0;
    for seed in 0..SEEDS {
        let mut scene = Scene::seeded(seed);
        scene.files.camera_writes("pir.5.1.mp4", b"another".to_vec());
        scene.fails();
        assert!(!scene.takes_second());
        scene.heals();
        assert!(scene.takes_second());
        assert_ne!(scene.files.inode("spool/5.pir/1.mp4"), scene.files.inode(SECOND), "it is a copy");
        scene.files.power_up();
        assert!(scene.holds("spool/5.pir/1.mp4", "another"), "seed {seed}");
        taken_by_a_link += u64::from(!scene.holds(SECOND, "another"));
        let left = scene.files.inode(SECOND);
        scene.is_uploaded_and_forgotten();
        assert_eq!(scene.files.inode(SECOND), left, "whatever the power cut has left of it");
        assert!(scene.files.inode("camera/pir.5.0.mp4").is_none(), "the first one is removed");
    }
    assert!(taken_by_a_link > SEEDS / 10, "a power cut took the camera's {taken_by_a_link} times");
}

#[test]
fn a_file_that_was_rewritten_and_could_not_be_synced_is_copied() {
    for seed in 0..SEEDS {
        let mut scene = Scene::seeded(seed);
        scene.files.camera_rewrites("pir.5.0.mp4", b"new contents".to_vec());
        scene.fails();
        let failed = scene.spool.perform(Task::Rehash { place: place(0) });
        assert!(matches!(failed, Done::Rehashed(Err(_))), "{failed:?}");
        scene.heals();
        let done = scene.spool.perform(Task::Rehash { place: place(0) });
        assert!(matches!(done, Done::Rehashed(Ok(_))), "{done:?}");
        scene.files.power_up();
        assert!(scene.holds("spool/5.pir/0.mp4", "new contents"), "seed {seed}");
    }
}
