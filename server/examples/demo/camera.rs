//! A camera program without a camera: it draws a test card where another reads a sensor, and talks to the agent by
//! the same two sockets as any other.
//!
//! It obeys the commands that come as datagrams. While armed it "sees" motion every so often and records a capture
//! of three segments; on `capture` it records one too. Both go to the agent over a connection of their own, and a
//! file is deleted once the agent has acknowledged that it is durable: the agent's spool holds a link by then.

use std::fmt::{self, Display};
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::{self, File};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixDatagram, UnixStream};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedSender, channel};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::h264::Encoder;
use crate::mp4;
use crate::picture::Picture;

pub(crate) const SEGMENTS: u32 = 3;
pub(crate) const PICTURES_A_SECOND: u32 = 5;
/// The line that a motion detector would be wired to.
const MOTION_GPIO: u32 = 17;
/// What passes between being armed and the first motion.
const FIRST_MOTION: Duration = Duration::from_millis(500);

pub(crate) struct Camera {
    pub(crate) directory: PathBuf,
    pub(crate) input_sock: PathBuf,
    /// How many pictures make a segment.
    pub(crate) pictures: u32,
    pub(crate) motion_every: Duration,
    pub(crate) events: UnboundedSender<Event>,
}

/// What the camera has done, for who watches the demo.
pub(crate) enum Event {
    Obeyed(Command),
    AlarmAcknowledged,
    SegmentAcknowledged(Segment),
    CaptureClosed { trigger: Trigger, timestamp: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Command {
    Arm,
    Disarm,
    Capture,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Pir,
    Request,
}

/// A segment that the agent has promised to deliver.
pub(crate) struct Segment {
    pub(crate) trigger: Trigger,
    pub(crate) timestamp: u64,
    pub(crate) number: u32,
    pub(crate) bytes: u64,
    /// Lower-case hex.
    pub(crate) sha256: String,
    /// When it was offered to the agent.
    pub(crate) handed_in: Instant,
}

impl Camera {
    /// Runs until something fails. `cam_sock` is where the agent sends its commands to.
    pub(crate) async fn run(self, cam_sock: &Path) -> Result<(), Error> {
        let commands = UnixDatagram::bind(cam_sock).map_err(|error| Error::File(cam_sock.into(), error))?;
        let (triggers, recordings) = channel(1);
        tokio::try_join!(self.watch(commands, triggers), self.record_all(recordings))?;
        Ok(())
    }

    async fn watch(&self, commands: UnixDatagram, triggers: Sender<Trigger>) -> Result<(), Error> {
        let mut datagram = [0; 256];
        let mut next_motion = None;
        loop {
            tokio::select! {
                received = commands.recv(&mut datagram) => {
                    let text = &datagram[..received.map_err(Error::Commands)?];
                    let command = Command::parse(text)?;
                    match command {
                        Command::Arm => next_motion = next_motion.or(Some(Instant::now() + FIRST_MOTION)),
                        Command::Disarm => next_motion = None,
                        Command::Capture => record(Trigger::Request, &triggers),
                    }
                    self.tell(Event::Obeyed(command));
                }
                () = motion(next_motion) => {
                    record(Trigger::Pir, &triggers);
                    next_motion = Some(Instant::now() + self.motion_every);
                }
            }
        }
    }

    async fn record_all(&self, mut recordings: Receiver<Trigger>) -> Result<(), Error> {
        while let Some(trigger) = recordings.recv().await {
            self.record_capture(trigger).await?;
        }
        Ok(())
    }

    async fn record_capture(&self, trigger: Trigger) -> Result<(), Error> {
        let timestamp = unix_ms() / 1000;
        let mut agent = Agent::connect(&self.input_sock).await?;
        if trigger == Trigger::Pir {
            agent.hand_over(json!({"event": "alarm", "gpio": MOTION_GPIO, "ack": true})).await?;
            self.tell(Event::AlarmAcknowledged);
        }
        for number in 0..SEGMENTS {
            let video = self.film(trigger, number).await;
            let sha256 = hex(digest(&SHA256, &video).as_ref());
            let segment = Segment {
                trigger,
                timestamp,
                number,
                bytes: video.len() as u64,
                sha256,
                handed_in: Instant::now(),
            };
            let path = self.directory.join(segment.file_name());
            store(&path, &video).await.map_err(|error| Error::File(path.clone(), error))?;
            agent.hand_over(json!({"segment": path, "ack": true})).await?;
            fs::remove_file(&path).await.map_err(|error| Error::File(path, error))?;
            self.tell(Event::SegmentAcknowledged(segment));
        }
        drop(agent);
        self.tell(Event::CaptureClosed { trigger, timestamp });
        Ok(())
    }

    /// Makes a segment's file, in the time that it shows.
    async fn film(&self, trigger: Trigger, number: u32) -> Vec<u8> {
        let label = format!("UTC {} SEGMENT {number}", trigger.prefix().to_uppercase());
        let mut shutter = interval(Duration::from_secs(1) / PICTURES_A_SECOND);
        shutter.set_missed_tick_behavior(MissedTickBehavior::Delay);
        shutter.tick().await;

        let mut encoder = Encoder::default();
        let mut pictures = Vec::new();
        for _ in 0..self.pictures {
            pictures.push(encoder.encode(&Picture::test_card(unix_ms(), &label)));
            shutter.tick().await;
        }
        mp4::file(&pictures, PICTURES_A_SECOND)
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more only while the demo ends, and then nobody misses it.
        let _ = self.events.send(event);
    }
}

impl Command {
    fn parse(text: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Message {
            command: Command,
        }
        let message: Result<Message, _> = serde_json::from_slice(text);
        message.map(|it| it.command).map_err(|_| Error::Command(String::from_utf8_lossy(text).into()))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Disarm => "disarm",
            Self::Capture => "capture",
        }
    }
}

impl Trigger {
    fn prefix(self) -> &'static str {
        match self {
            Self::Pir => "pir",
            Self::Request => "cap",
        }
    }

