//! How fast uploads go, and how far: rates by the time of day, and a month's budget, whatever the clock says.

use crate::scene::{CLOCK, Scene, settings};
use cloudtalker::engine::{
    Input, Output, Pace, Remembered, Settings,
    budget::LEAST,
    calendar::Zone,
    event::Event,
    rates::{Rate, Rates, Window},
    spool::{Done, Task},
    uploads::{Answer, Request},
};
use std::{io, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const MIB: u64 = LEAST;
const BUDGET: u64 = 100 * MIB;
/// 2026-11-30T23:59:00Z.
const MONTHS_END: u64 = 1_796_083_140;
/// In the same month.
const BUILT: u64 = 1_794_000_000;
/// In November of 2036.
const FUTURE: u64 = 2_110_000_000;

fn minute(text: &str) -> u16 {
    let (hour, minute) = text.split_once(':').unwrap();
    60 * hour.parse::<u16>().unwrap() + minute.parse::<u16>().unwrap()
}

/// So many bytes a second from one time of the day until another, and no limit else.
fn limited(from: &str, until: &str, bytes: u64) -> Settings {
    let window = Window { from: minute(from), minutes: minute(until) - minute(from), rate: Rate::of(bytes) };
    let rates = Rates::new(Rate::Unlimited, &[window]).unwrap();
    Settings { rates, earliest_time: BUILT, ..settings() }
}

fn budget(bytes: u64) -> Settings {
    Settings { monthly_budget: Some(bytes), earliest_time: BUILT, latest_time: u64::MAX, ..settings() }
}

impl Scene {
    /// With a budget and a session, at this time.
    fn with_budget(bytes: u64, clock: u64) -> Scene {
        let mut scene = Scene::started(clock, budget(bytes), Remembered::default());
        scene.connects(Some(clock));
        scene
    }

    /// A segment of ten bytes on its way: the first part of it goes now.
    fn sends(&mut self, name: &str) {
        self.keep(name);
        self.settle_chores();
        self.answer(201, Some(0), None);
        assert!(matches!(self.requests().last(), Some(Request::Send { .. })), "{:?}", self.requests());
        self.outputs.clear();
    }

    /// A segment of this size is handed over and kept, and what the disk is to do is done.
    fn keeps(&mut self, name: &str, bytes: u64) {
        let kept = self.stage(name, bytes);
        self.tell(Input::DiskDone(Done::Kept(Ok(kept))));
        self.settle_chores();
    }

    fn is_answered(&mut self, answer: Answer) {
        self.tell(Input::UploadAnswered(answer));
    }

    /// What the worker was told last.
    fn pace(&self) -> Option<Pace> {
        let pace = |output: &Output| if let Output::Pace(pace) = output { Some(*pace) } else { None };
        self.outputs.iter().rev().find_map(pace)
    }

    fn abandons(&self) -> usize {
        self.outputs.iter().filter(|output| matches!(output, Output::AbandonUpload)).count()
    }

    /// Which segments were begun, by capture and number.
    fn begun(&self) -> Vec<String> {
        let segment = |request: &&Request| match request {
            Request::Create { metadata, .. } => Some(metadata.filename.clone()),
            Request::Ask { .. } | Request::Send { .. } => None,
        };
        self.requests().iter().filter_map(segment).collect()
    }

    fn told(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        let outputs = self.outputs.iter();
        outputs.filter(|output| matches!(output, Output::Event(event) if is_it(event))).count()
    }

    /// What the disk was asked to remember last.
    fn remembered(&self) -> Option<Remembered> {
        self.outputs.iter().rev().find_map(|output| match output {
            Output::Disk(Task::Remember(remembered)) => Some(remembered.clone()),
            _ => None,
        })
    }

    fn spent(&mut self) -> u64 {
        self.status()["budget"]["spent"].as_u64().unwrap()
    }

    fn month(&mut self) -> String {
        self.status()["budget"]["month"].as_str().unwrap_or("unknown").to_owned()
    }
}

#[test]
fn a_rate_changes_at_the_minute_in_the_middle_of_an_upload() {
    let settings = limited("06:00", "24:00", 65_536);
    let mut scene = Scene::started(MONTHS_END, settings, Remembered::default());
    assert_eq!(scene.pace(), Some(Pace { rate: Rate::AtMost(65_536), bytes: None }));
    scene.connects(None);
    scene.sends("pir.5.0.mp4");
    scene.pass(MINUTE - Duration::from_secs(1));
    assert_eq!(scene.pace(), None);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.pace(), Some(Pace::default()));
    assert_eq!((scene.abandons(), scene.requests().len()), (0, 0));
}

