//! What people tell cameras.
//!
//! Armed is a level: it is kept, and the camera is told now or when it is back. A capture is an edge: it reaches
//! the camera within [`REQUEST_LIFE`], or lapses and says so.

use crate::{
    bus::Event,
    library::CameraId,
    server::{Server, random_name},
    store::{RequestState, StoreError, unix_now},
};
use cloudtalker::wire::command::Command;
use std::{sync::Arc, time::Duration};

/// How long a request for a capture waits for its camera: later the moment is gone.
pub const REQUEST_LIFE: Duration = Duration::from_secs(60);

/// What became of a command at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commanded {
    /// The level is kept; the camera is told now, or when it is back.
    Kept,
    /// The request waits for its camera under this id: see [`Server::request_settled`].
    Requested(String),
}

impl Server {
    /// Tells a camera something.
    pub async fn command(
        self: &Arc<Server>,
        camera: CameraId,
        command: Command,
    ) -> Result<Commanded, StoreError> {
        match command {
            Command::Arm | Command::Disarm => {
                self.store.set_wanted_armed(camera, command == Command::Arm).await?;
                self.bus.tell(Event::Camera(camera));
                Ok(Commanded::Kept)
            }
            Command::Capture => {
                let request = random_name();
                self.store.add_request(&request, camera, unix_now()).await?;
                self.bus.tell(Event::CaptureRequested(camera));
                tokio::spawn(self.clone().lapse(camera, request.clone()));
                Ok(Commanded::Requested(request))
            }
        }
    }

    /// Waits until a request is delivered or has lapsed, which takes [`REQUEST_LIFE`] at most.
    pub async fn request_settled(&self, request: &str) -> Result<RequestState, StoreError> {
        let mut events = self.bus.listen();
        loop {
            match self.store.request_state(request).await? {
                Some(RequestState::Waiting) => {}
                Some(settled) => return Ok(settled),
                None => return Ok(RequestState::Lapsed),
            }
            while !matches!(events.next().await, Event::Missed | Event::RequestSettled(..)) {}
        }
    }

    /// Settles a request, and tells those who wait for it.
    pub async fn settle_request(
        &self,
        camera: CameraId,
        request: &str,
        state: RequestState,
    ) -> Result<(), StoreError> {
        if self.store.settle_request(request, state).await? {
            self.bus.tell(Event::RequestSettled(camera, request.to_owned()));
        }
        Ok(())
    }

    async fn lapse(self: Arc<Server>, camera: CameraId, request: String) {
        tokio::time::sleep(REQUEST_LIFE).await;
        if let Err(error) = self.settle_request(camera, &request, RequestState::Lapsed).await {
            log::error!("a request for a capture could not be ended: {error}");
        }
    }
}
