//! Arguments. `--x y` and `--x=y`, with `_` or `-` within names, are the same.

use crate::{
    control::{self, Answer, Request},
    library::CaptureId,
    pki,
    serve::{self, Options, Web},
    server::DEFAULT_QUOTA,
};
use argh::FromArgs;
use serde_json::Value;
use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::io::AsyncReadExt;

/// Exit status of arguments that can't be meant (EX_USAGE).
const USAGE: u8 = 64;

/// The cloud of cloudtalker's cameras: takes their captures, keeps them, shows them.
#[derive(FromArgs, Debug)]
struct Cli {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum Action {
    Serve(Serve),
    Camera(Camera),
    Captures(Captures),
}

/// Serve cameras and people until SIGTERM.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "serve")]
struct Serve {
    /// directory that holds everything; made if missing
    #[argh(option)]
    data: PathBuf,
    /// where cameras connect, by mutual TLS [0.0.0.0:8443]
    #[argh(option, default = "\"0.0.0.0:8443\".into()")]
    camera_addr: String,
    /// where people connect [127.0.0.1:8080]; beyond loopback it needs one of the next four
    #[argh(option, default = "\"127.0.0.1:8080\".into()")]
    web_addr: String,
    /// certificate (and chain) for people, PEM
    #[argh(option)]
    web_cert: Option<PathBuf>,
    /// its key, PEM
    #[argh(option)]
    web_key: Option<PathBuf>,
    /// serve people by HTTPS with a certificate of our own CA
    #[argh(switch)]
    web_self_signed: bool,
    /// serve people by plain HTTP to a proxy that speaks HTTPS with them
    #[argh(switch)]
    behind_proxy: bool,
    /// one more name or address by which cameras reach this machine; repeatable, the first is what `camera add` prints
    #[argh(option)]
    host: Vec<String>,
    /// bytes that one camera may take, with K, M, G or T [64G]
    #[argh(option, default = "DEFAULT_QUOTA", from_str_fn(bytes))]
    camera_quota: u64,
    /// error, warn, info, debug or trace [info]
    #[argh(option, default = "log::LevelFilter::Info")]
    log_level: log::LevelFilter,
}

/// Cameras: who may connect, and what they are told.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "camera")]
struct Camera {
    #[argh(subcommand)]
    action: CameraAction,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum CameraAction {
    Add(CameraAdd),
    List(CameraList),
    Remove(CameraRemove),
    Command(CameraCommand),
}

/// Add a camera: write its certificate, its key and the CA's certificate, and print the agent's command line.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "add")]
struct CameraAdd {
    /// its name: letters, digits, '-', '_' and '.'
    #[argh(positional)]
    name: String,
    /// the server's directory
    #[argh(option)]
    data: PathBuf,
    /// directory for NAME.pem, NAME-key.pem and ca.pem; made if missing
    #[argh(option)]
    out: PathBuf,
}

/// List the cameras.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list")]
struct CameraList {
    /// the server's directory
    #[argh(option)]
    data: PathBuf,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// Remove a camera: its certificate counts no more, at once. Its captures stay.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "remove")]
struct CameraRemove {
    /// its name
    #[argh(positional)]
    name: String,
    /// the server's directory
    #[argh(option)]
    data: PathBuf,
}

/// Tell a camera to arm, to disarm or to take a capture.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "command")]
struct CameraCommand {
    /// its name
    #[argh(positional)]
    name: String,
    /// arm, disarm or capture
    #[argh(positional)]
    command: String,
    /// the server's directory
    #[argh(option)]
    data: PathBuf,
}

/// Captures: what there is, and getting it out.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "captures")]
struct Captures {
    #[argh(subcommand)]
    action: CapturesAction,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum CapturesAction {
    List(CapturesList),
    Export(CapturesExport),
}

/// List the captures, newest first.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list")]
struct CapturesList {
    /// the server's directory
    #[argh(option)]
    data: PathBuf,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// Write a capture's joined video to a file; waits up to a minute for a join in progress.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "export")]
struct CapturesExport {
    /// the capture's id
    #[argh(positional)]
    id: CaptureId,
    /// the file
    #[argh(positional)]
    file: PathBuf,
    /// the server's directory
    #[argh(option)]
    data: PathBuf,
}

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
        Err(exit) => return failed(USAGE, exit.output.trim_end()),
    };
    match cli.action {
        Action::Serve(arguments) => served(arguments).await,
        Action::Camera(Camera { action }) => match action {
            CameraAction::Add(add) => added(&add).await,
            CameraAction::List(list) => listed(&list.data, &Request::Cameras, list.json, camera_line).await,
            CameraAction::Remove(CameraRemove { name, data }) => {
                done(&data, &Request::RemoveCamera { name }).await
            }
            CameraAction::Command(CameraCommand { name, command, data }) => {
                done(&data, &Request::Command { name, command }).await
            }
        },
        Action::Captures(Captures { action }) => match action {
            CapturesAction::List(list) => {
                listed(&list.data, &Request::Captures, list.json, capture_line).await
            }
            CapturesAction::Export(export) => exported(&export).await,
        },
    }
}

async fn served(arguments: Serve) -> ExitCode {
    crate::log::start(arguments.log_level);
    let options = match options(arguments) {
        Ok(options) => options,
        Err(message) => return failed(USAGE, &message),
    };
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

/// Everything that can be wrong with the arguments is found before anything is opened.
fn options(arguments: Serve) -> Result<Options, String> {
    let address = |flag: &str, text: &str| {
        let parsed = text.parse::<SocketAddr>();
        parsed.map_err(|_| format!("--{flag}: expected ADDRESS:PORT, as in 127.0.0.1:8080, not {text:?}"))
    };
    let camera_addr = address("camera-addr", &arguments.camera_addr)?;
    let web_addr = address("web-addr", &arguments.web_addr)?;
    for host in &arguments.host {
        let is_name =
            |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte));
        if host.is_empty() || !is_name(host) {
            return Err(format!("--host: expected a name or an address without a port, not {host:?}"));
        }
    }
    let ways = usize::from(arguments.web_cert.is_some() || arguments.web_key.is_some())
        + usize::from(arguments.web_self_signed)
        + usize::from(arguments.behind_proxy);
    if ways > 1 {
        return Err("--web-cert, --web-self-signed and --behind-proxy exclude each other".into());
    }
    let web = match (arguments.web_cert, arguments.web_key) {
        (Some(certificate), Some(key)) => Web::Certificate { certificate, key },
        (Some(_), None) => return Err("--web-cert needs --web-key".into()),
        (None, Some(_)) => return Err("--web-key needs --web-cert".into()),
        (None, None) if arguments.web_self_signed => Web::SelfSigned,
        (None, None) if arguments.behind_proxy => Web::Proxy,
        (None, None) if web_addr.ip().is_loopback() => Web::Loopback,
        (None, None) => {
            return Err(format!(
                "--web-addr {web_addr} is beyond loopback, where plain HTTP would show passwords and videos to others: \
                 give --web-cert and --web-key, --web-self-signed, or --behind-proxy"
            ));
        }
    };
    let Serve { data, host: hosts, camera_quota: quota, .. } = arguments;
    Ok(Options { data, camera_addr, web_addr, hosts, web, quota })
}

async fn added(add: &CameraAdd) -> ExitCode {
    let request = Request::AddCamera { name: add.name.clone() };
    if let Err(error) = std::fs::create_dir_all(&add.out) {
        return failed(1, &format!("{}: {error}", add.out.display()));
    }
    let (certificate, key, ca, endpoint) = match control::ask(&add.data, &request).await {
        Ok((Answer::Added { certificate, key, ca, endpoint }, _)) => (certificate, key, ca, endpoint),
        Ok((answer, _)) => return refused(answer),
        Err(error) => return failed(1, &error.to_string()),
    };
    let path = |name: String| add.out.join(name);
    let files = [
        (path(format!("{}.pem", add.name)), certificate, 0o644),
        (path(format!("{}-key.pem", add.name)), key, 0o600),
        (path("ca.pem".into()), ca, 0o644),
    ];
    for (path, content, mode) in &files {
        if let Err(error) = pki::write(path, content.as_bytes(), *mode) {
            let remove = format!("camera remove {} --data {}", add.name, add.data.display());
            return failed(1, &format!("{error}; its key is lost: `{remove}`, then add it again"));
        }
    }
    let [(certificate, ..), (key, ..), (ca, ..)] = &files;
    print(&format!(
        "cloudtalker --endpoint {endpoint}/ --cert {} --key {} --ca {}",
        certificate.display(),
        key.display(),
        ca.display()
    ));
    ExitCode::SUCCESS
}

async fn listed(data: &Path, request: &Request, json: bool, line: fn(&Value) -> String) -> ExitCode {
    let list = match control::ask(data, request).await {
        Ok((Answer::List(list), _)) => list,
        Ok((answer, _)) => return refused(answer),
        Err(error) => return failed(1, &error.to_string()),
    };
    if json {
        print(&Value::Array(list).to_string());
    } else {
        list.iter().for_each(|item| print(&line(item)));
    }
    ExitCode::SUCCESS
}

async fn done(data: &Path, request: &Request) -> ExitCode {
    match control::ask(data, request).await {
        Ok((Answer::Done(text), _)) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Ok((answer, _)) => refused(answer),
        Err(error) => failed(1, &error.to_string()),
    }
}

async fn exported(export: &CapturesExport) -> ExitCode {
    let (bytes, mut stream) = match control::ask(&export.data, &Request::Export { id: export.id }).await {
        Ok((Answer::File { bytes }, stream)) => (bytes, stream),
        Ok((answer, _)) => return refused(answer),
        Err(error) => return failed(1, &error.to_string()),
    };
    let copied = async {
        let mut file = tokio::fs::File::create(&export.file).await?;
        let copied = tokio::io::copy(&mut (&mut stream).take(bytes), &mut file).await?;
        file.sync_all().await?;
        if copied == bytes { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) }
    };
    match copied.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(1, &format!("{} is not whole: {error}", export.file.display())),
    }
}

