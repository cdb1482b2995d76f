//! A disk that keeps apart what was synced and what was not.
//!
//! Names are changed by operations, of which a power cut keeps any subset, in order, except those that a sync of
//! a directory they touch has made durable. Contents that were not synced survive as they were before, as a torn
//! beginning, or as zeros. Every call may fail, or be the last one before the power cut.

mod files;

use cloudtalker::engine::rng::Rng;
use std::{
    cell::RefCell,
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
    /// Changes of names that are not durable yet, oldest first.
    pending: Vec<Change>,
    next: u64,
    /// Calls until the power cut, if one is coming.
    pub cut_in: Option<u64>,
    pub is_cut: bool,
    /// One call in so many fails; 0 is none.
    pub failing: u64,
    pub calls: u64,
    pub cuts: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<&'static str, u64>,
    pub now: Duration,
    pub capacity: u64,
}

#[derive(Clone)]
enum Node {
    File { bytes: Vec<u8>, mtime_ns: i64 },
    Dir(BTreeMap<String, u64>),
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
    Move { from: (u64, String), to: (u64, String) },
}

/// An open file.
pub struct Open {
    node: u64,
    position: usize,
    append: bool,
}

impl SimFiles {
    pub fn new(seed: u64) -> SimFiles {
        let mut disk = Disk {
            rng: Rng::new(seed),
            nodes: BTreeMap::from([(ROOT, Node::Dir(BTreeMap::new()))]),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            next: ROOT + 1,
            cut_in: None,
            is_cut: false,
            failing: 0,
            calls: 0,
            cuts: BTreeMap::new(),
            faults: BTreeMap::new(),
            now: Duration::ZERO,
            capacity: u64::MAX,
        };
        disk.durable = disk.nodes.clone();
        SimFiles(Rc::new(RefCell::new(disk)))
    }

    /// The camera writes a file; it does not sync it.
    pub fn camera_writes(&self, name: &str, bytes: &[u8]) {
        let disk = &mut *self.0.borrow_mut();
        let camera = disk.camera();
        let node = disk.add_node(Node::File { bytes: bytes.to_vec(), mtime_ns: disk.mtime() });
        disk.change(Kind::Add { dir: camera, name: name.to_owned(), node }, [camera, camera]);
    }

    /// The names beneath a directory with their contents, as they are now.
    pub fn contents(&self, path: &str) -> Vec<(String, Vec<u8>)> {
        let disk = self.0.borrow();
        let Ok(Node::Dir(names)) = disk.find(path).map(|node| &disk.nodes[&node]) else { return Vec::new() };
        let file = |(name, node): (&String, &u64)| match &disk.nodes[node] {
            Node::File { bytes, .. } => (name.clone(), bytes.clone()),
            Node::Dir(_) => (name.clone(), Vec::new()),
        };
        names.iter().map(file).collect()
    }

    /// The contents of one file, and its facts.
    pub fn file(&self, path: &str) -> Option<(Vec<u8>, i64)> {
        let disk = self.0.borrow();
        match &disk.nodes[&disk.find(path).ok()?] {
            Node::File { bytes, mtime_ns } => Some((bytes.clone(), *mtime_ns)),
            Node::Dir(_) => None,
        }
    }

    /// The power comes back: what is left is what was durable, and some of the rest.
    pub fn power_up(&self) {
        let disk = &mut *self.0.borrow_mut();
        let volatile = std::mem::replace(&mut disk.nodes, disk.durable.clone());
        for change in std::mem::take(&mut disk.pending) {
            if disk.rng.bits().is_multiple_of(2) {
                apply(&mut disk.nodes, &change.kind, &|node| volatile[&node].without_names());
            }
        }
        let mut reachable = BTreeSet::from([ROOT]);
        let mut unseen = vec![ROOT];
        while let Some(node) = unseen.pop() {
            unseen.extend(disk.nodes.get(&node).map(Node::children).unwrap_or_default());
            reachable.extend(unseen.iter().copied());
        }
        for (node, before) in &volatile {
            let (Node::File { bytes, mtime_ns }, true) = (before, reachable.contains(node)) else { continue };
            let synced = match disk.durable.get(node) {
                Some(Node::File { bytes: synced, .. }) if synced == bytes => continue,
                Some(Node::File { bytes: synced, .. }) => synced.clone(),
                Some(Node::Dir(_)) | None => Vec::new(),
            };
            // What was only added to keeps what was synced of it.
            let kept = if bytes.starts_with(&synced) { synced.len() } else { 0 };
            let mut torn = bytes.clone();
            match disk.rng.bits() % 4 {
                0 => torn = synced,
                1 => torn.truncate(kept + (disk.rng.bits() as usize) % (bytes.len() - kept + 1)),
                2 => torn[kept..].fill(0),
                _ => {}
            }
            disk.nodes.insert(*node, Node::File { bytes: torn, mtime_ns: *mtime_ns });
        }
        disk.nodes.retain(|node, _| reachable.contains(node));
        disk.durable = disk.nodes.clone();
        (disk.cut_in, disk.is_cut) = (None, false);
    }
}

