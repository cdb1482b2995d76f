//! The session's socket: a WebSocket over TLS, as one task.

use super::{clock::http_date, executor::Executor};
use crate::{
    config::Endpoint,
    engine::{Frame, Input, Refusal},
    tls,
    wire::cloud::ToCloud,
};
use async_channel::{Receiver, Sender};
use async_rustls::{TlsConnector, client::TlsStream};
use async_tungstenite::{
    WebSocketReceiver, WebSocketSender, WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};
use rustls::{ClientConfig, pki_types::ServerName};
use smol::{
    Task, Timer,
    future::{self, BoxedLocal, FutureExt},
    net::TcpStream,
    stream::StreamExt,
};
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// Name, TCP, TLS and WebSocket together.
const CONNECT: Duration = Duration::from_secs(30);
/// TCP alone: what was wrong with each address is to be told before all is over.
const DIAL: Duration = Duration::from_secs(25);
/// Before the next of the cloud's addresses is tried, too.
const HEAD_START: Duration = Duration::from_millis(250);
/// Of a name's addresses, those that are tried at once.
const MAX_ADDRESSES: usize = 16;
/// Unacknowledged bytes for this long: the link is dead. A little more than a ping and its answer may take.
const USER_TIMEOUT_MS: u32 = 80_000;
/// A cloud's messages are small; so is a board's memory.
const MAX_MESSAGE: usize = 64 * 1024;
const BUFFER: usize = 4 * 1024;
/// Of a server's word to people.
const MAX_TEXT: usize = 300;

pub(crate) type Stream = TlsStream<TcpStream>;
pub(crate) type Socket = WebSocketStream<Stream>;

/// One connection. Dropping it closes it, and nothing more is heard of it.
pub struct Link {
    outgoing: Sender<Message>,
    _task: Task<()>,
}

/// Where the cloud is, and who we are.
#[derive(Clone)]
pub struct Target {
    /// Its address.
    pub endpoint: Endpoint,
    /// Our certificate, and whom we trust.
    pub tls: Arc<ClientConfig>,
}

impl Link {
    /// Connects. The inputs are [`Input::SessionUp`], then [`Input::SessionHeard`], then
    /// [`Input::SessionDown`]; or the last alone, or [`Input::SessionRefused`].
    pub fn open(executor: &Executor, target: Target, inputs: Sender<Input>) -> Link {
        let (outgoing, waiting) = async_channel::unbounded();
        let task = executor.spawn(async move {
            let end = match live(&target, &waiting, &inputs).await {
                End::Lost(reason) | End::Denied(reason) => Input::SessionDown(reason),
                End::Refused(refusal, reason) => Input::SessionRefused(refusal, reason),
            };
            // The loop that would hear it is gone only when the process ends.
            let _ = inputs.send(end).await;
        });
        Link { outgoing, _task: task }
    }

    /// Sends a text frame.
    pub fn send(&self, message: &ToCloud) {
        self.push(Message::Text(message.to_text().into()));
    }

    /// Sends a ping.
    pub fn ping(&self) {
        self.push(Message::Ping(tungstenite::Bytes::new()));
    }

    /// Says goodbye.
    pub fn close(&self) {
        self.push(Message::Close(None));
    }

    fn push(&self, message: Message) {
        // A session that has just ended takes nothing more; the engine is about to hear of its end.
        let _ = self.outgoing.try_send(message);
    }
}

/// Why a session ended, or why there is none.
pub(crate) enum End {
    /// The link, the server or the agent has gone.
    Lost(String),
    /// The server answers, but gives no session now; with what to look at.
    Denied(String),
    /// More tries alone will not mend that; with what will, but for a name.
    Refused(Refusal, String),
}

impl End {
    fn of_io(error: &io::Error) -> End {
        let reason = tls::describe_io(error);
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) if tls::blames_the_clock(error) => End::Refused(Refusal::Clock, reason),
            Some(
                rustls::Error::InvalidCertificate(_)
                | rustls::Error::AlertReceived(_)
                | rustls::Error::InvalidMessage(_),
            ) => End::Refused(Refusal::Distrust, reason),
            Some(_) => End::Denied(reason),
            None => End::Lost(reason),
        }
    }

    fn of_socket(error: &tungstenite::Error) -> End {
        match error {
            tungstenite::Error::Io(error) => End::of_io(error),
            tungstenite::Error::Http(response) => {
                let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default());
                let said: String = body.lines().next().unwrap_or_default().chars().take(MAX_TEXT).collect();
                let said = if said.is_empty() { said } else { format!(": {said:?}") };
                let status = response.status();
                let cure = match status.as_u16() {
                    200..=399 | 404 | 405 => "is --endpoint right?",
                    401 | 403 => "is --cert the one that it issued, and the camera still known there?",
                    _ => "is the server well? its log may say why",
                };
                let reason = format!("expected a WebSocket, but the server answered {status}{said}; {cure}");
                if matches!(status.as_u16(), 401 | 403 | 404) {
                    End::Refused(Refusal::Distrust, reason)
                } else {
                    End::Denied(reason)
                }
            }
            error => End::Lost(error.to_string()),
        }
    }

    fn of_agent() -> End {
        End::Lost("the agent is ending".to_owned())
    }
}

