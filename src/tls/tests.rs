//! Certificates of this test's own authorities, and whole handshakes in memory.

use super::*;
use crate::wire::utc::Utc;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    AlertDescription, ClientConnection, Error, ServerConfig, ServerConnection,
    pki_types::{ServerName, UnixTime},
    server::WebPkiClientVerifier,
    time_provider::TimeProvider,
};
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
pub(crate) struct Issued {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        Authority::named("one")
    }

    fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// For localhost, from the first day of one year to the first of another.
    pub(crate) fn issue(&self, years: (i32, i32)) -> Issued {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Issued { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A server that asks for certificates of this authority.
    pub(crate) fn server(&self, years: (i32, i32)) -> Arc<ServerConfig> {
        self.server_for_cameras_of(self, years)
    }

    fn server_for_cameras_of(&self, cameras: &Authority, years: (i32, i32)) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(cameras.0.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let Issued { cert, key } = self.issue(years);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            );
        Arc::new(config.unwrap())
    }

    /// A camera that trusts this authority and has a certificate of it.
    pub(crate) fn client(&self) -> ClientTls {
        self.client_with_floor(Floor::at(0))
    }

    fn client_with_floor(&self, floor: Floor) -> ClientTls {
        let files = Files::new();
        let Issued { cert, key } = self.issue(ALWAYS);
        let identity = files.identity(&cert, &key);
        let ca = files.write("ca.pem", &self.0.pem());
        client_config(&identity, Some(&ca), Arc::new(floor)).unwrap()
    }
}

pub(crate) const ALWAYS: (i32, i32) = (1980, 2999);

/// A directory of one test's files.
struct Files(PathBuf);

