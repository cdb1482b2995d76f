//! Other people's programs at the other end of tus: our agent with `@tus/server`, `tus-js-client` with our server.
//! What each was told to do stands in `peers/`.

use crate::harness::{
    Agent, Board, Identity, Process, Segment, Server, TempDir, eventually, file_names, free_port, program,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

const TIME: u64 = 1_529_842_538;
/// More than the sockets between two programs hold: who takes no more has not got all of it.
const LONG: usize = 24 << 20;
/// Where a transfer is held up.
const PART: u64 = 1 << 20;

#[test]
fn a_plain_tus_server_gets_segments_and_what_is_told_of_them() {
    let (mut server, cloud) = (TusServer::new(), Server::start());
    let camera = cloud.add("porch");
    server.serve(&camera, None);
    let board = server.board(&cloud, &camera);
    let agent = board.start();
    let segments = board.record_capture(TIME, &[3000, 70_000]);
    send(&board, &segments);
    agent.owes_nothing();
    server.has(&segments);
}

#[test]
fn an_upload_goes_on_where_a_plain_tus_server_was_killed() {
    let (mut server, cloud) = (TusServer::new(), Server::start());
    let (board, mut agent, segments) = server.holds_up_an_upload(&cloud);
    server.kill();
    agent.says("could not be sent");
    server.serve(&board.identity, None);
    agent.owes_nothing();
    server.was_resumed();
    server.has(&segments);
    drop(board);
}

#[test]
fn an_agent_that_was_killed_goes_on_with_its_upload_at_a_plain_tus_server() {
    let (mut server, cloud) = (TusServer::new(), Server::start());
    let (board, agent, segments) = server.holds_up_an_upload(&cloud);
    let hint = board.state_dir().join(format!("spool/{TIME}.pir/0.mp4.tus"));
    eventually("the upload is noted", || hint.exists(), |exists| *exists);
    agent.kill();
    server.go_on();
    let agent = board.start();
    agent.owes_nothing();
    server.was_resumed();
    server.has(&segments);
}

#[test]
fn tus_js_client_uploads_to_our_server() {
    let server = Server::start();
    let mut client = TusClient::new(&server);
    let segments = [client.record(0, 70_000), client.record(1, 3000)];
    assert_eq!(client.upload(&segments[0], &json!({})), ["POST -: 201 0", "PATCH 0: 204 70000"]);
    let in_one = json!({"uploadDataDuringCreation": true});
    assert_eq!(client.upload(&segments[1], &in_one), ["POST -: 201 3000"]);
    assert_stored(&server, &segments);
}

#[test]
fn a_killed_tus_js_client_goes_on_where_it_was() {
    let server = Server::start();
    let mut client = TusClient::new(&server);
    let segment = client.record(0, LONG);
    client.holds_up(&server, &segment).kill();
    let answers = client.upload(&segment, &json!({}));
    assert_resumed(&answers);
    assert_stored(&server, &[segment]);
}

#[test]
fn tus_js_client_goes_on_where_our_server_was_killed() {
    let mut server = Server::start();
    let mut client = TusClient::new(&server);
    let segment = client.record(0, LONG);
    let process = client.holds_up(&server, &segment);
    server.kill();
    server.go_on();
    let ended = process.ends();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert_resumed(&answers(&ended.log)[1..]);
    assert_stored(&server, &[segment]);
}

#[test]
fn what_our_server_does_not_announce_it_refuses() {
    let server = Server::start();
    let mut client = TusClient::new(&server);
    let segment = client.record(0, 70_000);
    for (options, why) in [
        (json!({"parallelUploads": 2}), "response code: 422"),
        (json!({"uploadLengthDeferred": true}), "response code: 400"),
    ] {
        let ended = client.start(&segment, None, &options).ends();
        assert_eq!(ended.code(), Some(1), "{}", ended.log);
        assert!(ended.log.contains(why), "expected {why:?}: {}", ended.log);
    }
    assert_eq!(server.captures(), []);
}

/// `@tus/server`: what lasts when it is killed, and the process while there is one.
struct TusServer {
    process: Option<Process>,
    dir: TempDir,
    /// Which the system chose when it first served.
    port: u16,
    /// That of its own certificate.
    authority: String,
}

impl TusServer {
    fn new() -> TusServer {
        let dir = TempDir::new();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &authority).unwrap();
        fs::write(dir.at("cert.pem"), cert.pem()).unwrap();
        fs::write(dir.at("key.pem"), key.serialize_pem()).unwrap();
        fs::create_dir(dir.at("store")).unwrap();
        TusServer { process: None, dir, port: free_port(), authority: authority.pem() }
    }

    /// A board whose session is with our server, and whose uploads go here. It trusts both authorities.
    fn board(&self, cloud: &Server, camera: &Identity) -> Board {
        let url = format!("https://127.0.0.1:{}/uploads", self.port);
        let board = Board::of(&cloud.endpoint(), camera).with(&["--upload_url", &url]);
        let mut trusted = File::options().append(true).open(&board.identity.ca).unwrap();
        trusted.write_all(self.authority.as_bytes()).unwrap();
        board
    }

    /// Serves cameras of this one's authority, or serves again.
    fn serve(&mut self, camera: &Identity, hold: Option<u64>) {
        let mut process = node(
            "tus-server",
            &json!({
                "port": self.port,
                "dir": self.dir.at("store"),
                "cert": self.dir.at("cert.pem"),
                "key": self.dir.at("key.pem"),
                "clients": camera.ca,
                "hold": hold,
            }),
        );
        let line = process.says("serves at ");
        self.port = line.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("it says where");
        self.process = Some(process);
    }

    /// A board that is in the middle of an upload, of which this server takes only a part.
    fn holds_up_an_upload(&mut self, cloud: &Server) -> (Board, Agent, Vec<Segment>) {
        let camera = cloud.add("porch");
        self.serve(&camera, Some(PART));
        let board = self.board(cloud, &camera);
        let agent = board.start();
        let segments = board.record_capture(TIME, &[LONG]);
        send(&board, &segments);
        self.process().says("holds");
        some_has_arrived(&self.dir.at("store"));
        (board, agent, segments)
    }

    fn kill(&mut self) {
        self.process.take().expect("it serves").kill();
    }

    fn go_on(&mut self) {
        self.process().signal(Signal::USR2);
    }

    /// Since it was held up or killed, the upload was asked for its offset and sent from there; none was made.
    fn was_resumed(&mut self) {
        self.process().says("HEAD /uploads/");
        let sent = self.process().says("PATCH /uploads/");
        let offset = sent.rsplit(' ').next().expect("there is always one part");
        assert!(offset.parse::<usize>().is_ok_and(|offset| offset > 0 && offset < LONG), "{sent}");
        assert_eq!(self.uploads().len(), 1);
    }

    /// Every segment is there once, to the byte, with what a server of ours would be told.
    fn has(&self, segments: &[Segment]) {
        let uploads = self.uploads();
        let mut stored: Vec<(Value, Vec<u8>)> = uploads
            .iter()
            .map(|id| {
                let info = fs::read(self.dir.at("store").join(format!("{id}.json"))).unwrap();
                let info: Value = serde_json::from_slice(&info).unwrap();
                (info["metadata"].clone(), fs::read(self.dir.at("store").join(id)).unwrap())
            })
            .collect();
        stored.sort_by_key(|(metadata, _)| metadata["seg_no"].to_string());
        assert_eq!(stored.len(), segments.len());
        for ((metadata, bytes), segment) in stored.iter().zip(segments) {
            assert!(*bytes == fs::read(&segment.path).unwrap(), "{metadata}");
            let capture = metadata["capture"].as_str().expect("an identity");
            let expected = json!({
                "filename": segment.name(),
                "capture": capture,
                "trigger": "pir",
                "trigger_timestamp": TIME.to_string(),
                "seg_no": segment.stored.seg_no.to_string(),
                "sha256": segment.stored.sha256,
            });
            assert_eq!((metadata, capture.len()), (&expected, 16));
        }
    }

    /// The uploads that were made here.
    fn uploads(&self) -> Vec<String> {
        let names = file_names(&self.dir.at("store"));
        names.into_iter().filter(|name| !name.ends_with(".json")).collect()
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it serves")
    }
}

