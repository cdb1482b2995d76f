//! How fast and how far a segment goes: the rate of the day, and the budget of the month.

use super::{Act, Table, assert_as_before};
use crate::{
    acts::{BYTES, FIRST, SECOND},
    scene::{Scene, settings},
};
use cloudtalker::engine::{
    Input, Settings,
    rates::{DAY, Rate, Rates, Window},
    sight::BudgetSight,
    uploads::Answer,
};
use std::io::ErrorKind;

const TITLE: &str = "
# How fast and how far uploads go

With a budget of 100 MiB a month. Each state is reached anew for each input. Where the first column is empty the state
stays; where both are, nothing happens. `disk` is what a restart would begin with; an upload stops, or waits, when so many
bytes are spent as `let … bytes go` said last.
";
const MIB: u64 = 1 << 20;
const BUDGET: u64 = 100 * MIB;
/// Longer than a month.
const MONTH: u64 = 31 * 24 * 60 * 60;

#[test]
fn pace_is_as_it_was_looked_at() {
    assert_as_before("pace.txt", &Table { title: TITLE, states: states(), inputs: inputs(), state });
}

fn budget(bytes: u64) -> Settings {
    Settings { monthly_budget: Some(bytes), ..settings() }
}

/// Nothing is uploaded but for one minute a day, which is not now.
fn closed() -> Settings {
    let window = Window { from: 0, minutes: DAY - 1, rate: Rate::Nothing };
    Settings { rates: Rates::new(Rate::Unlimited, &[window]).unwrap(), ..budget(BUDGET) }
}

fn states() -> Vec<Act<'static>> {
    fn idle(scene: &mut Scene) {
        scene.tell(Input::Reload(budget(BUDGET)));
        scene.is_connected(r#"{"receipts":true}"#);
    }
    fn sending(scene: &mut Scene) {
        idle(scene);
        scene.takes(FIRST);
        scene.disk_works();
        scene.answered(201, Some(0));
        scene.disk_works();
    }
    fn sending_another(scene: &mut Scene) {
        sending(scene);
        scene.answered(204, Some(BYTES));
        scene.takes(SECOND);
        scene.answered(201, Some(0));
        scene.disk_works();
    }
    fn used_up(scene: &mut Scene) {
        sending(scene);
        scene.tell(Input::Metered(BUDGET));
        scene.tell(Input::UploadAnswered(Answer::Abandoned));
        scene.disk_works();
    }
    vec![
        ("idle", Box::new(idle)),
        (
            "a segment waits until the disk has the count",
            Box::new(|scene| {
                idle(scene);
                scene.is_given(FIRST);
                scene.disk_does_one();
                scene.disk_does_one();
            }),
        ),
        ("a first segment is being sent", Box::new(sending)),
        (
            "a first segment is being sent, and the disk is to write the next step",
            Box::new(|scene| {
                sending(scene);
                scene.tell(Input::Metered(MIB));
            }),
        ),
        ("another segment is being sent", Box::new(sending_another)),
        (
            "nine tenths are spent, another segment is owed",
            Box::new(|scene| {
                sending_another(scene);
                scene.tell(Input::Metered(90 * MIB));
                scene.tell(Input::UploadAnswered(Answer::Abandoned));
                scene.disk_works();
            }),
        ),
        ("all is spent, a first segment is owed", Box::new(used_up)),
        (
            "a time of day when nothing is uploaded, a first segment is owed",
            Box::new(|scene| {
                scene.tell(Input::Reload(closed()));
                scene.is_connected(r#"{"receipts":true}"#);
                scene.takes(FIRST);
            }),
        ),
    ]
}

fn inputs() -> Vec<Act<'static>> {
    fn metered(name: &'static str, total: u64) -> Act<'static> {
        (name, Box::new(move |scene| scene.tell(Input::Metered(total))))
    }
    fn reload(name: &'static str, settings: fn() -> Settings) -> Act<'static> {
        (name, Box::new(move |scene| scene.tell(Input::Reload(settings()))))
    }
    fn clock(name: &'static str, clock: fn(u64) -> u64) -> Act<'static> {
        let act = move |scene: &mut Scene| {
            scene.clock = clock(scene.clock);
            scene.tell(Input::Wake);
        };
        (name, Box::new(act))
    }
    vec![
        metered("1,000,000 bytes have gone", 1_000_000),
        metered("90 MiB have gone", 90 * MIB),
        metered("100 MiB have gone", BUDGET),
        ("the disk does what is next", Box::new(Scene::disk_does_one)),
        ("the disk fails at it", Box::new(|scene| scene.disk_fails(ErrorKind::StorageFull))),
        (
            "a first segment is handed over",
            Box::new(|scene| {
                scene.takes("pir.36.0.mp4");
            }),
        ),
        ("the upload is given up", Box::new(|scene| scene.tell(Input::UploadAnswered(Answer::Abandoned)))),
        clock("the clock is in the next month", |clock| clock + MONTH),
        clock("the clock is in the month before", |clock| clock - MONTH),
        reload("read again: 200 MiB", || budget(2 * BUDGET)),
        reload("read again: 1 MiB", || budget(MIB)),
        reload("read again: no budget", settings),
        reload("read again: nothing is uploaded at this time of day", closed),
        ("asked to stop", Box::new(|scene| scene.tell(Input::Stop))),
    ]
}

/// What counts in the month that counts, and what would after a restart.
fn state(scene: &Scene) -> String {
    let BudgetSight { spent, on_disk, is_on_credit } = scene.engine.sight().budget;
    let (month, bytes) = spent.expect("the month is known");
    let on_disk = on_disk.map_or("nothing".into(), |(month, bytes)| format!("{bytes} in {month}"));
    format!("{bytes} in {month}, {} {on_disk}", if is_on_credit { "on credit, disk:" } else { "disk:" })
}
