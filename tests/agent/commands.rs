//! What the cloud tells the camera program.

use crate::harness::{Board, Camera, Server, free_port};
use std::fs;

pub const ARM: &str = r#"{"command":"arm"}"#;
pub const DISARM: &str = r#"{"command":"disarm"}"#;
pub const CAPTURE: &str = r#"{"command":"capture"}"#;

#[test]
fn each_command_is_one_datagram_to_a_unix_socket() {
    let server = Server::start();
    let board = Board::new(&server).with_camera();
    let camera = Camera::at(&board.cam_sock());
    let _agent = board.start();
    each_command_arrives(&server, &camera);
}

#[test]
fn each_command_is_one_datagram_by_udp() {
    let server = Server::start();
    let port = free_port();
    let board = Board::new(&server).with(&["--cam_addr", &format!("127.0.0.1:{port}")]);
    let camera = Camera::at_port(port);
    let _agent = board.start();
    each_command_arrives(&server, &camera);
}

#[test]
fn a_camera_program_may_be_named() {
    let server = Server::start();
    let port = free_port();
    let board = Board::new(&server).with(&["--cam_addr", &format!("localhost:{port}")]);
    let camera = Camera::at_port(port);
    let _agent = board.start();
    each_command_arrives(&server, &camera);
}

#[test]
fn commands_wait_for_a_unix_listener_that_comes_later() {
    let server = Server::start();
    let board = Board::new(&server).with_camera();
    let mut agent = board.start();
    server.tell("porch", "arm");
    agent.says("the camera program can't be told to arm");
    server.tell("porch", "capture");
    agent.says("the cloud wants a capture");
    let camera = Camera::at(&board.cam_sock());
    assert_eq!(camera.hears(), ARM);
    assert_eq!(camera.hears_beside(ARM), CAPTURE);
    server.tell("porch", "disarm");
    assert_eq!(camera.hears_beside(ARM), DISARM, "the capture was wanted once");
}

#[test]
fn commands_wait_for_a_udp_listener_that_comes_later() {
    let server = Server::start();
    let port = free_port();
    let board = Board::new(&server).with(&["--cam_addr", &format!("localhost:{port}")]);
    let mut agent = board.start();
    server.tell("porch", "arm");
    agent.says("the camera program can't be told to arm");
    server.tell("porch", "capture");
    agent.says("the cloud wants a capture");
    let camera = Camera::at_port(port);
    assert_eq!(camera.hears(), ARM);
    assert_eq!(camera.hears_beside(ARM), CAPTURE);
    server.tell("porch", "disarm");
    assert_eq!(camera.hears_beside(ARM), DISARM, "the capture was wanted once");
}

#[test]
fn being_armed_outlives_the_agent() {
    let mut server = Server::start();
    let board = Board::new(&server).with_camera();
    let camera = Camera::at(&board.cam_sock());
    let mut agent = board.start();
    server.tell("porch", "arm");
    assert_eq!(camera.hears(), ARM);
    agent.says("armed by the cloud");
    let state = || fs::read_to_string(board.state_dir().join("state.json")).unwrap_or_default();
    crate::harness::eventually("it is kept", state, |state| state.contains(r#""pir_armed":true"#));
    server.kill();
    agent.kill();
    let agent = board.start();
    assert_eq!(camera.hears(), ARM, "although nobody has said it in this life");
    assert_eq!(agent.status().armed, Some(true));
}

#[test]
fn a_camera_program_that_starts_anew_is_told_at_once() {
    let server = Server::start();
    let board = Board::new(&server).with_camera();
    let camera = Camera::at(&board.cam_sock());
    let _agent = board.start();
    server.tell("porch", "arm");
    assert_eq!(camera.hears(), ARM);
    drop(camera);
    let camera = Camera::at(&board.cam_sock());
    assert_eq!(camera.hears(), ARM);
    drop(camera);
    // As a program does that makes its socket elsewhere and moves it into place.
    let elsewhere = board.dir.at("new.sock");
    let camera = Camera::at(&elsewhere);
    fs::rename(&elsewhere, board.cam_sock()).unwrap();
    assert_eq!(camera.hears(), ARM);
}

#[test]
fn a_camera_program_whose_directory_comes_anew_is_told() {
    let mut server = Server::start();
    let board = Board::new(&server);
    let (run, sock) = (board.dir.at("run"), board.dir.at("run/camera.sock"));
    let board = board.with(&["--cam_sock", sock.to_str().unwrap()]);
    let mut agent = board.start();
    server.tell("porch", "arm");
    agent.says("the camera program can't be told to arm");
    fs::create_dir(&run).unwrap();
    let camera = Camera::at(&sock);
    assert_eq!(camera.hears(), ARM);
    // No heartbeat may be what tells it from now on.
    server.kill();
    agent.says("no connection to the cloud");
    drop(camera);
    for _ in 0..2 {
        let camera = Camera::at(&sock);
        assert_eq!(camera.hears(), ARM);
        drop(camera);
        fs::remove_dir(&run).unwrap();
        fs::create_dir(&run).unwrap();
    }
}

fn each_command_arrives(server: &Server, camera: &Camera) {
    for (command, datagram) in [("arm", ARM), ("capture", CAPTURE), ("disarm", DISARM), ("arm", ARM)] {
        server.tell("porch", command);
        assert_eq!(camera.hears(), datagram);
    }
}
