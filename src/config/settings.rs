//! Settings as text, each with the place that it came from.

use super::{NAMES, value};
use crate::cli;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// The one setting that may stand several times.
const REPEATABLE: &str = "capture_dir";
/// Settings that exclude each other: a flag for one puts the file's other aside.
const EITHER: [&str; 2] = ["cam_sock", "cam_addr"];

/// A setting as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// The text.
    pub value: String,
    /// Where it was written.
    pub place: Place,
}

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
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
    NoPair(Place, String),
    /// A line of it names nothing that can be set.
    UnknownName(Place, String),
    /// A line of it sets what an earlier one sets.
    Repeated(Setting, Place),
    /// A setting's text is not what it should be: what that is.
    Value(Setting, &'static str),
    /// Two settings exclude each other.
    Both(Box<[Setting; 2]>),
    /// Nothing says where the cloud is.
    NoEndpoint,
    /// An address for a port that is not open.
    BindWithoutPort(Setting),
    /// Anyone on the network could have any file of the board uploaded.
    OpenBind(Setting),
}

/// All settings that count.
#[derive(Debug)]
pub(super) struct Settings(Vec<Setting>);

impl Settings {
    /// The flags, and what they leave to the file.
    pub(super) fn gather(
        flags: Vec<(&'static str, String)>,
        file: Option<&Path>,
    ) -> Result<Settings, ConfigError> {
        let mut settings: Vec<Setting> =
            flags.into_iter().map(|(name, value)| Setting { name, value, place: Place::Flag }).collect();
        let Some(file) = file else { return Ok(Settings(settings)) };
        let text = fs::read_to_string(file).map_err(|error| ConfigError::Unreadable(file.into(), error))?;
        let mut lines = read_lines(file, &text)?;
        lines.retain(|line| !settings.iter().any(|flag| is_overruled(line.name, flag.name)));
        settings.append(&mut lines);
        Ok(Settings(settings))
    }

    pub(super) fn find(&self, name: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.name == name)
    }

    /// One setting's meaning. `expected` says what its text should be.
    pub(super) fn parse<T>(
        &self,
        name: &str,
        expected: &'static str,
        parser: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        Ok(self.parse_all(name, expected, parser)?.into_iter().next())
    }

    pub(super) fn parse_all<T>(
        &self,
        name: &str,
        expected: &'static str,
        parser: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ConfigError> {
        debug_assert!(NAMES.contains(&name), "{name} is no setting");
        let settings = self.0.iter().filter(|setting| setting.name == name);
        settings
            .map(|setting| {
                parser(&setting.value).ok_or_else(|| ConfigError::Value(setting.clone(), expected))
            })
            .collect()
    }

    pub(super) fn path(&self, name: &str) -> Result<Option<PathBuf>, ConfigError> {
        self.parse(name, "a path", value::path)
    }
}

fn is_overruled(line: &str, flag: &str) -> bool {
    line == flag || EITHER.contains(&line) && EITHER.contains(&flag)
}

fn read_lines(file: &Path, text: &str) -> Result<Vec<Setting>, ConfigError> {
    let mut settings: Vec<Setting> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = Place::Line { file: file.into(), number: index + 1 };
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(ConfigError::NoPair(place, line.to_owned()));
        };
        let name = name.trim().replace('-', "_");
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else {
            return Err(ConfigError::UnknownName(place, name));
        };
        let setting = Setting { name, value: value.trim().to_owned(), place };
        match settings.iter().find(|earlier| earlier.name == name && name != REPEATABLE) {
            Some(earlier) => return Err(ConfigError::Repeated(setting, earlier.place.clone())),
            None => settings.push(setting),
        }
    }
    Ok(settings)
}

/// A `#` within a value, as in a path, begins no comment.
fn without_comment(line: &str) -> &str {
    let comment =
        line.match_indices('#').find(|(at, _)| line[..*at].chars().last().is_none_or(char::is_whitespace));
    comment.map_or(line, |(at, _)| &line[..at])
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Flag => f.write_str("the command line"),
            Place::Line { file, number } => write!(f, "{}:{number}", file.display()),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Flag => write!(f, "--{}", self.name),
            place @ Place::Line { .. } => write!(f, "{place}: {}", self.name),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unreadable(file, error) => {
                write!(f, "expected a configuration file at {}, but: {error}", file.display())
            }
            ConfigError::NoPair(place, line) => {
                write!(f, "{place}: expected name = value, but came {line:?}")
            }
            ConfigError::UnknownName(place, name) => {
                let meant = cli::nearest(name, &NAMES);
                write!(f, "{place}: unknown name {name:?}: did you mean {meant}?")
            }
            ConfigError::Repeated(setting, earlier) => {
                write!(f, "{setting} is already set at {earlier}: leave one out")
            }
            ConfigError::Value(setting, expected) => {
                write!(f, "{setting}: expected {expected}, but came {:?}", setting.value)
            }
            ConfigError::Both(settings) => {
                let [one, other] = settings.as_ref();
                write!(f, "{one} and {other} exclude each other: commands go to one place, leave one out")
            }
            ConfigError::NoEndpoint => {
                write!(f, "expected the cloud's address: give --endpoint HOST:PORT/PATH")
            }
            ConfigError::BindWithoutPort(setting) => {
                write!(f, "{setting} has no port to open: give --input_port too")
            }
            ConfigError::OpenBind(setting) => write!(
                f,
                "{setting}: {} is open to the network, and anyone there could have any file of this board \
                 uploaded: give --capture_dir DIR, or bind to 127.0.0.1",
                setting.value
            ),
        }
    }
}

impl std::error::Error for ConfigError {}
