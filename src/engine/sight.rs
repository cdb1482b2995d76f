//! What the engine makes of the world, for whoever looks at it from outside: the state tables.

use super::{Engine, calendar::Month};
pub use super::{capture::Standing, session::Phase};

/// What can be seen of an engine.
#[derive(Debug)]
pub struct Sight {
    /// How far the session with the cloud is.
    pub phase: Phase,
    /// Whether it was asked to stop.
    pub is_stopping: bool,
    /// Every capture, by name, until the disk has forgotten it, too.
    pub captures: Vec<CaptureSight>,
    /// What uploads have put on the wire.
    pub budget: BudgetSight,
}

/// A capture.
#[derive(Debug)]
pub struct CaptureSight {
    /// How many local programs hold it open.
    pub sources: u32,
    /// Whether it is owed no longer.
    pub is_forgotten: bool,
    /// In which session the cloud was told its end, and at which version of its list.
    pub end_said: Option<(u32, u32)>,
    /// Its segments, by number.
    pub segments: Vec<SegmentSight>,
}

/// A segment of it.
#[derive(Debug)]
pub struct SegmentSight {
    /// Where it stands.
    pub standing: Standing,
    /// Whether an upload of it was made.
    pub has_upload: bool,
    /// How often in a row it failed.
    pub failures: u8,
}

/// The month that counts, and the bytes that count in it; `None` where no month is known.
#[derive(Debug)]
pub struct BudgetSight {
    /// As it is.
    pub spent: Option<(Month, u64)>,
    /// As a restart would find it.
    pub on_disk: Option<(Month, u64)>,
    /// Whether the disk could not be written lately.
    pub is_on_credit: bool,
}

impl Engine {
    /// What can be seen of it now.
    pub fn sight(&self) -> Sight {
        let captures = self.captures.names().into_iter().filter_map(|name| self.captures.at(name));
        let captures = captures.map(|capture| CaptureSight {
            sources: capture.sources,
            is_forgotten: capture.forgotten,
            end_said: capture.end_said.map(|said| (said.epoch, said.version)),
            segments: capture
                .segments
                .iter()
                .map(|segment| SegmentSight {
                    standing: segment.standing,
                    has_upload: segment.upload.is_some(),
                    failures: segment.retry.as_ref().map_or(0, |retry| retry.failures),
                })
                .collect(),
        });
        Sight {
            phase: self.session.phase,
            is_stopping: self.stopping,
            captures: captures.collect(),
            budget: self.budget.sight(),
        }
    }
}
