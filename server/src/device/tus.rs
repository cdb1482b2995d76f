//! tus 1.0.0, the open protocol of resumable uploads: core, creation, creation-with-upload, checksum, termination,
//! expiration. Here is what the protocol says; [`upload`](super::upload) is what becomes of the bytes.

use super::{
    Caller,
    upload::{self, Checksum, FinishError, ReceiveError},
};
use crate::{
    library::{CameraId, Identity},
    server::{Server, random_name},
    store::{Creation, NewUpload, StoreError, Upload, unix_now},
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, Request, State},
    http::{
        HeaderMap, Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION},
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
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The longest segment: an hour of 4K.
const MAX_LENGTH: u64 = 16 << 30;
/// An upload that nobody went on with for so long is given up; its camera can create it again.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often expired uploads are looked for.
const REAP_EVERY: Duration = Duration::from_secs(3600);

const EXTENSIONS: &str = "creation,creation-with-upload,checksum,termination,expiration";
const ALGORITHMS: &str = "sha1,sha256";

const TUS_RESUMABLE: &str = "tus-resumable";
const UPLOAD_OFFSET: &str = "upload-offset";
const UPLOAD_LENGTH: &str = "upload-length";
const UPLOAD_EXPIRES: &str = "upload-expires";
const UPLOAD_METADATA: &str = "upload-metadata";
const UPLOAD_CHECKSUM: &str = "upload-checksum";

/// Why a request is refused: a status, and a sentence for the client.
struct Refusal(StatusCode, String);

type Answer = Result<Response, Refusal>;

/// Requests to the creation URL.
pub(super) async fn uploads(
    State(server): State<Arc<Server>>,
    Extension(Caller(camera)): Extension<Caller>,
    request: Request,
) -> Response {
    let answer = match method(&request) {
        Method::OPTIONS => Ok(options()),
        Method::POST => match version(request.headers()) {
            Ok(()) => create(&server, camera, request).await,
            Err(refusal) => Err(refusal),
        },
        _ => Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "uploads are created by POST".into())),
    };
    finished(answer)
}

/// Requests to one upload.
pub(super) async fn upload(
    State(server): State<Arc<Server>>,
    Extension(Caller(camera)): Extension<Caller>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let method = method(&request);
    if method == Method::OPTIONS {
        return finished(Ok(options()));
    }
    let answer = match version(request.headers()) {
        Ok(()) => match method {
            Method::HEAD => head(&server, camera, &id).await,
            Method::PATCH => patch(&server, camera, &id, request).await,
            Method::DELETE => delete(&server, camera, &id).await,
            _ => {
                Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "an upload knows HEAD, PATCH and DELETE".into()))
            }
        },
        Err(refusal) => Err(refusal),
    };
    finished(answer)
}

/// Removes expired uploads and files that belong to none, until the process ends.
pub async fn reap(server: Arc<Server>) {
    let mut hourly = tokio::time::interval(REAP_EVERY);
    loop {
        hourly.tick().await;
        if let Err(error) = reap_once(&server).await {
            log::error!("expired uploads could not be removed: {error}");
        }
    }
}

async fn create(server: &Arc<Server>, camera: CameraId, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let length: u64 = number(&parts.headers, UPLOAD_LENGTH)?;
    if length > MAX_LENGTH {
        return Err(Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("an upload has at most {MAX_LENGTH} bytes"),
        ));
    }
    let has_body = has_body(&parts.headers, &body)?;
    let header = text(&parts.headers, UPLOAD_METADATA).unwrap_or_default();
    let metadata = metadata(header)?;
    let checksum = checksum(&parts.headers)?;
    let id = random_name();
    let new = NewUpload {
        id: &id,
        camera,
        identity: Identity {
            agent_id: metadata.capture,
            trigger: metadata.trigger,
            trigger_timestamp: metadata.trigger_timestamp,
        },
        seg_no: metadata.seg_no,
        length,
        sha256: metadata.sha256,
        metadata: header,
        expires_at: unix_now() + LIFE.as_secs(),
    };
    match server.store.create_upload(&new, server.quota).await? {
        Creation::Open | Creation::Finished => {}
        Creation::Conflict => {
            return Err(Refusal(StatusCode::CONFLICT, "another segment is stored in this place".into()));
        }
        Creation::OverQuota => {
            return Err(Refusal(
                StatusCode::INSUFFICIENT_STORAGE,
                "the camera's quota leaves no room for it".into(),
            ));
        }
        Creation::TooMany => {
            return Err(Refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "too many uploads are open: finish some first".into(),
            ));
        }
    }
    let place = location(&parts.headers, &id);
    let upload = found(server, camera, &id).await?;
    let offset = if upload.finished {
        length
    } else if has_body || length == 0 {
        let incoming = Incoming { at: 0, body, checksum };
        let received = receive(server, upload.clone(), incoming).await;
        if received.is_err() {
            // The client never learns its URL.
            server.drop_upload(&id).await?;
        }
        received?
    } else {
        0
    };
    let headers = [(LOCATION.as_str(), place), (UPLOAD_OFFSET, offset.to_string()), expires(&upload)];
    Ok((StatusCode::CREATED, headers).into_response())
}

