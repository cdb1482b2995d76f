//! What every request must look like, and what every answer carries, before anybody asks who it is.

use super::{Viewer, answer::Refusal};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

/// The page needs nothing but itself: a text that slipped in as markup could neither run nor call home.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const POLICY: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    // A cookie knows no port: without this, another program's page on this host could show our videos.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // A sender's page shows its camera. Nothing of ours has any business with a microphone.
    (HeaderName::from_static("permissions-policy"), "camera=(self), microphone=()"),
];

/// How people reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Plain HTTP from this machine.
    Loopback,
    /// HTTPS from anywhere.
    Tls,
    /// A proxy that speaks HTTPS with people and plain HTTP with us.
    Proxy,
}

impl Reach {
    /// Whether browsers speak HTTPS, and so keep the cookie to it.
    pub(super) fn is_secure(self) -> bool {
        match self {
            Reach::Loopback => false,
            Reach::Tls | Reach::Proxy => true,
        }
    }

    /// Whether the peer of a connection is a proxy, not the person.
    pub(super) fn is_proxied(self) -> bool {
        match self {
            Reach::Loopback | Reach::Tls => false,
            Reach::Proxy => true,
        }
    }

    /// Whether a request for this host is meant for us. A foreign name that was made to resolve to this machine
    /// would share its page's origin with us. Beyond loopback that name would fail at the certificate.
    fn is_ours(self, headers: &HeaderMap) -> bool {
        match self {
            Reach::Loopback => text(headers, header::HOST).is_some_and(is_loopback),
            Reach::Tls | Reach::Proxy => true,
        }
    }
}

/// Lets a request in, or not, and gives every answer its policy.
pub(super) async fn guard(State(viewer): State<Arc<Viewer>>, request: Request, next: Next) -> Response {
    with_policy(match refusal(viewer.reach, &request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    })
}

/// The answer with what every answer carries.
pub(super) fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in POLICY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What says nothing else of caching is somebody's own.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refusal(reach: Reach, request: &Request) -> Option<Refusal> {
    if !reach.is_ours(request.headers()) {
        return Some(Refusal::ForeignHost);
    }
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    (!is_safe && !is_own_page(request.headers())).then_some(Refusal::CrossSite)
}

/// Whether it was our page, or no page at all, that sent this. `same-site` won't do: that is any port of this host.
pub(crate) fn is_own_page(headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, HeaderName::from_static("sec-fetch-site")) {
        return ["same-origin", "none"].contains(&site);
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, authority)| text(headers, header::HOST) == Some(authority))
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => return v6.split_once(']').is_some_and(|(ip, _)| ip.parse() == Ok(Ipv6Addr::LOCALHOST)),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn only_this_machines_names_are_loopback() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "[::2]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_foreign_host_is_refused_on_loopback_only() {
        let foreign = headers(&[("host", "evil.example")]);
        assert!(!Reach::Loopback.is_ours(&foreign));
        assert!(!Reach::Loopback.is_ours(&HeaderMap::new()));
        assert!(Reach::Tls.is_ours(&foreign) && Reach::Proxy.is_ours(&foreign));
    }

    #[test]
    fn other_pages_may_not_post() {
        let host = ("host", "localhost:8080");
        for own in [
            vec![host],
            vec![host, ("sec-fetch-site", "same-origin")],
            vec![host, ("sec-fetch-site", "none")],
            vec![host, ("origin", "http://localhost:8080")],
        ] {
            assert!(is_own_page(&headers(&own)), "{own:?}");
        }
        for foreign in [
            vec![host, ("sec-fetch-site", "cross-site")],
            vec![host, ("sec-fetch-site", "same-site"), ("origin", "http://localhost:8080")],
            vec![host, ("origin", "http://localhost:9999")],
            vec![host, ("origin", "http://evil.example")],
            vec![host, ("origin", "null")],
            vec![("origin", "null")],
        ] {
            assert!(!is_own_page(&headers(&foreign)), "{foreign:?}");
        }
    }
}
