//! The command line.
//!
//! The options have the original's spelling, `--input_sock`, and argh takes only dashes, no `--name=value` and no
//! command left out: [`fold()`] brings the arguments into its form before it sees them. What the options mean is
//! [`config`](crate::config)'s: here they are text, so that a file can hold the same ones.

mod bundle;
mod check;
mod complaint;
mod fold;
mod run;
mod tools;

pub use bundle::Bundle;
pub use check::Check;
pub(crate) use complaint::nearest;
pub use fold::fold;
pub use run::Run;
pub use tools::{Listen, Send, Status};

use argh::{EarlyExit, FromArgs};
use complaint::{complaint, help_of, with_underscores};
use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

const NAME: &str = "cloudtalker";

/// What exit codes mean; the texts of `--help` say the same. After 64 and 78 starting again is no use until a person has
/// changed something; after 69 and 75 it may be.
pub mod exit {
    /// The agent, or something else, refused.
    pub const FAILED: u8 = 1;
    /// Wrong usage or configuration (`EX_USAGE`).
    pub const USAGE: u8 = 64;
    /// The agent does not answer, or lacks what it needs to start (`EX_UNAVAILABLE`).
    pub const UNAVAILABLE: u8 = 69;
    /// The system lacks something for the moment (`EX_TEMPFAIL`).
    pub const TEMPORARY: u8 = 75;
    /// What the configuration names is something else (`EX_CONFIG`).
    pub const CONFIG: u8 = 78;
}

/// Reads the process's arguments.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Early> {
    let args: Result<Vec<String>, OsString> = args.into_iter().skip(1).map(OsString::into_string).collect();
    let args = args.map_err(|arg| Early::Wrong {
        why: format!("expected arguments in UTF-8, but one is {arg:?}"),
        help: help_of(""),
    })?;
    let args = fold(args);
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match Line::from_args(&[NAME], &words) {
        Ok(Line { command }) if command.asks_for_version() => {
            Err(Early::Said(format!("{NAME} {}\n", env!("CARGO_PKG_VERSION"))))
        }
        Ok(Line { command }) => Ok(command),
        Err(EarlyExit { output, status: Ok(()) }) => Err(Early::Said(with_underscores(&output))),
        Err(EarlyExit { output, status: Err(()) }) => {
            Err(Early::Wrong { why: complaint(&output, &args[0]), help: help_of(&args[0]) })
        }
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
    /// Look at all that it needs.
    Check(Box<Check>),
    /// Write down what a bug report needs.
    Bundle(Box<Bundle>),
}