impl Files {
    fn new() -> Files {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("cloudtalker-tls-{}-{number}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        Files(dir)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn identity(&self, cert: &str, key: &str) -> IdentityFiles {
        IdentityFiles { cert: self.write("cert.pem", cert), key: self.write("key.pem", key) }
    }

    fn refusal(&self, identity: &IdentityFiles, ca: Option<&Path>) -> String {
        let error = client_config(identity, ca, Arc::new(Floor::at(0))).unwrap_err();
        error.to_string().replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A clock that stands.
#[derive(Debug)]
struct Stopped(u64);

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

fn first_of(year: u64) -> u64 {
    Utc::from_civil((year, 1, 1), (0, 0, 0)).unwrap().0
}

/// A whole handshake in memory, with the board's clock at the first day of `year`.
fn handshake(client: &ClientTls, server: Arc<ServerConfig>, name: &str, year: u64) -> Result<(), String> {
    let mut config = (*client.config).clone();
    config.time_provider = Arc::new(Stopped(first_of(year)));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    loop {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let is_silent = wire.is_empty();
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            // Its own refusal reaches the client as an alert.
            let _ = server.process_new_packets();
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        if is_silent && wire.is_empty() {
            assert!(!client.is_handshaking() && !server.is_handshaking());
            return Ok(());
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets().map_err(|error| describe(&error))?;
        }
    }
}

#[test]
fn both_sides_are_known_to_each_other() {
    let authority = Authority::new();
    assert_eq!(handshake(&authority.client(), authority.server(ALWAYS), "localhost", 2026), Ok(()));
}

#[test]
fn the_camera_knows_when_its_certificate_ends() {
    assert_eq!(Authority::new().client().certificate_expires, Some(first_of(2999)));
}

#[test]
fn a_server_of_another_authority_is_refused_whatever_its_name() {
    for name in ["one", "another"] {
        let server = Authority::named(name).server(ALWAYS);
        let error = handshake(&Authority::named("one").client(), server, "localhost", 2026).unwrap_err();
        assert!(error.contains("signed by no authority that this board trusts"), "{error}");
    }
}

#[test]
fn a_server_of_another_name_is_refused() {
    let authority = Authority::new();
    let error = handshake(&authority.client(), authority.server(ALWAYS), "cloud.example", 2026);
    let expected =
        r#"the server's certificate is for localhost, not for "cloud.example": is --endpoint right?"#;
    assert_eq!(error, Err(expected.into()));
}

#[test]
fn a_camera_of_another_authority_is_told_whatever_its_name() {
    let authority = Authority::named("one");
    for name in ["one", "another"] {
        let server = authority.server_for_cameras_of(&Authority::named(name), ALWAYS);
        let error = handshake(&authority.client(), server, "localhost", 2026);
        let expected = "the server refuses this camera's certificate: another authority signed it; \
                        is --cert the one that it issued?";
        assert_eq!(error, Err(expected.into()), "{name}");
    }
}

#[test]
fn an_expired_server_is_refused_and_so_is_a_clock_far_ahead() {
    let authority = Authority::new();
    let refused = |year: u64| {
        handshake(&authority.client(), authority.server((2020, 2026)), "localhost", year).unwrap_err()
    };
    let renew = "the server's certificate expired on 2026-01-01T00:00:00Z, and by the board's clock it is \
                 2027-01-01T00:00:00Z: the server needs a new one";
    assert_eq!(refused(2027), renew);
    let clock = "the board's clock says 2036-01-01T00:00:00Z, but the server's certificate expired on \
                 2026-01-01T00:00:00Z: the clock must be wrong";
    assert_eq!(refused(2036), clock);
}

#[test]
fn a_board_without_a_clock_gets_in() {
    let authority = Authority::new();
    let client = authority.client_with_floor(Floor::at(first_of(2024)));
    for years in [(2020, 2026), (2025, 2026)] {
        assert_eq!(handshake(&client, authority.server(years), "localhost", 1970), Ok(()), "{years:?}");
    }
}

#[test]
fn a_board_without_a_clock_still_refuses_what_had_expired() {
    let authority = Authority::new();
    let floor = Floor::at(first_of(2024));
    floor.raise(first_of(2027));
    let error =
        handshake(&authority.client_with_floor(floor), authority.server((2020, 2026)), "localhost", 1970);
    let expected =
        "the server's certificate expired before the earliest that it can be now: it needs a new one";
    assert_eq!(error, Err(expected.into()));
}

#[test]
fn a_clock_above_the_floor_is_believed() {
    let authority = Authority::new();
    let client = authority.client_with_floor(Floor::at(first_of(2022)));
    let error = handshake(&client, authority.server((2025, 2026)), "localhost", 2023).unwrap_err();
    assert!(error.starts_with("the server's certificate begins on 2025-01-01T00:00:00Z"), "{error}");
}

#[test]
fn a_certificate_needs_its_own_key() {
    let (authority, files) = (Authority::new(), Files::new());
    let identity = files.identity(&authority.issue(ALWAYS).cert, &authority.issue(ALWAYS).key);
    let expected = "the key in key.pem does not belong to the first certificate in cert.pem: \
                    give the two that were made together";
    assert_eq!(files.refusal(&identity, None), expected);
}

#[test]
fn files_that_lack_something_are_named() {
    let (authority, files) = (Authority::new(), Files::new());
    let Issued { cert, key } = authority.issue(ALWAYS);
    let whole = files.identity(&cert, &key);
    let nothing = files.write("nothing.pem", "no PEM here\n");
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let nonsense = files.write("nonsense.pem", nonsense);
    let absent = files.0.join("absent.pem");

    let with_cert = |cert: &PathBuf| IdentityFiles { cert: cert.clone(), ..whole.clone() };
    let with_key = |key: &PathBuf| IdentityFiles { key: key.clone(), ..whole.clone() };
    for (identity, ca, expected) in [
        (with_cert(&absent), None, "--cert: expected a certificate (PEM) in absent.pem, but: No such file"),
        (with_cert(&nothing), None, "--cert: expected a certificate (PEM) in nothing.pem, but it holds none"),
        (with_cert(&nonsense), None, "--cert: expected a certificate (PEM) in nonsense.pem, but: invalid"),
        (
            with_key(&whole.cert),
            None,
            "--key: expected a private key (PEM, not encrypted) in cert.pem, but it holds none",
        ),
        (
            with_key(&files.write("encrypted.pem", &key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"))),
            None,
            "--key: expected a private key (PEM, not encrypted) in encrypted.pem, but it holds none",
        ),
        (
            with_key(
                &files.write("short.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            ),
            None,
            "--key: expected a private key (PEM, not encrypted) in short.pem, but: ",
        ),
        (
            with_key(&files.write("cut.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n")),
            None,
            "--key: expected a private key (PEM, not encrypted) in cut.pem, but its -----BEGIN and -----END \
             lines are not whole: was it cut short?",
        ),
        (
            with_key(&files.write("line.pem", &key.replace('\n', ""))),
            None,
            "--key: expected a private key (PEM, not encrypted) in line.pem, but its -----BEGIN and -----END \
             lines are not whole: was it cut short?",
        ),
        (
            with_key(&absent),
            None,
            "--key: expected a private key (PEM, not encrypted) in absent.pem, but: No such file",
        ),
        (
            whole.clone(),
            Some(absent.as_path()),
            "--ca: expected certificates of authorities (PEM) in absent.pem, but: No such file",
        ),
        (
            whole.clone(),
            Some(nothing.as_path()),
            "--ca: expected certificates of authorities (PEM) in nothing.pem, but it holds none",
        ),
        (
            whole.clone(),
            Some(nonsense.as_path()),
            "--ca: expected certificates of authorities (PEM) in nonsense.pem, but: invalid",
        ),
    ] {
        let refusal = files.refusal(&identity, ca);
        assert!(refusal.starts_with(expected), "{refusal}");
        assert!(!refusal.contains("MIG"), "it shows the key: {refusal}");
    }
    assert!(client_config(&whole, None, Arc::new(Floor::at(0))).is_ok(), "the web's roots are built in");
}

#[test]
fn a_server_that_refuses_the_camera_is_understood() {
    let refused = |why: &str| {
        format!("the server refuses this camera's certificate: {why}; is --cert the one that it issued?")
    };
    for (alert, expected) in [
        (AlertDescription::CertificateRevoked, refused("it was revoked")),
        (AlertDescription::CertificateExpired, refused("it has expired")),
        (AlertDescription::UnknownCA, refused("another authority signed it")),
        (AlertDescription::CertificateRequired, refused("it came without one")),
        (AlertDescription::CertificateUnknown, refused("it does not know it")),
        (
            AlertDescription::ProtocolVersion,
            "the server ended the handshake: ProtocolVersion; its log may say why".to_owned(),
        ),
    ] {
        assert_eq!(describe(&Error::AlertReceived(alert)), expected);
    }
}

#[test]
fn faults_beneath_tls_keep_their_own_words() {
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    assert_eq!(describe_io(&refused), "connection refused");
    let wrapped = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::FailedToGetCurrentTime);
    assert_eq!(describe_io(&wrapped), "the board's clock is before 1970: set it");
}
