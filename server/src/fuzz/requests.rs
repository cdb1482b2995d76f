//! Header lines of requests to the upload endpoint.

use crate::device::headers::{
    Refusal, UPLOAD_CHECKSUM, UPLOAD_METADATA, UPLOAD_OFFSET, checksum, location, metadata, number, text,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest;

/// Longer than any word of ours, with a stranger's shortened text in it.
const LONGEST_REFUSAL: usize = 300;

/// A header is read as it was meant, or refused in one line.
pub fn tus_requests(bytes: &[u8]) {
    let headers = read(bytes);
    if let Some(offset) = accepted(number(&headers, UPLOAD_OFFSET)) {
        let digits = text(&headers, UPLOAD_OFFSET).expect("it was read");
        let significant = digits.trim_start_matches('0');
        assert_eq!(if significant.is_empty() { "0" } else { significant }, offset.to_string());
    }
    if let Some(Some(checksum)) = accepted(checksum(&headers)) {
        let known = [&digest::SHA1_FOR_LEGACY_USE_ONLY, &digest::SHA256];
        assert!(known.contains(&checksum.algorithm));
        let header = text(&headers, UPLOAD_CHECKSUM).expect("it was read");
        assert!(header.trim_end().ends_with(&STANDARD.encode(&checksum.expected)), "{header:?}");
    }
    let header = text(&headers, UPLOAD_METADATA).unwrap_or_default();
    if let Some(said) = accepted(metadata(header)) {
        let written = said.to_string();
        let again = accepted(metadata(&written)).expect("our own header is read");
        assert_eq!(again, said, "{header:?}");
        let states_digest = header.split(',').any(|pair| pair.trim().split(' ').next() == Some("sha256"));
        assert_eq!(said.sha256.is_some(), states_digest, "a digest that is declared is checked: {header:?}");
    }
    let location = location(&headers, "0123");
    assert!(location.parse::<HeaderValue>().is_ok() && location.ends_with("/uploads/0123"), "{location:?}");
}

/// Lines of `name: value`.
fn read(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

fn accepted<T>(read: Result<T, Refusal>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(Refusal(status, why)) => {
            assert!(status.is_client_error(), "{status}");
            let is_line = !why.is_empty() && !why.contains(char::is_control);
            assert!(is_line && why.len() <= LONGEST_REFUSAL, "{why:?}");
            None
        }
    }
}
