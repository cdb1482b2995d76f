//! The executor waits for neither the disk nor an upload: told by the order of events, not by a clock.

use crate::harness::{Board, Camera, DEADLINE, Disk, Server, eventually};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

/// More than the sockets on the way hold for somebody who does not read.
const LONG: usize = 32_000_000;

#[test]
fn commands_and_pings_go_out_while_an_fsync_and_an_upload_hang() {
    let (disk, server) = (Disk::mount(), Server::start());
    let relay = Relay::to(&server);
    let board = Board::of(&relay.endpoint, &server.add("porch")).with_camera().on(&disk);
    let camera = Camera::at(&board.cam_sock());
    let mut agent = board.start();
    agent.says("connected to the cloud");
    agent.takes(&[board.record("pir.1529842538.0.mp4", LONG)]);
    relay.stalls();
    let mut source = agent.source();
    // From here on it has to go before the agent, should the test fail.
    let disk = disk;
    disk.hold();
    let segment = board.record("pir.1529842539.0.mp4", 1000);
    source.say(json!({"segment": segment.path(), "ack": true}).to_string());
    disk.holds();

    server.tell("porch", "arm");
    assert_eq!(camera.hears(), r#"{"command":"arm"}"#);
    eventually("the cloud hears of it", || server.camera("porch")["armed"].clone(), |armed| armed == true);
    let upload = agent.status().upload;
    assert!(upload.as_ref().is_some_and(|upload| upload.sent < upload.bytes), "{upload:?}");
    relay.passes_a_ping();

    assert_eq!(disk.release(), 1, "an fsync was held all the time");
    assert_eq!(source.answer()["ok"], true);
}

/// Between agent and server. The first connection, which is the session, passes; of each later one a beginning does.
struct Relay {
    endpoint: String,
    /// How long each piece was that the session passed to the cloud.
    passed: Receiver<usize>,
    stalled: Receiver<()>,
}

impl Relay {
    fn to(server: &Server) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoint = format!("{}/", listener.local_addr().unwrap());
        let cloud = server.endpoint().trim_end_matches('/').to_owned();
        let ((pass, passed), (stall, stalled)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            for (number, agent) in listener.incoming().map_while(Result::ok).enumerate() {
                let Ok(cloud) = TcpStream::connect(&cloud) else { return };
                let (from_cloud, to_agent) = (cloud.try_clone().unwrap(), agent.try_clone().unwrap());
                thread::spawn(move || carry(&from_cloud, &to_agent, |_| true));
                let (pass, stall) = (pass.clone(), stall.clone());
                thread::spawn(move || match number {
                    0 => carry(&agent, &cloud, |length| pass.send(length).is_ok()),
                    _ => carry_a_beginning(&agent, &cloud, &stall),
                });
            }
        });
        Relay { endpoint, passed, stalled }
    }

    /// Waits until an upload hangs.
    fn stalls(&self) {
        self.stalled.recv_timeout(DEADLINE).expect("an upload is begun before the deadline");
    }

    /// Waits for something that is too short for a message: pings come each minute, unasked.
    fn passes_a_ping(&self) {
        const SHORT: usize = 64;
        // What came before is known already.
        while self.passed.try_recv().is_ok() {}
        while self.passed.recv_timeout(DEADLINE).expect("a ping comes before the deadline") > SHORT {}
    }
}

/// Passes on what comes, as long as it is wanted.
fn carry(mut from: &TcpStream, mut to: &TcpStream, mut is_wanted: impl FnMut(usize) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() || !is_wanted(length) {
            return;
        }
    }
}

/// Passes some of it on, and reads no more until the agent gives it up.
fn carry_a_beginning(from: &TcpStream, to: &TcpStream, stall: &Sender<()>) {
    const BEGINNING: usize = 500_000;
    let mut passed = 0;
    carry(from, to, |length| {
        passed += length;
        passed < BEGINNING
    });
    if passed >= BEGINNING && stall.send(()).is_ok() {
        let _ = poll(&mut [PollFd::new(from, PollFlags::RDHUP)], None);
    }
}
