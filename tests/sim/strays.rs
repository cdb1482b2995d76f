//! What is no part of the spool, but lies in it: it is put aside, and blocks nothing.

use crate::disk::SimFiles;
use cloudtalker::{
    engine::spool::{CaptureName, Done, Files, LostReason, Place, Spool, Task, UploadHint},
    wire::{Id, Sha256, Trigger, segment_name::Container},
};
use std::io;

pub const CAPTURE: CaptureName = CaptureName { timestamp: 5, trigger: Trigger::Pir, ordinal: 1 };

/// A spool with one capture of one segment.
pub struct Scene {
    pub files: SimFiles,
    pub spool: Spool<SimFiles>,
}

impl Scene {
    fn new() -> Scene {
        Scene::seeded(1)
    }

    pub fn seeded(seed: u64) -> Scene {
        let files = SimFiles::new(seed);
        let mut scene = Scene { spool: Spool::new(files.clone()), files };
        scene.spool.start(1);
        scene.keep();
        scene
    }

    fn keep(&mut self) {
        self.files.camera_writes("pir.5.0.mp4", b"a segment".to_vec());
        let staged = self.spool.perform(Task::Stage { path: "camera/pir.5.0.mp4".into() });
        assert!(matches!(staged, Done::Staged(Ok(_))), "{staged:?}");
        let place = Place { capture: CAPTURE, seg_no: 0, container: Container::Mp4 };
        let kept = self.spool.perform(Task::Keep { place, new_capture: Some(Id(1)), copy: false });
        assert!(matches!(kept, Done::Kept(Ok(_))), "{kept:?}");
    }

    fn put_file(&mut self, path: &str) {
        let mut file = self.files.create(path).unwrap();
        self.files.write(&mut file, path.as_bytes()).unwrap();
    }

    fn put_dir(&mut self, path: &str) {
        self.files.make_dir(path).unwrap();
        self.put_file(&format!("{path}/notes"));
    }

    fn sync(&mut self, dir: &str) {
        let notes = self.files.open(&format!("{dir}/notes")).unwrap();
        self.files.sync(&notes).unwrap();
        self.files.sync_dir(dir).unwrap();
    }

    /// What the owner is told while the capture is forgotten, which must succeed.
    fn forget(&mut self) -> Vec<String> {
        let done = self.spool.perform(Task::Forget { capture: CAPTURE, delete_sources: false });
        let Done::Forgotten { problems, result } = done else { panic!("{done:?}") };
        result.unwrap();
        problems
    }

    pub fn restart(&mut self) -> Vec<String> {
        self.spool = Spool::new(self.files.clone());
        let found = self.spool.start(2);
        assert!(found.unread.is_empty() && !found.is_partial, "{found:?}");
        found.problems
    }

    pub fn names(&mut self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.files.list(dir).unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names
    }

    pub fn holds(&self, path: &str, text: &str) -> bool {
        self.files.file(path).is_some_and(|(bytes, _)| bytes.as_slice() == text.as_bytes())
    }
}

