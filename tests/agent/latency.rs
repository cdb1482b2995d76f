//! The executor waits for neither the disk nor an upload: told by the order of events, not by a clock.

use crate::{
    commands::{ARM, CAPTURE, DISARM},
    harness::{Board, Camera, Cloud, Disk, Server, Source, eventually},
};
use cloudtalker::wire::cloud::ToAgent;
use serde_json::json;
use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

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
fn commands_go_out_while_local_programs_ask_for_the_log_without_a_pause() {
    /// More would push each other out.
    const WATCHERS: usize = 8;
    const MOST_KB: u64 = 16 * 1024;
    let server = Server::start();
    let board = Board::new(&server).with_camera();
    let camera = Camera::at(&board.cam_sock());
    let mut agent = board.start();
    agent.says("connected to the cloud");
    // As long as it gets.
    let mut source = agent.source();
    while source.ask(&json!({"query": "log"})).to_string().len() < 30_000 {
        source.ask(&json!({"query": "weather", "ack": true}));
    }
    let before = agent.peak_memory();
    let (is_over, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..WATCHERS {
            scope.spawn(|| {
                let mut source = Source::at(&board.input_sock());
                while !is_over.load(Ordering::Relaxed) {
                    assert!(source.ask(&json!({"query": "log"}))["log"].is_array());
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for (command, datagram, level) in
            [("arm", ARM, DISARM), ("capture", CAPTURE, ARM), ("disarm", DISARM, ARM)]
        {
            let asked = answers.load(Ordering::Relaxed);
            server.tell("porch", command);
            assert_eq!(camera.hears_beside(level), datagram);
            eventually("they go on", || answers.load(Ordering::Relaxed), |answers| *answers > asked);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let grown = agent.peak_memory() - before;
    assert!(grown < MOST_KB, "{grown} kB for {} answers", answers.into_inner());
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
