//! Wrong arguments in this program's words.

/// argh's complaint, as one line.
pub(super) fn complaint(output: &str) -> String {
    let output = output.trim_end();
    let listed =
        || output.lines().skip(1).map(str::trim).filter(|name| *name != "help" && !name.ends_with(':'));
    if output.starts_with("One of the following subcommands must be present:") {
        return format!("expected a command: {}", listed().collect::<Vec<_>>().join(", "));
    }
    if output.starts_with("Required ") {
        return format!("missing: {}; see --help", listed().collect::<Vec<_>>().join(", "));
    }
    if let Some(word) = output.strip_prefix("Unrecognized argument: ") {
        return format!("unknown argument {word:?}; see --help");
    }
    if let Some(name) = output.strip_prefix("No value provided for option '") {
        return format!("{}: expected a value, but none came", name.trim_end_matches(['\'', '.']));
    }
    of_a_value(output).unwrap_or_else(|| output.to_owned())
}

fn of_a_value(output: &str) -> Option<String> {
    let beginnings = ["Error parsing option '", "Error parsing positional argument '"];
    let rest = beginnings.iter().find_map(|beginning| output.strip_prefix(beginning))?;
    let (name, rest) = rest.split_once("' with value '")?;
    Some(match rest.rsplit_once("': ")? {
        (_, "duplicate values provided") => format!("{name} is given twice: leave one out"),
        (value, expected) => format!("{name}: {expected}, but came {value:?}"),
    })
}
