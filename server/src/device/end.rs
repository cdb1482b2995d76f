//! Why a session ends.

use crate::{
    library::intake::IntakeError,
    store::{MAX_AWAITED, StoreError},
};
use axum::Error as SocketError;
use std::{error::Error, fmt, io, time::Duration};

/// A camera that says nothing for so long is offline.
pub(super) const SILENCE: Duration = Duration::from_secs(150);
/// A camera that takes no byte for so long is gone.
pub(super) const SEND: Duration = Duration::from_secs(20);

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// The camera closed it.
    Closed,
    /// The connection failed.
    Socket(SocketError),
    /// The camera said nothing for [`SILENCE`], or took nothing for [`SEND`].
    Silent,
    /// Another session of the same camera has begun.
    Replaced,
    /// The camera was removed.
    Removed,
    /// The process is to end.
    Stopped,
    /// More captures than are kept have ended and await their first segment; in its next session the camera says again
    /// those of which all has been uploaded.
    TooManyAwaited,
    /// The server could not keep what the camera said.
    Failed(IntakeError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> End {
        End::Failed(error.into())
    }
}

impl From<IntakeError> for End {
    fn from(error: IntakeError) -> End {
        End::Failed(error)
    }
}

/// Whether a connection just stopped, as it does when a board loses its power or its network: no fault to describe.
fn is_cut(error: &SocketError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
        }
        cause = error.source();
    }
    false
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Closed => f.write_str("the camera closed it"),
            End::Socket(error) if is_cut(error) => f.write_str("the camera went without a word"),
            End::Socket(error) => write!(f, "the connection was lost: {error}"),
            End::Silent => f.write_str("the camera fell silent"),
            End::Replaced => f.write_str("the camera began another"),
            End::Removed => f.write_str("the camera was removed"),
            End::Stopped => f.write_str("the server was stopped"),
            End::TooManyAwaited => {
                write!(
                    f,
                    "more than {MAX_AWAITED} captures of it await their uploads: they are to be said again"
                )
            }
            End::Failed(error) => write!(f, "what the camera said could not be kept: {error}"),
        }
    }
}
