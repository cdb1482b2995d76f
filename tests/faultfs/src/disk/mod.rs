//! A disk in memory that keeps apart what was synced and what was not.
//!
//! It means what `tests/sim/disk` means, for inodes instead of paths. Names are changed by operations, of which a
//! power cut keeps any subset, in order, except those that a sync of a directory they touch has made durable.
//! Contents that were not synced survive as they were before, as a torn beginning, as zeros, or whole.
//!
//! It is kinder than that one, as the file systems of boards are: what survives does so in order, a directory's sync
//! takes along what befell its files elsewhere before, a write that fails has written nothing, and a move whose file's
//! first name is lost gives it the new one all the same.

mod tree;

#[cfg(test)]
mod tests;

use crate::rng::Rng;
use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    sync::Arc,
    time::SystemTime,
};
use tree::{Change, Content, Node, Tree};

/// Which file or directory it is. Numbers are never used again.
pub type Ino = u64;

/// The directory that everything is in.
pub const ROOT: Ino = 1;

/// Files and directories, as they are and as a power cut would leave them at least.
pub struct Disk {
    /// As programs see it.
    volatile: Tree,
    durable: Tree,
    /// Changes of names that are not durable yet, oldest first.
    pending: Vec<Change>,
    next: Ino,
    /// How many bytes contents may take.
    capacity: u64,
}

/// What is known of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub ino: Ino,
    pub is_dir: bool,
    pub bytes: u64,
    pub modified: SystemTime,
    /// How many names it has.
    pub links: u32,
}

/// Why something can't be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// There is nothing of this name, or nothing any more.
    NotFound,
    /// The name is taken.
    Exists,
    /// It is a directory.
    IsDir,
    /// It is none.
    NotDir,
    /// The directory has names in it.
    NotEmpty,
    /// The disk is full.
    NoSpace,
}

/// What a power cut took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Changes of names.
    pub names: usize,
    /// Files that are not as they were.
    pub contents: usize,
}

impl Disk {
    /// An empty one.
    pub fn new(capacity: u64) -> Disk {
        let root = Tree::with(ROOT, Node::empty_dir());
        Disk { volatile: root.clone(), durable: root, pending: Vec::new(), next: ROOT + 1, capacity }
    }

    pub fn lookup(&self, dir: Ino, name: &OsStr) -> Result<Ino, DiskError> {
        self.volatile.names(dir)?.get(name).copied().ok_or(DiskError::NotFound)
    }

    pub fn facts(&self, ino: Ino) -> Result<Facts, DiskError> {
        let facts = |is_dir, bytes, modified, links| Facts { ino, is_dir, bytes, modified, links };
        match self.volatile.node(ino)? {
            Node::Dir(_) => Ok(facts(true, 0, SystemTime::UNIX_EPOCH, 2)),
            Node::File(Content { bytes, modified }) => {
                Ok(facts(false, bytes.len() as u64, *modified, self.volatile.links(ino)))
            }
        }
    }

    /// The names in a directory.
    pub fn list(&self, dir: Ino) -> Result<Vec<(OsString, Ino)>, DiskError> {
        Ok(self.volatile.names(dir)?.iter().map(|(name, ino)| (name.clone(), *ino)).collect())
    }

    /// Makes an empty file.
    pub fn create(&mut self, dir: Ino, name: &OsStr, now: SystemTime) -> Result<Ino, DiskError> {
        self.make(dir, name, Node::File(Content::empty(now)))
    }

    /// Makes a directory.
    pub fn make_dir(&mut self, dir: Ino, name: &OsStr) -> Result<Ino, DiskError> {
        let ino = self.make(dir, name, Node::empty_dir())?;
        // Its names can become durable before its own.
        self.durable.put(ino, Node::empty_dir());
        Ok(ino)
    }

    /// Gives a file another name.
    pub fn link(&mut self, ino: Ino, dir: Ino, name: &OsStr) -> Result<(), DiskError> {
        self.volatile.content(ino)?;
        self.expect_free(dir, name)?;
        self.change(Change::add(dir, name, ino));
        Ok(())
    }

    /// Removes a file's name.
    pub fn remove(&mut self, dir: Ino, name: &OsStr) -> Result<(), DiskError> {
        let ino = self.lookup(dir, name)?;
        self.volatile.content(ino)?;
        self.change(Change::remove(dir, name, ino));
        Ok(())
    }

    /// Removes an empty directory.
    pub fn remove_dir(&mut self, dir: Ino, name: &OsStr) -> Result<(), DiskError> {
        let ino = self.lookup(dir, name)?;
        if !self.volatile.names(ino)?.is_empty() {
            return Err(DiskError::NotEmpty);
        }
        self.change(Change::remove(dir, name, ino));
        Ok(())
    }

