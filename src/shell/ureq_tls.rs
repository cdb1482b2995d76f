//! HTTPS for the upload worker: ureq over the one TLS configuration.
//!
//! ureq's own rustls connector builds a configuration of its own (other cipher order, no floor under the clock,
//! no sessions in common) and panics where the client's certificate does not hold. This one takes ours, and ureq's
//! is not built. The API it stands on is unversioned, hence the tilde before ureq's version in Cargo.toml; it
//! follows ureq's `src/tls/rustls.rs`.

use super::{meter::Meter, progress::Pulse};
use crate::tls;
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    fmt,
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};
use ureq::{
    Agent, Error,
    unversioned::{
        resolver::DefaultResolver,
        transport::{
            Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, TcpConnector, Transport,
            TransportAdapter,
        },
    },
};

/// There is one worker and one server.
const IDLE_CONNECTIONS: usize = 1;
/// What a TLS record holds at most; ureq's 128 KiB each way are much on a board with 64 MiB.
const RECORD: usize = 16 * 1024;
/// Such a record on the wire: less would make two packets of each, the second with some 20 bytes.
const SEALED: usize = RECORD + 256;

/// How long each step of a request may take. Resolving a name has no limit of its own: ureq would start a thread
/// for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// TCP's and TLS's greetings together.
    pub connect: Duration,
    /// Each wait for bytes to come; the server's thinking is one.
    pub read: Duration,
    /// Each wait for bytes to go.
    pub write: Duration,
}

