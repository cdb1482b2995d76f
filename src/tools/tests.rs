//! `send` and `status` against an agent that says what a test tells it to.

use super::*;
use crate::{cli, wire::Trigger};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::net::{UnixDatagram, UnixListener},
    sync::atomic::{AtomicUsize, Ordering},
    sync::mpsc::{self, Receiver},
    thread::JoinHandle,
};

/// A socket's path for one test.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new() -> SocketPath {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        SocketPath(std::env::temp_dir().join(format!("cloudtalker-tools-{}-{number}", process_id())))
    }

    fn send(&self, name: Option<Trigger>, wait: u64, files: &[&str]) -> cli::Send {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        let input_sock = Some(self.0.to_str().unwrap().to_owned());
        cli::Send { input_sock, input_port: None, config: None, name, wait, files }
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn process_id() -> u32 {
    std::process::id()
}

/// An agent's part: what it answers on each connection before it ends that. `None` is silence until the other side
/// gives up. What it heard comes back when it is through.
fn agent(path: &SocketPath, connections: Vec<Vec<Option<&'static str>>>) -> JoinHandle<Vec<Value>> {
    let listener = UnixListener::bind(&path.0).unwrap();
    thread::spawn(move || {
        let mut heard = Vec::new();
        for answers in connections {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for answer in answers {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                heard.push(serde_json::from_str(&line).unwrap());
                match answer {
                    // At once: who hears a stranger does not wait for the end of its line.
                    Some(answer) => stream.get_mut().write_all(format!("{answer}\n").as_bytes()).unwrap(),
                    None => assert_eq!(stream.read_line(&mut line).unwrap(), 0),
                }
            }
        }
        heard
    })
}

const TAKEN: Option<&str> =
    Some(r#"{"ok":true,"capture":"00abcdef01234567","trigger_timestamp":1529842538}"#);

#[test]
fn files_go_with_whole_paths_and_one_by_one() {
    let path = SocketPath::new();
    let agent = agent(&path, vec![vec![TAKEN, TAKEN]]);
    send::run(&path.send(None, 30, &["/a/pir.1.0.mp4", "pir.1.1.mp4"])).unwrap();
    let relative = std::path::absolute("pir.1.1.mp4").unwrap();
    let expected = [
        serde_json::json!({"segment": "/a/pir.1.0.mp4", "ack": true}),
        serde_json::json!({"segment": relative.to_str(), "ack": true}),
    ];
    assert_eq!(agent.join().unwrap(), expected);
}

#[test]
fn files_off_the_scheme_make_one_capture() {
    let path = SocketPath::new();
    let agent = agent(&path, vec![vec![TAKEN, TAKEN]]);
    send::run(&path.send(Some(Trigger::Request), 30, &["/a", "/b"])).unwrap();
    let heard = agent.join().unwrap();
    assert_eq!((&heard[0]["trigger"], &heard[0]["seg_no"]), (&"request".into(), &0.into()));
    assert_eq!(heard[0].get("trigger_timestamp"), None);
    assert_eq!((&heard[1]["trigger_timestamp"], &heard[1]["seg_no"]), (&1_529_842_538.into(), &1.into()));
}

#[test]
fn a_lost_connection_is_taken_up_where_it_broke() {
    let path = SocketPath::new();
    let agent = agent(&path, vec![vec![TAKEN], vec![TAKEN, TAKEN]]);
    send::run(&path.send(None, 30, &["/a", "/b", "/c"])).unwrap();
    let heard: Vec<Value> = agent.join().unwrap().into_iter().map(|line| line["segment"].clone()).collect();
    assert_eq!(heard, ["/a", "/b", "/c"]);
}

#[test]
fn a_refused_file_does_not_hold_up_the_next() {
    let path = SocketPath::new();
    let agent = agent(&path, vec![vec![Some(r#"{"ok":false,"error":"no such file"}"#), TAKEN]]);
    let error = send::run(&path.send(None, 30, &["/a", "/b"])).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit_code()), ("the agent refused /a: no such file", 1));
    assert_eq!(agent.join().unwrap().len(), 2);
}

#[test]
fn an_agent_that_is_silent_or_absent_is_told_apart() {
    let path = SocketPath::new();
    let at = path.0.display();
    let error = send::run(&path.send(None, 0, &["/a"])).unwrap_err();
    let absent = format!(
        "expected the agent at {at}, but: No such file or directory (os error 2); \
         does it run, and with this input socket?"
    );
    assert_eq!((error.to_string(), error.exit_code()), (absent, 69));
    let agent = agent(&path, vec![vec![None]]);
    let error = send::run(&path.send(None, 1, &["/a"])).unwrap_err();
    let silent = format!("the agent at {at} did not answer within 1 s");
    assert_eq!((error.to_string(), error.exit_code()), (silent, 69));
    agent.join().unwrap();
}

#[test]
fn an_agent_that_comes_later_is_waited_for() {
    let path = SocketPath::new();
    let send = path.send(None, 30, &["/a"]);
    let (done, is_done): (_, Receiver<Result<(), ToolError>>) = mpsc::channel();
    thread::spawn(move || done.send(send::run(&send)));
    assert!(is_done.recv_timeout(RETRY * 2).is_err(), "nobody can have answered yet");
    let agent = agent(&path, vec![vec![TAKEN]]);
    is_done.recv_timeout(Duration::from_secs(30)).unwrap().unwrap();
    agent.join().unwrap();
}

#[test]
fn nonsense_is_no_ack() {
    for answer in ["{}", "{", r#"{"ok":"yes"}"#] {
        let came = format!("but came {answer:?}");
        let path = SocketPath::new();
        let agent = agent(&path, vec![vec![Some(answer)]]);
        let error = send::run(&path.send(None, 30, &["/a"])).unwrap_err();
        let (said, code) = (error.to_string(), error.exit_code());
        assert!(
            said.starts_with("expected another answer of the agent (") && said.ends_with(&came),
            "{said}"
        );
        assert_eq!(code, 1);
        agent.join().unwrap();
    }
}

#[test]
fn something_else_that_answers_is_told_from_an_agent() {
    for (answer, words) in [
        ("HTTP/1.1 400 Bad Request\r\nServer: web", r#""HTTP/1.1 400 Bad Request""#),
        ("<!DOCTYPE HTML>", r#""<!DOCTYPE HTML>""#),
        ("", r#""""#),
        ("\u{15}\u{3}\u{1}", r#""\u{15}\u{3}\u{1}""#),
    ] {
        let path = SocketPath::new();
        let agent = agent(&path, vec![vec![Some(answer)]]);
        let error = send::run(&path.send(None, 30, &["/a"])).unwrap_err();
        let expected = format!(
            "expected the agent at {}, but something else answers there: {words}; is --input_sock right?",
            path.0.display()
        );
        assert_eq!((error.to_string(), error.exit_code()), (expected, 1));
        agent.join().unwrap();
    }
}

#[test]
fn something_that_is_no_agents_socket_is_not_waited_for() {
    let path = SocketPath::new();
    let at = path.0.display().to_string();
    fs::write(&path.0, "precious").unwrap();
    let error = send::run(&path.send(None, 600, &["/a"])).unwrap_err();
    let expected = format!(
        "expected the agent at {at}, but: something that is no socket is there; is --input_sock right?"
    );
    assert_eq!((error.to_string(), error.exit_code()), (expected, 69));
    fs::remove_file(&path.0).unwrap();
    let _camera = UnixDatagram::bind(&path.0).unwrap();
    let error = send::run(&path.send(None, 600, &["/a"])).unwrap_err();
    let said = error.to_string();
    assert!(said.ends_with("; a stream socket should be there; is --input_sock right?"), "{said}");
}

#[test]
fn an_agent_that_ends_the_connection_is_told() {
    let path = SocketPath::new();
    let agent = agent(&path, vec![vec![]]);
    let error = send::run(&path.send(None, 0, &["/a"])).unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("the agent at {} ended the connection: ", path.0.display())),
        "{error}"
    );
    assert_eq!(error.exit_code(), 69);
    agent.join().unwrap();
}

#[test]
fn the_agent_is_found_by_its_port_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let agent = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        writeln!(stream.get_mut(), "{{}}").unwrap();
        line
    });
    let status =
        cli::Status { input_sock: None, input_port: Some(port), config: None, watch: false, json: true };
    assert!(matches!(status::run(&status), Err(ToolError::Nonsense(..))));
    assert_eq!(agent.join().unwrap(), "{\"query\":\"status\"}\n");
}

#[test]
fn a_port_bound_for_everyone_is_reached_at_loopback() {
    for (bound, expected) in [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.1", "10.0.0.1")] {
        assert_eq!(reachable(bound.parse().unwrap()), expected.parse::<IpAddr>().unwrap());
    }
}

#[test]
fn sending_nothing_is_wrong_usage() {
    let error = send::run(&SocketPath::new().send(None, 30, &[])).unwrap_err();
    assert_eq!(error.exit_code(), 64);
}