    /// Moves a file or directory, in place of what has the name, if that can go.
    pub fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr)) -> Result<(), DiskError> {
        let ino = self.lookup(from.0, from.1)?;
        let is_dir = self.volatile.names(ino).is_ok();
        match self.lookup(to.0, to.1) {
            // As rename(2): two names of one file stay two names.
            Ok(target) if target == ino => return Ok(()),
            Ok(target) => match self.volatile.node(target)? {
                Node::Dir(_) if !is_dir => return Err(DiskError::IsDir),
                Node::Dir(names) if !names.is_empty() => return Err(DiskError::NotEmpty),
                Node::File(_) if is_dir => return Err(DiskError::NotDir),
                Node::Dir(_) | Node::File(_) => {}
            },
            Err(DiskError::NotFound) => self.expect_free(to.0, to.1)?,
            Err(error) => return Err(error),
        }
        self.change(Change::rename(from, to, ino));
        Ok(())
    }

    pub fn read(&self, ino: Ino, offset: u64, length: usize) -> Result<&[u8], DiskError> {
        let bytes = &self.volatile.content(ino)?.bytes;
        let begin = index(offset).min(bytes.len());
        Ok(&bytes[begin..bytes.len().min(begin.saturating_add(length))])
    }

    pub fn write(&mut self, ino: Ino, offset: u64, new: &[u8], now: SystemTime) -> Result<(), DiskError> {
        let begin = index(offset);
        let end = begin.saturating_add(new.len());
        let length = self.volatile.content(ino)?.bytes.len();
        self.resize(ino, length.max(end) as u64, now)?;
        let content = self.volatile.content_mut(ino)?;
        Arc::make_mut(&mut content.bytes)[begin..end].copy_from_slice(new);
        Ok(())
    }

    /// Cuts a file off, or lengthens it by zeros.
    pub fn resize(&mut self, ino: Ino, length: u64, now: SystemTime) -> Result<(), DiskError> {
        let more = length.saturating_sub(self.volatile.content(ino)?.bytes.len() as u64);
        if more > self.free() {
            return Err(DiskError::NoSpace);
        }
        let content = self.volatile.content_mut(ino)?;
        Arc::make_mut(&mut content.bytes).resize(index(length), 0);
        content.modified = now;
        Ok(())
    }

    pub fn set_modified(&mut self, ino: Ino, modified: SystemTime) -> Result<(), DiskError> {
        self.volatile.content_mut(ino)?.modified = modified;
        Ok(())
    }

    /// Makes a file's contents durable, or a directory's names.
    pub fn sync(&mut self, ino: Ino) -> Result<(), DiskError> {
        match self.volatile.node(ino)? {
            Node::File(content) => self.durable.put(ino, Node::File(content.clone())),
            Node::Dir(_) => self.sync_names(ino),
        }
        Ok(())
    }

    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes that contents may still take.
    pub fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.volatile.bytes_with_names())
    }

    /// The power was cut, and comes back: what is left is what was durable, and some of the rest.
    pub fn power_cycle(&mut self, rng: &mut Rng) -> Loss {
        let mut loss = Loss::default();
        let before = std::mem::replace(&mut self.volatile, self.durable.clone());
        for change in std::mem::take(&mut self.pending) {
            if rng.below(2) == 0 {
                self.volatile.apply(&change, &before);
            } else {
                loss.names += 1;
            }
        }
        let reachable = self.volatile.reachable(ROOT);
        for (ino, content) in before.files().filter(|(ino, _)| reachable.contains(ino)) {
            let left = match self.durable.content(ino) {
                Ok(synced) if synced == content => continue,
                Ok(synced) => torn(content, &synced.bytes, rng),
                Err(_) => torn(content, &[], rng),
            };
            loss.contents += usize::from(left != *content);
            self.volatile.put(ino, Node::File(left));
        }
        self.volatile.retain(&reachable);
        self.durable = self.volatile.clone();
        loss
    }

    fn make(&mut self, dir: Ino, name: &OsStr, node: Node) -> Result<Ino, DiskError> {
        self.expect_free(dir, name)?;
        let ino = self.next;
        self.next += 1;
        self.volatile.put(ino, node);
        self.change(Change::add(dir, name, ino));
        Ok(ino)
    }

    /// Only in a directory that has a name, or is the root, can something be made.
    fn expect_free(&self, dir: Ino, name: &OsStr) -> Result<(), DiskError> {
        match self.lookup(dir, name) {
            Ok(_) => Err(DiskError::Exists),
            Err(DiskError::NotFound) if dir == ROOT || self.volatile.links(dir) > 0 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a change of names, and notes that it is not durable.
    fn change(&mut self, change: Change) {
        self.volatile.apply(&change, &Tree::default());
        self.pending.push(change);
    }

    /// What touches the directory becomes durable, and with it what befell the same files before: a file that was
    /// moved here would otherwise come back where it came from, too.
    fn sync_names(&mut self, dir: Ino) {
        let mut here = BTreeSet::new();
        let (mut done, mut left) = (Vec::new(), Vec::new());
        for change in std::mem::take(&mut self.pending).into_iter().rev() {
            if change.touches(dir) || here.contains(&change.ino) {
                here.insert(change.ino);
                done.push(change);
            } else {
                left.push(change);
            }
        }
        left.reverse();
        self.pending = left;
        for change in done.iter().rev() {
            // A name whose contents were never synced has none that are durable.
            self.durable.apply(change, &Tree::default());
        }
    }
}

/// Contents that were not synced, after a power cut. What was only added to keeps what was synced of it.
fn torn(content: &Content, synced: &[u8], rng: &mut Rng) -> Content {
    let bytes = &content.bytes;
    let kept = if bytes.starts_with(synced) { synced.len() } else { 0 };
    let mut left = bytes.to_vec();
    match rng.below(4) {
        0 => left = synced.to_vec(),
        1 => left.truncate(kept + index(rng.below((bytes.len() - kept) as u64 + 1))),
        2 => left[kept..].fill(0),
        _ => {}
    }
    Content { bytes: Arc::new(left), ..*content }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a file in memory is no longer than memory")
}
