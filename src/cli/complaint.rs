//! Wrong arguments in this program's words.

use crate::config;

const COMMANDS: [&str; 6] = ["run", "send", "listen", "status", "check", "bundle"];

/// argh's complaint in this program's words.
pub(super) fn complaint(output: &str, command: &str) -> String {
    let output = with_underscores(output.trim_end());
    let Some(arg) = output.strip_prefix("Unrecognized argument: ") else { return of_a_value(output) };
    if arg == command && !COMMANDS.contains(&command) {
        let meant = match nearest(arg, &COMMANDS) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("commands are {}", COMMANDS.join(", ")),
        };
        return format!("expected an option or a command, but came {arg:?}: {meant}");
    }
    let options = match command {
        "send" => vec!["input_sock", "input_port", "config", "name", "wait"],
        "listen" => vec!["cam_sock", "cam_addr", "config", "exec"],
        "status" => vec!["input_sock", "input_port", "config", "json", "watch"],
        "check" => [&config::NAMES[..], &["config", "json"]].concat(),
        "bundle" => [&config::NAMES[..], &["config"]].concat(),
        _ => config::NAMES.to_vec(),
    };
    match arg.strip_prefix("--") {
        Some(name) => {
            let name = name.replace('-', "_");
            let meant = nearest(&name, &options).map(|meant| format!(": did you mean --{meant}?"));
            format!("unknown option --{name}{}", meant.unwrap_or_default())
        }
        None => format!("expected an option, but came {arg:?}"),
    }
}

/// What argh says of an option's value.
fn of_a_value(output: String) -> String {
    if let Some(name) = output.strip_prefix("No value provided for option '") {
        return format!("{}: expected a value, but none came", name.trim_end_matches(['\'', '.']));
    }
    let parts =
        output.strip_prefix("Error parsing option '").and_then(|rest| rest.split_once("' with value '"));
    let Some((name, (value, why))) = parts.and_then(|(name, rest)| Some((name, rest.rsplit_once("': ")?)))
    else {
        return output;
    };
    match why {
        "duplicate values provided" => format!("{name} is given twice: leave one out"),
        expected => format!("{name}: {expected}, but came {value:?}"),
    }
}

/// Names as the original and configuration files spell them, where argh shows dashes.
pub(super) fn with_underscores(text: &str) -> String {
    config::NAMES.iter().filter(|name| name.contains('_')).fold(text.to_owned(), |text, name| {
        text.replace(&format!("--{}", name.replace('_', "-")), &format!("--{name}"))
    })
}

/// Whose help lists what is known.
pub(super) fn help_of(command: &str) -> String {
    match command {
        "send" | "listen" | "status" | "check" | "bundle" => format!("{command} --help"),
        _ => "--help".to_owned(),
    }
}

/// The one of `known` that a person most likely meant, if half of it is right.
pub(crate) fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let is_near = |name: &&str| 2 * distance(word, name) <= word.len().max(name.len());
    known.iter().copied().min_by_key(|name| distance(word, name)).filter(is_near)
}

/// How many letters to add, drop or change (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, left) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}
