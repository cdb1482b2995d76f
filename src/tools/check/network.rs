//! The way to the cloud, a step at a time, as the agent goes it.
//!
//! A server has one session with a camera, and a second one ends the first. So where the agent beside us has its
//! session no other is begun: that it is there says all.

use super::{
    input,
    report::{Outcome, Report, Subject},
};
use crate::{
    config::Config,
    engine::Refusal,
    shell::{
        cloud::{self, End, Stream, Target},
        lock,
        meter::Meter,
        progress::Pulse,
        ureq_tls::{self, Limits},
    },
    tools::{Address, ToolError, is_nobody},
    wire::tus::VERSION,
};
use rustls::ClientConfig;
use smol::{Timer, future::FutureExt, net::TcpStream};
use std::{
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

/// For each step.
const PATIENCE: Duration = Duration::from_secs(10);
const LIMITS: Limits = Limits { connect: PATIENCE, read: PATIENCE, write: PATIENCE };
/// What to look at where a name leads nowhere.
const NAME: &str = "is --endpoint right, and does the board have a network?";
/// Where that is one that other programs may find.
const LOCAL: &str = "names in .local are none of DNS', which is all that a static program asks: give an address, or another name";
/// Where no server is reached by its addresses.
const WAY: &str = "does the board have a network, does the server run, and is nothing between?";
/// Where none is reached that was.
const SERVER: &str = "does the server run, and is nothing between?";
/// Where one takes the connection, and then says nothing.
const PORT: &str = "is --endpoint's port right, and is nothing between?";
/// Where it speaks TLS, and then says nothing.
const WELL: &str = "is the server well, and does nothing between hold WebSockets back?";
/// Of a server's word to people.
const MAX_TEXT: u64 = 300;

/// Looks at everything from the name to the uploads. Without a TLS configuration it goes as far as that takes it.
pub async fn look(config: &Config, tls: Result<Arc<ClientConfig>, Subject>, report: &mut Report) {
    let reached = reach(config, tls.clone(), report).await;
    if let Err(failed) = reached {
        report.skip(&[Subject::Dns, Subject::Tcp, Subject::Tls, Subject::WebSocket], failed);
    }
    // Another server for uploads may be there though the endpoint is not.
    let way = if config.upload_url.is_some() { Ok(()) } else { reached };
    match way.and(tls) {
        Ok(tls) => report.tell(Subject::Uploads, uploads(config.uploads_at(), tls).await),
        Err(failed) => report.skip(&[Subject::Uploads], failed),
    }
}

/// Goes until something fails: that.
async fn reach(
    config: &Config,
    tls: Result<Arc<ClientConfig>, Subject>,
    report: &mut Report,
) -> Result<(), Subject> {
    let endpoint = &config.endpoint;
    let addresses = addresses(&endpoint.host, endpoint.port, NAME).await.map(|found| (listed(&found), found));
    let addresses = report.take(Subject::Dns, addresses)?;

    let tcp = bounded(WAY, cloud::dial(&addresses, PATIENCE)).await.map(|tcp| (connected(&tcp), tcp));
    let tcp = tcp.map_err(|why| format!("{}: {why}", endpoint.authority()));
    let tcp = report.take(Subject::Tcp, tcp)?;

    let target = Target { endpoint: endpoint.clone(), tls: tls? };
    let stream = bounded(PORT, target.greet(tcp)).await.map(|stream| (greeted(&stream), stream));
    let stream = report.take(Subject::Tls, stream)?;
    report.tell(Subject::WebSocket, websocket(config, &target, stream).await);
    Ok(())
}

/// Those of a name, or why there are none, with the cure.
pub(super) async fn addresses(host: &str, port: u16, cure: &str) -> Result<Vec<SocketAddr>, String> {
    let cure = if host.ends_with(".local") { LOCAL } else { cure };
    bounded(cure, cloud::resolve(host, port)).await
}

/// No step takes longer. Where nothing is known but that the way is closed, the cure is the step's.
async fn bounded<T>(cure: &str, step: impl Future<Output = Result<T, End>>) -> Result<T, String> {
    let stepped = async {
        step.await.map_err(|end| match end {
            End::Lost(why) | End::Refused(Refusal::Name, why) => format!("{why}; {cure}"),
            End::Denied(why) | End::Refused(Refusal::Clock | Refusal::Distrust, why) => why,
        })
    };
    stepped.or(too_late(cure)).await
}

async fn too_late<T>(cure: &str) -> Result<T, String> {
    Timer::after(PATIENCE).await;
    Err(format!("no answer within {} s; {cure}", PATIENCE.as_secs()))
}

fn listed(addresses: &[SocketAddr]) -> String {
    let mut addresses: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    addresses.dedup();
    addresses.join(", ")
}

fn connected(tcp: &TcpStream) -> String {
    tcp.peer_addr().map_or("connected".to_owned(), |address| format!("connected to {address}"))
}

fn greeted(stream: &Stream) -> String {
    let (_, connection) = stream.get_ref();
    let version = connection.protocol_version().map(|version| format!("{version:?}"));
    let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    let terms: Vec<String> = version.into_iter().chain(suite).collect();
    format!("the server is the right one ({})", terms.join(", "))
}

async fn websocket(config: &Config, target: &Target, stream: Stream) -> Outcome {
    match holder(config) {
        Holder::Nobody => {}
        Holder::Agent => return Outcome::Fine("the running agent has its session".into()),
        Holder::Unknown(error) => {
            return Outcome::Doubtful(format!(
                "not tried, as it would end the session of an agent that does not tell whether it has one: {error}"
            ));
        }
        Holder::Elsewhere(why) => return Outcome::Doubtful(format!("not tried, as {why}")),
    }
    let (mut socket, _) = match bounded(WELL, target.upgrade(stream)).await {
        Ok(upgraded) => upgraded,
        Err(why) => return Outcome::Failed(why),
    };
    // It was taken, which is all that was asked.
    let _ = async { socket.close(None).await.map_err(|error| error.to_string()) }.or(too_late(WELL)).await;
    Outcome::Fine(format!("{} takes a session; it was ended at once", target.endpoint))
}

/// Who has the camera's session.
enum Holder {
    Nobody,
    /// The agent that has our input socket.
    Agent,
    /// Somebody has that socket, and does not tell.
    Unknown(ToolError),
    /// Perhaps somebody who has our state directory, and another socket: why that may be.
    Elsewhere(String),
}

fn holder(config: &Config) -> Holder {
    match input::ask(&Address::of(config.input.clone())) {
        Ok(status) if status.has_session_with(&config.endpoint.to_string()) => Holder::Agent,
        Ok(status) if Path::new(&status.spool.state_dir) == config.spool.state_dir => Holder::Nobody,
        Ok(_) => elsewhere(&config.spool.state_dir),
        Err(ToolError::Absent(_, error)) if is_nobody(&error) => elsewhere(&config.spool.state_dir),
        Err(error) => Holder::Unknown(error),
    }
}

/// An agent with other sockets than ours is known by its state directory alone.
fn elsewhere(state_dir: &Path) -> Holder {
    match File::open(state_dir) {
        Ok(dir) if lock::is_held(&dir) => Holder::Elsewhere(
            "it would end the session of the agent that has this state directory: give its input socket or port, too"
                .to_owned(),
        ),
        Ok(_) => Holder::Nobody,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Holder::Nobody,
        Err(error) => Holder::Elsewhere(format!(
            "it would end the session of an agent that has {}, if one has: {error}; run this as the agent's user",
            state_dir.display()
        )),
    }
}

async fn uploads(url: String, tls: Arc<ClientConfig>) -> Outcome {
    let asked = {
        let url = url.clone();
        smol::unblock(move || ask(&url, tls))
    };
    match asked.or(too_late(SERVER)).await {
        Ok(answer) => judge_uploads(&url, &answer),
        Err(why) => Outcome::Failed(format!("{url}: {why}")),
    }
}

/// A server's answer to `OPTIONS`, by which tus servers tell what they can do.
struct Options {
    status: u16,
    /// `Tus-Version`: those that it speaks.
    versions: Option<String>,
    /// Its first line for people.
    text: String,
}

fn ask(url: &str, tls: Arc<ClientConfig>) -> Result<Options, String> {
    let agent = ureq_tls::agent(tls, LIMITS, Pulse::new(), Meter::default());
    let mut response = agent.options(url).call().map_err(|error| {
        let why = ureq_tls::describe(&error);
        // What is wrong with TLS has its cure.
        if ureq_tls::is_of_tls(&error) { why } else { format!("{why}; {SERVER}") }
    })?;
    let versions = response.headers().get("Tus-Version").and_then(|versions| versions.to_str().ok());
    let (status, versions) = (response.status().as_u16(), versions.map(ToOwned::to_owned));
    let mut text = Vec::new();
    // The status says more than how its explanation ended.
    let _ = response.body_mut().as_reader().take(MAX_TEXT).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned();
    Ok(Options { status, versions, text })
}

fn judge_uploads(url: &str, Options { status, versions, text }: &Options) -> Outcome {
    let said = if text.is_empty() { String::new() } else { format!(": {text:?}") };
    match (status, versions) {
        (200..300, Some(versions)) if versions.split(',').any(|version| version.trim() == VERSION) => {
            Outcome::Fine(format!("{url} speaks tus {VERSION}"))
        }
        (200..300, Some(versions)) => Outcome::Failed(format!(
            "{url} speaks tus {versions}, but {VERSION} was expected: give another --upload_url"
        )),
        (401 | 403, _) => Outcome::Failed(format!(
            "{url} refuses this camera ({status}{said}): is --cert the one that this server issued?"
        )),
        (429 | 500..600, _) => {
            Outcome::Failed(format!("{url} can't take anything now ({status}{said}): try again later"))
        }
        (_, _) => Outcome::Failed(format!(
            "{url} is no tus server (it answered {status}{said}): is --upload_url right, or --endpoint without it?"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_of_our_tus_takes_uploads() {
        for (status, versions, text, expected) in [
            (204, Some("1.0.0"), "", "https://a/ speaks tus 1.0.0"),
            (200, Some("2.0.0, 1.0.0,0.2.2"), "", "https://a/ speaks tus 1.0.0"),
            (
                204,
                Some("2.0.0"),
                "",
                "https://a/ speaks tus 2.0.0, but 1.0.0 was expected: give another --upload_url",
            ),
            (204, None, "", "https://a/ is no tus server (it answered 204): "),
            (
                404,
                None,
                "no such page",
                "https://a/ is no tus server (it answered 404: \"no such page\"): is --upload_url",
            ),
            (302, Some("1.0.0"), "", "https://a/ is no tus server (it answered 302): "),
            (403, None, "removed", "https://a/ refuses this camera (403: \"removed\"): is --cert"),
            (503, Some("1.0.0"), "", "https://a/ can't take anything now (503): try again later"),
        ] {
            let options = Options { status, versions: versions.map(ToOwned::to_owned), text: text.into() };
            let outcome = judge_uploads("https://a/", &options);
            assert!(outcome.to_string().starts_with(expected), "expected {expected:?}: {outcome}");
            let is_fine = matches!(outcome, Outcome::Fine(_));
            assert_eq!(is_fine, expected.ends_with("speaks tus 1.0.0"), "{outcome}");
        }
    }

    #[test]
    fn an_address_is_listed_once() {
        let addresses = ["192.0.2.1:1", "192.0.2.1:1", "[2001:db8::1]:1"].map(|text| text.parse().unwrap());
        assert_eq!(listed(&addresses), "192.0.2.1, 2001:db8::1");
    }
}
