//! Secrets that could be in a text, and how it looks without them.
//!
//! Of a URL only the host is left: the rest may be a password. The endpoint has no scheme by which it could be found,
//! so that it is learned from those who name it. Besides, whatever looks like it is hidden: the path after a port, what
//! follows a question mark, what precedes an `@`, and what is as long or as random as a key. Lines of a configuration
//! that made no sense to the agent are in its log: they could be anything.

use crate::{
    config::{
        ConfigError, Entry,
        address::{Address, HIDDEN, shown_path},
    },
    tools::text::printable,
};

/// Of letters without any other between them: more than a digest has, and less than a key.
const KEY: usize = 100;
/// Of letters and digits without a slash: more than a name has, and less than what is left of a line of PEM.
const RANDOM: usize = 24;
/// The agent's words before what it could not make sense of (`ConfigError`).
const SENSELESS: [&str; 2] = ["expected name = value, but came ", "unknown name "];
/// Shorter texts hide nothing, and are found everywhere.
const SECRET: usize = 4;

/// What is known to be a secret, the longest first, each with what is shown instead.
#[derive(Debug, Default)]
pub struct Scrub(Vec<(String, String)>);

impl Scrub {
    /// An address that was configured, of an endpoint or of a URL.
    pub fn learn(&mut self, address: &str) {
        let address = Address::of(address);
        let Address { user, path, query, .. } = address;
        let mut learn = |secret: &str, shown: &str| {
            for secret in forms(secret) {
                if secret.len() >= SECRET && secret != shown {
                    let at = self.0.partition_point(|(known, _)| known.len() >= secret.len());
                    self.0.insert(at, (secret, shown.to_owned()));
                }
            }
        };
        learn(user, HIDDEN);
        learn(query, HIDDEN);
        learn(path, &shown_path(path));
    }

    /// A text without secrets, whose lines do nothing to a terminal.
    pub fn text(&self, text: &str) -> String {
        text.lines().map(|line| self.line(line) + "\n").collect()
    }

    fn line(&self, line: &str) -> String {
        let known = self.0.iter().fold(line.to_owned(), |line, (secret, shown)| line.replace(secret, shown));
        let is_between = |letter: char| letter.is_whitespace() || "\"'`<>".contains(letter);
        let words = known.split_inclusive(is_between).map(|piece| {
            let word = piece.trim_end_matches(is_between);
            without_secrets(word) + &piece[word.len()..]
        });
        printable(&words.collect::<String>())
    }
}

/// As texts may have it: as it is, as `check` prints it, and quoted in a message, in JSON, or in a message in JSON.
fn forms(text: &str) -> Vec<String> {
    let json = |text: &str| unquoted(&serde_json::Value::from(text).to_string());
    let quoted = unquoted(&format!("{text:?}"));
    let mut forms = vec![text.to_owned(), printable(text), json(text), json(&quoted), quoted];
    forms.dedup();
    forms
}

fn unquoted(text: &str) -> String {
    text[1..text.len() - 1].to_owned()
}

/// A setting's value, as far as it may be told.
pub fn value(entry: &Entry) -> String {
    let address = entry.address().map(|address| address.shown());
    address.unwrap_or_else(|| Scrub::default().line(&entry.value))
}

/// What is wrong with a configuration, without the text that it is about where that could be anything.
pub fn error(error: ConfigError) -> String {
    let told = match error {
        ConfigError::NoPair(origin, _) => ConfigError::NoPair(origin, HIDDEN.to_owned()),
        ConfigError::UnknownName(origin, name) if !is_name(&name) => {
            ConfigError::UnknownName(origin, HIDDEN.to_owned())
        }
        ConfigError::Value(entry, expected) => {
            let value = value(&entry);
            ConfigError::Value(Entry { value, ..entry }, expected)
        }
        error @ (ConfigError::UnknownName(..)
        | ConfigError::Unreadable(..)
        | ConfigError::Repeated(..)
        | ConfigError::Both(_)
        | ConfigError::OnePlace(..)
        | ConfigError::Quoted(_)
        | ConfigError::NoEndpoint
        | ConfigError::BindWithoutPort(_)
        | ConfigError::OpenBind(_)) => error,
    };
    told.to_string()
}

