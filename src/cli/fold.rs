//! Arguments as people write them, in argh's form.

/// Settings that are on or off: alone they are on, and `--name=false` overrules a configuration file.
pub(super) const TOGGLES: [&str; 2] = ["--spool-copy", "--delete-uploaded"];
/// Options that never have a value.
pub(super) const BARE: [&str; 4] = ["--help", "--version", "--json", "--watch"];
/// Short options; all of these have a value.
const SHORT: [&str; 3] = ["-c", "-e", "-k"];

/// Brings arguments (without the program's name) into argh's form: dashes in option names, the value an argument
/// of its own, the command always there. Values stay as they are, whatever they look like.
pub fn fold(args: Vec<String>) -> Vec<String> {
    let mut args = args.into_iter().peekable();
    let mut folded = Vec::new();
    match args.peek().map(String::as_str) {
        Some("help") => return vec![args.nth(1).unwrap_or_else(|| "run".into()), "--help".into()],
        Some(first) if !first.starts_with('-') => folded.extend(args.next()),
        Some(_) | None => folded.push("run".into()),
    }
    while let Some(arg) = args.next() {
        if arg == "--" {
            folded.push(arg);
            break;
        }
        if !arg.starts_with("--") {
            let value = if SHORT.contains(&arg.as_str()) { args.next() } else { None };
            folded.push(arg);
            folded.extend(value);
            continue;
        }
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        let name = name.replace('_', "-");
        let value = match value {
            None if TOGGLES.contains(&name.as_str()) => Some("true".to_owned()),
            None if BARE.contains(&name.as_str()) => None,
            None => args.next(),
            Some(value) => Some(value),
        };
        folded.push(name);
        folded.extend(value);
    }
    folded.extend(args);
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(line: &str) -> String {
        fold(line.split_whitespace().map(str::to_owned).collect()).join(" ")
    }

    #[test]
    fn the_command_may_be_left_out() {
        for (line, expected) in [
            ("", "run"),
            ("-c a", "run -c a"),
            ("--cert a", "run --cert a"),
            ("run --cert a", "run --cert a"),
            ("send --json", "send --json"),
            ("help", "run --help"),
            ("help send", "send --help"),
        ] {
            assert_eq!(folded(line), expected, "{line}");
        }
    }

    #[test]
    fn names_are_folded_and_values_are_not() {
        for (line, expected) in [
            ("--input_sock /a_b", "run --input-sock /a_b"),
            ("--input_sock=/a_b=c", "run --input-sock /a_b=c"),
            ("--input-sock=", "run --input-sock "),
            ("--state_dir --odd_name --cam_sock s", "run --state-dir --odd_name --cam-sock s"),
            ("-c --a_b --spool_copy --cert x_y", "run -c --a_b --spool-copy true --cert x_y"),
            ("--spool_copy=false -k k_", "run --spool-copy false -k k_"),
            ("status --json --input_port 1", "status --json --input-port 1"),
            ("send a_b -- --c_d=e", "send a_b -- --c_d=e"),
        ] {
            assert_eq!(folded(line), expected, "{line}");
        }
    }
}
