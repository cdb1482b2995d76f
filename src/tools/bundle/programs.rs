//! What other programs say.

use std::{
    io::{self, Read},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// A program's output, so many bytes at most, as far as it has come within this time. It is ended then.
pub fn output(program: &[&str], bytes: u64, patience: Duration) -> io::Result<String> {
    let [name, arguments @ ..] = program else { unreachable!("a program has a name") };
    let mut child = Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = child.stdout.take().expect("it is piped").take(bytes);
    let (chunks, told) = mpsc::channel();
    // Reading waits: for a program that says nothing, and for whoever it has left its output to.
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = out.read(&mut chunk) {
            if chunks.send(chunk[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + patience;
    let mut text = Vec::new();
    while let Ok(chunk) = told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        text.extend(chunk);
    }
    // It may have ended already.
    let _ = child.kill();
    child.wait()?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    /// Nobody waits for it: what it is set against has ended before, or never does.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_program_says_is_taken_up_to_a_limit() {
        assert_eq!(output(&["sh", "-c", "echo one; echo two >&2; exit 1"], 100, LONG).unwrap(), "one\n");
        assert_eq!(output(&["yes"], 5, LONG).unwrap(), "y\ny\ny");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let patience = Duration::from_millis(200);
        assert_eq!(output(&["sh", "-c", "exec sleep 3600"], 100, patience).unwrap(), "");
        // The one that it has left behind keeps its output open.
        assert_eq!(output(&["sh", "-c", "sleep 1 & wait"], 100, patience).unwrap(), "");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = output(&["/nowhere/journalctl"], 100, LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
