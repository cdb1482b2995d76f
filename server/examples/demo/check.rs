//! `--once`: one capture by motion with its alarm, and every command, each followed from the camera to the server.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, interval, sleep_until, timeout_at};

use crate::camera::{Command, Event, Segment, Trigger};
use crate::child;
use crate::cloud::{self, Capture, Server, Stored};

const PATIENCE: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// By how many seconds a joined video may differ from its parts: less than half a picture.
const ROUNDING: f64 = 0.05;

/// Who is asked what has arrived.
pub(crate) struct Witnesses<'a> {
    pub(crate) server: &'a Server,
    /// The agent's program, and where it listens.
    pub(crate) agent: &'a Path,
    pub(crate) input_sock: &'a Path,
}

pub(crate) struct Check<'a> {
    witnesses: Witnesses<'a>,
    events: UnboundedReceiver<Event>,
    deadline: Instant,
    seen: Seen,
}

/// What has been seen so far at the camera, then at the agent and at the server.
#[derive(Default)]
struct Seen {
    commands: Vec<Command>,
    segments: Vec<Segment>,
    recorded: Vec<(Trigger, u64)>,

    is_spool_empty: bool,
    is_alarm_stored: bool,
    captures: Vec<Capture>,
    /// When each segment was first seen at the server.
    stored: BTreeMap<Key, Instant>,
}

/// The trigger as the server calls it, the capture's time, the segment's number.
type Key = (String, u64, u32);

impl<'a> Check<'a> {
    pub(crate) fn new(witnesses: Witnesses<'a>, events: UnboundedReceiver<Event>) -> Self {
        Self { witnesses, events, deadline: Instant::now() + PATIENCE, seen: Seen::default() }
    }

    /// Puts the joined videos, each as long as `seconds`, into `videos`.
    pub(crate) async fn run(mut self, seconds: f64, videos: &Path) -> Result<(), Error> {
        self.command(Command::Arm).await?;
        self.until("motion, and its segments at the server", |seen| seen.are_all_stored(1)).await?;
        self.command(Command::Capture).await?;
        self.command(Command::Disarm).await?;
        self.until("the capture asked for at the server", |seen| seen.are_all_stored(2)).await?;
        self.until("the server to have the alarm", |seen| seen.is_alarm_stored).await?;
        self.until("the receipts to empty the agent's spool", |seen| seen.is_spool_empty).await?;
        self.until("both captures to be complete at the server", Seen::are_all_complete).await?;
        println!("The camera obeyed arm, capture and disarm. Its alarm is at the server.\n");
        self.seen.compare()?;
        self.export(seconds, videos).await
    }

    /// Gives a command at the server, and waits until the camera has it.
    async fn command(&mut self, command: Command) -> Result<(), Error> {
        self.seen.commands.clear();
        self.witnesses.server.tell_camera(command.name()).await?;
        let what = format!("the camera to be told {:?}", command.name());
        self.until(&what, |seen| seen.commands.contains(&command)).await
    }

    async fn until(&mut self, what: &str, is_so: impl Fn(&Seen) -> bool) -> Result<(), Error> {
        let mut looks = interval(LOOK_EVERY);
        while !is_so(&self.seen) {
            tokio::select! {
                Some(event) = self.events.recv() => self.seen.note(event),
                _ = looks.tick() => {
                    let look = timeout_at(self.deadline, self.witnesses.look(&mut self.seen)).await;
                    look.unwrap_or_else(|_| Err(Error::late(what)))?;
                }
                () = sleep_until(self.deadline) => return Err(Error::late(what)),
            }
        }
        Ok(())
    }

    async fn export(&self, seconds: f64, videos: &Path) -> Result<(), Error> {
        for capture in &self.seen.captures {
            let Some(joined) = &capture.joined else { return Err(Error::late("a joined video")) };
            let path = videos.join(format!("{}.{}.mp4", capture.trigger, capture.trigger_timestamp));
            self.witnesses.server.export(&capture.id, &path).await?;
            let bytes = fs::metadata(&path).map_err(|error| Error::Video(path.clone(), error))?.len();
            if bytes != joined.bytes || (joined.duration_s - seconds).abs() > ROUNDING {
                let (path, duration) = (path.display(), joined.duration_s);
                return Err(Error::Unequal(format!(
                    "{path}: expected {} bytes and {seconds} s, but it has {bytes} bytes and {duration} s",
                    joined.bytes
                )));
            }
            println!("{:.1} s of joined video: {}", joined.duration_s, path.display());
        }
        Ok(())
    }
}

