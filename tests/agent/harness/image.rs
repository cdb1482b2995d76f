//! A root directory as an image's builder would leave it: BusyBox, our user, our init script and what the agent needs.

use super::Identity;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

pub const INIT: &str = "/etc/init.d/S92cloudtalker";
pub const CONFIG: &str = "/etc/cloudtalker.conf";
pub const PIDFILE: &str = "/var/run/cloudtalker.pid";
/// Where the agent's program belongs.
pub const PROGRAM: &str = "/usr/bin/cloudtalker";
pub const STATE_DIR: &str = "/var/lib/cloudtalker";
/// Of the user and the group `cloudtalker`; the user is in the group `video`, too.
pub const UID: u32 = 990;
pub const GID: u32 = 991;
pub const VIDEO: u32 = 44;

/// Fills an empty directory. The certificates in `/etc/cloudtalker` are not the agent's user's yet, and the program is
/// not there.
pub fn lay_out(root: &Path, busybox: &Path, identity: &Identity, endpoint: &str) {
    const DIRS: &str = "bin dev etc/cloudtalker etc/default etc/init.d mnt proc run sys tmp usr/bin var/lib";
    for dir in DIRS.split(' ') {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    symlink("../run", root.join("var/run")).unwrap();
    install(busybox, &root.join("bin/busybox"));
    symlink("busybox", root.join("bin/sh")).unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("buildroot/package/cloudtalker");
    install(&package.join("S92cloudtalker"), &within(root, INIT));
    install(&package.join("cloudtalker.default"), &root.join("etc/default/cloudtalker"));
    identity.copy_to(&root.join("etc/cloudtalker"));
    let passwd =
        format!("root:x:0:0::/:/bin/sh\ncloudtalker:x:{UID}:{GID}::/var/lib/cloudtalker:/bin/false\n");
    fs::write(root.join("etc/passwd"), passwd).unwrap();
    let group = format!("root:x:0:\nvideo:x:{VIDEO}:cloudtalker\ncloudtalker:x:{GID}:\n");
    fs::write(root.join("etc/group"), group).unwrap();
    let files = [("cert", "cert.pem"), ("key", "key.pem"), ("ca", "ca.pem")];
    let lines = files.map(|(name, file)| format!("{name} = /etc/cloudtalker/{file}\n"));
    fs::write(within(root, CONFIG), format!("endpoint = {endpoint}\n{}", lines.concat())).unwrap();
}

/// Where a path of the image's lies.
pub fn within(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Copies a program, in a process that does nothing else, as [`super::write_program`].
pub fn install(from: &Path, to: &Path) {
    let copied = Command::new("install").args(["-m", "755"]).args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} can't be installed", from.display());
}
