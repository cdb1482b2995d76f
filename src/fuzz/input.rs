//! What local programs send.

use super::{board::Board, files::Memory};
use crate::{
    engine::{
        Input, SourceId, SourceKind,
        spool::{Found, Spool},
    },
    wire::input::{MAX_OBJECT, Message, Request, Scanner, StreamError},
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const SOURCE: SourceId = SourceId(1);

/// Objects are cut as a JSON library would cut them, however the bytes come; each message is answered when it asks for
/// that, and what was acknowledged is there after a restart.
pub fn local_input(bytes: &[u8]) {
    let (objects, error) = scan(bytes, bytes.len());
    for size in [1, 7] {
        assert_eq!(scan(bytes, size), (objects.clone(), error.clone()), "in pieces of {size}");
    }
    cut_as_by_json(bytes, &objects);

    let disk = Memory::default();
    let mut board = Board::start(&disk, false);
    board.handle(Input::SourceOpened(SOURCE, SourceKind::Stream));
    let mut end = error;
    for object in &objects {
        match Request::parse(object) {
            Ok(said) => hand_over(&mut board, said),
            Err(error) => {
                end = Some(error);
                break;
            }
        }
    }
    board.handle(Input::SourceEnded(SOURCE, end));
    board.handle(Input::Stop);
    all_acknowledged_is_there(&board.replies, disk);
}

/// The objects of a stream that comes in pieces of this size, and what ends it.
fn scan(bytes: &[u8], size: usize) -> (Vec<Vec<u8>>, Option<StreamError>) {
    let (mut scanner, mut objects) = (Scanner::default(), Vec::new());
    for mut piece in bytes.chunks(size.max(1)) {
        while !piece.is_empty() {
            match scanner.scan(piece) {
                Ok((taken, object)) => {
                    assert!(taken > 0, "the scanner goes on");
                    piece = &piece[taken..];
                    objects.extend(object);
                }
                Err(error) => return (objects, Some(error)),
            }
        }
    }
    (objects, (!scanner.is_between()).then_some(StreamError::CutOff))
}

fn cut_as_by_json(bytes: &[u8], objects: &[Vec<u8>]) {
    let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter::<Map<String, Value>>();
    let mut objects = objects.iter();
    while let Some(Ok(expected)) = stream.next() {
        let Some(object) = objects.next() else {
            let is_too_long = bytes[..stream.byte_offset()].len() > MAX_OBJECT;
            assert!(is_too_long, "an object was missed: {expected:?}");
            return;
        };
        assert!(object.len() <= MAX_OBJECT);
        assert_eq!(serde_json::from_slice::<Map<String, Value>>(object).ok(), Some(expected));
    }
}

fn hand_over(board: &mut Board, said: Result<Request, crate::wire::input::MessageError>) {
    let (wants_reply, unknown) = match &said {
        Ok(request) => {
            let asks = matches!(request.message, Message::Status | Message::Log);
            (request.ack || asks, request.unknown.as_slice())
        }
        Err(error) => (error.ack, &[][..]),
    };
    assert!(unknown.iter().all(|key| key.chars().count() <= 61), "keys are shortened: {unknown:?}");
    let replies = board.replies.len();
    board.may_read = false;
    board.handle(Input::SourceSaid(SOURCE, said));
    assert_eq!(board.replies.len() - replies, usize::from(wants_reply), "{:?}", &board.replies[replies..]);
    assert!(board.may_read, "the connection goes on");
}

fn all_acknowledged_is_there(replies: &[String], disk: Memory) {
    let found = Spool::new(disk).start(3);
    let owed: BTreeSet<(String, u64)> = found
        .captures
        .iter()
        .flat_map(|capture| capture.segments.iter().map(move |segment| (capture, segment)))
        .filter(|(_, segment)| matches!(segment.found, Found::Owed(_)))
        .map(|(capture, segment)| (capture.id.to_string(), segment.seg_no.into()))
        .collect();
    let alarms: Vec<String> =
        found.alarms.iter().flatten().filter_map(|alarm| alarm.id).map(|id| id.to_string()).collect();
    for reply in replies {
        let reply: Value = serde_json::from_str(reply).expect("it was looked at before");
        if let (Some(capture), Some(seg_no)) = (reply["capture"].as_str(), reply["seg_no"].as_u64()) {
            assert!(owed.contains(&(capture.to_owned(), seg_no)), "{reply} is not in {owed:?}");
        }
        if let Some(alarm) = reply["alarm"].as_str() {
            assert!(alarms.iter().any(|owed| owed == alarm), "{reply} is not in {alarms:?}");
        }
    }
}
