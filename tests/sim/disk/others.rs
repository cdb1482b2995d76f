//! What others than the agent do to the disk: the camera program, which has a directory of its own, and strangers.

use super::{CAMERA, Disk, Kind, Node, ROOT, SimFiles, find};
use std::rc::Rc;

impl SimFiles {
    /// The camera writes a file; it does not sync it.
    pub fn camera_writes(&self, name: &str, bytes: Vec<u8>) {
        let disk = &mut *self.0.borrow_mut();
        let camera = disk.camera();
        let node = disk.add_node(Node::File { bytes: Rc::new(bytes), mtime_ns: disk.mtime() });
        disk.change(Kind::Add { dir: camera, name: name.to_owned(), node }, [camera, camera]);
    }

    /// The camera writes other bytes into a file that is there: whatever else has a name for it has them, too.
    pub fn camera_rewrites(&self, name: &str, bytes: Vec<u8>) {
        let disk = &mut *self.0.borrow_mut();
        let (node, mtime_ns) = (disk.find(&format!("{CAMERA}/{name}")).unwrap(), disk.mtime());
        disk.forgotten.remove(&node);
        disk.nodes.insert(node, Node::File { bytes: Rc::new(bytes), mtime_ns });
    }

    /// The camera makes room: its oldest files go, until no more than so many bytes are left.
    pub fn camera_keeps(&self, most: usize) {
        let mut files = self.contents(CAMERA);
        let mut bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let disk = &mut *self.0.borrow_mut();
        let camera = disk.camera();
        for (name, contents) in files.drain(..) {
            if bytes > most {
                disk.change(Kind::Remove { dir: camera, name }, [camera, camera]);
                bytes -= contents.len();
            }
        }
    }

    /// Somebody else puts a file there, or an empty directory, and syncs it. False where there is something already, or where
    /// a power cut may take the directory that it would be in.
    pub fn stranger_puts(&self, path: &str, bytes: Option<Rc<Vec<u8>>>) -> bool {
        let disk = &mut *self.0.borrow_mut();
        let Ok((dir, name)) = disk.parent(path) else { return false };
        let is_durable = find(&disk.durable, path.rsplit_once('/').map_or("", |(dir, _)| dir))
            .is_ok_and(|node| node == dir);
        let is_dir = matches!(disk.nodes[&dir], Node::Dir(_));
        if !is_durable || !is_dir || disk.find(path).is_ok() {
            return false;
        }
        let mtime_ns = disk.mtime();
        let node =
            disk.add_node(bytes.map_or(Node::Dir(Rc::default()), |bytes| Node::File { bytes, mtime_ns }));
        disk.durable.insert(node, disk.nodes[&node].clone());
        for nodes in [&mut disk.nodes, &mut disk.durable] {
            let Some(Node::Dir(names)) = nodes.get_mut(&dir) else { unreachable!("it was looked at") };
            Rc::make_mut(names).insert(name.clone(), node);
        }
        true
    }
}

impl Disk {
    fn camera(&mut self) -> u64 {
        if let Ok(node) = self.find(CAMERA) {
            return node;
        }
        let node = self.add_node(Node::Dir(Rc::default()));
        self.durable.insert(node, Node::Dir(Rc::default()));
        for nodes in [&mut self.nodes, &mut self.durable] {
            let Some(Node::Dir(root)) = nodes.get_mut(&ROOT) else { unreachable!() };
            Rc::make_mut(root).insert(CAMERA.trim_start_matches('/').to_owned(), node);
        }
        node
    }
}