impl Witnesses<'_> {
    async fn look(&self, seen: &mut Seen) -> Result<(), Error> {
        seen.captures = self.server.captures().await?;
        let now = Instant::now();
        for capture in &seen.captures {
            if let Some(error) = &capture.error {
                return Err(Error::Broken { id: capture.id.clone(), error: error.clone() });
            }
            for segment in &capture.segments {
                let key = (capture.trigger.clone(), capture.trigger_timestamp, segment.seg_no);
                seen.stored.entry(key).or_insert(now);
            }
        }
        seen.is_alarm_stored = self.server.has_alarm().await?;
        seen.is_spool_empty = self.is_spool_empty().await?;
        Ok(())
    }

    async fn is_spool_empty(&self) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Status {
            spool: Spool,
        }
        #[derive(Deserialize)]
        struct Spool {
            captures: u64,
        }
        let mut command = Program::new(self.agent);
        command.args(["status", "--json", "--input_sock"]).arg(self.input_sock);
        let printed = child::run(command).await?;
        let status: Result<Status, _> = serde_json::from_str(&printed);
        status.map(|status| status.spool.captures == 0).map_err(|error| Error::Status(printed, error))
    }
}

impl Seen {
    fn note(&mut self, event: Event) {
        match event {
            Event::Obeyed(command) => self.commands.push(command),
            Event::AlarmAcknowledged => {}
            Event::SegmentAcknowledged(segment) => self.segments.push(segment),
            Event::CaptureClosed { trigger, timestamp } => self.recorded.push((trigger, timestamp)),
        }
    }

    /// Whether the camera has recorded so many captures, and all their segments are at the server.
    fn are_all_stored(&self, captures: usize) -> bool {
        self.recorded.len() == captures && self.stored.len() == self.segments.len()
    }

    fn are_all_complete(&self) -> bool {
        let is_complete = |(trigger, timestamp): &(Trigger, u64)| {
            self.capture(*trigger, *timestamp).is_some_and(|capture| capture.state == "complete")
        };
        self.recorded.iter().all(is_complete)
    }

    /// Prints every segment beside what the server has of it; fails where anything differs, is missing or too much.
    fn compare(&self) -> Result<(), Error> {
        let mut unequal = 0;
        println!(
            "{:23} {:>7}  {:64}  {:64}  {:>6}",
            "segment", "bytes", "SHA-256 here", "SHA-256 at the server", "time"
        );
        for segment in &self.segments {
            let stored = self.stored_of(segment);
            let there = stored.map_or("missing", |stored| &stored.sha256);
            let key = (segment.trigger.name().to_owned(), segment.timestamp, segment.number);
            let time = self.stored.get(&key).map_or_else(String::new, |at| {
                format!("{:.2} s", at.saturating_duration_since(segment.handed_in).as_secs_f64())
            });
            println!(
                "{:23} {:>7}  {}  {there:64}  {time:>6}",
                segment.file_name(),
                segment.bytes,
                segment.sha256
            );
            let is_equal = stored.is_some_and(|it| it.sha256 == segment.sha256 && it.bytes == segment.bytes);
            unequal += usize::from(!is_equal);
        }
        println!();
        if unequal > 0 {
            return Err(Error::Unequal(format!("{unequal} segments differ from what was sent")));
        }
        let (sent, stored) = (self.segments.len(), self.captures.iter().flat_map(|it| &it.segments).count());
        if sent != stored || self.captures.len() != self.recorded.len() {
            return Err(Error::Unequal(format!(
                "expected {sent} segments in {} captures, but the server has {stored} in {}",
                self.recorded.len(),
                self.captures.len()
            )));
        }
        Ok(())
    }

    fn stored_of(&self, segment: &Segment) -> Option<&Stored> {
        let capture = self.capture(segment.trigger, segment.timestamp)?;
        capture.segments.iter().find(|stored| stored.seg_no == segment.number)
    }

    fn capture(&self, trigger: Trigger, timestamp: u64) -> Option<&Capture> {
        self.captures.iter().find(|it| it.trigger == trigger.name() && it.trigger_timestamp == timestamp)
    }
}

#[derive(Debug)]
pub(crate) enum Error {
    /// The server calls a capture broken.
    Broken { id: String, error: String },
    /// The agent's status could not be asked.
    Child(child::Error),
    /// The server.
    Cloud(cloud::Error),
    /// Something did not come in time.
    Late(String),
    /// What the agent says of itself has another form.
    Status(String, serde_json::Error),
    /// What was sent and what is there are not the same.
    Unequal(String),
    /// An exported video is not where it should be.
    Video(PathBuf, std::io::Error),
}

impl Error {
    fn late(what: &str) -> Self {
        Self::Late(what.into())
    }
}

impl From<child::Error> for Error {
    fn from(error: child::Error) -> Self {
        Self::Child(error)
    }
}

impl From<cloud::Error> for Error {
    fn from(error: cloud::Error) -> Self {
        Self::Cloud(error)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { id, error } => write!(f, "the server calls capture {id} broken: {error}"),
            Self::Child(error) => error.fmt(f),
            Self::Cloud(error) => error.fmt(f),
            Self::Late(what) => write!(f, "waited {PATIENCE:?} in vain for {what}"),
            Self::Status(text, error) => write!(f, "expected the agent's status, but got {text:?}: {error}"),
            Self::Unequal(what) => f.write_str(what),
            Self::Video(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}
