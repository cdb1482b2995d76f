//! The configuration of `cloudtalker-server room`: the original's, key by key.
//!
//! | key | what it is | default |
//! |---|---|---|
//! | `port` | where Socket.IO is; 0 is any free port | 5000 |
//! | `cameraSlots` | how many slots there are | 4 |
//! | `notifyPath` | where notifications go: a file or a named pipe, relative to the configuration's directory | none |
//! | `janusURL` | Janus' HTTP API, `http` or `https` | `http://localhost:8088/janus` |
//! | `janusWebSocketURL` | Janus' WebSocket API, to which our own pages come by `/janus`; not the original's key | `ws://localhost:8188` |
//! | `janusRoom` | the room's number in Janus | 1000 |
//! | `janusRoomSecret` | what administers it there | `default` |
//! | `janusRoomPin` | what senders and receivers need there | none |
//! | `janusBitrate` | what a sender may send unless it is told otherwise, in bit/s; 0 is no limit | 128000 |
//! | `janusAdminKey` | what Janus wants of those who make rooms | none |
//!
//! They stand in the JSON file that `CONFIG_PATH` names, and each may also be an environment variable,
//! `CVH_CAMERA_CONFIG_port` for instance, which wins.

use super::{
    door::{Upstream, UpstreamError},
    janus::JanusUrl,
    words::Secret,
};
use serde_json::{Map, Value};
use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
};

/// The variable that names the file.
const PATH_VARIABLE: &str = "CONFIG_PATH";
/// What a key's variable begins with.
const PREFIX: &str = "CVH_CAMERA_CONFIG_";
/// More senders than Janus can serve in one room.
const SLOTS_MAX: u64 = 1000;
/// Numbers of rooms are JavaScript's: no whole number beyond is exact.
const ROOM_MAX: u64 = (1 << 53) - 1;

/// What the owner decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where Socket.IO is.
    pub port: u16,
    /// How many slots there are.
    pub slots: usize,
    /// Where notifications go.
    pub notify_path: Option<PathBuf>,
    /// Janus' HTTP API.
    pub janus_url: JanusUrl,
    /// Janus' WebSocket API.
    pub janus_web_socket: Upstream,
    /// The room's number in Janus.
    pub room: u64,
    /// What administers it there.
    pub secret: Secret,
    /// What senders and receivers need there.
    pub pin: Option<Secret>,
    /// Bit/s that a sender may send unless it is told otherwise; 0 is no limit.
    pub bitrate: u64,
    /// What Janus wants of those who make rooms.
    pub admin_key: Option<Secret>,
}

/// What is wrong with a configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The file can't be read.
    File(PathBuf, io::Error),
    /// The file is no JSON object.
    Json(PathBuf, String),
    /// A value is not what was expected.
    Value {
        /// Where it stands.
        from: String,
        /// What was expected, and what came.
        why: String,
    },
}

impl Config {
    /// Reads the configuration that the environment names. Keys that nobody knows are told to `unknown`.
    pub fn read(
        environment: impl Iterator<Item = (OsString, OsString)>,
        unknown: impl FnMut(&str),
    ) -> Result<Config, ConfigError> {
        let (mut path, mut variables) = (None, Map::new());
        for (name, value) in environment {
            let Some(name) = name.to_str() else { continue };
            if name == PATH_VARIABLE && !value.is_empty() {
                path = Some(PathBuf::from(value));
            } else if let Some(key) = name.strip_prefix(PREFIX) {
                let value = value.into_string().map_err(|_| ConfigError::Value {
                    from: name.to_owned(),
                    why: "expected text in UTF-8".into(),
                })?;
                variables.insert(key.to_owned(), Value::String(value));
            }
        }
        let (values, dir) = match &path {
            Some(path) => (object(path)?, path.parent().unwrap_or(Path::new("")).to_owned()),
            None => (Map::new(), PathBuf::new()),
        };
        Config::of(&Keys { path, values, variables }, &dir, unknown)
    }

