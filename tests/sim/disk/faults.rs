//! What can go wrong with each call, and how often it did.

use cloudtalker::engine::rng::Rng;
use std::{collections::BTreeMap, fmt, io};

/// How an agent ends that nobody has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What was not synced may be gone.
    PowerCut,
    /// What it wrote is there, synced or not.
    Kill,
}

/// Why a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The power goes just before it.
    PowerCut,
    /// The agent is killed just before it.
    Kill,
    Enospc,
    Eio,
    Emfile,
    Erofs,
}

impl Fault {
    const ERRORS: [Fault; 4] = [Fault::Enospc, Fault::Eio, Fault::Emfile, Fault::Erofs];
    const ALL: [Fault; 6] =
        [Fault::PowerCut, Fault::Kill, Fault::Enospc, Fault::Eio, Fault::Emfile, Fault::Erofs];

    fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Fault::Enospc => 28,
            Fault::Emfile => 24,
            Fault::Erofs => 30,
            Fault::Eio | Fault::PowerCut | Fault::Kill => 5,
        })
    }

    fn needs(self) -> u8 {
        match self {
            Fault::PowerCut | Fault::Kill | Fault::Eio => 0,
            Fault::Enospc => SPACE,
            Fault::Emfile => DESCRIPTOR,
            Fault::Erofs => WRITING,
        }
    }
}

impl From<End> for Fault {
    fn from(end: End) -> Fault {
        match end {
            End::PowerCut => Fault::PowerCut,
            End::Kill => Fault::Kill,
        }
    }
}

const SPACE: u8 = 1;
const DESCRIPTOR: u8 = 2;
const WRITING: u8 = 4;

/// The calls, and what each needs. Even a removal takes space where a file system copies what it changes, and one that has
/// made itself read-only answers a sync so.
const CALLS: [(&str, u8); 20] = [
    ("append", SPACE | DESCRIPTOR | WRITING),
    ("create", SPACE | DESCRIPTOR | WRITING),
    ("facts", 0),
    ("free", 0),
    ("kind", 0),
    ("link", SPACE | WRITING),
    ("list", DESCRIPTOR),
    ("make_dir", SPACE | WRITING),
    ("open", DESCRIPTOR),
    ("open_source", DESCRIPTOR),
    ("open_upload", DESCRIPTOR),
    ("read", 0),
    ("read_upload", 0),
    ("remove", SPACE | WRITING),
    ("remove_dir", SPACE | WRITING),
    ("remove_source", SPACE | WRITING),
    ("rename", SPACE | WRITING),
    ("sync", SPACE | WRITING),
    ("sync_dir", SPACE | DESCRIPTOR | WRITING),
    ("write", SPACE | WRITING),
];

fn needs(call: &str) -> u8 {
    CALLS.into_iter().find(|(name, _)| *name == call).expect("every call is in the table").1
}

/// What a disk suffers from at the moment.
#[derive(Default)]
pub struct Trouble {
    /// One call in so many fails, whichever way it can.
    pub one_in: Option<u64>,
    /// Each call that this can befall fails by it.
    pub all: Option<Fault>,
}

impl Trouble {
    /// How a call fails, if it does.
    pub fn befalls(&self, call: &str, rng: &mut Rng) -> Option<Fault> {
        let needs = needs(call);
        if let Some(fault) = self.all
            && fault.needs() & needs != 0
        {
            return Some(fault);
        }
        let one_in = self.one_in?;
        if !rng.bits().is_multiple_of(one_in) {
            return None;
        }
        let possible: Vec<Fault> = Fault::ERRORS.into_iter().filter(|fault| fault.can_befall(call)).collect();
        Some(possible[(rng.bits() % possible.len() as u64) as usize])
    }
}

impl Fault {
    fn can_befall(self, call: &str) -> bool {
        self.needs() == 0 || self.needs() & needs(call) != 0
    }
}

/// How often each call failed by each fault.
#[derive(Clone, Default)]
pub struct Tally(BTreeMap<(&'static str, Fault), u64>);

impl Tally {
    /// Counts one, and gives it as the error that the caller sees.
    pub fn count(&mut self, call: &'static str, fault: Fault) -> io::Error {
        *self.0.entry((call, fault)).or_default() += 1;
        fault.error()
    }

    pub fn add(&mut self, more: &Tally) {
        for (pair, count) in &more.0 {
            *self.0.entry(*pair).or_default() += count;
        }
    }

    /// Pairs that can happen, but did so less often than that.
    pub fn rarer_than(&self, count: u64) -> Vec<(&'static str, Fault)> {
        let pairs = CALLS.into_iter().flat_map(|(call, _)| Fault::ALL.map(|fault| (call, fault)));
        pairs.filter(|(call, fault)| fault.can_befall(call) && self.of(call, *fault) < count).collect()
    }

    fn of(&self, call: &'static str, fault: Fault) -> u64 {
        self.0.get(&(call, fault)).copied().unwrap_or(0)
    }
}

/// One line a call, one column a fault; a dash where it can't befall the call.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14}", "")?;
        for fault in Fault::ALL {
            write!(f, "{:>9}", format!("{fault:?}").to_uppercase())?;
        }
        for (call, _) in CALLS {
            write!(f, "\n{call:<14}")?;
            for fault in Fault::ALL {
                match fault.can_befall(call) {
                    true => write!(f, "{:>9}", self.of(call, fault))?,
                    false => write!(f, "{:>9}", "-")?,
                }
            }
        }
        Ok(())
    }
}
