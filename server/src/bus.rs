//! What happened, told within the process: sessions, people's pages and waiting commands listen.
//!
//! An event names what changed, never its content: a listener reads the store, so that one which fell behind
//! ([`Listener::next`] yields [`Event::Missed`]) only has to read everything again.

use crate::library::{CameraId, CaptureId};
use tokio::sync::broadcast;

/// Events a slow listener may fall behind before it is told to read everything again.
const BACKLOG: usize = 256;

/// Something changed in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A capture began, got a segment, ended, was joined or broke.
    Capture(CaptureId, CameraId),
    /// Captures gave way to newer ones.
    CapturesGone(Vec<CaptureId>),
    /// A camera came, went on- or offline, said its state or was told one.
    Camera(CameraId),
    /// A camera has a session, of this name: an older one of it ends.
    SessionBegan(CameraId, String),
    /// A camera was removed: its sessions and connections end.
    CameraRemoved(CameraId),
    /// A camera raised an alarm that was not known yet.
    Alarm(CameraId),
    /// A camera is to be asked for a capture.
    CaptureRequested(CameraId),
    /// A request for a capture reached its camera, or lapsed.
    RequestSettled(CameraId, String),
    /// A room of this number was made, or something in it changed.
    Room(u64),
    /// A room was removed.
    RoomRemoved(u64),
    /// The listener fell behind and missed some.
    Missed,
}

/// The sending side; cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus(broadcast::Sender<Event>);

/// The receiving side.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Event>);

impl Bus {
    /// A bus without listeners.
    pub fn new() -> Bus {
        Bus(broadcast::Sender::new(BACKLOG))
    }

    /// Tells every listener; nobody listening is fine.
    pub fn tell(&self, event: Event) {
        let _ = self.0.send(event);
    }

    /// Tells which captures gave way, if any.
    pub fn tell_gone(&self, captures: Vec<CaptureId>) {
        if !captures.is_empty() {
            self.tell(Event::CapturesGone(captures));
        }
    }

    /// Hears every event told from now on. Listen first, then read the store: nothing falls between.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Default for Bus {
    fn default() -> Bus {
        Bus::new()
    }
}

impl Listener {
    /// The next event. Pends for ever once the bus is gone, which is when the process ends.
    pub async fn next(&mut self) -> Event {
        match self.0.recv().await {
            Ok(event) => event,
            Err(broadcast::error::RecvError::Lagged(_)) => Event::Missed,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_that_it_missed_some() {
        let bus = Bus::new();
        let mut listener = bus.listen();
        for camera in 0..=BACKLOG as i64 {
            bus.tell(Event::Camera(CameraId(camera)));
        }
        assert_eq!(listener.next().await, Event::Missed);
        assert_eq!(listener.next().await, Event::Camera(CameraId(1)));
    }
}
