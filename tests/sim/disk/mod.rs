//! A disk that keeps apart what was synced and what was not.
//!
//! Names are changed by operations, of which a power cut keeps any subset, in order, except those that a sync of
//! a directory they touch has made durable. Contents that were not synced survive as they were before, as a torn
//! beginning, or as zeros. Every call may fail, or be the last one before the power cut.
//!
//! `tests/faultfs` means the same for the real program. This disk is harsher: it now and then keeps changes of names out of
//! their order, a sync of a directory makes nothing durable that befell its files in another one, a write that fails has
//! written some of it, a sync that fails may be followed by one that lies, and descriptors run out.

mod faults;
mod files;
mod others;
mod upload;

pub use faults::{End, Fault, Tally, Trouble};
pub use upload::Opened;

use cloudtalker::engine::{rng::Rng, spool::EntryKind};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    io,
    rc::Rc,
    time::Duration,
};

/// Where the camera writes: a directory of its own on the same disk.
pub const CAMERA: &str = "/camera";
const ROOT: u64 = 1;

/// A handle on the disk, which outlives the agent.
#[derive(Clone)]
pub struct SimFiles(pub Rc<RefCell<Disk>>);

pub struct Disk {
    pub rng: Rng,
    nodes: BTreeMap<u64, Node>,
    durable: BTreeMap<u64, Node>,
    /// Files that could not be synced, and will not be, although the next sync says so.
    forgotten: BTreeSet<u64>,
    /// Changes of names that are not durable yet, oldest first.
    pending: Vec<Change>,
    next: u64,
    /// Calls until the power cut, or the kill, if one is coming.
    pub cut_in: Option<u64>,
    /// Which of them.
    pub end: End,
    pub is_cut: bool,
    pub trouble: Trouble,
    pub tally: Tally,
    /// How often something was made durable.
    pub syncs: u32,
    pub now: Duration,
    /// How many bytes fit.
    pub capacity: u64,
    /// Handles that are open.
    open: Rc<Cell<usize>>,
    /// The most of them that were open at once, after any call.
    pub most_open: usize,
    /// Contents of the camera's files that the agent has removed.
    pub removed_sources: Vec<Rc<Vec<u8>>>,
}

#[derive(Clone)]
enum Node {
    File { bytes: Rc<Vec<u8>>, mtime_ns: i64 },
    Dir(Rc<BTreeMap<String, u64>>),
}

/// One atomic change of names.
#[derive(Clone)]
struct Change {
    touches: [u64; 2],
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Add { dir: u64, name: String, node: u64 },
    Remove { dir: u64, name: String },
    Move { from: (u64, String), to: (u64, String), node: u64 },
}

/// An open file.
pub struct Open {
    node: u64,
    position: usize,
    append: bool,
    count: Rc<Cell<usize>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}

impl SimFiles {
    pub fn new(seed: u64) -> SimFiles {
        let mut disk = Disk {
            rng: Rng::new(seed),
            nodes: BTreeMap::from([(ROOT, Node::Dir(Rc::default()))]),
            durable: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            pending: Vec::new(),
            next: ROOT + 1,
            cut_in: None,
            end: End::PowerCut,
            is_cut: false,
            trouble: Trouble::default(),
            tally: Tally::default(),
            syncs: 0,
            now: Duration::ZERO,
            capacity: u64::MAX,
            open: Rc::default(),
            most_open: 0,
            removed_sources: Vec::new(),
        };
        disk.durable = disk.nodes.clone();
        SimFiles(Rc::new(RefCell::new(disk)))
    }

    /// The file that a name is for now, by its number, which no other file ever has.
    pub fn inode(&self, path: &str) -> Option<u64> {
        self.0.borrow().find(path).ok()
    }

    /// The contents of the file of this number, and its facts.
    pub fn file_of(&self, inode: u64) -> Option<(Rc<Vec<u8>>, i64)> {
        match self.0.borrow().nodes.get(&inode)? {
            Node::File { bytes, mtime_ns } => Some((Rc::clone(bytes), *mtime_ns)),
            Node::Dir(_) => None,
        }
    }

    /// The names beneath a directory with their contents, as they are now.
    pub fn contents(&self, path: &str) -> Vec<(String, Rc<Vec<u8>>)> {
        let disk = self.0.borrow();
        let Ok(Node::Dir(names)) = disk.find(path).map(|node| &disk.nodes[&node]) else { return Vec::new() };
        let file = |(name, node): (&String, &u64)| match &disk.nodes[node] {
            Node::File { bytes, .. } => (name.clone(), bytes.clone()),
            Node::Dir(_) => (name.clone(), Rc::default()),
        };
        names.iter().map(file).collect()
    }

