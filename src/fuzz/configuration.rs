//! A configuration file.

use crate::{
    cli::{self, Command},
    config::{CommandTarget, Config, ConfigError, Endpoint},
    engine::{
        budget,
        rates::{self, Rate},
    },
};
use std::{ffi::OsString, path::Path};

const FILE: &str = "fuzz.conf";

/// What is taken can be worked with, and means the same on the command line; what is not says which line is wrong.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Config::of_text(&cli::Run::default(), Path::new(FILE), text) {
        Ok(config) => {
            expect_usable(&config);
            if let Some(args) = arguments(text) {
                assert_eq!(by_arguments(args.clone()).as_ref(), Some(&config), "{args:?}");
            }
        }
        Err(ConfigError::NoEndpoint) => {}
        Err(error) => assert!(error.to_string().contains(FILE), "{error}"),
    }
    // Any words are arguments, or are refused with a word to the person.
    let words = text.split(['\n', ' ']).filter(|word| !word.contains('\0'));
    if let Err(early) = cli::parse([OsString::new()].into_iter().chain(words.map(OsString::from))) {
        let (cli::Early::Said(said) | cli::Early::Wrong { why: said, .. }) = early;
        assert!(!said.is_empty());
    }
}

fn expect_usable(config: &Config) {
    let Config { endpoint, input, commands, spool, upload_url, max_rate, monthly_budget, .. } = config;
    let again = Config::of_text(&cli::Run::default(), Path::new(FILE), &format!("endpoint = {endpoint}"));
    assert_eq!(again.ok().map(|config| config.endpoint).as_ref(), Some(endpoint));
    let Endpoint { host, port, path } = endpoint;
    assert!(!host.is_empty() && *port != 0 && path.starts_with('/'), "{endpoint:?}");
    assert!(input.unix.is_some() || input.tcp.is_some(), "captures come in somewhere");
    assert!(input.mode <= 0o777);
    if let Some(tcp) = input.tcp {
        assert!(tcp.port() != 0);
        let is_open = !tcp.ip().to_canonical().is_loopback();
        assert!(!is_open || !spool.capture_dirs.is_empty(), "{tcp} is open, and any file may be had");
    }
    if let Some(CommandTarget::Udp { host, port }) = commands {
        assert!(!host.is_empty() && *port != 0);
    }
    let is_http = |url: &str| url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
    assert!(upload_url.as_deref().is_none_or(is_http), "{upload_url:?}");
    assert!((0..rates::DAY).any(|minute| max_rate.at(minute) > Rate::Nothing), "{max_rate:?}");
    assert!(monthly_budget.is_none_or(|bytes| bytes >= budget::LEAST));
    assert_ne!(spool.max, Some(0));
}

/// The lines as arguments, where no line has a comment.
fn arguments(text: &str) -> Option<Vec<String>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (name, value) = line.split_once('=').filter(|_| !line.contains('#'))?;
        Some(format!("--{}={}", name.trim(), value.trim()))
    };
    lines.map(pair).collect()
}

fn by_arguments(args: Vec<String>) -> Option<Config> {
    let args = ["cloudtalker".to_owned()].into_iter().chain(args).map(OsString::from);
    match cli::parse(args) {
        Ok(Command::Run(run)) => Config::load(&run).ok(),
        Ok(Command::Check(check)) => Config::load(&check.run).ok(),
        Ok(Command::Bundle(bundle)) => Config::load(&bundle.run).ok(),
        Ok(Command::Send(_) | Command::Listen(_) | Command::Status(_)) | Err(_) => None,
    }
}