fn camera_line(camera: &Value) -> String {
    let word = |key: &str, yes: &'static str, no: &'static str| match camera[key].as_bool() {
        Some(true) => yes,
        Some(false) => no,
        None => "-",
    };
    let version = camera["version"].as_str().unwrap_or("-");
    let name = camera["name"].as_str().unwrap_or_default();
    format!(
        "{name}\t{}\t{}\t{version}",
        word("online", "online", "offline"),
        word("armed", "armed", "disarmed")
    )
}

fn capture_line(capture: &Value) -> String {
    let text = |key: &str| capture[key].as_str().unwrap_or_default();
    let segments = capture["segments"].as_array().map_or(0, Vec::len);
    format!(
        "{}\t{}\t{}\t{}\t{}\t{segments} segments\t{}",
        text("id"),
        text("camera"),
        text("trigger"),
        capture["trigger_timestamp"],
        text("state"),
        text("error")
    )
}

fn refused(answer: Answer) -> ExitCode {
    match answer {
        Answer::Failed(message) => failed(1, &message),
        Answer::Added { .. } | Answer::List(_) | Answer::Done(_) | Answer::File { .. } => {
            failed(1, "the process that serves is of another version: restart it")
        }
    }
}

/// Underscores in options' names become dashes, and `--x=y` two arguments, as argh wants them; values stay as they are.
fn folded(arguments: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    arguments.flat_map(|argument| {
        if !argument.starts_with("--") {
            return [Some(argument), None].into_iter().flatten();
        }
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        [Some(name.replace('_', "-")), value].into_iter().flatten()
    })
}