impl Node {
    fn children(&self) -> Vec<u64> {
        match self {
            Node::File { .. } => Vec::new(),
            Node::Dir(names) => names.values().copied().collect(),
        }
    }

    /// A directory that survives by its name alone is empty: its own names are changes of their own.
    fn without_names(&self) -> Node {
        match self {
            Node::Dir(_) => Node::Dir(BTreeMap::new()),
            file @ Node::File { .. } => file.clone(),
        }
    }
}

impl Disk {
    fn mtime(&self) -> i64 {
        i64::try_from(self.now.as_nanos()).unwrap() + 1_000_000_000
    }

    fn camera(&mut self) -> u64 {
        if let Ok(node) = self.find(CAMERA) {
            return node;
        }
        let node = self.add_node(Node::Dir(BTreeMap::new()));
        self.durable.insert(node, Node::Dir(BTreeMap::new()));
        for nodes in [&mut self.nodes, &mut self.durable] {
            let Some(Node::Dir(root)) = nodes.get_mut(&ROOT) else { unreachable!() };
            root.insert(CAMERA.trim_start_matches('/').to_owned(), node);
        }
        node
    }

    fn add_node(&mut self, node: Node) -> u64 {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        number
    }

    fn find(&self, path: &str) -> io::Result<u64> {
        let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
        parts.into_iter().try_fold(ROOT, |node, part| match self.nodes.get(&node) {
            Some(Node::Dir(names)) => names.get(part).copied().ok_or(io::ErrorKind::NotFound.into()),
            Some(Node::File { .. }) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn parent(&self, path: &str) -> io::Result<(u64, String)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.find(dir)?, name.to_owned()))
    }

    /// Makes a change of names, and notes that it is not durable.
    fn change(&mut self, kind: Kind, touches: [u64; 2]) {
        apply(&mut self.nodes, &kind, &|_| unreachable!("what is named now is there now"));
        self.pending.push(Change { touches, kind });
    }

    /// Counts a call. It fails where it is to fail, and nothing works after the power cut.
    fn call(&mut self, name: &'static str) -> io::Result<()> {
        self.calls += 1;
        if let Some(left) = &mut self.cut_in {
            if *left == 0 && !self.is_cut {
                self.is_cut = true;
                *self.cuts.entry(name).or_default() += 1;
            }
            *left = left.saturating_sub(1);
        }
        if self.is_cut {
            return Err(io::Error::other("the power is cut"));
        }
        if self.failing > 0 && self.rng.bits().is_multiple_of(self.failing) {
            *self.faults.entry(name).or_default() += 1;
            let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::Other, io::ErrorKind::ReadOnlyFilesystem];
            return Err(kinds[(self.rng.bits() % 3) as usize].into());
        }
        Ok(())
    }

    /// The disk's own write-back: some of what is pending becomes durable by itself.
    fn sync_node(&mut self, node: u64) {
        if let Some(file @ Node::File { .. }) = self.nodes.get(&node) {
            self.durable.insert(node, file.clone());
        }
    }

    fn sync_names(&mut self, dir: u64) {
        let (done, left) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<Change>, _>(|change| change.touches.contains(&dir));
        self.pending = left;
        for change in done {
            // A name whose contents were never synced has none that are durable.
            apply(&mut self.durable, &change.kind, &|node| match &self.nodes[&node] {
                Node::File { mtime_ns, .. } => Node::File { bytes: Vec::new(), mtime_ns: *mtime_ns },
                Node::Dir(_) => Node::Dir(BTreeMap::new()),
            });
        }
    }
}

/// Makes a change of names. `absent` gives a node that is not there yet.
fn apply(nodes: &mut BTreeMap<u64, Node>, kind: &Kind, absent: &dyn Fn(u64) -> Node) {
    let mut insert = |dir: u64, name: &str, node: u64| {
        let Some(Node::Dir(names)) = nodes.get_mut(&dir) else { return };
        names.insert(name.to_owned(), node);
        nodes.entry(node).or_insert_with(|| absent(node));
    };
    match kind {
        Kind::Add { dir, name, node } => insert(*dir, name, *node),
        Kind::Remove { dir, name } => {
            if let Some(Node::Dir(names)) = nodes.get_mut(dir) {
                names.remove(name);
            }
        }
        Kind::Move { from, to } => {
            let Some(Node::Dir(names)) = nodes.get_mut(&from.0) else { return };
            let Some(node) = names.remove(&from.1) else { return };
            let Some(Node::Dir(names)) = nodes.get_mut(&to.0) else { return };
            names.insert(to.1.clone(), node);
            nodes.entry(node).or_insert_with(|| absent(node));
        }
    }
}