    /// The contents of one file, and its facts.
    pub fn file(&self, path: &str) -> Option<(Rc<Vec<u8>>, i64)> {
        self.file_of(self.inode(path)?)
    }

    /// Every file's contents beneath a directory.
    pub fn all_contents(&self, path: &str) -> Vec<Rc<Vec<u8>>> {
        let disk = self.0.borrow();
        let (mut unseen, mut all) = (Vec::from_iter(disk.find(path).ok()), Vec::new());
        while let Some(node) = unseen.pop() {
            match &disk.nodes[&node] {
                Node::File { bytes, .. } => all.push(Rc::clone(bytes)),
                Node::Dir(names) => unseen.extend(names.values()),
            }
        }
        all
    }

    /// The agent is started anew. From now on what could not be synced is synced by whoever tries again: that a former life has
    /// tried is what none can know.
    pub fn begin_life(&self) {
        self.0.borrow_mut().forgotten.clear();
    }

    /// No end is coming any more.
    pub fn mend(&self) {
        let disk = &mut *self.0.borrow_mut();
        (disk.cut_in, disk.is_cut) = (None, false);
    }

    /// The power comes back: what is left is what was durable, and some of the rest.
    pub fn power_up(&self) {
        let disk = &mut *self.0.borrow_mut();
        let volatile = std::mem::replace(&mut disk.nodes, disk.durable.clone());
        for change in survivors(std::mem::take(&mut disk.pending), &mut disk.rng) {
            apply(&mut disk.nodes, &change.kind, false, &|node| volatile[&node].without_names());
        }
        let mut reachable = BTreeSet::from([ROOT]);
        let mut unseen = vec![ROOT];
        while let Some(node) = unseen.pop() {
            if let Some(Node::Dir(names)) = disk.nodes.get(&node) {
                reachable.extend(names.values().copied());
                unseen.extend(names.values());
            }
        }
        for (node, before) in &volatile {
            let (Node::File { bytes, mtime_ns }, true) = (before, reachable.contains(node)) else { continue };
            let synced = match disk.durable.get(node) {
                Some(Node::File { bytes: synced, .. }) if synced == bytes => continue,
                Some(Node::File { bytes: synced, .. }) => Rc::clone(synced),
                Some(Node::Dir(_)) | None => Rc::default(),
            };
            let bytes = torn(bytes, &synced, &mut disk.rng);
            disk.nodes.insert(*node, Node::File { bytes: Rc::new(bytes), mtime_ns: *mtime_ns });
        }
        disk.nodes.retain(|node, _| reachable.contains(node));
        disk.durable = disk.nodes.clone();
    }
}

/// Any subset of the changes that were not durable; now and then out of their order.
fn survivors(mut pending: Vec<Change>, rng: &mut Rng) -> Vec<Change> {
    pending.retain(|_| rng.bits().is_multiple_of(2));
    if rng.bits().is_multiple_of(4) {
        pending.sort_by_cached_key(|_| rng.bits());
    }
    pending
}

/// What is left of a file that was not synced as it is.
fn torn(bytes: &[u8], synced: &[u8], rng: &mut Rng) -> Vec<u8> {
    // What was only added to keeps what was synced of it.
    let kept = if bytes.starts_with(synced) { synced.len() } else { 0 };
    let mut torn = bytes.to_vec();
    match rng.bits() % 4 {
        0 => torn = synced.to_vec(),
        1 => torn.truncate(kept + (rng.bits() as usize) % (bytes.len() - kept + 1)),
        2 => torn[kept..].fill(0),
        _ => {}
    }
    torn
}

impl Node {
    fn links_to(&self, child: u64) -> usize {
        match self {
            Node::File { .. } => 0,
            Node::Dir(names) => names.values().filter(|node| **node == child).count(),
        }
    }

    /// A directory that survives by its name alone is empty: its own names are changes of their own.
    fn without_names(&self) -> Node {
        match self {
            Node::Dir(_) => Node::Dir(Rc::default()),
            file @ Node::File { .. } => file.clone(),
        }
    }
}

impl Disk {
    fn mtime(&self) -> i64 {
        i64::try_from(self.now.as_nanos()).unwrap() + 1_000_000_000
    }

    fn add_node(&mut self, node: Node) -> u64 {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        number
    }

    fn find(&self, path: &str) -> io::Result<u64> {
        find(&self.nodes, path)
    }

    fn kind(&self, node: u64) -> EntryKind {
        match self.nodes[&node] {
            Node::Dir(_) => EntryKind::Dir,
            Node::File { .. } => EntryKind::File,
        }
    }