#[test]
fn nothing_goes_in_a_window_of_nothing_and_all_goes_on_after_it() {
    let settings = limited("23:59", "24:00", 0);
    let mut scene = Scene::started(MONTHS_END - 30, settings, Remembered::default());
    scene.connects(None);
    scene.sends("pir.5.0.mp4");
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.pace().map(|pace| pace.rate), Some(Rate::Nothing));
    assert_eq!(scene.abandons(), 1);
    scene.is_answered(Answer::Abandoned);
    scene.keep("pir.6.0.mp4");
    scene.pass(MINUTE - Duration::from_secs(1));
    assert!(scene.requests().is_empty(), "{:?}", scene.requests());
    scene.pass(Duration::from_secs(1));
    assert!(matches!(scene.requests()[..], [Request::Ask { .. }]), "{:?}", scene.requests());
}

#[test]
fn an_alarm_goes_in_a_window_of_nothing() {
    let mut scene = Scene::started(MONTHS_END, limited("23:00", "24:00", 0), Remembered::default());
    scene.connects(None);
    scene.outputs.clear();
    scene.raises_an_alarm();
    assert!(scene.says_an_alarm(), "{:?}", scene.outputs);
}

#[test]
fn a_time_that_nobody_knows_has_the_lowest_rate_until_a_server_tells_it() {
    for (date, rate) in [(MONTHS_END, Rate::AtMost(7)), (MONTHS_END - 3 * 3600, Rate::Unlimited)] {
        let mut scene = Scene::started(35, limited("23:00", "24:00", 7), Remembered::default());
        assert_eq!(scene.pace().map(|pace| pace.rate), Some(Rate::AtMost(7)));
        let status = scene.status()["rate"].clone();
        assert_eq!((&status["bytes_per_second"], &status["is_timely"]), (&7.into(), &false.into()));
        scene.connects(Some(date));
        let status = scene.status()["rate"].clone();
        assert_eq!((&status["bytes_per_second"], &status["is_timely"]), (&rate.bytes().into(), &true.into()));
    }
}

#[test]
fn a_server_is_believed_and_not_a_clock_that_contradicts_it() {
    let mut scene = Scene::started(MONTHS_END, limited("23:00", "24:00", 7), Remembered::default());
    scene.connects(Some(MONTHS_END));
    for (clock, rate) in [
        (MONTHS_END - 86_400, Some(7)),
        (FUTURE, Some(7)),
        (35, Some(7)),
        // So little is no contradiction, and the owner's own clock counts.
        (MONTHS_END + 120, None),
    ] {
        scene.clock = clock;
        assert_eq!(scene.status()["rate"]["bytes_per_second"], serde_json::json!(rate), "{clock}");
    }
}

#[test]
fn a_server_that_was_ahead_once_stops_no_month_from_beginning() {
    const AHEAD: u64 = MONTHS_END + 100 * 86_400;
    const MENDED: u64 = MONTHS_END + 3600;
    let mut scene = Scene::started(MONTHS_END, budget(BUDGET), Remembered::default());
    scene.connects(Some(AHEAD));
    scene.settle_chores();
    let remembered = scene.remembered().unwrap();
    assert_eq!((scene.month().as_str(), remembered.good_time), ("2027-03", Some(AHEAD)));
    scene.clock = MENDED;
    scene.connects(Some(MENDED));
    assert_eq!(scene.month(), "2026-12");
    // A board without a clock of its own can't tell which of the two was wrong.
    for (clock, month) in [(MENDED, "2026-12"), (35, "unknown")] {
        let mut next = Scene::started(clock, budget(BUDGET), remembered.clone());
        next.connects(Some(MENDED));
        assert_eq!(next.month(), month, "{clock}");
    }
}

