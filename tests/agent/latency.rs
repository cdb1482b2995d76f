//! The executor waits for neither the disk nor an upload: told by the order of events, not by a clock.

use crate::{
    commands::{ARM, DISARM},
    harness::{Board, Camera, Cloud, Disk, Server},
};
use cloudtalker::wire::cloud::ToAgent;
use std::{fs, thread};

/// More than the sockets on the way hold for somebody who does not read.
const LONG: usize = 32_000_000;
/// So that the upload lasts until somebody does not read.
const RATE: &str = "2M";

#[test]
fn commands_and_pings_go_out_while_an_fsync_and_an_upload_hang() {
    let (disk, server) = (Disk::mount(), Server::start());
    let porch = server.add("porch");
    let cloud = Cloud::new(&porch);
    let board = cloud.board(&porch, &server).with_camera().with(&["--max_rate", RATE]).on(&disk);
    let camera = Camera::at(&board.cam_sock());
    let agent = board.start();
    let mut session = cloud.session();
    agent.takes(&[board.record("pir.1529842538.0.mp4", LONG)]);
    agent.has_sent(0);
    server.freeze();
    agent.sends_no_more();
    disk.hold_while(&agent, &board.record("pir.1529842539.0.mp4", 1000), || {
        session.says(&ToAgent { pir_armed: Some(true), ..ToAgent::default() });
        assert_eq!(camera.hears_beside(DISARM), ARM);
        while !session.hears_state() {}
        let upload = agent.status().upload;
        assert!(upload.as_ref().is_some_and(|upload| upload.sent < upload.bytes), "{upload:?}");
        // What comes after that state was sent after it.
        session.hears_ping();
    });
}

#[test]
fn captures_are_taken_while_a_list_of_files_hangs() {
    let disk = Disk::mount();
    let list = disk.at("list");
    fs::write(&list, "").unwrap();
    disk.cut_after(0);
    let change = disk.at("change");
    let hangs = thread::spawn(move || fs::write(change, ""));
    disk.is_cut();
    let board = Board::alone().with(&["--motion_file_list", list.to_str().unwrap()]);
    let agent = board.start();
    // From here on it has to go before the agent, should the test fail.
    let disk = disk;
    agent.takes(&board.record_capture(1_529_842_538, &[3000]));
    disk.power_up(0);
    assert!(hangs.join().unwrap().is_err());
}
