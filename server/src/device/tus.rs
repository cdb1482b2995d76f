//! tus 1.0.0, the open protocol of resumable uploads: core, creation, creation-with-upload, checksum, termination,
//! expiration. Here is what the protocol says; `upload.rs` is what becomes of the bytes.

use super::{
    Caller,
    headers::{
        MAX_LENGTH, Refusal, TUS_RESUMABLE, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET, checksum, expires,
        has_body, location, metadata, method, number, options, text, version,
    },
    upload::{self, Checksum, ReceiveError},
};
use crate::{
    library::{CameraId, Identity},
    server::{Server, random_name},
    store::{Creation, NewUpload, StoreError, UPLOAD_LIFE, Upload, unix_now},
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, Request, State},
    http::{
        Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use cloudtalker::wire::tus::{OFFSET_OCTET_STREAM, VERSION};
use std::{sync::Arc, time::Duration};

/// How often expired uploads are looked for.
const REAP_EVERY: Duration = Duration::from_secs(3600);

type Answer = Result<Response, Refusal>;

/// Requests to the creation URL.
pub(super) async fn uploads(
    State(server): State<Arc<Server>>,
    Extension(Caller { camera, .. }): Extension<Caller>,
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
    Extension(Caller { camera, .. }): Extension<Caller>,
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
        expires_at: unix_now() + UPLOAD_LIFE.as_secs(),
    };
    let (creation, older) = server.store.create_upload(&new, server.quota).await?;
    for id in older {
        tokio::spawn(give_up(server.clone(), id));
    }
    match creation {
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
        offset = self::offset(&server.data.upload(id)).await?;
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
    let mut upload = found(server, camera, id).await?;
    let offset = receive(server, upload.clone(), incoming).await?;
    upload.expires_at = unix_now() + UPLOAD_LIFE.as_secs();
    let headers = [(UPLOAD_OFFSET, offset.to_string()), expires(&upload)];
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

async fn delete(server: &Arc<Server>, camera: CameraId, id: &str) -> Answer {
    let _turn = server.turns.take(id).await;
    found(server, camera, id).await?;
    server.drop_upload(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends whatever still brings bytes to an upload that is no more, and removes them: the quota doesn't count them.
async fn give_up(server: Arc<Server>, id: String) {
    let _turn = server.turns.take(&id).await;
    if let Err(error) = server.remove_bytes(&id).await {
        log::warn!("upload {id} could not be removed: {error}");
    }
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
        let file = server.data.upload(&upload.id);
        let Incoming { at, body, checksum } = incoming;
        let before = if upload.finished { upload.length } else { offset(&file).await? };
        if at != before {
            return Err(ReceiveError::WrongOffset { offset: before }.into());
        }
        if upload.finished {
            return Ok(upload.length);
        }
        let received = upload::receive(&turn, &file, &upload, at, body, checksum).await;
        let after = offset(&file).await?;
        if after > before {
            // A body that was cut has brought the upload on, too.
            server.store.extend_upload(&upload.id, unix_now() + UPLOAD_LIFE.as_secs()).await?;
        }
        received?;
        if after == upload.length {
            finish(&server, &upload).await?;
        }
        Ok(after)
    });
    received.await.unwrap_or_else(|panic| {
        log::error!("an upload failed by a fault of the server's own: {panic}");
        Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the server failed".into()))
    })
}

async fn finish(server: &Arc<Server>, upload: &Upload) -> Result<(), Refusal> {
    server.finish_upload(upload).await?;
    let Upload { camera_name, seg_no, length, id, .. } = upload;
    log::info!("{camera_name}: segment {seg_no} of {length} bytes is stored ({id})");
    Ok(())
}

async fn offset(file: &std::path::Path) -> Result<u64, ReceiveError> {
    upload::offset(file).await.map_err(ReceiveError::File)
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
        // Whoever had the turn may have put it off.
        if server.store.is_upload_expired(&id, unix_now()).await? {
            server.drop_upload(&id).await?;
        }
    }
    let Ok(mut files) = tokio::fs::read_dir(server.data.uploads()).await else { return Ok(()) };
    while let Ok(Some(file)) = files.next_entry().await {
        let name = file.file_name();
        let is_wanted = match name.to_str() {
            Some(id) => server.store.is_upload_open(id).await?,
            None => false,
        };
        if !is_wanted {
            let _ = tokio::fs::remove_file(file.path()).await;
        }
    }
    Ok(())
}

/// What every answer of tus has.
fn finished(answer: Answer) -> Response {
    let mut response = answer.unwrap_or_else(Refusal::into_response);
    let version = || VERSION.parse().expect("a version is a header's value");
    response.headers_mut().insert(TUS_RESUMABLE, version());
    if response.status() == StatusCode::PRECONDITION_FAILED {
        response.headers_mut().insert("tus-version", version());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::DEFAULT_QUOTA;
    use cloudtalker::wire::{Sha256, Trigger};

    #[tokio::test]
    async fn an_upload_that_advances_while_it_expires_stays() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::open(dir.path(), DEFAULT_QUOTA).await.unwrap();
        let camera = server.store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        for (id, seg_no) in [("advances", 0), ("rests", 1)] {
            let new = NewUpload {
                id,
                camera,
                identity: Identity { agent_id: None, trigger: Trigger::Pir, trigger_timestamp: 35 },
                seg_no,
                length: 5,
                sha256: None,
                metadata: "filename cGlyLjM1LjAubXA0",
                expires_at: 1,
            };
            server.store.create_upload(&new, DEFAULT_QUOTA).await.unwrap();
        }
        let turn = server.turns.take("advances").await;
        let (reaped, ()) = tokio::join!(reap_once(&server), async {
            turn.superseded().await;
            server.store.extend_upload("advances", unix_now() + 60).await.unwrap();
            drop(turn);
        });
        reaped.unwrap();
        assert!(server.store.upload("advances", camera).await.unwrap().is_some());
        assert!(server.store.upload("rests", camera).await.unwrap().is_none());
    }
}
