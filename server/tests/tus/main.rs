//! Uploads over mutual TLS, as tus clients of any kind do them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod broken;
#[path = "../common/mod.rs"]
mod common;
mod plain;

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{Camera, Serving, metadata, seeded, sha256};

async fn created(camera: &Camera, capture: u64, bytes: &[u8]) -> String {
    let answer = camera.create(&metadata(capture, 0, bytes).to_string(), bytes.len()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.location()
}

#[tokio::test]
async fn a_segment_in_pieces_is_stored_once() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 300_000);
    let path = created(&camera, 7, &bytes).await;
    assert_eq!(camera.offset(&path).await, Ok(0));
    for (from, to) in [(0, 1), (1, 250_000), (250_000, 300_000)] {
        let answer = camera.patch(&path, from, &bytes[from..to]).await;
        assert_eq!((answer.status.as_u16(), answer.number("Upload-Offset")), (204, to));
    }
    let again = created(&camera, 7, &bytes).await;
    assert_eq!(camera.offset(&again).await, Ok(bytes.len()), "a repeat is whole at once");
    let other = seeded(2, 300_000);
    let refused = camera.create(&metadata(7, 0, &other).to_string(), other.len()).await;
    assert_eq!(refused.status, 409, "another segment in this place");

    let captures = serving.captures();
    assert_eq!(captures.len(), 1);
    assert_eq!(captures[0]["state"], "open");
    let digest = sha256(&bytes).to_string();
    let stored = serde_json::json!([{ "seg_no": 0, "bytes": 300_000, "sha256": digest }]);
    assert_eq!(captures[0]["segments"], stored);
}

#[tokio::test]
async fn the_first_of_two_open_uploads_wins() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let (bytes, other) = (seeded(1, 5000), seeded(2, 5000));
    let (first, same, different) = (
        created(&camera, 7, &bytes).await,
        created(&camera, 7, &bytes).await,
        created(&camera, 7, &other).await,
    );
    assert_eq!(camera.patch(&same, 0, &bytes).await.status, 204);
    assert_eq!(camera.patch(&different, 0, &other).await.status, 409, "both sides keep what they have");
    assert_eq!(camera.offset(&different).await.unwrap_err(), 404);
    assert_eq!(camera.offset(&first).await.unwrap_err(), 404, "only the latest two stay open");
    assert_eq!(serving.captures()[0]["segments"][0]["sha256"], sha256(&bytes).to_string());
}

#[tokio::test]
async fn each_fault_has_its_status() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 100);
    let header = metadata(7, 0, &bytes).to_string();
    let upload = created(&camera, 7, &bytes).await;
    let path = upload.as_str();
    let (length, meta, octets) =
        (("Upload-Length", "100"), ("Upload-Metadata", header.as_str()), "application/offset+octet-stream");
    let patch = |offset: &'static str| [("Upload-Offset", offset), ("Content-Type", octets)];
    let digest = STANDARD.encode(sha256(b"something else").0);
    let (wrong, unknown) = (format!("sha256 {digest}"), format!("md5 {digest}"));
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16);
    let cases: [Case<'_>; 16] = [
        ("POST", "/uploads/", &[meta], b"", 400),
        ("POST", "/uploads/", &[meta, ("Upload-Length", "-1")], b"", 400),
        ("POST", "/uploads/", &[meta, ("Upload-Length", "99999999999999")], b"", 413),
        ("POST", "/uploads/", &[length], b"", 422),
        ("POST", "/uploads/", &[length, ("Upload-Metadata", "trigger !")], b"", 422),
        ("POST", "/uploads/", &[length, meta], b"x", 415),
        ("GET", "/uploads/", &[], b"", 405),
        ("GET", path, &[], b"", 405),
        ("HEAD", "/uploads/nothing", &[], b"", 404),
        ("PATCH", "/uploads/nothing", &patch("0"), b"x", 404),
        ("PATCH", path, &patch("1"), b"x", 409),
        ("PATCH", path, &patch("x"), b"x", 400),
        ("PATCH", path, &[("Upload-Offset", "0"), ("Content-Type", "video/mp4")], b"x", 415),
        ("PATCH", path, &[patch("0")[0], patch("0")[1], ("Upload-Checksum", &unknown)], b"x", 400),
        ("PATCH", path, &[patch("0")[0], patch("0")[1], ("Upload-Checksum", &wrong)], b"x", 460),
        ("PATCH", path, &patch("0"), &[0; 101], 413),
    ];
    for (method, path, headers, body, status) in cases {
        let answer = camera.tus(method, path, headers, body).await;
        assert_eq!(answer.status, status, "{method} {path} {headers:?}");
        assert_eq!(answer.header("Tus-Resumable"), "1.0.0");
    }
    let versionless = camera.request("HEAD", path, &[], b"").await;
    assert_eq!((versionless.status.as_u16(), versionless.header("Tus-Version")), (412, "1.0.0"));
    assert_eq!(camera.offset(path).await, Ok(0), "none of it left a byte");
}

