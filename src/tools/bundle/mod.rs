//! `cloudtalker bundle`: what a bug report needs, as one text that a person can read through before passing it on.
//!
//! Each section is gathered by itself, whatever has become of the others: without an agent, without a configuration
//! that makes sense, as a user who may see little. Each is bounded, and so is the whole. No contents of a key,
//! certificate or configuration file are told, but for settings; `scrub.rs` says what is hidden of those and of all
//! other text.

mod facts;
mod files;
mod listing;
mod programs;
mod scrub;
mod syslog;

use super::{Address, PATIENCE, ToolError, check, status};
use crate::{
    cli,
    config::{Config, ConfigError, DEFAULT_STATE_DIR, Entry, InputConfig},
    engine::event::counted,
    wire::{shortened, utc::Utc},
};
use scrub::Scrub;
use serde_json::{Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Of each section, so that all of them stay well below a mebibyte.
const LIMIT: usize = 128 * 1024;
/// The listing is the longest.
const LISTING_LIMIT: usize = 256 * 1024;

/// Gathers and writes.
pub fn run(bundle: &cli::Bundle) -> Result<(), ToolError> {
    let mut target = Target::open(&bundle.file)?;
    let written = Gathered::of(&bundle.run).write(&mut target.out);
    match (written, target.path) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(path)) => {
            let hint = "secrets are left out, but look through it before you pass it on";
            let _ = writeln!(io::stderr(), "{} is written; {hint}", path.display());
            Ok(())
        }
        // Nobody reading it is no error.
        (Err(error), None) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        (Err(error), path) => {
            // A part of it would look like the whole.
            let _ = path.map(fs::remove_file);
            Err(ToolError::Unwritten(bundle.file.clone(), error))
        }
    }
}

/// Where it goes.
struct Target {
    out: Box<dyn Write>,
    /// Of the new file, if it is one.
    path: Option<PathBuf>,
}

impl Target {
    fn open(file: &str) -> Result<Target, ToolError> {
        if file == "-" {
            return Ok(Target { out: Box::new(io::stdout()), path: None });
        }
        match create(Path::new(file)) {
            Ok(out) => Ok(Target { out: Box::new(out), path: Some(file.into()) }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(ToolError::Taken(file.to_owned())),
            Err(error) => Err(ToolError::Unwritten(file.to_owned(), error)),
        }
    }
}

/// A new file alone: neither another one nor what a link leads to is written over.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// What the sections are made of.
struct Gathered {
    now: u64,
    entries: Result<Vec<Entry>, ConfigError>,
    config: Result<Config, String>,
    config_file: Option<PathBuf>,
    /// The agent's answer, and what it means.
    status: Result<(String, status::Status), ToolError>,
    log: Result<Vec<String>, ToolError>,
    state_dir: PathBuf,
    scrub: Scrub,
}

impl Gathered {
    fn of(run: &cli::Run) -> Gathered {
        let entries = Config::entries(run);
        let config = Config::load(run);
        let address = Address::of(match &config {
            Ok(config) => config.input.clone(),
            Err(_) => input(run),
        });
        let status = ask_status(&address);
        let log = ask_log(&address);
        let state_dir = match (&config, &status, &run.state_dir) {
            (Ok(config), ..) => config.spool.state_dir.clone(),
            (Err(_), _, Some(dir)) => dir.into(),
            (Err(_), Ok((_, status)), None) => status.spool.state_dir.clone().into(),
            (Err(_), Err(_), None) => DEFAULT_STATE_DIR.into(),
        };
        let mut scrub = Scrub::default();
        for entry in entries.iter().flatten().filter(|entry| entry.address().is_some()) {
            scrub.learn(&entry.value);
        }
        for address in [&run.endpoint, &run.upload_url].into_iter().flatten() {
            scrub.learn(address);
        }
        if let Ok((_, status)) = &status {
            scrub.learn(&status.session.endpoint);
        }
        Gathered {
            now: status::now(),
            entries,
            config: config.map_err(scrub::error),
            config_file: run.config.as_ref().map(PathBuf::from),
            status,
            log,
            state_dir,
            scrub,
        }
    }

    fn write(self, out: &mut dyn Write) -> io::Result<()> {
        let head = format!(
            "A bundle of cloudtalker {}, made {}.\nSecrets are left out. Look through it before you pass it on.\n",
            env!("CARGO_PKG_VERSION"),
            Utc(self.now)
        );
        out.write_all(head.as_bytes())?;
        let mut section = |name: &str, body: &str, limit: usize, keep: Keep| {
            let body = cut(&self.scrub.text(body), limit, keep);
            // What was found so far is there even if the next look is cut short.
            out.write_all(format!("\n== {name} ==\n\n{body}").as_bytes()).and_then(|()| out.flush())
        };
        section("system", &facts::system(), LIMIT, Keep::Beginning)?;
        section("configuration", &self.configuration(), LIMIT, Keep::Beginning)?;
        section("status", &self.status(), LIMIT, Keep::Beginning)?;
        section("log", &self.log(), LIMIT, Keep::End)?;
        let listing = listing::listing(&self.state_dir, self.now);
        section("state directory", &listing, LISTING_LIMIT, Keep::Beginning)?;
        self.say_what_is_waited_for();
        section("check", &check::text(self.config.clone()), LIMIT, Keep::Beginning)
    }

