//! The camera program: whether it can be told commands.

use super::{
    network,
    report::{Outcome, Report, Subject},
};
use crate::config::CommandTarget;
use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::{fs::FileTypeExt, net::UnixDatagram},
    path::Path,
};

/// What to look at where its name leads nowhere.
const NAME: &str = "is --cam_addr right, and does the board have a network?";

/// Looks at its socket, or its name up. Nothing is sent there: it would be taken for a command.
pub async fn look(target: Option<&CommandTarget>, report: &mut Report) {
    report.tell(Subject::Camera, camera(target).await);
}

async fn camera(target: Option<&CommandTarget>) -> Outcome {
    match target {
        None => Outcome::Doubtful(
            "nobody hears commands: give --cam_sock or --cam_addr, if somebody should".into(),
        ),
        Some(CommandTarget::Unix(path)) => camera_socket(path, connect(path)),
        Some(target @ CommandTarget::Udp { host, port }) => {
            match network::addresses(host, *port, NAME).await {
                Ok(_) => Outcome::Fine(format!(
                    "commands go to {target}; whether somebody listens, UDP does not tell"
                )),
                Err(why) => Outcome::Failed(format!("nobody can be told commands at {target}: {why}")),
            }
        }
    }
}

/// Connecting a datagram socket sends nothing.
pub fn connect(path: &Path) -> io::Result<()> {
    UnixDatagram::unbound()?.connect(path)
}

fn camera_socket(path: &Path, connected: io::Result<()>) -> Outcome {
    let is_other = fs::metadata(path).is_ok_and(|about| !about.file_type().is_socket());
    let path = path.display();
    match connected {
        Ok(()) => Outcome::Fine(format!("somebody listens at {path}")),
        Err(error) => {
            let cure: &str = match error.kind() {
                ErrorKind::ConnectionRefused if is_other => {
                    "something that is no socket is there; is --cam_sock right?"
                }
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                    &format!("start the camera program, or `cloudtalker listen --cam_sock {path}`")
                }
                ErrorKind::PermissionDenied => "let the agent's user write to that socket",
                _ => "a datagram socket should be there; is --cam_sock right?",
            };
            Outcome::Failed(format!("nobody can be told commands at {path}: {error}; {cure}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::is, *};

    #[test]
    fn a_camera_that_does_not_listen_has_a_cure_each() {
        let path = Path::new("/camera.sock");
        is(&camera_socket(path, Ok(())), "fine: somebody listens at /camera.sock");
        for (kind, cure) in [
            (
                ErrorKind::NotFound,
                "start the camera program, or `cloudtalker listen --cam_sock /camera.sock`",
            ),
            (ErrorKind::ConnectionRefused, "`cloudtalker listen --cam_sock /camera.sock`"),
            (ErrorKind::PermissionDenied, "let the agent's user write to that socket"),
            (ErrorKind::Other, "is --cam_sock right?"),
        ] {
            let told = camera_socket(path, Err(kind.into()));
            is(&told, "failed: nobody can be told commands at /camera.sock: ");
            assert!(told.to_string().ends_with(cure), "{told}");
        }
        is(&smol::block_on(camera(None)), "doubtful: nobody hears commands");
    }
}
