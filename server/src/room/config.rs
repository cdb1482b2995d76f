//! The configuration of `cloudtalker-server room`: the original's, key by key.
//!
//! | key | what it is | default |
//! |---|---|---|
//! | `port` | where Socket.IO is; 0 is any free port | 5000 |
//! | `cameraSlots` | how many slots there are | 4 |
//! | `notifyPath` | where notifications go: a file or a named pipe, relative to the configuration's directory | none |
//! | `janusURL` | Janus' HTTP API, `http` or `https` | `http://localhost:8088/janus` |
//! | `janusWebSocketURL` | Janus' WebSocket API, `ws` or `wss`, to which our own pages come by `/janus`; not the original's key | `ws://localhost:8188` |
//! | `janusRoom` | the room's number in Janus | 1000 |
//! | `janusRoomSecret` | what administers it there | `default` |
//! | `janusRoomPin` | what senders and receivers need there | none |
//! | `janusBitrate` | what a sender may send unless it is told otherwise, in bit/s; 0 is no limit | 128000 |
//! | `janusAdminKey` | what Janus wants of those who make rooms | none |
//! | `behindProxy` | `true` where a proxy passes requests on and adds X-Forwarded-For; not the original's key | `false` |
//!
//! They stand in the JSON file that `CONFIG_PATH` names, and each may also be an environment variable,
//! `CVH_CAMERA_CONFIG_port` for instance, which wins. A value that can't be meant is as if it weren't there: an original
//! controller may give an empty one, and starts its server all the same.

use super::{Reach, door::Upstream, janus::JanusUrl, words::Secret};
use serde_json::{Map, Value};
use std::{
    ffi::OsString,
    fmt::Display,
    path::{Path, PathBuf},
    str::FromStr,
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
    /// Whether a proxy passes requests on.
    pub reach: Reach,
}

impl Config {
    /// Reads the configuration that the environment names. What can't be meant has no effect, as with the original, and is
    /// told to `complain`; so are keys that nobody knows.
    pub fn read(
        environment: impl Iterator<Item = (OsString, OsString)>,
        complain: impl FnMut(String),
    ) -> Config {
        let mut keys = Keys { path: None, values: Map::new(), variables: Map::new(), complain };
        for (name, value) in environment {
            let Some(name) = name.to_str() else { continue };
            if name == PATH_VARIABLE && !value.is_empty() {
                keys.path = Some(PathBuf::from(value));
            } else if let Some(key) = name.strip_prefix(PREFIX) {
                match value.into_string() {
                    Ok(value) => drop(keys.variables.insert(key.to_owned(), Value::String(value))),
                    Err(_) => (keys.complain)(format!("{name}: expected text in UTF-8")),
                }
            }
        }
        keys.open();
        keys.config()
    }
}

const KEYS: [&str; 11] = [
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
    "behindProxy",
];

/// All that was given.
struct Keys<F> {
    path: Option<PathBuf>,
    values: Map<String, Value>,
    variables: Map<String, Value>,
    complain: F,
}

impl<F: FnMut(String)> Keys<F> {
    /// Reads the file.
    fn open(&mut self) {
        let Some(path) = &self.path else { return };
        let why = match std::fs::read(path).map(|text| serde_json::from_slice(&text)) {
            Ok(Ok(Value::Object(values))) => return self.values = values,
            Ok(Ok(_)) => "expected a JSON object, but came something else".to_owned(),
            Ok(Err(error)) => format!("expected a JSON object: {error}"),
            Err(error) => format!("{PATH_VARIABLE} names it, but it can't be read: {error}"),
        };
        let complaint = format!("{}: {why}; nothing of it counts", path.display());
        (self.complain)(complaint);
    }

