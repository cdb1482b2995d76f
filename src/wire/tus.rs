//! What the agent and the upload endpoint say in headers: tus 1.0.0, and the metadata of a segment.
//!
//! `Upload-Metadata` is a list of `key base64(value)` pairs between commas. A segment's upload carries
//! `filename`, `capture`, `trigger`, `trigger_timestamp`, `seg_no` and `sha256`; other tus servers may ignore
//! them, and other clients may leave `capture` and `sha256` out.

use super::{Id, Sha256, Trigger, shortened};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fmt, net::Ipv6Addr, str::FromStr};

/// The protocol's version, in the header `Tus-Resumable`.
pub const VERSION: &str = "1.0.0";
/// The media type of a PATCH's body.
pub const OFFSET_OCTET_STREAM: &str = "application/offset+octet-stream";
/// Where uploads are created unless somebody says otherwise.
pub const DEFAULT_PATH: &str = "/uploads/";
/// The status of a body whose digest is wrong.
pub const STATUS_CHECKSUM_MISMATCH: u16 = 460;

/// What is told of a segment when its upload is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The segment's name on the board.
    pub filename: String,
    /// Its capture's identity; without one, trigger and time stand for it.
    pub capture: Option<Id>,
    /// What made the camera record.
    pub trigger: Trigger,
    /// When the capture began, in seconds since 1970 by the board's clock.
    pub trigger_timestamp: u64,
    /// The segment's place within the capture.
    pub seg_no: u32,
    /// Its digest, which the server checks once the upload is whole.
    pub sha256: Option<Sha256>,
}

/// Why a header's metadata is not a segment's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataError {
    /// The value of this key is not base64 of a text.
    NotBase64(String),
    /// This key is missing.
    Missing(&'static str),
    /// The value of this key is not what it should be.
    Wrong {
        /// The key.
        key: &'static str,
        /// Its value, shortened.
        value: String,
    },
}

impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut pair = |key: &str, value: &str| {
            write!(f, "{separator}{key} {}", STANDARD.encode(value))?;
            separator = ",";
            Ok(())
        };
        pair("filename", &self.filename)?;
        if let Some(capture) = self.capture {
            pair("capture", &capture.to_string())?;
        }
        pair("trigger", self.trigger.as_str())?;
        pair("trigger_timestamp", &self.trigger_timestamp.to_string())?;
        pair("seg_no", &self.seg_no.to_string())?;
        if let Some(sha256) = self.sha256 {
            pair("sha256", &sha256.to_string())?;
        }
        Ok(())
    }
}

impl FromStr for Metadata {
    type Err = MetadataError;

    fn from_str(header: &str) -> Result<Metadata, MetadataError> {
        let values = Values::parse(header)?;
        Ok(Metadata {
            filename: values.optional("filename")?.unwrap_or_default(),
            capture: values.optional("capture")?,
            trigger: values
                .required("trigger")
                .and_then(|word: String| Trigger::from_word(&word).ok_or_else(|| wrong("trigger", &word)))?,
            trigger_timestamp: values.required("trigger_timestamp")?,
            seg_no: values.required("seg_no")?,
            sha256: values.optional("sha256")?,
        })
    }
}

/// Where a `Location` leads, seen from the URL that answered with it: absolute, from the root, or beside it.
/// A server that does not know of the TLS before it says `http` of itself: that is meant as `https`. `None` where the
/// location would leave TLS for another place by plain HTTP, or is no HTTP URL: the upload there would be asked about
/// for ever.
pub fn resolve(base: &str, location: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let host = &rest[..rest.find('/').unwrap_or(rest.len())];
    let url = match scheme_of(location) {
        Some((other, place)) => {
            let place = place.strip_prefix("//")?;
            let is_same_host = place.split('/').next() == Some(host);
            match (scheme.to_ascii_lowercase().as_str(), other.to_ascii_lowercase().as_str()) {
                (_, "https") | ("http", "http") => location.to_owned(),
                ("https", "http") if is_same_host => format!("https://{place}"),
                _ => return None,
            }
        }
        None if location.starts_with("//") => format!("{scheme}:{location}"),
        None if location.starts_with('/') => format!("{scheme}://{host}{location}"),
        None => {
            let directory = rest.rfind('/').map_or(rest, |end| &rest[..end]);
            format!("{scheme}://{directory}/{location}")
        }
    };
    is_url(&url).then_some(url)
}

/// What stands before the first colon and behind it, unless that is within a path.
fn scheme_of(location: &str) -> Option<(&str, &str)> {
    location.split_once(':').filter(|(scheme, _)| !scheme.contains(['/', '?', '#']))
}

/// Whether a request can be made to it: it names a host, and holds only what a URL may hold.
fn is_url(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let may_be_in_url = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = match place.rsplit_once(':') {
        Some((_, port)) if port.starts_with('+') => return false,
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(0)),
        Some(_) | None => (place, 443),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        }
    };
    // A name, or a name and a password.
    let is_user = !user.contains(['[', ']', '@']) && user.matches(':').count() <= 1;
    is_user && is_host && port != 0u16 && rest.bytes().all(may_be_in_url)
}

