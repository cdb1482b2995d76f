//! What the program is, and what it runs on.

use crate::{
    tls::Floor,
    tools::{status::now, text::span},
    wire::utc::Utc,
};
use rustix::{process::geteuid, system::uname};
use std::{env::consts, fs::File, io::Read};

/// All of them are far shorter.
const LONGEST: u64 = 16 * 1024;

/// A line for each thing that is known.
pub fn system() -> String {
    let name = uname();
    let words = [name.sysname(), name.release(), name.version()].map(|word| word.to_string_lossy());
    let model = read("/proc/device-tree/model");
    let machine =
        [Some(name.machine().to_string_lossy().into_owned()), model.map(|model| model.replace('\0', ""))];
    let memory = read("/proc/meminfo").map(|text| {
        let lines =
            text.lines().filter(|line| line.starts_with("MemTotal") || line.starts_with("MemAvailable"));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
    });
    let uptime = read("/proc/uptime").and_then(|text| text.split('.').next()?.parse().ok()).map(span);
    let facts = [
        ("program", Some(format!("cloudtalker {}, {}", env!("CARGO_PKG_VERSION"), target()))),
        ("kernel", Some(words.join(" "))),
        ("machine", Some(machine.into_iter().flatten().collect::<Vec<_>>().join(", "))),
        ("system", read("/etc/os-release").and_then(|text| pretty_name(&text))),
        ("memory", memory),
        ("up for", uptime),
        (
            "clock",
            Some(format!("{}; the program was built {}", Utc(now()), Utc(Floor::since_build().unix()))),
        ),
        ("user", Some(geteuid().as_raw().to_string())),
    ];
    let known = facts.into_iter().filter_map(|(name, fact)| Some(format!("{name:<14}{}\n", fact?)));
    known.collect()
}

/// `arm-linux-musleabihf`, as compilers name what they build for.
fn target() -> String {
    let libc = match () {
        () if cfg!(target_env = "musl") => "musl",
        () if cfg!(target_env = "gnu") => "gnu",
        () => "",
    };
    let abi = match () {
        () if cfg!(target_abi = "eabihf") => "eabihf",
        () if cfg!(target_abi = "eabi") => "eabi",
        () => "",
    };
    let checks = if cfg!(debug_assertions) { ", with debug assertions" } else { "" };
    format!("{}-{}-{libc}{abi}{checks}", consts::ARCH, consts::OS)
}

fn pretty_name(os_release: &str) -> Option<String> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

fn read(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_kernel_and_machine_are_always_known() {
        let system = system();
        for expected in [
            concat!("program       cloudtalker ", env!("CARGO_PKG_VERSION")),
            "\nkernel        Linux ",
            "\nmachine       ",
            "\nclock         20",
        ] {
            assert!(system.contains(expected), "expected {expected:?}: {system}");
        }
        assert!(system.contains(consts::ARCH), "{system}");
    }

    #[test]
    fn a_system_says_what_it_is_called() {
        let text = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(pretty_name(text).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(pretty_name("ID=buildroot\n"), None);
    }
}
