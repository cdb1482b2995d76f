//! Carries out what was asked, and answers.

use super::{Answer, Request, refusal::Refusal};
use crate::{
    bus::Event,
    commands::{Commanded, REQUEST_LIFE},
    library::{Capture, CaptureId, Joined, State},
    serve::ENDPOINT,
    server::Server,
    store::{RequestState, StoreError, unix_now},
    viewer,
};
use cloudtalker::wire::command::Command;
use futures_util::{StreamExt, pin_mut};
use serde_json::Value;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::timeout,
};

/// The longest question: names and ids.
const MAX_LINE: u64 = 64 << 10;
/// How long an export waits for the capture to be joined.
pub(super) const EXPORT_WAIT: Duration = Duration::from_secs(60);
/// Captures read at a time for a list.
const PAGE: u32 = 500;
/// Where cameras connect, as long as no process has served from the data directory.
const DEFAULT_PORT: u16 = 8443;

/// Whether cameras have sessions with this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Serving,
    Alone,
}

/// Takes one question from the stream, carries it out and answers.
pub(super) async fn answer(server: &Arc<Server>, stream: UnixStream, mode: Mode) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(MAX_LINE).read_line(&mut line).await?;
    let mut file = None;
    let answer = match serde_json::from_str(&line) {
        Ok(Request::Export { id }) => joined(server, id).await.map(|joined| {
            let answer = Answer::File { bytes: joined.bytes };
            file = Some(joined);
            answer
        }),
        Ok(request) => done(server, &mut stream, request, mode).await,
        Err(error) => Ok(Answer::Failed(format!("the command was not understood: {error}"))),
    };
    let answer = answer.unwrap_or_else(|refusal| {
        refusal.log();
        Answer::Failed(refusal.to_string())
    });
    tell(&mut stream, &answer).await?;
    if let Some(joined) = file {
        let bytes = server.blobs.read(&joined.blob, 0..joined.bytes).await.map_err(io::Error::other)?;
        pin_mut!(bytes);
        while let Some(piece) = bytes.next().await {
            stream.write_all(&piece.map_err(io::Error::other)?).await?;
        }
    }
    stream.shutdown().await
}

async fn tell(stream: &mut BufReader<UnixStream>, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

async fn done(
    server: &Arc<Server>,
    stream: &mut BufReader<UnixStream>,
    request: Request,
    mode: Mode,
) -> Result<Answer, Refusal> {
    match request {
        Request::AddCamera { name } => added(server, &name).await,
        Request::Cameras => {
            let cameras = server.store.cameras().await?;
            Ok(Answer::List(cameras.iter().filter_map(|camera| serde_json::to_value(camera).ok()).collect()))
        }
        Request::RemoveCamera { name } => {
            let camera =
                server.store.camera_named(&name).await?.ok_or_else(|| Refusal::NoCamera(name.clone()))?;
            server.store.remove_camera(camera.id, unix_now()).await?;
            server.bus.tell(Event::CameraRemoved(camera.id));
            Ok(Answer::Done(format!("{name} is removed; its captures stay")))
        }
        Request::Command { name, command } => commanded(server, stream, name, &command, mode).await,
        Request::Captures => Ok(Answer::List(captures(server).await?)),
        Request::Export { id } => joined(server, id).await.map(|joined| Answer::File { bytes: joined.bytes }),
        Request::NewPassword => {
            let password = viewer::new_password(&server.store).await?;
            Ok(Answer::Done(format!("password: {password}")))
        }
    }
}

async fn added(server: &Server, name: &str) -> Result<Answer, Refusal> {
    let issued = server.pki.camera(name)?;
    let added = server.store.add_camera(name, issued.fingerprint, unix_now()).await?;
    let camera = added.ok_or_else(|| Refusal::NameTaken(name.to_owned()))?;
    server.bus.tell(Event::Camera(camera));
    let endpoint = server.store.setting(ENDPOINT).await?.unwrap_or_else(|| {
        let host = crate::pki::host_name().unwrap_or_else(|| "localhost".to_owned());
        format!("{host}:{DEFAULT_PORT}")
    });
    Ok(Answer::Added {
        certificate: issued.certificate,
        key: issued.key,
        ca: server.pki.ca_pem().to_owned(),
        endpoint,
    })
}

async fn commanded(
    server: &Arc<Server>,
    stream: &mut BufReader<UnixStream>,
    name: String,
    command: &str,
    mode: Mode,
) -> Result<Answer, Refusal> {
    let command = Command::from_word(command).ok_or_else(|| Refusal::NoCommand(command.to_owned()))?;
    let camera = server.store.camera_named(&name).await?.ok_or_else(|| Refusal::NoCamera(name.clone()))?;
    if command == Command::Capture && mode == Mode::Alone {
        return Err(Refusal::NobodyServes(name));
    }
    let request = match server.command(camera.id, command).await? {
        Commanded::Kept if camera.online => return Ok(Answer::Done(format!("{name} is told to {command}"))),
        Commanded::Kept => {
            return Ok(Answer::Done(format!("{name} is offline, and told to {command} when it is back")));
        }
        Commanded::Requested(request) => request,
    };
    if !camera.online {
        let why = format!("{name} is offline: waiting up to {} s", REQUEST_LIFE.as_secs());
        // Who asks may be gone; the request stands all the same.
        let _ = tell(stream, &Answer::Waiting(why)).await;
    }
    match server.request_settled(&request).await? {
        RequestState::Delivered => Ok(Answer::Done(format!("{name} is told to {command}"))),
        RequestState::Lapsed | RequestState::Waiting => Err(Refusal::Lapsed(name)),
    }
}

async fn captures(server: &Server) -> Result<Vec<Value>, StoreError> {
    let mut list = Vec::new();
    let mut before = None;
    loop {
        let page = server.store.captures(before, PAGE).await?;
        let Some(oldest) = page.last() else { return Ok(list) };
        before = Some(oldest.id);
        list.extend(page.iter().filter_map(|capture| serde_json::to_value(capture).ok()));
    }
}

/// A capture's joined file, for which it waits a while.
async fn joined(server: &Server, id: CaptureId) -> Result<Joined, Refusal> {
    let mut events = server.bus.listen();
    let settled = async {
        loop {
            let capture = server.store.capture(id).await?.ok_or(Refusal::NoCapture(id))?;
            match capture.state {
                State::Complete(joined) => return Ok(joined),
                State::Broken(ref why) => return Err(Refusal::Broken(id, why.clone(), parts(&capture))),
                State::Open => {}
            }
            let concerns = |event| match event {
                Event::Capture(changed, _) => changed == id,
                Event::CapturesGone(gone) => gone.contains(&id),
                event => event == Event::Missed,
            };
            while !concerns(events.next().await) {}
        }
    };
    timeout(EXPORT_WAIT, settled).await.unwrap_or(Err(Refusal::StillOpen(id)))
}

fn parts(capture: &Capture) -> Vec<String> {
    let each = capture.segments.iter();
    each.map(|segment| format!("segment {} ({} bytes, {})", segment.seg_no, segment.bytes, segment.sha256))
        .collect()
}
