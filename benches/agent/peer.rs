//! The peer: what a careful person would do with programs that every board has, `openssl dgst` and `curl`.
//!
//! It is spared what is the point of the agent: no spool, no fsync, no word that the whole capture is stored. What glues
//! its programs together costs it nothing.

use crate::{
    harness::{Identity, Segment, Server, TempDir},
    proc::{Spent, run},
};
use cloudtalker::wire::{
    Id, Trigger,
    tus::{DEFAULT_PATH, Metadata, OFFSET_OCTET_STREAM, VERSION, resolve},
};
use std::{fmt::Write, fs, process::Command};

/// Of its capture.
pub const TIME: u64 = 1_529_842_538;
/// The server lets a camera have so many uploads open: beyond it the peer is several cameras, with a connection each.
const OPEN: usize = 250;

pub struct Peer<'a> {
    url: String,
    cameras: Vec<Identity>,
    segments: &'a [Segment],
    dir: TempDir,
}

impl<'a> Peer<'a> {
    pub fn new(server: &Server, segments: &'a [Segment]) -> Peer<'a> {
        let url = format!("https://{}{DEFAULT_PATH}", server.endpoint().trim_end_matches('/'));
        let cameras = (0..segments.len().div_ceil(OPEN)).map(|number| server.add(&format!("peer-{number}")));
        Peer { url, cameras: cameras.collect(), segments, dir: TempDir::new() }
    }

    /// `openssl dgst` of every file, in one process.
    pub fn hash(&self) -> Spent {
        let files = self.segments.iter().map(|segment| &segment.path);
        let (printed, spent) = run(Command::new("openssl").args(["dgst", "-sha256", "-r"]).args(files));
        let digests: Vec<&str> = printed.lines().filter_map(|line| line.split(' ').next()).collect();
        let expected: Vec<&str> =
            self.segments.iter().map(|segment| segment.stored.sha256.as_str()).collect();
        assert!(digests == expected, "openssl and ring differ: {printed}");
        spent
    }

    /// Makes an upload for each file, in one process. Gives their URLs.
    pub fn create(&self) -> (Vec<String>, Spent) {
        let mut config = String::new();
        for (segment, camera) in self.segments.iter().zip(self.cameras()) {
            let metadata = Metadata {
                filename: segment.name().to_owned(),
                capture: Some(Id(1)),
                trigger: Trigger::Pir,
                trigger_timestamp: TIME,
                seg_no: segment.stored.seg_no,
                sha256: Some(segment.stored.sha256.parse().unwrap()),
            };
            let length = segment.stored.bytes;
            let headers = [format!("Upload-Length: {length}"), format!("Upload-Metadata: {metadata}")];
            request(&mut config, camera, "POST", &self.url, &headers);
            writeln!(config, r#"write-out = "%header{{location}}\n""#).unwrap();
        }
        let (printed, spent) = self.curl(&config);
        let urls: Vec<String> = printed.lines().filter_map(|location| resolve(&self.url, location)).collect();
        assert_eq!(urls.len(), self.segments.len(), "expected a location for each upload: {printed}");
        (urls, spent)
    }

    /// `curl -X PATCH -T FILE` of every file, in one process.
    pub fn send(&self, urls: &[String]) -> Spent {
        let mut config = String::new();
        let content = format!("Content-Type: {OFFSET_OCTET_STREAM}");
        // A server that answers at once is not asked before whether it wants the body.
        let headers = ["Upload-Offset: 0", &content, "Expect:"].map(str::to_owned);
        for ((segment, camera), url) in self.segments.iter().zip(self.cameras()).zip(urls) {
            request(&mut config, camera, "PATCH", url, &headers);
            writeln!(config, "upload-file = {:?}", segment.path()).unwrap();
        }
        self.curl(&config).1
    }

    /// For each segment.
    fn cameras(&self) -> impl Iterator<Item = &Identity> {
        self.cameras.iter().flat_map(|camera| std::iter::repeat_n(camera, OPEN))
    }

    fn curl(&self, config: &str) -> (String, Spent) {
        let file = self.dir.at("curl.config");
        fs::write(&file, config).unwrap();
        run(Command::new("curl").arg("--config").arg(file))
    }
}

/// Adds a request to a curl's configuration.
fn request(config: &mut String, camera: &Identity, method: &str, url: &str, headers: &[String]) {
    if !config.is_empty() {
        config.push_str("next\n");
    }
    let Identity { cert, key, ca } = camera;
    writeln!(config, "request = {method}\nurl = {url:?}").unwrap();
    writeln!(config, "cert = {cert:?}\nkey = {key:?}\ncacert = {ca:?}").unwrap();
    // What the agent offers first, on a CPU with AES instructions.
    config.push_str("http1.1\ntlsv1.3\ntls13-ciphers = TLS_AES_256_GCM_SHA384\n");
    config.push_str("silent\nshow-error\nfail\n");
    writeln!(config, r#"header = "Tus-Resumable: {VERSION}""#).unwrap();
    for header in headers {
        writeln!(config, "header = {header:?}").unwrap();
    }
}
