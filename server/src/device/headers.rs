//! Headers of tus requests and answers, and the statuses of what is refused.

use super::upload::{Checksum, FinishError, ReceiveError};
use crate::store::{StoreError, Upload};
use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{
        HeaderMap, Method, StatusCode,
        header::{CONTENT_TYPE, HOST, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use cloudtalker::wire::{
    segment_name::SegmentName,
    tus::{DEFAULT_PATH, Metadata, OFFSET_OCTET_STREAM, STATUS_CHECKSUM_MISMATCH, VERSION},
};
use ring::digest;
use std::{
    fmt::Display,
    time::{Duration, SystemTime},
};

/// The longest segment: an hour of 4K.
pub(super) const MAX_LENGTH: u64 = 16 << 30;

const EXTENSIONS: &str = "creation,creation-with-upload,checksum,termination,expiration";
const ALGORITHMS: &str = "sha1,sha256";

pub(super) const TUS_RESUMABLE: &str = "tus-resumable";
pub(crate) const UPLOAD_OFFSET: &str = "upload-offset";
pub(super) const UPLOAD_LENGTH: &str = "upload-length";
pub(super) const UPLOAD_EXPIRES: &str = "upload-expires";
pub(crate) const UPLOAD_METADATA: &str = "upload-metadata";
pub(crate) const UPLOAD_CHECKSUM: &str = "upload-checksum";

/// An upload of the camera has to end first, which takes its time.
const AFTER_TOO_MANY_S: u32 = 60;
/// The database was locked or a file failed: that may be over soon.
const AFTER_FAILURE_S: u32 = 5;
/// Room is made by people.
const AFTER_FULL_S: u32 = 60;

/// Why a request is refused: a status, and a sentence for the client.
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) String);

/// The keys by which a client of ours says where a segment belongs; a plain tus client knows none of them.
const PLACE: [&str; 4] = ["capture", "trigger", "trigger_timestamp", "seg_no"];

/// What the capture's segment is called in the metadata; a plain tus client may say it by the file's name alone.
pub(crate) fn metadata(header: &str) -> Result<Metadata, Refusal> {
    let by_name = by_name(header);
    let metadata = by_name.as_deref().unwrap_or(header).parse::<Metadata>();
    metadata.map_err(|error| Refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

/// The metadata of a plain client, completed by its file's name. One key of ours that can't be read must never make
/// the others count for nothing: the digest would not be checked.
fn by_name(header: &str) -> Option<String> {
    let pairs = header.split(',').map(|pair| pair.trim().split_once(' ').unwrap_or((pair.trim(), "")));
    let value = |wanted: &str| pairs.clone().find(|(key, _)| *key == wanted).map(|(_, value)| value.trim());
    if PLACE.iter().any(|key| value(key).is_some()) {
        return None;
    }
    let filename = String::from_utf8(STANDARD.decode(value("filename")?).ok()?).ok()?;
    let name = SegmentName::of_path(&filename).ok()?;
    let said = Metadata {
        filename: name.to_string(),
        capture: None,
        trigger: name.trigger,
        trigger_timestamp: name.timestamp,
        seg_no: name.seg_no,
        sha256: None,
    };
    Some(value("sha256").map_or_else(|| said.to_string(), |digest| format!("{said},sha256 {digest}")))
}

pub(crate) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Refusal> {
    let bad =
        |expected: &str| Refusal(StatusCode::BAD_REQUEST, format!("Upload-Checksum: expected {expected}"));
    if !headers.contains_key(UPLOAD_CHECKSUM) {
        return Ok(None);
    }
    let header = text(headers, UPLOAD_CHECKSUM).ok_or_else(|| bad("ASCII"))?;
    let (algorithm, encoded) =
        header.split_once(' ').ok_or_else(|| bad("an algorithm and a digest in base64"))?;
    let algorithm = match algorithm {
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &digest::SHA256,
        _ => return Err(bad("one of the algorithms sha1 and sha256")),
    };
    let expected = STANDARD.decode(encoded.trim()).map_err(|_| bad("the digest in base64"))?;
    Ok(Some(Checksum { algorithm, expected }))
}

/// Whether a creating POST brings bytes.
pub(super) fn has_body(headers: &HeaderMap, body: &Body) -> Result<bool, Refusal> {
    if body.is_end_stream() {
        return Ok(false);
    }
    if text(headers, CONTENT_TYPE.as_str()) == Some(OFFSET_OCTET_STREAM) {
        return Ok(true);
    }
    let expected = format!("the body of a creation must have the Content-Type {OFFSET_OCTET_STREAM}");
    Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, expected))
}