#[tokio::test]
async fn options_say_what_there_is() {
    let serving = Serving::start();
    let answer = serving.add("porch").request("OPTIONS", "/uploads/", &[], b"").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("Tus-Version"), "1.0.0");
    assert_eq!(answer.header("Tus-Checksum-Algorithm"), "sha1,sha256");
    for extension in ["creation", "creation-with-upload", "checksum", "termination", "expiration"] {
        assert!(answer.header("Tus-Extension").split(',').any(|name| name == extension), "{extension}");
    }
}

#[tokio::test]
async fn of_a_stored_segments_uploads_the_latest_two_are_kept() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 1000);
    camera.upload(&metadata(7, 0, &bytes), &bytes).await;
    let repeats = [created(&camera, 7, &bytes).await, created(&camera, 7, &bytes).await];
    let latest = created(&camera, 7, &bytes).await;
    assert_eq!(camera.offset(&repeats[0]).await.unwrap_err(), 404);
    for kept in [&repeats[1], &latest] {
        assert_eq!(camera.offset(kept).await, Ok(bytes.len()));
    }
    assert_eq!(serving.captures()[0]["segments"][0]["sha256"], sha256(&bytes).to_string());
}

#[tokio::test]
async fn a_wrong_digest_ends_the_upload() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let (bytes, other) = (seeded(1, 1000), seeded(2, 1000));
    let path = created(&camera, 7, &bytes).await;
    assert_eq!(camera.patch(&path, 0, &other).await.status, 460);
    assert_eq!(camera.offset(&path).await.unwrap_err(), 404);
    assert!(serving.captures().is_empty());
    let path = created(&camera, 7, &bytes).await;
    assert_eq!(camera.patch(&path, 0, &bytes).await.status, 204);
}

#[tokio::test]
async fn a_right_checksum_counts_and_a_wrong_one_leaves_nothing() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 2000);
    let path = created(&camera, 7, &bytes).await;
    let sha1 = |bytes: &[u8]| {
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
        format!("sha1 {}", STANDARD.encode(digest))
    };
    let patch = async |offset: usize, checksum: &str, body: &[u8]| {
        let offset = offset.to_string();
        let headers = [
            ("Upload-Offset", offset.as_str()),
            ("Content-Type", "application/offset+octet-stream"),
            ("Upload-Checksum", checksum),
        ];
        camera.tus("PATCH", &path, &headers, body).await.status
    };
    assert_eq!(patch(0, &sha1(&bytes[..500]), &bytes[..500]).await, 204);
    assert_eq!(patch(500, &sha1(b"other"), &bytes[500..]).await, 460);
    assert_eq!(camera.offset(&path).await, Ok(500));
    assert_eq!(patch(500, &sha1(&bytes[500..]), &bytes[500..]).await, 204);
    assert_eq!(serving.captures()[0]["segments"][0]["sha256"], sha256(&bytes).to_string());
}