/// The agent's log, each line up to what made no sense to it.
pub fn log<'l>(lines: impl Iterator<Item = &'l str>) -> String {
    let told = |line: &str| {
        let begins = SENSELESS.iter().filter_map(|words| Some(line.find(words)? + words.len()));
        begins.min().map_or_else(|| format!("{line}\n"), |begin| format!("{}{HIDDEN}\n", &line[..begin]))
    };
    lines.map(told).collect()
}

/// A slip of the pen, and no line of a key.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 24;
    text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn without_secrets(word: &str) -> String {
    if let Some((before, rest)) = word.split_once("://") {
        let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+.-".contains(letter);
        let (before, scheme) = before.split_at(before.trim_end_matches(is_scheme).len());
        // What a sentence has after it is no part of it.
        let url = rest.trim_end_matches([':', ';', ',', '.', ')', ']', '}']);
        let (before, shown) = (without_secrets(before), Address::of(url).shown());
        return format!("{before}{scheme}://{shown}{}", &rest[url.len()..]);
    }
    // Beneath a path that was learned everything is its server's.
    if word.starts_with("/…") {
        return format!("/{HIDDEN}");
    }
    if has_port(word) {
        return Address::of(word).shown();
    }
    let word = match word.rsplit_once('@') {
        Some((before, after)) if !before.is_empty() => format!("{HIDDEN}@{after}"),
        Some(_) | None => word.to_owned(),
    };
    let word = match word.split_once('?') {
        Some((before, after)) if after.contains(char::is_alphanumeric) => format!("{before}?{HIDDEN}"),
        Some(_) | None => word,
    };
    let is_of_a_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    let longest = word.as_bytes().split(|byte| !is_of_a_key(byte)).map(<[u8]>::len).max();
    if longest >= Some(KEY) || is_random(&word) { HIDDEN.to_owned() } else { word }
}

/// Where letters of both cases and digits are mixed, nobody has chosen them.
fn is_random(word: &str) -> bool {
    let mut pieces = word.split(|letter: char| !(letter.is_ascii_alphanumeric() || "+=".contains(letter)));
    pieces.any(|piece| {
        let has = |is_one: fn(&u8) -> bool| piece.as_bytes().iter().any(is_one);
        piece.len() >= RANDOM
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_digit)
    })
}

