//! The options of `bundle`: a file, and the agent's own options, whatever they are.

use super::{Run, fold::BARE};
use argh::{CommandInfo, EarlyExit, FromArgs, SubCommand};

const HELP: &str = "\
Usage: cloudtalker bundle FILE [OPTION...]

Writes a text for a bug report: versions, configuration, the running agent's status and last log lines, what lies in
the state directory, and what `check` says. Keys, passwords, and the paths and queries of URLs are left out.

Positional Arguments:
  file              a new file, which only you may read; - is standard output

Options:
  -h, --help        display usage information
  and all of the agent's, as `cloudtalker run --help` lists them

Examples:
  cloudtalker bundle /tmp/porch.txt --config /etc/cloudtalker.conf

Error codes:
  0 it is written, whatever is wrong with the agent
  1 it can't be written
  64 wrong usage
";

/// Writes down what `run` would use, and how that is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The agent's options.
    pub run: Run,
    /// Where to; `-` is standard output.
    pub file: String,
}

// By hand, because argh's derivation can't have one struct's options in another one.
impl FromArgs for Bundle {
    fn from_args(command_name: &[&str], args: &[&str]) -> Result<Bundle, EarlyExit> {
        let (mut run, mut files) = (Vec::new(), Vec::new());
        let mut args = args.iter().copied();
        while let Some(arg) = args.next() {
            match arg {
                "-h" | "--help" => return Err(EarlyExit { output: HELP.to_owned(), status: Ok(()) }),
                "--" => files.extend(args.by_ref()),
                "-" => files.push(arg),
                // Arguments come folded: a value is the argument after its option.
                option if option.starts_with('-') => {
                    run.push(option);
                    if !BARE.contains(&option) {
                        run.extend(args.next());
                    }
                }
                file => files.push(file),
            }
        }
        let run = Run::from_args(command_name, &run)?;
        match files[..] {
            [file] => Ok(Bundle { run, file: file.to_owned() }),
            // The version is told without one.
            [] if run.version => Ok(Bundle { run, file: String::new() }),
            _ => {
                let output = "expected one file to write, or - for standard output: cloudtalker bundle FILE [OPTION...]";
                Err(EarlyExit { output: output.to_owned(), status: Err(()) })
            }
        }
    }
}

impl SubCommand for Bundle {
    const COMMAND: &'static CommandInfo =
        &CommandInfo { name: "bundle", short: &'\0', description: "Writes a text for a bug report." };
}