#[tokio::test]
async fn an_upload_is_its_cameras_own() {
    let serving = Serving::start();
    let (camera, other) = (serving.add("porch"), serving.add("garden"));
    let bytes = seeded(1, 1000);
    let path = created(&camera, 7, &bytes).await;
    assert_eq!(other.offset(&path).await.unwrap_err(), 404);
    assert_eq!(other.patch(&path, 0, &bytes).await.status, 404);
    assert_eq!(other.tus("DELETE", &path, &[], b"").await.status, 404);
    assert_eq!(camera.offset(&path).await, Ok(0));
    // The same identity of another camera is another capture.
    let others = created(&other, 7, &bytes).await;
    assert_eq!(other.offset(&others).await, Ok(0));
}

#[tokio::test]
async fn a_deleted_upload_is_gone() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 1000);
    let path = created(&camera, 7, &bytes).await;
    assert_eq!(camera.patch(&path, 0, &bytes[..10]).await.status, 204);
    assert_eq!(camera.tus("DELETE", &path, &[], b"").await.status, 204);
    assert_eq!(camera.offset(&path).await.unwrap_err(), 404);
    assert_eq!(std::fs::read_dir(serving.data.path().join("uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_camera_has_a_quota() {
    let serving = Serving::with(&["--camera-quota", "10K"]);
    let (camera, other) = (serving.add("porch"), serving.add("garden"));
    let bytes = seeded(1, 6000);
    let path = created(&camera, 7, &bytes).await;
    let refused = camera.create(&metadata(8, 0, &bytes).to_string(), bytes.len()).await;
    assert_eq!(refused.status, 507, "what is open counts");
    assert_eq!(camera.patch(&path, 0, &bytes).await.status, 204);
    let refused = camera.create(&metadata(8, 0, &bytes).to_string(), bytes.len()).await;
    assert_eq!(refused.status, 507, "what is stored counts");
    created(&other, 8, &bytes).await;
}

#[tokio::test]
async fn a_creation_may_bring_the_bytes() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 1000);
    let header = metadata(7, 3, &bytes).to_string();
    let headers = [
        ("Upload-Length", "1000"),
        ("Upload-Metadata", header.as_str()),
        ("Content-Type", "application/offset+octet-stream"),
    ];
    let answer = camera.tus("POST", "/uploads/", &headers, &bytes).await;
    assert_eq!((answer.status.as_u16(), answer.number("Upload-Offset")), (201, 1000));
    assert_eq!(serving.captures()[0]["segments"][0]["seg_no"], 3);
}

#[tokio::test]
async fn what_may_be_tried_again_says_when() {
    let serving = Serving::with(&["--camera-quota", "10K"]);
    let camera = serving.add("porch");
    let bytes = seeded(1, 6000);
    let path = created(&camera, 7, &bytes).await;
    let refused = camera.create(&metadata(8, 0, &bytes).to_string(), bytes.len()).await;
    assert_eq!((refused.status.as_u16(), refused.number("Retry-After")), (507, 60));

    for segment in 1..256 {
        assert_eq!(camera.create(&metadata(8, segment, b"").to_string(), 1).await.status, 201);
    }
    let refused = camera.create(&metadata(8, 256, b"").to_string(), 1).await;
    assert_eq!((refused.status.as_u16(), refused.number("Retry-After")), (429, 60));

    std::fs::remove_dir_all(serving.data.path().join("uploads")).unwrap();
    let failed = camera.patch(&path, 0, &bytes).await;
    assert_eq!((failed.status.as_u16(), failed.number("Retry-After")), (503, 5));
}

#[tokio::test]
async fn a_removed_camera_is_refused() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 1000);
    let path = created(&camera, 7, &bytes).await;
    serving.ok(&["camera", "remove", "porch"]);
    assert_eq!(camera.offset(&path).await.unwrap_err(), 403);
    // Its name is free again, and another certificate is another camera.
    assert_eq!(serving.add("porch").offset(&path).await.unwrap_err(), 404);
}
