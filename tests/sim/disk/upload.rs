//! The upload worker's calls, from a thread of its own: it opens a file, and reads it while the camera may write into it.

use super::{Node, SimFiles};
use std::{io, rc::Rc};

/// A file as it was when its upload began.
#[derive(Clone)]
pub struct Opened {
    inode: u64,
    bytes: Rc<Vec<u8>>,
    mtime_ns: i64,
}

impl Opened {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn facts(&self) -> (u64, i64) {
        (self.bytes.len() as u64, self.mtime_ns)
    }
}

impl SimFiles {
    pub fn open_upload(&self, path: &str) -> io::Result<Opened> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("open_upload")?;
        let inode = disk.find(path)?;
        match &disk.nodes[&inode] {
            Node::File { bytes, mtime_ns } => {
                Ok(Opened { inode, bytes: Rc::clone(bytes), mtime_ns: *mtime_ns })
            }
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// So many bytes from this offset on, or fewer. What was written since it was opened comes into them somewhere.
    pub fn read_upload(&self, opened: &Opened, offset: usize, count: usize) -> io::Result<Vec<u8>> {
        let disk = &mut *self.0.borrow_mut();
        disk.call("read_upload")?;
        let was = &opened.bytes;
        let is = match disk.nodes.get(&opened.inode) {
            Some(Node::File { bytes, .. }) => bytes,
            Some(Node::Dir(_)) | None => was,
        };
        let turn = match was == is {
            true => was.len(),
            false => offset + (disk.rng.bits() as usize) % (was.len() - offset + 1),
        };
        let rest = is.get(turn..is.len().min(was.len())).unwrap_or_default();
        let mut body = [&was[offset..turn], rest].concat();
        body.truncate(count);
        Ok(body)
    }

    /// Whether it has been written into since.
    pub fn is_changed(&self, opened: &Opened) -> bool {
        let now = self.file_of(opened.inode);
        now.is_some_and(|(bytes, mtime_ns)| (bytes.len() as u64, mtime_ns) != opened.facts())
    }
}
