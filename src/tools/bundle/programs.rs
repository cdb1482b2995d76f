//! What other programs say.

use std::{
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// Of what it says of its failure.
const LONGEST_ERROR: u64 = 300;
/// Between looks whether it has ended.
const GLANCE: Duration = Duration::from_millis(10);

/// What a program has said.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// On standard output.
    pub text: String,
    /// Why that may not be all: how it failed, or that it was ended.
    pub trouble: Option<String>,
}

/// Runs a program, within this time, and takes so many bytes of what it says. Nothing is waited for any longer: not even its
/// end, where it is in a call that hangs.
pub fn said(program: &[&str], bytes: u64, patience: Duration) -> io::Result<Said> {
    let deadline = Instant::now() + patience;
    let [name, arguments @ ..] = program else { unreachable!("a program has a name") };
    let mut child = Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let heard = hear(&mut child, bytes, deadline);
    let ended = end_by(deadline, &mut child);
    let (text, error) = heard?;
    let trouble = match ended {
        Some(status) if status.success() || text.len() as u64 == bytes => None,
        Some(status) => Some(format!("{status}: {}", error.lines().next().unwrap_or_default())),
        None => Some(format!("it did not end within {:.0} s", patience.as_secs_f64().ceil())),
    };
    Ok(Said { text, trouble })
}

/// Both of its outputs.
fn hear(child: &mut Child, bytes: u64, deadline: Instant) -> io::Result<(String, String)> {
    let (out, err) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is, too"));
    let (text, error) = (gather(out.take(bytes))?, gather(err.take(LONGEST_ERROR))?);
    Ok((all_by(deadline, &text), all_by(deadline, &error)))
}

/// Reading waits: for a program that says nothing, and for whoever it has left its output to.
fn gather(mut stream: impl Read + Send + 'static) -> io::Result<Receiver<Vec<u8>>> {
    let (chunks, gathered) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut chunk) {
            if chunks.send(chunk[..length].to_vec()).is_err() {
                return;
            }
        }
    })?;
    Ok(gathered)
}

fn all_by(deadline: Instant, chunks: &Receiver<Vec<u8>>) -> String {
    let mut bytes = Vec::new();
    while let Ok(chunk) = chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        bytes.extend(chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How it ended, if it did; else it is killed.
fn end_by(deadline: Instant, child: &mut Child) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(GLANCE),
            Ok(None) | Err(_) => {
                // It may have ended by now.
                let _ = child.kill();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    /// Nobody waits for it: what it is set against has ended before, or never does.
    const LONG: Duration = Duration::from_secs(60);
    /// In which a busy machine starts a shell.
    const SHORT: Duration = Duration::from_millis(900);

    fn shell(script: &str, bytes: u64, patience: Duration) -> (String, Option<String>) {
        let Said { text, trouble } = said(&["sh", "-c", script], bytes, patience).unwrap();
        (text, trouble)
    }

    #[test]
    fn what_a_program_says_is_taken_up_to_a_limit() {
        assert_eq!(shell("echo one; echo two >&2", 100, LONG), ("one\n".to_owned(), None));
        assert_eq!(shell("yes", 5, LONG), ("y\ny\ny".to_owned(), None));
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let (text, trouble) = shell("echo one; echo no >&2; echo such >&2; exit 3", 100, LONG);
        assert_eq!((text.as_str(), trouble.as_deref()), ("one\n", Some("exit status: 3: no")));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let late = Some("it did not end within 1 s".to_owned());
        assert_eq!(shell("echo one; exec sleep 3600", 100, SHORT), ("one\n".to_owned(), late.clone()));
        // The one that it leaves behind keeps its output open.
        assert_eq!(shell("echo one; sleep 5 & wait", 100, SHORT), ("one\n".to_owned(), late));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = said(&["/nowhere/journalctl"], 100, LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
