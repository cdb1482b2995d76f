//! What the agent is told to do: flags and a configuration file, checked before any socket opens.
//!
//! The file holds `name = value` a line, with the flags' names ([`NAMES`]). A `#` at the start of a line or after
//! white space begins a comment. A name stands once, but for `capture_dir`. What a flag says, the file does not
//! change; a flag for one end of the camera's commands (`cam_sock`, `cam_addr`) puts both of the file's aside.
//! Certificates and keys are only named here: [`tls`](crate::tls) reads them.

pub mod address;

mod entries;
mod rates;
mod value;

pub use entries::{ConfigError, Entry, Origin};

use crate::{
    cli,
    engine::{budget, rates::Rates},
    wire::tus,
};
use entries::Entries;
use log::LevelFilter;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// Every setting's name.
pub const NAMES: [&str; 25] = [
    "endpoint",
    "cert",
    "key",
    "ca",
    "input_sock",
    "input_mode",
    "input_port",
    "input_bind",
    "motion_file_list",
    "cam_sock",
    "cam_addr",
    "capture_dir",
    "state_dir",
    "spool_max",
    "min_free",
    "spool_copy",
    "delete_uploaded",
    "upload_url",
    "max_rate",
    "monthly_budget",
    "log_level",
    "log_to",
    "pidfile",
    "watchdog",
    "metrics",
];

const DEFAULT_INPUT: &str = "/run/cloudtalker/input.sock";
const DEFAULT_INPUT_MODE: u32 = 0o660;
/// Where captures wait unless the owner decides otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/cloudtalker";
/// Enough for logs and state of the rest of a small board.
const DEFAULT_MIN_FREE: u64 = 64 << 20;

/// What the agent is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cloud.
    pub endpoint: Endpoint,
    /// The camera's certificate, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authorities that may sign the server's certificate, PEM; else the web's.
    pub ca: Option<PathBuf>,
    /// Where captures come in.
    pub input: InputConfig,
    /// A file that names video files, a path a line; `-` is standard input.
    pub motion_file_list: Option<PathBuf>,
    /// Where the camera program listens for commands.
    pub commands: Option<CommandTarget>,
    /// Where captures wait for the cloud.
    pub spool: SpoolConfig,
    /// A tus server to upload to, not the endpoint's.
    pub upload_url: Option<String>,
    /// How fast to upload at most, by the time of day.
    pub max_rate: Rates,
    /// How many bytes uploads may put on the wire in a month, at least [`budget::LEAST`].
    pub monthly_budget: Option<u64>,
    /// What to log.
    pub log_level: LevelFilter,
    /// And where.
    pub log_to: LogTo,
    /// The file that tells the agent's process.
    pub pidfile: Option<PathBuf>,
    /// A watchdog's device, or a file that is touched, while the agent gets on.
    pub watchdog: Option<PathBuf>,
    /// A file with numbers for Prometheus.
    pub metrics: Option<PathBuf>,
}

/// Where the agent logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogTo {
    /// Standard error.
    #[default]
    Stderr,
    /// The system's log, `/dev/log`.
    Syslog,
}

/// The cloud's address, `HOST:PORT/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address; an IPv6 address has no brackets here.
    pub host: String,
    /// 443 where none was given.
    pub port: u16,
    /// With its leading slash, and the query if there is one.
    pub path: String,
}

/// Where captures come in; at least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputConfig {
    /// A unix stream socket.
    pub unix: Option<PathBuf>,
    /// Who may connect to it, as `chmod` takes it.
    pub mode: u32,
    /// A TCP socket; beyond loopback only where captures are confined to directories.
    pub tcp: Option<SocketAddr>,
}

/// Where the camera program listens for commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandTarget {
    /// A unix datagram socket.
    Unix(PathBuf),
    /// A UDP socket.
    Udp {
        /// A name or an address without brackets.
        host: String,
        /// Never 0.
        port: u16,
    },
}

/// Where captures wait for the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The directory of all that must survive a restart.
    pub state_dir: PathBuf,
    /// The most bytes that waiting captures may take.
    pub max: Option<u64>,
    /// Bytes of the file system to leave free.
    pub min_free: u64,
    /// Keep copies, not links.
    pub copy: bool,
    /// Only files beneath one of these are taken, where there are any.
    pub capture_dirs: Vec<PathBuf>,
    /// Remove the camera's own file once the cloud has the capture.
    pub delete_uploaded: bool,
}

