//! How much the engine holds in memory, which is to be bounded.

use super::Engine;

/// Counts of everything that the engine has many of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Decisions that the disk has still to carry out.
    pub chores: usize,
    /// Local programs.
    pub sources: usize,
    /// Segments that sources want to be taken in.
    pub wanted: usize,
    /// Captures, until the disk has forgotten them, too.
    pub captures: usize,
    /// Names of captures that can't be read, or may be there.
    pub unread: usize,
    /// Segments of all captures, wherever they stand.
    pub segments: usize,
    /// Alarms that are owed.
    pub alarms: usize,
    /// Alarms that are being written.
    pub unwritten_alarms: usize,
    /// Segments that the server refused, and that are still there.
    pub refused: usize,
    /// Wishes that are known again.
    pub wishes: usize,
}

impl Engine {
    /// What it holds now.
    pub fn load(&self) -> Load {
        let captures = self.captures.names();
        let segments = captures.iter().filter_map(|name| self.captures.at(*name));
        Load {
            chores: self.chores.count(),
            sources: self.sources.ids().len(),
            wanted: self.intake.waiting(),
            captures: captures.len(),
            unread: self.captures.unread_count(),
            segments: segments.map(|capture| capture.segments.len()).sum(),
            alarms: self.alarms.count(),
            unwritten_alarms: self.alarms.unwritten(),
            refused: self.room.refused_count(),
            wishes: self.remembered.requests.len(),
        }
    }
}
