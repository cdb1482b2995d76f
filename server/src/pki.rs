//! Our own certificate authority: it vouches for the server to cameras, and for cameras to the server.
//!
//! ```text
//! DIR/pki/ca.pem      the CA; a copy is on every board
//! DIR/pki/ca-key.pem  its key, 0600: who has it can be any camera
//! DIR/pki/server.pem, server-key.pem   the server's, made again when its names change or its end nears
//! ```
//!
//! Every certificate is valid from the CA's making on, not from its own: a board's clock may be behind. A camera's
//! key is handed over when the camera is added and never kept.

use cloudtalker::wire::Sha256;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use ring::digest;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    fmt, fs,
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use time::{Duration, OffsetDateTime};
use x509_parser::{extensions::GeneralName, prelude::FromDer};

/// The CA outlives every board.
const CA_VALID: Duration = Duration::days(30 * 365);
/// A camera's certificate is as old as the board gets; `camera remove` ends it earlier.
const CAMERA_VALID: Duration = Duration::days(20 * 365);
/// The server's is made again at a start within [`SERVER_RENEWED`] of its end, so a process may run that long.
const SERVER_VALID: Duration = Duration::days(3 * 365);
const SERVER_RENEWED: Duration = Duration::days(2 * 365);
/// Clocks of other machines may be behind ours by this much when the CA is new.
const BACK_DATED: Duration = Duration::days(7);
/// Longest name of a camera: it is a file's name, too.
const NAME_MAX: usize = 64;
/// What a camera's name is, for people.
pub const NAME_RULE: &str = "1 to 64 letters, digits, '-', '_' or '.', the first a letter or digit";

/// The CA, and where the server's certificate is kept.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    ca: CertificateDer<'static>,
    ca_pem: String,
    made_at: OffsetDateTime,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, for rustls.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, and those between it and a root that the peer has.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// A camera's new certificate.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// The certificate's SHA-256, by which the camera is known.
    pub fingerprint: Sha256,
}

/// Why there is no certificate.
#[derive(Debug)]
pub enum PkiError {
    /// A file could not be read or written.
    Io(PathBuf, io::Error),
    /// A file holds no certificate or key that we could use.
    Unusable(PathBuf, String),
    /// The certificate could not be made.
    Issue(rcgen::Error),
    /// A camera can't have this name.
    Name(String),
}

impl Pki {
    /// Opens the CA in this directory; makes it if there is none.
    pub fn open(dir: &Path) -> Result<Pki, PkiError> {
        let (certificate, key) = (dir.join("ca.pem"), dir.join("ca-key.pem"));
        if !certificate.exists() {
            make_ca(&certificate, &key)?;
        }
        let ca_pem = read(&certificate)?;
        let unusable = |error: String| PkiError::Unusable(certificate.clone(), error);
        let ca =
            CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(|error| unusable(error.to_string()))?;
        let made_at = parsed(&ca).map_err(unusable)?.validity().not_before.to_datetime();
        let key_pair =
            KeyPair::from_pem(&read(&key)?).map_err(|error| PkiError::Unusable(key, error.to_string()))?;
        let issuer = Issuer::from_ca_cert_der(&ca, key_pair).map_err(|error| unusable(error.to_string()))?;
        Ok(Pki { dir: dir.to_owned(), ca, ca_pem, made_at, issuer })
    }

    /// The CA's certificate.
    pub fn ca(&self) -> &CertificateDer<'static> {
        &self.ca
    }

    /// The CA's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The server's certificate for exactly these names; the one on disk, if it will do for long enough.
    pub fn server(&self, names: &[String]) -> Result<Identity, PkiError> {
        let (certificate, key) = (self.dir.join("server.pem"), self.dir.join("server-key.pem"));
        let kept = || -> Option<Identity> {
            let kept = load(&certificate, &key).ok()?;
            let x509 = parsed(kept.chain.first()?).ok()?;
            let lasts = x509.validity().not_after.to_datetime() > OffsetDateTime::now_utc() + SERVER_RENEWED;
            let is_ours = x509.issuer().as_raw() == parsed(&self.ca).ok()?.subject().as_raw();
            (lasts && is_ours && named(&x509) == sorted(names.to_vec())).then_some(kept)
        };
        if let Some(kept) = kept() {
            return Ok(kept);
        }
        let mut params = CertificateParams::new(names).map_err(PkiError::Issue)?;
        params.distinguished_name.push(DnType::CommonName, "cloudtalker-server");
        params.not_before = self.made_at;
        params.not_after = OffsetDateTime::now_utc() + SERVER_VALID;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let pair = KeyPair::generate().map_err(PkiError::Issue)?;
        let issued = params.signed_by(&pair, &self.issuer).map_err(PkiError::Issue)?;
        write(&key, pair.serialize_pem().as_bytes(), 0o600)?;
        write(&certificate, issued.pem().as_bytes(), 0o644)?;
        load(&certificate, &key)
    }

    /// A new camera's certificate.
    pub fn camera(&self, name: &str) -> Result<Issued, PkiError> {
        check_name(name)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = self.made_at;
        params.not_after = OffsetDateTime::now_utc() + CAMERA_VALID;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let pair = KeyPair::generate().map_err(PkiError::Issue)?;
        let issued = params.signed_by(&pair, &self.issuer).map_err(PkiError::Issue)?;
        Ok(Issued {
            certificate: issued.pem(),
            key: pair.serialize_pem(),
            fingerprint: fingerprint(issued.der()),
        })
    }
}

