//! One TLS configuration for both users of the network, the session and the uploads.
//!
//! The server is always verified, by the authorities of `--ca` or by the web's; nothing switches that off. What a
//! clock that is wrong does to it is [`clock`]'s. TLS 1.3 and 1.2 are offered, on a CPU without AES instructions
//! with ChaCha20-Poly1305 first. A failure in words for the log: [`describe`] and [`describe_io`].

mod cipher;
pub mod clock;
mod failure;
mod validity;

pub use clock::Floor;
pub use failure::{blames_the_clock, describe, describe_io};

use clock::FloorVerifier;
use rustls::{
    ClientConfig, InconsistentKeys, RootCertStore,
    client::Resumption,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Sessions to take up again later; there is one server, and perhaps another for uploads.
const RESUMABLE_SESSIONS: usize = 8;

/// Where the camera's identity is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// Its certificate, first, and what else leads to the authority; PEM.
    pub cert: PathBuf,
    /// The private key to it; PEM, not encrypted.
    pub key: PathBuf,
}

/// What both users need.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// The configuration.
    pub config: Arc<ClientConfig>,
    /// When the camera's own certificate ends, in seconds since 1970.
    pub certificate_expires: Option<u64>,
}

/// One of the files that TLS needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The camera's certificate.
    Certificate,
    /// The camera's private key.
    Key,
    /// The authorities that may sign the server's certificate.
    Authorities,
}

/// Why there is no TLS configuration.
#[derive(Debug)]
pub enum TlsError {
    /// A file can't be read.
    Unreadable(Part, PathBuf, io::Error),
    /// A file is not PEM.
    NotPem(Part, PathBuf, pem::Error),
    /// A file is PEM, but holds nothing of the kind.
    Missing(Part, PathBuf),
    /// What a file holds makes no sense.
    Malformed(Part, PathBuf, rustls::Error),
    /// Certificate and key were not made together.
    Mismatch(IdentityFiles),
}

/// Reads the files and puts together what both users need. `floor` is shared with whoever learns the time.
pub fn client_config(
    identity: &IdentityFiles,
    ca: Option<&Path>,
    floor: Arc<Floor>,
) -> Result<ClientTls, TlsError> {
    let certificates = certificates(Part::Certificate, &identity.cert)?;
    let key = PrivateKeyDer::from_pem_file(&identity.key)
        .map_err(|error| TlsError::of_pem(Part::Key, &identity.key, error))?;
    let certificate_expires = certificates.first().and_then(validity::of).map(|validity| validity.not_after);

    let provider = Arc::new(cipher::provider(cipher::has_aes()));
    let algorithms = provider.signature_verification_algorithms;
    let verifier = FloorVerifier { roots: roots(ca)?, algorithms, floor };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for both versions")
        .dangerous() // It would be, did FloorVerifier not ask webpki.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(certificates, key)
        .map_err(|error| TlsError::of_identity(identity, error))?;
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
    Ok(ClientTls { config: Arc::new(config), certificate_expires })
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let Some(file) = ca else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(Part::Authorities, file)? {
        roots.add(certificate).map_err(|error| TlsError::Malformed(Part::Authorities, file.into(), error))?;
    }
    Ok(roots)
}

fn certificates(part: Part, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let sections: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match sections.map_err(|error| TlsError::of_pem(part, file, error))? {
        certificates if certificates.is_empty() => Err(TlsError::Missing(part, file.into())),
        certificates => Ok(certificates),
    }
}

impl TlsError {
    fn of_pem(part: Part, file: &Path, error: pem::Error) -> TlsError {
        match error {
            pem::Error::Io(error) => TlsError::Unreadable(part, file.into(), error),
            pem::Error::NoItemsFound => TlsError::Missing(part, file.into()),
            error => TlsError::NotPem(part, file.into(), error),
        }
    }

    fn of_identity(identity: &IdentityFiles, error: rustls::Error) -> TlsError {
        match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch(identity.clone())
            }
            rustls::Error::InvalidCertificate(_) => {
                TlsError::Malformed(Part::Certificate, identity.cert.clone(), error)
            }
            error => TlsError::Malformed(Part::Key, identity.key.clone(), error),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Certificate => "--cert: expected a certificate (PEM)",
            Part::Key => "--key: expected a private key (PEM, not encrypted)",
            Part::Authorities => "--ca: expected certificates of authorities (PEM)",
        })
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Unreadable(part, file, error) => {
                write!(f, "{part} in {}, but: {error}; is it there, and this user's to read?", file.display())
            }
            // What these two hold may be the key: a file without line ends is one long marker.
            TlsError::NotPem(
                part,
                file,
                pem::Error::MissingSectionEnd { .. } | pem::Error::IllegalSectionStart { .. },
            ) => {
                let file = file.display();
                write!(
                    f,
                    "{part} in {file}, but its -----BEGIN and -----END lines are not whole: was it cut short?"
                )
            }
            TlsError::NotPem(part, file, error) => {
                write!(f, "{part} in {}, but: {error}; is it the right file?", file.display())
            }
            TlsError::Missing(part, file) => {
                write!(f, "{part} in {}, but it holds none; is it the right file?", file.display())
            }
            TlsError::Malformed(part, file, error) => {
                write!(f, "{part} in {}, but: {error}; is it the right file?", file.display())
            }
            TlsError::Mismatch(IdentityFiles { cert, key }) => write!(
                f,
                "the key in {} does not belong to the first certificate in {}: give the two that were made together",
                key.display(),
                cert.display()
            ),
        }
    }
}

impl std::error::Error for TlsError {}

#[cfg(test)]
pub(crate) mod tests;
