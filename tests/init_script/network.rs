//! How our Raspberry Pi images bring up their network, by BusyBox's ifup.

use super::{
    assert_said,
    harness::{image::install, write_program},
    room::Room,
};
use std::{fs, path::Path};

const AWAIT: &str = "/etc/network/await_iface";

/// As on an image. Interfaces are what a test makes in `/sys/class/net`, and `wpa_supplicant` only notes its call.
fn room_of_an_image() -> Room {
    let mut room = Room::new();
    room.ok("mkdir -p /etc/network/if-pre-up.d /data/identity /sys/class/net");
    let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("buildroot/board/raspberrypi/rootfs_overlay");
    fs::copy(overlay.join("etc/network/interfaces"), room.at("/etc/network/interfaces")).unwrap();
    install(&overlay.join(&AWAIT[1..]), &room.at(AWAIT));
    write_program(&room.at("/usr/bin/wpa_supplicant"), "#!/bin/sh\necho \"$@\" >/tmp/joined\n");
    room
}

#[test]
fn ifup_waits_for_an_interface_before_it_does_anything_with_it() {
    let mut room = room_of_an_image();
    let rows: [(&str, &[&str]); 2] = [
        ("eth0", &["/etc/network/await_iface 5"]),
        (
            "wlan0",
            &[
                "test -e /data/identity/wpa_supplicant.conf",
                "/etc/network/await_iface 15",
                "wpa_supplicant -B -i wlan0 -c /data/identity/wpa_supplicant.conf",
            ],
        ),
    ];
    for (interface, before) in rows {
        let printed = room.ok(&format!("ifup -n -v -i /etc/network/interfaces {interface}"));
        let lines: Vec<&str> = printed.lines().collect();
        let at =
            lines.iter().position(|line| line.starts_with("run-parts ")).expect("if-pre-up.d comes, too");
        assert_eq!(&lines[..at], before, "{interface}");
    }
}

#[test]
fn a_wireless_interface_that_comes_late_joins_its_network() {
    let mut room = room_of_an_image();
    room.ok("touch /data/identity/wpa_supplicant.conf; SHELL=/bin/sh ifup wlan0 >/dev/null 2>&1 &");
    room.calls("sleep 1");
    assert!(!room.has("/tmp/joined"), "there is no interface yet");
    room.ok("mkdir /sys/class/net/wlan0; until [ -s /tmp/joined ]; do sleep 0.1; done");
    assert_eq!(room.ok("cat /tmp/joined"), "-B -i wlan0 -c /data/identity/wpa_supplicant.conf");
}

#[test]
fn a_board_without_an_interface_waits_for_it_no_longer_than_it_is_told() {
    let mut room = room_of_an_image();
    // dash has no `sleep` of its own, and takes this one.
    write_program(&room.at("/usr/bin/sleep"), "#!/bin/sh\necho slept $1 >>/tmp/slept\n");
    let wait = format!("PATH=/usr/bin:/bin IFACE=eth0 dash {AWAIT} 5");
    assert_said(&room.run(&wait), 1, "eth0: there is no such interface after 5 s");
    assert_eq!(room.ok("cat /tmp/slept"), ["slept 1"; 5].join("\n"));
    room.ok("mkdir /sys/class/net/eth0 && rm /tmp/slept");
    room.ok(&wait);
    assert!(!room.has("/tmp/slept"), "it is there");
}
