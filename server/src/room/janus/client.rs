//! Janus' HTTP API, over connections that are kept: each request has a limit on its time and on its answer.

use super::{
    JanusRoom,
    request::{self, NO_SUCH_FEED, NO_SUCH_HANDLE, NO_SUCH_ROOM, NO_SUCH_SESSION},
    tls,
};
use crate::{room::engine::Wish, server::random_name};
use axum::{body::Bytes, http::Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::{error::Error, fmt, io, iter::successors, str::FromStr, time::Duration};
use tokio::time::timeout;

const PLUGIN: &str = "janus.plugin.videoroom";
/// What a request may take: Janus answers ours at once, or it is in trouble.
const REQUEST: Duration = Duration::from_secs(3);
/// Bytes of an answer. The longest of ours has a few hundred.
const ANSWER_MAX: usize = 64 << 10;
/// Connections that are kept while nothing is asked. One is enough for a room; many rooms ask at once, but seldom.
const KEPT: usize = 8;

/// Where Janus' HTTP API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JanusUrl {
    /// Without a slash at its end.
    text: String,
    is_tls: bool,
}

/// Who asks Janus. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    url: JanusUrl,
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A session with a handle of the plugin.
#[derive(Debug)]
pub(super) struct Session {
    id: u64,
    handle: u64,
}

/// Why Janus didn't do something. Its text holds no secret.
#[derive(Debug)]
pub enum JanusError {
    /// Nobody is there: its machine refuses connections.
    Unreachable(String),
    /// There was no answer in time.
    Late,
    /// There was no connection, for whatever other reason, or it broke, or the answer is none of Janus'.
    Broken(String),
    /// It says no.
    Refused {
        /// Its number of the reason.
        code: u64,
        /// The reason.
        reason: String,
    },
    /// It has forgotten the room.
    NoRoom,
}

impl Client {
    /// Asks the Janus that is there.
    pub fn new(url: JanusUrl) -> Client {
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_nodelay(true);
        let config = if url.is_tls { tls::trusting() } else { tls::untrusting() };
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        let connector = connector.wrap_connector(plain);
        let http =
            legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(KEPT).build(connector);
        Client { url, http }
    }

    /// Where Janus is asked, fit for a log.
    pub(super) fn url(&self) -> &str {
        &self.url.text
    }

    /// Begins a session, and makes the room in it; one of the same number goes, with all who are in it.
    pub(super) async fn make(&self, room: &JanusRoom) -> Result<Session, JanusError> {
        let id = self.id_of(self.ask("", json!({ "janus": "create" })).await?)?;
        let made = async {
            let attach = json!({ "janus": "attach", "plugin": PLUGIN });
            let handle = self.id_of(self.ask(&format!("/{id}"), attach).await?)?;
            let session = Session { id, handle };
            match self.plugin(&session, request::destroy(room)).await {
                Ok(_) => log::info!("room {}: one of this number was in Janus, and gave way", room.number),
                Err(JanusError::Refused { code: NO_SUCH_ROOM, .. }) => {}
                Err(error) => return Err(error),
            }
            self.plugin(&session, request::create(room)).await?;
            Ok(session)
        };
        let made = made.await;
        if made.is_err() {
            let _ = self.end_session(id).await;
        }
        made
    }

    /// Takes the room out of Janus, and ends the session.
    pub(super) async fn unmake(&self, session: &Session, room: &JanusRoom) -> Result<(), JanusError> {
        self.plugin(session, request::destroy(room)).await?;
        self.end_session(session.id).await
    }

    /// Whether Janus still has the room, and the session.
    pub(super) async fn has_room(&self, session: &Session, room: &JanusRoom) -> Result<(), JanusError> {
        let answer = self.plugin(session, request::exists(room)).await?;
        match &answer["plugindata"]["data"]["exists"] {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) => Err(JanusError::NoRoom),
            other => Err(JanusError::Broken(format!("expected true or false, but came {other}"))),
        }
    }

    /// Carries out a wish. A publisher is configured on its own handle, and answers for it there.
    pub(super) async fn wish(
        &self,
        session: &Session,
        room: &JanusRoom,
        wish: &Wish,
    ) -> Result<(), JanusError> {
        let session = match wish {
            Wish::Configure { session, handle, .. } => &Session { id: *session, handle: *handle },
            Wish::EditPin(_) | Wish::Kick(_) => session,
        };
        match (self.plugin(session, request::of_wish(room, wish)).await, wish) {
            // It has left by itself.
            (Err(JanusError::Refused { code: NO_SUCH_FEED, .. }), Wish::Kick(_)) => Ok(()),
            (done, _) => done.map(drop),
        }
    }

    async fn end_session(&self, id: u64) -> Result<(), JanusError> {
        self.ask(&format!("/{id}"), json!({ "janus": "destroy" })).await.map(drop)
    }

    async fn plugin(&self, session: &Session, body: Value) -> Result<Value, JanusError> {
        let path = format!("/{}/{}", session.id, session.handle);
        self.ask(&path, json!({ "janus": "message", "body": body })).await
    }

    fn id_of(&self, answer: Value) -> Result<u64, JanusError> {
        answer["data"]["id"]
            .as_u64()
            .ok_or_else(|| JanusError::Broken("expected an id, but none came".into()))
    }

    async fn ask(&self, path: &str, mut message: Value) -> Result<Value, JanusError> {
        message["transaction"] = random_name().into();
        let asked = timeout(REQUEST, self.post(path, message.to_string()));
        let answer = asked.await.map_err(|_| JanusError::Late)??;
        let answer = serde_json::from_slice(&answer)
            .map_err(|_| JanusError::Broken("expected JSON, but came something else".into()))?;
        request::checked(answer)
    }

    async fn post(&self, path: &str, body: String) -> Result<Bytes, JanusError> {
        let request = Request::post(format!("{}{path}", self.url.text))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| JanusError::Broken(error.to_string()))?;
        let answer = self.http.request(request).await.map_err(|error| JanusError::of(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(JanusError::Broken(format!("expected HTTP 200, but came {}", answer.status())));
        }
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| JanusError::Broken(error.to_string()))
    }
}

