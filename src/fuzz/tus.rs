//! What an upload endpoint answers.

use super::{
    board::{Board, UPLOADS},
    files::{Memory, Node},
};
use crate::{
    engine::{
        Input,
        uploads::{Answer, Request},
    },
    shell::uploader::answer,
    wire::tus::resolve,
};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Uri};

const OWED: &[u8] = b"spool/35.pir/0.mp4\n0123456789\xffspool/35.pir/id\n00000000000000aa";
const SEGMENT: &str = "spool/35.pir/0.mp4";
const BYTES: u64 = 10;

/// A segment leaves the board only when the endpoint says that it has all of it, and is given up only by the answers
/// that are final; a `Location` never leads out of TLS.
pub fn tus_answers(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let disk = Memory::of_listing(OWED);
    let mut board = Board::start(&disk, true);
    let mut may_go = false;
    for block in text.split("\n\n") {
        while board.request.is_none() && board.sleep() {}
        let Some(request) = board.request.take() else { break };
        let answer = read(block);
        may_go |= is_confirmed(&request, &answer) || is_final(&request, &answer);
        board.handle(Input::UploadAnswered(answer));
    }
    let is_there = disk.tree().get(SEGMENT) == Some(&Node::File(b"0123456789".to_vec()));
    assert!(is_there || may_go, "no answer let the segment go");
}

/// A status and header lines, as the uploader reads them; else how the connection broke.
fn read(block: &str) -> Answer {
    let mut lines = block.lines();
    let Some(status) = lines.next().and_then(|line| line.trim().parse().ok()) else {
        return Answer::Broken(block.chars().take(40).collect());
    };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.trim().parse::<HeaderValue>()) {
            headers.append(name, value);
        }
    }
    let location = headers.get("Location").and_then(|value| value.to_str().ok());
    if let Some(location) = location {
        expect_resolved(location);
    }
    answer(UPLOADS, status, &headers, block.as_bytes())
}

fn expect_resolved(location: &str) {
    let scheme = |base: &str| {
        let url = resolve(base, location)?;
        let uri: Uri = url.parse().unwrap_or_else(|error| panic!("{location:?} leads to {url:?}: {error}"));
        uri.scheme_str().map(str::to_owned)
    };
    assert!(matches!(scheme(UPLOADS).as_deref(), None | Some("https")), "{location:?}");
    assert!(matches!(scheme("http://h/uploads/").as_deref(), None | Some("http" | "https")), "{location:?}");
}

fn is_confirmed(request: &Request, answer: &Answer) -> bool {
    match (request, answer) {
        (Request::Create { .. }, Answer::Status { status: 201, offset: Some(offset), .. })
        | (
            Request::Ask { .. } | Request::Send { .. },
            Answer::Status { status: 200 | 204, offset: Some(offset), .. },
        ) => *offset == BYTES,
        _ => false,
    }
}

fn is_final(request: &Request, answer: &Answer) -> bool {
    match answer {
        Answer::Status { status: 413 | 415 | 422, .. } => true,
        Answer::Status { status: 409, .. } => matches!(request, Request::Create { .. }),
        _ => false,
    }
}
