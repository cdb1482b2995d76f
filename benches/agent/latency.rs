//! From the moment before the cloud writes a command's frame to the moment after the camera program has its datagram.

use crate::{
    Plan,
    harness::{Board, Camera, Cloud, Process, Segment, Server, Session},
    report::{Report, Row, percentile},
    upload::serving,
};
use cloudtalker::wire::cloud::ToAgent;
use serde_json::json;
use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Between two frames: long enough that the agent sleeps.
const PAUSE: Duration = Duration::from_millis(2);
/// A file whose upload lasts longer than what is measured.
const LONG: usize = 256 << 20;
const ARM: &str = r#"{"command":"arm"}"#;
const DISARM: &str = r#"{"command":"disarm"}"#;
/// As a bad memory card does. Only these calls are looked at, so that no other is slower.
const HELD: &str = "inject=fsync,fdatasync:delay_enter=5s";

pub fn measure(plan: &Plan, report: &mut Report) {
    let mut add = |situation: &str, Turns { commands, socat, pings }: &Turns| {
        let p99 = percentile(commands.iter().copied(), 0.99);
        let what = format!("command, from the cloud's frame to the camera's datagram, {situation}");
        report.add(
            Row::new(what, percentiles(commands))
                .beside(format!("socat, without TLS: {}", percentiles(socat)))
                .aim("p99 < 0.5 ms", p99 < 0.5),
        );
        let what = format!("ping, from the cloud's frame to the agent's answer, {situation}");
        report.add(Row::new(what, percentiles(pings)));
    };
    add("idle", &Scene::new(&[]).idle(plan.frames));
    let held =
        ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", HELD];
    add("every fsync held for 5 s, upload stalled", &Scene::new(&held).stalled(plan.frames));
    add("uploading and taking segments at full speed", &Scene::new(&[]).busy(plan.frames));
}

fn percentiles(delays: &[f64]) -> String {
    let [p50, p99] = [0.5, 0.99].map(|share| percentile(delays.iter().copied(), share));
    format!("p50 {p50:.3} ms, p99 {p99:.3} ms")
}

/// Delays, in milliseconds, of what takes turns, one by one: what all have is the machine's own.
#[derive(Default)]
struct Turns {
    commands: Vec<f64>,
    socat: Vec<f64>,
    pings: Vec<f64>,
}

/// A board whose session is with a cloud in this process, and whose uploads go to the real server.
struct Scene {
    server: Server,
    cloud: Cloud,
    board: Board,
    /// What the board's agent is measured under.
    runner: Vec<String>,
}

impl Scene {
    fn new(runner: &[&str]) -> Scene {
        let server = serving();
        let camera = server.add("porch");
        let cloud = Cloud::new(&camera);
        let mut board = cloud.board(&camera, &server).with_camera();
        board.log_level = "info";
        let runner = runner.iter().map(|&word| word.to_owned()).collect();
        Scene { server, cloud, board, runner }
    }

    fn idle(self, frames: usize) -> Turns {
        let camera = Camera::at(&self.board.cam_sock());
        let _agent = self.board.start();
        let session = self.cloud.session();
        self.turns(session, &camera, frames)
    }

    fn busy(self, frames: usize) -> Turns {
        let camera = Camera::at(&self.board.cam_sock());
        let agent = self.board.start();
        let session = self.cloud.session();
        let small = (2..10).map(|time| self.board.record(&format!("pir.{time}.0.mp4"), 200_000));
        let segments: Vec<Segment> = std::iter::once(self.long_segment()).chain(small).collect();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // What the server has confirmed is another capture when it is handed over again.
                let mut endless = segments.iter().cycle();
                while !is_over.load(Ordering::Relaxed) {
                    agent.source().hand_over(endless.next().expect("it goes round"));
                }
            });
            let turns = self.turns(session, &camera, frames);
            is_over.store(true, Ordering::Relaxed);
            turns
        })
    }

    /// The upload stalls in its middle, and is given up only later than what is measured here takes.
    fn stalled(mut self, frames: usize) -> Turns {
        let camera = Camera::at(&self.board.cam_sock());
        let agent = self.board.start();
        agent.takes(&[self.long_segment()]);
        agent.kill();
        self.board.runner = self.runner.clone();
        let agent = self.board.start();
        let session = self.cloud.session();
        agent.has_sent(0);
        self.server.freeze();
        // Taking it in has several fsyncs, and each command is noted with one.
        let waiting = self.board.record("pir.2.0.mp4", 200_000);
        let mut source = agent.source();
        source.say(json!({"segment": waiting.path()}).to_string());
        let turns = self.turns(session, &camera, frames);
        let status = agent.status();
        assert_eq!(status.spool.segments, 1, "the disk was held all the time");
        assert!(status.upload.is_some_and(|upload| upload.sent < upload.bytes), "the upload was stalled");
        turns
    }

    fn turns(&self, mut session: Session, camera: &Camera, frames: usize) -> Turns {
        let mut relay = Relay::to(&self.board.cam_sock().with_extension("relay"));
        let mut turns = Turns::default();
        for number in 0..frames {
            turns.commands.push(delay(&mut session, camera, number));
            turns.socat.push(relay.delay());
            turns.pings.push(ping(&mut session));
        }
        turns
    }

    fn long_segment(&self) -> Segment {
        self.board.record("pir.1.0.mp4", LONG)
    }
}

/// Of one command, in milliseconds.
fn delay(session: &mut Session, camera: &Camera, number: usize) -> f64 {
    let armed = number.is_multiple_of(2);
    let message = ToAgent { pir_armed: Some(armed), ..ToAgent::default() };
    let [expected, former] = if armed { [ARM, DISARM] } else { [DISARM, ARM] };
    let began = Instant::now();
    session.says(&message);
    let heard = camera.hears_beside(former);
    let delay = began.elapsed();
    assert_eq!(heard, expected);
    assert_eq!(session.hears_state(), armed);
    thread::sleep(PAUSE);
    delay.as_secs_f64() * 1e3
}

/// Of one ping, in milliseconds.
fn ping(session: &mut Session) -> f64 {
    let began = Instant::now();
    session.pings();
    let delay = began.elapsed();
    thread::sleep(PAUSE);
    delay.as_secs_f64() * 1e3
}

/// socat, which makes a datagram of all that it reads from a TCP connection at a time.
struct Relay {
    stream: TcpStream,
    camera: Camera,
    _socat: Process,
}

impl Relay {
    fn to(socket: &Path) -> Relay {
        let camera = Camera::at(socket);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let from = format!("TCP:{}", listener.local_addr().unwrap());
        let to = format!("UNIX-SENDTO:{}", socket.display());
        let socat = Process::start("socat", Command::new("socat").args(["-u", &from, &to]));
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        Relay { stream, camera, _socat: socat }
    }

    fn delay(&mut self) -> f64 {
        let began = Instant::now();
        self.stream.write_all(ARM.as_bytes()).unwrap();
        let heard = self.camera.hears();
        let delay = began.elapsed();
        assert_eq!(heard, ARM);
        thread::sleep(PAUSE);
        delay.as_secs_f64() * 1e3
    }
}