impl Config {
    /// Takes the settings from flags and the file that they name; again at each reload.
    pub fn load(run: &cli::Run) -> Result<Config, ConfigError> {
        Config::take(&Entries::gather(run.settings(), run.config.as_deref().map(Path::new))?)
    }

    /// Every setting that counts, as it was written, whether or not it makes sense.
    pub fn entries(run: &cli::Run) -> Result<Vec<Entry>, ConfigError> {
        Ok(Entries::gather(run.settings(), run.config.as_deref().map(Path::new))?.into_inner())
    }

    /// Takes the settings from flags and the text of a file, whose name messages give.
    pub fn of_text(run: &cli::Run, file: &Path, text: &str) -> Result<Config, ConfigError> {
        Config::take(&Entries::of_text(run.settings(), file, text)?)
    }

    fn take(entries: &Entries) -> Result<Config, ConfigError> {
        let spool = SpoolConfig::take(entries)?;
        let endpoint = entries.read("endpoint", value::endpoint)?;
        let config = Config {
            endpoint: endpoint.ok_or(ConfigError::NoEndpoint)?,
            cert: entries.path("cert")?.unwrap_or_else(|| "cert.pem".into()),
            key: entries.path("key")?.unwrap_or_else(|| "key.pem".into()),
            ca: entries.path("ca")?,
            input: InputConfig::take(entries, !spool.capture_dirs.is_empty())?,
            motion_file_list: entries.path("motion_file_list")?,
            commands: CommandTarget::take(entries)?,
            spool,
            upload_url: entries.read("upload_url", value::url)?,
            max_rate: entries.read("max_rate", rates::parse)?.unwrap_or_default(),
            monthly_budget: entries.parse(
                "monthly_budget",
                "at least 1M, in bytes or K, M or G of them, as 500M or 2G",
                |text| value::bytes(text).filter(|bytes| *bytes >= budget::LEAST),
            )?,
            log_level: entries
                .parse("log_level", "error, warn, info, debug or trace", |text| text.parse().ok())?
                .unwrap_or(LevelFilter::Info),
            log_to: LogTo::take(entries)?,
            pidfile: entries.path("pidfile")?,
            watchdog: entries.path("watchdog")?,
            metrics: entries.path("metrics")?,
        };
        config.expect_apart()?;
        Ok(config)
    }

    /// What the agent makes, or reads until it ends, takes a place each.
    fn expect_apart(&self) -> Result<(), ConfigError> {
        let commands = match &self.commands {
            Some(CommandTarget::Unix(path)) => Some(path),
            Some(CommandTarget::Udp { .. }) | None => None,
        };
        let places = [
            ("input_sock", self.input.unix.as_ref()),
            ("cam_sock", commands),
            ("motion_file_list", self.motion_file_list.as_ref()),
            ("pidfile", self.pidfile.as_ref()),
            ("watchdog", self.watchdog.as_ref()),
            ("metrics", self.metrics.as_ref()),
        ];
        let named = places.into_iter().filter_map(|(name, path)| Some((name, path?)));
        let mut earlier: Vec<(&'static str, &PathBuf)> = Vec::new();
        for (name, path) in named {
            if let Some((other, _)) = earlier.iter().find(|(_, other)| *other == path) {
                return Err(ConfigError::OnePlace([other, name], path.clone()));
            }
            earlier.push((name, path));
        }
        Ok(())
    }

    /// Whether it matters what time of day and what month it is.
    pub fn needs_a_calendar(&self) -> bool {
        !self.max_rate.is_constant() || self.monthly_budget.is_some()
    }

    /// Where uploads are made: at the tus server that was named, else at the endpoint's.
    pub fn uploads_at(&self) -> String {
        let usual = || format!("https://{}{}", self.endpoint.authority(), tus::DEFAULT_PATH);
        self.upload_url.clone().unwrap_or_else(usual)
    }
}

impl LogTo {
    /// Where flags and file say, or the flags alone where the file can't be read: for what is wrong with the rest.
    pub fn find(run: &cli::Run) -> LogTo {
        let told = |file| Entries::gather(run.settings(), file).and_then(|entries| LogTo::take(&entries));
        told(run.config.as_deref().map(Path::new)).or_else(|_| told(None)).unwrap_or_default()
    }

