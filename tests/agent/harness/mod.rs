//! What suites with real programs stand on: the server, a board with its agent, a camera program, and waiting for
//! what they do.
//!
//! [`Server`] and [`Board`] are directories with what must survive: data, certificates, the spool. Their processes
//! come and go. Nothing sleeps for a fixed time: a test waits for a line of a log, a status, a list of captures or
//! a datagram, and fails after [`DEADLINE`] with what it saw last and every log. A process ends with its owner.
//!
//! | variable | what it names |
//! |---|---|
//! | `CLOUDTALKER_BIN` | another agent than the one just built |
//! | `CLOUDTALKER_RUNNER` | what runs it, with arguments: `qemu-arm-static -cpu cortex-a7` |
//! | `CLOUDTALKER_AES` | whether the CPU that it runs on has AES instructions, `yes` or `no` |
//! | `CLOUDTALKER_SERVER` | another server than `server/target/debug/cloudtalker-server` |
//! | `CLOUDTALKER_FAULTFS` | another file system than `tests/faultfs/target/debug/faultfs` |
//! | `CLOUDTALKER_KILLS`, `CLOUDTALKER_CUTS` | how many kills and power cuts |
//! | `CLOUDTALKER_SEED` | which |
#![allow(dead_code, unused_imports, reason = "each suite uses its own part")]

mod board;
mod camera;
mod cloud;
mod console;
mod disk;
mod files;
mod happenings;
pub mod image;
mod link;
mod process;
mod recorder;
mod server;
mod source;
mod terminal;
mod trial;
mod watchdog;

pub use board::{Agent, Board, BudgetStatus, Status, program, program_file, tool};
pub use camera::Camera;
pub use cloud::{Cloud, Session};
pub use console::{Console, LISTENER, Said};
pub use disk::Disk;
pub use files::{Segment, TempDir, file_names, seeded, sha256, write_program};
pub use happenings::Happenings;
pub use link::Link;
pub use process::{Ended, Process};
pub use recorder::{Answer, Handed, Occasions, Recorder};
pub use server::{Blob, Capture, Identity, Server, Stored};
pub use source::Source;
pub use terminal::Terminal;
pub use trial::{Toll, Trial, number, seed};
pub use watchdog::WatchdogDevice;

use std::{
    env,
    fmt::Debug,
    fs,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Generous, also beside a link that is gone for a minute: it only ends a test that would hang.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Looks until what is seen is as it should be, and gives it.
pub fn eventually<T: Debug>(what: &str, mut look: impl FnMut() -> T, is_so: impl Fn(&T) -> bool) -> T {
    const LOOK_EVERY: Duration = Duration::from_millis(30);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let seen = look();
        if is_so(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}; last seen: {seen:#?}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Whether a text has these words. For each `…` in them there may be others, as each C library has its own for an error.
pub fn has_words(text: &str, words: &str) -> bool {
    let mut rest = Some(text);
    for part in words.split('…') {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, after)| after);
    }
    rest.is_some()
}

/// A port that nobody listens at, for TCP and UDP. It lies below those that the system gives to connections, and no
/// other test of this process gets it.
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 22_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = u16::try_from(std::process::id() % u32::from(COUNT)).expect("it is below a u16");
    loop {
        let port = FIRST + spread.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
}

/// Whether the agent runs in an emulator, where computing takes ten times as long.
pub fn is_emulated() -> bool {
    env::var("CLOUDTALKER_RUNNER").is_ok_and(|runner| !runner.trim().is_empty())
}

/// Whether the agent's CPU has AES instructions, as the kernel tells people: this machine's, unless the environment says.
pub fn has_aes() -> bool {
    const VARIABLE: &str = "CLOUDTALKER_AES";
    match env::var(VARIABLE).as_deref() {
        Ok("yes") => true,
        Ok("no") => false,
        Ok(other) => panic!("{VARIABLE}: expected yes or no, but came {other:?}"),
        Err(_) => fs::read_to_string("/proc/cpuinfo").unwrap().split_whitespace().any(|word| word == "aes"),
    }
}
