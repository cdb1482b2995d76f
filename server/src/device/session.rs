//! One camera's WebSocket: what it says goes to the library, what people want goes to it.
//!
//! ```text
//!  upgrade ──▶ Unknown ──state with version──▶ Agent     hello, receipts until answered, requests by id
//!                 └──────state without one───▶ Original  binary segments, requests by toggling
//! ```
//!
//! Everything that is owed to a camera is read from the store: after each event, after each state, and again after a
//! while, so that a session that broke or was replaced loses nothing.

use super::{
    Caller,
    end::{End, SEND, SILENCE},
    original::Incoming,
};
use crate::{
    bus::Event,
    library::{CameraId, Identity, Listed, Lost, intake::IntakeError},
    net::Peer,
    server::{Server, fill_random, random_name},
    store::{Ended, RequestState, StateReport, unix_now},
};
use axum::{
    Extension,
    extract::{
        State,
        ws::{
            CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    response::{IntoResponse, Response},
};
use cloudtalker::wire::{
    Id,
    cloud::{self, CaptureEnd, Receipt, ToAgent, ToCloud},
};
use futures_util::SinkExt;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

/// Frames are small: a segment's bytes come 1,300 at a time or by HTTPS. Only a long capture's end is longer: 110
/// bytes a segment, so this is 38,000 of them, 26 days by the minute. A session holds a message at most twice, as its
/// frames and as its text; what it parses to is gone before the next is read.
const MAX_MESSAGE: usize = 4 << 20;
/// What a session buffers each way; the usual 128 KiB would be felt with a thousand cameras.
const BUFFER: usize = 8 << 10;
/// Between our pings, which keep address translation on the way alive; originals ping as often.
const PING_EVERY: Duration = Duration::from_secs(55);
/// How often what is owed is looked up again, and a receipt that was not answered is sent again.
const AGAIN: Duration = Duration::from_secs(30);
/// What a camera is told to stay away, at least, when the server ends: it is back soon.
const RETRY_AFTER_S: u32 = 2;
/// How many cameras a second are told to come back.
const RETURNS_A_SECOND: usize = 200;

/// A camera's session.
struct Session {
    server: Arc<Server>,
    camera: CameraId,
    /// What people call it.
    camera_name: Arc<str>,
    /// A random name, by which the session knows whether it was replaced.
    name: String,
    socket: WebSocket,
    /// What the camera last said of itself; none before its first state.
    state: Option<cloud::State>,
    incoming: Incoming,
    /// The capture that it last began, or said a segment of.
    begun: Option<Id>,
    /// What it was last told, so that one that doesn't obey isn't told for ever.
    told_armed: Option<bool>,
    /// Requests sent in this session and not echoed yet.
    requested: HashSet<String>,
    /// Receipts sent, and when.
    receipts: HashMap<Id, Instant>,
}

/// Any path but tus's: the cameras' endpoint.
pub(super) async fn upgrade(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| run(server, caller, peer, socket))
}

async fn run(server: Arc<Server>, caller: Caller, peer: Peer, socket: WebSocket) {
    let Caller { camera, name: camera_name } = caller;
    let mut session = Session {
        incoming: Incoming::new(server.clone(), camera),
        server,
        camera,
        camera_name: camera_name.clone(),
        name: random_name(),
        socket,
        state: None,
        begun: None,
        told_armed: None,
        requested: HashSet::new(),
        receipts: HashMap::new(),
    };
    session.server.sessions.fetch_add(1, Ordering::Relaxed);
    let end = session.live(&peer).await;
    if !matches!(end, End::Stopped) {
        session.server.sessions.fetch_sub(1, Ordering::Relaxed);
    }
    log::info!("{camera_name}: session ended: {end}");
    session.close(&end).await;
    if let Err(error) = session.after().await {
        log::error!("{camera_name}: the end of its session could not be kept: {error}");
    }
}

impl Session {
    async fn live(&mut self, peer: &Peer) -> End {
        match self.talk(peer).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn talk(&mut self, peer: &Peer) -> Result<std::convert::Infallible, End> {
        let mut events = self.server.bus.listen();
        self.server.store.session_began(self.camera, &self.name, unix_now()).await?;
        self.server.bus.tell(Event::SessionBegan(self.camera, self.name.clone()));
        self.server.bus.tell(Event::Camera(self.camera));
        log::info!("{}: session began", self.camera_name);
        let mut ping = interval(PING_EVERY);
        let mut again = interval(AGAIN);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_heard = Instant::now();
        loop {
            tokio::select! {
                message = timeout_at(last_heard + SILENCE, self.socket.recv()) => {
                    let message = message.map_err(|_| End::Silent)?.ok_or(End::Closed)?.map_err(End::Socket)?;
                    last_heard = Instant::now();
                    self.handle_message(message).await?;
                }
                event = events.next() => self.handle_event(event).await?,
                _ = ping.tick() => self.send(Message::Ping(bytes::Bytes::new())).await?,
                _ = again.tick() => self.settle().await?,
                () = peer.stop.requested() => return Err(End::Stopped),
            }
        }
    }

    async fn handle_message(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(said) => self.handle_said(said).await,
                Err(error) => {
                    log::debug!("{}: a message was not understood: {error}", self.camera_name);
                    Ok(())
                }
            },
            Message::Binary(bytes) => {
                self.incoming.handle_bytes(&bytes).await;
                Ok(())
            }
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::Closed),
        }
    }

    async fn handle_said(&mut self, said: ToCloud) -> Result<(), End> {
        match said {
            ToCloud::State(state) => self.handle_state(state).await?,
            ToCloud::CaptureStart(start) => match start.capture {
                Some(id) => self.begin(id, identity(id, start.trigger, start.trigger_timestamp)).await?,
                None => self.incoming.handle_start(&start).await?,
            },
            ToCloud::CaptureSegment(info) => match info.capture {
                Some(id) => self.begin(id, identity(id, info.trigger, info.trigger_timestamp)).await?,
                None => self.incoming.handle_segment(&info).await?,
            },
            ToCloud::CaptureEnd(end) => match end.capture {
                Some(id) => self.handle_end(id, &end).await?,
                None => self.incoming.handle_end(&end).await?,
            },
            ToCloud::Alarm(alarm) => {
                self.incoming.handle_boundary().await?;
                self.handle_alarm(&alarm).await?;
            }
            ToCloud::ReceiptOk { capture } => {
                self.receipts.remove(&capture);
                self.server.store.receipt_taken(self.camera, capture).await?;
            }
            ToCloud::Report(report) => {
                let report = ToCloud::Report(report).to_text();
                self.server.store.set_report(self.camera, &report).await?;
                self.server.bus.tell(Event::Camera(self.camera));
            }
        }
        Ok(())
    }

    async fn handle_state(&mut self, state: cloud::State) -> Result<(), End> {
        let report = StateReport { armed: state.pir_armed, version: state.version.as_deref() };
        if self.server.store.set_state(self.camera, report).await? {
            self.server.bus.tell(Event::Camera(self.camera));
        }
        let is_agent = state.version.is_some();
        let is_first = self.state.replace(state).is_none();
        if is_agent && is_first {
            self.tell(&ToAgent { receipts: Some(true), ..ToAgent::default() }).await?;
        }
        if is_agent && !is_first {
            // An agent says its state after each message that tells it something.
            for request in std::mem::take(&mut self.requested) {
                self.server.settle_request(self.camera, &request, RequestState::Delivered).await?;
            }
        }
        self.settle().await
    }

    /// A capture is in the library from the first word about it. Each of its segments is such a word.
    async fn begin(&mut self, id: Id, identity: Identity) -> Result<(), End> {
        if self.begun.replace(id) != Some(id) {
            let (capture, gave_way) =
                self.server.store.begin_capture(self.camera, &identity, unix_now()).await?;
            self.server.bus.tell_gone(gave_way);
            self.server.bus.tell(Event::Capture(capture, self.camera));
        }
        Ok(())
    }

    async fn handle_end(&mut self, id: Id, end: &CaptureEnd) -> Result<(), End> {
        let identity = identity(id, end.trigger, end.trigger_timestamp);
        let listed = end.segments.iter().flatten();
        let listed: Vec<Listed> = listed
            .map(|segment| Listed { seg_no: segment.seg_no, bytes: segment.bytes, sha256: segment.sha256 })
            .collect();
        let lost = end.lost.iter().map(|lost| Lost { seg_no: lost.seg_no, reason: lost.reason.clone() });
        let lost: Vec<Lost> = lost.collect();
        let end = self.server.store.end_capture(self.camera, &identity, &listed, &lost, unix_now());
        let (ended, gave_way) = end.await?;
        self.server.bus.tell_gone(gave_way);
        let Ended::Kept(capture) = ended else { return Err(End::TooManyAwaited) };
        // Said again, it is answered again at once.
        self.receipts.remove(&id);
        self.server.bus.tell(Event::Capture(capture, self.camera));
        Ok(())
    }

    async fn handle_alarm(&mut self, alarm: &cloud::Alarm) -> Result<(), End> {
        let id = alarm.id.map_or_else(random_name, |id| id.to_string());
        let (at, gpio) = (alarm.trigger_timestamp, alarm.gpio.map(i64::from));
        if self.server.store.add_alarm(self.camera, &id, at, gpio, unix_now()).await? {
            self.server.bus.tell(Event::Alarm(self.camera));
        }
        match alarm.id {
            Some(alarm) => {
                self.tell(&ToAgent { receipt: Some(Receipt::Alarm { alarm }), ..ToAgent::default() }).await
            }
            None => Ok(()),
        }
    }

    async fn handle_event(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::SessionBegan(camera, name) if camera == self.camera && name != self.name => {
                Err(End::Replaced)
            }
            Event::CameraRemoved(camera) if camera == self.camera => Err(End::Removed),
            Event::Camera(camera) | Event::CaptureRequested(camera) | Event::Capture(_, camera)
                if camera == self.camera =>
            {
                self.settle().await
            }
            Event::Missed => self.catch_up().await,
            Event::SessionBegan(..)
            | Event::CameraRemoved(_)
            | Event::Camera(_)
            | Event::CaptureRequested(_)
            | Event::Capture(..)
            | Event::CapturesGone(_)
            | Event::Alarm(_)
            | Event::RequestSettled(..)
            | Event::Room(_)
            | Event::RoomRemoved(_) => Ok(()),
        }
    }

    /// Some events were missed: what they said is in the store.
    async fn catch_up(&mut self) -> Result<(), End> {
        match self.server.store.session_of(self.camera).await? {
            Some(name) if name == self.name => self.settle().await,
            Some(_) => Err(End::Replaced),
            None => Err(End::Removed),
        }
    }

    /// Sends all that is owed and was not sent yet. Nothing is known to be owed before the camera's first state.
    async fn settle(&mut self) -> Result<(), End> {
        let Some(state) = &self.state else { return Ok(()) };
        let is_agent = state.version.is_some();
        self.settle_armed().await?;
        self.settle_requests(is_agent).await?;
        if is_agent { self.settle_receipts().await } else { Ok(()) }
    }

    async fn settle_armed(&mut self) -> Result<(), End> {
        let Some(camera) = self.server.store.camera(self.camera).await? else { return Err(End::Removed) };
        let Some(wanted) = camera.wanted_armed else { return Ok(()) };
        let is_so = self.state.as_ref().is_some_and(|state| state.pir_armed == wanted);
        if self.told_armed == Some(wanted) || (is_so && self.told_armed.is_none()) {
            return Ok(());
        }
        self.told_armed = Some(wanted);
        self.tell(&ToAgent { pir_armed: Some(wanted), ..ToAgent::default() }).await
    }

    async fn settle_requests(&mut self, is_agent: bool) -> Result<(), End> {
        for request in self.server.store.waiting_requests(self.camera).await? {
            if !self.requested.insert(request.clone()) {
                continue;
            }
            if is_agent {
                let message =
                    ToAgent { capture_asap: Some(true), request: Some(request), ..ToAgent::default() };
                self.tell(&message).await?;
            } else {
                // An original takes a capture at every change of this value.
                let Some(state) = &mut self.state else { return Ok(()) };
                state.capture_asap = !state.capture_asap;
                let message = ToAgent { capture_asap: Some(state.capture_asap), ..ToAgent::default() };
                self.tell(&message).await?;
                self.server.settle_request(self.camera, &request, RequestState::Delivered).await?;
                self.requested.remove(&request);
            }
        }
        Ok(())
    }

    async fn settle_receipts(&mut self) -> Result<(), End> {
        for owed in self.server.store.owed_receipts(self.camera).await? {
            if self.receipts.get(&owed.capture).is_some_and(|sent| sent.elapsed() < AGAIN) {
                continue;
            }
            self.receipts.insert(owed.capture, Instant::now());
            let receipt = Receipt::Capture { capture: owed.capture, segments: Some(owed.segments) };
            self.tell(&ToAgent { receipt: Some(receipt), ..ToAgent::default() }).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, message: &ToAgent) -> Result<(), End> {
        self.send(Message::Text(message.to_text().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        timeout(SEND, self.socket.send(message)).await.map_err(|_| End::Silent)?.map_err(End::Socket)
    }

    /// Says goodbye, where there is somebody to hear it.
    async fn close(&mut self, end: &End) {
        let (code, reason) = match end {
            End::Socket(_) | End::Silent => return,
            End::Closed => {
                // The answer to its goodbye waits to be sent.
                let _ = timeout(SEND, self.socket.close()).await;
                return;
            }
            End::Replaced => (close_code::POLICY, "another session of this camera began"),
            End::Removed => (close_code::POLICY, "this camera was removed"),
            End::Stopped => {
                if self.state.as_ref().is_some_and(|state| state.version.is_some()) {
                    let seconds = away_for(self.server.sessions.load(Ordering::Relaxed));
                    let _ = self.tell(&ToAgent { retry_after: Some(seconds), ..ToAgent::default() }).await;
                }
                (close_code::AWAY, "the server was stopped")
            }
            End::TooManyAwaited => {
                (close_code::AGAIN, "too many captures await their uploads: say them again")
            }
            End::Failed(_) => (close_code::ERROR, "the server failed: come again"),
        };
        let _ = self.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    }

    async fn after(&mut self) -> Result<(), IntakeError> {
        let kept = self.incoming.handle_gone().await;
        if self.server.store.session_ended(self.camera, &self.name, unix_now()).await? {
            self.server.bus.tell(Event::Camera(self.camera));
        }
        kept
    }
}

/// For how many seconds one camera of so many is to stay away when the server ends: each for another time, so that they don't
/// come back in one second.
fn away_for(sessions: usize) -> u32 {
    let mut random = [0; 4];
    fill_random(&mut random);
    let seconds = u32::try_from(sessions / RETURNS_A_SECOND).unwrap_or(u32::MAX - 1) + 1;
    RETRY_AFTER_S + u32::from_le_bytes(random) % seconds
}

fn identity(id: Id, trigger: cloudtalker::wire::Trigger, trigger_timestamp: u64) -> Identity {
    Identity { agent_id: Some(id), trigger, trigger_timestamp }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_cameras_are_told_to_come_back_at_many_times() {
        assert_eq!(away_for(1), 2);
        assert_eq!(away_for(199), 2);
        let mut told = [0; 8];
        for _ in 0..1_000 {
            told[away_for(1_000) as usize] += 1;
        }
        assert!(told[2..].iter().all(|cameras| (90..260).contains(cameras)), "{told:?}");
    }
}
