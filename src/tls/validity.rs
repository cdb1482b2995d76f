//! From when until when a certificate holds: the one thing that webpki does not tell.
//!
//! Only DER's own frame is walked, down to the two times; the certificate is not verified here, and need not make
//! sense:
//!
//! ```text
//! Certificate ::= SEQUENCE { TBSCertificate, … }
//! TBSCertificate ::= SEQUENCE { [0] version OPTIONAL, INTEGER serial, SEQUENCE algorithm, SEQUENCE issuer,
//!                               SEQUENCE { Time not_before, Time not_after }, … }
//! Time ::= UTCTime "YYMMDDHHMMSSZ" | GeneralizedTime "YYYYMMDDHHMMSSZ"
//! ```

use crate::wire::utc::Utc;
use rustls::pki_types::CertificateDer;

/// From when until when, in seconds since 1970. A time before is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: u64,
    pub(super) not_after: u64,
}

/// What a certificate says; `None` where it is none.
pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let mut outer = Reader(certificate);
    let mut certificate = outer.enter(SEQUENCE)?;
    let mut signed = certificate.enter(SEQUENCE)?;
    if signed.0.first() == Some(&VERSION) {
        signed.enter(VERSION)?;
    }
    signed.enter(INTEGER)?;
    signed.enter(SEQUENCE)?;
    signed.enter(SEQUENCE)?;
    let mut validity = signed.enter(SEQUENCE)?;
    Some(Validity { not_before: validity.time()?, not_after: validity.time()? })
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The constructed, context-specific tag 0.
const VERSION: u8 = 0xa0;

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Takes one value and gives its content, if it has this tag.
    fn enter(&mut self, tag: u8) -> Option<Reader<'a>> {
        let (found, content) = self.value()?;
        (found == tag).then_some(Reader(content))
    }

    /// Takes one value: its tag and its content.
    fn value(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // So many bytes of length follow; two reach beyond every certificate that TLS takes.
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*bytes)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn time(&mut self) -> Option<u64> {
        let (tag, content) = self.value()?;
        let digits = content.strip_suffix(b"Z")?;
        let (year, rest) = match (tag, digits.len()) {
            (UTC_TIME, 12) => {
                let year = number(&digits[..2])?;
                // RFC 5280: two digits stand for 1950 to 2049.
                (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
            }
            (GENERALIZED_TIME, 14) => (number(&digits[..4])?, &digits[4..]),
            _ => return None,
        };
        let &[month, day, hour, minute, second] = rest.as_chunks::<2>().0 else { return None };
        let date = (year, number(&month)?, number(&day)?);
        let time = (number(&hour)?, number(&minute)?, number(&second)?);
        match year {
            ..1970 => Some(0),
            _ => Utc::from_civil(date, time).map(|utc| utc.0),
        }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn certificate(from: i32, until: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 2, 28);
        params.not_after = date_time_ymd(until, 12, 31);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn day(year: u64, month: u64, day: u64) -> u64 {
        Utc::from_civil((year, month, day), (0, 0, 0)).unwrap().0
    }

    #[test]
    fn both_kinds_of_time_are_read() {
        let until_2049 = Validity { not_before: day(2024, 2, 28), not_after: day(2049, 12, 31) };
        assert_eq!(of(&certificate(2024, 2049)), Some(until_2049));
        let until_4096 = Validity { not_before: 0, not_after: day(4096, 12, 31) };
        assert_eq!(of(&certificate(1969, 4096)), Some(until_4096));
    }

    #[test]
    fn what_is_no_certificate_has_no_validity_and_does_no_harm() {
        let whole = certificate(2024, 2049);
        let read = |bytes: &[u8]| of(&CertificateDer::from(bytes));
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "cut at {end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff] {
                let mut bytes = whole.to_vec();
                bytes[at] = byte;
                read(&bytes);
            }
        }
    }
}
