//! Addresses of servers, and what of them a log or a stranger may be told: where the server is, and nothing of how one is
//! let in.

use crate::wire::tus::DEFAULT_PATH;

/// Stands in the place of a secret.
pub const HIDDEN: &str = "…";

/// `USER@HOST:PORT/PATH?QUERY`, with or without a scheme before it, whether it makes sense or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// With its `://`.
    pub scheme: &'a str,
    /// What stands before the `@`.
    pub user: &'a str,
    /// With the port.
    pub host: &'a str,
    /// With its slash.
    pub path: &'a str,
    /// Without its question mark; or the fragment.
    pub query: &'a str,
}

impl<'a> Address<'a> {
    /// Takes a text apart.
    pub fn of(text: &'a str) -> Address<'a> {
        let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+.-".contains(letter);
        let scheme = text.find("://").filter(|at| text[..*at].chars().all(is_scheme));
        let (scheme, rest) = text.split_at(scheme.map_or(0, |at| at + "://".len()));
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (path, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        Address { scheme, user, host, path, query: query.get(1..).unwrap_or_default() }
    }

    /// Scheme, host and port, and that there is more.
    pub fn shown(&self) -> String {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if !self.host.bytes().all(is_host) {
            return HIDDEN.to_owned();
        }
        let user = if self.user.is_empty() { String::new() } else { format!("{HIDDEN}@") };
        let path = if self.query.is_empty() { shown_path(self.path) } else { format!("/{HIDDEN}") };
        format!("{}{user}{}{path}", self.scheme, self.host)
    }
}

/// A path that everybody has is no secret, nor is one that our own words have for an example.
pub fn shown_path(path: &str) -> String {
    match path {
        "" | "/" | "/PATH" | DEFAULT_PATH => path.to_owned(),
        _ => format!("/{HIDDEN}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_scheme_host_and_port_are_left() {
        let usual = format!("https://a{DEFAULT_PATH}");
        for (text, expected) in [
            ("cam.example:8443/", "cam.example:8443/"),
            ("wss://cam.example", "wss://cam.example"),
            ("cam.example/secret", "cam.example/…"),
            ("cam.example:abc/secret", "cam.example:abc/…"),
            ("[::1]:8443/?token=secret", "[::1]:8443/…"),
            ("secret@cam.example/", "…@cam.example/"),
            ("secret secret", "…"),
            ("tus.example/secret?to=https://secret.example/", "tus.example/…"),
            ("a/secret://tus.example/", "a/…"),
            ("https:/tus.example/secret", "https:/…"),
            ("https://u:secret@tus.example/files/?q=secret#secret", "https://…@tus.example/…"),
            ("https://tus.example:1/uploads/secret", "https://tus.example:1/…"),
            ("https://tus.example?secret", "https://tus.example/…"),
            ("", ""),
            (&usual, &usual),
            ("https://HOST:PORT/PATH", "https://HOST:PORT/PATH"),
        ] {
            assert_eq!(Address::of(text).shown(), expected, "{text}");
            assert_eq!(Address::of(expected).shown(), expected, "what is shown may be shown again");
        }
    }
}
