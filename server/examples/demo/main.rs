//! `make demo`: the server, an agent and a camera program on this machine, and a link to watch them by; with Janus a
//! room for browsers, too.
//!
//! Everything is in one temporary directory. The programs are children of this one, which ends them whichever way it
//! ends itself.

mod camera;
mod check;
mod child;
mod cloud;
mod h264;
mod janus;
mod mp4;
mod picture;
mod room;

use std::env;
use std::fmt::{self, Display};
use std::fs;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use argh::FromArgs;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep;

use camera::{Camera, Event, PICTURES_A_SECOND, SEGMENTS};
use check::{Check, Witnesses};
use child::Child;
use cloud::{CAMERA, Page, Server};
use janus::Janus;
use room::Room;

/// Long enough to be worth watching, short enough to wait for.
const PICTURES: u32 = 4 * PICTURES_A_SECOND;
const MOTION_EVERY: Duration = Duration::from_secs(30);
/// The check is about what arrives, not about what there is to see.
const CHECKED_PICTURES: u32 = PICTURES_A_SECOND;
/// What a check may take, starting the programs included.
const OVERALL: Duration = Duration::from_secs(180);
/// How long after any failure a program may turn out to have ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How a machine gets what rooms need.
const NO_JANUS: &str = "No room: that takes Janus. On Debian scripts/install-tools janus fetches it, and apt-get install janus \
    installs it.";
/// Longer than a check may take: it is about one motion.
const NO_SECOND_MOTION: Duration = Duration::from_secs(3600);