    fn config(&mut self) -> Config {
        let unknown =
            self.values.keys().chain(self.variables.keys()).filter(|key| !KEYS.contains(&key.as_str()));
        let unknown: Vec<_> = unknown.map(|key| format!("nobody knows the key {key:?}")).collect();
        unknown.into_iter().for_each(&mut self.complain);
        let beside = self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let secret = |text: String| (!text.is_empty()).then(|| Secret::of(&text));
        Config {
            port: self.number("port", 5000, 0, u16::MAX.into()) as u16,
            slots: self.number("cameraSlots", 4, 1, SLOTS_MAX) as usize,
            notify_path: self
                .text("notifyPath")
                .filter(|path| !path.is_empty())
                .map(|path| beside.join(path)),
            janus_url: self.parsed("janusURL").unwrap_or_default(),
            janus_web_socket: self.parsed("janusWebSocketURL").unwrap_or_default(),
            room: self.number("janusRoom", 1000, 1, ROOM_MAX),
            secret: Secret::of(&self.text("janusRoomSecret").unwrap_or("default".into())),
            pin: self.text("janusRoomPin").and_then(secret),
            bitrate: self.number("janusBitrate", 128_000, 0, u32::MAX.into()),
            admin_key: self.text("janusAdminKey").and_then(secret),
            reach: match self.find("behindProxy", truth).unwrap_or(false) {
                true => Reach::Proxied,
                false => Reach::Direct,
            },
        }
    }

    fn number(&mut self, key: &str, default: u64, least: u64, most: u64) -> u64 {
        let read = |value: &Value| {
            let number = whole(value).filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| format!("expected a number from {least} to {most}, but came {value}"))
        };
        self.find(key, read).unwrap_or(default)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.find(key, text)
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        self.find(key, |value| text(value)?.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// A key's value, of the variable or else of the file, wherever there is one that can be read.
    fn find<T>(&mut self, key: &str, read: impl Fn(&Value) -> Result<T, String>) -> Option<T> {
        let file = self.path.as_ref().map(|path| format!("{}: {key}", path.display())).unwrap_or_default();
        let given = [(format!("{PREFIX}{key}"), self.variables.get(key)), (file, self.values.get(key))];
        for (from, value) in given {
            match value.map(&read) {
                Some(Ok(value)) => return Some(value),
                Some(Err(why)) => (self.complain)(format!("{from}: {why}")),
                None => {}
            }
        }
        None
    }
}

/// A whole number, also as programs write it that know no others than floating ones: `5e5` in JSON, `500000.0` as text.
fn whole(value: &Value) -> Option<u64> {
    /// From here on not every whole number is one of these.
    const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            let number = number.as_f64()?;
            (number.fract() == 0.0 && (0.0..EXACT).contains(&number)).then_some(number as u64)
        }),
        Value::String(text) => {
            let text = text.trim();
            let is_nothing =
                |fraction: &str| !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0');
            let digits = text.split_once('.').filter(|(_, fraction)| is_nothing(fraction));
            digits.map_or(text, |(digits, _)| digits).parse().ok()
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Also as a variable holds it.
fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.trim() == "true" => Ok(true),
        Value::String(text) if text.trim() == "false" => Ok(false),
        other => Err(format!("expected true or false, but came {other}")),
    }
}

