//! An agent that has nothing to do, with a session, a camera program and its defaults.

use crate::{
    Plan,
    harness::{Agent, Board, Camera},
    memory::megabytes,
    proc,
    report::{Report, Row},
    upload::serving,
    wear::{Calls, Strace},
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// The agent's defaults.
const HEARTBEAT: Duration = Duration::from_secs(100);
const PING: Duration = Duration::from_secs(55);

pub fn measure(plan: &Plan, report: &mut Report) {
    let server = serving();
    let mut board = Board::new(&server).with_camera();
    board.log_level = "info";
    // Another one beside it, because a program whose calls are counted sleeps differently.
    let strace = Strace::new();
    let mut counted =
        Board::of(&server.endpoint(), &server.add("yard")).with_camera().run_by(&strace.command());
    counted.log_level = "info";
    let _cameras = [Camera::at(&board.cam_sock()), Camera::at(&counted.cam_sock())];
    let (agent, other) = (at_rest(&board), at_rest(&counted));

    let calls = strace.calls(&counted.state_dir());
    let (wake_ups, cpu) = (proc::wake_ups(agent.id()), proc::cpu(agent.id()));
    let Life { moments, fifths } = life_of(&agent, plan.idle);
    let (wake_ups, cpu) = (proc::wake_ups(agent.id()) - wake_ups, proc::cpu(agent.id()) - cpu);
    let Calls { syncs, bytes, .. } = strace.calls(&counted.state_dir()) - calls;

    let a_minute = |count: f64| format!("{:.1}", count * 60.0 / plan.idle.as_secs_f64());
    let due = [HEARTBEAT, PING].map(|period| plan.idle.as_secs_f64() / period.as_secs_f64());
    // As many as there can be in this time, however it lies; and each is short, but may begin at the end of a fifth.
    let most = due.iter().copied().map(f64::ceil).sum::<f64>();
    let is_met = f64::from(moments) <= most && f64::from(fifths) <= 2.0 * most;
    report.add(
        Row::new(
            "idle: moments a minute in which anything runs",
            format!(
                "{}, of {} fifths of a second",
                a_minute(f64::from(moments)),
                a_minute(f64::from(fifths))
            ),
        )
        .beside(format!("heartbeats and pings: {}", a_minute(due.iter().sum())))
        .aim("heartbeat and ping only", is_met),
    );
    let spent = a_minute(cpu.as_secs_f64() * 1e3);
    report.add(Row::new(
        "idle: wake-ups a minute of all threads at those moments",
        format!("{}; {spent} ms of CPU", a_minute(wake_ups as f64)),
    ));
    report.add(
        Row::new("idle: fsyncs and bytes written", format!("{syncs} and {bytes}"))
            .aim("none", syncs + bytes == 0),
    );
    let memory = proc::rss_anon(agent.id());
    report.add(Row::new("memory (RssAnon): idle", megabytes(memory)).aim("< 3 MB", memory < 3_000));
    drop(other);
}

/// When anything ran.
#[derive(Default)]
struct Life {
    /// How often any thread woke after a fifth of a second in which none did.
    moments: u32,
    /// In how many fifths of a second one did.
    fifths: u32,
}

fn life_of(agent: &Agent, within: Duration) -> Life {
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    let began = Instant::now();
    let (mut life, mut former, mut was_awake) = (Life::default(), proc::wake_ups(agent.id()), false);
    while began.elapsed() < within {
        thread::sleep(LOOK_EVERY);
        let now = proc::wake_ups(agent.id());
        let is_awake = now != former;
        life.fifths += u32::from(is_awake);
        life.moments += u32::from(is_awake && !was_awake);
        (former, was_awake) = (now, is_awake);
    }
    life
}

/// What follows a start is over when no CPU is used any more for a while.
pub fn at_rest(board: &Board) -> Agent {
    const WHILE: Duration = Duration::from_secs(2);
    let mut agent = board.start();
    agent.says("connected to the cloud");
    loop {
        let before = proc::cpu(agent.id());
        thread::sleep(WHILE);
        if proc::cpu(agent.id()) == before {
            return agent;
        }
    }
}
