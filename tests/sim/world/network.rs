//! The network between board and cloud: it delays, drops, repeats, reorders, stalls half open, and cuts in mid-body.

use super::{World, board::Board, pick, time::Happening};
use crate::{
    cloud::{Reply, SESSION_STATUSES, STATUSES, answer},
    disk::Opened,
    refusals::SESSION,
};
use cloudtalker::{
    engine::{
        Frame, Input, Refusal,
        uploads::{Answer, Request},
    },
    wire::cloud::{ToAgent, ToCloud},
};
use std::{io, time::Duration};

/// A connection with the cloud.
pub(super) struct Link {
    pub number: u64,
    is_up: bool,
    /// Half open: nothing comes through, and nobody notices.
    is_stalled: bool,
    /// What waits for it to resume, oldest first.
    held: Vec<Happening>,
    greeted: bool,
    /// When the last frame each way arrives.
    to_cloud: Duration,
    to_agent: Duration,
}

/// Why there is no session, though somebody answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Denial {
    /// The handshake was refused.
    Status(u16),
    /// It did not come to that.
    Before(Refusal),
}

impl World {
    pub(super) fn link(&mut self) -> Option<&mut Link> {
        self.board.as_mut()?.link.as_mut()
    }

    fn is_link(&mut self, number: u64) -> bool {
        self.link().is_some_and(|link| link.number == number)
    }

    pub(super) fn connect(&mut self) {
        let fails = self.now < self.away_until || self.mishap(4);
        let denial = self.mishap(6).then(|| self.denial());
        let delay = Duration::from_millis(20 + self.chance(500));
        let now = self.now;
        let board = self.board.as_mut().unwrap();
        board.links += 1;
        let number = board.links;
        board.link = Some(Link {
            number,
            is_up: false,
            is_stalled: false,
            held: Vec::new(),
            greeted: false,
            to_cloud: now,
            to_agent: now,
        });
        self.happen(
            delay,
            match denial {
                _ if fails => Happening::Unlinked(number),
                Some(denial) => Happening::Denied(number, denial),
                None => Happening::Linked(number),
            },
        );
    }

    fn denial(&mut self) -> Denial {
        const BEFORE: [Refusal; 3] = [Refusal::Distrust, Refusal::Clock, Refusal::Name];
        match self.chance(4) {
            0 => Denial::Before(BEFORE[pick(&mut self.rng, BEFORE.len() as u64)]),
            _ => Denial::Status(SESSION_STATUSES[pick(&mut self.rng, SESSION_STATUSES.len() as u64)]),
        }
    }

    pub(super) fn denied(&mut self, number: u64, denial: Denial) {
        if !self.is_link(number) {
            return;
        }
        self.board.as_mut().unwrap().link = None;
        let why = format!("{denial:?}");
        if let Denial::Status(status) = denial {
            self.outcome.refusals.count(SESSION, status);
        }
        self.tell(match denial {
            Denial::Before(refusal) => Input::SessionRefused(refusal, why),
            // More tries alone will not mend these.
            Denial::Status(401 | 403 | 404) => Input::SessionRefused(Refusal::Distrust, why),
            Denial::Status(_) => Input::SessionDown(why),
        });
    }

    pub(super) fn linked(&mut self, number: u64) {
        if let Some(link) = self.link().filter(|link| link.number == number) {
            link.is_up = true;
            self.tell(Input::SessionUp(self.date()));
        }
    }

    pub(super) fn unlinked(&mut self, number: u64) {
        if self.is_link(number) {
            self.board.as_mut().unwrap().link = None;
            self.tell(Input::SessionDown("the link broke".into()));
        }
    }

    pub(super) fn link_stalls(&mut self) {
        if let Some(link) = self.link() {
            link.is_stalled = true;
        }
    }

    /// Nothing was lost: what waited arrives, each way in its order, and nothing that is said now before it.
    pub(super) fn link_resumes(&mut self) {
        let soon = self.now + Duration::from_millis(5 + self.chance(200));
        let Some(link) = self.link() else { return };
        let at = soon.max(link.to_cloud).max(link.to_agent);
        (link.is_stalled, link.to_cloud, link.to_agent) = (false, at, at);
        for happening in std::mem::take(&mut link.held) {
            self.happen_at(at, happening);
        }
    }

    /// Something goes over the link, or waits until that resumes.
    fn goes_over(&mut self, at: Duration, happening: Happening) {
        match self.link().filter(|link| link.is_stalled) {
            Some(link) => link.held.push(happening),
            None => self.happen_at(at, happening),
        }
    }