async fn head(server: &Arc<Server>, camera: CameraId, id: &str) -> Answer {
    // The turn ends a PATCH whose connection is half open: the offset must stand still once it is told.
    let turn = server.turns.take(id).await;
    let mut upload = found(server, camera, id).await?;
    let mut offset = upload.length;
    if !upload.finished {
        offset = upload::offset(&server.data.upload(id)).await.map_err(ReceiveError::File)?;
        if offset == upload.length {
            // A crash came between the last byte and the library.
            finish(server, &upload).await?;
            upload.finished = true;
        }
    }
    drop(turn);
    let headers = [
        (UPLOAD_OFFSET, offset.to_string()),
        (UPLOAD_LENGTH, upload.length.to_string()),
        (UPLOAD_METADATA, upload.metadata.clone()),
        (CACHE_CONTROL.as_str(), "no-store".into()),
        expires(&upload),
    ];
    Ok((StatusCode::OK, headers).into_response())
}

async fn patch(server: &Arc<Server>, camera: CameraId, id: &str, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    if text(&parts.headers, CONTENT_TYPE.as_str()) != Some(OFFSET_OCTET_STREAM) {
        let expected = format!("the body's Content-Type must be {OFFSET_OCTET_STREAM}");
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, expected));
    }
    let incoming =
        Incoming { at: number(&parts.headers, UPLOAD_OFFSET)?, body, checksum: checksum(&parts.headers)? };
    let upload = found(server, camera, id).await?;
    let headers = [expires(&upload)];
    let offset = receive(server, upload, incoming).await?;
    Ok((StatusCode::NO_CONTENT, [(UPLOAD_OFFSET, offset.to_string())], headers).into_response())
}

