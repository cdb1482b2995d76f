//! What a cloud says.

use super::{
    board::Board,
    files::{Memory, Node},
};
use crate::{
    engine::{Frame, Input, uploads::Answer},
    wire::{
        cloud::{ToAgent, ToCloud},
        command::Command,
    },
};

/// A capture that is owed, and what no word of a cloud may take from the board.
const OWED: &[u8] = b"spool/35.pir/0.mp4\nsegment\xffspool/35.pir/id\n00000000000000aa";
const SEGMENT: &str = "spool/35.pir/0.mp4";

/// What is understood is written as it was read; nothing is commanded that was not said; nothing is forgotten that
/// was not uploaded; uploads go by TLS.
pub fn cloud_text(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let disk = Memory::of_listing(OWED);
    let mut board = Board::start(&disk, false);
    board.handle(Input::SessionUp(None));
    let (mut captures, mut levels) = (0, [false, false]);
    for line in text.lines() {
        if let Ok(said) = serde_json::from_str::<ToCloud>(line) {
            assert_eq!(serde_json::from_str::<ToCloud>(&said.to_text()).ok(), Some(said), "{line}");
        }
        if let Ok((message, wrong)) = ToAgent::parse(line) {
            let (again, still_wrong) = ToAgent::parse(&message.to_text()).expect("our own text is read");
            assert_eq!((&again, still_wrong.len()), (&message, 0), "{line}: {wrong:?}");
            captures += usize::from(message.capture_asap == Some(true));
            if let Some(armed) = message.pir_armed {
                levels[usize::from(armed)] = true;
            }
        }
        board.handle(Input::SessionHeard(Frame::Text(line.to_owned())));
        if board.request.take().is_some() {
            board.handle(Input::UploadAnswered(Answer::Broken("no connection".into())));
            board.sleep();
        }
    }
    let told = |command| board.commands.iter().filter(|told| **told == command).count();
    assert!(told(Command::Capture) <= captures, "{:?}", board.commands);
    assert!(levels[1] || told(Command::Arm) == 0, "{:?}", board.commands);
    assert!(levels[0] || told(Command::Disarm) == 0, "{:?}", board.commands);
    assert_eq!(disk.tree().get(SEGMENT), Some(&Node::File(b"segment".to_vec())), "it was not uploaded");
}
