//! Arguments. `--x y` and `--x=y`, with `_` or `-` within names, are the same.

mod arguments;
mod complaint;
mod identity;
mod options;
mod table;

use crate::{
    control::{self, Answer, Request},
    room::{self, config::Config, janus::Codecs, process},
    serve,
    server::DataDir,
};
use argh::FromArgs;
use arguments::{
    Action, Camera, CameraAction, CameraAdd, CameraCommand, CameraRemove, Captures, CapturesAction,
    CapturesExport, Cli, NewPassword, Room, Serve, folded,
};
use complaint::complaint;
use identity::Files;
use options::options;
use serde_json::Value;
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};
use tokio::io::AsyncReadExt;

/// Exit status of arguments that can't be meant (EX_USAGE).
const USAGE: u8 = 64;

/// Does what the arguments say.
pub async fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = folded(arguments).collect();
    let (program, arguments) = match arguments.split_first() {
        Some((program, arguments)) => (program.as_str(), arguments),
        None => ("cloudtalker-server", [].as_slice()),
    };
    if arguments.first().is_some_and(|first| first == "--version") {
        print(concat!("cloudtalker-server ", env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cli = match Cli::from_args(&[program.rsplit('/').next().unwrap_or(program)], &arguments) {
        Ok(cli) => cli,
        Err(exit) if exit.status.is_ok() => {
            print(exit.output.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(exit) => return failed(USAGE, &complaint(&exit.output, &arguments)),
    };
    match cli.action {
        Action::Serve(arguments) => served(arguments).await,
        Action::Room(arguments) => roomed(arguments).await,
        Action::Camera(Camera { action }) => match action {
            CameraAction::Add(add) => added(&add).await,
            CameraAction::List(list) => {
                listed(&list.data, &Request::Cameras, list.json, table::cameras).await
            }
            CameraAction::Remove(CameraRemove { name, data }) => {
                done(&data, &Request::RemoveCamera { name }).await
            }
            CameraAction::Command(CameraCommand { name, command, data }) => {
                done(&data, &Request::Command { name, command }).await
            }
        },
        Action::Captures(Captures { action }) => match action {
            CapturesAction::List(list) => {
                listed(&list.data, &Request::Captures, list.json, table::captures).await
            }
            CapturesAction::Export(export) => exported(&export).await,
        },
        Action::Password(NewPassword { data }) => done(&data, &Request::NewPassword).await,
    }
}

async fn served(arguments: Serve) -> ExitCode {
    crate::log::start(arguments.log_level);
    let (cameras, out) = (arguments.camera.clone(), arguments.out.clone());
    let options = match options(arguments) {
        Ok(options) => options,
        Err(message) => return failed(USAGE, &message),
    };
    if let Some(out) = out
        && let Err(message) = introduced(&cameras, &out, &options.data).await
    {
        return failed(1, &message);
    }
    let ready = |addresses: &serve::Addresses| {
        print(&format!("cameras: https://{}", addresses.cameras));
        print(&format!("people: {}", addresses.people));
        if let Some(password) = &addresses.password {
            print(&format!("password: {password}"));
        }
    };
    match serve::run(options, ready).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(1, &error.to_string()),
    }
}

async fn roomed(arguments: Room) -> ExitCode {
    crate::log::start(arguments.log_level);
    let mut config = Config::read(std::env::vars_os(), |why| log::warn!("the configuration: {why}"));
    if arguments.behind_proxy {
        config.reach = room::Reach::Proxied;
    }
    let options = process::Options {
        config,
        bind: arguments.bind,
        trust_annotations: arguments.trust_annotations,
        codecs: if arguments.vp8_only { Codecs::Vp8 } else { Codecs::H264AndVp8 },
    };
    let ready = |address: std::net::SocketAddr| {
        let is_every = address.ip().is_unspecified();
        let reached = if is_every { format!("localhost:{}", address.port()) } else { address.to_string() };
        print(&format!("room: http://{reached}/"));
    };
    match process::run(options, ready).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(1, &error.to_string()),
    }
}

async fn added(add: &CameraAdd) -> ExitCode {
    let data = DataDir::at(&add.data);
    let was_begun = data.is_begun();
    let files = Files::of(&add.name, &add.out);
    let made = files.make(&add.name, &add.data).await;
    if !was_begun && data.is_begun() {
        note(&format!("new data is begun in {}: no server has served from it yet", add.data.display()));
    }
    let endpoint = match made {
        Ok(endpoint) => endpoint,
        Err(message) => return failed(1, &message),
    };
    let line = format!(
        "cloudtalker --endpoint {endpoint}/ --cert {} --key {} --ca {}",
        files.certificate.display(),
        files.key.display(),
        files.ca.display()
    );
    printed(&line, &format!("its files are made all the same, in {}", add.out.display()))
}

/// Makes the files of cameras that have none yet: for a system that is set up by starting it.
async fn introduced(cameras: &[String], out: &Path, data: &Path) -> Result<(), String> {
    for name in cameras {
        let files = Files::of(name, out);
        if !files.are_there() {
            files.make(name, data).await.map_err(|message| {
                format!("--camera {name}, whose files are not all in {}: {message}", out.display())
            })?;
            log::info!("{name} is a new camera; its files are in {}", out.display());
        }
    }
    Ok(())
}

async fn listed(data: &Path, request: &Request, json: bool, table: fn(&[Value]) -> String) -> ExitCode {
    let list = match control::ask(data, request).await {
        Ok((Answer::List(list), _)) => list,
        Ok((answer, _)) => return refused(answer),
        Err(error) => return failed(1, &error.to_string()),
    };
    let list = if json { Value::Array(list).to_string() } else { table(&list) };
    printed(&list, "ask again where there is room")
}

async fn done(data: &Path, request: &Request) -> ExitCode {
    let mut asked = control::ask(data, request).await;
    while let Ok((Answer::Waiting(why), stream)) = asked {
        note(&why);
        asked = control::wait(stream).await;
    }
    match asked {
        Ok((Answer::Done(text), _)) => {
            printed(&text, "it is done all the same; a password that nobody saw is replaced by asking again")
        }
        Ok((answer, _)) => refused(answer),
        Err(error) => failed(1, &error.to_string()),
    }
}

async fn exported(export: &CapturesExport) -> ExitCode {
    // Nobody shall wait a minute for that, and it may come into being within the minute.
    if !export.force && export.file.exists() {
        return failed(1, &in_the_way(&export.file));
    }
    let (bytes, mut stream) = match control::ask(&export.data, &Request::Export { id: export.id }).await {
        Ok((Answer::File { bytes }, stream)) => (bytes, stream),
        Ok((answer, _)) => return refused(answer),
        Err(error) => return failed(1, &error.to_string()),
    };
    let mut options = tokio::fs::File::options();
    let options = if export.force { options.create(true).truncate(true) } else { options.create_new(true) };
    let mut file = match options.write(true).open(&export.file).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return failed(1, &in_the_way(&export.file));
        }
        Err(error) => return failed(1, &format!("{} can't be made: {error}", export.file.display())),
    };
    let copied = async {
        let copied = tokio::io::copy(&mut (&mut stream).take(bytes), &mut file).await?;
        file.sync_all().await?;
        if copied == bytes { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) }
    };
    match copied.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(
            1,
            &format!("{} is not whole: {error}; export it again, with --force", export.file.display()),
        ),
    }
}

