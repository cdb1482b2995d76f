//! The command line.
//!
//! The options have the original's spelling, `--input_sock`, and argh takes only dashes, no `--name=value` and no
//! command left out: [`fold()`] brings the arguments into its form before it sees them. What the options mean is
//! [`config`](crate::config)'s: here they are text, so that a file can hold the same ones.

mod complaint;
mod fold;

pub(crate) use complaint::nearest;
pub use fold::fold;

use crate::wire::Trigger;
use argh::{EarlyExit, FromArgs};
use complaint::{complaint, with_underscores};
use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

/// Of `send`: who waits longer has something else to mend.
const MAX_WAIT: u64 = 24 * 60 * 60;

/// What exit codes mean; the texts of `--help` say the same.
pub mod exit {
    /// The agent, or something else, refused.
    pub const FAILED: u8 = 1;
    /// Wrong usage or configuration (`EX_USAGE`).
    pub const USAGE: u8 = 64;
    /// The agent does not answer, or lacks what it needs to start (`EX_UNAVAILABLE`).
    pub const UNAVAILABLE: u8 = 69;
}

/// Reads the process's arguments.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Early> {
    let args: Result<Vec<String>, OsString> = args.into_iter().skip(1).map(OsString::into_string).collect();
    let args =
        args.map_err(|arg| Early::Wrong(format!("expected arguments in UTF-8, but one is {arg:?}")))?;
    let args = fold(args);
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match Line::from_args(&[NAME], &words) {
        Ok(Line { command: Command::Run(run) }) if run.version => {
            Err(Early::Said(format!("{NAME} {}\n", env!("CARGO_PKG_VERSION"))))
        }
        Ok(Line { command }) => Ok(command),
        Err(EarlyExit { output, status: Ok(()) }) => Err(Early::Said(with_underscores(&output))),
        Err(EarlyExit { output, status: Err(()) }) => Err(Early::Wrong(complaint(&output, &args[0]))),
    }
}

/// What to do.
#[derive(FromArgs, Clone, Debug, PartialEq, Eq)]
#[argh(subcommand)]
pub enum Command {
    /// Be the agent.
    Run(Box<Run>),
    /// Hand files to the agent.
    Send(Send),
    /// Receive its commands.
    Listen(Listen),
    /// Ask how it is doing.
    Status(Status),
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Early {
    /// Help or the version was asked for: the text.
    Said(String),
    /// The arguments make no sense: why.
    Wrong(String),
}

impl Early {
    /// Tells the person. Nobody listening is no error.
    pub fn tell(&self) -> ExitCode {
        match self {
            Early::Said(text) => {
                let _ = io::stdout().write_all(text.as_bytes());
                ExitCode::SUCCESS
            }
            Early::Wrong(why) => {
                let _ = writeln!(io::stderr(), "{NAME}: {why}\n`{NAME} --help` lists the options.");
                ExitCode::from(exit::USAGE)
            }
        }
    }
}

/// Keeps a camera's captures safe until the cloud has them, and carries the cloud's commands to the camera
/// program.
#[derive(FromArgs)]
struct Line {
    #[argh(subcommand)]
    command: Command,
}

/// Keeps a camera's captures safe until the cloud has them, and carries the cloud's commands to the camera
/// program. `run` is what happens without a command.
#[derive(FromArgs, Clone, Debug, Default, PartialEq, Eq)]
#[argh(
    subcommand,
    name = "run",
    usage = "--endpoint HOST:PORT/PATH [OPTION...]",
    help_triggers("-h", "--help"),
    example = "cloudtalker -e cloud.example:8443/ -c porch.pem -k porch-key.pem --ca ca.pem
cloudtalker --config /etc/cloudtalker.conf --log_level debug",
    note = "Other commands; each has a --help of its own:
  cloudtalker send FILE...   hand video files to the running agent
  cloudtalker listen         receive the commands that the cloud gives the camera
  cloudtalker status         how the running agent is doing

Dashes and underscores in names are the same, and --name=VALUE is --name VALUE.
A configuration file has the same names without dashes, `name = value` a line,
and `#` before comments. Sizes take K, M or G. SIGHUP reads everything again;
SIGTERM ends the agent within five seconds.",
    error_code(0, "asked to stop"),
    error_code(64, "wrong usage, configuration, certificate or key"),
    error_code(69, "a socket can't be opened, or another agent has the state directory")
)]
pub struct Run {
    /// the cloud, HOST:PORT/PATH; required; the port is 443 unless given
    #[argh(option, short = 'e')]
    pub endpoint: Option<String>,
    /// this camera's certificate, PEM; cert.pem unless given
    #[argh(option, short = 'c')]
    pub cert: Option<String>,
    /// its private key, PEM, not encrypted; key.pem unless given
    #[argh(option, short = 'k')]
    pub key: Option<String>,
    /// certificates of the authority that signed the server's, PEM; else the web's
    #[argh(option)]
    pub ca: Option<String>,
    /// unix socket for captures; /run/cloudtalker/input.sock where neither it nor a port is given
    #[argh(option)]
    pub input_sock: Option<String>,
    /// who may connect to it, as chmod takes it; 0660 unless given
    #[argh(option)]
    pub input_mode: Option<String>,
    /// TCP port for captures
    #[argh(option)]
    pub input_port: Option<String>,
    /// address of that port; 127.0.0.1 unless given; beyond loopback it needs --capture_dir
    #[argh(option)]
    pub input_bind: Option<String>,
    /// file or named pipe of video files, a path a line; - is standard input
    #[argh(option)]
    pub motion_file_list: Option<String>,
    /// unix datagram socket that receives arm, disarm and capture
    #[argh(option)]
    pub cam_sock: Option<String>,
    /// or HOST:PORT that receives them by UDP
    #[argh(option)]
    pub cam_addr: Option<String>,
    /// only files beneath it are taken; repeatable
    #[argh(option)]
    pub capture_dir: Vec<String>,
    /// where captures wait for the cloud; /var/lib/cloudtalker unless given
    #[argh(option)]
    pub state_dir: Option<String>,
    /// the most that waiting captures may take; then old ones go, motion last
    #[argh(option)]
    pub spool_max: Option<String>,
    /// space to leave free beside them; 64M unless given
    #[argh(option)]
    pub min_free: Option<String>,
    /// keep copies, not links: for cameras that write into finished files
    #[argh(option)]
    pub spool_copy: Option<String>,
    /// remove the camera's own file once the cloud has the capture
    #[argh(option)]
    pub delete_uploaded: Option<String>,
    /// upload to this tus server, not to the endpoint's
    #[argh(option)]
    pub upload_url: Option<String>,
    /// upload at most this much a second
    #[argh(option)]
    pub max_rate: Option<String>,
    /// error, warn, info, debug or trace; info unless given
    #[argh(option)]
    pub log_level: Option<String>,
    /// read options from this file too; those given here win
    #[argh(option)]
    pub config: Option<String>,
    /// print the version
    #[argh(switch)]
    pub version: bool,
}

