//! Where captures come in: sockets and a list, and whether the agent has them already.

use super::{
    board::user,
    report::{Outcome, Report, Subject},
};
use crate::{
    config::Config,
    shell::{
        list,
        sockets::{self, ListenError},
    },
    tools::{
        Address, ToolError,
        status::{self, Status},
    },
};
use std::{io::ErrorKind, net::SocketAddr, path::Path};

/// Looks at all of them; whether an agent is there, so that what is locked is its own.
pub fn look(config: &Config, report: &mut Report) -> bool {
    let (unix, is_there) = match &config.input.unix {
        Some(path) => unix(path),
        None => (Outcome::Fine("none (--input_sock)".into()), false),
    };
    let (tcp, is_there_too) = match config.input.tcp {
        Some(address) => tcp(address),
        None => (Outcome::Fine("none (--input_port)".into()), false),
    };
    report.tell(Subject::InputSock, unix);
    report.tell(Subject::InputPort, tcp);
    report.tell(Subject::MotionList, motion_list(config.motion_file_list.as_deref()));
    is_there || is_there_too
}

/// How the agent is doing that listens there.
pub fn ask(address: &Address) -> Result<Status, ToolError> {
    status::ask(&mut address.connect()?)
}

fn unix(path: &Path) -> (Outcome, bool) {
    let address = Address::Unix(path.to_owned());
    // It is asked before anybody knocks: a connection without a word may take a camera program's place.
    match ask(&address) {
        Err(ToolError::Absent(..)) => {
            let tried = sockets::try_unix(path);
            (opened(&address, tried), false)
        }
        asked => listened(&address, asked, &ListenError::Answered(path.to_owned())),
    }
}

fn tcp(address: SocketAddr) -> (Outcome, bool) {
    let tried = sockets::try_tcp(address);
    match &tried {
        Err(error @ ListenError::Tcp(_, why)) if why.kind() == ErrorKind::AddrInUse => {
            let address = Address::of_port(address);
            let asked = ask(&address);
            listened(&address, asked, error)
        }
        Ok(()) | Err(_) => (opened(&Address::Tcp(address), tried), false),
    }
}

fn opened(address: &Address, tried: Result<(), ListenError>) -> Outcome {
    match tried {
        Ok(()) => Outcome::Fine(format!("{address} can be opened by {}", user())),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Somebody is there: what came of asking, and what a start would say.
fn listened(address: &Address, asked: Result<Status, ToolError>, error: &ListenError) -> (Outcome, bool) {
    match asked {
        Ok(_) => (Outcome::Fine(format!("the running agent listens at {address}")), true),
        Err(silent @ (ToolError::Silent(..) | ToolError::Lost(..))) => {
            let cure = "restart the agent if it hangs, or see what else is there";
            (Outcome::Failed(format!("{silent}; {cure}")), true)
        }
        Err(stranger @ ToolError::Stranger(..)) => (Outcome::Failed(stranger.to_string()), false),
        Err(_) => (Outcome::Failed(error.to_string()), false),
    }
}

fn motion_list(path: Option<&Path>) -> Outcome {
    let Some(path) = path else { return Outcome::Fine("none (--motion_file_list)".into()) };
    let (shown, user) = (path.display(), user());
    let error = match list::try_place(path) {
        Ok(()) => return Outcome::Fine(format!("{shown} can be read by {user}")),
        Err(error) => error,
    };
    let cure = match error.kind() {
        ErrorKind::NotFound => "make it (mkfifo)",
        ErrorKind::PermissionDenied => "let the agent's user read it",
        _ => "remove what is there",
    };
    Outcome::Failed(format!(
        "expected a file or a named pipe at {shown} that {user} may read, but: {error}; {cure}, or give another \
         --motion_file_list"
    ))
}
