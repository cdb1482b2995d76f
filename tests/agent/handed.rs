//! Sockets that systemd has opened for the agent; its own `systemd-socket-activate` does so here, at the first connection.

use crate::harness::{Board, Process, Source, TempDir, free_port};
use cloudtalker::cli::exit;
use rustix::process::Signal;
use std::{
    fs,
    net::TcpStream,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixStream},
    },
    path::Path,
};

/// Its agent is started by who first connects to one of these.
fn activated(board: Board, listen: &[&str]) -> (Board, Process) {
    let options = listen
        .iter()
        .flat_map(|&word| if word == "--datagram" { vec![word] } else { vec!["--listen", word] });
    let board = board.run_by(&[vec!["systemd-socket-activate"], options.collect()].concat());
    let mut process = board.launch();
    process.says("Listening on ");
    (board, process)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("tests' paths are text")
}

#[test]
fn what_comes_before_the_agent_waits_in_a_socket_that_outlives_it() {
    let board = Board::alone();
    let socket = board.input_sock();
    let (board, mut agent) = activated(board, &[text(&socket)]);
    Source::at(&socket).hand_over(&board.record("pir.1529842538.0.mp4", 20_000));
    agent.says(&format!("listening on {}, opened by the supervisor", socket.display()));
    let ended = agent.terminate();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(socket.exists(), "it is the supervisor's to remove");
}

#[test]
fn another_mode_in_the_configuration_leaves_the_supervisors_socket_as_it_is() {
    let board = Board::alone();
    let (socket, config) = (board.input_sock(), board.dir.at("config"));
    fs::write(&config, "input_mode = 0600\n").unwrap();
    let (board, mut agent) = activated(board.with(&["--config", text(&config)]), &[text(&socket)]);
    let mode = || fs::metadata(&socket).unwrap().permissions().mode();
    let before = mode();
    Source::at(&socket).hand_over(&board.record("pir.1.0.mp4", 20_000));
    agent.says("opened by the supervisor");
    fs::write(&config, "input_mode = 0644\n").unwrap();
    agent.signal(Signal::HUP);
    agent.says("opened by the supervisor");
    Source::at(&socket).hand_over(&board.record("pir.2.0.mp4", 20_000));
    assert_eq!(mode(), before);
}

#[test]
fn sockets_that_the_agent_can_not_use_are_refused_with_what_was_expected() {
    let expected =
        "expected one unix and one TCP stream socket at most from the supervisor (LISTEN_FDS), but ";
    let dir = TempDir::new();
    let [one, other] = ["one", "other"].map(|name| dir.at(name));
    let words = format!("{expected}there is a second unix one");
    refused(&[text(&one), text(&other)], &words, || drop(UnixStream::connect(&one).unwrap()));

    let datagrams = dir.at("datagrams");
    let words = format!("{expected}descriptor 3 is neither");
    let send = || assert_eq!(UnixDatagram::unbound().unwrap().send_to(b"{}", &datagrams).unwrap(), 2);
    refused(&["--datagram", text(&datagrams)], &words, send);

    let everywhere = format!("0.0.0.0:{}", free_port());
    let words = format!("listens on {everywhere}: beyond loopback --capture_dir must confine what is taken");
    refused(&[&everywhere], &words, || drop(TcpStream::connect(&everywhere).unwrap()));
}

/// The agent ends because of its sockets once it is woken.
#[track_caller]
fn refused(listen: &[&str], words: &str, wake: impl FnOnce()) {
    let (_board, agent) = activated(Board::alone(), listen);
    wake();
    let ended = agent.ends();
    assert_eq!(ended.code(), Some(exit::USAGE.into()), "{}", ended.log);
    assert!(ended.log.contains(words), "{}", ended.log);
}
