//! What the kernel asks for. Nothing is cached there for longer than a file is open, so that what a power cut leaves is
//! what programs see.

use crate::{
    disk::{Disk, DiskError, Facts, Ino},
    faults::Operation,
    shell::Shell,
};
use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use std::{
    ffi::OsStr,
    time::{Duration, SystemTime},
};

const UNCACHED: Duration = Duration::ZERO;
const BLOCK: u32 = 4096;
/// Numbers are never used again, so each file has only one life.
const GENERATION: Generation = Generation(0);

impl Filesystem for Shell {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(Operation::Lookup, reply, |disk| disk.lookup(parent.0, name));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.operate(
            Operation::Facts,
            reply,
            |disk| disk.facts(ino.0),
            |reply, facts| {
                reply.attr(&UNCACHED, &self.attributes(facts));
            },
        );
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = |disk: &mut Disk| {
            if let Some(size) = size {
                disk.resize(ino.0, size, SystemTime::now())?;
            }
            match modified {
                Some(TimeOrNow::SpecificTime(time)) => disk.set_modified(ino.0, time)?,
                Some(TimeOrNow::Now) => disk.set_modified(ino.0, SystemTime::now())?,
                None => {}
            }
            disk.facts(ino.0)
        };
        self.operate(Operation::Change, reply, change, |reply, facts| {
            reply.attr(&UNCACHED, &self.attributes(facts));
        });
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        self.entry(Operation::MakeDir, reply, |disk| disk.make_dir(parent.0, name));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let remove = |disk: &mut Disk| disk.remove(parent.0, name);
        self.operate(Operation::Remove, reply, remove, |reply, ()| reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let remove = |disk: &mut Disk| disk.remove_dir(parent.0, name);
        self.operate(Operation::RemoveDir, reply, remove, |reply, ()| reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let rename = |disk: &mut Disk| disk.rename((parent.0, name), (new_parent.0, new_name));
        self.operate(Operation::Rename, reply, rename, |reply, ()| reply.ok());
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(Operation::Link, reply, |disk| disk.link(ino.0, parent.0, name).map(|()| ino.0));
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.operate(
            Operation::Open,
            reply,
            |disk| disk.facts(ino.0),
            |reply, _| {
                reply.opened(FileHandle(0), FopenFlags::empty());
            },
        );
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let create = |disk: &mut Disk| {
            let ino = disk.create(parent.0, name, SystemTime::now())?;
            disk.facts(ino)
        };
        self.operate(Operation::Create, reply, create, |reply, facts| {
            let attributes = self.attributes(facts);
            reply.created(&UNCACHED, &attributes, GENERATION, FileHandle(0), FopenFlags::empty());
        });
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = |disk: &mut Disk| disk.read(ino.0, offset, size as usize).map(<[u8]>::to_vec);
        self.operate(Operation::Read, reply, read, |reply, bytes| reply.data(&bytes));
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let write = |disk: &mut Disk| disk.write(ino.0, offset, data, SystemTime::now());
        let length = u32::try_from(data.len()).expect("a request is far shorter than 4 GiB");
        self.operate(Operation::Write, reply, write, |reply, ()| reply.written(length));
    }

    /// A close(2): it promises nothing.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.sync(Operation::Sync, ino, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.sync(Operation::SyncDir, ino, reply);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, reply: ReplyDirectory) {
        let list = |disk: &mut Disk| {
            let names = disk.list(ino.0)?.into_iter();
            names.map(|(name, ino)| disk.facts(ino).map(|facts| (name, facts))).collect::<Result<Vec<_>, _>>()
        };
        self.operate(Operation::List, reply, list, |mut reply, entries| {
            let numbered = (1..).zip(entries);
            for (next, (name, Facts { ino, is_dir, .. })) in numbered.skip_while(|(next, _)| *next <= offset)
            {
                let kind = if is_dir { FileType::Directory } else { FileType::RegularFile };
                if reply.add(INodeNo(ino), next, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let space = |disk: &mut Disk| Ok((disk.capacity(), disk.free()));
        self.operate(Operation::Space, reply, space, |reply, (capacity, free)| {
            let [blocks, free] = [capacity, free].map(|bytes| bytes / u64::from(BLOCK));
            reply.statfs(blocks, free, free, 0, 0, BLOCK, 255, BLOCK);
        });
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.ok();
    }
}

impl Shell {
    fn attributes(&self, facts: Facts) -> FileAttr {
        let Facts { ino, is_dir, bytes, modified, links } = facts;
        let (kind, perm) = if is_dir { (FileType::Directory, 0o755) } else { (FileType::RegularFile, 0o644) };
        FileAttr {
            ino: INodeNo(ino),
            size: bytes,
            blocks: bytes.div_ceil(512),
            atime: modified,
            mtime: modified,
            ctime: modified,
            crtime: modified,
            kind,
            perm,
            nlink: links,
            uid: self.owner().0,
            gid: self.owner().1,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        }
    }

    /// For requests that are answered by what they looked for or made.
    fn entry(
        &self,
        operation: Operation,
        reply: ReplyEntry,
        act: impl FnOnce(&mut Disk) -> Result<Ino, DiskError>,
    ) {
        let found = |disk: &mut Disk| act(disk).and_then(|ino| disk.facts(ino));
        self.operate(operation, reply, found, |reply, facts| {
            reply.entry(&UNCACHED, &self.attributes(facts), GENERATION);
        });
    }
}