    pub(super) fn agent_says(&mut self, message: ToCloud) {
        let (now, delay, twice) = (self.now, Duration::from_millis(5 + self.chance(200)), self.mishap(20));
        let Some(link) = self.link().filter(|link| link.is_up) else { return };
        link.to_cloud = link.to_cloud.max(now + delay);
        let (number, at) = (link.number, link.to_cloud);
        if twice {
            self.goes_over(at, Happening::CloudHears(number, message.clone()));
        }
        self.goes_over(at, Happening::CloudHears(number, message));
    }

    pub(super) fn agent_pings(&mut self) {
        let at = self.now + Duration::from_millis(100);
        if let Some(link) = self.link().filter(|link| link.is_up) {
            let number = link.number;
            self.goes_over(at, Happening::AgentHears(number, Frame::Other));
        }
    }

    pub(super) fn agent_hears(&mut self, number: u64, frame: Frame) {
        match self.link().filter(|link| link.number == number) {
            Some(link) if link.is_stalled => link.held.push(Happening::AgentHears(number, frame)),
            Some(_) => self.tell(Input::SessionHeard(frame)),
            None => {}
        }
    }

    /// What was on its way when the link broke or stalled still arrives, unless a new session has taken its place.
    pub(super) fn cloud_hears(&mut self, boot: u64, number: u64, message: &ToCloud) {
        if (boot, number) < self.greeted {
            return;
        }
        self.greeted = (boot, number);
        if boot != self.boots || !self.is_link(number) {
            self.cloud.hear(message);
            return;
        }
        let is_greeting = self.link().is_some_and(|link| !std::mem::replace(&mut link.greeted, true));
        if is_greeting {
            let greeting = ToAgent { pir_armed: self.armed, ..self.cloud.greeting() };
            self.cloud_says(&greeting);
            for receipt in self.cloud.owed_receipts() {
                self.cloud_says(&receipt);
            }
        }
        if let Some(answer) = self.cloud.hear(message) {
            self.cloud_says(&answer);
        }
    }

    /// Receipts come in any order, and now and then twice; a cloud that changes its mind does so in order.
    pub(super) fn cloud_says(&mut self, message: &ToAgent) {
        let text = message.to_text();
        let delay = Duration::from_millis(5 + self.chance(200));
        let (overtakes, twice) = (message.receipt.is_some() && self.mishap(4), self.mishap(10));
        let now = self.now;
        // A cloud's first word answers the agent's.
        let Some(link) = self.link().filter(|link| link.is_up && link.greeted) else {
            return;
        };
        let at = if overtakes { now + delay } else { link.to_agent.max(now + delay) };
        link.to_agent = link.to_agent.max(at);
        let number = link.number;
        if twice {
            self.goes_over(at, Happening::AgentHears(number, Frame::Text(text.clone())));
        }
        self.goes_over(at, Happening::AgentHears(number, Frame::Text(text)));
    }

    pub(super) fn request(&mut self, request: Request) {
        let board = self.board.as_mut().unwrap();
        board.requests += 1;
        let number = board.requests;
        board.request = Some((number, request.clone()));
        match self.open(&request) {
            Ok(opened) => {
                let gone = self.goes_out(&request);
                self.sends_on(number, request, opened, gone);
            }
            Err(answer) => self.happen(Duration::ZERO, Happening::Answered(number, answer)),
        }
    }