#[test]
fn where_clocks_are_changed_the_rate_follows_them() {
    // In Central Europe clocks show 02:00 at 00:00Z, and 02:00 once more at 01:00Z.
    let back = 1_792_890_000;
    let zone = Zone::new(7200, vec![(back, 3600)]);
    let settings = Settings { zone, earliest_time: 0, ..limited("02:30", "03:00", 7) };
    let mut scene = Scene::started(back - 7200, settings, Remembered::default());
    let mut changes = Vec::new();
    while scene.now < Duration::from_secs(4 * 3600) {
        scene.outputs.clear();
        scene.pass_unanswered(MINUTE);
        changes.extend(scene.pace().map(|pace| (scene.now.as_secs() / 60, pace.rate.bytes())));
    }
    assert_eq!(changes, [(90, Some(7)), (120, None), (150, Some(7)), (180, None)]);
}

#[test]
fn no_byte_goes_before_the_disk_has_its_count() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.settle_chores();
    scene.keep("pir.5.0.mp4");
    assert!(scene.requests().is_empty(), "{:?}", scene.requests());
    let spent = serde_json::to_value(scene.remembered().unwrap().spent).unwrap();
    assert_eq!(spent["month"], "2026-11");
    let on_disk = spent["months"]["2026-11"].as_u64().unwrap();
    scene.settle_chores();
    assert_eq!(scene.requests().len(), 1);
    let mark = scene.pace().unwrap().bytes.unwrap();
    assert!(mark < on_disk && on_disk <= 2 * MIB, "{mark} of {on_disk}");
}

#[test]
fn the_count_is_written_ahead_in_the_midst_of_an_upload() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.sends("pir.5.0.mp4");
    let (mut writes, mut most) = (0, 0);
    for total in (0..=60 * MIB).step_by(100_000) {
        scene.outputs.clear();
        scene.tell(Input::Metered(total));
        writes += usize::from(scene.remembered().is_some());
        scene.settle_chores();
        most = scene.pace().and_then(|pace| pace.bytes).map_or(most, |mark| most.max(mark));
    }
    assert_eq!(scene.abandons(), 0);
    assert!((60..=130).contains(&writes), "{writes} writes");
    assert!(most > 60 * MIB, "{most}");
}

#[test]
fn a_budget_that_is_used_up_stops_uploads_until_the_month_ends() {
    let mut scene = Scene::with_budget(BUDGET, MONTHS_END - 600);
    scene.sends("pir.5.0.mp4");
    scene.tell(Input::Metered(BUDGET - 65_536));
    assert_eq!((scene.abandons(), scene.told(|event| matches!(event, Event::BudgetUsedUp { .. }))), (1, 1));
    scene.is_answered(Answer::Abandoned);
    scene.keep("pir.6.0.mp4");
    scene.settle_chores();
    scene.pass(11 * MINUTE - Duration::from_secs(1));
    scene.settle_chores();
    assert!(scene.requests().is_empty(), "{:?}", scene.requests());
    assert_eq!((scene.warnings(), scene.status()["budget"]["standing"].as_str()), (1, Some("used_up")));
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.told(|event| matches!(event, Event::BudgetAnew(_))), 1);
    scene.settle_chores();
    assert!(matches!(scene.requests()[..], [Request::Ask { .. }]), "{:?}", scene.requests());
    assert_eq!((scene.month(), scene.spent()), ("2026-12".to_owned(), 0));
}

#[test]
fn the_last_tenth_goes_to_first_segments() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.keep("pir.5.0.mp4");
    scene.keep("pir.5.1.mp4");
    scene.settle_chores();
    scene.answer(201, Some(10), None);
    scene.answer(201, Some(0), None);
    assert_eq!(scene.begun(), ["pir.5.0.mp4", "pir.5.1.mp4"]);
    scene.outputs.clear();
    // The second one is in the midst of it when nine tenths are spent.
    scene.tell(Input::Metered(BUDGET / 10 * 9));
    assert_eq!((scene.abandons(), scene.told(|event| matches!(event, Event::BudgetShort { .. }))), (1, 1));
    scene.is_answered(Answer::Abandoned);
    scene.settle_chores();
    assert_eq!(scene.begun(), [""; 0]);
    scene.keep("pir.6.1.mp4");
    scene.keep("pir.7.0.mp4");
    scene.settle_chores();
    // What has the lowest number of its capture is its first.
    assert_eq!(scene.begun(), ["pir.6.1.mp4"]);
    scene.answer(201, Some(10), None);
    assert_eq!(scene.begun(), ["pir.6.1.mp4", "pir.7.0.mp4"]);
    assert_eq!(scene.warnings(), 1);
}