/// `tus-js-client`: a camera's identity, and what it remembers between two runs.
struct TusClient {
    dir: TempDir,
    identity: Identity,
    endpoint: String,
}

impl TusClient {
    fn new(server: &Server) -> TusClient {
        let endpoint = format!("https://{}uploads/", server.endpoint());
        TusClient { dir: TempDir::new(), identity: server.add("porch"), endpoint }
    }

    fn record(&self, seg_no: u32, length: usize) -> Segment {
        Segment::write(self.dir.at(&format!("pir.{TIME}.{seg_no}.mp4")), seg_no, length)
    }

    fn start(&mut self, segment: &Segment, hold: Option<u64>, options: &Value) -> Process {
        let Identity { cert, key, ca } = &self.identity;
        let mut options = options.clone();
        options["metadata"] = json!({
            "filename": segment.name(),
            "capture": "9fd54c7903abf630",
            "trigger": "pir",
            "trigger_timestamp": TIME.to_string(),
            "seg_no": segment.stored.seg_no.to_string(),
            "sha256": segment.stored.sha256,
        });
        let urls = self.dir.at("urls.json");
        node(
            "tus-client",
            &json!({
                "endpoint": self.endpoint, "file": segment.path, "cert": cert, "key": key, "ca": ca,
                "urls": urls, "hold": hold, "options": options,
            }),
        )
    }

