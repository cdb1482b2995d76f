//! The agent's own options.

use super::given;
use argh::FromArgs;

/// Keeps a camera's captures safe until the cloud has them, and carries the cloud's commands to the camera
/// program. `run` is what happens without a command.
#[derive(FromArgs, Clone, Debug, Default, PartialEq, Eq)]
#[argh(
    subcommand,
    name = "run",
    usage = "--endpoint HOST:PORT/PATH [OPTION...]",
    help_triggers("-h", "--help"),
    example = "cloudtalker -e cloud.example:8443/ -c porch.pem -k porch-key.pem --ca ca.pem
cloudtalker --config /etc/cloudtalker.conf --log_level debug",
    note = "Other commands; each has a --help of its own:
  cloudtalker send FILE...   hand video files to the running agent
  cloudtalker listen         receive the commands that the cloud gives the camera
  cloudtalker status         how the running agent is doing
  cloudtalker check          whether all that the agent needs is there
  cloudtalker bundle FILE    write down what a bug report needs

Dashes and underscores in names are the same, and --name=VALUE is --name VALUE.
A configuration file has the same names without dashes, `name = value` a line,
and `#` before comments. Sizes take K, M or G. SIGHUP reads everything again;
SIGTERM ends the agent within five seconds.",
    error_code(0, "asked to stop"),
    error_code(64, "wrong usage, configuration, certificate or key"),
    error_code(69, "a socket, file or watchdog can't be opened, or another program has it"),
    error_code(75, "the system lacks threads or memory for the moment"),
    error_code(78, "something else is in the place of a file or socket of the agent's")
)]
pub struct Run {
    /// the cloud, HOST:PORT/PATH; required; the port is 443 unless given
    #[argh(option, short = 'e')]
    pub endpoint: Option<String>,
    /// this camera's certificate, PEM; cert.pem unless given
    #[argh(option, short = 'c')]
    pub cert: Option<String>,
    /// its private key, PEM, not encrypted; key.pem unless given
    #[argh(option, short = 'k')]
    pub key: Option<String>,
    /// certificates of the authority that signed the server's, PEM; else the web's
    #[argh(option)]
    pub ca: Option<String>,
    /// unix socket for captures; /run/cloudtalker/input.sock where neither it nor a port is given
    #[argh(option)]
    pub input_sock: Option<String>,
    /// who may connect to it, as chmod takes it; 0660 unless given
    #[argh(option)]
    pub input_mode: Option<String>,
    /// TCP port for captures
    #[argh(option)]
    pub input_port: Option<String>,
    /// address of that port; 127.0.0.1 unless given; beyond loopback it needs --capture_dir
    #[argh(option)]
    pub input_bind: Option<String>,
    /// file or named pipe of video files, a path a line; - is standard input
    #[argh(option)]
    pub motion_file_list: Option<String>,
    /// unix datagram socket that receives arm, disarm and capture
    #[argh(option)]
    pub cam_sock: Option<String>,
    /// or HOST:PORT that receives them by UDP
    #[argh(option)]
    pub cam_addr: Option<String>,
    /// only files beneath it are taken; repeatable
    #[argh(option)]
    pub capture_dir: Vec<String>,
    /// where captures wait for the cloud; /var/lib/cloudtalker unless given
    #[argh(option)]
    pub state_dir: Option<String>,
    /// the most that waiting captures may take; then old ones go, motion last
    #[argh(option)]
    pub spool_max: Option<String>,
    /// space to leave free beside them; 64M unless given
    #[argh(option)]
    pub min_free: Option<String>,
    /// keep copies, not links: for cameras that write into finished files
    #[argh(option)]
    pub spool_copy: Option<String>,
    /// remove the camera's own file once the cloud has the capture
    #[argh(option)]
    pub delete_uploaded: Option<String>,
    /// upload to this tus server, not to the endpoint's
    #[argh(option)]
    pub upload_url: Option<String>,
    /// upload at most this much a second; by local time too: 1M,06:00-22:00=64K; 0 is nothing
    #[argh(option)]
    pub max_rate: Option<String>,
    /// upload at most this much in a calendar month, all that goes over the wire; 1M or more
    #[argh(option)]
    pub monthly_budget: Option<String>,
    /// error, warn, info, debug or trace; info unless given
    #[argh(option)]
    pub log_level: Option<String>,
    /// stderr or syslog (/dev/log); stderr unless given
    #[argh(option)]
    pub log_to: Option<String>,
    /// file that names the agent's process while it runs
    #[argh(option)]
    pub pidfile: Option<String>,
    /// watchdog's device to feed, as /dev/watchdog, or file to touch, while the agent gets on
    #[argh(option)]
    pub watchdog: Option<String>,
    /// file of numbers for Prometheus, written every 15 s; on tmpfs
    #[argh(option)]
    pub metrics: Option<String>,
    /// read options from this file too; those given here win
    #[argh(option)]
    pub config: Option<String>,
    /// print the version
    #[argh(switch)]
    pub version: bool,
}

impl Run {
    /// The settings that were given, by the names that a configuration file has for them.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let single = [
            ("endpoint", &self.endpoint),
            ("cert", &self.cert),
            ("key", &self.key),
            ("ca", &self.ca),
            ("input_sock", &self.input_sock),
            ("input_mode", &self.input_mode),
            ("input_port", &self.input_port),
            ("input_bind", &self.input_bind),
            ("motion_file_list", &self.motion_file_list),
            ("cam_sock", &self.cam_sock),
            ("cam_addr", &self.cam_addr),
            ("state_dir", &self.state_dir),
            ("spool_max", &self.spool_max),
            ("min_free", &self.min_free),
            ("spool_copy", &self.spool_copy),
            ("delete_uploaded", &self.delete_uploaded),
            ("upload_url", &self.upload_url),
            ("max_rate", &self.max_rate),
            ("monthly_budget", &self.monthly_budget),
            ("log_level", &self.log_level),
            ("log_to", &self.log_to),
            ("pidfile", &self.pidfile),
            ("watchdog", &self.watchdog),
            ("metrics", &self.metrics),
        ];
        let dirs = self.capture_dir.iter().map(|dir| ("capture_dir", dir.clone()));
        given(single).into_iter().chain(dirs).collect()
    }
}