/// A certificate and its key from two PEM files.
pub fn load(certificate: &Path, key: &Path) -> Result<Identity, PkiError> {
    let unusable = |path: &Path, error: String| PkiError::Unusable(path.to_owned(), error);
    let pem = read(certificate)?;
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| unusable(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(certificate, "it holds no certificate".into()));
    }
    let pem = read(key)?;
    let private = PrivateKeyDer::from_pem_slice(pem.as_bytes());
    Ok(Identity { chain, key: private.map_err(|error| unusable(key, error.to_string()))? })
}

/// The SHA-256 of a certificate.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Sha256 {
    let digest = digest::digest(&digest::SHA256, certificate);
    Sha256(digest.as_ref().try_into().expect("a SHA-256 is 32 bytes long"))
}

/// The names by which this machine is reached: always localhost, the host name, every interface's address.
pub fn machine_names() -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(host_name());
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    names.extend(interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let ip = v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))?;
        // A link-local address means nothing without its interface.
        let is_link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        (!is_link_local).then(|| ip.to_string())
    }));
    names
}

/// This machine's own name, where it has a usable one.
pub fn host_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    let is_dns =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    is_dns.then_some(name)
}

/// A camera's name is part of file names and URLs: letters, digits, `-`, `_` and `.`, not first.
pub fn check_name(name: &str) -> Result<(), PkiError> {
    let is_fine = name.len() <= NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_fine { Ok(()) } else { Err(PkiError::Name(name.chars().take(NAME_MAX).collect())) }
}

/// Writes a file so that a crash leaves the old one or the new one.
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), PkiError> {
    let failed = |error| PkiError::Io(path.to_owned(), error);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    // A left-over of a crash might have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file =
        fs::OpenOptions::new().create_new(true).write(true).mode(mode).open(&temporary).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

fn make_ca(certificate: &Path, key: &Path) -> Result<(), PkiError> {
    let mut params = CertificateParams::default();
    // Two servers' CAs need different names, or a board that meets the wrong one reports a bad signature.
    let name = format!("cloudtalker CA {}", &crate::server::random_name()[..8]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = OffsetDateTime::now_utc() - BACK_DATED;
    params.not_after = OffsetDateTime::now_utc() + CA_VALID;
    let pair = KeyPair::generate().map_err(PkiError::Issue)?;
    let issued = params.self_signed(&pair).map_err(PkiError::Issue)?;
    // The certificate comes last: a crash in between leaves no CA rather than one without a key.
    write(key, pair.serialize_pem().as_bytes(), 0o600)?;
    write(certificate, issued.pem().as_bytes(), 0o644)
}

fn parsed<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<x509_parser::certificate::X509Certificate<'a>, String> {
    let parsed = x509_parser::certificate::X509Certificate::from_der(certificate);
    parsed.map(|(_, x509)| x509).map_err(|error| error.to_string())
}

fn named(x509: &x509_parser::certificate::X509Certificate<'_>) -> Vec<String> {
    let names = x509.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|extension| &extension.value.general_names);
    sorted(names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
        _ => None,
    }))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn sorted(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names.dedup();
    names
}

fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|error| PkiError::Io(path.to_owned(), error))
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PkiError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            PkiError::Unusable(path, error) => {
                write!(f, "{}: expected a certificate or key in PEM: {error}", path.display())
            }
            PkiError::Issue(error) => write!(f, "the certificate could not be made: {error}"),
            PkiError::Name(name) => write!(f, "a camera's name is {NAME_RULE}; {name:?} is not"),
        }
    }
}

impl std::error::Error for PkiError {}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_certificate_is_kept_until_its_names_change() {
        let dir = tempfile::tempdir().unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let pki = Pki::open(dir.path()).unwrap();
        let first = pki.server(&names(&["localhost", "::1", "10.0.0.7"])).unwrap();
        let again =
            Pki::open(dir.path()).unwrap().server(&names(&["10.0.0.7", "localhost", "::1", "::1"])).unwrap();
        assert_eq!(first.chain, again.chain);
        let other = pki.server(&names(&["localhost", "10.0.0.8"])).unwrap();
        assert_ne!(first.chain, other.chain);
        assert_eq!(parsed(&other.chain[0]).unwrap().issuer(), parsed(pki.ca()).unwrap().subject());
    }

    #[test]
    fn keys_are_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        Pki::open(dir.path()).unwrap().server(&["localhost".to_owned()]).unwrap();
        for key in ["ca-key.pem", "server-key.pem"] {
            let mode = fs::metadata(dir.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn names_that_are_no_file_names_are_refused() {
        assert!(NAME_RULE.starts_with(&format!("1 to {NAME_MAX} ")));
        for name in ["", ".", "..", "-x", "a/b", "a b", "ä", &"x".repeat(NAME_MAX + 1)] {
            assert!(matches!(check_name(name), Err(PkiError::Name(_))), "{name:?}");
        }
        for name in ["porch", "0", "front.door-2_b"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }
}
