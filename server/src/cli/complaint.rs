//! Wrong arguments in this program's words.

use super::arguments::{Action, CameraAction, CapturesAction};
use argh::{CommandInfo, SubCommands};

/// A word in which more letters are wrong was hardly meant to be the command.
const NEAR: usize = 2;

/// argh's complaint about these arguments, as one line.
pub(super) fn complaint(output: &str, arguments: &[&str]) -> String {
    let output = output.trim_end();
    let listed =
        || output.lines().skip(1).map(str::trim).filter(|name| *name != "help" && !name.ends_with(':'));
    if output.starts_with("One of the following subcommands must be present:") {
        return format!("expected a command: {}", listed().collect::<Vec<_>>().join(", "));
    }
    if output.starts_with("Required ") {
        return format!("missing: {}; see --help", listed().collect::<Vec<_>>().join(", "));
    }
    if let Some(word) = output.strip_prefix("Unrecognized argument:") {
        let word = word.strip_prefix(' ').unwrap_or(word);
        return match commands_for(word, arguments) {
            Some(commands) => of_a_command(word, commands),
            None => format!("unknown argument {word:?}; see --help"),
        };
    }
    if let Some(name) = output.strip_prefix("No value provided for option '") {
        return format!("{}: expected a value, but none came", name.trim_end_matches(['\'', '.']));
    }
    of_a_value(output).unwrap_or_else(|| output.to_owned())
}

/// The commands of which one should stand in this word's place, where it stands in that of one.
fn commands_for(word: &str, arguments: &[&str]) -> Option<&'static [&'static CommandInfo]> {
    let commands = match arguments {
        [first, ..] if *first == word => Action::COMMANDS,
        ["camera", second, ..] if *second == word => CameraAction::COMMANDS,
        ["captures", second, ..] if *second == word => CapturesAction::COMMANDS,
        _ => return None,
    };
    // A known one stands there a second time.
    let is_known = commands.iter().any(|command| command.name == word);
    (!is_known && !word.starts_with('-')).then_some(commands)
}

fn of_a_command(word: &str, commands: &[&CommandInfo]) -> String {
    let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
    let near = names.iter().map(|name| (distance(word, name), name)).min();
    let meant = match near {
        Some((distance, name)) if distance <= NEAR => format!(": did you mean {name}?"),
        Some(_) | None => String::new(),
    };
    format!("expected one of the commands {}, but came {word:?}{meant}", names.join(", "))
}

/// How many letters to add, drop or change (Levenshtein). The agent has the same, of which only its wire types are shared.
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

fn of_a_value(output: &str) -> Option<String> {
    let beginnings = ["Error parsing option '", "Error parsing positional argument '"];
    let rest = beginnings.iter().find_map(|beginning| output.strip_prefix(beginning))?;
    let (name, rest) = rest.split_once("' with value '")?;
    Some(match rest.rsplit_once("': ")? {
        (_, "duplicate values provided") => format!("{name} is given twice: leave one out"),
        (_, expected) if expected.contains(", but came ") => format!("{name}: {expected}"),
        (value, expected) => format!("{name}: {expected}, but came {value:?}"),
    })
}