    /// Uploads a segment, and gives what was answered.
    fn upload(&mut self, segment: &Segment, options: &Value) -> Vec<String> {
        let ended = self.start(segment, None, options).ends();
        assert_eq!(ended.code(), Some(0), "{}", ended.log);
        answers(&ended.log)
    }

    /// A client that is in the middle of an upload, of which a part has arrived.
    fn holds_up(&mut self, server: &Server, segment: &Segment) -> Process {
        let mut process = self.start(segment, Some(PART), &json!({}));
        process.says("holds");
        some_has_arrived(&server.dir.at("data").join("uploads"));
        process
    }
}

/// Runs one of the programs beside this file.
fn node(name: &str, configuration: &Value) -> Process {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let is_installed = tests.join("node_modules/@tus/server").exists();
    assert!(is_installed, "expected Node.js and packages of npm: `scripts/install-tools test` installs them");
    let script: PathBuf = tests.join(format!("agent/peers/{name}.mjs"));
    Process::start(name, Command::new("node").arg(script).arg(configuration.to_string()))
}

/// As a shell hook hands a capture over.
fn send(board: &Board, segments: &[Segment]) {
    let mut send = program();
    send.args(["send", "--input_sock"]).arg(board.input_sock());
    let sent = send.args(segments.iter().map(|segment| &segment.path)).output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
}

/// Of an upload beneath this directory.
fn some_has_arrived(dir: &Path) {
    let longest = || {
        let files = file_names(dir).into_iter().map(|name| dir.join(name));
        files.filter_map(|file| Some(fs::metadata(file).ok()?.len())).max().unwrap_or(0)
    };
    eventually("a part has arrived", longest, |bytes| *bytes >= PART / 2);
}

/// What a client's requests were answered.
fn answers(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains(": ") && !line.starts_with("failed")).map(str::to_owned).collect()
}

/// It asked how much was there, and sent the rest.
#[track_caller]
fn assert_resumed(answers: &[String]) {
    let [asked, sent] = answers else { panic!("{answers:#?}") };
    let offset = asked.strip_prefix("HEAD -: 200 ").unwrap_or_else(|| panic!("{asked}"));
    assert!(offset.parse::<usize>().is_ok_and(|offset| offset > 0 && offset < LONG), "{asked}");
    assert_eq!(*sent, format!("PATCH {offset}: 204 {LONG}"));
}

#[track_caller]
fn assert_stored(server: &Server, segments: &[Segment]) {
    let captures = server.captures();
    assert!(matches!(&captures[..], [capture] if capture.is("pir", TIME, segments)), "{captures:#?}");
}
