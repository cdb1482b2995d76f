//! `make herd`: a thousand agents and one server that goes away and comes back.
//!
//! Each agent is the engine with a session of its own over TLS, as the program has it, but owes nothing and has no
//! disk. All share a thread. The server is the real one, with nothing but its defaults. Three times it leaves them:
//! each time the connections that it takes back are counted by the second, and docs/reconnect.svg shows them. The run
//! fails where the busiest second has three times the mean or more. It takes about six minutes.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/agent/harness/mod.rs"]
mod harness;

mod agent;
mod plot;

use agent::Herd;
use cloudtalker::config::Endpoint;
use harness::{Identity, Server};
use plot::Return;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const AGENTS: usize = 1_000;
/// A session that lasted so long forgets former failures (`STEADY` in the engine), and a little more.
const SETTLES: Duration = Duration::from_secs(65);
/// Between the busiest second and the mean.
const LIMIT: f64 = 3.0;
/// Two ends of each session, and what the server has open besides.
const FILES: u64 = 4 * AGENTS as u64;

/// How the server leaves.
#[derive(Clone, Copy)]
enum Leave {
    /// By SIGTERM: it tells everybody when to come back.
    InOrder,
    /// By SIGKILL.
    AtOnce,
}

fn main() {
    allow_files();
    let mut server = Server::start();
    let herd = Herd::start(endpoint(&server), enrol(&server));
    herd.connects();
    println!("{AGENTS} sessions: the server has had {} at most", memory(&server));

    let returns = [
        ("restarted", Leave::InOrder, Duration::ZERO),
        ("killed, away for 5 s", Leave::AtOnce, Duration::from_secs(5)),
        ("ended, away for 1 min", Leave::InOrder, Duration::from_secs(60)),
    ]
    .map(|(what, leave, away)| outage(&mut server, &herd, what, leave, away));
    println!("after the last return: {}", memory(&server));

    println!("\n{:<24} {:>8} {:>8} {:>10} {:>10}", "server", "first", "last", "peak", "peak/mean");
    for back in &returns {
        let (first, last) = back.span();
        println!(
            "{:<24} {first:>6.1} s {last:>6.1} s {:>8}/s {:>10.1}",
            back.what,
            back.peak(),
            back.peak_over_mean()
        );
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reconnect.svg"), plot::svg(&returns)).unwrap();
    assert!(
        returns.iter().all(|back| back.peak_over_mean() < LIMIT),
        "expected a peak below {LIMIT} times the mean"
    );
}

/// The server leaves, stays away and comes back, and so does each agent.
fn outage(server: &mut Server, herd: &Herd, what: &'static str, leave: Leave, away: Duration) -> Return {
    thread::sleep(SETTLES);
    assert!(herd.is_settled(), "expected sessions that last");
    let began = Instant::now();
    match leave {
        Leave::InOrder => drop(server.terminate()),
        Leave::AtOnce => server.kill(),
    }
    thread::sleep(away);
    server.go_on();
    let server = began.elapsed();
    Return { what, server, after: herd.connects().into_iter().map(|at| at - began).collect() }
}

fn endpoint(server: &Server) -> Endpoint {
    let endpoint = server.endpoint();
    let (host, port) = endpoint.trim_end_matches('/').split_once(':').unwrap();
    Endpoint { host: host.to_owned(), port: port.parse().unwrap(), path: "/".to_owned() }
}

/// A certificate for each.
fn enrol(server: &Server) -> Vec<Identity> {
    const AT_A_TIME: usize = 4;
    let shares = (0..AT_A_TIME).map(|share| {
        move || {
            (share..AGENTS)
                .step_by(AT_A_TIME)
                .map(|number| server.add(&format!("camera-{number}")))
                .collect::<Vec<_>>()
        }
    });
    thread::scope(|scope| {
        let shares: Vec<_> = shares.map(|share| scope.spawn(share)).collect();
        shares.into_iter().flat_map(|share| share.join().unwrap()).collect()
    })
}

fn memory(server: &Server) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: f64 = kilobytes.trim().trim_end_matches(" kB").parse().unwrap();
    format!("{:.1} MB of memory (VmHWM)", kilobytes / 1000.0)
}

/// The server inherits it.
fn allow_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    assert!(
        maximum.is_none_or(|maximum| maximum >= FILES),
        "expected to be allowed {FILES} open files: `ulimit -Hn`"
    );
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
