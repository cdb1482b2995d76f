//! TLS to Janus: its certificate has to be one that this machine trusts.

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::sync::Arc;

/// Trusts what this machine trusts. What is wrong with that is logged.
pub(in crate::room) fn trusting() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    found.errors.iter().for_each(|error| log::warn!("a certificate that this machine trusts: {error}"));
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        log::warn!("this machine trusts no certificate, and so not Janus' either");
    }
    config(roots)
}

/// Trusts nobody, for a Janus that speaks no TLS.
pub(in crate::room) fn untrusting() -> ClientConfig {
    config(RootCertStore::empty())
}

fn config(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the usual ones")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