/// A session's whole life.
async fn live(target: &Target, waiting: &Receiver<Message>, inputs: &Sender<Input>) -> End {
    let timeout = async {
        Timer::after(CONNECT).await;
        Err(End::Lost(format!("no answer within {} s", CONNECT.as_secs())))
    };
    let (socket, date) = match connect(target).or(timeout).await {
        Ok(connected) => connected,
        Err(end) => return end,
    };
    if inputs.send(Input::SessionUp(date)).await.is_err() {
        return End::of_agent();
    }
    let (sender, receiver) = socket.split();
    listen(receiver, inputs).or(speak(sender, waiting)).await
}

async fn connect(target: &Target) -> Result<(Socket, Option<u64>), End> {
    let Endpoint { host, port, .. } = &target.endpoint;
    let addresses = resolve(host, *port).await?;
    let tcp = dial(&addresses, DIAL).await?;
    let stream = target.greet(tcp).await?;
    target.upgrade(stream).await
}

/// Looks a name up.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, End> {
    smol::net::resolve((host, port))
        .await
        .map_err(|error| End::Refused(Refusal::Name, format!("no address is found for {host:?}: {error}")))
}

/// Connects to the address that answers first, within this time. One that swallows packets keeps nobody from the others: the
/// next is tried beside it, after [`HEAD_START`] (RFC 8305).
pub(crate) async fn dial(addresses: &[SocketAddr], patience: Duration) -> Result<TcpStream, End> {
    let deadline = Instant::now() + patience;
    let mut untried = addresses.iter().take(MAX_ADDRESSES).copied().peekable();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut failures = Vec::new();
    let tcp = loop {
        match untried.next() {
            Some(address) => attempts.push(Attempt::of(address)),
            None if attempts.is_empty() => return Err(none_of(addresses, &failures)),
            None => {}
        }
        let wait = match untried.peek() {
            Some(_) => deadline.min(Instant::now() + HEAD_START),
            None => deadline,
        };
        let timeout = async {
            Timer::at(wait).await;
            None
        };
        match async { Some(first(&mut attempts).await) }.or(timeout).await {
            Some((_, Ok(tcp))) => break tcp,
            Some((address, Err(error))) => failures.push((address, error.to_string())),
            None if Instant::now() < deadline => {}
            None => {
                let late = format!("no answer within {} s", patience.as_secs());
                failures.extend(attempts.iter().map(|attempt| (attempt.address, late.clone())));
                return Err(none_of(addresses, &failures));
            }
        }
    };
    let io = |error: io::Error| End::of_io(&error);
    tcp.set_nodelay(true).map_err(io)?;
    rustix::net::sockopt::set_tcp_user_timeout(&tcp, USER_TIMEOUT_MS).map_err(|error| io(error.into()))?;
    Ok(tcp)
}

struct Attempt {
    address: SocketAddr,
    connecting: BoxedLocal<io::Result<TcpStream>>,
}

impl Attempt {
    fn of(address: SocketAddr) -> Attempt {
        Attempt { address, connecting: TcpStream::connect(address).boxed_local() }
    }
}

/// What the first of them to end comes to. It is taken from among them.
async fn first(attempts: &mut Vec<Attempt>) -> (SocketAddr, io::Result<TcpStream>) {
    future::poll_fn(|context| {
        let ended = attempts.iter_mut().enumerate().find_map(|(index, attempt)| {
            match attempt.connecting.poll(context) {
                Poll::Ready(end) => Some((index, end)),
                Poll::Pending => None,
            }
        });
        ended.map_or(Poll::Pending, |(index, end)| Poll::Ready((attempts.swap_remove(index).address, end)))
    })
    .await
}