/// How a task of a capture has failed, if it has.
fn error_of(done: Done) -> Option<io::Error> {
    match done {
        Done::Kept(kept) | Done::Rehashed(kept) => kept.err(),
        Done::Settled(result) | Done::Lost { result, .. } => result.err(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_directory_in_a_capture_outlives_it_and_does_not_block_it() {
    let mut scene = Scene::new();
    scene.put_dir("spool/5.pir/thumbs");
    let told = scene.forget();
    assert_eq!(
        told,
        ["spool/.gone.5.pir/thumbs is no part of a capture: it is refused/stray.5.pir.thumbs now"]
    );
    assert!(scene.holds("refused/stray.5.pir.thumbs/notes", "spool/5.pir/thumbs/notes"));
    assert!(scene.names("spool").is_empty());
}

#[test]
fn a_file_in_a_capture_outlives_it() {
    let mut scene = Scene::new();
    for name in ["notes.txt", ".hidden", "00.mp4", "0.mp4.sha256"] {
        scene.put_file(&format!("spool/5.pir/{name}"));
    }
    assert_eq!(scene.forget().len(), 4);
    assert!(scene.holds("refused/stray.5.pir..hidden", "spool/5.pir/.hidden"));
    assert_eq!(scene.names("refused").len(), 4);
    assert!(scene.names("spool").is_empty());
}

#[test]
fn a_start_puts_aside_what_is_in_a_capture_and_leaves_its_segments() {
    let mut scene = Scene::new();
    scene.put_dir("spool/5.pir/1.mp4");
    scene.put_dir("spool/5.pir/.tmp");
    assert_eq!(scene.restart().len(), 2);
    assert!(scene.holds("refused/stray.5.pir.1.mp4/notes", "spool/5.pir/1.mp4/notes"));
    assert!(scene.holds("refused/stray.5.pir..tmp/notes", "spool/5.pir/.tmp/notes"));
    assert!(scene.names("spool/5.pir").contains(&"0.mp4".to_owned()));
    assert!(scene.forget().is_empty());
}

#[test]
fn a_stray_in_a_parts_place_holds_up_no_segment() {
    let mut scene = Scene::new();
    for part in ["0.mp4.from", "id"] {
        let path = format!("spool/5.pir/{part}");
        scene.files.remove(&path).unwrap();
        scene.put_dir(&path);
    }
    let found = Spool::new(scene.files.clone()).start(2);
    assert!(found.unread.is_empty(), "{found:?}");
    assert_eq!((found.captures.len(), found.captures[0].segments.len()), (1, 1));
    assert_eq!(scene.names("refused"), ["stray.5.pir.0.mp4.from", "stray.5.pir.id"]);
}

#[test]
fn an_empty_directory_in_the_very_place_of_a_part_is_put_aside_by_the_task_that_meets_it() {
    let place = Place { capture: CAPTURE, seg_no: 0, container: Container::Mp4 };
    let hint = || {
        let (made_at, url) = ("https://cloud/".to_owned(), "https://cloud/1".to_owned());
        Some(UploadHint { made_at, url, sha256: Sha256([0; 32]) })
    };
    let lost = || Task::Lose { place, reason: LostReason::Evicted, why: "no".into(), unix: 1 };
    let rows: [(&str, &dyn Fn() -> Task); 6] = [
        ("closed", &|| Task::Close { capture: CAPTURE }),
        ("0.mp4.tus", &|| Task::NoteUrl { place, hint: hint() }),
        ("0.mp4.tus", &|| Task::NoteUrl { place, hint: None }),
        (".0.mp4.from", &|| Task::Rehash { place }),
        ("0.mp4.sent", &|| Task::Confirm { place }),
        ("0.mp4.evicted", &lost),
    ];
    for (part, task) in rows {
        let mut scene = Scene::new();
        scene.files.make_dir(&format!("spool/5.pir/{part}")).unwrap();
        let told = error_of(scene.spool.perform(task())).expect("it is in the way").to_string();
        let aside =
            format!("spool/5.pir/{part} is no part of a capture: it is refused/stray.5.pir.{part} now");
        assert!(told.ends_with(&aside), "{told}");
        assert!(error_of(scene.spool.perform(task())).is_none(), "{part}");
        assert_eq!(scene.names("refused"), [format!("stray.5.pir.{part}")]);
    }
}

/// The record has its next name, that could not be made durable, and a directory has come into its former place.
#[test]
fn a_directory_in_the_place_that_a_task_renames_from_is_put_aside_too() {
    let place = Place { capture: CAPTURE, seg_no: 0, container: Container::Mp4 };
    let mut scene = Scene::new();
    scene.files.rename("spool/5.pir/0.mp4.from", "spool/5.pir/0.mp4.sent").unwrap();
    scene.files.make_dir("spool/5.pir/0.mp4.from").unwrap();
    let told = error_of(scene.spool.perform(Task::Confirm { place })).expect("it is in the way");
    assert_eq!(told.kind(), io::ErrorKind::NotADirectory, "{told}");
    assert!(error_of(scene.spool.perform(Task::Confirm { place })).is_none());
    assert_eq!(scene.names("refused"), ["stray.5.pir.0.mp4.from"]);
}

#[test]
fn an_empty_directory_in_the_very_place_of_a_segment_refuses_it_once() {
    for part in ["1.mp4", ".1.mp4.tmp", "1.mp4.from", ".1.mp4.from"] {
        let mut scene = Scene::new();
        scene.files.make_dir(&format!("spool/5.pir/{part}")).unwrap();
        let mut keep = || {
            scene.files.camera_writes("pir.5.1.mp4", b"another".to_vec());
            scene.spool.perform(Task::Stage { path: "camera/pir.5.1.mp4".into() });
            let place = Place { capture: CAPTURE, seg_no: 1, container: Container::Mp4 };
            error_of(scene.spool.perform(Task::Keep { place, new_capture: None, copy: false }))
        };
        let refused = keep().expect("it is in the way");
        assert_eq!(refused.kind(), io::ErrorKind::IsADirectory, "nothing is left of the try: {refused}");
        assert!(keep().is_none(), "{part}");
        assert_eq!(scene.names("refused"), [format!("stray.5.pir.{part}")]);
    }
}

#[test]
fn a_start_puts_aside_what_is_beside_the_captures() {
    let mut scene = Scene::new();
    scene.put_dir("spool/.Trash");
    scene.put_file("spool/6.pir");
    assert_eq!(scene.restart().len(), 2);
    assert_eq!(scene.names("refused"), ["stray..Trash", "stray.6.pir"]);
    assert_eq!(scene.names("spool"), ["5.pir"]);
}

#[test]
fn a_start_puts_aside_a_directory_in_the_place_of_each_file_beside_the_spool() {
    for file in ["alarms", "lost.log", "lost.log.1", "state.json"] {
        let mut scene = Scene::new();
        scene.put_dir(file);
        let told = format!("{file} is a directory in the place of a file: it is refused/stray.{file} now");
        assert_eq!(scene.restart(), [told]);
        assert!(scene.holds(&format!("refused/stray.{file}/notes"), &format!("{file}/notes")));
        assert!(scene.restart().is_empty(), "{file} is out of the way");
    }
}

#[test]
fn what_was_put_aside_is_never_given_up_for_space() {
    let mut scene = Scene::new();
    scene.put_dir("spool/5.pir/thumbs");
    scene.forget();
    let found = Spool::new(scene.files.clone()).start(2);
    assert_eq!(found.refused, []);
}

#[test]
fn a_power_cut_at_any_call_loses_no_stray() {
    a_stray_outlives(|_| {});
}

#[test]
fn a_kill_at_any_call_loses_no_stray_to_a_later_power_cut() {
    a_stray_outlives(|scene| drop(scene.restart()));
}

/// An agent that ends at any call while it forgets the capture, this, and a power cut.
fn a_stray_outlives(meanwhile: impl Fn(&mut Scene)) {
    let (mut calls, mut is_over) = (0, false);
    while !is_over {
        for seed in 0..20 {
            let mut scene = Scene::seeded(seed);
            scene.put_dir("spool/5.pir/thumbs");
            scene.sync("spool/5.pir/thumbs");
            scene.files.sync_dir("spool/5.pir").unwrap();
            scene.files.0.borrow_mut().cut_in = Some(calls);
            scene.spool.perform(Task::Forget { capture: CAPTURE, delete_sources: false });
            is_over = !scene.files.0.borrow().is_cut;
            scene.files.mend();
            meanwhile(&mut scene);
            scene.files.power_up();
            scene.restart();
            let kept = ["refused/stray.5.pir.thumbs/notes", "spool/5.pir/thumbs/notes"];
            assert!(
                kept.iter().any(|path| scene.holds(path, "spool/5.pir/thumbs/notes")),
                "after {calls} calls, seed {seed}: {:?}",
                scene.files.contents("."),
            );
        }
        calls += 1;
    }
    assert!(calls > 5, "{calls}");
}

#[test]
fn a_stray_outlives_a_power_cut_where_refused_was_just_made() {
    for seed in 0..40 {
        let mut scene = Scene::seeded(seed);
        scene.put_dir("spool/5.pir/thumbs");
        scene.sync("spool/5.pir/thumbs");
        scene.files.sync_dir("spool/5.pir").unwrap();
        scene.files.remove_dir("refused").unwrap();
        scene.files.sync_dir(".").unwrap();
        scene.restart();
        scene.files.power_up();
        scene.restart();
        assert!(scene.holds("refused/stray.5.pir.thumbs/notes", "spool/5.pir/thumbs/notes"), "seed {seed}");
    }
}

#[test]
fn what_a_failed_try_left_under_a_second_name_goes_with_the_next() {
    let mut scene = Scene::new();
    scene.put_dir("spool/.gone.5.pir");
    scene.files.remove_dir("refused").unwrap();
    for call in 0.. {
        scene.files.0.borrow_mut().cut_in = Some(call);
        scene.spool.perform(Task::Forget { capture: CAPTURE, delete_sources: false });
        let is_over = !scene.files.0.borrow().is_cut;
        scene.files.mend();
        if is_over {
            break;
        }
    }
    assert_eq!(scene.names("spool"), [".gone.5.pir"]);
    assert_eq!(scene.names("spool/.gone.5.pir"), ["notes"]);
}

#[test]
fn a_file_in_place_of_the_dotted_name_is_left_to_the_next_start() {
    let mut scene = Scene::new();
    scene.put_file("spool/.gone.5.pir");
    assert_eq!(scene.forget(), Vec::<String>::new());
    assert_eq!(scene.names("spool"), [".gone.5.pir"]);
    scene.restart();
    assert_eq!(scene.names("refused"), ["stray..gone.5.pir"]);
}

#[test]
fn what_cannot_be_put_aside_stays_until_it_can() {
    let mut scene = Scene::new();
    scene.put_dir("spool/5.pir/thumbs");
    scene.files.remove_dir("refused").unwrap();
    let told = scene.forget();
    assert!(told[0].contains("can't be put aside"), "{told:?}");
    // The name is free all the same, and so is the one that the next capture gets when it goes.
    scene.files.make_dir("refused").unwrap();
    scene.keep();
    scene.files.remove_dir("refused").unwrap();
    scene.put_file("spool/5.pir/notes.txt");
    scene.forget();
    assert_eq!(scene.names("spool"), [".gone.5.pir", ".gone.5.pir.2"]);
    assert_eq!(scene.restart().len(), 2);
    assert_eq!(scene.names("refused"), ["stray.5.pir.2.notes.txt", "stray.5.pir.thumbs"]);
    assert!(scene.names("spool").is_empty());
}

#[test]
fn a_refused_segment_is_counted_under_the_name_that_it_got() {
    let mut scene = Scene::new();
    scene.put_file("refused/5.pir.0.mp4");
    let place = Place { capture: CAPTURE, seg_no: 0, container: Container::Mp4 };
    let reason = LostReason::Refused;
    let done = scene.spool.perform(Task::Lose { place, reason, why: "no".into(), unix: 1 });
    let Done::Lost { refused, result } = done else { panic!("{done:?}") };
    result.unwrap();
    assert_eq!(refused, Some(("refused/5.pir.0.mp4.2".to_owned(), 9)));
}