/// As the log writes the endpoint.
fn has_port(word: &str) -> bool {
    let authority = word.split_once('/').and_then(|(authority, _)| authority.rsplit_once(':'));
    authority.is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    #[test]
    fn of_a_setting_that_is_an_address_the_host_is_left() {
        for (name, text, expected) in [
            ("endpoint", "cam.example/secret", "cam.example/…"),
            ("upload_url", "https://u:secret@tus.example/files/", "https://…@tus.example/…"),
            ("cam_addr", "secret@host?secret", "…@host?…"),
            ("key", "/etc/key.pem", "/etc/key.pem"),
            ("min_free", "64M", "64M"),
        ] {
            let entry = Entry { name, value: text.into(), origin: Origin::Flag };
            assert_eq!(value(&entry), expected, "{text}");
        }
    }

    #[test]
    fn what_was_learned_is_hidden_wherever_it_stands() {
        let mut scrub = Scrub::default();
        scrub.learn("cam.example:8443/live/secret?token=other");
        scrub.learn("https://user:pass@tus.example/files/third");
        scrub.learn("cam.example/");
        let text = "no session; cam.example:8443/live/secret?token=other is tried again in 2.0 s\n\
                    GET /live/secret HTTP/1.1\n{\"a\":\"token=other\"} user:pass /files/third";
        let scrubbed = scrub.text(text);
        for secret in ["secret", "other", "pass", "third"] {
            assert!(!scrubbed.contains(secret), "{scrubbed}");
        }
        assert_eq!(scrub.text("PATCH /files/third/1f2e is done"), "PATCH /… is done\n");
        assert!(scrubbed.starts_with("no session; cam.example:8443/…"), "{scrubbed}");
        assert!(scrubbed.lines().next().unwrap().ends_with(" is tried again in 2.0 s"), "{scrubbed}");
    }

    #[test]
    fn what_was_learned_is_hidden_however_a_text_has_it() {
        let mut scrub = Scrub::default();
        scrub.learn("cam.example:8443/one\"two\\three\u{7f}four?five\"six");
        for word in ["/one\"two\\three\u{7f}four", "five\"six"] {
            let quoted = format!("{word:?}");
            let json = serde_json::json!({"plain": word, "quoted": quoted}).to_string();
            for text in [word, &printable(word), &quoted, &json] {
                let scrubbed = scrub.text(&format!("a {text} b"));
                for secret in ["one", "two", "three", "four", "five", "six"] {
                    assert!(!scrubbed.contains(secret), "{secret} of {text}: {scrubbed}");
                }
            }
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        let scrub = Scrub::default();
        let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC/+".repeat(3);
        for (text, expected) in [
            ("all is well, is it?", "all is well, is it?"),
            ("is --endpoint right?; or not", "is --endpoint right?; or not"),
            ("see (https://a.example/b?c): why", "see (https://a.example/…): why"),
            ("\"wss://u:p@a.example:1/\"", "\"wss://…@a.example:1/\""),
            ("https://a.example/secret?to=https://b.example/", "https://a.example/…"),
            ("cam.example/ws?token=x is away", "cam.example/ws?… is away"),
            ("u:p@cam.example", "…@cam.example"),
            ("cam.example:8443/live is away", "cam.example:8443/… is away"),
            ("[::1]:8443/ is away", "[::1]:8443/ is away"),
            ("/etc/a.conf:3: no", "/etc/a.conf:3: no"),
            ("@ 5 pm", "@ 5 pm"),
            (&format!("in {key}: no"), "in … no"),
            (&"ab".repeat(32), &"ab".repeat(32)),
            (
                "a line of PEM: MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj/gEAAoIBAQC7VJTUt9Us8cKj",
                "a line of PEM: …",
            ),
            (
                "/srv/Cameras/Porch2/state/spool/1529842538.pir/0.mp4",
                "/srv/Cameras/Porch2/state/spool/1529842538.pir/0.mp4",
            ),
            ("cam.example/ws?token=x&to=https://b.example/", "cam.example/ws?…https://b.example/"),
            ("secret@cam.example,https://b.example/x", "…@cam.example,https://b.example/…"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
        ] {
            assert_eq!(scrub.line(text), expected);
        }
    }

    #[test]
    fn a_wrong_configuration_is_told_without_its_lines() {
        let line = || Origin::Line { file: "/a.conf".into(), number: 3 };
        let entry = |name, value: &str| Entry { name, value: value.to_owned(), origin: line() };
        for (wrong, expected) in [
            (
                ConfigError::NoPair(line(), "-----BEGIN PRIVATE KEY-----".into()),
                "/a.conf:3: expected name = value, but came \"…\"",
            ),
            (
                ConfigError::UnknownName(line(), "end_point".into()),
                "/a.conf:3: unknown name \"end_point\": did you mean endpoint?",
            ),
            (ConfigError::UnknownName(line(), "MIIEvQIBADAN".into()), "/a.conf:3: unknown name \"…\""),
            (
                ConfigError::Value(entry("upload_url", "ftp://u:secret@a/"), "https://HOST:PORT/PATH"),
                "/a.conf:3: upload_url: expected https://HOST:PORT/PATH, but came \"ftp://…@a/\"",
            ),
            (
                ConfigError::Value(entry("min_free", "much"), "bytes, as 64M or 1G"),
                "/a.conf:3: min_free: expected bytes, as 64M or 1G, but came \"much\"",
            ),
        ] {
            let told = error(wrong);
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn what_the_agent_could_not_make_sense_of_stays_in_its_log() {
        let line = || Origin::Line { file: "/a.conf".into(), number: 3 };
        let no_pair = ConfigError::NoPair(line(), "a secret \"of\" words".into());
        let unknown = ConfigError::UnknownName(line(), "password_hunter2".into());
        for (wrong, expected) in [
            (no_pair, "WARN /a.conf:3: expected name = value, but came …"),
            (unknown, "WARN /a.conf:3: unknown name …"),
        ] {
            let logged = format!("INFO started\nWARN {wrong}");
            assert_eq!(log(logged.lines()), format!("INFO started\n{expected}\n"));
        }
    }
}
