//! The connection to Janus' WebSocket interface.

use axum::http::Uri;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use std::{fmt, io, str::FromStr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, ClientRequestBuilder, Message, protocol::WebSocketConfig},
};

use super::{BUFFER, PROTOCOL, SEND};
use crate::room::janus::tls;

/// How long Janus may take to answer a new connection.
const OPEN: Duration = Duration::from_secs(5);
/// An offer of Janus' for a room's worth of feeds has 100 kB.
const MAX_MESSAGE: usize = 1 << 20;

/// Where Janus' WebSocket interface is: `ws://HOST[:PORT][/PATH]` on this machine or in a network of one's own, else
/// `wss://`, with a certificate that this machine trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    uri: Uri,
    host: String,
    port: u16,
    /// Whose certificate it has to show, where it speaks TLS.
    name: Option<ServerName<'static>>,
}

/// What opens connections to it.
pub(super) struct Connector {
    janus: Upstream,
    /// Trusts what this machine trusts.
    tls: TlsConnector,
}

/// Why there is no connection to Janus.
#[derive(Debug)]
pub enum UpstreamError {
    /// Its address is none.
    Address(String),
    /// It can't be reached.
    Connect(String, io::Error),
    /// What is there speaks no WebSocket, or not Janus' subprotocol.
    Handshake(String, Box<tungstenite::Error>),
    /// It does not answer.
    Silent(String),
}

/// An open connection. Only texts come and go.
pub(super) struct Stream(WebSocketStream<Box<dyn Transport>>);

/// TCP, or TLS over it.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Where Janus has it unless it is told otherwise.
impl Default for Upstream {
    fn default() -> Upstream {
        "ws://localhost:8188".parse().expect("it has a host")
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Upstream, UpstreamError> {
        let wrong = || {
            // What stands before an @ is a name and a password.
            let came = if text.contains('@') { "one with a name in it".into() } else { format!("{text:?}") };
            UpstreamError::Address(came)
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        if text.contains('@') {
            return Err(wrong());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let (name, port) = match uri.scheme_str() {
            Some("ws") => (None, 80),
            Some("wss") => (Some(ServerName::try_from(host.clone()).map_err(|_| wrong())?), 443),
            _ => return Err(wrong()),
        };
        Ok(Upstream { port: uri.port_u16().unwrap_or(port), host, name, uri })
    }
}

impl Connector {
    /// Reads what this machine trusts, where Janus speaks TLS.
    pub(super) fn new(janus: Upstream) -> Connector {
        let config = if janus.name.is_some() { tls::trusting() } else { tls::untrusting() };
        Connector { janus, tls: Arc::new(config).into() }
    }

    pub(super) async fn open(&self) -> Result<Stream, UpstreamError> {
        let opened = timeout(OPEN, self.connect()).await;
        opened.map_err(|_| UpstreamError::Silent(self.janus.to_string()))?
    }

    async fn connect(&self) -> Result<Stream, UpstreamError> {
        let janus = &self.janus;
        let stream = self.transport().await;
        let stream = stream.map_err(|error| UpstreamError::Connect(janus.to_string(), error))?;
        let request = ClientRequestBuilder::new(janus.uri.clone()).with_sub_protocol(PROTOCOL);
        let bounds = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let opened = client_async_with_config(request, stream, Some(bounds)).await;
        let (socket, _) =
            opened.map_err(|error| UpstreamError::Handshake(janus.to_string(), Box::new(error)))?;
        Ok(Stream(socket))
    }

    async fn transport(&self) -> io::Result<Box<dyn Transport>> {
        let Upstream { host, port, name, .. } = &self.janus;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        let _ = stream.set_nodelay(true);
        Ok(match name {
            Some(name) => Box::new(self.tls.connect(name.clone(), stream).await?),
            None => Box::new(stream),
        })
    }
}

impl Stream {
    /// The next text; none once the connection is over.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return Some(text.as_str().to_owned()),
                Message::Close(_) => return None,
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Sends a text; none once the connection is over.
    pub(super) async fn send(&mut self, text: String) -> Option<()> {
        timeout(SEND, self.0.send(Message::Text(text.into()))).await.ok()?.ok()
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uri)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.janus.fmt(f)
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpstreamError::Address(came) => {
                write!(f, "expected ws://HOST:PORT of Janus' WebSocket interface, or wss://, but came {came}")
            }
            UpstreamError::Connect(address, error) => {
                write!(f, "janus can't be reached at {address}: {error}")
            }
            UpstreamError::Handshake(address, error) => {
                write!(f, "expected Janus' WebSocket interface at {address}, but it refused: {error}")
            }
            UpstreamError::Silent(address) => write!(f, "janus does not answer at {address}"),
        }
    }
}

impl std::error::Error for UpstreamError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_a_host_and_a_usual_port() {
        let parsed = |text: &str| text.parse().map(|Upstream { host, port, .. }| (host, port));
        assert_eq!(parsed("ws://localhost:8188").unwrap(), ("localhost".into(), 8188));
        assert_eq!(parsed("ws://[::1]:8188/janus").unwrap(), ("::1".into(), 8188));
        assert_eq!(parsed("ws://janus.example").unwrap(), ("janus.example".into(), 80));
        assert_eq!(parsed("wss://janus.example/").unwrap(), ("janus.example".into(), 443));
        assert_eq!(parsed("wss://[::1]:8989").unwrap(), ("::1".into(), 8989));
        for wrong in [
            "",
            "localhost:8188",
            "http://localhost:8088/janus",
            "wss://",
            "wss://-",
            "ws://",
            "ws:///janus",
            "ws://a b",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
