//! Memory of the agent's own, and how soon it takes input with a full spool.

use crate::{
    Plan,
    harness::{Agent, Board, Server},
    idle::at_rest,
    proc::{self, Peak},
    report::{Report, Row, median},
    upload::serving,
};
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

/// In kilobytes.
const AIM: u64 = 3_000;
const SEGMENTS_OF_A_CAPTURE: usize = 10;

pub fn measure(plan: &Plan, report: &mut Report) {
    for length in plan.files {
        let peak = uploading(length);
        let what = format!("memory (RssAnon), peak: uploading a file of {} MiB", length >> 20);
        report.add(Row::new(what, megabytes(peak)).aim("< 3 MB", peak < AIM));
    }
    spooled(plan, report);
}

pub fn megabytes(kilobytes: u64) -> String {
    format!("{:.2} MB", kilobytes as f64 / 1e3)
}

fn uploading(length: usize) -> u64 {
    let server = serving();
    let mut board = Board::new(&server);
    board.log_level = "info";
    let segment = board.record("pir.1.0.mp4", length);
    let mut agent = at_rest(&board);
    let peak = Peak::of(agent.id());
    agent.takes(&[segment]);
    agent.says("is stored by the cloud, whole");
    peak.kilobytes()
}

fn spooled(plan: &Plan, report: &mut Report) {
    let mut server = Server::stopped();
    server.log_level = "warn";
    let mut board = Board::new(&server);
    board.log_level = "info";
    let empty: Vec<Duration> = (0..plan.rounds).map(|_| accepts(&board).1).collect();

    let agent = board.start();
    let peak = Peak::of(agent.id());
    fill(&board, &agent, plan.spooled);
    let peak = peak.kilobytes();
    agent.kill();
    let what = |rest: &str| format!("memory (RssAnon), {} segments spooled: {rest}", plan.spooled);
    report.add(Row::new(what("peak while they come"), megabytes(peak)).aim("< 3 MB", peak < AIM));

    let mut full = Vec::new();
    for round in 0..plan.rounds {
        let (agent, after) = accepts(&board);
        full.push(after);
        if round + 1 == plan.rounds {
            let memory = proc::rss_anon(agent.id());
            report.add(Row::new(what("found by a start"), megabytes(memory)).aim("< 3 MB", memory < AIM));
            let peak = Peak::of(agent.id());
            server.go_on();
            // Long enough for all that is said at once.
            agent.status_when("the backlog goes", |status| status.spool.segments + 100 < plan.spooled as u64);
            let peak = peak.kilobytes();
            report.add(Row::new(what("while they go"), megabytes(peak)).aim("< 3 MB", peak < AIM));
        }
    }
    let [full, empty] = [full, empty].map(|starts| median(starts.iter().map(Duration::as_secs_f64)));
    report.add(
        Row::new(format!("start to taking input, {} segments spooled", plan.spooled), format!("{full:.3} s"))
            .beside(format!("with an empty spool: {empty:.3} s"))
            .aim("< 0.3 s", full < 0.3),
    );
}

/// Hands small segments over, in captures as long as motion mostly is; in several at a time, or it would last.
fn fill(board: &Board, agent: &Agent, count: usize) {
    const SIDE_BY_SIDE: usize = 8;
    let captures: Vec<usize> = (0..count / SEGMENTS_OF_A_CAPTURE).collect();
    thread::scope(|scope| {
        for captures in captures.chunks(captures.len().div_ceil(SIDE_BY_SIDE)) {
            scope.spawn(move || {
                for capture in captures {
                    let segments = board.record_capture(*capture as u64 + 1, &[1_000; SEGMENTS_OF_A_CAPTURE]);
                    agent.takes(&segments);
                }
            });
        }
    });
    assert_eq!(agent.status().spool.segments, count as u64);
}

/// Starts the agent, and asks it something until it answers.
fn accepts(board: &Board) -> (Agent, Duration) {
    const ASK_EVERY: Duration = Duration::from_micros(500);
    let _ = fs::remove_file(board.input_sock());
    let began = Instant::now();
    let process = board.launch();
    let mut stream = loop {
        match UnixStream::connect(board.input_sock()) {
            Ok(stream) => break stream,
            Err(_) => thread::sleep(ASK_EVERY),
        }
    };
    stream.write_all(br#"{"query":"status"}"#).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let after = began.elapsed();
    (board.agent(process), after)
}
