//! Settings as text, each with its origin.

use super::{NAMES, address::Address, value};
use crate::cli;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// The one setting that may stand several times.
const REPEATABLE: &str = "capture_dir";
/// Settings that exclude each other: a flag for one puts the file's other aside.
const EITHER: [&str; 2] = ["cam_sock", "cam_addr"];

/// Settings that are addresses of servers: who is let in there may depend on their user, path or query.
const ADDRESSES: [&str; 2] = ["endpoint", "upload_url"];

/// A setting as it was written: a flag, or a line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// The text.
    pub value: String,
    /// Where it was written.
    pub origin: Origin,
}

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag,
    /// In a configuration file.
    Line {
        /// The file.
        file: PathBuf,
        /// The first is 1.
        number: usize,
    },
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The configuration file can't be read.
    Unreadable(PathBuf, io::Error),
    /// A line of it is no `name = value`.
    NoPair(Origin, String),
    /// A line of it names nothing that can be set.
    UnknownName(Origin, String),
    /// A line of it sets what an earlier one sets.
    Repeated(Entry, Origin),
    /// A setting's text is not what it should be: what that is. Of a server's address not all is told.
    Value(Entry, &'static str),
    /// Two settings exclude each other.
    Both(Box<[Entry; 2]>),
    /// Two settings name the same place.
    OnePlace([&'static str; 2], PathBuf),
    /// A value that stands in quotes, which would be part of it.
    Quoted(Entry),
    /// Nothing says where the cloud is.
    NoEndpoint,
    /// An address for a port that is not open.
    BindWithoutPort(Entry),
    /// Anyone on the network could have any file of the board uploaded.
    OpenBind(Entry),
}

impl Entry {
    /// The value as a server's address, if it is one: then not all of it may be told.
    pub fn address(&self) -> Option<Address<'_>> {
        ADDRESSES.contains(&self.name).then(|| Address::of(&self.value))
    }
}

/// All settings that count.
#[derive(Debug)]
pub(super) struct Entries(Vec<Entry>);

impl Entries {
    /// The flags, and what they leave to the file.
    pub(super) fn gather(
        flags: Vec<(&'static str, String)>,
        file: Option<&Path>,
    ) -> Result<Entries, ConfigError> {
        let Some(file) = file else { return Ok(Entries::of_flags(flags)) };
        let text = fs::read_to_string(file).map_err(|error| ConfigError::Unreadable(file.into(), error))?;
        Entries::of_text(flags, file, &text)
    }

    /// The flags, and what they leave to the text of a file.
    pub(super) fn of_text(
        flags: Vec<(&'static str, String)>,
        file: &Path,
        text: &str,
    ) -> Result<Entries, ConfigError> {
        let Entries(mut entries) = Entries::of_flags(flags);
        let mut lines = read_lines(file, text)?;
        lines.retain(|line| !entries.iter().any(|flag| is_overruled(line.name, flag.name)));
        entries.append(&mut lines);
        Ok(Entries(entries))
    }

    fn of_flags(flags: Vec<(&'static str, String)>) -> Entries {
        let flags = flags.into_iter().map(|(name, value)| Entry { name, value, origin: Origin::Flag });
        Entries(flags.collect())
    }

    pub(super) fn into_inner(self) -> Vec<Entry> {
        self.0
    }

    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.name == name)
    }

    /// One setting's meaning. `expected` says what its text should be.
    pub(super) fn parse<T>(
        &self,
        name: &str,
        expected: &'static str,
        parser: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.read(name, |text| parser(text).ok_or(expected))
    }

    /// One setting's meaning, where what is expected depends on what is wrong.
    pub(super) fn read<T>(
        &self,
        name: &str,
        parser: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, ConfigError> {
        Ok(self.read_all(name, parser)?.into_iter().next())
    }

    pub(super) fn parse_all<T>(
        &self,
        name: &str,
        expected: &'static str,
        parser: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ConfigError> {
        self.read_all(name, |text| parser(text).ok_or(expected))
    }

    fn read_all<T>(
        &self,
        name: &str,
        parser: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Result<Vec<T>, ConfigError> {
        debug_assert!(NAMES.contains(&name), "{name} is no setting");
        let entries = self.0.iter().filter(|entry| entry.name == name);
        let read = |entry: &Entry| {
            parser(&entry.value).map_err(|expected| ConfigError::Value(entry.clone(), expected))
        };
        entries.map(read).collect()
    }

    pub(super) fn path(&self, name: &str) -> Result<Option<PathBuf>, ConfigError> {
        self.parse(name, "a path", value::path)
    }
}

fn is_overruled(line: &str, flag: &str) -> bool {
    line == flag || EITHER.contains(&line) && EITHER.contains(&flag)
}

fn read_lines(file: &Path, text: &str) -> Result<Vec<Entry>, ConfigError> {
    // As some editors begin a file.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entries: Vec<Entry> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let origin = Origin::Line { file: file.into(), number: index + 1 };
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(ConfigError::NoPair(origin, line.to_owned()));
        };
        let name = name.trim().replace('-', "_");
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else {
            return Err(ConfigError::UnknownName(origin, name));
        };
        let entry = Entry { name, value: value.trim().to_owned(), origin };
        if is_quoted(&entry.value) {
            return Err(ConfigError::Quoted(entry));
        }
        match entries.iter().find(|earlier| earlier.name == name && name != REPEATABLE) {
            Some(earlier) => return Err(ConfigError::Repeated(entry, earlier.origin.clone())),
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

fn is_quoted(value: &str) -> bool {
    let within = |quote| value.strip_prefix(quote).is_some_and(|rest: &str| rest.ends_with(quote));
    within('"') || within('\'')
}

/// A `#` within a value, as in a path, begins no comment.
fn without_comment(line: &str) -> &str {
    let comment =
        line.match_indices('#').find(|(at, _)| line[..*at].chars().last().is_none_or(char::is_whitespace));
    comment.map_or(line, |(at, _)| &line[..at])
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag => f.write_str("the command line"),
            Origin::Line { file, number } => write!(f, "{}:{number}", file.display()),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Flag => write!(f, "--{}", self.name),
            origin @ Origin::Line { .. } => write!(f, "{origin}: {}", self.name),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unreadable(file, error) => {
                write!(f, "expected a configuration file at {}, but: {error}", file.display())
            }
            ConfigError::NoPair(origin, line) => {
                write!(f, "{origin}: expected name = value, but came {line:?}")
            }
            ConfigError::UnknownName(origin, name) => {
                write!(f, "{origin}: unknown name {name:?}")?;
                cli::nearest(name, &NAMES).map_or(Ok(()), |meant| write!(f, ": did you mean {meant}?"))
            }
            ConfigError::Repeated(entry, earlier) => {
                write!(f, "{entry} is already set at {earlier}: leave one out")
            }
            ConfigError::Value(entry, expected) => {
                // Whoever reads this may be no more than a log's reader.
                let shown = entry.address().map(|address| address.shown());
                write!(
                    f,
                    "{entry}: expected {expected}, but came {:?}",
                    shown.as_ref().unwrap_or(&entry.value)
                )
            }
            ConfigError::Both(entries) => {
                let [one, other] = entries.as_ref();
                write!(f, "{one} and {other} exclude each other: commands go to one place, leave one out")
            }
            ConfigError::OnePlace([one, other], path) => {
                write!(f, "--{one} and --{other} name the same file, {}: give each its own", path.display())
            }
            ConfigError::Quoted(entry) => {
                write!(f, "{entry}: expected a value as it is, but it came in quotes: leave them out")
            }
            ConfigError::NoEndpoint => {
                write!(f, "expected the cloud's address: give --endpoint HOST:PORT/PATH")
            }
            ConfigError::BindWithoutPort(entry) => {
                write!(f, "{entry} has no port to open: give --input_port too")
            }
            ConfigError::OpenBind(entry) => write!(
                f,
                "{entry}: {} is open to the network, and anyone there could have any file of this board \
                 uploaded: give --capture_dir DIR, or bind to 127.0.0.1",
                entry.value
            ),
        }
    }
}

impl std::error::Error for ConfigError {}