    /// What it is called at the server.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pir => "pir",
            Self::Request => "request",
        }
    }
}

impl Segment {
    pub(crate) fn file_name(&self) -> String {
        format!("{}.{}.{}.mp4", self.trigger.prefix(), self.timestamp, self.number)
    }
}

/// A connection to the agent: one capture.
struct Agent(BufReader<UnixStream>);

impl Agent {
    async fn connect(input_sock: &Path) -> Result<Self, Error> {
        let stream = UnixStream::connect(input_sock).await;
        Ok(Self(BufReader::new(stream.map_err(|error| Error::File(input_sock.into(), error))?)))
    }

    /// Sends a message, and waits for the word that it is durable.
    async fn hand_over(&mut self, message: Value) -> Result<(), Error> {
        let mut answer = String::new();
        self.0.write_all(format!("{message}\n").as_bytes()).await.map_err(Error::Input)?;
        self.0.read_line(&mut answer).await.map_err(Error::Input)?;
        let acknowledged = serde_json::from_str(&answer).is_ok_and(|answer: Value| answer["ok"] == true);
        if acknowledged { Ok(()) } else { Err(Error::Refused { message, answer }) }
    }
}

/// Starts a recording, unless one is already waiting: a busy camera lets the second one go.
fn record(trigger: Trigger, triggers: &Sender<Trigger>) {
    let _ = triggers.try_send(trigger);
}

async fn motion(next: Option<Instant>) {
    match next {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

async fn store(path: &Path, video: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path).await?;
    file.write_all(video).await?;
    file.sync_all().await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unix_ms() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}

#[derive(Debug)]
pub(crate) enum Error {
    /// The command socket could not be read.
    Commands(io::Error),
    /// A datagram was none of the three commands.
    Command(String),
    /// A file or socket could not be opened, written or removed.
    File(PathBuf, io::Error),
    /// The connection to the agent broke.
    Input(io::Error),
    /// The agent did not say that a message is durable.
    Refused { message: Value, answer: String },
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commands(error) => write!(f, "could not receive a command: {error}"),
            Self::Command(text) => write!(f, "expected a command from the agent, but got {text:?}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Input(error) => write!(f, "the connection to the agent's input socket broke: {error}"),
            Self::Refused { message, answer } => {
                write!(f, "expected the agent to acknowledge {message}, but it answered {answer:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::net::UnixListener;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::task::{JoinHandle, spawn, yield_now};
    use tokio::time::timeout;

    use super::*;

    /// The agent's ends of a running camera's sockets.
    struct Board {
        directory: TempDir,
        input: UnixListener,
        camera: JoinHandle<Result<(), Error>>,
    }

    impl Board {
        async fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let input_sock = directory.path().join("input.sock");
            let cam_sock = directory.path().join("cam.sock");
            let input = UnixListener::bind(&input_sock).unwrap();
            let recordings = directory.path().join("recordings");
            std::fs::create_dir(&recordings).unwrap();
            let (events, _) = unbounded_channel();
            let camera = Camera {
                directory: recordings,
                input_sock,
                pictures: 1,
                motion_every: Duration::from_secs(3600),
                events,
            };
            let camera = spawn(async move { camera.run(&cam_sock).await });
            // The camera goes first, and opens its socket before it waits for anything.
            yield_now().await;
            Self { directory, input, camera }
        }

        fn command(&self, text: &str) {
            let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
            socket.send_to(text.as_bytes(), self.directory.path().join("cam.sock")).unwrap();
        }

        async fn capture(&self) -> BufReader<UnixStream> {
            let accepted = timeout(Duration::from_secs(20), self.input.accept()).await;
            BufReader::new(accepted.expect("the camera connects").unwrap().0)
        }
    }

    async fn message(capture: &mut BufReader<UnixStream>) -> Option<Value> {
        let mut line = String::new();
        let length = capture.read_line(&mut line).await.unwrap();
        (length > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    #[tokio::test]
    async fn a_capture_asked_for_is_handed_over_file_by_file() {
        let board = Board::new().await;
        board.command(r#"{"command":"capture"}"#);
        let mut capture = board.capture().await;
        for number in 0..SEGMENTS {
            let message = message(&mut capture).await.unwrap();
            let path = Path::new(message["segment"].as_str().unwrap()).to_owned();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with("cap.") && name.ends_with(&format!(".{number}.mp4")), "{name}");
            assert!(std::fs::read(&path).unwrap().starts_with(b"\0\0\0\x20ftyp"));
            capture.write_all(b"{\"ok\":true}\n").await.unwrap();
        }
        assert_eq!(message(&mut capture).await, None, "the connection ends with the capture");
        assert_eq!(std::fs::read_dir(board.directory.path().join("recordings")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn motion_raises_an_alarm_while_armed() {
        let board = Board::new().await;
        board.command(r#"{"command":"arm"}"#);
        let first = message(&mut board.capture().await).await;
        assert_eq!(first, Some(json!({"event": "alarm", "gpio": 17, "ack": true})));
    }

    #[tokio::test]
    async fn a_refused_segment_ends_the_camera_and_keeps_the_file() {
        let board = Board::new().await;
        board.command(r#"{"command":"capture"}"#);
        let mut capture = board.capture().await;
        let message = message(&mut capture).await.unwrap();
        capture.write_all(b"{\"ok\":false,\"error\":\"no space\"}\n").await.unwrap();
        let error = board.camera.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("no space"), "{error}");
        assert!(Path::new(message["segment"].as_str().unwrap()).exists());
    }
}
