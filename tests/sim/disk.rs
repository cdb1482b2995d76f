//! A disk that keeps apart what was synced and what was not.
//!
//! Names are changed by operations, of which a power cut keeps any subset, in order, except those that a sync of
//! a directory they touch has made durable. Contents that were not synced survive as they were before, as a torn
//! beginning, or as zeros. Every call may fail, or be the last one before the power cut.

use cloudtalker::engine::{
    rng::Rng,
    spool::{Facts, Files, Inode, SourceError},
};
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

impl Files for SimFiles {
    type File = Open;

    fn open_source(&mut self, path: &str) -> Result<Open, SourceError> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("open_source")?;
        let node = disk.find(path)?;
        match disk.nodes[&node] {
            Node::File { .. } => Ok(Open { node, position: 0, append: false }),
            Node::Dir(_) => Err(SourceError::NotRegular("a directory")),
        }
    }

    fn remove_source(&mut self, path: &str, inode: Inode) -> io::Result<bool> {
        {
            let disk = &mut *self.0.borrow_mut();
            disk.call("remove_source")?;
            if disk.find(path).ok() != Some(inode.ino) {
                return Ok(false);
            }
        }
        self.remove(path).map(|()| true)
    }

    fn open(&mut self, path: &str) -> io::Result<Open> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("open")?;
        let node = disk.find(path)?;
        Ok(Open { node, position: 0, append: false })
    }

    fn create(&mut self, path: &str) -> io::Result<Open> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("create")?;
        let (dir, name) = disk.parent(path)?;
        let mtime_ns = disk.mtime();
        let node = match disk.find(path) {
            Ok(node) => {
                disk.nodes.insert(node, Node::File { bytes: Vec::new(), mtime_ns });
                node
            }
            Err(_) => {
                let node = disk.add_node(Node::File { bytes: Vec::new(), mtime_ns });
                disk.change(Kind::Add { dir, name, node }, [dir, dir]);
                node
            }
        };
        Ok(Open { node, position: 0, append: false })
    }

    fn append(&mut self, path: &str) -> io::Result<Open> {
        let found = self.0.borrow().find(path).ok();
        match found {
            Some(node) => {
                self.0.borrow_mut().call("append")?;
                Ok(Open { node, position: 0, append: true })
            }
            None => self.create(path),
        }
    }

    fn read(&mut self, file: &mut Open, buffer: &mut [u8]) -> io::Result<usize> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("read")?;
        let Node::File { bytes, .. } = &disk.nodes[&file.node] else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let rest = &bytes[file.position.min(bytes.len())..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        file.position += count;
        Ok(count)
    }

    fn rewind(&mut self, file: &mut Open) -> io::Result<()> {
        file.position = 0;
        Ok(())
    }

    fn write(&mut self, file: &mut Open, new: &[u8]) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        let failed = disk.call("write");
        let now = disk.mtime();
        let partly = (disk.rng.bits() as usize) % (new.len() + 1);
        let Some(Node::File { bytes, mtime_ns }) = disk.nodes.get_mut(&file.node) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        if file.append {
            file.position = bytes.len();
        }
        let new = if failed.is_ok() { new } else { &new[..partly] };
        bytes.truncate(file.position);
        bytes.extend_from_slice(new);
        file.position = bytes.len();
        *mtime_ns = now;
        failed
    }

    fn sync(&mut self, file: &Open) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("sync")?;
        disk.sync_node(file.node);
        Ok(())
    }

    fn facts(&mut self, file: &Open) -> io::Result<Facts> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("facts")?;
        let links = disk.nodes.values().flat_map(Node::children).filter(|child| *child == file.node).count();
        let inode = Inode { dev: 1, ino: file.node };
        match &disk.nodes[&file.node] {
            Node::File { bytes, mtime_ns } => {
                Ok(Facts { bytes: bytes.len() as u64, mtime_ns: *mtime_ns, inode, links: links as u64 })
            }
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn link(&mut self, file: &Open, to: &str) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("link")?;
        let (dir, name) = disk.parent(to)?;
        if disk.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        disk.change(Kind::Add { dir, name, node: file.node }, [dir, dir]);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("rename")?;
        let (node, target) = (disk.find(from)?, disk.find(to));
        if let Ok(target) = target {
            match &disk.nodes[&target] {
                Node::Dir(names) if !names.is_empty() => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
                // As rename(2): two names of one file stay two names.
                Node::File { .. } if target == node => return Ok(()),
                Node::Dir(_) | Node::File { .. } => {}
            }
        }
        let (from, to) = (disk.parent(from)?, disk.parent(to)?);
        let touches = [from.0, to.0];
        disk.change(Kind::Move { from, to }, touches);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("remove")?;
        let node = disk.find(path)?;
        if matches!(disk.nodes[&node], Node::Dir(_)) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (dir, name) = disk.parent(path)?;
        disk.change(Kind::Remove { dir, name }, [dir, dir]);
        Ok(())
    }

    fn make_dir(&mut self, path: &str) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("make_dir")?;
        if disk.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (dir, name) = disk.parent(path)?;
        let node = disk.add_node(Node::Dir(BTreeMap::new()));
        // Its names can become durable before its own.
        disk.durable.insert(node, Node::Dir(BTreeMap::new()));
        disk.change(Kind::Add { dir, name, node }, [dir, dir]);
        Ok(())
    }

    fn remove_dir(&mut self, path: &str) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("remove_dir")?;
        let node = disk.find(path)?;
        match &disk.nodes[&node] {
            Node::Dir(names) if names.is_empty() => {}
            Node::Dir(_) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
            Node::File { .. } => return Err(io::ErrorKind::NotADirectory.into()),
        }
        let (dir, name) = disk.parent(path)?;
        disk.change(Kind::Remove { dir, name }, [dir, dir]);
        Ok(())
    }

    fn sync_dir(&mut self, path: &str) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("sync_dir")?;
        let dir = disk.find(path)?;
        disk.sync_names(dir);
        Ok(())
    }

    fn list(&mut self, path: &str) -> io::Result<Vec<String>> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("list")?;
        match &disk.nodes[&disk.find(path)?] {
            Node::Dir(names) => Ok(names.keys().cloned().collect()),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn free(&mut self) -> io::Result<u64> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("free")?;
        let used: usize = disk
            .nodes
            .values()
            .map(|node| match node {
                Node::File { bytes, .. } => bytes.len(),
                Node::Dir(_) => 0,
            })
            .sum();
        Ok(disk.capacity.saturating_sub(used as u64))
    }
}
