//! A failed connection in words: what was expected, what came, what to do.

use crate::wire::utc::Utc;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, pki_types::UnixTime};
use std::{io, time::Duration};

/// Servers renew their certificates. One that expired longer ago than this, and is still shown, says more about
/// the board's clock than about the server.
const LONG_EXPIRED: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Whether a handshake failed because the board's clock must be wrong, so that nothing else is to be mended.
pub fn blames_the_clock(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            has_long_expired(*time, *not_after)
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })
        | Error::FailedToGetCurrentTime => true,
        _ => false,
    }
}

fn has_long_expired(now: UnixTime, not_after: UnixTime) -> bool {
    now.as_secs().saturating_sub(not_after.as_secs()) > LONG_EXPIRED.as_secs()
}

/// Why a handshake failed, and what to do or look at.
pub fn describe(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => describe_certificate(error),
        Error::AlertReceived(alert) => describe_alert(*alert),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "expected TLS, but the server speaks something else: is it the right port?".into()
        }
        Error::FailedToGetCurrentTime => "the board's clock is before 1970: set it".into(),
        error => format!("TLS: {error}: is it the right server, and the right port?"),
    }
}

/// Why a connection failed, whether in TLS or beneath it.
pub fn describe_io(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(error) => describe(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the server closed the connection".into(),
        None => error.to_string(),
    }
}

fn describe_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            let (clock, end) = (Utc(time.as_secs()), Utc(not_after.as_secs()));
            if has_long_expired(*time, *not_after) {
                return format!(
                    "the board's clock says {clock}, but the server's certificate expired on {end}: the clock must be wrong"
                );
            }
            format!(
                "the server's certificate expired on {end}, and by the board's clock it is {clock}: \
                 the server needs a new one"
            )
        }
        CertificateError::Expired => {
            "the server's certificate expired before the earliest that it can be now: it needs a new one".into()
        }
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate begins on {}, but the board's clock says {}: one of the two clocks must be wrong",
            Utc(not_before.as_secs()),
            Utc(time.as_secs())
        ),
        // A bad signature is another authority's of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is signed by no authority that this board trusts: is it the right server, \
             and --ca its authority's certificate?"
                .into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is for {}, not for {:?}: is --endpoint right?",
            listed(presented),
            expected.to_str()
        ),
        error => format!("the server's certificate does not hold: {error}: the server needs another one"),
    }
}

/// Names as people have them: rustls has `DnsName("localhost")` and `IpAddress(127.0.0.1)`, each as often as it is there.
fn listed(presented: &[String]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in presented {
        let name = name.split_once('(').map_or(name.as_str(), |(_, name)| name.trim_end_matches(')'));
        let name = name.trim_matches('"');
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
}

fn describe_alert(alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::CertificateRevoked => "it was revoked",
        AlertDescription::CertificateExpired => "it has expired",
        AlertDescription::UnknownCA | AlertDescription::DecryptError => "another authority signed it",
        AlertDescription::CertificateRequired => "it came without one",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => "it does not know it",
        alert => return format!("the server ended the handshake: {alert:?}; its log may say why"),
    };
    format!("the server refuses this camera's certificate: {why}; is --cert the one that it issued?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_once_and_as_people_have_it() {
        let presented = [r#"DnsName("vm")"#, "IpAddress(127.0.0.1)", "IpAddress(127.0.0.1)", "unheard of"];
        assert_eq!(listed(&presented.map(str::to_owned)), "vm, 127.0.0.1, unheard of");
        assert_eq!(listed(&[]), "no name");
    }
}