    /// The file that a request sends, if any; or the answer that it has without going out.
    fn open(&self, request: &Request) -> Result<Option<Opened>, Answer> {
        let Request::Send { file, kept, .. } = request else { return Ok(None) };
        match self.files.open_upload(&format!("/{file}")) {
            Ok(opened) if opened.facts() == (kept.bytes, kept.mtime_ns) => Ok(Some(opened)),
            Ok(_) => Err(Answer::FileChanged),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Answer::FileMissing),
            Err(error) => Err(Answer::FileUnreadable(error.to_string())),
        }
    }

    /// So many bytes of a request's body go out.
    pub(super) fn sends_on(&mut self, number: u64, request: Request, opened: Option<Opened>, gone: u64) {
        let delay = Duration::from_millis(10 + self.chance(400)) + self.time_for(gone);
        if self.mishap(20) {
            // Somebody on the way sends it again.
            self.happen(delay, Happening::Served(0, request.clone(), opened.clone(), gone));
        }
        self.happen(delay, Happening::Served(number, request, opened, gone));
    }

    /// The file beneath the root that is being sent.
    pub(super) fn uploaded_file(&self) -> Option<String> {
        match self.board.as_ref()?.request.as_ref()? {
            (_, Request::Send { file, .. }) => Some(format!("/{file}")),
            (_, Request::Create { .. } | Request::Ask { .. }) => None,
        }
    }

    pub(super) fn abandon_request(&mut self) {
        if let Some((number, _)) = self.board.as_ref().and_then(|board| board.request.as_ref()) {
            let number = *number;
            self.gives_up(number);
            self.happen(Duration::ZERO, Happening::Answered(number, Answer::Abandoned));
        }
    }

    /// A request reaches the cloud, or does not, and its answer reaches the board, or does not.
    pub(super) fn serve(
        &mut self,
        is_of_now: bool,
        number: u64,
        request: &Request,
        opened: Option<&Opened>,
        gone: u64,
    ) {
        let is_its_own = |board: &Board| board.request.as_ref().is_some_and(|(of, _)| *of == number);
        let is_under_way = is_of_now && self.board.as_ref().is_some_and(is_its_own);
        let mut is_to_go_on = false;
        let answer = match (request, opened) {
            (Request::Send { offset, kept, .. }, Some(file)) => {
                let (body, problem) = self.read(is_under_way, file, *offset, gone);
                let answer = self.pass_on(request, &body, usize::try_from(gone).unwrap());
                let answer = problem.map_or(answer, Answer::Broken);
                let is_good = matches!(answer, Answer::Status { status: 200..300, .. });
                is_to_go_on = is_good && gone < kept.bytes - offset;
                if is_good || !self.files.is_changed(file) { answer } else { Answer::FileChanged }
            }
            (Request::Send { .. }, None) => unreachable!("it goes out once it is open"),
            (Request::Create { .. } | Request::Ask { .. }, _) => self.pass_on(request, &[], 0),
        };
        let delay = if self.mishap(20) { 90_000 } else { 10 + self.chance(300) };
        match is_under_way {
            true if is_to_go_on => self.body_waits(request, opened.cloned(), gone),
            true => self.happen(Duration::from_millis(delay), Happening::Answered(number, answer)),
            false => {}
        }
    }

    /// What of a file goes out, and why no more of it does. What a board has sent that is no more, it has read before.
    fn read(
        &mut self,
        is_under_way: bool,
        file: &Opened,
        offset: u64,
        count: u64,
    ) -> (Vec<u8>, Option<String>) {
        let (offset, count) = (usize::try_from(offset).unwrap(), usize::try_from(count).unwrap());
        let before = &file.bytes()[offset..offset + count];
        match is_under_way.then(|| self.files.read_upload(file, offset, count)) {
            None => (before.to_vec(), None),
            Some(Ok(body)) => (body, None),
            Some(Err(error)) => {
                let sent = self.chance(before.len() as u64) as usize;
                (before[..sent].to_vec(), Some(error.to_string()))
            }
        }
    }

    /// What the board hears of a request whose body should be so long.
    fn pass_on(&mut self, request: &Request, body: &[u8], length: usize) -> Answer {
        if self.now < self.away_until || self.mishap(12) {
            return Answer::Broken("it never arrived".into());
        }
        if self.mishap(12) {
            let status = STATUSES[pick(&mut self.rng, STATUSES.len() as u64)];
            return self.refusal(status);
        }
        let arriving = if self.mishap(6) { self.chance(body.len() as u64 + 1) as usize } else { body.len() };
        let Reply { answer, became_whole } = self.cloud.serve(request, body, arriving);
        if let Some(why) = self.cloud.wrong.take() {
            self.accuse(|| why);
        }
        if let Some(receipt) = became_whole.and_then(|capture| self.cloud.receipt(capture)) {
            self.cloud_says(&receipt);
        }
        let is_cut = arriving < length || self.mishap(12);
        if is_cut { Answer::Broken("cut off".into()) } else { answer }
    }

    fn refusal(&mut self, status: u16) -> Answer {
        match answer(status, None, None) {
            Answer::Status { status, offset, location, date, text, .. } if self.mishap(3) => {
                let retry_after = Some(self.chance(120) as u32);
                Answer::Status { status, offset, location, retry_after, date, text }
            }
            other => other,
        }
    }

    pub(super) fn answered(&mut self, number: u64, answer: Answer) {
        let board = self.board.as_mut().unwrap();
        if board.request.as_ref().is_some_and(|(under_way, _)| *under_way == number) {
            self.is_answered();
            let Some((_, request)) = self.board.as_mut().and_then(|board| board.request.take()) else {
                return;
            };
            if let Answer::Status { status: status @ 300.., .. } = answer {
                self.outcome.refusals.count(request.method(), status);
            }
            self.may_refuse = is_final(&request, &answer);
            self.tell(Input::UploadAnswered(answer));
            self.may_refuse = false;
        }
    }
}

/// Whether a segment will never be taken: too large, of no type that is known, of no sense, or another one's name.
fn is_final(request: &Request, answer: &Answer) -> bool {
    let Answer::Status { status, .. } = answer else { return false };
    matches!((request, status), (_, 413 | 415 | 422) | (Request::Create { .. }, 409))
}