#[test]
fn where_more_is_owed_than_is_left_first_segments_go_before_others() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    for (name, bytes) in [("pir.5.0.mp4", 10), ("pir.5.1.mp4", 60 * MIB), ("pir.6.0.mp4", 60 * MIB)] {
        scene.keeps(name, bytes);
    }
    assert_eq!(scene.status()["budget"]["standing"], "short");
    scene.answer(201, Some(10), None);
    scene.answer(201, Some(60 * MIB), None);
    assert_eq!(scene.begun(), ["pir.5.0.mp4", "pir.6.0.mp4", "pir.5.1.mp4"]);
    assert_eq!(scene.status()["budget"]["standing"], "ample");
}

#[test]
fn what_has_gone_of_a_segment_is_not_owed_once_more() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.keeps("pir.5.0.mp4", 60 * MIB);
    scene.answer(201, Some(0), None);
    let standing = |scene: &mut Scene| scene.status()["budget"]["standing"].as_str().unwrap().to_owned();
    for mib in (0..=50).step_by(10) {
        scene.tell(Input::UploadProgress(mib * MIB));
        scene.tell(Input::Metered(mib * MIB + MIB));
        scene.settle_chores();
        assert_eq!(standing(&mut scene), "ample", "{mib} MiB have gone");
    }
    // Nor where the link breaks, and something else goes while the rest waits.
    scene.is_answered(Answer::Broken("the link broke".into()));
    scene.keep("pir.6.0.mp4");
    scene.settle_chores();
    assert_eq!((standing(&mut scene).as_str(), scene.warnings()), ("ample", 1));
    assert_eq!(scene.told(|event| matches!(event, Event::UploadFailed { .. })), 1);
    // All of it, where the server has lost it.
    scene.pass(MINUTE);
    scene.answer(404, None, None);
    assert_eq!(standing(&mut scene), "short");
}

impl Scene {
    /// The second segment of a capture is on its way, of which ten MiB have gone and this much is left.
    fn sends_a_second_one(&mut self, left: u64) {
        self.sends("pir.5.0.mp4");
        self.answer(204, Some(10), None);
        self.keeps("pir.5.1.mp4", 10 * MIB + left);
        self.answer(201, Some(0), None);
        self.tell(Input::UploadProgress(10 * MIB));
        self.tell(Input::Metered(10 * MIB));
        self.settle_chores();
        self.outputs.clear();
    }

    /// It goes on where it was stopped.
    fn goes_on_with_the_second_one(&mut self) {
        assert!(matches!(self.requests().last(), Some(Request::Ask { .. })), "{:?}", self.requests());
        self.answer(200, Some(10 * MIB), None);
        let offset = |request: &&Request| match request {
            Request::Send { offset, .. } => Some(*offset),
            Request::Create { .. } | Request::Ask { .. } => None,
        };
        assert_eq!(self.requests().last().and_then(offset), Some(10 * MIB));
    }
}

#[test]
fn where_the_budget_is_short_a_first_segment_goes_before_one_that_is_under_way() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.sends_a_second_one(100 * MIB);
    scene.keep("pir.5.2.mp4");
    assert_eq!(scene.abandons(), 0, "it is no first one");
    scene.keep("pir.6.0.mp4");
    scene.keep("pir.7.0.mp4");
    scene.settle_chores();
    assert_eq!(scene.abandons(), 1);
    scene.is_answered(Answer::Abandoned);
    scene.answer(201, Some(10), None);
    scene.answer(201, Some(10), None);
    assert_eq!(scene.begun(), ["pir.6.0.mp4", "pir.7.0.mp4"]);
    scene.goes_on_with_the_second_one();
    assert_eq!(scene.abandons(), 1);
}

#[test]
fn where_the_rest_fits_nothing_is_stopped_for_a_first_segment() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.sends_a_second_one(80 * MIB);
    scene.keep("pir.6.0.mp4");
    scene.settle_chores();
    assert_eq!((scene.abandons(), scene.requests().len()), (0, 0));
}