/// Runs the server, an agent and a camera that films a test card, until Ctrl-C.
#[derive(FromArgs)]
struct Arguments {
    /// the agent's program, cloudtalker
    #[argh(option)]
    agent: PathBuf,
    /// the server's program, cloudtalker-server
    #[argh(option)]
    server: PathBuf,
    /// send one capture, one alarm and each command, compare what has arrived, and end
    #[argh(switch)]
    once: bool,
    /// print what the programs log
    #[argh(switch)]
    verbose: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    match demo(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(arguments: &Arguments) -> Result<(), Error> {
    let mut stop = Stop::new().map_err(Error::Signals)?;
    let directory = temporary("cloudtalker-demo-")?;
    let outcome = tokio::select! {
        outcome = play(arguments, directory.path()) => outcome,
        () = sleep(OVERALL), if arguments.once => Err(Error::Late),
        () = stop.asked() => return if arguments.once { Err(Error::Stopped) } else { Ok(()) },
    };
    outcome.map_err(|error| Error::Failed { error: Box::new(error), logs: directory.keep() })
}

/// Starts the programs and tells their story. Dropping this ends the agent, then the server, then Janus.
async fn play(arguments: &Arguments, directory: &Path) -> Result<(), Error> {
    let mut janus = Janus::program()
        .map(|program| Janus::start(&program, &directory.join("janus"), arguments.verbose))
        .transpose()?;
    let server = Server { program: arguments.server.clone(), data: directory.join("server") };
    let log = directory.join("server.log");
    let mut serving = Child::start("server", server.serve(janus.as_ref()), &log, arguments.verbose)?;
    let page = Page::printed_by(&mut serving).await?;

    let (input_sock, cam_sock) = (directory.join("input.sock"), directory.join("cam.sock"));
    let mut agent = Command::new(&arguments.agent);
    agent.args(server.add_camera(&directory.join("keys")).await?);
    agent.arg("--input_sock").arg(&input_sock).arg("--cam_sock").arg(&cam_sock);
    agent.arg("--state_dir").arg(directory.join("agent"));
    let mut agent = Child::start("agent", agent, &directory.join("agent.log"), arguments.verbose)?;

    let (events, seen) = unbounded_channel();
    let camera = Camera {
        directory: directory.join("recordings"),
        input_sock: input_sock.clone(),
        pictures: if arguments.once { CHECKED_PICTURES } else { PICTURES },
        motion_every: if arguments.once { NO_SECOND_MOTION } else { MOTION_EVERY },
        events,
    };
    fs::create_dir(&camera.directory).map_err(|error| Error::Directory(camera.directory.clone(), error))?;

    let has_janus = janus.is_some();
    let story = async {
        let room = if has_janus { Some(Room::make(&page).await?) } else { None };
        if !arguments.once {
            return show(&server, &page, room.as_ref(), directory, seen).await;
        }
        match &room {
            Some(room) => println!("Janus keeps room {}, for browsers: {}\n", room.number, room.link),
            None => println!("{NO_JANUS}\n"),
        }
        let witnesses = Witnesses { server: &server, agent: &arguments.agent, input_sock: &input_sock };
        let mut videos = temporary("cloudtalker-demo-video-")?;
        let seconds = f64::from(SEGMENTS * CHECKED_PICTURES) / f64::from(PICTURES_A_SECOND);
        Check::new(witnesses, seen).run(seconds, videos.path()).await?;
        videos.disable_cleanup(true);
        Ok(())
    };
    let outcome = tokio::select! {
        outcome = story => outcome,
        outcome = camera.run(&cam_sock) => outcome.map_err(Error::Camera),
        ended = serving.ended() => Err(ended.into()),
        ended = agent.ended() => Err(ended.into()),
        ended = ended(&mut janus) => Err(ended.into()),
    };
    let Err(error) = outcome else { return Ok(()) };
    // Who talks to a program that dies may be the first to notice, but it is the program's own words that tell why.
    tokio::select! {
        ended = serving.ended() => Err(ended.into()),
        ended = agent.ended() => Err(ended.into()),
        ended = ended(&mut janus) => Err(ended.into()),
        () = sleep(LAST_WORDS) => Err(error),
    }
}

/// Waits until Janus has ended, which it should not; for ever where there is none.
async fn ended(janus: &mut Option<Janus>) -> child::Error {
    match janus {
        Some(janus) => janus.ended().await,
        None => pending().await,
    }
}

/// Arms the camera, says where to look, and goes on telling what the camera does.
async fn show(
    server: &Server,
    page: &Page,
    room: Option<&Room>,
    directory: &Path,
    mut seen: UnboundedReceiver<Event>,
) -> Result<(), Error> {
    server.tell_camera("arm").await?;
    println!();
    println!("    page       {}", page.link);
    println!("    password   {}", page.password);
    println!();
    match room {
        Some(room) => {
            println!("    room       {}", room.link);
            println!("    camera     {}", room.camera);
            println!("    screen     {}", room.screen);
            println!();
            println!(
                "Open \"camera\" and \"screen\" beside each other: this machine's own camera is seen on the screen."
            );
        }
        None => println!("{NO_JANUS}"),
    }
    println!(
        "The camera {CAMERA:?} is armed and sees motion every {MOTION_EVERY:?}; the page's buttons command it."
    );
    println!("Until Ctrl-C, all files are in {}.", directory.display());
    println!();
    while let Some(event) = seen.recv().await {
        match event {
            Event::Obeyed(command) => println!("camera: was told to {}", command.name()),
            Event::AlarmAcknowledged => println!("camera: saw motion, and the agent took the alarm"),
            Event::SegmentAcknowledged(segment) => {
                println!("camera: the agent took {} ({} bytes)", segment.file_name(), segment.bytes);
            }
            Event::CaptureClosed { .. } => println!("camera: ended the capture"),
        }
    }
    pending().await
}

/// The signals that end the demo: Ctrl-C, a polite kill, a closed terminal.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// A directory that goes away with its owner. Its path is short, because a socket's must be.
fn temporary(prefix: &str) -> Result<TempDir, Error> {
    let made = tempfile::Builder::new().prefix(prefix).tempdir();
    made.map_err(|error| Error::Directory(env::temp_dir(), error))
}

#[derive(Debug)]
enum Error {
    /// The synthetic camera, or what the agent answered it.
    Camera(camera::Error),
    /// What has arrived is not what was sent.
    Check(check::Error),
    /// A program.
    Child(child::Error),
    /// The server.
    Cloud(cloud::Error),
    /// Janus, which the machine has.
    Janus(janus::Error),
    /// The room.
    Room(room::Error),
    /// A directory could not be made.
    Directory(PathBuf, io::Error),
    /// What went wrong, and where the programs' logs are.
    Failed { error: Box<Error>, logs: PathBuf },
    /// A check took longer than everything together may.
    Late,
    /// The system does not tell us its signals.
    Signals(io::Error),
    /// Someone ended a check before its end.
    Stopped,
}

impl From<check::Error> for Error {
    fn from(error: check::Error) -> Self {
        Self::Check(error)
    }
}

impl From<child::Error> for Error {
    fn from(error: child::Error) -> Self {
        Self::Child(error)
    }
}

impl From<janus::Error> for Error {
    fn from(error: janus::Error) -> Self {
        Self::Janus(error)
    }
}

impl From<room::Error> for Error {
    fn from(error: room::Error) -> Self {
        Self::Room(error)
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
            Self::Camera(error) => error.fmt(f),
            Self::Check(error) => error.fmt(f),
            Self::Child(error) => error.fmt(f),
            Self::Cloud(error) => error.fmt(f),
            Self::Janus(error) => error.fmt(f),
            Self::Room(error) => error.fmt(f),
            Self::Directory(path, error) => {
                write!(f, "could not make a directory: {}: {error}", path.display())
            }
            Self::Failed { error, logs } => write!(f, "{error}\nthe logs are left in {}", logs.display()),
            Self::Late => write!(f, "the programs did not do their work within {OVERALL:?}"),
            Self::Signals(error) => write!(f, "could not listen for Ctrl-C: {error}"),
            Self::Stopped => write!(f, "stopped before the check was done"),
        }
    }
}
