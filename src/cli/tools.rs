//! The options of the tools beside the agent.

use super::given;
use crate::wire::Trigger;
use argh::FromArgs;

/// Of `send`: who waits longer has something else to mend.
const MAX_WAIT: u64 = 24 * 60 * 60;

/// Hands files to the running agent as one capture, and waits until they are safe with it. Until the cloud has their
/// capture, files may be sent again; after that they make another one.
#[derive(FromArgs, Clone, Debug, PartialEq, Eq)]
#[argh(
    subcommand,
    name = "send",
    usage = "[OPTION...] FILE...",
    help_triggers("-h", "--help"),
    example = "cloudtalker send pir.1529842538.0.mp4 pir.1529842538.1.mp4
on_movie_end cloudtalker send --name pir %f    # in motion.conf",
    error_code(0, "every file is safe with the agent"),
    error_code(1, "the agent refused one"),
    error_code(64, "wrong usage"),
    error_code(69, "the agent did not answer in time")
)]
pub struct Send {
    /// the agent's unix socket; /run/cloudtalker/input.sock unless given
    #[argh(option)]
    pub input_sock: Option<String>,
    /// or its TCP port on this machine
    #[argh(option)]
    pub input_port: Option<String>,
    /// or its configuration file
    #[argh(option)]
    pub config: Option<String>,
    /// the files' names don't tell what they are: motion (pir) or an order (cap)
    #[argh(option, from_str_fn(trigger))]
    pub name: Option<Trigger>,
    /// seconds to wait for the agent, and then for each answer; 30 unless given
    #[argh(option, default = "30", from_str_fn(wait))]
    pub wait: u64,
    /// video files, in the order of their recording
    #[argh(positional, arg_name = "file")]
    pub files: Vec<String>,
}

impl Send {
    /// The settings that say where the agent is.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        given([("input_sock", &self.input_sock), ("input_port", &self.input_port)])
    }
}

/// Receives the commands that the agent forwards, for people without a program for it: prints each as a line
/// (arm, disarm, capture), or runs a program with it.
#[derive(FromArgs, Clone, Debug, PartialEq, Eq)]
#[argh(
    subcommand,
    name = "listen",
    usage = "--cam_sock SOCKET | --cam_addr HOST:PORT [--exec COMMAND]",
    help_triggers("-h", "--help"),
    example = "cloudtalker listen --cam_sock /run/cloudtalker/camera.sock
cloudtalker listen --cam_addr 127.0.0.1:9001 --exec /usr/local/bin/on-command",
    error_code(0, "asked to stop"),
    error_code(1, "the socket can't be opened or read"),
    error_code(64, "wrong usage")
)]
pub struct Listen {
    /// unix datagram socket to receive at
    #[argh(option)]
    pub cam_sock: Option<String>,
    /// or address for UDP, HOST:PORT
    #[argh(option)]
    pub cam_addr: Option<String>,
    /// or the agent's configuration file, which names one of them
    #[argh(option)]
    pub config: Option<String>,
    /// shell command to run with each command as its argument, one at a time
    #[argh(option)]
    pub exec: Option<String>,
}

impl Listen {
    /// The settings that say where the agent sends to.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        given([("cam_sock", &self.cam_sock), ("cam_addr", &self.cam_addr)])
    }
}

/// Tells how the running agent is doing: its session, what waits for the cloud, what was lost.
#[derive(FromArgs, Clone, Debug, PartialEq, Eq)]
#[argh(
    subcommand,
    name = "status",
    usage = "[OPTION...]",
    help_triggers("-h", "--help"),
    error_code(0, "the agent answered, or --watch was asked to stop"),
    error_code(1, "its answer makes no sense"),
    error_code(64, "wrong usage"),
    error_code(69, "the agent does not answer")
)]
pub struct Status {
    /// the agent's unix socket; /run/cloudtalker/input.sock unless given
    #[argh(option)]
    pub input_sock: Option<String>,
    /// or its TCP port on this machine
    #[argh(option)]
    pub input_port: Option<String>,
    /// or its configuration file
    #[argh(option)]
    pub config: Option<String>,
    /// go on, once a second, until Ctrl-C; away from a terminal a line for each change
    #[argh(switch)]
    pub watch: bool,
    /// the answer as it came, one line of JSON
    #[argh(switch)]
    pub json: bool,
}

impl Status {
    /// The settings that say where the agent is.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        given([("input_sock", &self.input_sock), ("input_port", &self.input_port)])
    }
}

fn wait(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= MAX_WAIT);
    seconds.ok_or_else(|| format!("expected seconds, {MAX_WAIT} (a day) at most"))
}

fn trigger(name: &str) -> Result<Trigger, String> {
    match name {
        "pir" => Ok(Trigger::Pir),
        "cap" => Ok(Trigger::Request),
        _ => Err("expected pir or cap".into()),
    }
}