#[test]
fn a_first_segment_that_failed_stops_another_only_when_it_is_due_again() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.sends_a_second_one(100 * MIB);
    scene.keep("pir.6.0.mp4");
    scene.settle_chores();
    scene.is_answered(Answer::Abandoned);
    // The server asks for so much patience with all of them, and then both are due.
    scene.answer(503, None, Some(30));
    scene.outputs.clear();
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.begun(), ["pir.6.0.mp4"]);
    let mut stops = 0;
    for _ in 0..10 {
        scene.answer(503, None, None);
        scene.outputs.clear();
        for _ in 0..700 {
            scene.pass(Duration::from_secs(1));
            if matches!(scene.requests().last(), Some(Request::Ask { .. })) && scene.abandons() == 0 {
                scene.goes_on_with_the_second_one();
            }
            if scene.abandons() > 0 {
                stops += 1;
                scene.is_answered(Answer::Abandoned);
                break;
            }
            if !scene.begun().is_empty() {
                break;
            }
        }
        assert_eq!(scene.begun(), ["pir.6.0.mp4"]);
    }
    assert!((1..=10).contains(&stops), "{stops}");
    scene.answer(201, Some(10), None);
    scene.goes_on_with_the_second_one();
}

#[test]
fn a_power_cut_can_only_make_the_count_too_large() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.keep("pir.5.0.mp4");
    scene.settle_chores();
    scene.answer(201, Some(0), None);
    let (mut on_disk, mut total, mut mark) = (scene.remembered(), 0, scene.pace().unwrap().bytes.unwrap());
    while total < 20 * MIB {
        // As much as may go while the disk still writes, and then the power is cut.
        total = (total + 300_000).min(mark);
        scene.tell(Input::Metered(total));
        let mut next = Scene::started(CLOCK, budget(BUDGET), on_disk.clone().unwrap());
        let counted = next.spent();
        assert!((total..=total + 2 * MIB).contains(&counted), "{counted} for {total}");
        scene.settle_chores();
        on_disk = scene.remembered();
        mark = scene.pace().unwrap().bytes.unwrap();
    }
}

#[test]
fn a_power_cut_costs_a_small_budget_a_small_part() {
    for limit in [MIB, 3 * MIB, 16 * MIB] {
        let mut remembered = Remembered::default();
        let (mut crossed, mut counted) = (0, 0);
        for cuts in 1..=6 {
            let mut scene = Scene::started(CLOCK, budget(limit), remembered);
            scene.connects(Some(CLOCK));
            scene.settle_chores();
            counted = scene.spent();
            assert!(
                counted - crossed <= (cuts - 1) * (limit / 16 + 65_536),
                "{counted} for {crossed} of {limit}"
            );
            scene.keep("pir.5.0.mp4");
            scene.settle_chores();
            scene.answer(201, Some(0), None);
            // A little of it goes, and then the power is cut.
            crossed += 1_000;
            scene.tell(Input::Metered(1_000));
            scene.settle_chores();
            remembered = scene.remembered().unwrap_or_else(|| panic!("nothing was written of {limit}"));
        }
        assert!(counted < limit, "{counted} of {limit}");
    }
}

#[test]
fn a_stop_leaves_the_count_to_the_byte() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.sends("pir.5.0.mp4");
    scene.tell(Input::Metered(12_345));
    scene.tell(Input::Stop);
    scene.tell(Input::Metered(12_399));
    scene.is_answered(Answer::Abandoned);
    scene.settle_chores();
    let mut next = Scene::started(CLOCK, budget(BUDGET), scene.remembered().unwrap());
    assert_eq!(next.spent(), 12_399);
}

#[test]
fn a_stop_without_a_session_waits_for_the_count() {
    let settings = Settings { uploads_elsewhere: true, ..budget(BUDGET) };
    let mut scene = Scene::started(CLOCK, settings, Remembered::default());
    scene.settle_chores();
    scene.sends("pir.5.0.mp4");
    scene.tell(Input::Stop);
    assert!(!scene.is_finished(), "the upload is to say what it took");
    scene.tell(Input::Metered(12_399));
    scene.is_answered(Answer::Abandoned);
    assert!(!scene.is_finished(), "the disk is to have it");
    scene.settle_chores();
    assert!(scene.is_finished());
    let mut next = Scene::started(CLOCK, budget(BUDGET), scene.remembered().unwrap());
    assert_eq!(next.spent(), 12_399);
}