async fn delete(server: &Arc<Server>, camera: CameraId, id: &str) -> Answer {
    let _turn = server.turns.take(id).await;
    found(server, camera, id).await?;
    server.drop_upload(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A body on its way to an upload.
struct Incoming {
    at: u64,
    body: Body,
    checksum: Option<Checksum>,
}

/// Appends a body and, with the last byte, makes a segment of the upload. In a task of its own: what has arrived must
/// reach the disk even when the connection, and with it the request's future, is gone.
async fn receive(server: &Arc<Server>, upload: Upload, incoming: Incoming) -> Result<u64, Refusal> {
    let server = server.clone();
    let received = tokio::spawn(async move {
        let turn = server.turns.take(&upload.id).await;
        let upload = found(&server, upload.camera, &upload.id).await?;
        if upload.finished {
            let at_end = incoming.at == upload.length;
            return if at_end {
                Ok(upload.length)
            } else {
                Err(ReceiveError::WrongOffset { offset: upload.length }.into())
            };
        }
        let file = server.data.upload(&upload.id);
        let Incoming { at, body, checksum } = incoming;
        let offset = upload::receive(&turn, &file, &upload, at, body, checksum).await?;
        if offset == upload.length {
            finish(&server, &upload).await?;
        } else {
            server.store.extend_upload(&upload.id, unix_now() + LIFE.as_secs()).await?;
        }
        Ok(offset)
    });
    received.await.unwrap_or_else(|panic| {
        log::error!("an upload failed by a fault of the server's own: {panic}");
        Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the server failed".into()))
    })
}

async fn finish(server: &Arc<Server>, upload: &Upload) -> Result<(), Refusal> {
    server.finish_upload(upload).await?;
    log::info!("segment {} of {} bytes is stored ({})", upload.seg_no, upload.length, upload.id);
    Ok(())
}

async fn found(server: &Server, camera: CameraId, id: &str) -> Result<Upload, Refusal> {
    let gone = || Refusal(StatusCode::NOT_FOUND, "there is no such upload: create it".into());
    let upload = server.store.upload(id, camera).await?.ok_or_else(gone)?;
    if upload.expires_at <= unix_now() {
        return Err(Refusal(StatusCode::GONE, "the upload has expired: create it again".into()));
    }
    Ok(upload)
}

async fn reap_once(server: &Server) -> Result<(), StoreError> {
    for id in server.store.expired_uploads(unix_now()).await? {
        let _turn = server.turns.take(&id).await;
        server.drop_upload(&id).await?;
    }
    let Ok(mut files) = tokio::fs::read_dir(server.data.uploads()).await else { return Ok(()) };
    while let Ok(Some(file)) = files.next_entry().await {
        let name = file.file_name();
        let Some(id) = name.to_str() else { continue };
        let turn = server.turns.take(id).await;
        if !server.store.is_upload_open(id).await? {
            server.drop_upload(id).await?;
        }
        drop(turn);
    }
    Ok(())
}

/// What the capture's segment is called in the metadata; a plain tus client may say it by the file's name alone.
fn metadata(header: &str) -> Result<Metadata, Refusal> {
    header.parse::<Metadata>().or_else(|error| {
        let name = filename(header).and_then(|name| SegmentName::of_path(&name).ok());
        let name = name.ok_or_else(|| Refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
        Ok(Metadata {
            filename: name.to_string(),
            capture: None,
            trigger: name.trigger,
            trigger_timestamp: name.timestamp,
            seg_no: name.seg_no,
            sha256: None,
        })
    })
}

fn filename(header: &str) -> Option<String> {
    let mut pairs = header.split(',').filter_map(|pair| pair.trim().split_once(' '));
    let (_, encoded) = pairs.find(|(key, _)| *key == "filename")?;
    String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Refusal> {
    let bad =
        |expected: &str| Refusal(StatusCode::BAD_REQUEST, format!("Upload-Checksum: expected {expected}"));
    let Some(header) = text(headers, UPLOAD_CHECKSUM) else { return Ok(None) };
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
fn has_body(headers: &HeaderMap, body: &Body) -> Result<bool, Refusal> {
    use axum::body::HttpBody;
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
fn method(request: &Request) -> Method {
    let named = text(request.headers(), "x-http-method-override").and_then(|name| name.parse().ok());
    named.unwrap_or_else(|| request.method().clone())
}

fn version(headers: &HeaderMap) -> Result<(), Refusal> {
    match text(headers, TUS_RESUMABLE) {
        Some(VERSION) => Ok(()),
        _ => Err(Refusal(StatusCode::PRECONDITION_FAILED, format!("Tus-Resumable: this is tus {VERSION}"))),
    }
}

fn options() -> Response {
    let headers = [
        ("tus-version", VERSION.to_owned()),
        ("tus-extension", EXTENSIONS.to_owned()),
        ("tus-checksum-algorithm", ALGORITHMS.to_owned()),
        ("tus-max-size", MAX_LENGTH.to_string()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// The upload's URL; absolute, because not every client resolves another one.
fn location(headers: &HeaderMap, id: &str) -> String {
    match text(headers, HOST.as_str()) {
        Some(host) => format!("https://{host}{DEFAULT_PATH}{id}"),
        None => format!("{DEFAULT_PATH}{id}"),
    }
}

fn expires(upload: &Upload) -> (&'static str, String) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(upload.expires_at);
    (UPLOAD_EXPIRES, httpdate::fmt_http_date(at))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Result<u64, Refusal> {
    let digits = text(headers, name).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Refusal(StatusCode::BAD_REQUEST, format!("{name}: expected a number of bytes")))
}

/// What every answer of tus has.
fn finished(answer: Answer) -> Response {
    let mut response = answer.unwrap_or_else(|Refusal(status, text)| (status, text + "\n").into_response());
    let version = || VERSION.parse().expect("a version is a header's value");
    response.headers_mut().insert(TUS_RESUMABLE, version());
    if response.status() == StatusCode::PRECONDITION_FAILED {
        response.headers_mut().insert("tus-version", version());
    }
    response
}

/// A failure of ours: the client is told to come again, the log is told why.
fn failure(status: StatusCode, error: impl Display) -> Refusal {
    log::error!("an upload failed: {error}");
    Refusal(status, "the server could not store this: try again later".into())
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
