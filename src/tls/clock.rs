//! Verifying certificates by a clock that may be wrong.
//!
//! A board without a clock chip starts in 1970, or at the time of its last shutdown, and needs the network to
//! learn better; with that clock no certificate would be valid yet. It is never earlier, though, than the agent's
//! own build, nor than a moment that a verified server told before: the [`Floor`]. While the clock is below the
//! floor, certificates are verified at the floor, or at the newest beginning among those presented if that is
//! later. So expiry is still enforced: what had expired by the floor is refused, whatever the clock says.
//!
//! A clock that is right, or too late, is believed: a future board refuses what looks expired to it, says so, and
//! tries again.

use super::validity;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// When this source was released, in seconds since 1970: 2026-11-21. Each release sets its own day.
const RELEASED: u64 = 1_795_219_200;

/// When the agent was built: `SOURCE_DATE_EPOCH`, as builds that can be repeated set it. Some set a day long ago,
/// and the release is later then.
const BUILT: u64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => match u64::from_str_radix(text, 10) {
        Ok(epoch) if epoch > RELEASED => epoch,
        Ok(_) | Err(_) => RELEASED,
    },
    None => RELEASED,
};

/// No build runs for longer than this without an update.
const LIFE: u64 = 20 * 366 * 24 * 60 * 60;

/// The earliest that it can be, in seconds since 1970.
pub fn earliest() -> u64 {
    BUILT
}

/// The latest that it can be, in seconds since 1970: no server takes the board's certificate after its end.
pub fn latest(certificate_expires: Option<u64>) -> u64 {
    certificate_expires.unwrap_or(u64::MAX).min(BUILT + LIFE)
}

/// The earliest that it can be.
#[derive(Debug)]
pub struct Floor(AtomicU64);

impl Floor {
    /// It can't be before the agent was built.
    pub fn since_build() -> Floor {
        Floor(AtomicU64::new(BUILT))
    }

    /// Nor before a verified server's `Date`, in seconds since 1970. An earlier one changes nothing.
    pub fn raise(&self, unix: u64) {
        self.0.fetch_max(unix, Ordering::Relaxed);
    }

    /// The floor, in seconds since 1970.
    pub fn unix(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// When to verify `chain`, if the clock says `now`.
    fn time_for<'a>(&self, now: UnixTime, chain: impl Iterator<Item = &'a CertificateDer<'a>>) -> UnixTime {
        let floor = self.unix();
        if now.as_secs() >= floor {
            return now;
        }
        let newest = chain.filter_map(validity::of).map(|validity| validity.not_before).max();
        UnixTime::since_unix_epoch(Duration::from_secs(floor.max(newest.unwrap_or(0))))
    }
}

#[cfg(test)]
impl Floor {
    pub(crate) fn at(unix: u64) -> Floor {
        Floor(AtomicU64::new(unix))
    }
}

/// webpki's verification, at a time that can be. It is rustls' `WebPkiServerVerifier` without lists of revoked
/// certificates, of which the agent has none: their parser would be in the binary all the same.
#[derive(Debug)]
pub(super) struct FloorVerifier {
    pub roots: RootCertStore,
    pub algorithms: WebPkiSupportedAlgorithms,
    pub floor: Arc<Floor>,
}

impl ServerCertVerifier for FloorVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let time = self.floor.time_for(now, std::iter::once(end_entity).chain(intermediates));
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let signed = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            time,
            self.algorithms.all,
        );
        signed.map_err(|error| match error {
            // The time in it is not the clock's: without, nobody takes it for that.
            Error::InvalidCertificate(CertificateError::ExpiredContext { .. }) if time != now => {
                CertificateError::Expired.into()
            }
            error => error,
        })?;
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_no_later_than_the_certificate_lasts_nor_long_after_the_build() {
        assert_eq!(latest(Some(RELEASED + 1)), RELEASED + 1);
        for expires in [None, Some(u64::MAX)] {
            assert_eq!(latest(expires), BUILT + LIFE);
        }
    }

    #[test]
    fn the_floor_only_rises() {
        let floor = Floor::at(1000);
        floor.raise(999);
        assert_eq!(floor.unix(), 1000);
        floor.raise(1001);
        assert_eq!(floor.unix(), 1001);
        assert!(Floor::since_build().unix() >= RELEASED);
    }
}
