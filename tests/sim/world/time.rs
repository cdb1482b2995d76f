//! What is yet to happen, and its turn.

use super::{World, network::Denial};
use crate::disk::Opened;
use cloudtalker::{
    engine::{
        Frame, Input, SourceId,
        spool::Done,
        uploads::{Answer, Request},
    },
    wire::cloud::ToCloud,
};
use std::time::Duration;

/// More than happens in a minute, unless somebody answers answers.
const STORM: u32 = 20_000;

/// Something that happens to the board of a boot; or to the cloud, which that board has written to.
pub(super) enum Happening {
    Board(Input),
    SourceGoesOn(SourceId),
    DiskNext,
    DiskDone(Done),
    CloudHears(u64, ToCloud),
    AgentHears(u64, Frame),
    Linked(u64),
    Unlinked(u64),
    Denied(u64, Denial),
    /// So many bytes of the body come with it.
    Served(u64, Request, Option<Opened>, u64),
    Answered(u64, Answer),
    /// The upload worker tells how many bytes it has sent.
    Metered,
    BodyGoesOn,
}

impl World {
    /// Something happens to the board of now, after a while.
    pub(super) fn happen(&mut self, after: Duration, happening: Happening) {
        self.happen_at(self.now + after, happening);
    }

    pub(super) fn happen_at(&mut self, at: Duration, happening: Happening) {
        self.happened += 1;
        self.happenings.insert((at, self.happened), (self.boots, happening));
    }

    pub(super) fn input(&mut self, input: Input) {
        self.happen(Duration::ZERO, Happening::Board(input));
    }

    pub(super) fn live_until(&mut self, end: Duration) -> Result<(), String> {
        let (begun, mut happenings) = (self.now, 0);
        loop {
            happenings += 1;
            if happenings > STORM {
                return Err(format!("{STORM} things happened in {:?}", end - begun));
            }
            let next = self.happenings.keys().next().map(|(at, _)| *at);
            let deadline = self.board.as_ref().and_then(|board| board.deadline);
            let at = next.into_iter().chain(deadline).min().filter(|at| *at <= end);
            let Some(at) = at else {
                self.now = end;
                return Ok(());
            };
            self.now = self.now.max(at);
            self.files.0.borrow_mut().now = self.now;
            if next == Some(at) {
                let (_, (boot, happening)) = self.happenings.pop_first().unwrap();
                self.come_to_pass(boot, happening);
            } else {
                self.tell(Input::Wake);
            }
            if self.files.0.borrow().is_cut {
                self.crash();
            }
            if let Some(why) = self.wrong.take() {
                return Err(why);
            }
        }
    }

    fn come_to_pass(&mut self, boot: u64, happening: Happening) {
        let is_of_now = boot == self.boots;
        match happening {
            // What has left the board arrives, whatever becomes of the board.
            Happening::CloudHears(link, message) => self.cloud_hears(boot, link, &message),
            Happening::Served(number, request, opened, gone) => {
                self.serve(is_of_now, number, &request, opened.as_ref(), gone);
            }
            _ if !is_of_now => {}
            Happening::Board(input) => self.tell(input),
            Happening::SourceGoesOn(id) => self.source_goes_on(id),
            Happening::DiskNext => self.disk_works(),
            Happening::DiskDone(done) => self.disk_has_done(done),
            Happening::AgentHears(link, frame) => self.agent_hears(link, frame),
            Happening::Linked(link) => self.linked(link),
            Happening::Unlinked(link) => self.unlinked(link),
            Happening::Denied(link, denial) => self.denied(link, denial),
            Happening::Answered(number, answer) => self.answered(number, answer),
            Happening::Metered => self.metered(),
            Happening::BodyGoesOn => self.body_goes_on(),
        }
    }
}
