//! Links as boards have them: lossy, far away, slow, and gone for a minute. Nothing is lost or doubled by them.

use crate::harness::{Agent, Board, Camera, Link, Segment, Server};
use std::time::{Duration, Instant};

const TIME: u64 = 1_529_842_538;

/// A board that is connected to its cloud by a link.
struct Scene {
    agent: Agent,
    camera: Camera,
    board: Board,
    server: Server,
    link: Link,
}

impl Scene {
    fn over(link: Link) -> Scene {
        let server = Server::behind(&link);
        let board = Board::new(&server).with_camera().run_by(&link.board());
        let camera = Camera::at(&board.cam_sock());
        let mut agent = board.start();
        agent.says("connected to the cloud");
        Scene { agent, camera, board, server, link }
    }

    /// Everything reaches the cloud, once, and a wish for a capture the camera.
    #[track_caller]
    fn ends_well(&self, segments: &[Segment]) {
        self.agent.owes_nothing();
        let captures = self.server.captures();
        assert!(matches!(&captures[..], [capture] if capture.is("pir", TIME, segments)), "{captures:#?}");
        self.server.tell("porch", "capture");
        while self.camera.hears() != r#"{"command":"capture"}"# {}
    }
}

#[test]
fn a_fifth_of_all_packets_may_be_lost() {
    let scene = Scene::over(Link::with(&["--loss", "0.2"]));
    let segments = scene.board.record_capture(TIME, &[60_000, 3000, 40_000, 20_000]);
    scene.agent.takes(&segments);
    scene.ends_well(&segments);
    let (lost, all) = scene.link.lost();
    assert!((all / 8..all / 3).contains(&lost) && all > 200, "{lost} of {all} were lost");
}

#[test]
fn a_way_may_take_300_ms() {
    const ROUND_TRIP: Duration = Duration::from_millis(600);
    let began = Instant::now();
    let scene = Scene::over(Link::with(&["--delay", "0.3"]));
    assert!(began.elapsed() > 3 * ROUND_TRIP, "TCP, TLS and WebSocket each take one");
    let segments = scene.board.record_capture(TIME, &[300_000, 3000, 100_000]);
    scene.agent.takes(&segments);
    scene.ends_well(&segments);
}

#[test]
fn a_command_overtakes_the_upload_that_fills_a_link_of_64_kbit_s() {
    let scene = Scene::over(Link::with(&["--rate", "64000", "--delay", "0.02"]));
    let segments = scene.board.record_capture(TIME, &[240_000, 3000, 20_000]);
    let began = Instant::now();
    scene.agent.takes(&segments);
    scene.agent.has_sent(0);
    scene.server.tell("porch", "arm");
    assert_eq!(scene.camera.hears(), r#"{"command":"arm"}"#);
    scene.ends_well(&segments);
    assert!(began.elapsed() > Duration::from_secs(263_000 * 8 / 64_000), "the link is as slow as that");
    let log = scene.agent.log();
    let [told, arrived] = ["told the camera program: arm", " is at the server"].map(|words| log.find(words));
    assert!(told.is_some() && told < arrived, "the command came while the first segment was on its way");
}

#[test]
fn an_upload_goes_on_by_itself_after_a_minute_without_a_link() {
    // Some of that is spent on greetings, and all the rest on the first segment.
    let faults = ["--rate", "400000", "--delay", "0.02", "--stall", "60", "--stall-after", "100000"];
    let mut scene = Scene::over(Link::with(&faults));
    let segments = scene.board.record_capture(TIME, &[500_000, 3000, 100_000]);
    scene.agent.takes(&segments[..2]);
    scene.link.stalls();
    scene.agent.takes(&segments[2..]);
    let log = scene.agent.log();
    assert!(
        !log.contains(" is at the server"),
        "the link stalls in mid-upload, and acknowledgements wait for none"
    );
    assert!(scene.link.passes_again() > 0, "the board has tried all the while");
    scene.ends_well(&segments);
}
