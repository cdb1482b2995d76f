//! A life, drawn from its seed: what kind of board it is, and what it does and suffers, one operation after the other.
//!
//! Each operation has chance of its own, so that leaving one out changes little of the others: that is what makes a
//! failure shrink.

use cloudtalker::engine::rng::Rng;
use std::fmt;

/// How many operations a life has.
pub const OPERATIONS: u32 = 200;

/// A whole life.
#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    /// Another chance for the same operations.
    pub salt: u64,
    pub board: Kind,
    pub operations: Vec<Operation>,
}

/// What the owner and the cloud decided before it began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kind {
    /// A quota that will not do.
    pub tight: bool,
    /// A small disk, of which the owner wants some to stay free; the camera keeps few files of its own.
    pub scarce: bool,
    /// Segments are copied, even where a link would do.
    pub copies: bool,
    /// The camera's own files go once their capture is confirmed.
    pub deletes_uploaded: bool,
    /// The cloud gives no receipts, as the original one.
    pub without_receipts: bool,
    /// Uploads go to a place of the owner's.
    pub uploads_elsewhere: bool,
    /// A budget that will not do for a month.
    pub budgeted: bool,
    /// At some times of the day nothing is uploaded, at others slowly.
    pub windowed: bool,
    /// The cloud does not tell such a board the time.
    pub dateless: bool,
}

impl Kind {
    /// Whether it matters what time of day and what month it is.
    pub fn has_a_calendar(&self) -> bool {
        self.budgeted || self.windowed
    }

    /// Whether it knows the time as soon as it may upload, whatever its clock says.
    pub fn is_told_the_time(&self) -> bool {
        !self.dateless && !self.uploads_elsewhere
    }
}

/// Something that happens.
#[derive(Clone, Copy)]
pub struct Operation {
    pub number: u32,
    pub act: Act,
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    CameraRecords,
    CameraRepeats,
    CameraRewrites,
    SensorAlarms,
    CloudArms,
    CloudWantsACapture,
    CloudRestarts,
    CloudForgetsUploads,
    StrayAppears,
    LinkBreaks,
    LinkStalls,
    LinkResumes,
    PowerCut,
    Kill,
    Restart,
    Reload,
    CallsFail,
    DiskIsFull,
    DiskIsReadOnly,
    DescriptorsRunOut,
    SyncsTakeSeconds,
    DiskHeals,
    ClockJumps,
}

/// How often each happens.
const WEIGHTS: [(Act, u64); 23] = [
    (Act::CameraRecords, 56),
    (Act::CameraRepeats, 8),
    (Act::CameraRewrites, 8),
    (Act::SensorAlarms, 8),
    (Act::CloudArms, 6),
    (Act::CloudWantsACapture, 8),
    (Act::CloudRestarts, 4),
    (Act::CloudForgetsUploads, 6),
    (Act::StrayAppears, 4),
    (Act::LinkBreaks, 5),
    (Act::LinkStalls, 5),
    (Act::LinkResumes, 5),
    (Act::PowerCut, 12),
    (Act::Kill, 7),
    (Act::Restart, 2),
    (Act::Reload, 2),
    (Act::CallsFail, 4),
    (Act::DiskIsFull, 2),
    (Act::DiskIsReadOnly, 2),
    (Act::DescriptorsRunOut, 2),
    (Act::SyncsTakeSeconds, 2),
    (Act::DiskHeals, 10),
    (Act::ClockJumps, 6),
];

impl Plan {
    /// The life of this seed.
    pub fn of_seed(seed: u64) -> Plan {
        let mut rng = Rng::new(seed);
        // Chance of its own: the lives of all other boards stay as they were.
        let mut calendar = Rng::new(!seed);
        let board = Kind {
            tight: rng.bits().is_multiple_of(4),
            scarce: rng.bits().is_multiple_of(4),
            copies: rng.bits().is_multiple_of(4),
            deletes_uploaded: rng.bits().is_multiple_of(2),
            without_receipts: rng.bits().is_multiple_of(8),
            uploads_elsewhere: rng.bits().is_multiple_of(8),
            budgeted: calendar.bits().is_multiple_of(4),
            windowed: calendar.bits().is_multiple_of(4),
            dateless: calendar.bits().is_multiple_of(4),
        };
        let operation = |number| Operation { number, act: draw(&mut rng), seed: rng.bits() };
        Plan { seed, salt: 0, board, operations: (0..OPERATIONS).map(operation).collect() }
    }

    /// The same life with these operations alone.
    pub fn only(&self, operations: &[Operation], salt: u64) -> Plan {
        Plan { seed: self.seed, salt, board: self.board, operations: operations.to_vec() }
    }
}

/// How to see it again.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> =
            self.operations.iter().map(|operation| operation.number.to_string()).collect();
        let Plan { seed, salt, .. } = self;
        writeln!(
            f,
            "SIM_TRACE=1 SIM_SEED={seed} SIM_SALT={salt} SIM_OPERATIONS={} make replay",
            numbers.join(",")
        )?;
        writeln!(f, "  {:?}", self.board)?;
        self.operations
            .iter()
            .try_for_each(|Operation { number, act, .. }| writeln!(f, "  {number:>4} {act:?}"))
    }
}

#[test]
fn every_two_kinds_of_boards_meet() {
    let mut met = [[0; 9]; 9];
    for seed in 0..4_000 {
        let Kind { tight, scarce, copies, deletes_uploaded, without_receipts, uploads_elsewhere, .. } =
            Plan::of_seed(seed).board;
        let Kind { budgeted, windowed, dateless, .. } = Plan::of_seed(seed).board;
        let kinds = [
            tight,
            scarce,
            copies,
            deletes_uploaded,
            without_receipts,
            uploads_elsewhere,
            budgeted,
            windowed,
            dateless,
        ];
        for (one, row) in met.iter_mut().enumerate() {
            for (other, count) in row.iter_mut().enumerate() {
                *count += u32::from(kinds[one] && kinds[other]);
            }
        }
    }
    assert!(met.iter().flatten().all(|count| *count >= 20), "{met:?}");
}

fn draw(rng: &mut Rng) -> Act {
    let total = WEIGHTS.iter().map(|(_, weight)| weight).sum::<u64>();
    let mut left = rng.bits() % total;
    let drawn = WEIGHTS.into_iter().find(|(_, weight)| {
        let is_it = left < *weight;
        left = left.saturating_sub(*weight);
        is_it
    });
    drawn.unwrap().0
}
