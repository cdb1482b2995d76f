//! A setting's text to its meaning; `None`, or what was expected, where it has none.

use super::{Endpoint, LogTo, address::Address};
use rustls::pki_types::ServerName;
use std::{
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    str::FromStr,
};
use ureq::http::Uri;

pub(super) const SOCKET_PATH: &str = "a path of 1 to 107 bytes, which is all that a socket's name holds";
/// Where only that is wrong: it is not shown, so that it needs more words.
const URL_PATH: &str = "a path as URLs have it, in ASCII, without spaces and #";
/// `sun_path` has 108 bytes, and the last is its end.
const LONGEST_SOCKET_PATH: usize = 107;

pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

pub(super) fn socket_path(text: &str) -> Option<PathBuf> {
    path(text).filter(|_| text.len() <= LONGEST_SOCKET_PATH)
}

pub(super) fn port(text: &str) -> Option<u16> {
    number(text).filter(|port| *port != 0)
}

pub(super) fn address(text: &str) -> Option<IpAddr> {
    match text {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        _ => text.parse().ok(),
    }
}

pub(super) fn mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = number::<u32>(digits).and_then(|_| u32::from_str_radix(digits, 8).ok());
    // Who may write may connect. A digit too few would let others in, and the owner not.
    mode.filter(|mode| *mode <= 0o777 && mode & 0o200 != 0)
}

pub(super) fn toggle(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn log_to(text: &str) -> Option<LogTo> {
    match text {
        "stderr" => Some(LogTo::Stderr),
        "syslog" => Some(LogTo::Syslog),
        _ => None,
    }
}

/// A number of bytes; K, M and G are powers of 1024.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let shift = match text.bytes().last()?.to_ascii_uppercase() {
        b'K' => 10,
        b'M' => 20,
        b'G' => 30,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
    number::<u64>(digits)?.checked_mul(1 << shift)
}

pub(super) fn some_bytes(text: &str) -> Option<u64> {
    bytes(text).filter(|bytes| *bytes > 0)
}

/// The text's meaning, or what was expected.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, &'static str> {
    let text = text.strip_prefix("wss://").unwrap_or(text);
    let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let server = host_port(authority, Some(443));
    let (host, port) = server.ok_or("HOST:PORT/PATH (wss:// is implied)")?;
    let path = if path.is_empty() { "/" } else { path };
    let is_path = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    is_path.then(|| Endpoint { host, port, path: path.into() }).ok_or(URL_PATH)
}

/// `HOST:PORT`, an IPv6 address in brackets; the brackets are taken off.
pub(super) fn host_port(text: &str, default_port: Option<u16>) -> Option<(String, u16)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => {
            let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            // A name, or an IPv4 address: what TLS can verify.
            ServerName::try_from(host).ok()?;
            (host, rest)
        }
    };
    let port = match rest.strip_prefix(':') {
        Some(digits) => port(digits)?,
        None if rest.is_empty() => default_port?,
        None => return None,
    };
    Some((host.to_owned(), port))
}

pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The text as it is, or what was expected.
pub(super) fn url(text: &str) -> Result<String, &'static str> {
    let Address { scheme, host, .. } = Address::of(text);
    match () {
        () if is_url(text) => Ok(text.to_owned()),
        () if is_url(&format!("{scheme}{host}")) => Err(URL_PATH),
        () => Err("https://HOST:PORT/PATH"),
    }
}

fn is_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let is_http = matches!(uri.scheme_str(), Some("https" | "http"));
    is_http && uri.host().is_some_and(|host| !host.is_empty())
}

/// Digits alone: `parse` would take a sign as well.
pub(super) fn number<T: FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_take_what_the_original_took_and_more() {
        for (text, authority, path) in [
            ("cloud.example:8443/ws", "cloud.example:8443", "/ws"),
            ("wss://cloud.example", "cloud.example:443", "/"),
            ("cloud.example/a/b?c=d", "cloud.example:443", "/a/b?c=d"),
            ("127.0.0.1:1/", "127.0.0.1:1", "/"),
            ("[::1]:8443/ws", "[::1]:8443", "/ws"),
            ("wss://[fe80::1]", "[fe80::1]:443", "/"),
            ("cloud_server:9000", "cloud_server:9000", "/"),
        ] {
            let endpoint = endpoint(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((endpoint.authority().as_str(), endpoint.path.as_str()), (authority, path), "{text}");
            assert!(!endpoint.host.contains('['), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_endpoints() {
        for text in [
            "",
            ":443",
            "/path",
            "ws://a",
            "https://a/",
            "a:0",
            "a:65536",
            "a:+1",
            "a:b",
            "::1:443",
            "[::1",
            "[a]:1",
            "[::1]x:1",
            "a b",
            "a/b c",
            "a/#b",
            "u@a:1",
            "a:1:2",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_in_powers_of_1024() {
        for (text, expected) in [("0", 0), ("7", 7), ("64K", 65_536), ("64m", 64 << 20), ("2G", 2 << 30)] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in ["", "K", "-1", "+1", "1.5G", "1T", "1 K", "18446744073709551616", "17179869184G", "é"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        for text in ["660", "0660", "0o660"] {
            assert_eq!(mode(text), Some(0o660), "{text}");
        }
        for text in ["", "0x1b0", "680", "1777", "rw", "+660", "0o+660", "-1"] {
            assert_eq!(mode(text), None, "{text}");
        }
    }

    #[test]
    fn a_socket_path_fits_the_kernel() {
        assert!(socket_path(&"a".repeat(107)).is_some());
        assert!(socket_path(&"a".repeat(108)).is_none());
    }

    #[test]
    fn uploads_go_by_http() {
        assert!(url("https://tus.example/files/").is_ok() && url("http://127.0.0.1:1080/files/").is_ok());
        for text in ["", "tus.example/files", "ftp://a/", "https://", "/files"] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
