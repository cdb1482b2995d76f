//! What goes wrong, and when. It is decided before an operation does anything.

use crate::rng::Rng;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// What a program asks of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Lookup,
    Facts,
    List,
    Open,
    Read,
    Space,
    Create,
    MakeDir,
    Link,
    Rename,
    Remove,
    RemoveDir,
    Write,
    Change,
    Sync,
    SyncDir,
}

/// What the disk answers instead of doing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    NoSpace,
    Broken,
    ReadOnly,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    Fails(Fault),
    /// The power is cut: nobody will ever hear of it.
    Dark,
}

/// What is to go wrong, and what has happened so far.
pub struct Faults {
    rng: Rng,
    power: Power,
    failing: Option<Failing>,
    /// How often each operation was asked for.
    pub counts: BTreeMap<Operation, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    On,
    /// So many changes more, and it is cut.
    Ends(u64),
    /// It was cut at this operation.
    Cut(Operation),
}

/// One in so many operations fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    pub fault: Fault,
    pub one_in: u64,
}

impl Faults {
    pub fn new(seed: u64) -> Faults {
        Faults { rng: Rng::new(seed), power: Power::On, failing: None, counts: BTreeMap::new() }
    }

    /// Cuts the power at a change or sync, after so many others.
    pub fn cut_after(&mut self, changes: u64) {
        self.power = Power::Ends(changes);
    }

    pub fn power_up(&mut self) {
        self.power = Power::On;
    }

    pub fn cut_at(&self) -> Option<Operation> {
        match self.power {
            Power::Cut(operation) => Some(operation),
            Power::On | Power::Ends(_) => None,
        }
    }

    pub fn set_failing(&mut self, failing: Option<Failing>) {
        self.failing = failing;
    }

    /// An operation begins.
    pub fn judge(&mut self, operation: Operation) -> Verdict {
        *self.counts.entry(operation).or_default() += 1;
        match self.power {
            Power::Ends(0) if operation.is_change() => self.power = Power::Cut(operation),
            Power::Ends(left) if operation.is_change() => self.power = Power::Ends(left - 1),
            Power::On | Power::Ends(_) | Power::Cut(_) => {}
        }
        if self.cut_at().is_some() {
            return Verdict::Dark;
        }
        match self.failing {
            Some(Failing { fault, one_in }) if fault.can_befall(operation) && self.rng.below(one_in) == 0 => {
                Verdict::Fails(fault)
            }
            Some(_) | None => Verdict::Done,
        }
    }
}

impl Operation {
    /// Whether a power cut before it and one after it differ.
    fn is_change(self) -> bool {
        match self {
            Operation::Lookup
            | Operation::Facts
            | Operation::List
            | Operation::Open
            | Operation::Read
            | Operation::Space => false,
            Operation::Create
            | Operation::MakeDir
            | Operation::Link
            | Operation::Rename
            | Operation::Remove
            | Operation::RemoveDir
            | Operation::Write
            | Operation::Change
            | Operation::Sync
            | Operation::SyncDir => true,
        }
    }
}

impl Fault {
    fn can_befall(self, operation: Operation) -> bool {
        let is_sync = matches!(operation, Operation::Sync | Operation::SyncDir);
        let gives_room = matches!(operation, Operation::Remove | Operation::RemoveDir);
        match self {
            Fault::Broken => true,
            Fault::ReadOnly => operation.is_change() && !is_sync,
            // A disk may find out as late as this that it has no room.
            Fault::NoSpace => operation.is_change() && !gives_room,
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(word: &str) -> Result<Fault, String> {
        match word {
            "ENOSPC" => Ok(Fault::NoSpace),
            "EIO" => Ok(Fault::Broken),
            "EROFS" => Ok(Fault::ReadOnly),
            other => Err(format!("expected ENOSPC, EIO or EROFS, got {other:?}")),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Operation::Lookup => "lookup",
            Operation::Facts => "facts",
            Operation::List => "list",
            Operation::Open => "open",
            Operation::Read => "read",
            Operation::Space => "space",
            Operation::Create => "create",
            Operation::MakeDir => "make_dir",
            Operation::Link => "link",
            Operation::Rename => "rename",
            Operation::Remove => "remove",
            Operation::RemoveDir => "remove_dir",
            Operation::Write => "write",
            Operation::Change => "change",
            Operation::Sync => "sync",
            Operation::SyncDir => "sync_dir",
        };
        f.write_str(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_power_is_cut_after_so_many_changes_and_stays_cut() {
        let mut faults = Faults::new(1);
        faults.cut_after(1);
        let asked = [Operation::Read, Operation::Write, Operation::Read, Operation::Sync, Operation::Read];
        let verdicts = asked.map(|operation| faults.judge(operation));
        use Verdict::{Dark, Done};
        assert_eq!(verdicts, [Done, Done, Done, Dark, Dark]);
        assert_eq!(faults.cut_at(), Some(Operation::Sync));
        faults.power_up();
        assert_eq!(faults.judge(Operation::Sync), Done);
        assert_eq!(faults.counts[&Operation::Sync], 2);
    }

    #[test]
    fn one_operation_in_so_many_fails() {
        let mut faults = Faults::new(1);
        faults.set_failing(Some(Failing { fault: Fault::Broken, one_in: 4 }));
        let failed = (0..1000).filter(|_| faults.judge(Operation::Read) != Verdict::Done).count();
        assert!((200..300).contains(&failed), "{failed}");
        faults.set_failing(None);
        assert_eq!(faults.judge(Operation::Read), Verdict::Done);
    }

    #[test]
    fn a_disk_without_room_or_without_leave_to_write_can_be_read() {
        for fault in [Fault::NoSpace, Fault::ReadOnly] {
            let mut faults = Faults::new(1);
            faults.set_failing(Some(Failing { fault, one_in: 1 }));
            assert_eq!(faults.judge(Operation::Read), Verdict::Done);
            assert_eq!(faults.judge(Operation::Write), Verdict::Fails(fault));
        }
    }
}