/// Where there is one address, everybody knows whose failure it is.
fn none_of(addresses: &[SocketAddr], failures: &[(SocketAddr, String)]) -> End {
    let told = |(address, why): &(SocketAddr, String)| match addresses.len() {
        1 => why.clone(),
        _ => format!("{address}: {why}"),
    };
    End::Lost(failures.iter().map(told).collect::<Vec<_>>().join(", "))
}

impl Target {
    /// TLS's greeting.
    pub(crate) async fn greet(&self, tcp: TcpStream) -> Result<Stream, End> {
        let host = &self.endpoint.host;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| End::Refused(Refusal::Distrust, format!("{host:?} is no host name")))?;
        let connector = TlsConnector::from(self.tls.clone());
        connector.connect(name, tcp).await.map_err(|error| End::of_io(&error))
    }

    /// The WebSocket's greeting, and what time the server says it is.
    pub(crate) async fn upgrade(&self, stream: Stream) -> Result<(Socket, Option<u64>), End> {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let url = format!("wss://{}{}", self.endpoint.authority(), self.endpoint.path);
        let upgraded = client_async_with_config(url, stream, Some(config)).await;
        let (socket, response) = upgraded.map_err(|error| End::of_socket(&error))?;
        let date = response.headers().get("Date").and_then(|date| date.to_str().ok()).and_then(http_date);
        Ok((socket, date))
    }
}

async fn listen(mut receiver: WebSocketReceiver<TlsStream<TcpStream>>, inputs: &Sender<Input>) -> End {
    loop {
        let frame = match receiver.next().await {
            Some(Ok(Message::Text(text))) => Frame::Text(text.to_string()),
            Some(Ok(Message::Close(Some(close)))) if !close.reason.is_empty() => {
                return End::Lost(format!("the cloud closed it: {}", close.reason));
            }
            Some(Ok(Message::Close(_))) | None => return End::Lost("the cloud closed it".to_owned()),
            Some(Ok(_)) => Frame::Other,
            Some(Err(error)) => return End::of_socket(&error),
        };
        if inputs.send(Input::SessionHeard(frame)).await.is_err() {
            return End::of_agent();
        }
    }
}

async fn speak(mut sender: WebSocketSender<TlsStream<TcpStream>>, waiting: &Receiver<Message>) -> End {
    while let Ok(message) = waiting.recv().await {
        if let Err(error) = sender.send(message).await {
            return End::of_socket(&error);
        }
    }
    future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_in_a_websockets_place_makes_something_suspect() {
        let (endpoint, cert, server) = ("is --endpoint right?", "is --cert the one", "is the server well?");
        for (status, suspect) in [
            (200, endpoint),
            (302, endpoint),
            (404, endpoint),
            (405, endpoint),
            (401, cert),
            (403, cert),
            (429, server),
            (502, server),
        ] {
            let response = tungstenite::http::Response::builder().status(status).body(None).unwrap();
            let end = End::of_socket(&tungstenite::Error::Http(response.into()));
            let (End::Denied(reason) | End::Refused(_, reason)) = end else { panic!("{status} has a cure") };
            let begins = format!("expected a WebSocket, but the server answered {status}");
            assert!(reason.starts_with(&begins), "{reason}");
            assert!(reason.contains(&format!("; {suspect}")), "{reason}");
        }
    }

    /// A listener whose queue is full: whoever connects hears nothing more.
    fn black_hole() -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || std::net::TcpStream::connect_timeout(&address, HEAD_START).ok();
        let queued = std::iter::from_fn(connect).collect();
        (listener, queued)
    }

    #[test]
    fn an_address_that_swallows_packets_keeps_nobody_from_the_next_one() {
        let (hole, _queued) = black_hole();
        let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [hole.local_addr().unwrap(), open.local_addr().unwrap()];
        let tcp = smol::block_on(dial(&addresses, CONNECT)).unwrap_or_else(|_| panic!("one of them answers"));
        assert_eq!(tcp.peer_addr().unwrap(), addresses[1]);
    }

    #[test]
    fn what_was_wrong_with_each_address_is_told() {
        // Nobody listens there any more.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (hole, _queued) = black_hole();
        let hole = hole.local_addr().unwrap();
        let told = |addresses: &[SocketAddr]| match smol::block_on(dial(addresses, Duration::from_secs(1))) {
            Err(End::Lost(why)) => why,
            Err(_) | Ok(_) => panic!("nobody answers"),
        };
        let (refused, late) = ("Connection refused (os error 111)", "no answer within 1 s");
        assert_eq!(told(&[closed]), refused);
        assert_eq!(told(&[hole]), late);
        assert_eq!(told(&[hole, closed]), format!("{closed}: {refused}, {hole}: {late}"));
    }
}