#[test]
fn nothing_is_written_while_nothing_is_uploaded() {
    let mut scene = Scene::with_budget(BUDGET, MONTHS_END - 3600);
    scene.settle_chores();
    scene.outputs.clear();
    scene.pass_unanswered(Duration::from_secs(40 * 86_400));
    assert!(!scene.outputs.iter().any(|output| matches!(output, Output::Disk(_))), "{:?}", scene.outputs);
}

#[test]
fn a_clock_that_comes_and_goes_neither_resets_the_count_nor_blocks_for_years() {
    let mut scene = Scene::started(35, budget(BUDGET), Remembered::default());
    scene.connects(None);
    scene.sends("pir.5.0.mp4");
    scene.tell(Input::Metered(10 * MIB));
    assert_eq!((scene.month(), scene.spent()), ("unknown".into(), 10 * MIB));
    for (clock, month, mib) in [
        // The first month that is known has all that was counted before.
        (MONTHS_END, "2026-11", 10),
        (35, "2026-11", 10),
        (FUTURE, "2036-11", 0),
        (MONTHS_END, "2026-11", 10),
        (MONTHS_END + 3600, "2026-12", 0),
        // As time services do it at midnight.
        (MONTHS_END, "2026-11", 10),
        (MONTHS_END + 3600, "2026-12", 0),
    ] {
        scene.clock = clock - scene.now.as_secs().min(clock);
        assert_eq!((scene.month(), scene.spent()), (month.into(), mib * MIB), "{clock}");
    }
}

#[test]
fn what_was_spent_in_a_future_that_was_none_counts_for_the_present() {
    let mut scene = Scene::started(MONTHS_END, budget(BUDGET), Remembered::default());
    scene.connects(None);
    scene.sends("pir.5.0.mp4");
    scene.tell(Input::Metered(10 * MIB));
    scene.clock = FUTURE;
    scene.tell(Input::Wake);
    scene.tell(Input::Metered(15 * MIB));
    assert_eq!((scene.month(), scene.spent()), ("2036-11".into(), 5 * MIB));
    // Not even a restart forgets the month in which that began.
    scene.settle_chores();
    let mut next = Scene::started(MONTHS_END, budget(BUDGET), scene.remembered().unwrap());
    assert_eq!(next.month(), "2026-11");
    assert!(next.spent() >= 15 * MIB, "{}", next.spent());
    scene.clock = MONTHS_END;
    assert_eq!((scene.month(), scene.spent()), ("2026-11".into(), 15 * MIB));
}

#[test]
fn a_disk_that_cannot_be_written_stops_no_upload() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.settle_chores();
    scene.keep("pir.5.0.mp4");
    scene.tell(Input::DiskDone(Done::Settled(Err(io::ErrorKind::StorageFull.into()))));
    assert_eq!(scene.requests().len(), 1);
    scene.answer(201, Some(0), None);
    scene.tell(Input::Metered(50 * MIB));
    assert_eq!(scene.abandons(), 0);
    scene.tell(Input::Metered(BUDGET));
    assert_eq!(scene.abandons(), 1);
}

#[test]
fn another_budget_counts_at_once() {
    let mut scene = Scene::with_budget(BUDGET, CLOCK);
    scene.sends("pir.5.0.mp4");
    scene.tell(Input::Metered(50 * MIB));
    scene.settle_chores();
    scene.outputs.clear();
    scene.tell(Input::Reload(budget(50 * MIB)));
    assert_eq!((scene.abandons(), scene.told(|event| matches!(event, Event::BudgetUsedUp { .. }))), (1, 1));
    scene.is_answered(Answer::Abandoned);
    scene.outputs.clear();
    scene.tell(Input::Reload(budget(60 * MIB)));
    scene.connects(None);
    scene.settle_chores();
    assert!(matches!(scene.requests()[..], [Request::Ask { .. }]), "{:?}", scene.requests());
    assert_eq!(scene.spent(), 50 * MIB);
    scene.outputs.clear();
    scene.tell(Input::Reload(settings()));
    assert_eq!(scene.pace(), Some(Pace::default()));
    assert!(scene.status()["budget"].is_null());
}
