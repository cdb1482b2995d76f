//! The calls of the file system, on the simulated disk.

use super::{Disk, Kind, Node, Open, SimFiles};
use cloudtalker::engine::spool::{Entry, EntryKind, Facts, Files, Inode, SourceError, SourceFile};
use std::{io, rc::Rc};

impl Files for SimFiles {
    type File = Open;

    fn open_source(&mut self, path: &str) -> Result<Open, SourceError> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("open_source")?;
        let node = disk.find(path)?;
        match disk.nodes[&node] {
            Node::File { .. } => Ok(disk.handle(node, false)),
            Node::Dir(_) => Err(SourceError::NotRegular("a directory")),
        }
    }

    fn remove_source(&mut self, path: &str, file: SourceFile) {
        let disk = &mut *self.0.borrow_mut();
        let Ok(node) = disk.call("remove_source").and_then(|()| disk.find(path)) else { return };
        let Node::File { bytes, mtime_ns } = &disk.nodes[&node] else { return };
        let inode = Inode { dev: 1, ino: node };
        if (SourceFile { inode, bytes: bytes.len() as u64, mtime_ns: *mtime_ns }) == file {
            disk.removed_sources.push(Rc::clone(bytes));
            let (dir, name) = disk.parent(path).unwrap();
            disk.change(Kind::Remove { dir, name }, [dir, dir]);
        }
    }

    fn kind(&mut self, path: &str) -> io::Result<Option<EntryKind>> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("kind")?;
        match disk.find(path) {
            Ok(node) => Ok(Some(disk.kind(node))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&mut self, path: &str) -> io::Result<Open> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("open")?;
        let node = disk.find(path)?;
        Ok(disk.handle(node, false))
    }

    fn create(&mut self, path: &str) -> io::Result<Open> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("create")?;
        disk.make_empty(path)
    }

    fn append(&mut self, path: &str) -> io::Result<Open> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("append")?;
        match disk.find(path) {
            Ok(node) => Ok(disk.handle(node, true)),
            Err(_) => disk.make_empty(path),
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
        let mut failed = disk.call("write");
        let is_endless = disk.capacity == u64::MAX;
        let room = if is_endless { usize::MAX } else { usize::try_from(disk.room()).unwrap_or(usize::MAX) };
        if room < new.len() {
            failed = failed.and(Err(io::ErrorKind::StorageFull.into()));
        }
        let now = disk.mtime();
        disk.forgotten.remove(&file.node);
        // What there is no room for is not written in part, either.
        let partly = (disk.rng.bits() as usize) % (new.len().min(room) + 1);
        let Some(Node::File { bytes, mtime_ns }) = disk.nodes.get_mut(&file.node) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        if file.append {
            file.position = bytes.len();
        }
        let bytes = Rc::make_mut(bytes);
        let new = if failed.is_ok() { new } else { &new[..partly] };
        bytes.truncate(file.position);
        bytes.extend_from_slice(new);
        file.position = bytes.len();
        *mtime_ns = now;
        failed
    }

    fn sync(&mut self, file: &Open) -> io::Result<()> {
        let disk = &mut *self.0.borrow_mut();
        let synced = disk.call("sync");
        match synced {
            Ok(()) => disk.sync_node(file.node),
            Err(_) => disk.may_forget(file.node),
        }
        synced
    }

    fn facts(&mut self, file: &Open) -> io::Result<Facts> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("facts")?;
        let links = disk.nodes.values().map(|node| node.links_to(file.node)).sum::<usize>();
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
            // As rename(2): two names of one file stay two names.
            match (&disk.nodes[&node], &disk.nodes[&target]) {
                (Node::File { .. }, Node::File { .. }) if target == node => return Ok(()),
                (Node::File { .. }, Node::File { .. }) => {}
                (Node::File { .. }, Node::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
                (Node::Dir(_), Node::File { .. }) => return Err(io::ErrorKind::NotADirectory.into()),
                (Node::Dir(_), Node::Dir(names)) if names.is_empty() => {}
                (Node::Dir(_), Node::Dir(_)) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
            }
        }
        let (from, to) = (disk.parent(from)?, disk.parent(to)?);
        let touches = [from.0, to.0];
        disk.change(Kind::Move { from, to, node }, touches);
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
        let node = disk.add_node(Node::Dir(Rc::default()));
        // Its names can become durable before its own.
        disk.durable.insert(node, Node::Dir(Rc::default()));
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

    fn list(&mut self, path: &str) -> io::Result<Vec<Entry>> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("list")?;
        match &disk.nodes[&disk.find(path)?] {
            Node::Dir(names) => {
                let entry =
                    |(name, node): (&String, &u64)| Entry { name: name.clone(), kind: disk.kind(*node) };
                Ok(names.iter().map(entry).collect())
            }
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn free(&mut self) -> io::Result<u64> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("free")?;
        Ok(if disk.capacity == u64::MAX { u64::MAX } else { disk.room() })
    }
}

impl Disk {
    fn make_empty(&mut self, path: &str) -> io::Result<Open> {
        let (dir, name) = self.parent(path)?;
        let empty = Node::File { bytes: Rc::default(), mtime_ns: self.mtime() };
        let node = match self.find(path) {
            Ok(node) if matches!(self.nodes[&node], Node::Dir(_)) => {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok(node) => {
                self.forgotten.remove(&node);
                self.nodes.insert(node, empty);
                node
            }
            Err(_) => {
                let node = self.add_node(empty);
                self.change(Kind::Add { dir, name, node }, [dir, dir]);
                node
            }
        };
        Ok(self.handle(node, false))
    }
}