    fn parent(&self, path: &str) -> io::Result<(u64, String)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.find(dir)?, name.to_owned()))
    }

    /// Makes a change of names, and notes that it is not durable.
    fn change(&mut self, kind: Kind, touches: [u64; 2]) {
        apply(&mut self.nodes, &kind, false, &|_| unreachable!("what is named now is there now"));
        self.pending.push(Change { touches, kind });
    }

    /// Fails where it is to fail. Nothing works after the power cut.
    fn call(&mut self, name: &'static str) -> io::Result<()> {
        if let Some(left) = &mut self.cut_in {
            if *left == 0 && !self.is_cut {
                self.is_cut = true;
                return Err(self.tally.count(name, self.end.into()));
            }
            *left = left.saturating_sub(1);
        }
        if self.is_cut {
            return Err(io::Error::other("the power is cut"));
        }
        match self.trouble.befalls(name, &mut self.rng) {
            Some(fault) => Err(self.tally.count(name, fault)),
            None => Ok(()),
        }
    }

    /// Bytes that are left. What has no name takes none.
    fn room(&self) -> u64 {
        let mut named = BTreeSet::new();
        for node in self.nodes.values() {
            if let Node::Dir(names) = node {
                named.extend(names.values().copied());
            }
        }
        let used = named.iter().map(|node| match &self.nodes[node] {
            Node::File { bytes, .. } => bytes.len() as u64,
            Node::Dir(_) => 0,
        });
        self.capacity.saturating_sub(used.sum())
    }

    fn handle(&mut self, node: u64, append: bool) -> Open {
        self.open.set(self.open.get() + 1);
        self.most_open = self.most_open.max(self.open.get());
        Open { node, position: 0, append, count: Rc::clone(&self.open) }
    }

    /// As Linux does: pages that could not be written count as written.
    fn may_forget(&mut self, node: u64) {
        if self.rng.bits().is_multiple_of(2) {
            self.forgotten.insert(node);
        }
    }

    fn sync_node(&mut self, node: u64) {
        self.syncs += 1;
        if self.forgotten.contains(&node) {
            return;
        }
        if let Some(file @ Node::File { .. }) = self.nodes.get(&node) {
            self.durable.insert(node, file.clone());
        }
    }

    fn sync_names(&mut self, dir: u64) {
        self.syncs += 1;
        let (done, left) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<Change>, _>(|change| change.touches.contains(&dir));
        self.pending = left;
        for change in done {
            // A name whose contents were never synced has none that are durable.
            apply(&mut self.durable, &change.kind, true, &|node| match &self.nodes[&node] {
                Node::File { mtime_ns, .. } => Node::File { bytes: Rc::default(), mtime_ns: *mtime_ns },
                Node::Dir(_) => Node::Dir(Rc::default()),
            });
        }
    }
}

fn find(nodes: &BTreeMap<u64, Node>, path: &str) -> io::Result<u64> {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.into_iter().try_fold(ROOT, |node, part| match nodes.get(&node) {
        Some(Node::Dir(names)) => names.get(part).copied().ok_or(io::ErrorKind::NotFound.into()),
        Some(Node::File { .. }) => Err(io::ErrorKind::NotADirectory.into()),
        None => Err(io::ErrorKind::NotFound.into()),
    })
}

/// Makes a change of names. `absent` gives a node that is not there yet.
fn apply(nodes: &mut BTreeMap<u64, Node>, kind: &Kind, is_synced: bool, absent: &dyn Fn(u64) -> Node) {
    let insert = |nodes: &mut BTreeMap<u64, Node>, dir: u64, name: &str, node: u64| {
        let Some(Node::Dir(names)) = nodes.get_mut(&dir) else { return };
        Rc::make_mut(names).insert(name.to_owned(), node);
        nodes.entry(node).or_insert_with(|| absent(node));
    };
    match kind {
        Kind::Add { dir, name, node } => insert(nodes, *dir, name, *node),
        Kind::Remove { dir, name } => {
            if let Some(Node::Dir(names)) = nodes.get_mut(dir) {
                Rc::make_mut(names).remove(name);
            }
        }
        Kind::Move { from, to, node } => {
            let is_there = match nodes.get_mut(&from.0) {
                Some(Node::Dir(names)) if names.get(&from.1) == Some(node) => {
                    Rc::make_mut(names).remove(&from.1).is_some()
                }
                _ => false,
            };
            // Without the change that named it, a file moves nowhere, unless its new name was synced.
            if is_there || is_synced {
                insert(nodes, to.0, &to.1, *node);
            }
        }
    }
}
