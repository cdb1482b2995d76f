//! Uploads whose connection or server goes away in the middle.

use crate::{
    common::{Camera, DEADLINE, Serving, Tls, seeded, sha256},
    created,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// The head of a PATCH whose body the test sends itself.
fn patch_head(path: &str, offset: usize, length: usize) -> String {
    format!(
        "PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n\
         Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// A PATCH from offset 0 whose connection ends after `arrived` bytes.
async fn cut_patch(camera: &Camera, path: &str, bytes: &[u8], arrived: usize) {
    let mut raw = camera.connect().await;
    raw.write_all(patch_head(path, 0, bytes.len()).as_bytes()).await.unwrap();
    raw.write_all(&bytes[..arrived]).await.unwrap();
    // The end of the stream in the middle of the body; the answer says that the server has seen it.
    raw.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(DEADLINE, raw.read_to_end(&mut answer)).await.expect("an end in time");
}

/// A PATCH from offset 0 whose body stops after `arrived` bytes, and its connection, which is still there.
async fn half_open_patch(camera: &Camera, path: &str, bytes: &[u8], arrived: usize) -> Tls {
    let mut half_open = camera.connect().await;
    let head = patch_head(path, 0, bytes.len()).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    half_open.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body once it is that request's turn.
    let mut go_on = [0; 25];
    half_open.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    half_open.write_all(&bytes[..arrived]).await.unwrap();
    half_open.flush().await.unwrap();
    half_open
}

#[tokio::test]
async fn bytes_before_a_broken_connection_are_kept() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 100_000);
    let path = created(&camera, 7, &bytes).await;
    cut_patch(&camera, &path, &bytes, 40_000).await;
    assert_eq!(camera.offset(&path).await, Ok(40_000));
    assert_eq!(camera.patch(&path, 40_000, &bytes[40_000..]).await.status, 204);
    assert_eq!(serving.captures()[0]["segments"][0]["sha256"], sha256(&bytes).to_string());
}

#[tokio::test]
async fn an_upload_that_is_cut_again_and_again_lives_on_while_it_advances() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 100_000);
    let path = created(&camera, 7, &bytes).await;
    let expires = async || camera.tus("HEAD", &path, &[], b"").await.header("Upload-Expires").to_owned();
    serving.kill();
    serving.rewrite("UPDATE uploads SET expires_at = expires_at - 86400 * 6").await;
    serving.go_on();
    let soon = expires().await;
    cut_patch(&camera, &path, &bytes, 0).await;
    assert_eq!(expires().await, soon, "nothing arrived");
    cut_patch(&camera, &path, &bytes, 40_000).await;
    assert_ne!(expires().await, soon);
    assert_eq!(camera.offset(&path).await, Ok(40_000));
}

#[tokio::test]
async fn a_newer_request_takes_over_from_a_half_open_one() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 100_000);
    let path = created(&camera, 7, &bytes).await;
    let mut half_open = half_open_patch(&camera, &path, &bytes, 40_000).await;

    let offset = camera.offset(&path).await.unwrap();
    assert!(offset <= 40_000, "{offset}");
    assert_eq!(camera.patch(&path, offset, &bytes[offset..]).await.status, 204);
    let mut answer = [0; 12];
    timeout(DEADLINE, half_open.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 409");
    assert_eq!(serving.captures()[0]["segments"][0]["sha256"], sha256(&bytes).to_string());
}

#[tokio::test]
async fn an_upload_that_gave_way_takes_no_more_bytes() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 100_000);
    let first = created(&camera, 7, &bytes).await;
    let mut half_open = half_open_patch(&camera, &first, &bytes, 40_000).await;
    created(&camera, 7, &bytes).await;
    created(&camera, 7, &bytes).await;
    let mut answer = [0; 12];
    timeout(DEADLINE, half_open.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 409");
    assert_eq!(camera.offset(&first).await.unwrap_err(), 404);
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 100_000);
    let path = created(&camera, 7, &bytes).await;
    assert_eq!(camera.patch(&path, 0, &bytes[..60_000]).await.status, 204);
    serving.kill();
    serving.go_on();
    assert_eq!(camera.offset(&path).await, Ok(60_000));
    assert_eq!(camera.patch(&path, 60_000, &bytes[60_000..]).await.status, 204);
    serving.kill();
    serving.go_on();
    assert_eq!(camera.offset(&path).await, Ok(bytes.len()));
    assert_eq!(serving.captures()[0]["segments"][0]["sha256"], sha256(&bytes).to_string());
}

#[tokio::test]
async fn a_crash_before_the_library_is_made_good_by_head() {
    let mut serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 1000);
    let path = created(&camera, 7, &bytes).await;
    assert_eq!(camera.patch(&path, 0, &bytes[..900]).await.status, 204);
    serving.kill();
    // As if the last bytes had reached the file and nothing after them had happened.
    let file = serving.data.path().join("uploads").join(path.rsplit('/').next().unwrap());
    std::fs::write(file, &bytes).unwrap();
    serving.go_on();
    assert_eq!(camera.offset(&path).await, Ok(bytes.len()));
    assert_eq!(serving.captures()[0]["segments"][0]["sha256"], sha256(&bytes).to_string());
}
