//! The server's process: `cloudtalker-server room`, and what the kernel knows of it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A server that runs, and ends with this.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Megabytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All that is resident.
    pub(crate) resident: f64,
    /// Of that, what no file backs.
    pub(crate) own: f64,
}

impl Process {
    /// Starts it, as it comes but for ports. Its Janus is not there: nothing that is measured waits for it.
    pub(crate) fn start(slots: usize) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloudtalker-server"));
        command.args(["room", "--bind", "127.0.0.1", "--log-level", "error"]);
        for (key, value) in
            [("port", "0"), ("cameraSlots", &slots.to_string()), ("janusURL", "http://127.0.0.1:9/janus")]
        {
            command.env(format!("CVH_CAMERA_CONFIG_{key}"), value);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("room: http://").and_then(|rest| rest.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("expected the room's address, but came {line:?}"));
        Process { address: address.parse().unwrap(), child }
    }

    /// Gives an order, as a controller does.
    pub(crate) fn order(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// What it has at the moment.
    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let megabytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1e3
        };
        Memory { resident: megabytes("VmRSS:"), own: megabytes("RssAnon:") }
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let spent = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse().ok()
        });
        spent.map(Duration::from_nanos).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
