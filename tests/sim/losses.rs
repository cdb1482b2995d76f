//! Segments that are given up: whoever looks for one finds out why, whatever fails and dies meanwhile.

use crate::{
    disk::{End, Trouble},
    strays::{CAPTURE, Scene},
};
use cloudtalker::{
    engine::spool::{Done, LostReason, Place, Task},
    wire::segment_name::Container,
};

const SEEDS: u64 = 300;

/// Gives up the scene's segment; whether that is done.
fn is_given_up(scene: &mut Scene, reason: LostReason) -> bool {
    let place = Place { capture: CAPTURE, seg_no: 0, container: Container::Mp4 };
    let done = scene.spool.perform(Task::Lose { place, reason, why: "no".into(), unix: 1 });
    let Done::Lost { result, .. } = done else { panic!("{done:?}") };
    result.is_ok()
}

#[test]
fn what_was_refused_has_its_reason_beside_it_after_a_power_cut() {
    let mut put_aside = 0;
    for calls in 0..30 {
        for seed in 0..SEEDS {
            let mut scene = Scene::seeded(seed);
            (scene.files.0.borrow_mut().cut_in, scene.files.0.borrow_mut().end) =
                (Some(calls), End::PowerCut);
            is_given_up(&mut scene, LostReason::Refused);
            scene.files.power_up();
            scene.files.mend();
            scene.restart();
            let names = scene.names("refused");
            if names.contains(&"5.pir.0.mp4".to_owned()) {
                put_aside += 1;
                let why = scene.files.file("refused/5.pir.0.mp4.why");
                assert!(
                    why.is_some_and(|(why, _)| why.as_slice() == b"no"),
                    "seed {seed}, {calls} calls: {names:?}"
                );
            }
        }
    }
    assert!(put_aside > SEEDS, "it was refused {put_aside} times");
}

#[test]
fn a_loss_that_was_noted_in_vain_is_noted_for_good_by_the_next_try() {
    let mut in_vain = 0;
    for seed in 0..10 * SEEDS {
        let mut scene = Scene::seeded(seed);
        scene.files.0.borrow_mut().trouble = Trouble { one_in: Some(4), all: None };
        in_vain += u64::from(!is_given_up(&mut scene, LostReason::Evicted));
        scene.files.0.borrow_mut().trouble = Trouble::default();
        assert!(is_given_up(&mut scene, LostReason::Evicted), "the disk has healed");
        scene.files.power_up();
        let (ledger, _) = scene.files.file("lost.log").unwrap_or_default();
        let ledger = String::from_utf8_lossy(&ledger);
        assert!(ledger.contains(r#""lost":"spool/5.pir/0.mp4""#), "seed {seed}: {ledger:?}");
    }
    assert!(in_vain > SEEDS, "it failed {in_vain} times");
}
