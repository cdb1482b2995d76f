//! Uploads over mutual TLS on loopback: the agent's, from a file's being named to the receipt for all, beside the peer's.

use crate::{
    Plan,
    harness::{Board, Segment, Server, Stored, TempDir},
    peer::{Peer, TIME},
    proc::{self, Spent},
    report::{Report, Row, median, percentile},
};
use std::{
    fs::File,
    ops::Add,
    time::{Duration, Instant},
};

const SMALL: usize = 200_000;

pub fn measure(plan: &Plan, report: &mut Report) {
    let large = format!("{} MiB", plan.large >> 20);
    compare(plan, report, &large, &[plan.large], IsCreationTimed(false));
    let small = format!("{} segments of {} kB", plan.small, SMALL / 1_000);
    compare(plan, report, &small, &vec![SMALL; plan.small], IsCreationTimed(true));
    report.add(
        Row::new("upload by the original agent (Python), 105 MB as recorded in the field", "")
            .beside("45 s, 2.3 MB/s; 21 s of CPU, 200 ms for each MB; 19 MB resident"),
    );
}

/// Whether the peer's creations count, or have been before.
#[derive(Clone, Copy)]
struct IsCreationTimed(bool);

fn compare(plan: &Plan, report: &mut Report, what: &str, lengths: &[usize], creation: IsCreationTimed) {
    let dir = TempDir::new();
    let segments: Vec<Segment> =
        (0..).zip(lengths).map(|(seg_no, &length)| record(&dir, seg_no, length)).collect();
    let mut turns = Vec::new();
    for _ in 0..plan.rounds {
        // A disk has good and bad moments in turns: who comes second in one half of a round comes first in the other.
        let (first, second) = (ours(&segments), theirs(&segments, creation));
        let (third, fourth) = (theirs(&segments, creation), ours(&segments));
        let turn = Turn { ours: first + fourth, theirs: second + third };
        eprintln!("{what}: {turn:.3?}");
        turns.push(turn);
    }
    let megabytes = 2.0 * lengths.iter().sum::<usize>() as f64 / 1e6;
    let rate = |spent: &Spent| megabytes / spent.wall.as_secs_f64();
    let cpu = |spent: &Spent| spent.cpu.as_secs_f64();
    let of = |of: &dyn Fn(&Turn) -> f64| median(turns.iter().map(of));
    // Two of one round met the same moments of the disk: medians of all rounds need not have.
    let ratio = |ratio: &dyn Fn(&Turn) -> f64| {
        let [least, most] = [0.0, 1.0].map(|share| percentile(turns.iter().map(ratio), share));
        let middle = of(ratio);
        (middle, format!("{middle:.2}×, from {least:.2} to {most:.2}"))
    };
    let (faster, ratios) = ratio(&|turn| rate(&turn.ours.spent) / rate(&turn.theirs));
    report.add(
        Row::new(
            format!("upload, {what}: throughput"),
            format!("{:.0} MB/s", of(&|turn| rate(&turn.ours.spent))),
        )
        .beside(format!("openssl and curl: {:.0} MB/s; {ratios}", of(&|turn| rate(&turn.theirs))))
        .aim("≥ 0.9×", faster >= 0.9),
    );
    let (dearer, ratios) = ratio(&|turn| cpu(&turn.ours.spent) / cpu(&turn.theirs));
    report.add(
        Row::new(format!("upload, {what}: CPU"), format!("{:.2} s", of(&|turn| cpu(&turn.ours.spent) / 2.0)))
            .beside(format!("openssl and curl: {:.2} s; {ratios}", of(&|turn| cpu(&turn.theirs) / 2.0)))
            .aim("≤ 1.1×", dearer <= 1.1),
    );
    let disk = of(&|turn| turn.ours.disk.as_secs_f64() / 2.0);
    let without = of(&|turn| (turn.ours.spent.cpu - turn.ours.disk).as_secs_f64() / cpu(&turn.theirs));
    report.add(
        Row::new("of which the disk worker hashes and keeps safe", format!("{disk:.2} s"))
            .beside(format!("the rest: {without:.2}×")),
    );
}

/// What both took for the same, each of them twice.
#[derive(Debug)]
struct Turn {
    ours: Agent,
    theirs: Spent,
}

#[derive(Debug)]
struct Agent {
    spent: Spent,
    /// CPU time of its disk worker.
    disk: Duration,
}

impl Add for Agent {
    type Output = Agent;

    fn add(self, other: Agent) -> Agent {
        Agent { spent: self.spent + other.spent, disk: self.disk + other.disk }
    }
}

/// On the disk already: what a camera has still in the cache is no matter of who uploads it.
fn record(dir: &TempDir, seg_no: u32, length: usize) -> Segment {
    let segment = Segment::write(dir.at(&format!("pir.{TIME}.{seg_no}.mp4")), seg_no, length);
    File::open(&segment.path).unwrap().sync_all().unwrap();
    segment
}

fn ours(segments: &[Segment]) -> Agent {
    let server = serving();
    let mut board = Board::new(&server);
    board.log_level = "info";
    let mut agent = board.start();
    agent.says("connected to the cloud");
    let (began, cpu) = (Instant::now(), proc::cpu(agent.id()));
    agent.takes(segments);
    agent.says("is stored by the cloud, whole");
    let spent = Spent { wall: began.elapsed(), cpu: proc::cpu(agent.id()) - cpu };
    let disk = proc::cpu_of(agent.id(), "disk");
    agent.owes_nothing();
    arrived(&server, segments);
    Agent { spent, disk }
}

fn theirs(segments: &[Segment], creation: IsCreationTimed) -> Spent {
    let server = serving();
    let peer = Peer::new(&server, segments);
    let (urls, created) = peer.create();
    let spent = peer.hash() + peer.send(&urls);
    arrived(&server, segments);
    if creation.0 { created + spent } else { spent }
}

/// A server that has done nothing yet: each turn has the same.
pub fn serving() -> Server {
    let mut server = Server::stopped();
    server.log_level = "warn";
    server.go_on();
    server
}

fn arrived(server: &Server, segments: &[Segment]) {
    let mut stored: Vec<Stored> =
        server.captures().into_iter().flat_map(|capture| capture.segments).collect();
    stored.sort();
    let sent: Vec<Stored> = segments.iter().map(|segment| segment.stored.clone()).collect();
    assert!(stored == sent, "other bytes came than went");
}
