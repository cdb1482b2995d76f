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
                for gone in self.store.add_request(&request, camera, unix_now()).await? {
                    self.bus.tell(Event::RequestSettled(camera, gone));
                }
                self.bus.tell(Event::CaptureRequested(camera));
                tokio::spawn(self.clone().lapse(camera, request.clone(), REQUEST_LIFE));
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

    async fn lapse(self: Arc<Server>, camera: CameraId, request: String, life: Duration) {
        tokio::time::sleep(life).await;
        if let Err(error) = self.settle_request(camera, &request, RequestState::Lapsed).await {
            log::error!("a request for a capture could not be ended: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::DEFAULT_QUOTA;
    use cloudtalker::wire::Sha256;

    #[tokio::test]
    async fn a_request_that_nobody_takes_lapses_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let server = Arc::new(Server::open(dir.path(), DEFAULT_QUOTA).await.unwrap());
        let camera = server.store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        let Commanded::Requested(request) = server.command(camera, Command::Capture).await.unwrap() else {
            panic!("a capture is a request")
        };
        let (settled, ()) = tokio::join!(
            server.request_settled(&request),
            server.clone().lapse(camera, request.clone(), Duration::ZERO)
        );
        assert_eq!(settled.unwrap(), RequestState::Lapsed);
        assert!(!server.store.settle_request(&request, RequestState::Delivered).await.unwrap(), "too late");
    }

    #[tokio::test]
    async fn requests_of_a_process_that_is_gone_have_lapsed() {
        let dir = tempfile::tempdir().unwrap();
        let server = Arc::new(Server::open(dir.path(), DEFAULT_QUOTA).await.unwrap());
        let camera = server.store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        server.store.add_request("r", camera, 1).await.unwrap();
        server.store.lapse_requests().await.unwrap();
        assert!(server.store.waiting_requests(camera).await.unwrap().is_empty());
        assert_eq!(server.request_settled("r").await.unwrap(), RequestState::Lapsed);
    }
}
