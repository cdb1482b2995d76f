//! The engine and its spool on a disk in memory: what hostile bytes may lead to.

use super::files::Memory;
use crate::{
    engine::{
        Engine, Input, Now, Output, Settings, SourceId,
        spool::{Scanned, Spool},
        uploads::Request,
    },
    wire::{cloud::ToCloud, command::Command},
};
use std::{collections::VecDeque, time::Duration};

/// More turns than any one input can need.
const MANY: usize = 100_000;
/// The longest line that a local program is answered with: a stranger's words are shortened in it.
const LONGEST_REPLY: usize = 2_000;
/// Where uploads are created, unless the cloud says otherwise.
pub const UPLOADS: &str = "https://cloud:8443/uploads/";

/// A board, and all that it has said.
pub struct Board {
    engine: Engine,
    spool: Spool<Memory>,
    now: Now,
    /// The request that waits for an answer.
    pub request: Option<Request>,
    /// The last wait that the engine asked for.
    pub deadline: Option<Duration>,
    /// What it wrote to local programs.
    pub replies: Vec<String>,
    /// What the camera program was told.
    pub commands: Vec<Command>,
    /// Whether the connection with this number may be read on.
    pub may_read: bool,
}

impl Board {
    /// A board that starts on this disk.
    pub fn start(disk: &Memory, uploads_elsewhere: bool) -> Board {
        let mut spool = Spool::new(disk.clone());
        let found = spool.start(1);
        Board::new(spool, found, uploads_elsewhere)
    }

    /// A board that has found this.
    pub fn new(spool: Spool<Memory>, found: Scanned, uploads_elsewhere: bool) -> Board {
        let now = Now { mono: Duration::from_secs(1), unix: 1_800_000_000 };
        let mut board = Board {
            engine: Engine::new(now, 2, settings(uploads_elsewhere), found),
            spool,
            now,
            request: None,
            deadline: None,
            replies: Vec::new(),
            commands: Vec::new(),
            may_read: false,
        };
        board.settle(VecDeque::new());
        board
    }

    /// Takes one input in, and lets disk and camera answer at once.
    pub fn handle(&mut self, input: Input) {
        self.settle(VecDeque::from([input]));
    }

    /// Lets the time pass until the engine wants to be woken; false where it waits for nothing.
    pub fn sleep(&mut self) -> bool {
        let Some(deadline) = self.deadline else { return false };
        self.now.mono = self.now.mono.max(deadline);
        self.handle(Input::Wake);
        true
    }

    fn settle(&mut self, mut inputs: VecDeque<Input>) {
        for _ in 0..MANY {
            match self.engine.poll() {
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    match inputs.pop_front() {
                        Some(input) => self.engine.handle(self.now, input),
                        None => return,
                    }
                }
                Output::Disk(task) => inputs.push_back(Input::DiskDone(self.spool.perform(task))),
                Output::Command(command) => {
                    self.commands.push(command);
                    inputs.push_back(Input::CommandDelivered(command));
                }
                Output::Upload(request) => {
                    assert!(self.request.is_none(), "one request at a time: {request:?}");
                    expect_safe(&request);
                    self.request = Some(request);
                }
                Output::Send(message) => expect_readable(&message),
                Output::Reply(_, line) => {
                    expect_line(&line);
                    self.replies.push(line);
                }
                Output::ReplyLog(_) => self.replies.push("{}\n".to_owned()),
                Output::NextMessage(SourceId(_)) => self.may_read = true,
                Output::Event(event) => drop(event.to_string()),
                Output::AbandonUpload => {
                    if self.request.take().is_some() {
                        inputs.push_back(Input::UploadAnswered(crate::engine::uploads::Answer::Abandoned));
                    }
                }
                Output::Connect
                | Output::Ping
                | Output::Disconnect
                | Output::Close
                | Output::Drop(_)
                | Output::Pace(_)
                | Output::RaiseClockFloor(_) => {}
            }
        }
        panic!("the engine does not come to rest");
    }
}

fn settings(uploads_elsewhere: bool) -> Settings {
    Settings { uploads_elsewhere, delete_uploaded: true, ..Settings::new("cloud:8443/", UPLOADS) }
}

/// Bytes of a segment leave the board by TLS alone, to a host that has a name.
fn expect_safe(request: &Request) {
    let (Request::Create { url, .. } | Request::Ask { url } | Request::Send { url, .. }) = request;
    let uri: ureq::http::Uri = url.parse().unwrap_or_else(|error| panic!("{url:?} is no URL: {error}"));
    assert_eq!(uri.scheme_str(), Some("https"), "{url:?}");
    assert!(uri.host().is_some_and(|host| !host.is_empty()), "{url:?} names no host");
    match request {
        Request::Send { offset, kept, .. } => assert!(*offset < kept.bytes, "{request:?}"),
        Request::Create { metadata, .. } => {
            let header = metadata.to_string();
            assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{header:?}");
            assert_eq!(header.parse().as_ref(), Ok(metadata));
        }
        Request::Ask { .. } => {}
    }
}

fn expect_readable(message: &ToCloud) {
    let text = message.to_text();
    let read = serde_json::from_str::<ToCloud>(&text);
    assert_eq!(read.as_ref().ok(), Some(message), "{text}: {:?}", read.as_ref().err());
}

fn expect_line(line: &str) {
    let text = line.strip_suffix('\n').expect("a reply is a line");
    assert!(!text.contains('\n') && line.len() <= LONGEST_REPLY, "a reply is one short line: {line:?}");
    let reply: serde_json::Value = serde_json::from_str(text).expect("a reply is JSON");
    assert!(reply.is_object(), "{text}");
}
