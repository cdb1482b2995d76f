//! The two scripts beside the agent's: the one that receives the cloud's commands, and the one that makes a board out of
//! what its card brings.

use super::{
    assert_said,
    harness::{Said, free_port, image, write_program},
    room::Room,
};
use std::{
    fs,
    net::UdpSocket,
    ops::{Deref, DerefMut},
    os::unix::{fs::symlink, net::UnixDatagram},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

const LISTEN: &str = "/etc/init.d/S93cloudtalker-listen";
const IDENTITY: &str = "/etc/init.d/S05identity";

/// The room's scripts come from where Buildroot takes them.
fn room_with(script: &str, directory: &str) -> Room {
    let room = Room::new();
    let name = Path::new(script).file_name().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("buildroot").join(directory).join(name);
    image::install(&from, &room.at(script));
    room
}

/// With a program that says what it was told, and by whom.
fn listening_room(port: u16) -> Room {
    let mut room = room_with(LISTEN, "package/cloudtalker");
    room.ok("mkdir -p /usr/libexec/cloudtalker");
    let program = "#!/bin/sh\necho \"$(id -un) in $CAPTURE_DIR: $1\"; echo aside >&2\n";
    write_program(&room.at("/usr/libexec/cloudtalker/on-command"), program);
    let defaults = format!("CLOUDTALKER_LISTEN_ARGS='--cam_addr 127.0.0.1:{port}'\n");
    fs::write(room.at("/etc/default/cloudtalker-listen"), defaults).unwrap();
    room
}

#[test]
fn a_command_is_carried_out_as_the_agents_user_and_its_words_go_to_the_log() {
    let port = free_port();
    let mut room = listening_room(port);
    assert_said(&room.run(&format!("{LISTEN} start")), 0, "Starting cloudtalker-listen: OK");
    let listens = format!("until grep -q ':{port:04X} ' /proc/net/udp; do sleep 0.1; done");
    room.ok(&listens);
    let cloud = UdpSocket::bind("127.0.0.1:0").unwrap();
    cloud.send_to(br#"{"command":"capture"}"#, ("127.0.0.1", port)).unwrap();
    room.logs("cloudtalker-listen: cloudtalker in /var/lib/camera: capture");
    room.logs("cloudtalker-listen: aside");
    assert_eq!(room.ok("stat -c '%U %a' /var/lib/camera"), "cloudtalker 750");
}

#[test]
fn the_listener_needs_no_agent_and_says_where_it_can_not_listen() {
    let mut room = listening_room(free_port());
    fs::write(room.at("/etc/default/cloudtalker-listen"), "").unwrap();
    assert_said(&room.run(&format!("{LISTEN} start")), 0, "Starting cloudtalker-listen: OK");
    assert!(room.has("/run/cloudtalker/camera.sock"), "as the agent has it by itself");
    room.ok(&format!("{LISTEN} stop"));
    fs::write(
        room.at("/etc/default/cloudtalker-listen"),
        "CLOUDTALKER_LISTEN_ARGS='--cam_sock /nowhere/camera.sock'\n",
    )
    .unwrap();
    let words = "FAIL: it ended; `cloudtalker listen --cam_sock /nowhere/camera.sock` says why";
    assert_said(&room.run(&format!("{LISTEN} start")), 1, words);
    assert!(!room.has("/var/run/cloudtalker-listen.pid"));
}

#[test]
fn the_listener_starts_once_restarts_and_stops() {
    let mut room = listening_room(free_port());
    let process = "/var/run/cloudtalker-listen.pid";
    assert_said(&room.run(&format!("{LISTEN} status")), 3, "cloudtalker-listen does not run");
    assert_said(&room.run(&format!("{LISTEN} start")), 0, "OK");
    let first = room.ok(&format!("cat {process}"));
    assert_said(&room.run(&format!("{LISTEN} start")), 0, &format!("OK: it runs already, process {first}"));
    assert_said(&room.run(&format!("{LISTEN} status")), 0, &format!("runs, process {first}"));
    assert_said(&room.run(&format!("{LISTEN} restart")), 0, "Starting cloudtalker-listen: OK");
    assert_ne!(room.ok(&format!("cat {process}")), first);
    assert_said(&room.run(&format!("{LISTEN} stop")), 0, "Stopping cloudtalker-listen: OK");
    assert_eq!(room.agents(), 0);
    assert_said(&room.run(&format!("{LISTEN} stop")), 0, "OK: it was not running");
    assert_said(&room.run(&format!("{LISTEN} dance")), 2, "Usage: ");
}

#[test]
fn recordings_of_an_earlier_system_are_the_listeners_under_its_new_number_too() {
    let mut room = listening_room(free_port());
    room.ok("cd /var/lib && mkdir -p camera/sub && touch camera/sub/recording camera/theirs");
    room.ok("cd /var/lib && chown -R 4711:4712 camera && chown 4713 camera/theirs");
    assert_said(&room.run(&format!("{LISTEN} start")), 0, "Starting cloudtalker-listen: OK");
    let owners = room.ok("cd /var/lib && stat -c '%U:%G' camera camera/sub camera/sub/recording");
    assert_eq!(owners, ["cloudtalker:cloudtalker"; 3].join("\n"));
    assert_eq!(room.ok("stat -c %u /var/lib/camera/theirs"), "4713");
}

#[test]
fn an_images_camera_records_what_the_cloud_asks_for_and_hands_it_over() {
    let mut room = room_of_an_image();
    room.ok(&format!("{} start && {LISTEN} start", image::INIT));
    room.ok("until [ -S /run/cloudtalker/camera.sock ]; do sleep 0.1; done");
    let agent = UnixDatagram::unbound().unwrap();
    agent.send_to(br#"{"command":"capture"}"#, room.at("/run/cloudtalker/camera.sock")).unwrap();
    room.ok("until [ -e /data/cloudtalker/spool/*.cap/2.mp4 ]; do sleep 0.1; done");
    let links = room.ok("stat -c '%h links, of %U' /data/cloudtalker/spool/*.cap/?.mp4");
    assert_eq!(links, ["2 links, of cloudtalker"; 3].join("\n"));
}

#[test]
fn the_listeners_defaults_file_names_what_the_script_and_the_unit_have_anyway() {
    let defaults = settings("buildroot/package/cloudtalker/cloudtalker-listen.default");
    assert_eq!(settings("buildroot/package/cloudtalker/S93cloudtalker-listen"), defaults);
    let unit = settings("dist/systemd/cloudtalker-listen.service");
    // systemd has words of its own for the user, and the numbers are those of the recording script.
    let elsewhere = ["CLOUDTALKER_USER=", "CAPTURE_SEGMENTS=", "SEGMENT_MILLISECONDS="];
    let is_the_units = |line: &String| !elsewhere.iter().any(|name| line.starts_with(name));
    assert_eq!(unit, defaults.into_iter().filter(is_the_units).collect::<Vec<_>>());
}

/// As on our Raspberry Pi images, with the identity where it is taken to, and a stand-in for `rpicam-vid`.
fn room_of_an_image() -> Room {
    let mut room = room_with(LISTEN, "package/cloudtalker");
    room.ok("mkdir -p /data/identity /usr/libexec/cloudtalker && mv /etc/cloudtalker.conf /data/identity/");
    room.ok("chown -R cloudtalker /data/identity");
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let overlays = project.join("buildroot/board");
    let link = fs::read_link(overlays.join("common/rootfs_overlay/etc/cloudtalker.conf")).unwrap();
    symlink(link, room.at("/etc/cloudtalker.conf")).unwrap();
    for file in ["cloudtalker", "cloudtalker-listen"] {
        let from = overlays.join("raspberrypi/rootfs_overlay/etc/default").join(file);
        fs::copy(from, room.at("/etc/default").join(file)).unwrap();
    }
    let script = room.at("/usr/libexec/cloudtalker/on-command");
    image::install(&project.join("examples/rpicam-vid.sh"), &script);
    write_program(
        &room.at("/usr/bin/rpicam-vid"),
        "#!/bin/sh\nfor file; do :; done\necho picture >\"$file\"\n",
    );
    room
}

/// The lines of a file that set what the listener or its program goes by, as `NAME=VALUE`.
fn settings(file: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let lines = text.lines().map(|line| line.replace('"', ""));
    let lines = lines.map(|line| line.trim_start_matches("Environment=").trim_start_matches('#').to_owned());
    let is_setting =
        |line: &String| ["CLOUDTALKER_", "CAPTURE_", "SEGMENT_"].iter().any(|start| line.starts_with(start));
    let mut found: Vec<String> = lines.filter(is_setting).collect();
    found.sort();
    found
}

/// A room with a card. Its partition is a file, of a type that every kernel of a test has: `/card/partition`.
struct Carded {
    room: Room,
    // Loop devices are the kernel's, and two mounts at once may want the same.
    _alone: MutexGuard<'static, ()>,
}

impl Deref for Carded {
    type Target = Room;

    fn deref(&self) -> &Room {
        &self.room
    }
}

impl DerefMut for Carded {
    fn deref_mut(&mut self) -> &mut Room {
        &mut self.room
    }
}

fn room_with_a_card() -> Carded {
    static CARDED: Mutex<()> = Mutex::new(());
    let alone = CARDED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut room = room_with(IDENTITY, "board/common/rootfs_overlay/etc/init.d");
    room.ok("mknod /dev/loop-control c 10 237; for n in 0 1 2 3 4 5 6 7; do mknod /dev/loop$n b 7 $n; done");
    room.ok("mkdir -p /data /card && mount -t tmpfs none /card && cd /card && truncate -s 1M partition");
    room.ok("mke2fs -F /card/partition >/dev/null && mount -t ext4 /card/partition /mnt");
    room.ok("mkdir /mnt/cloudtalker && cd /mnt/cloudtalker && echo endpoint >cloudtalker.conf && echo secret >key.pem");
    room.ok("umount /mnt");
    let defaults = "IDENTITY_DEVICE=/card/partition\nIDENTITY_TYPE=ext4\n";
    fs::write(room.at("/etc/default/identity"), defaults).unwrap();
    Carded { room, _alone: alone }
}

fn identity(room: &mut Room) -> Said {
    room.run(&format!("{IDENTITY} start"))
}

/// What the card still brings.
fn brought(room: &mut Room) -> String {
    room.ok("mount -t ext4 -o ro /card/partition /mnt; ls /mnt; umount /mnt")
}

#[test]
fn what_the_card_brings_becomes_the_cameras_and_is_gone_from_it() {
    let mut room = room_with_a_card();
    room.ok("mkdir /data/identity && touch /data/identity/earlier");
    let said = identity(&mut room);
    assert_eq!((said.code, said.text.as_str()), (0, "Starting identity: OK: taken to /data/identity"));
    let modes = room.ok("cd /data && stat -c '%n %a %U:%G' * identity/*");
    let expected = [
        "identity 750 root:cloudtalker",
        "identity/cloudtalker.conf 640 root:cloudtalker",
        "identity/key.pem 640 root:cloudtalker",
    ];
    assert_eq!(modes.lines().collect::<Vec<_>>(), expected);
    assert_eq!(brought(&mut room), "lost+found");
    assert_said(&identity(&mut room), 0, "OK: nothing is brought");
    assert!(room.has("/data/identity/key.pem"));
}

#[test]
fn an_earlier_systems_number_leaves_the_key_to_no_other_group() {
    let mut room = room_with(IDENTITY, "board/common/rootfs_overlay/etc/init.d");
    room.ok("mkdir -p /data/identity && cd /data/identity && touch key.pem wpa_supplicant.conf");
    room.ok("cd /data/identity && chmod 750 . && chmod 640 key.pem && chmod 600 wpa_supplicant.conf");
    // A power cut in the middle of the mending may have left it at that.
    room.ok("chown root:4712 /data/identity/key.pem && chown root:cloudtalker /data/identity");
    assert_said(&identity(&mut room), 0, "OK: nothing is brought");
    let modes = room.ok("cd /data && stat -c '%n %a %U:%G' identity identity/*");
    let expected = [
        "identity 750 root:cloudtalker",
        "identity/key.pem 640 root:cloudtalker",
        "identity/wpa_supplicant.conf 600 root:cloudtalker",
    ];
    assert_eq!(modes.lines().collect::<Vec<_>>(), expected);
    room.ok("chown -R root:4712 /data/identity && mount --bind /data/identity /data/identity");
    room.ok("mount -o remount,bind,ro /data/identity");
    let words = "FAIL: /data/identity can't be given to the group cloudtalker";
    assert_said(&identity(&mut room), 1, words);
}

#[test]
fn a_card_without_a_key_adds_to_what_is_there() {
    let mut room = room_with_a_card();
    assert_said(&identity(&mut room), 0, "OK: taken to /data/identity");
    room.ok("mount -t ext4 /card/partition /mnt && mkdir /mnt/cloudtalker");
    room.ok("cd /mnt/cloudtalker && echo network >wpa_supplicant.conf && echo elsewhere >cloudtalker.conf");
    room.ok("umount /mnt");
    assert_said(&identity(&mut room), 0, "OK: taken to /data/identity");
    let modes = room.ok("cd /data && stat -c '%n %a' identity identity/*");
    let expected = [
        "identity 750",
        "identity/cloudtalker.conf 640",
        "identity/key.pem 640",
        "identity/wpa_supplicant.conf 600",
    ];
    assert_eq!(modes.lines().collect::<Vec<_>>(), expected);
    assert_eq!(room.ok("cat /data/identity/key.pem /data/identity/cloudtalker.conf"), "secret\nelsewhere");
    assert_eq!(brought(&mut room), "lost+found");
}

#[test]
fn a_power_cut_between_two_identities_loses_no_key() {
    let mut room = room_with_a_card();
    room.ok("mkdir /data/identity.old && echo earlier >/data/identity.old/old-key.pem");
    room.ok("mount -t ext4 /card/partition /mnt && rm /mnt/cloudtalker/key.pem && umount /mnt");
    assert_said(&identity(&mut room), 0, "OK: taken to /data/identity");
    assert_eq!(
        room.ok("ls /data /data/identity"),
        "/data:\nidentity\n\n/data/identity:\ncloudtalker.conf\nold-key.pem"
    );
}

#[test]
fn a_card_that_brings_something_else_is_told_so() {
    let mut room = room_with_a_card();
    room.ok("mount -t ext4 /card/partition /mnt && mkdir /mnt/cloudtalker/cloudtalker && umount /mnt");
    let words =
        "FAIL: expected nothing but files in cloudtalker/ on /card/partition, and there is a directory";
    assert_said(&identity(&mut room), 1, words);
    assert!(!room.has("/data/identity"));
    room.ok("mount -t ext4 /card/partition /mnt");
    room.ok("cd /mnt/cloudtalker && rmdir cloudtalker && mv cloudtalker.conf x.txt");
    room.ok("umount /mnt");
    assert_said(&identity(&mut room), 0, "OK: taken to /data/identity; there is no cloudtalker.conf yet");
    room.ok("mount -t ext4 /card/partition /mnt && mkdir /mnt/cloudtalker && umount /mnt");
    assert_said(&identity(&mut room), 0, "OK: nothing is brought");
}

#[test]
fn a_card_that_cant_be_written_stops_no_start() {
    let mut room = room_with_a_card();
    room.ok("mount -o remount,ro /card");
    let words = "OK: taken to /data/identity, but it can't be removed from /card/partition";
    assert_said(&identity(&mut room), 0, words);
    assert!(room.has("/data/identity/key.pem"));
    assert_eq!(brought(&mut room), "cloudtalker\nlost+found");
}

#[test]
fn a_card_that_is_not_there_stops_no_start() {
    let mut room = room_with_a_card();
    room.ok("rm /card/partition");
    let words = "OK: nothing is brought, /card/partition can't be mounted";
    assert_said(&identity(&mut room), 0, words);
}

#[test]
fn what_cant_be_copied_stays_on_the_card() {
    let mut room = room_with_a_card();
    room.ok("mount -t tmpfs -o ro none /data");
    let words = "FAIL: /run/identity/cloudtalker can't be copied to /data/identity";
    assert_said(&identity(&mut room), 1, words);
    assert_eq!(brought(&mut room), "cloudtalker\nlost+found");
}
