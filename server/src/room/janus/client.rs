//! Janus' HTTP API: one request a connection, each with a limit on its time and on its answer.

use super::{
    JanusRoom,
    request::{self, NO_SUCH_ROOM},
};
use crate::{room::engine::Wish, server::random_name};
use axum::{body::Bytes, http::Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{fmt, io, str::FromStr, time::Duration};
use tokio::{net::TcpStream, time::timeout};

const PLUGIN: &str = "janus.plugin.videoroom";
/// What a request may take: Janus answers ours at once, or it is in trouble.
const REQUEST: Duration = Duration::from_secs(3);
/// Bytes of an answer. The longest of ours has a few hundred.
const ANSWER_MAX: usize = 64 << 10;

/// Where Janus' HTTP API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JanusUrl {
    host: String,
    port: u16,
    path: String,
}

/// Who asks Janus.
#[derive(Clone, Debug)]
pub struct Client(JanusUrl);

/// A session with a handle of the plugin.
#[derive(Debug)]
pub(super) struct Session {
    id: u64,
    handle: u64,
}

/// Why Janus didn't do something. Its text holds no secret.
#[derive(Debug)]
pub enum JanusError {
    /// Nobody is there.
    Unreachable(io::Error),
    /// There was no answer in time.
    Late,
    /// The connection broke, or the answer is none of Janus'.
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
        Client(url)
    }

    /// Begins a session, and makes the room in it; one of the same number goes, with all who are in it.
    pub(super) async fn make(&self, room: &JanusRoom) -> Result<Session, JanusError> {
        let id = self.id_of(self.ask("", json!({ "janus": "create" })).await?)?;
        let made = async {
            let attach = json!({ "janus": "attach", "plugin": PLUGIN });
            let handle = self.id_of(self.ask(&format!("/{id}"), attach).await?)?;
            let session = Session { id, handle };
            match self.plugin(&session, request::destroy(room)).await {
                Ok(_) | Err(JanusError::Refused { code: NO_SUCH_ROOM, .. }) => {}
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
        self.plugin(session, request::of_wish(room, wish)).await.map(drop)
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
        let JanusUrl { host, port, path: base } = &self.0;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(JanusError::Unreachable)?;
        let broken = |error: hyper::Error| JanusError::Broken(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let asked = async {
            let request = Request::post(format!("{base}{path}"))
                .header(header::HOST, format!("{host}:{port}"))
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::CONNECTION, "close")
                .body(Full::new(Bytes::from(body)))
                .map_err(|error| JanusError::Broken(error.to_string()))?;
            let answer = sender.send_request(request).await.map_err(broken)?;
            if answer.status() != StatusCode::OK {
                return Err(JanusError::Broken(format!("expected HTTP 200, but came {}", answer.status())));
            }
            let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
            body.map(|body| body.to_bytes()).map_err(|error| JanusError::Broken(error.to_string()))
        };
        // The connection ends with the answer; what it says of its end is of no use by then.
        tokio::pin!(asked, connection);
        tokio::select! {
            answer = &mut asked => answer,
            ended = &mut connection => {
                ended.map_err(broken)?;
                asked.await
            }
        }
    }
}

impl JanusError {
    /// Whether nothing of ours can be in Janus any more.
    pub(super) fn is_final(&self) -> bool {
        /// Of the session, and of the handle.
        const GONE: [u64; 2] = [458, 459];
        match self {
            JanusError::Unreachable(_) | JanusError::NoRoom => true,
            JanusError::Refused { code, .. } => GONE.contains(code),
            JanusError::Late | JanusError::Broken(_) => false,
        }
    }
}

impl FromStr for JanusUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<JanusUrl, String> {
        let expected = || {
            format!(
                "expected http://HOST:PORT/PATH, as Janus' HTTP transport has it without TLS on this machine or a network of \
                 its own, but came {text:?}"
            )
        };
        let url: Uri = text.parse().map_err(|_| expected())?;
        let authority = url.authority().filter(|authority| !authority.as_str().contains('@'));
        let (Some("http"), Some(authority), None) = (url.scheme_str(), authority, url.query()) else {
            return Err(expected());
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(JanusUrl { host, port: authority.port_u16().unwrap_or(80), path })
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

    #[test]
    fn an_address_is_plain_http() {
        let url = |text: &str| text.parse::<JanusUrl>();
        let of = |host: &str, port, path: &str| JanusUrl { host: host.into(), port, path: path.into() };
        assert_eq!(url("http://localhost:8088/janus"), Ok(of("localhost", 8088, "/janus")));
        assert_eq!(url("http://192.0.2.1/janus/"), Ok(of("192.0.2.1", 80, "/janus")));
        assert_eq!(url("http://[::1]:8088"), Ok(of("::1", 8088, "")));
        for wrong in [
            "",
            "janus",
            "localhost:8088",
            "https://localhost/janus",
            "ws://localhost:8188",
            "http://a:b@c/",
            "http://",
        ] {
            assert!(url(wrong).unwrap_err().starts_with("expected http://HOST:PORT/PATH"), "{wrong}");
        }
    }
}
