//! `cloudtalker send`: files to the running agent, as one capture, until they are safe with it.
//!
//! One file at a time, each with its ack, so that what a lost connection leaves open is one file at most. That one
//! is sent again; the agent knows a file that it has.

use super::{Address, ToolError};
use crate::{cli, wire::Trigger};
use serde_json::{Value, json};
use std::{
    path, thread,
    time::{Duration, Instant},
};

/// Sends, and waits for every ack.
pub fn run(send: &cli::Send) -> Result<(), ToolError> {
    if send.files.is_empty() {
        return Err(ToolError::Usage("expected files to send: cloudtalker send FILE..."));
    }
    let address = Address::find(send.settings(), send.config.as_deref())?;
    // An answer takes some time even where the agent need not be waited for.
    let patience = Duration::from_secs(send.wait.max(1));
    let mut deadline = Instant::now() + Duration::from_secs(send.wait);
    let mut capture = Capture { trigger: send.name, ..Capture::default() };
    let mut files = send.files.iter().peekable();
    while files.peek().is_some() {
        let mut connection = address.connect_by(deadline)?;
        while let Some(file) = files.peek() {
            let answer = match connection.ask(&capture.message(file)?, patience) {
                Err(ToolError::Lost(address, error)) if Instant::now() < deadline => {
                    log::info!("the agent at {address} ended the connection ({error}): trying again");
                    thread::sleep(super::RETRY);
                    break;
                }
                answer => answer?,
            };
            capture.take(file, &answer)?;
            files.next();
            deadline = Instant::now() + patience;
        }
    }
    match capture.refused {
        refused if refused.is_empty() => Ok(()),
        refused => Err(ToolError::Refused(refused)),
    }
}

/// What is known of the capture that the files make.
#[derive(Debug, Default)]
struct Capture {
    /// What made the camera record, where the files' names don't tell it.
    trigger: Option<Trigger>,
    /// The time that the agent gave the capture.
    timestamp: Option<u64>,
    taken: u32,
    refused: Vec<(String, String)>,
}

impl Capture {
    fn message(&self, file: &str) -> Result<Value, ToolError> {
        let path = path::absolute(file).ok().and_then(|path| path.into_os_string().into_string().ok());
        let path = path.ok_or(ToolError::Usage("expected files whose whole path is in UTF-8"))?;
        let mut message = json!({"segment": path, "ack": true});
        if let Some(trigger) = self.trigger {
            message["trigger"] = json!(trigger);
            message["seg_no"] = json!(self.taken);
            if let Some(timestamp) = self.timestamp {
                message["trigger_timestamp"] = json!(timestamp);
            }
        }
        Ok(message)
    }

    fn take(&mut self, file: &str, answer: &str) -> Result<(), ToolError> {
        let nonsense = |why: &str| ToolError::Nonsense(why.to_owned(), answer.to_owned());
        let reply: Value = serde_json::from_str(answer).map_err(|error| nonsense(&error.to_string()))?;
        match reply["ok"].as_bool() {
            Some(true) => {
                self.taken += 1;
                self.timestamp = self.timestamp.or(reply["trigger_timestamp"].as_u64());
            }
            Some(false) => {
                let why = reply["error"].as_str().unwrap_or("it does not say why");
                self.refused.push((file.to_owned(), why.to_owned()));
            }
            None => return Err(nonsense("\"ok\" is missing")),
        }
        Ok(())
    }
}
