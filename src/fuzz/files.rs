//! A file system in memory that answers as Linux does: what the spool meets, without a disk.

use crate::engine::spool::{Entry, EntryKind, Facts, Files, Inode, SourceError, SourceFile};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{self, ErrorKind},
    rc::Rc,
};

/// The state directory. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Memory(Rc<RefCell<Tree>>);

/// By path, without a leading or a trailing slash; the root itself is not listed.
pub type Tree = BTreeMap<String, Node>;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Dir,
    /// A file's contents. Two names of one file are two files here: the spool can't tell.
    File(Vec<u8>),
}

/// An open file: its path, or a source's contents.
#[derive(Debug)]
pub enum Open {
    /// In the state directory.
    At(String, usize),
    /// What a local program named.
    Source(Vec<u8>, usize),
}

/// Between two entries of a listing: no byte of UTF-8.
const SEPARATOR: u8 = 0xff;
const LONGEST_NAME: usize = 255;

impl Memory {
    /// Reads a listing: for each file its path, a newline and its contents; for a directory its path and a slash.
    /// Between two of them is the byte 0xff. What could not be on a disk is left out.
    pub fn of_listing(listing: &[u8]) -> Memory {
        let mut tree = Tree::new();
        for entry in listing.split(|byte| *byte == SEPARATOR) {
            let end = entry.iter().position(|byte| *byte == b'\n').unwrap_or(entry.len());
            let Ok(path) = std::str::from_utf8(&entry[..end]) else { continue };
            let (path, node) = match path.strip_suffix('/') {
                Some(path) => (path, Node::Dir),
                None => (path, Node::File(entry.get(end + 1..).unwrap_or_default().to_vec())),
            };
            add(&mut tree, path, node);
        }
        Memory(Rc::new(RefCell::new(tree)))
    }

    /// What is there now.
    pub fn tree(&self) -> Tree {
        self.0.borrow().clone()
    }
}

fn add(tree: &mut Tree, path: &str, node: Node) {
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..") && name.len() <= LONGEST_NAME && !name.contains(char::from(0))
    };
    let parents: Vec<&str> = path.match_indices('/').map(|(end, _)| &path[..end]).collect();
    let is_free = !tree.contains_key(path);
    let has_room = parents.iter().all(|parent| !matches!(tree.get(*parent), Some(Node::File(_))));
    if path.split('/').all(is_name) && is_free && has_room {
        for parent in parents {
            tree.insert(parent.to_owned(), Node::Dir);
        }
        tree.insert(path.to_owned(), node);
    }
}

/// The directory that holds a path must be there.
fn expect_parent(tree: &Tree, path: &str) -> io::Result<()> {
    match path.rsplit_once('/') {
        None => Ok(()),
        Some((parent, _)) => match tree.get(parent) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => expect_parent(tree, parent).and(Err(ErrorKind::NotFound.into())),
        },
    }
}

fn find<'a>(tree: &'a Tree, path: &str) -> io::Result<&'a Node> {
    expect_parent(tree, path)?;
    tree.get(path).ok_or_else(|| ErrorKind::NotFound.into())
}

fn beneath<'a>(tree: &'a Tree, dir: &str) -> impl Iterator<Item = &'a String> {
    let prefix = if dir == "." { String::new() } else { format!("{dir}/") };
    tree.range(prefix.clone()..).map(|(path, _)| path).take_while(move |path| path.starts_with(&prefix))
}

impl Files for Memory {
    type File = Open;

    /// Every path that has a name at its end leads to a file, whose contents are that path.
    fn open_source(&mut self, path: &str) -> Result<Open, SourceError> {
        match path.rsplit('/').next() {
            None | Some("") => Err(SourceError::NotRegular("a directory")),
            Some("missing") => Err(SourceError::Missing),
            Some(_) => Ok(Open::Source(path.as_bytes().to_vec(), 0)),
        }
    }

    fn remove_source(&mut self, _path: &str, _file: SourceFile) {}