impl JanusError {
    /// Why a request had no answer. A lack of open files, or a name that isn't found for a moment, says nothing of Janus.
    fn of(error: &legacy::Error) -> JanusError {
        let error: &(dyn Error + 'static) = error;
        let causes: Vec<_> = successors(Some(error), |error| (*error).source()).collect();
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        let is_refused = causes.iter().any(|cause| cause.downcast_ref().is_some_and(refused));
        let why = causes.last().map_or_else(String::new, ToString::to_string);
        if is_refused { JanusError::Unreachable(why) } else { JanusError::Broken(why) }
    }

    /// Whether nothing of ours can be in Janus any more.
    pub(super) fn is_final(&self) -> bool {
        match self {
            JanusError::Unreachable(_) | JanusError::NoRoom => true,
            JanusError::Refused { .. } => self.is_of_a_new_janus(),
            JanusError::Late | JanusError::Broken(_) => false,
        }
    }

    /// Whether Janus knows nothing of our session or handle: it was started anew since.
    pub(super) fn is_of_a_new_janus(&self) -> bool {
        matches!(self, JanusError::Refused { code: NO_SUCH_SESSION | NO_SUCH_HANDLE, .. })
    }
}

/// Where Janus has it unless it is told otherwise.
impl Default for JanusUrl {
    fn default() -> JanusUrl {
        "http://localhost:8088/janus".parse().expect("it has a host")
    }
}

impl FromStr for JanusUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<JanusUrl, String> {
        let expected = || {
            // What stands before an @ is a name and a password.
            let came = if text.contains('@') { "one with a name in it".into() } else { format!("{text:?}") };
            format!("expected http://HOST:PORT/PATH of Janus' HTTP transport, or https, but came {came}")
        };
        let url: Uri = text.parse().map_err(|_| expected())?;
        let authority = url.authority().filter(|authority| !authority.as_str().contains('@'));
        let is_tls = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(expected()),
        };
        let (Some(authority), None) = (authority, url.query()) else { return Err(expected()) };
        let scheme = if is_tls { "https" } else { "http" };
        let text = format!("{scheme}://{authority}{}", url.path().trim_end_matches('/'));
        Ok(JanusUrl { text, is_tls })
    }
}

impl fmt::Display for JanusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JanusError::Unreachable(error) => write!(f, "it can't be reached: {error}"),
            JanusError::Late => write!(f, "no answer within {} s", REQUEST.as_secs()),
            JanusError::Broken(why) => write!(f, "no answer: {why}"),
            JanusError::Refused { code, reason } => write!(f, "it says {code}: {reason}"),
            JanusError::NoRoom => f.write_str("somebody took it out"),
        }
    }
}

impl std::error::Error for JanusError {}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn an_address_is_that_of_http_and_no_password_is_repeated() {
        let url = |text: &str| text.parse::<JanusUrl>();
        for (text, kept, is_tls) in [
            ("http://localhost:8088/janus", "http://localhost:8088/janus", false),
            ("http://192.0.2.1/janus/", "http://192.0.2.1/janus", false),
            ("http://[::1]:8088", "http://[::1]:8088", false),
            ("https://janus.example:8089/janus", "https://janus.example:8089/janus", true),
        ] {
            assert_eq!(url(text), Ok(JanusUrl { text: kept.into(), is_tls }));
        }
        for wrong in [
            "",
            "janus",
            "localhost:8088",
            "ws://localhost:8188",
            "http://me:s3cret@c/",
            "http://",
            "http://a/?b",
        ] {
            let error = url(wrong).unwrap_err();
            assert!(
                error.starts_with("expected http://HOST:PORT/PATH") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn nobody_is_there_only_where_a_connection_is_refused() {
        let port = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let closed = port.local_addr().unwrap();
        drop(port);
        let asked = async |url: String| {
            let client = Client::new(url.parse().unwrap());
            client.ask("", json!({ "janus": "info" })).await.unwrap_err()
        };
        assert!(asked(format!("http://{closed}/janus")).await.is_final());
        let unknown = asked("http://janus.invalid/janus".into()).await;
        assert!(!unknown.is_final(), "{unknown}");
    }
}
