//! Metadata: of clients that know no more than tus, and of ours.

use crate::common::{Serving, metadata, seeded, sha256};
use base64::{Engine, engine::general_purpose::STANDARD};

#[tokio::test]
async fn a_plain_client_names_its_segment_by_the_file() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 1000);
    let header = format!("filename {},relativePath bnVsbA==", STANDARD.encode("cap.35.2.ts"));
    let answer = camera.create(&header, bytes.len()).await;
    let path = answer.location();
    let headers = [
        ("Upload-Offset", "0"),
        ("Content-Type", "application/offset+octet-stream"),
        ("X-HTTP-Method-Override", "PATCH"),
    ];
    assert_eq!(camera.tus("POST", &path, &headers, &bytes).await.status, 204);
    let captures = serving.captures();
    assert_eq!((&captures[0]["trigger"], &captures[0]["trigger_timestamp"]), (&"request".into(), &35.into()));
    assert_eq!(captures[0]["segments"][0]["seg_no"], 2);
}

#[tokio::test]
async fn a_plain_clients_digest_is_checked() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let (bytes, other) = (seeded(1, 1000), seeded(2, 1000));
    let name = STANDARD.encode("cap.35.2.ts");
    let digest = STANDARD.encode(sha256(&bytes).to_string());
    let header = format!("filename {name},sha256 {digest}");
    let path = camera.create(&header, bytes.len()).await.location();
    assert_eq!(camera.patch(&path, 0, &other).await.status, 460);
    let path = camera.create(&header, bytes.len()).await.location();
    assert_eq!(camera.patch(&path, 0, &bytes).await.status, 204);
}

#[tokio::test]
async fn metadata_of_ours_with_a_fault_is_refused_whatever_the_file_is_called() {
    let serving = Serving::start();
    let camera = serving.add("porch");
    let bytes = seeded(1, 1000);
    let header = metadata(7, 0, &bytes).to_string();
    let without = |key: &str| {
        let kept = header.split(',').filter(|pair| !pair.starts_with(&format!("{key} ")));
        kept.collect::<Vec<_>>().join(",")
    };
    let with = |key: &str, value: &str| format!("{},{key} {value}", without(key));
    let name = header.split(',').next().unwrap();
    assert!(name.starts_with("filename "), "{name}");
    for faulty in [
        with("sha256", &STANDARD.encode("ab")),
        with("sha256", "!"),
        with("sha256", ""),
        with("capture", &STANDARD.encode("porch")),
        with("seg_no", &STANDARD.encode("-1")),
        with("trigger", &STANDARD.encode("cap")),
        without("trigger_timestamp"),
        format!("{name},capture {}", STANDARD.encode("0000000000000007")),
        format!("{name},sha256 {}", STANDARD.encode("ab")),
        format!("{name},sha256"),
    ] {
        let answer = camera.create(&faulty, bytes.len()).await;
        assert_eq!(answer.status, 422, "{faulty}");
    }
    assert_eq!(camera.create(name, bytes.len()).await.status, 201);
}
