//! Alpine's package, put together as abuild does it: BusyBox's shell runs what stands in our APKBUILD.

use super::{
    harness::image::install,
    room::{Room, found},
};
use std::{fs, path::Path, process::Command};

const PACK: &str = "(umask 022; set -e; . /src/dist/alpine/APKBUILD; pkgdir=/pkg; cd /src; package)";

const PACKAGE: &[&str] = &[
    "drwxr-xr-x root:root etc",
    "drwxr-x--- root:cloudtalker etc/cloudtalker",
    "-rw-r--r-- root:root etc/cloudtalker.conf",
    "drwxr-xr-x root:root etc/conf.d",
    "-rw-r--r-- root:root etc/conf.d/cloudtalker",
    "drwxr-xr-x root:root etc/init.d",
    "-rwxr-xr-x root:root etc/init.d/cloudtalker",
    "drwxr-xr-x root:root usr",
    "drwxr-xr-x root:root usr/bin",
    "-rwxr-xr-x root:root usr/bin/cloudtalker",
    "drwxr-xr-x root:root usr/share",
    "drwxr-xr-x root:root usr/share/doc",
    "drwxr-xr-x root:root usr/share/doc/cloudtalker",
    "drwxr-xr-x root:root usr/share/doc/cloudtalker/examples",
    "-rw-r--r-- root:root usr/share/doc/cloudtalker/examples/listener.py",
    "-rwxr-xr-x root:root usr/share/doc/cloudtalker/examples/on_movie_end.sh",
    "-rwxr-xr-x root:root usr/share/doc/cloudtalker/examples/rpicam-vid.sh",
    "-rw-r--r-- root:root usr/share/doc/cloudtalker/examples/sender.py",
    "drwxr-xr-x root:root usr/share/licenses",
    "drwxr-xr-x root:root usr/share/licenses/cloudtalker",
    "-rw-r--r-- root:root usr/share/licenses/cloudtalker/LICENSE-APACHE",
    "-rw-r--r-- root:root usr/share/licenses/cloudtalker/LICENSE-MIT",
    "drwxr-xr-x root:root usr/share/man",
    "drwxr-xr-x root:root usr/share/man/man1",
    "-rw-r--r-- root:root usr/share/man/man1/cloudtalker.1",
    "drwxr-xr-x root:root var",
    "drwxr-xr-x root:root var/lib",
    "drwxr-x--- cloudtalker:cloudtalker var/lib/cloudtalker",
];

#[test]
fn alpines_package_has_all_that_the_agent_needs_and_nobody_else_reads_its_key() {
    let mut room = room_of_abuild();
    fs::write(room.at("/src/target/release/cloudtalker"), "built\n").unwrap();
    room.ok(PACK);
    let listing = room.ok("cd /pkg; find * | sort | xargs stat -c '%A %U:%G %n'");
    assert_eq!(listing.lines().collect::<Vec<_>>(), PACKAGE);
    assert_eq!(room.ok("cat /pkg/usr/bin/cloudtalker"), "built");
    assert_eq!(room.ok("head -n 1 /pkg/etc/init.d/cloudtalker"), "#!/sbin/openrc-run");
}

#[test]
fn alpines_package_is_not_made_of_half_a_build() {
    let mut room = room_of_abuild();
    let said = room.run(PACK);
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.text.contains("target/release/cloudtalker"), "{said:?}");
}

#[test]
fn openrcs_defaults_file_names_what_the_script_has_anyway() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/openrc");
    let lines = |file: &str, start: &str, end: &str, equals: &str| -> Vec<String> {
        let text = fs::read_to_string(directory.join(file)).unwrap();
        let inner = text.lines().filter_map(|line| line.strip_prefix(start)?.strip_suffix(end));
        inner
            .filter_map(|line| line.split_once(equals))
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    };
    let script = lines("cloudtalker", ": \"${", "}\"", ":=");
    assert!(!script.is_empty());
    assert_eq!(lines("cloudtalker.confd", "#", "\"", "=\""), script);
}

/// With the source in `/src`. BusyBox's own `install`, which Alpine has, is left out of Debian's.
fn room_of_abuild() -> Room {
    let mut room = Room::new();
    install(&found("install"), &room.at("/bin/install"));
    room.ok("mkdir -p /src/target/release /pkg");
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut copy = Command::new("cp");
    let parts = ["dist", "examples", "LICENSE-APACHE", "LICENSE-MIT"];
    copy.arg("-r").args(parts.map(|part| source.join(part))).arg(room.at("/src"));
    assert!(copy.status().unwrap().success());
    room
}
