//! The socket of the process that serves.

use super::answer::{Mode, answer};
use crate::{
    serve::ServeError,
    server::{DataDir, Server},
};
use std::{io, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};
use tokio::{net::UnixListener, sync::Semaphore};

/// Commands at a time.
const MAX_COMMANDS: usize = 32;

/// The control socket of the process that serves. It holds the lock: an older socket is a dead process's.
pub fn bind(data: &DataDir) -> Result<UnixListener, ServeError> {
    let path = data.control_socket();
    let bound = || {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bound().map_err(|error| ServeError::Control(path.clone(), error))
}

/// Answers commands until the process ends.
pub async fn listen(listener: UnixListener, server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(MAX_COMMANDS));
    loop {
        let place = places.clone().acquire_owned().await.expect("this semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let server = server.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(&server, stream, Mode::Serving).await {
                        log::debug!("a command went away: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                log::warn!("no command could be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}