/// A complaint may not repeat what may be a secret.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        // A pin that looks like a number.
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err("expected text, but came something else".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what was complained of.
    fn read(variables: &[(&str, &str)]) -> (Config, Vec<String>) {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut complaints = Vec::new();
        (Config::read(variables, |complaint| complaints.push(complaint)), complaints)
    }

    #[test]
    fn without_a_word_it_is_the_originals() {
        let (config, complaints) = read(&[("PATH", "/bin"), ("CONFIG_PATH", "")]);
        assert_eq!(complaints, [""; 0]);
        assert_eq!((config.port, config.slots, config.notify_path), (5000, 4, None));
        assert_eq!(config.janus_url, "http://localhost:8088/janus".parse().unwrap());
        assert_eq!(config.room, 1000);
        assert_eq!(config.secret, Secret::of("default"));
        assert_eq!(config.bitrate, 128_000);
        assert!(config.pin.is_none() && config.admin_key.is_none());
        assert_eq!(config.reach, Reach::Direct);
    }

    #[test]
    fn whoever_starts_it_without_options_may_say_that_a_proxy_is_before_it() {
        let (config, complaints) = read(&[("CVH_CAMERA_CONFIG_behindProxy", "true")]);
        assert_eq!((config.reach, complaints.len()), (Reach::Proxied, 0));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, r#"{"behindProxy": true}"#).unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(read(&[("CONFIG_PATH", path)]).0.reach, Reach::Proxied);
        let variables = [("CONFIG_PATH", path), ("CVH_CAMERA_CONFIG_behindProxy", "false")];
        assert_eq!(read(&variables).0.reach, Reach::Direct);
    }

    #[test]
    fn variables_win_over_the_file_beside_which_notifications_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let file = r#"{"port": 5001, "cameraSlots": "6", "notifyPath": "pipe", "janusRoom": 1001, "janusRoomPin": 1234}"#;
        std::fs::write(&path, file).unwrap();
        let path = path.to_str().unwrap();
        let (config, _) = read(&[("CONFIG_PATH", path), ("CVH_CAMERA_CONFIG_port", "5002")]);
        assert_eq!((config.port, config.slots, config.room), (5002, 6, 1001));
        assert_eq!(config.notify_path, Some(dir.path().join("pipe")));
        assert_eq!(config.pin, Some(Secret::of("1234")));
        let (config, _) = read(&[("CONFIG_PATH", path), ("CVH_CAMERA_CONFIG_notifyPath", "/run/pipe")]);
        assert_eq!(config.notify_path, Some("/run/pipe".into()));
        let (config, complaints) = read(&[("CONFIG_PATH", path), ("CVH_CAMERA_CONFIG_port", "")]);
        assert_eq!((config.port, complaints.len()), (5001, 1), "a bad variable wins over nothing");
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_floating_one() {
        let (config, complaints) = read(&[("CVH_CAMERA_CONFIG_janusBitrate", " 500000.0 ")]);
        assert_eq!((config.bitrate, complaints.len()), (500_000, 0));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, r#"{"janusBitrate": 5e5, "port": 5001.0}"#).unwrap();
        let (config, complaints) = read(&[("CONFIG_PATH", path.to_str().unwrap())]);
        assert_eq!((config.bitrate, config.port, complaints.len()), (500_000, 5001, 0));
    }

    #[test]
    fn a_wrong_value_has_no_effect_and_is_told_without_a_secret() {
        let (usual, _) = read(&[]);
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
            ("janusURL", "http://me:s3cret@localhost/janus", "janusURL: expected http://HOST:PORT/PATH"),
            ("janusWebSocketURL", "http://localhost", "janusWebSocketURL: expected ws://HOST:PORT"),
            ("janusWebSocketURL", "ws://me:s3cret@localhost", "janusWebSocketURL: expected ws://HOST:PORT"),
            ("janusBitrate", "1e6", "but came \"1e6\""),
            ("janusBitrate", "500000.5", "but came \"500000.5\""),
            ("janusBitrate", "500000.", "but came \"500000.\""),
            ("behindProxy", "yes", "expected true or false, but came \"yes\""),
            ("prot", "5000", "nobody knows the key \"prot\""),
        ] {
            let (config, complaints) = read(&[(&format!("{PREFIX}{key}"), value)]);
            assert_eq!(config, usual, "{key} {value}");
            assert!(complaints.len() == 1 && complaints[0].contains(why), "{complaints:?}");
            assert!(!complaints[0].contains("s3cret"), "{complaints:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        for (file, why) in [
            ("", "expected a JSON object"),
            ("[]", "expected a JSON object"),
            (r#"{"janusRoomSecret": ["s3cret"]}"#, "janusRoomSecret: expected text"),
        ] {
            std::fs::write(&path, file).unwrap();
            let (config, complaints) = read(&[("CONFIG_PATH", path.to_str().unwrap())]);
            assert_eq!(config, usual);
            assert!(complaints[0].contains(why) && !complaints[0].contains("s3cret"), "{complaints:?}");
        }
        for file in [r#"{"janusBitrate": 0.5}"#, r#"{"janusBitrate": -1e3}"#, r#"{"janusBitrate": 1e300}"#] {
            std::fs::write(&path, file).unwrap();
            let (config, complaints) = read(&[("CONFIG_PATH", path.to_str().unwrap())]);
            assert_eq!((config, complaints.len()), (usual.clone(), 1), "{file}");
        }
        let (config, complaints) = read(&[("CONFIG_PATH", "/nowhere/config.json")]);
        assert_eq!(config, usual);
        assert!(complaints[0].contains("/nowhere/config.json: CONFIG_PATH names it, but it can't be read"));
    }
}