/// The method, which a client behind an old proxy may have to name in a header.
pub(super) fn method(request: &Request) -> Method {
    let named = text(request.headers(), "x-http-method-override").and_then(|name| name.parse().ok());
    named.unwrap_or_else(|| request.method().clone())
}

pub(super) fn version(headers: &HeaderMap) -> Result<(), Refusal> {
    match text(headers, TUS_RESUMABLE) {
        Some(VERSION) => Ok(()),
        _ => Err(Refusal(StatusCode::PRECONDITION_FAILED, format!("Tus-Resumable: this is tus {VERSION}"))),
    }
}

pub(super) fn options() -> Response {
    let headers = [
        ("tus-version", VERSION.to_owned()),
        ("tus-extension", EXTENSIONS.to_owned()),
        ("tus-checksum-algorithm", ALGORITHMS.to_owned()),
        ("tus-max-size", MAX_LENGTH.to_string()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// The upload's URL; absolute, because not every client resolves another one.
pub(crate) fn location(headers: &HeaderMap, id: &str) -> String {
    match text(headers, HOST.as_str()) {
        Some(host) => format!("https://{host}{DEFAULT_PATH}{id}"),
        None => format!("{DEFAULT_PATH}{id}"),
    }
}

pub(super) fn expires(upload: &Upload) -> (&'static str, String) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(upload.expires_at);
    (UPLOAD_EXPIRES, httpdate::fmt_http_date(at))
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn number(headers: &HeaderMap, name: &str) -> Result<u64, Refusal> {
    let digits = text(headers, name).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Refusal(StatusCode::BAD_REQUEST, format!("{name}: expected a number of bytes")))
}

/// A failure of ours: the client is told to come again, the log is told why.
fn failure(status: StatusCode, error: impl Display) -> Refusal {
    log::error!("an upload failed: {error}");
    Refusal(status, "the server could not store this: try again later".into())
}

/// `Retry-After` in seconds, where coming again is of use and coming at once is not.
fn retry_after(status: StatusCode) -> Option<u32> {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Some(AFTER_TOO_MANY_S),
        StatusCode::SERVICE_UNAVAILABLE => Some(AFTER_FAILURE_S),
        StatusCode::INSUFFICIENT_STORAGE => Some(AFTER_FULL_S),
        _ => None,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal(status, text) = self;
        let mut response = (status, text + "\n").into_response();
        if let Some(seconds) = retry_after(status) {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        failure(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}

impl From<ReceiveError> for Refusal {
    fn from(error: ReceiveError) -> Refusal {
        let status = match &error {
            ReceiveError::WrongOffset { .. } | ReceiveError::Superseded => StatusCode::CONFLICT,
            ReceiveError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            ReceiveError::WrongChecksum => checksum_mismatch(),
            ReceiveError::Broken(_) => StatusCode::BAD_REQUEST,
            ReceiveError::Idle => StatusCode::REQUEST_TIMEOUT,
            ReceiveError::DiskFull => return failure(StatusCode::INSUFFICIENT_STORAGE, error),
            ReceiveError::File(_) => return failure(StatusCode::SERVICE_UNAVAILABLE, error),
        };
        Refusal(status, error.to_string())
    }
}

impl From<FinishError> for Refusal {
    fn from(error: FinishError) -> Refusal {
        match error {
            FinishError::WrongDigest => Refusal(checksum_mismatch(), error.to_string()),
            FinishError::Conflict => Refusal(StatusCode::CONFLICT, error.to_string()),
            FinishError::Failed(_) => failure(StatusCode::SERVICE_UNAVAILABLE, error),
        }
    }
}

fn checksum_mismatch() -> StatusCode {
    StatusCode::from_u16(STATUS_CHECKSUM_MISMATCH).expect("460 is a status")
}