    fn of(keys: &Keys, dir: &Path, mut unknown: impl FnMut(&str)) -> Result<Config, ConfigError> {
        keys.values
            .keys()
            .chain(keys.variables.keys())
            .filter(|key| !KEYS.contains(&key.as_str()))
            .for_each(|key| unknown(key));
        let notify_path = keys.text("notifyPath", "")?;
        let secret = |text: String| (!text.is_empty()).then(|| Secret::of(&text));
        Ok(Config {
            port: keys.number("port", 5000, 0, u16::MAX.into())? as u16,
            slots: keys.number("cameraSlots", 4, 1, SLOTS_MAX)? as usize,
            notify_path: (!notify_path.is_empty()).then(|| dir.join(notify_path)),
            janus_url: keys.url("janusURL", "http://localhost:8088/janus")?,
            janus_web_socket: keys.web_socket("janusWebSocketURL")?,
            room: keys.number("janusRoom", 1000, 1, ROOM_MAX)?,
            secret: Secret::of(&keys.text("janusRoomSecret", "default")?),
            pin: secret(keys.text("janusRoomPin", "")?),
            bitrate: keys.number("janusBitrate", 128_000, 0, u32::MAX.into())?,
            admin_key: secret(keys.text("janusAdminKey", "")?),
        })
    }
}

const KEYS: [&str; 10] = [
    "port",
    "cameraSlots",
    "notifyPath",
    "janusURL",
    "janusWebSocketURL",
    "janusRoom",
    "janusRoomSecret",
    "janusRoomPin",
    "janusBitrate",
    "janusAdminKey",
];

/// All that was given.
struct Keys {
    path: Option<PathBuf>,
    values: Map<String, Value>,
    variables: Map<String, Value>,
}

impl Keys {
    fn number(&self, key: &str, default: u64, least: u64, most: u64) -> Result<u64, ConfigError> {
        let Some((from, value)) = self.find(key) else { return Ok(default) };
        let number = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number.filter(|number| (least..=most).contains(number)).ok_or_else(|| ConfigError::Value {
            from,
            why: format!("expected a number from {least} to {most}, but came {value}"),
        })
    }

    /// Only text that is no secret may come back in an error.
    fn text(&self, key: &str, default: &str) -> Result<String, ConfigError> {
        let Some((from, value)) = self.find(key) else { return Ok(default.to_owned()) };
        match value {
            Value::String(text) => Ok(text.clone()),
            // A pin that looks like a number.
            Value::Number(number) => Ok(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(ConfigError::Value { from, why: "expected text, but came something else".into() })
            }
        }
    }

    fn url(&self, key: &str, default: &str) -> Result<JanusUrl, ConfigError> {
        let url = self.text(key, default)?.parse();
        let from = || self.find(key).map_or_else(|| key.to_owned(), |(from, _)| from);
        url.map_err(|why| ConfigError::Value { from: from(), why })
    }

    fn web_socket(&self, key: &str) -> Result<Upstream, ConfigError> {
        let Some((from, _)) = self.find(key) else { return Ok(Upstream::default()) };
        let upstream = self.text(key, "")?.parse();
        upstream.map_err(|error: UpstreamError| ConfigError::Value { from, why: error.to_string() })
    }

    /// A key's value, and where it stands.
    fn find(&self, key: &str) -> Option<(String, &Value)> {
        if let Some(value) = self.variables.get(key) {
            return Some((format!("{PREFIX}{key}"), value));
        }
        let path = self.path.as_ref()?;
        self.values.get(key).map(|value| (format!("{}: {key}", path.display()), value))
    }
}

