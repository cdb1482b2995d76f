//! A room for browsers, made as a page makes it: by the people's HTTP API.

use std::fmt::{self, Display};
use std::time::Duration;

use axum::body::Body;
use axum::http::uri::Authority;
use axum::http::{Method, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::cloud::Page;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A room with a slot that is open, and the ways into it.
pub(crate) struct Room {
    pub(crate) number: u64,
    /// Where the page shows it.
    pub(crate) link: String,
    /// What makes a browser its camera.
    pub(crate) camera: String,
    /// What makes a browser its screen.
    pub(crate) screen: String,
}

impl Room {
    /// Makes it, and waits until Janus keeps it.
    pub(crate) async fn make(page: &Page) -> Result<Self, Error> {
        let person = Person::sign_in(page).await?;
        let made = person.ask(Method::POST, "/api/rooms", &json!({ "name": "Demo" })).await?;
        let number = made["number"].as_u64().ok_or_else(|| Error::Unexpected(made.to_string()))?;
        let path = format!("/api/rooms/{number}");
        let open = person.ask(Method::POST, &format!("{path}/slots/0/activate"), &json!({})).await?;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (pin, token) = (word(&open["pin"]), word(&open["slots"][0]["token"]));
        while person.ask(Method::GET, &path, &json!({})).await?["kept"] != true {
            sleep(LOOK_EVERY).await;
        }
        let link = &page.link;
        Ok(Self {
            number,
            link: format!("{link}#rooms/{number}"),
            camera: format!(
                "{link}sender.html?room={number}&slot=0&token={token}&pin={pin}&customNameAllowed="
            ),
            screen: format!("{link}receiver.html?room={number}&pin={pin}"),
        })
    }
}

/// Somebody who has signed in.
struct Person {
    authority: Authority,
    cookie: String,
}

impl Person {
    async fn sign_in(page: &Page) -> Result<Self, Error> {
        let authority = page.link.trim_start_matches("http://").trim_end_matches('/');
        let authority = authority.parse().map_err(|_| Error::Unexpected(page.link.clone()))?;
        let mut person = Self { authority, cookie: String::new() };
        let answer = person.send(Method::POST, "/api/session", &json!({ "password": page.password })).await?;
        let cookie = answer.headers().get(header::SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next());
        person.cookie = cookie.ok_or_else(|| Error::Unexpected(answer.status().to_string()))?.to_owned();
        Ok(person)
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, Error> {
        let answer = self.send(method, path, body).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(Error::Broken)?.to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        match serde_json::from_slice(&bytes) {
            Ok(value) if status.is_success() => Ok(value),
            Ok(_) | Err(_) => Err(Error::Unexpected(format!("{status}: {text}"))),
        }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Response<Incoming>, Error> {
        let stream = TcpStream::connect(self.authority.as_str()).await.map_err(Error::Unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::Broken)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.authority.as_str())
            .header(header::COOKIE, &self.cookie)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a path of ours and a cookie of the server's are fit for a request");
        sender.send_request(request).await.map_err(Error::Broken)
    }
}

#[derive(Debug)]
pub(crate) enum Error {
    /// A request broke off.
    Broken(hyper::Error),
    /// An answer is not what a page could use.
    Unexpected(String),
    /// The server takes no connection.
    Unreachable(std::io::Error),
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "the server broke a request off: {error}"),
            Self::Unexpected(what) => write!(f, "expected the server to make a room, but got: {what}"),
            Self::Unreachable(error) => write!(f, "the server's page can't be reached: {error}"),
        }
    }
}