/// An HTTP client whose answers are all answers, whatever their status, redirects too. [`Agent::shutdown`] on a
/// clone ends requests in flight. Each wait on the network is a step of the pulse's, and each byte is counted, those of
/// TLS too.
pub fn agent(tls: Arc<ClientConfig>, limits: Limits, pulse: Pulse, meter: Meter) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // The session does not go by a proxy, so neither do uploads, whatever the environment says.
        .proxy(None)
        .user_agent(concat!("cloudtalker/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(limits.connect))
        .timeout_per_read(Some(limits.read))
        .timeout_per_write(Some(limits.write))
        .max_idle_connections(IDLE_CONNECTIONS)
        .max_idle_connections_per_host(IDLE_CONNECTIONS)
        .input_buffer_size(SEALED)
        .output_buffer_size(SEALED)
        .build();
    let connector =
        ().chain(TcpConnector::default()).chain(WireConnector { pulse, meter }).chain(TlsConnector(tls));
    Agent::with_parts(config, connector, DefaultResolver::default())
}

/// Why a request had no answer.
pub fn describe(error: &Error) -> String {
    match error {
        Error::Io(error) => tls::describe_io(error),
        Error::Timeout(step) => format!("the server took too long ({step})"),
        Error::HostNotFound => "the server's name has no address".into(),
        error => error.to_string(),
    }
}

/// Whether a request failed in TLS, not beneath it or above.
pub fn is_of_tls(error: &Error) -> bool {
    let Error::Io(error) = error else { return false };
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

/// Wraps a connection in TLS where the URL asks for it.
struct TlsConnector(Arc<ClientConfig>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(tcp) = chained else { return Ok(None) };
        if !details.needs_tls() || tcp.is_tls() {
            return Ok(Some(Either::A(tcp)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::BadUri(host.to_owned()))?;

        let mut connection = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        let mut socket = TransportAdapter::new(tcp.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        Ok(Some(Either::B(TlsTransport {
            buffers: LazyBuffers::new(RECORD, RECORD),
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Tells of each wait, and counts what crosses the wire.
#[derive(Debug)]
struct WireConnector {
    pulse: Pulse,
    meter: Meter,
}

impl<In: Transport> Connector<In> for WireConnector {
    type Out = WireTransport<In>;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        self.pulse.beat();
        let (pulse, meter) = (self.pulse.clone(), self.meter.clone());
        Ok(chained.map(|transport| WireTransport { transport, pulse, meter }))
    }
}

#[derive(Debug)]
struct WireTransport<T> {
    transport: T,
    pulse: Pulse,
    meter: Meter,
}

impl<T: Transport> Transport for WireTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.pulse.beat();
        // Before it is tried: how much of it has gone where that fails nobody knows.
        self.meter.count(amount);
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.pulse.beat();
        let before = self.transport.buffers().input().len();
        let has_come = self.transport.await_input(timeout)?;
        self.meter.count(self.transport.buffers().input().len().saturating_sub(before));
        Ok(has_come)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").field("over", self.stream.sock.inner()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::{ALWAYS, Authority};
    use rustls::{ServerConfig, ServerConnection};
    use std::{
        io::{BufRead, BufReader},
        net::{TcpListener, TcpStream},
        sync::mpsc,
        thread,
    };

    const LONG: Limits = Limits {
        connect: Duration::from_secs(30),
        read: Duration::from_secs(30),
        write: Duration::from_secs(30),
    };

    type Stream = BufReader<StreamOwned<ServerConnection, TcpStream>>;

    /// A server on a free port of localhost; `serve` has each connection in turn.
    fn server(tls: Arc<ServerConfig>, serve: impl Fn(Stream) + std::marker::Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(tls.clone()).unwrap();
                serve(BufReader::new(StreamOwned::new(connection, stream.unwrap())));
            }
        });
        format!("https://localhost:{port}/uploads/")
    }

    /// One request's head and its body's length; `None` where the connection ends, or never held.
    fn head(stream: &mut Stream) -> Option<(String, usize)> {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            if stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
            let line = head[start..].trim_end().to_lowercase();
            if line.is_empty() {
                return Some((head, length));
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
        }
    }

    #[test]
    fn a_large_body_arrives_and_the_connection_is_used_again() {
        let authority = Authority::new();
        let (heard, requests) = mpsc::channel();
        let url = server(authority.server(ALWAYS), move |mut stream| {
            while let Some((head, length)) = head(&mut stream) {
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                heard.send((head, body)).unwrap();
                let answer = b"HTTP/1.1 204 No Content\r\nUpload-Offset: 1\r\n\r\n";
                stream.get_mut().write_all(answer).unwrap();
            }
            heard.send(("ended".to_owned(), Vec::new())).unwrap();
        });
        let meter = Meter::default();
        let agent = agent(authority.client().config, LONG, Pulse::new(), meter.clone());
        let body: Vec<u8> =
            (0..1 << 20).map(|number: u32| number.to_le_bytes()[number as usize % 3]).collect();
        for _ in 0..2 {
            let answer = agent.patch(&url).send(body.as_slice()).unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.headers()["Upload-Offset"].as_bytes()),
                (204, &b"1"[..])
            );
            let (head, came) = requests.recv().unwrap();
            assert!(
                head.starts_with("PATCH /uploads/ HTTP/1.1\r\n") && head.contains("cloudtalker/"),
                "{head}"
            );
            assert!(came == body);
        }
        // Two bodies, with their heads and answers, the records of TLS, and one handshake.
        let beside = meter.total() - 2 * body.len() as u64;
        assert!((2_000..16_000).contains(&beside), "{beside} bytes beside the bodies");
        agent.shutdown();
        assert_eq!(requests.recv().unwrap().0, "ended");
    }

    #[test]
    fn every_status_is_an_answer() {
        let authority = Authority::new();
        let url = server(authority.server(ALWAYS), |mut stream| {
            for status in ["302 Found\r\nLocation: /elsewhere", "409 Conflict", "507 Insufficient Storage"] {
                head(&mut stream).unwrap();
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        let agent = agent(authority.client().config, LONG, Pulse::new(), Meter::default());
        for expected in [302, 409, 507] {
            assert_eq!(agent.head(&url).call().unwrap().status().as_u16(), expected);
        }
    }

    #[test]
    fn a_shutdown_ends_a_request_in_flight() {
        let authority = Authority::new();
        let (heard, is_heard) = mpsc::channel();
        let url = server(authority.server(ALWAYS), move |mut stream| {
            heard.send(head(&mut stream).is_some()).unwrap();
            let _ = head(&mut stream);
        });
        let agent = agent(authority.client().config, LONG, Pulse::new(), Meter::default());
        let worker = thread::spawn({
            let agent = agent.clone();
            move || agent.get(&url).call()
        });
        assert!(is_heard.recv().unwrap());
        agent.shutdown();
        let error = worker.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error}");
    }

    #[test]
    fn a_server_that_is_silent_is_given_up() {
        let authority = Authority::new();
        let url = server(authority.server(ALWAYS), |mut stream| while head(&mut stream).is_some() {});
        let limits = Limits { read: Duration::from_millis(50), ..LONG };
        let error = agent(authority.client().config, limits, Pulse::new(), Meter::default())
            .get(&url)
            .call()
            .unwrap_err();
        assert_eq!(describe(&error), "the server took too long (per read)");
    }

    #[test]
    fn a_server_that_never_greets_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let limits = Limits { connect: Duration::from_millis(50), ..LONG };
        let error = agent(Authority::new().client().config, limits, Pulse::new(), Meter::default())
            .get(&url)
            .call()
            .unwrap_err();
        assert_eq!(describe(&error), "the server took too long (connect)");
    }

    #[test]
    fn a_server_of_another_authority_gets_nothing() {
        let (heard, is_heard) = mpsc::channel();
        let url = server(Authority::new().server(ALWAYS), move |mut stream| {
            heard.send(head(&mut stream).is_some()).unwrap();
        });
        let error = agent(Authority::new().client().config, LONG, Pulse::new(), Meter::default())
            .get(&url)
            .call()
            .unwrap_err();
        assert!(describe(&error).contains("no authority that this board trusts"), "{error}");
        assert!(!is_heard.recv().unwrap());
    }

    #[test]
    fn a_name_without_an_address_is_told() {
        let agent = agent(Authority::new().client().config, LONG, Pulse::new(), Meter::default());
        let error = agent.get("https://nowhere.invalid/").call().unwrap_err();
        assert!(matches!(error, Error::Io(_) | Error::HostNotFound), "{error}");
        assert!(!describe(&error).is_empty());
    }
}
