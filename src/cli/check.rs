//! The options of `check`: the agent's own, whatever they are, and how to tell what was found.

use super::Run;
use argh::{CommandInfo, EarlyExit, FromArgs, SubCommand};

const HELP: &str = "\
Usage: cloudtalker check [OPTION...] [--json]

Looks at all that the agent needs: configuration, certificate, clock, sockets and list for captures, state directory,
camera program, pidfile, watchdog, metrics, network and cloud. One line each, with the cure where something is wrong.
It may run beside the agent; run it as the agent's user.

Options:
  --json            one line of JSON instead
  -h, --help        display usage information
  and all of the agent's, as `cloudtalker run --help` lists them

Examples:
  cloudtalker check --config /etc/cloudtalker.conf
  cloudtalker check -e cloud.example:8443/ -c porch.pem -k porch-key.pem --ca ca.pem

Error codes:
  0 nothing has failed; there may be warnings. Also of what was looked at before nobody read it any more
  1 something has failed
  64 wrong usage
";

/// Looks at what `run` would need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The agent's options.
    pub run: Run,
    /// For programs.
    pub json: bool,
}

// By hand, because argh's derivation can't have one struct's options in another one.
impl FromArgs for Check {
    fn from_args(command_name: &[&str], args: &[&str]) -> Result<Check, EarlyExit> {
        if args.iter().any(|arg| matches!(*arg, "-h" | "--help")) {
            return Err(EarlyExit { output: HELP.to_owned(), status: Ok(()) });
        }
        let (json, run): (Vec<&str>, Vec<&str>) = args.iter().copied().partition(|arg| *arg == "--json");
        Ok(Check { run: Run::from_args(command_name, &run)?, json: !json.is_empty() })
    }
}

impl SubCommand for Check {
    const COMMAND: &'static CommandInfo =
        &CommandInfo { name: "check", short: &'\0', description: "Looks at all that the agent needs." };
}
