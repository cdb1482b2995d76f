//! Whom the agent does not talk to, and what it says about it. Recording goes on meanwhile.

use crate::harness::{Board, Identity, Server, TempDir, has_aes};
use cloudtalker::wire::utc::Utc;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    CipherSuite, ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::Acceptor,
};
use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::{Arc, LazyLock},
    thread,
    time::SystemTime,
};

const TIME: u64 = 1_529_842_538;
const DAY: u64 = 24 * 60 * 60;

#[test]
fn a_server_of_another_authority_is_refused() {
    let (server, other) = (Server::start(), Server::stopped());
    let identity = Identity { ca: other.add("porch").ca, ..server.add("porch") };
    refuses(
        &Board::of(&server.endpoint(), &identity),
        "the server's certificate is signed by no authority that this board trusts",
    );
}

#[test]
fn a_server_whose_certificate_has_expired_is_refused() {
    let impostor = Impostor { names: &["localhost"], from: 400, until: 30 };
    let server = impostor.serve();
    let end = Utc(today() - 30 * DAY).date();
    refuses(
        &server.board(),
        &format!("the server's certificate expired on {end}T00:00:00Z, and by the board's clock"),
    );
}

#[test]
fn a_certificate_that_expired_long_ago_makes_the_clock_suspect() {
    let server = Impostor { names: &["localhost"], from: 2000, until: 1000 }.serve();
    blames_the_clock(&server, "the clock must be wrong");
}

#[test]
fn a_certificate_of_the_future_makes_the_clock_suspect() {
    let server = Impostor { names: &["localhost"], from: -1000, until: -2000 }.serve();
    blames_the_clock(&server, "one of the two clocks must be wrong");
}

#[test]
fn a_server_of_another_name_is_refused() {
    let server = Impostor { names: &["cloud.example"], from: 1, until: -1000 }.serve();
    refuses(&server.board(), r#"not for "localhost": is --endpoint right?"#);
}

#[test]
fn a_server_without_tls_is_refused() {
    let server = Server::stopped();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    refuses(
        &Board::of(&endpoint, &server.add("porch")),
        "expected TLS, but the server speaks something else: is it the right port?",
    );
}

#[test]
fn a_camera_of_another_authority_hears_that_it_is_refused() {
    let (server, other) = (Server::start(), Server::stopped());
    let identity = Identity { ca: server.add("porch").ca, ..other.add("porch") };
    refuses(
        &Board::of(&server.endpoint(), &identity),
        "the server refuses this camera's certificate: another authority signed it; is --cert the one that it issued?",
    );
}

#[test]
fn a_camera_that_was_removed_hears_that_it_is_refused() {
    let server = Server::start();
    let board = Board::new(&server);
    server.remove("porch");
    let said = "this camera was removed: add it again for a new certificate";
    refuses(&board, &format!("expected a WebSocket, but the server answered 403 Forbidden: {said:?}"));
}

#[test]
fn a_certificate_without_its_key_is_told_before_a_socket_is_opened() {
    let server = Server::stopped();
    let (porch, yard) = (server.add("porch"), server.add("yard"));
    let missing = server.dir.at("missing.pem");
    for (identity, why) in [
        (Identity { key: yard.key.clone(), ..porch.clone() }, "does not belong to the first certificate in"),
        (Identity { key: missing.clone(), ..porch.clone() }, "--key: expected a private key"),
        (Identity { key: yard.cert.clone(), ..porch.clone() }, "but it holds none"),
        (Identity { cert: missing, ..porch.clone() }, "--cert: expected a certificate"),
        (Identity { ca: yard.key, ..porch }, "--ca: expected certificates of authorities"),
    ] {
        let board = Board::of(&server.endpoint(), &identity);
        let ended = board.launch().ends();
        assert_eq!(ended.code(), Some(64), "{}", ended.log);
        assert!(ended.log.contains(why), "expected {why:?}: {}", ended.log);
        assert!(!ended.log.contains("listening"), "{}", ended.log);
        assert!(!board.input_sock().exists() && !board.state_dir().exists());
    }
}

#[test]
fn the_suite_that_is_fast_on_this_cpu_is_offered_first() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = format!("localhost:{}/", listener.local_addr().unwrap().port());
    let server = Server::stopped();
    let board = Board::of(&endpoint, &server.add("porch"));
    let _agent = board.launch();
    let (mut stream, _) = listener.accept().unwrap();
    let mut acceptor = Acceptor::default();
    let accepted = loop {
        acceptor.read_tls(&mut stream).unwrap();
        if let Some(accepted) = acceptor.accept().unwrap() {
            break accepted;
        }
    };
    let expected = match has_aes() {
        true => CipherSuite::TLS13_AES_256_GCM_SHA384,
        false => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    };
    let hello = accepted.client_hello();
    assert_eq!(hello.cipher_suites()[0], expected, "{:?}", hello.cipher_suites());
}

