//! Signing in and out, and who is signed in.
//!
//! A sign-in is 256 random bits in a cookie, kept at the server as their SHA-256: who reads the database can't be
//! anybody, and any node of a fleet knows everybody.

use super::{
    Viewer,
    answer::Refusal,
    auth::{Attempt, Password},
};
use crate::{
    server::fill_random,
    store::{Store, StoreError, unix_now},
};
use axum::{
    Extension, Json,
    extract::{ConnectInfo, Request, State, rejection::JsonRejection},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cloudtalker::wire::Sha256;
use ring::digest;
use serde::Deserialize;
use serde_json::json;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// How long a sign-in lasts, in seconds: people look at their cameras at least every few weeks.
const LIFE: u64 = 60 * 86_400;
/// Where the store keeps the password.
const SETTING: &str = "password";
/// The one path under `/api/` that takes a request of somebody who is not signed in.
const PATH: &str = "/api/session";

/// Whose request it is: the digest of the cookie's token.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignIn(Sha256);

/// What signs in.
#[derive(Deserialize)]
pub(super) struct Credentials {
    password: String,
}

/// Makes a password if there is none yet, and returns its text: the only moment in which anybody can read it.
pub async fn first_password(store: &Store) -> Result<Option<String>, StoreError> {
    match store.setting(SETTING).await? {
        Some(_) => Ok(None),
        None => new_password(store).await.map(Some),
    }
}

/// Makes another password, signs everybody out, and returns its text.
pub async fn new_password(store: &Store) -> Result<String, StoreError> {
    let (password, text) = Password::generate();
    store.set_setting(SETTING, &password.to_string()).await?;
    store.remove_sign_ins().await?;
    Ok(text)
}

impl SignIn {
    /// Whether it still counts.
    pub(super) async fn is_valid(self, store: &Store) -> Result<bool, StoreError> {
        store.is_signed_in(self.0, unix_now()).await
    }

    fn of(token: &str) -> SignIn {
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        SignIn(Sha256(digest.as_ref().try_into().expect("a SHA-256 is 32 bytes long")))
    }
}

/// Everything under `/api/` is for those who are signed in, whether it is there or not.
pub(super) async fn require(State(viewer): State<Arc<Viewer>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.starts_with("/api/") || (path == PATH && request.method() == Method::POST) {
        return next.run(request).await;
    }
    match signed_in(&viewer, request.headers()).await {
        Ok(Some(sign_in)) => {
            request.extensions_mut().insert(sign_in);
            next.run(request).await
        }
        Ok(None) => Refusal::SignedOut.into_response(),
        Err(error) => Refusal::from(error).into_response(),
    }
}

/// `POST /api/session {"password": "…"}`
pub(super) async fn sign_in(
    State(viewer): State<Arc<Viewer>>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    credentials: Result<Json<Credentials>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(Credentials { password }) = credentials?;
    let store = &viewer.server.store;
    let kept = store.setting(SETTING).await?.ok_or(Refusal::WrongPassword)?;
    let kept =
        Password::parse(&kept).ok_or_else(|| Refusal::Failed(format!("setting {SETTING} is no password")))?;
    let from = if viewer.reach.is_proxied() { client_of_proxy(&headers) } else { None };
    match viewer.attempts.attempt(from.unwrap_or(peer.ip()), kept, password).await {
        Attempt::Right => {}
        Attempt::Wrong => return Err(Refusal::WrongPassword),
        Attempt::Crowded => return Err(Refusal::Crowded),
    }
    let token = new_token();
    let now = unix_now();
    store.add_sign_in(SignIn::of(&token).0, now + LIFE, now).await?;
    Ok(([(header::SET_COOKIE, viewer.cookie(&token, LIFE))], Json(json!({ "ok": true }))).into_response())
}

/// `DELETE /api/session`
pub(super) async fn sign_out(
    State(viewer): State<Arc<Viewer>>,
    Extension(SignIn(token)): Extension<SignIn>,
) -> Result<Response, Refusal> {
    viewer.server.store.remove_sign_in(token).await?;
    Ok(([(header::SET_COOKIE, viewer.cookie("", 0))], Json(json!({ "ok": true }))).into_response())
}

async fn signed_in(viewer: &Viewer, headers: &HeaderMap) -> Result<Option<SignIn>, StoreError> {
    for token in tokens(headers, viewer.cookie_name()) {
        let sign_in = SignIn::of(token);
        if sign_in.is_valid(&viewer.server.store).await? {
            return Ok(Some(sign_in));
        }
    }
    Ok(None)
}

impl Viewer {
    /// With the prefix browsers take the cookie from this very host over HTTPS only.
    fn cookie_name(&self) -> &'static str {
        if self.reach.is_secure() { "__Host-cloudtalker" } else { "cloudtalker" }
    }

    fn cookie(&self, token: &str, seconds: u64) -> String {
        let secure = if self.reach.is_secure() { "; Secure" } else { "" };
        let name = self.cookie_name();
        format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
    }
}

/// The values of all cookies of this name: another path or port of the host may have set one, too.
fn tokens<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

/// The proxy adds whom it saw at the end of the list; what stands before is the client's own word.
pub(crate) fn client_of_proxy(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").into_iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

fn new_token() -> String {
    let mut bytes = [0; 32];
    fill_random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn tokens_are_found_among_other_cookies() {
        let cookies = headers(header::COOKIE, &["a=1; cloudtalker=x;cloudtalkers=no", "cloudtalker=y"]);
        assert_eq!(tokens(&cookies, "cloudtalker").collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn a_client_can_not_choose_its_address() {
        let forwarded = header::HeaderName::from_static("x-forwarded-for");
        let spoofed = headers(forwarded.clone(), &["10.0.0.1, 192.0.2.7"]);
        assert_eq!(client_of_proxy(&spoofed), Some(IpAddr::from([192, 0, 2, 7])));
        let twice = headers(forwarded, &["10.0.0.1", "192.0.2.7"]);
        assert_eq!(client_of_proxy(&twice), Some(IpAddr::from([192, 0, 2, 7])));
    }
}