    fn kind(&mut self, path: &str) -> io::Result<Option<EntryKind>> {
        match find(&self.0.borrow(), path) {
            Ok(Node::File(_)) => Ok(Some(EntryKind::File)),
            Ok(Node::Dir) => Ok(Some(EntryKind::Dir)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&mut self, path: &str) -> io::Result<Open> {
        find(&self.0.borrow(), path).map(|_| Open::At(path.to_owned(), 0))
    }

    fn create(&mut self, path: &str) -> io::Result<Open> {
        let tree = &mut *self.0.borrow_mut();
        expect_parent(tree, path)?;
        if tree.get(path) == Some(&Node::Dir) {
            return Err(ErrorKind::IsADirectory.into());
        }
        tree.insert(path.to_owned(), Node::File(Vec::new()));
        Ok(Open::At(path.to_owned(), 0))
    }

    fn append(&mut self, path: &str) -> io::Result<Open> {
        let found = find(&self.0.borrow(), path).cloned();
        match found {
            Ok(Node::File(bytes)) => Ok(Open::At(path.to_owned(), bytes.len())),
            Ok(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
            Err(_) => self.create(path),
        }
    }

    fn read(&mut self, file: &mut Open, buffer: &mut [u8]) -> io::Result<usize> {
        let tree = &*self.0.borrow();
        let (bytes, position) = match file {
            Open::Source(bytes, position) => (&*bytes, position),
            Open::At(path, position) => match find(tree, path)? {
                Node::File(bytes) => (bytes, position),
                Node::Dir => return Err(ErrorKind::IsADirectory.into()),
            },
        };
        let rest = &bytes[*position..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        *position += count;
        Ok(count)
    }

    fn rewind(&mut self, file: &mut Open) -> io::Result<()> {
        let (Open::At(_, position) | Open::Source(_, position)) = file;
        *position = 0;
        Ok(())
    }

    fn write(&mut self, file: &mut Open, bytes: &[u8]) -> io::Result<()> {
        let Open::At(path, position) = file else { return Err(ErrorKind::PermissionDenied.into()) };
        match self.0.borrow_mut().get_mut(path) {
            Some(Node::File(contents)) => contents.extend_from_slice(bytes),
            Some(Node::Dir) | None => return Err(ErrorKind::NotFound.into()),
        }
        *position += bytes.len();
        Ok(())
    }

    fn sync(&mut self, _file: &Open) -> io::Result<()> {
        Ok(())
    }

    fn facts(&mut self, file: &Open) -> io::Result<Facts> {
        let facts =
            |bytes: usize| Facts { bytes: bytes as u64, mtime_ns: 0, inode: Inode::default(), links: 1 };
        match file {
            Open::Source(bytes, _) => Ok(facts(bytes.len())),
            Open::At(path, _) => match find(&self.0.borrow(), path)? {
                Node::File(bytes) => Ok(facts(bytes.len())),
                Node::Dir => Ok(facts(4096)),
            },
        }
    }

    fn link(&mut self, file: &Open, to: &str) -> io::Result<()> {
        let Open::Source(bytes, _) = file else { return Err(ErrorKind::CrossesDevices.into()) };
        let tree = &mut *self.0.borrow_mut();
        expect_parent(tree, to)?;
        if tree.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        tree.insert(to.to_owned(), Node::File(bytes.clone()));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let tree = &mut *self.0.borrow_mut();
        let node = find(tree, from)?.clone();
        expect_parent(tree, to)?;
        if from == to {
            return Ok(());
        }
        match (&node, tree.get(to)) {
            (Node::Dir, _) if to.starts_with(&format!("{from}/")) => {
                return Err(ErrorKind::InvalidInput.into());
            }
            (Node::Dir, Some(Node::File(_))) => return Err(ErrorKind::NotADirectory.into()),
            (Node::File(_), Some(Node::Dir)) => return Err(ErrorKind::IsADirectory.into()),
            (Node::Dir, Some(Node::Dir)) if beneath(tree, to).next().is_some() => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            (Node::Dir | Node::File(_), _) => {}
        }
        let children: Vec<String> = beneath(tree, from).cloned().collect();
        for child in children {
            let moved = tree.remove(&child).expect("it was just listed");
            tree.insert(format!("{to}{}", &child[from.len()..]), moved);
        }
        tree.remove(from);
        tree.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        let tree = &mut *self.0.borrow_mut();
        if *find(tree, path)? == Node::Dir {
            return Err(ErrorKind::IsADirectory.into());
        }
        tree.remove(path);
        Ok(())
    }

    fn make_dir(&mut self, path: &str) -> io::Result<()> {
        let tree = &mut *self.0.borrow_mut();
        expect_parent(tree, path)?;
        if tree.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        tree.insert(path.to_owned(), Node::Dir);
        Ok(())
    }

    fn remove_dir(&mut self, path: &str) -> io::Result<()> {
        let tree = &mut *self.0.borrow_mut();
        if *find(tree, path)? != Node::Dir {
            return Err(ErrorKind::NotADirectory.into());
        }
        if beneath(tree, path).next().is_some() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        tree.remove(path);
        Ok(())
    }

    fn sync_dir(&mut self, path: &str) -> io::Result<()> {
        if path == "." { Ok(()) } else { find(&self.0.borrow(), path).map(drop) }
    }

    fn list(&mut self, path: &str) -> io::Result<Vec<Entry>> {
        let tree = &*self.0.borrow();
        if *find(tree, path)? != Node::Dir {
            return Err(ErrorKind::NotADirectory.into());
        }
        let entries = beneath(tree, path).map(|child| Entry {
            name: child[path.len() + 1..].to_owned(),
            kind: if tree[child] == Node::Dir { EntryKind::Dir } else { EntryKind::File },
        });
        Ok(entries.filter(|entry| !entry.name.contains('/')).collect())
    }

    fn free(&mut self) -> io::Result<u64> {
        Ok(1 << 30)
    }
}