#[track_caller]
fn refuses(board: &Board, why: &str) {
    refuses_and_says(board, why, "; waiting alone will not mend that; ");
}

#[track_caller]
fn blames_the_clock(server: &Serving, why: &str) {
    refuses_and_says(&server.board(), why, "; this mends itself once the clock is right; ");
}

#[track_caller]
fn refuses_and_says(board: &Board, why: &str, remedy: &str) {
    let mut agent = board.start();
    let told = agent.says("no connection to the cloud: ");
    assert!(told.contains(why) && told.contains(" INFO "), "expected {why:?}: {told}");
    let warned = agent.says(remedy);
    assert!(warned.contains(why) && warned.contains(" WARN "), "expected {why:?}: {warned}");
    agent.takes(&board.record_capture(TIME, &[3000, 4000]));
    let status = agent.status();
    assert!(status.session.reason.is_some_and(|reason| reason.contains(why)));
    assert_eq!(status.spool.segments, 2);
}

/// A server that pretends: its authority is trusted, its certificate is not what it should be.
struct Impostor {
    names: &'static [&'static str],
    /// Days ago.
    from: i64,
    /// Days ago.
    until: i64,
}

struct Serving {
    _dir: TempDir,
    endpoint: String,
    identity: Identity,
}

impl Impostor {
    fn serve(&self) -> Serving {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "impostor");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let issue = |from: i64, until: i64| {
            let names: Vec<String> = self.names.iter().map(|&name| name.to_owned()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            let [not_before, not_after] = [from, until].map(|days| {
                let (year, month, day) = days_ago(days);
                date_time_ymd(year, month, day)
            });
            (params.not_before, params.not_after) = (not_before, not_after);
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
        };
        let dir = TempDir::new();
        let write = |name: &str, text: &str| -> PathBuf {
            fs::write(dir.at(name), text).unwrap();
            dir.at(name)
        };
        let (cert, key) = issue(1, -1000);
        let identity = Identity {
            cert: write("cert.pem", &cert),
            key: write("key.pem", &key),
            ca: write("ca.pem", &authority.pem()),
        };
        let (cert, key) = issue(self.from, self.until);
        Serving { _dir: dir, endpoint: handshakes(&cert, &key), identity }
    }
}

impl Serving {
    fn board(&self) -> Board {
        Board::of(&self.endpoint, &self.identity)
    }
}

/// Answers every connection's handshake, as long as the tests run, and nothing else. Gives its address.
fn handshakes(cert: &str, key: &str) -> String {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        );
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            // The agent hangs up: that is the test.
            let _ = connection.complete_io(&mut stream.unwrap());
        }
    });
    format!("localhost:{port}/")
}

/// The second that it began. It stays the same where midnight comes between.
fn today() -> u64 {
    static TODAY: LazyLock<u64> = LazyLock::new(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        now - now % DAY
    });
    *TODAY
}

/// The date so many days ago, as `date_time_ymd` wants it.
fn days_ago(days: i64) -> (i32, u8, u8) {
    let date = Utc(today().saturating_add_signed(-days * DAY.cast_signed())).date().to_string();
    let parts: Vec<&str> = date.split('-').collect();
    (parts[0].parse().unwrap(), parts[1].parse().unwrap(), parts[2].parse().unwrap())
}