fn object(path: &Path) -> Result<Map<String, Value>, ConfigError> {
    let text = std::fs::read(path).map_err(|error| ConfigError::File(path.to_owned(), error))?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err(ConfigError::Json(path.to_owned(), "something else is in it".into())),
        Err(error) => Err(ConfigError::Json(path.to_owned(), error.to_string())),
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::File(path, error) => {
                write!(f, "{PATH_VARIABLE}: {} can't be read: {error}", path.display())
            }
            ConfigError::Json(path, why) => write!(f, "{}: expected a JSON object: {why}", path.display()),
            ConfigError::Value { from, why } => write!(f, "{from}: {why}"),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::read(variables, |key| panic!("{key} is unknown"))
    }

    #[test]
    fn without_a_word_it_is_the_originals() {
        let config = read(&[("PATH", "/bin"), ("CONFIG_PATH", "")]).unwrap();
        assert_eq!((config.port, config.slots, config.notify_path), (5000, 4, None));
        assert_eq!(config.janus_url, "http://localhost:8088/janus".parse().unwrap());
        assert_eq!(config.room, 1000);
        assert_eq!(config.secret, Secret::of("default"));
        assert_eq!(config.bitrate, 128_000);
        assert!(config.pin.is_none() && config.admin_key.is_none());
    }

    #[test]
    fn variables_win_over_the_file_beside_which_notifications_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let file = r#"{"port": 5001, "cameraSlots": "6", "notifyPath": "pipe", "janusRoom": 1001, "janusRoomPin": 1234}"#;
        std::fs::write(&path, file).unwrap();
        let path = path.to_str().unwrap();
        let config = read(&[("CONFIG_PATH", path), ("CVH_CAMERA_CONFIG_port", "5002")]).unwrap();
        assert_eq!((config.port, config.slots, config.room), (5002, 6, 1001));
        assert_eq!(config.notify_path, Some(dir.path().join("pipe")));
        assert_eq!(config.pin, Some(Secret::of("1234")));
        let config = read(&[("CONFIG_PATH", path), ("CVH_CAMERA_CONFIG_notifyPath", "/run/pipe")]).unwrap();
        assert_eq!(config.notify_path, Some("/run/pipe".into()));
    }

    #[test]
    fn a_wrong_value_is_named_and_no_secret_told() {
        for (key, value, why) in [
            (
                "port",
                "70000",
                "CVH_CAMERA_CONFIG_port: expected a number from 0 to 65535, but came \"70000\"",
            ),
            ("port", "", "expected a number"),
            ("cameraSlots", "0", "expected a number from 1 to 1000"),
            ("cameraSlots", "-1", "expected a number from 1 to 1000"),
            ("janusRoom", "lecture", "but came \"lecture\""),
            ("janusURL", "ws://localhost/janus", "janusURL: expected http://HOST:PORT/PATH"),
            ("janusWebSocketURL", "http://localhost", "janusWebSocketURL: expected ws://HOST:PORT"),
            ("janusBitrate", "1e6", "but came \"1e6\""),
        ] {
            let error = read(&[(&format!("{PREFIX}{key}"), value)]).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        for (file, why) in [
            ("", "expected a JSON object"),
            ("[]", "expected a JSON object"),
            (r#"{"janusRoomSecret": ["s3cret"]}"#, "janusRoomSecret: expected text"),
        ] {
            std::fs::write(&path, file).unwrap();
            let error = read(&[("CONFIG_PATH", path.to_str().unwrap())]).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("s3cret"), "{error}");
        }
        let error = read(&[("CONFIG_PATH", "/nowhere/config.json")]).unwrap_err().to_string();
        assert!(error.contains("CONFIG_PATH: /nowhere/config.json can't be read"), "{error}");
    }

    #[test]
    fn a_key_that_nobody_knows_is_told() {
        let mut unknown = Vec::new();
        let variable = (OsString::from("CVH_CAMERA_CONFIG_prot"), OsString::from("5000"));
        Config::read(std::iter::once(variable), |key| unknown.push(key.to_owned())).unwrap();
        assert_eq!(unknown, ["prot"]);
    }
}