fn bytes(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a number of bytes, perhaps with K, M, G or T, not {text:?}");
    let (digits, shift) = match text.char_indices().last() {
        Some((end, 'K' | 'k')) => (&text[..end], 10),
        Some((end, 'M' | 'm')) => (&text[..end], 20),
        Some((end, 'G' | 'g')) => (&text[..end], 30),
        Some((end, 'T' | 't')) => (&text[..end], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| expected())?;
    number.checked_mul(1 << shift).ok_or_else(expected)
}

/// A closed standard output is no reason to stop.
fn print(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn failed(status: u8, message: &str) -> ExitCode {
    let _ = writeln!(io::stderr().lock(), "cloudtalker-server: {message}");
    ExitCode::from(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(arguments: &[&str]) -> Result<Options, String> {
        let arguments: Vec<String> = folded(arguments.iter().map(|&argument| argument.to_owned())).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        options(Serve::from_args(&["serve"], &arguments).map_err(|exit| exit.output)?)
    }

    #[test]
    fn all_spellings_are_one() {
        for arguments in [
            ["--data", "a_b", "--camera-addr", "127.0.0.1:0"].as_slice(),
            &["--data=a_b", "--camera_addr=127.0.0.1:0"],
            &["--data=a_b", "--camera_addr", "127.0.0.1:0"],
        ] {
            let options = serve(arguments).unwrap();
            assert_eq!(options.data, Path::new("a_b"), "{arguments:?}");
            assert_eq!(options.camera_addr, "127.0.0.1:0".parse().unwrap());
            assert_eq!(options.web, Web::Loopback);
        }
    }

    #[test]
    fn people_beyond_loopback_need_protection() {
        let refused = serve(&["--data", "d", "--web-addr", "0.0.0.0:8080"]).unwrap_err();
        assert!(refused.contains("beyond loopback"), "{refused}");
        for (way, web) in [("--web-self-signed", Web::SelfSigned), ("--behind-proxy", Web::Proxy)] {
            assert_eq!(serve(&["--data", "d", "--web-addr", "0.0.0.0:8080", way]).unwrap().web, web);
        }
        assert!(serve(&["--data", "d", "--web-cert", "c"]).is_err());
        assert!(serve(&["--data", "d", "--web-self-signed", "--behind-proxy"]).is_err());
    }

    #[test]
    fn quotas_have_units() {
        assert_eq!(serve(&["--data", "d", "--camera-quota=2M"]).unwrap().quota, 2 << 20);
        assert!(serve(&["--data", "d", "--camera-quota=2X"]).is_err());
        assert!(serve(&["--data", "d", "--camera-quota=99999999999T"]).is_err());
    }
}