impl Run {
    /// The settings that were given, by the names that a configuration file has for them.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let single = [
            ("endpoint", &self.endpoint),
            ("cert", &self.cert),
            ("key", &self.key),
            ("ca", &self.ca),
            ("input_sock", &self.input_sock),
            ("input_mode", &self.input_mode),
            ("input_port", &self.input_port),
            ("input_bind", &self.input_bind),
            ("motion_file_list", &self.motion_file_list),
            ("cam_sock", &self.cam_sock),
            ("cam_addr", &self.cam_addr),
            ("state_dir", &self.state_dir),
            ("spool_max", &self.spool_max),
            ("min_free", &self.min_free),
            ("spool_copy", &self.spool_copy),
            ("delete_uploaded", &self.delete_uploaded),
            ("upload_url", &self.upload_url),
            ("max_rate", &self.max_rate),
            ("log_level", &self.log_level),
        ];
        let dirs = self.capture_dir.iter().map(|dir| ("capture_dir", dir.clone()));
        given(single).into_iter().chain(dirs).collect()
    }
}

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
    error_code(0, "the agent answered"),
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

const NAME: &str = "cloudtalker";

fn given<const N: usize>(options: [(&'static str, &Option<String>); N]) -> Vec<(&'static str, String)> {
    options.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use fold::TOGGLES;

    fn parsed(line: &str) -> Result<Command, Early> {
        parse(std::iter::once("cloudtalker").chain(line.split_whitespace()).map(OsString::from))
    }

    fn run(line: &str) -> Run {
        match parsed(line) {
            Ok(Command::Run(run)) => *run,
            other => panic!("expected run, not {other:?}"),
        }
    }

    #[test]
    fn every_setting_has_a_flag_in_each_spelling() {
        for name in config::NAMES {
            for spelling in [name.to_owned(), name.replace('_', "-")] {
                let expected = vec![(name, "true".to_owned())];
                assert_eq!(run(&format!("--{spelling}=true")).settings(), expected);
                if !TOGGLES.contains(&format!("--{}", name.replace('_', "-")).as_str()) {
                    assert_eq!(run(&format!("run --{spelling} true")).settings(), expected);
                }
            }
        }
        assert_eq!(run("-e a -c b -k c").settings(), run("--endpoint a --cert b --key c").settings());
        assert_eq!(run("--spool_copy --delete_uploaded").settings().len(), 2);
    }

    #[test]
    fn the_tools_have_their_options() {
        let Ok(Command::Send(send)) = parsed("send --input_port=9000 --name cap --wait 5 a b") else {
            panic!("expected send");
        };
        assert_eq!((send.name, send.wait, send.files.len()), (Some(Trigger::Request), 5, 2));
        assert_eq!(send.settings(), [("input_port", "9000".to_owned())]);
        assert!(matches!(parsed("status --json"), Ok(Command::Status(Status { json: true, .. }))));
        assert!(matches!(parsed("listen --exec ls"), Ok(Command::Listen(Listen { exec: Some(_), .. }))));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_meant() {
        for (line, expected) in [
            ("--input_soc x", "unknown option --input_soc: did you mean --input_sock?"),
            ("--spool-max-size=1", "unknown option --spool_max_size: did you mean --spool_max?"),
            ("status --jsn", "unknown option --jsn: did you mean --json?"),
            ("sned a", "expected an option or a command, but came \"sned\": did you mean send?"),
            ("run a", "expected an option, but came \"a\""),
            ("--input_sock", "--input_sock: expected a value, but none came"),
            ("send --name x a", r#"--name: expected pir or cap, but came "x""#),
            ("send --wait 1y a", r#"--wait: expected seconds, 86400 (a day) at most, but came "1y""#),
            ("--cert a --cert b", "--cert is given twice: leave one out"),
        ] {
            assert_eq!(parsed(line), Err(Early::Wrong(expected.into())), "{line}");
        }
    }

    #[test]
    fn help_lists_every_setting_as_it_is_spelt() {
        let Err(Early::Said(help)) = parsed("--help") else { panic!("expected help") };
        for name in config::NAMES {
            assert!(help.contains(&format!("--{name} ")) || help.contains(&format!("--{name}\n")), "{name}");
        }
        for line in ["-h", "help", "run --help"] {
            assert_eq!(parsed(line), Err(Early::Said(help.clone())), "{line}");
        }
    }

    #[test]
    fn the_version_is_told() {
        let expected = format!("cloudtalker {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(parsed("--version"), Err(Early::Said(expected)));
    }
}
