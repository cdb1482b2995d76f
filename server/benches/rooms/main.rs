//! `make bench-rooms`: what a room costs, and how fast its receivers hear of a camera.
//!
//! The server is `cloudtalker-server room` as `make build` leaves it, with four senders and a thousand receivers, each a
//! Socket.IO client over a WebSocket of its own. All clients are in this process, on the same machine: where it has few
//! cores, latency includes what they take. Each round one camera comes, and what counts is the receiver that hears of
//! it last. Pictures go by Janus, and are no part of it.
//!
//! ```text
//! make bench-rooms            in about two minutes, on a machine with nothing else to do: writes docs/benchmarks-rooms.md
//! make bench-rooms QUICK=1    a trial, whose latencies say nothing
//! ```
#![allow(clippy::unwrap_used)]

mod client;
mod process;
mod report;

use client::{Client, Receivers, Seen};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use process::Process;
use report::Figures;
use serde_json::json;
use std::{
    collections::VecDeque,
    env, fs,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinHandle, time::sleep};

const SENDERS: usize = 4;
const RECEIVERS: usize = 1_000;
/// The second end of each connection is the server's, which has a limit of its own.
const FILES: u64 = 2 * RECEIVERS as u64;

struct Plan {
    /// How long the full room is watched.
    idle: Duration,
    /// How often a camera comes.
    rounds: usize,
}

impl Plan {
    /// Twelve heartbeats of each socket.
    const FULL: Plan = Plan { idle: Duration::from_secs(60), rounds: 500 };
    const QUICK: Plan = Plan { idle: Duration::from_secs(5), rounds: 20 };
}

fn main() {
    let is_quick = env::args().any(|argument| argument == "--quick");
    let plan = if is_quick { Plan::QUICK } else { Plan::FULL };
    allow_files();
    let load = fs::read_to_string("/proc/loadavg").unwrap().trim().to_owned();
    let mut server = Process::start(SENDERS);
    // The clients end with their runtime, before the server does.
    let figures = Runtime::new().unwrap().block_on(measure(&mut server, &plan));
    println!("{}\nload before: {load}", figures.table());
    if !is_quick {
        figures.write(&load);
    }
}

async fn measure(server: &mut Process, plan: &Plan) -> Figures {
    let empty = server.memory();
    for slot in 0..SENDERS {
        server.order(&format!("activate_slot {slot} {}", token(slot)));
    }
    let mut receivers = Receivers::connect(server.address, RECEIVERS).await;
    let mut senders = VecDeque::new();
    for slot in 0..SENDERS {
        senders.push_back(publish(sender(server, slot).await, slot).await);
        receivers.all(Seen::New).await;
    }
    let full = server.memory();
    let cpu = idle_cpu(server, plan.idle).await;

    let (mut latencies, before) = (Vec::new(), server.cpu());
    for slot in (0..SENDERS).cycle().take(plan.rounds) {
        // The one that has been there for longest has this slot.
        senders.pop_front().expect("each slot has one").abort();
        receivers.all(Seen::Gone).await;
        let comer = sender(server, slot).await;
        let began = Instant::now();
        senders.push_back(publish(comer, slot).await);
        latencies.push(receivers.all(Seen::New).await - began);
    }
    latencies.sort_unstable();
    let round = (server.cpu() - before) / u32::try_from(plan.rounds).unwrap();
    Figures { memory: [empty, full, server.memory()], cpu, round, latencies }
}

/// A sender that has shown its token.
async fn sender(server: &Process, slot: usize) -> Client {
    const AGAIN: Duration = Duration::from_millis(20);

    let mut client = Client::connect(server.address).await;
    // The order that opens the slot may still be on its way, and so may the end of the sender before.
    while client.ask("sender_init", json!({ "slot": slot, "token": token(slot) })).await["success"] != true {
        sleep(AGAIN).await;
    }
    client
}

/// Has a sender send from now on, until the task ends.
async fn publish(mut sender: Client, slot: usize) -> JoinHandle<()> {
    let feed = json!({ "feedId": slot + 1, "sessionId": 100 + slot, "videoroomId": 200 + slot });
    let answer = sender.ask("set_feed_id", feed).await;
    assert_eq!(answer["success"], true, "{answer}");
    tokio::spawn(sender.stay())
}

fn token(slot: usize) -> String {
    format!("token-of-slot-{slot}")
}

/// What it takes of a core while nothing happens, in per cent.
async fn idle_cpu(server: &Process, idle: Duration) -> f64 {
    let (before, began) = (server.cpu(), Instant::now());
    sleep(idle).await;
    100.0 * (server.cpu() - before).as_secs_f64() / began.elapsed().as_secs_f64()
}

fn allow_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(most >= FILES, "expected to be allowed {FILES} open files, but {most} are: `ulimit -Hn`");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}
