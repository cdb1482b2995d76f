//! Files and directories by their numbers, and changes of names.

use super::{DiskError, Ino};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    sync::Arc,
    time::SystemTime,
};

/// One state of the disk. What no directory names stays until [`Tree::retain`]: it may be open.
#[derive(Clone, Default)]
pub struct Tree(BTreeMap<Ino, Node>);

#[derive(Clone)]
pub enum Node {
    File(Content),
    Dir(Names),
}

pub type Names = BTreeMap<OsString, Ino>;

#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    pub bytes: Arc<Vec<u8>>,
    pub modified: SystemTime,
}

/// One atomic change of names: a file or directory loses one, gets one, or both.
#[derive(Clone)]
pub struct Change {
    pub ino: Ino,
    loses: Option<(Ino, OsString)>,
    gets: Option<(Ino, OsString)>,
}

impl Change {
    pub fn add(dir: Ino, name: &OsStr, ino: Ino) -> Change {
        Change { ino, loses: None, gets: Some((dir, name.to_owned())) }
    }

    pub fn remove(dir: Ino, name: &OsStr, ino: Ino) -> Change {
        Change { ino, loses: Some((dir, name.to_owned())), gets: None }
    }

    pub fn rename(from: (Ino, &OsStr), to: (Ino, &OsStr), ino: Ino) -> Change {
        Change { ino, loses: Some((from.0, from.1.to_owned())), gets: Some((to.0, to.1.to_owned())) }
    }

    pub fn touches(&self, dir: Ino) -> bool {
        [&self.loses, &self.gets].into_iter().flatten().any(|(touched, _)| *touched == dir)
    }
}

impl Content {
    pub fn empty(modified: SystemTime) -> Content {
        Content { bytes: Arc::default(), modified }
    }
}

impl Node {
    pub fn empty_dir() -> Node {
        Node::Dir(Names::new())
    }
}

impl Tree {
    pub fn with(ino: Ino, node: Node) -> Tree {
        Tree(BTreeMap::from([(ino, node)]))
    }

    pub fn put(&mut self, ino: Ino, node: Node) {
        self.0.insert(ino, node);
    }

    pub fn node(&self, ino: Ino) -> Result<&Node, DiskError> {
        self.0.get(&ino).ok_or(DiskError::NotFound)
    }

    pub fn names(&self, ino: Ino) -> Result<&Names, DiskError> {
        match self.node(ino)? {
            Node::Dir(names) => Ok(names),
            Node::File(_) => Err(DiskError::NotDir),
        }
    }

    pub fn content(&self, ino: Ino) -> Result<&Content, DiskError> {
        match self.node(ino)? {
            Node::File(content) => Ok(content),
            Node::Dir(_) => Err(DiskError::IsDir),
        }
    }

    pub fn content_mut(&mut self, ino: Ino) -> Result<&mut Content, DiskError> {
        match self.0.get_mut(&ino) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Dir(_)) => Err(DiskError::IsDir),
            None => Err(DiskError::NotFound),
        }
    }

    pub fn files(&self) -> impl Iterator<Item = (Ino, &Content)> {
        self.0.iter().filter_map(|(ino, node)| match node {
            Node::File(content) => Some((*ino, content)),
            Node::Dir(_) => None,
        })
    }

    /// How many names it has.
    pub fn links(&self, ino: Ino) -> u32 {
        let names = self.all_names().filter(|named| *named == ino);
        u32::try_from(names.count()).expect("a test makes few names")
    }

    /// The size of all contents that have names.
    pub fn bytes_with_names(&self) -> u64 {
        let named: BTreeSet<Ino> = self.all_names().collect();
        let sizes = named.iter().filter_map(|ino| self.content(*ino).ok()).map(|content| content.bytes.len());
        sizes.sum::<usize>() as u64
    }

    /// Makes a change, as far as there is something to change. A file that is not here yet comes with the contents
    /// that `source` has of it, a directory without names: those are changes of their own.
    pub fn apply(&mut self, change: &Change, source: &Tree) {
        if let Some((dir, name)) = &change.loses
            && let Some(Node::Dir(names)) = self.0.get_mut(dir)
            && names.get(name) == Some(&change.ino)
        {
            names.remove(name);
        }
        if let Some((dir, name)) = &change.gets
            && let Some(Node::Dir(names)) = self.0.get_mut(dir)
        {
            names.insert(name.clone(), change.ino);
            let absent = || match source.node(change.ino) {
                Ok(Node::File(content)) => Node::File(content.clone()),
                Ok(Node::Dir(_)) => Node::empty_dir(),
                Err(_) => Node::File(Content::empty(SystemTime::UNIX_EPOCH)),
            };
            self.0.entry(change.ino).or_insert_with(absent);
        }
    }

    /// What has a name beneath this directory, and itself.
    pub fn reachable(&self, root: Ino) -> BTreeSet<Ino> {
        let mut reachable = BTreeSet::from([root]);
        let mut unseen = vec![root];
        while let Some(ino) = unseen.pop() {
            let new = self.names(ino).into_iter().flat_map(Names::values);
            unseen.extend(new.copied().filter(|ino| reachable.insert(*ino)));
        }
        reachable
    }

    pub fn retain(&mut self, wanted: &BTreeSet<Ino>) {
        self.0.retain(|ino, _| wanted.contains(ino));
    }

    fn all_names(&self) -> impl Iterator<Item = Ino> {
        let names = self.0.values().filter_map(|node| match node {
            Node::Dir(names) => Some(names),
            Node::File(_) => None,
        });
        names.flat_map(Names::values).copied()
    }
}