/// The decoded pairs of one header.
struct Values(Vec<(String, String)>);

impl Values {
    fn parse(header: &str) -> Result<Values, MetadataError> {
        let pairs = header.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (key, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
                let bytes = STANDARD.decode(encoded.trim()).ok();
                let value = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                let value = value.ok_or_else(|| MetadataError::NotBase64(shortened(key)))?;
                Ok((key.to_owned(), value))
            })
            .collect::<Result<_, _>>()
            .map(Values)
    }

    fn optional<T: FromStr>(&self, key: &'static str) -> Result<Option<T>, MetadataError> {
        let Some((_, value)) = self.0.iter().find(|(name, _)| name == key) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| wrong(key, value))
    }

    fn required<T: FromStr>(&self, key: &'static str) -> Result<T, MetadataError> {
        self.optional(key)?.ok_or(MetadataError::Missing(key))
    }
}

fn wrong(key: &'static str, value: &str) -> MetadataError {
    MetadataError::Wrong { key, value: shortened(value) }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetadataError::NotBase64(key) => {
                write!(f, "Upload-Metadata: the value of {key:?} should be base64 of UTF-8 text")
            }
            MetadataError::Missing(key) => write!(f, "Upload-Metadata: {key:?} is missing"),
            MetadataError::Wrong { key, value } => {
                write!(f, "Upload-Metadata: {key:?} cannot be {value:?}")
            }
        }
    }
}

impl std::error::Error for MetadataError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        Metadata {
            filename: "pir.1529842538.0.mp4".into(),
            capture: Some(Id(0xfeed)),
            trigger: Trigger::Pir,
            trigger_timestamp: 1_529_842_538,
            seg_no: 0,
            sha256: Some(Sha256([0xab; 32])),
        }
    }

    #[test]
    fn metadata_comes_back() {
        assert_eq!(metadata().to_string().parse(), Ok(metadata()));
        let bare = Metadata { capture: None, sha256: None, ..metadata() };
        assert_eq!(bare.to_string().parse(), Ok(bare));
    }

    #[test]
    fn a_location_is_seen_from_where_it_was_given() {
        for (base, location, url) in [
            ("https://h:1/uploads/", "https://g/x", Some("https://g/x")),
            ("https://h:1/uploads/", "http://h:1/x", Some("https://h:1/x")),
            ("https://h:1", "http://h:1/x", Some("https://h:1/x")),
            ("https://h:1/uploads/", "http://h/x", None),
            ("https://h:1/uploads/", "http://g:1/x", None),
            ("http://h:1/uploads/", "http://h:1/x", Some("http://h:1/x")),
            ("https://h:1/uploads/", "ftp://h:1/x", None),
            ("https://h:1/uploads/", "/uploads/x", Some("https://h:1/uploads/x")),
            ("https://h:1/uploads/", "x", Some("https://h:1/uploads/x")),
            ("https://h:1", "x", Some("https://h:1/x")),
            ("https://h:1/uploads/", "//g/x", Some("https://g/x")),
            ("https://h:1/uploads/", "HTTPS://g/x", Some("HTTPS://g/x")),
            ("https://h:1/uploads/", "x?from=http://g", Some("https://h:1/uploads/x?from=http://g")),
            ("https://h:1/uploads?to=/a", "x", Some("https://h:1/x")),
            ("https://[::1]:1/uploads/", "x", Some("https://[::1]:1/uploads/x")),
            ("https://u:p@h/uploads/", "x", Some("https://u:p@h/uploads/x")),
        ] {
            assert_eq!(resolve(base, location).as_deref(), url, "{base} {location}");
        }
    }

    #[test]
    fn a_location_that_no_request_can_be_made_to_is_none() {
        for location in [
            "a b",
            "//",
            "///x",
            "https:x",
            "https://",
            "https://:1/",
            "https://h:0/",
            "https://h:65536/",
            "https://h:+1/",
            "//u]@h/",
            "//u@v@h/",
            "//u:p:q@h/",
            "mailto:x",
        ] {
            assert_eq!(resolve("https://h:1/uploads/", location), None, "{location}");
        }
    }

    #[test]
    fn a_fault_is_named() {
        let header = metadata().to_string();
        for (header, error) in [
            (String::new(), MetadataError::Missing("trigger")),
            (header.replace("trigger cGly", "trigger !"), MetadataError::NotBase64("trigger".into())),
            (
                header.replace("trigger cGly", "trigger Y2Fw"),
                MetadataError::Wrong { key: "trigger", value: "cap".into() },
            ),
            (
                header.replace("seg_no MA==", "seg_no LTE="),
                MetadataError::Wrong { key: "seg_no", value: "-1".into() },
            ),
        ] {
            assert_eq!(header.parse::<Metadata>(), Err(error), "{header}");
        }
    }
}