impl Command {
    fn asks_for_version(&self) -> bool {
        match self {
            Command::Run(run) => run.version,
            Command::Check(check) => check.run.version,
            Command::Bundle(bundle) => bundle.run.version,
            Command::Send(_) | Command::Listen(_) | Command::Status(_) => false,
        }
    }
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Early {
    /// Help or the version was asked for: the text.
    Said(String),
    /// The arguments make no sense.
    Wrong {
        /// Why not.
        why: String,
        /// What to call the program with for help.
        help: String,
    },
}

impl Early {
    /// Tells the person; what is wrong, with this before it. Nobody listening is no error.
    pub fn tell(&self, severity: &str) -> ExitCode {
        match self {
            Early::Said(text) => {
                let _ = io::stdout().write_all(text.as_bytes());
                ExitCode::SUCCESS
            }
            Early::Wrong { why, help } => {
                let _ = writeln!(io::stderr(), "{severity}{NAME}: {why}\n`{NAME} {help}` lists the options.");
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

/// Of these settings, those that were given.
fn given<const N: usize>(options: [(&'static str, &Option<String>); N]) -> Vec<(&'static str, String)> {
    options.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, wire::Trigger};
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
        assert!(matches!(parsed("status --watch"), Ok(Command::Status(Status { watch: true, .. }))));
        assert!(matches!(parsed("listen --exec ls"), Ok(Command::Listen(Listen { exec: Some(_), .. }))));
    }

    #[test]
    fn check_takes_what_run_takes() {
        let options = "--config /a.conf -e cloud/ --spool_copy --state-dir=/b";
        for (line, json) in [(format!("check {options}"), false), (format!("check --json {options}"), true)] {
            assert_eq!(
                parsed(&line),
                Ok(Command::Check(Box::new(Check { run: run(options), json }))),
                "{line}"
            );
        }
        for line in ["check -h", "check --json --help", "help check"] {
            assert!(
                matches!(parsed(line), Err(Early::Said(help)) if help.starts_with("Usage: cloudtalker check")),
                "{line}"
            );
        }
    }

    #[test]
    fn bundle_takes_what_run_takes_and_a_file_anywhere_among_it() {
        let options = "--config /a.conf -e cloud/ --spool_copy --state-dir=/b";
        for (line, file) in [
            (format!("bundle out.txt {options}"), "out.txt"),
            (format!("bundle {options} a_b"), "a_b"),
            ("bundle -e cloud/ - --config /a.conf --spool_copy --state_dir /b".to_owned(), "-"),
            (format!("bundle {options} -- --odd_name"), "--odd_name"),
        ] {
            let expected = Bundle { run: run(options), file: file.to_owned() };
            assert_eq!(parsed(&line), Ok(Command::Bundle(Box::new(expected))), "{line}");
        }
        for line in ["bundle -h", "bundle out.txt --help", "help bundle"] {
            assert!(
                matches!(parsed(line), Err(Early::Said(help)) if help.starts_with("Usage: cloudtalker bundle")),
                "{line}"
            );
        }
        assert_eq!(parsed("bundle --version"), parsed("--version"));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_meant() {
        for (line, expected) in [
            ("--input_soc x", "unknown option --input_soc: did you mean --input_sock?"),
            ("--spool-max-size=1", "unknown option --spool_max_size: did you mean --spool_max?"),
            ("status --jsn", "unknown option --jsn: did you mean --json?"),
            ("check --jsn", "unknown option --jsn: did you mean --json?"),
            ("status --wach", "unknown option --wach: did you mean --watch?"),
            ("bundle f --cret x", "unknown option --cret: did you mean --cert?"),
            (
                "bundle",
                "expected one file to write, or - for standard output: cloudtalker bundle FILE [OPTION...]",
            ),
            (
                "bundle a b",
                "expected one file to write, or - for standard output: cloudtalker bundle FILE [OPTION...]",
            ),
            ("bundl a", "expected an option or a command, but came \"bundl\": did you mean bundle?"),
            ("chek", "expected an option or a command, but came \"chek\": did you mean check?"),
            ("sned a", "expected an option or a command, but came \"sned\": did you mean send?"),
            (
                "frobnicate",
                "expected an option or a command, but came \"frobnicate\": \
                 commands are run, send, listen, status, check, bundle",
            ),
            ("--frobnicate", "unknown option --frobnicate"),
            ("run a", "expected an option, but came \"a\""),
            ("--input_sock", "--input_sock: expected a value, but none came"),
            ("send --name x a", r#"--name: expected pir or cap, but came "x""#),
            ("send --wait 1y a", r#"--wait: expected seconds, 86400 (a day) at most, but came "1y""#),
            ("--cert a --cert b", "--cert is given twice: leave one out"),
        ] {
            assert!(
                matches!(parsed(line), Err(Early::Wrong { why, .. }) if why == expected),
                "{line}: {:?}",
                parsed(line)
            );
        }
    }

    #[test]
    fn a_complaint_points_to_the_help_that_lists_what_there_is() {
        for (line, expected) in [
            ("--input_soc x", "--help"),
            ("run a", "--help"),
            ("chek", "--help"),
            ("send --nam pir a", "send --help"),
            ("status --wach", "status --help"),
            ("bundle", "bundle --help"),
        ] {
            assert!(matches!(parsed(line), Err(Early::Wrong { help, .. }) if help == expected), "{line}");
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