    fn take(entries: &Entries) -> Result<LogTo, ConfigError> {
        Ok(entries.parse("log_to", "stderr or syslog", value::log_to)?.unwrap_or_default())
    }
}

impl InputConfig {
    /// Where a running agent takes captures: what the flags say, else the file, else the usual socket.
    pub fn find(flags: Vec<(&'static str, String)>, file: Option<&str>) -> Result<InputConfig, ConfigError> {
        let file = file.filter(|_| flags.is_empty()).map(Path::new);
        InputConfig::take(&Entries::gather(flags, file)?, true)
    }

    fn take(entries: &Entries, is_confined: bool) -> Result<InputConfig, ConfigError> {
        let unix = entries.parse("input_sock", value::SOCKET_PATH, value::socket_path)?;
        let port = entries.parse("input_port", "a port, 1 to 65535", value::port)?;
        let bind = entries.parse("input_bind", "an address, as 127.0.0.1", value::address)?;
        if let (Some(at), None) = (entries.find("input_bind"), port) {
            return Err(ConfigError::BindWithoutPort(at.clone()));
        }
        let bind = bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        if let (Some(at), false, false) =
            (entries.find("input_bind"), bind.to_canonical().is_loopback(), is_confined)
        {
            return Err(ConfigError::OpenBind(at.clone()));
        }
        let mode =
            entries.parse("input_mode", "an octal mode that lets its owner write, as 0660", value::mode)?;
        let tcp = port.map(|port| SocketAddr::new(bind, port));
        Ok(InputConfig {
            unix: unix.or_else(|| tcp.is_none().then(|| DEFAULT_INPUT.into())),
            mode: mode.unwrap_or(DEFAULT_INPUT_MODE),
            tcp,
        })
    }
}

impl CommandTarget {
    /// Where a running agent sends commands: what the flags say, else the file.
    pub fn find(
        flags: Vec<(&'static str, String)>,
        file: Option<&str>,
    ) -> Result<Option<CommandTarget>, ConfigError> {
        CommandTarget::take(&Entries::gather(flags, file.map(Path::new))?)
    }

    fn take(entries: &Entries) -> Result<Option<CommandTarget>, ConfigError> {
        if let (Some(one), Some(other)) = (entries.find("cam_sock"), entries.find("cam_addr")) {
            return Err(ConfigError::Both([one.clone(), other.clone()].into()));
        }
        let unix = entries.parse("cam_sock", value::SOCKET_PATH, value::socket_path)?;
        let udp = entries.parse("cam_addr", "HOST:PORT", |text| value::host_port(text, None))?;
        let udp = udp.map(|(host, port)| CommandTarget::Udp { host, port });
        Ok(unix.map(CommandTarget::Unix).or(udp))
    }
}

impl SpoolConfig {
    fn take(entries: &Entries) -> Result<SpoolConfig, ConfigError> {
        const TOGGLE: &str = "true or false";
        Ok(SpoolConfig {
            state_dir: entries.path("state_dir")?.unwrap_or_else(|| DEFAULT_STATE_DIR.into()),
            max: entries.parse(
                "spool_max",
                "bytes above 0, or K, M or G of them, as 500M or 2G",
                value::some_bytes,
            )?,
            min_free: entries
                .parse("min_free", "bytes, or K, M or G of them, as 64M or 1G", value::bytes)?
                .unwrap_or(DEFAULT_MIN_FREE),
            copy: entries.parse("spool_copy", TOGGLE, value::toggle)?.unwrap_or(false),
            capture_dirs: entries.parse_all("capture_dir", "a directory", value::path)?,
            delete_uploaded: entries.parse("delete_uploaded", TOGGLE, value::toggle)?.unwrap_or(false),
        })
    }
}

impl Endpoint {
    /// `HOST:PORT` as URLs have it: an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        value::authority(&self.host, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.authority(), self.path)
    }
}

impl fmt::Display for CommandTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandTarget::Unix(path) => path.display().fmt(f),
            CommandTarget::Udp { host, port } => f.write_str(&value::authority(host, *port)),
        }
    }
}

#[cfg(test)]
mod tests;