fn in_the_way(file: &Path) -> String {
    format!(
        "expected a file that is not there yet, but {} is: name another, or overwrite it by --force",
        file.display()
    )
}

fn refused(answer: Answer) -> ExitCode {
    failed(1, &refusal(answer))
}

/// Why an answer is not the wanted one.
fn refusal(answer: Answer) -> String {
    match answer {
        Answer::Failed(message) => message,
        Answer::Added { .. }
        | Answer::List(_)
        | Answer::Waiting(_)
        | Answer::Done(_)
        | Answer::File { .. } => "the process that serves is of another version: restart it".to_owned(),
    }
}

/// What there is to know beside the work: a closed standard output is no reason to stop.
fn print(line: &str) {
    let _ = try_print(line);
}

/// What was asked for, or is to be known of what was done. Whoever reads no more has seen enough; but what was not written
/// must not pass for what there is. `cure` says what to do then.
fn printed(text: &str, cure: &str) -> ExitCode {
    match try_print(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            failed(1, &format!("expected to write standard output, but: {error}; {cure}"))
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn try_print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

fn failed(status: u8, message: &str) -> ExitCode {
    note(message);
    ExitCode::from(status)
}

/// What is no result.
fn note(message: &str) {
    let _ = writeln!(io::stderr().lock(), "cloudtalker-server: {message}");
}