    /// A server that does not answer takes its time, and a person who waits wonders.
    fn say_what_is_waited_for(&self) {
        if let Ok(config) = self.config.as_ref()
            && io::stderr().is_terminal()
        {
            let cloud = config.endpoint.authority();
            let _ =
                writeln!(io::stderr(), "waiting for {cloud}; without an answer that takes up to a minute");
        }
    }

    fn configuration(&self) -> String {
        let mut text = match &self.config {
            Ok(_) => String::new(),
            Err(why) => format!("it is wrong: {why}\n"),
        };
        for entry in self.entries.iter().flatten() {
            let Entry { name, origin, .. } = entry;
            text += &format!("{name} = {} ({origin})\n", scrub::value(entry));
        }
        if self.entries.is_err() {
            text += "what the file says can't be told\n";
        }
        text += "\n";
        let config = self.config.as_ref().ok();
        let named = config.into_iter().flat_map(|config| {
            let sockets = [config.input.unix.as_ref(), config.pidfile.as_ref()];
            [Some(&config.cert), Some(&config.key), config.ca.as_ref()].into_iter().chain(sockets).flatten()
        });
        for path in self.config_file.iter().chain(named) {
            text += &format!("{}\n", files::facts(path, self.now));
        }
        text
    }

    fn status(&self) -> String {
        match &self.status {
            Ok((answer, status)) => format!("{}\n{answer}\n", status::table(status, self.now)),
            Err(error) => format!("{error}\n"),
        }
    }

    fn log(&self) -> String {
        match &self.log {
            Ok(lines) => scrub::log(lines.iter().map(String::as_str)),
            Err(error) => format!("{error}\n\n{}", syslog::text()),
        }
    }
}

/// Where the agent may be although its configuration makes no sense.
fn input(run: &cli::Run) -> InputConfig {
    let flags = run.settings().into_iter().filter(|(name, _)| name.starts_with("input_"));
    let flags: Vec<(&'static str, String)> = flags.collect();
    InputConfig::find(flags, run.config.as_deref())
        .or_else(|_| InputConfig::find(Vec::new(), None))
        .expect("without options it is the usual socket")
}

fn ask_status(address: &Address) -> Result<(String, status::Status), ToolError> {
    let mut connection = address.connect()?;
    let answer = status::answer(&mut connection)?;
    let status = status::parse(&answer)?;
    Ok((answer, status))
}

fn ask_log(address: &Address) -> Result<Vec<String>, ToolError> {
    let mut connection = address.connect()?;
    // An agent that does not know the question says so.
    let answer = connection.ask(&json!({"query": "log", "ack": true}), PATIENCE)?;
    let nonsense = |why: &str| ToolError::Nonsense(why.to_owned(), shortened(&answer));
    let value: Value = serde_json::from_str(&answer).map_err(|error| nonsense(&error.to_string()))?;
    let lines = value["log"].as_array().ok_or_else(|| nonsense("\"log\" is missing"))?;
    Ok(lines.iter().filter_map(|line| line.as_str().map(ToOwned::to_owned)).collect())
}

/// Which part of a section says most.
#[derive(Clone, Copy)]
enum Keep {
    Beginning,
    End,
}

/// Whole lines, as many as fit, and how much was left out.
fn cut(text: &str, limit: usize, keep: Keep) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let (kept, left_out) = match keep {
        Keep::Beginning => {
            let limit = text.floor_char_boundary(limit);
            text.split_at(text[..limit].rfind('\n').map_or(0, |at| at + 1))
        }
        Keep::End => {
            let begin = text.ceil_char_boundary(text.len() - limit);
            let begin = text[begin..].find('\n').map_or(text.len(), |at| begin + at + 1);
            let (left_out, kept) = text.split_at(begin);
            (kept, left_out)
        }
    };
    let lines = counted(left_out.lines().count() as u64, "line");
    let note = format!("[{lines}, {} bytes left out]\n", left_out.len());
    match keep {
        Keep::Beginning => format!("{kept}{note}"),
        Keep::End => format!("{note}{kept}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::PermissionsExt, process};

    #[test]
    fn a_section_is_cut_between_lines_and_says_so() {
        let text = "one\ntwo\nthree\n";
        assert_eq!(cut(text, 14, Keep::Beginning), text);
        assert_eq!(cut(text, 9, Keep::Beginning), "one\ntwo\n[1 line, 6 bytes left out]\n");
        assert_eq!(cut(text, 9, Keep::End), "[2 lines, 8 bytes left out]\nthree\n");
        assert_eq!(cut("üüüü", 3, Keep::Beginning), "[1 line, 8 bytes left out]\n");
        assert_eq!(cut("üüüü", 3, Keep::End), "[1 line, 8 bytes left out]\n");
    }

    #[test]
    fn a_file_is_new_and_its_owners_alone() {
        let path = std::env::temp_dir().join(format!("cloudtalker-bundle-{}", process::id()));
        let name = path.to_str().unwrap();
        drop(create(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let error = Target::open(name).err().unwrap();
        let expected = format!("expected to make {name}, but something is there already: give another name");
        assert_eq!((error.to_string(), error.exit_code()), (expected, 1));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert!(matches!(Target::open(name), Err(ToolError::Taken(_))), "a link leads elsewhere");
        fs::remove_file(&path).unwrap();
        assert!(matches!(Target::open("/nowhere/file"), Err(ToolError::Unwritten(..))));
    }
}
