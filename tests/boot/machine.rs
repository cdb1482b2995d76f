//! A board in an emulator: Debian's kernel, an initramfs of BusyBox and of what an image has of ours, and disks.

use crate::{
    arch::Arch,
    harness::{
        Console, Identity, LISTENER, Process, TempDir, file_names,
        image::{self, PIDFILE, install, within},
    },
    measures::Written,
};
use std::{
    fs::{self, File},
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// What a machine boots from.
pub struct Image {
    arch: Arch,
    initramfs: PathBuf,
    _dir: TempDir,
}

/// A machine that runs. It is cut off with its owner.
pub struct Machine {
    console: Console,
    /// From the kernel's begin to that of its first process.
    pub init_began: Duration,
    /// And until every script was through, the agent's among them.
    pub init_was_through: Duration,
}

impl Image {
    /// With more lines in the agent's configuration than it takes.
    pub fn build(arch: Arch, identity: &Identity, endpoint: &str, more: &str) -> Image {
        let dir = TempDir::new();
        let root = dir.at("root");
        image::lay_out(&root, &arch.tools().join("busybox"), identity, endpoint);
        let config = within(&root, image::CONFIG);
        fs::write(&config, fs::read_to_string(&config).unwrap() + more).unwrap();
        fs::write(root.join("etc/listener"), LISTENER).unwrap();
        install(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/init"), &root.join("init"));
        install(&arch.program(), &within(&root, image::PROGRAM));
        install(Path::new("/bin/sh"), &root.join("usr/bin/another-machines"));
        fs::create_dir_all(root.join("lib/modules")).unwrap();
        for module in file_names(&arch.tools().join("modules")) {
            // The watchdog is the test's to load, with a limit of its own.
            let is_watchdog = module.ends_with("-softdog.ko");
            let to = if is_watchdog { "lib/softdog.ko".to_owned() } else { format!("lib/modules/{module}") };
            install(&arch.tools().join("modules").join(&module), &root.join(to));
        }
        let initramfs = dir.at("initramfs");
        let pack = "cd \"$0\" && find . | cpio --quiet --create --format newc --owner 0:0 >\"$1\"";
        ok(Command::new("sh").args(["-c", pack]).arg(&root).arg(&initramfs));
        Image { arch, initramfs, _dir: dir }
    }

    /// Boots, and waits until every script of the image's is through. The second disk forgets what was done to it.
    pub fn boot(&self, disk: &Disk, second: &Path) -> Machine {
        let mut qemu = Command::new(self.arch.emulator());
        qemu.args(["-M", "virt", "-cpu", self.arch.cpu(), "-m", "64"]);
        qemu.args(["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]);
        // A board without a clock chip begins here.
        qemu.args(["-rtc", "base=1970-01-01"]);
        qemu.args(["-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"]);
        let drive = |id, path: &Path| format!("if=none,format=raw,id={id},file={}", path.display());
        // The kernel finds the one that is named last first: that is /dev/vda.
        qemu.args(["-drive", &(drive("second", second) + ",snapshot=on")]);
        qemu.args(["-device", "virtio-blk-device,drive=second"]);
        qemu.args(["-drive", &drive("first", &disk.path), "-device", "virtio-blk-device,drive=first"]);
        qemu.arg("-kernel").arg(self.arch.tools().join("vmlinuz")).arg("-initrd").arg(&self.initramfs);
        qemu.args(["-append", "console=ttyAMA0 quiet loglevel=4 panic=-1"]);
        let mut console = Console::of(Process::start_told(self.arch.name(), &mut qemu));
        let init_began = seconds_in(&console.says("init begins after "));
        let through = console.says("init is through after ");
        assert!(through.contains("on 1970"), "{through}");
        Machine { console, init_began, init_was_through: seconds_in(&through) }
    }
}

/// A disk that lasts when its machine is cut off.
pub struct Disk {
    path: PathBuf,
    _dir: TempDir,
}

impl Disk {
    /// Empty, of so many MiB.
    pub fn make(megabytes: u64) -> Disk {
        let dir = TempDir::new();
        let path = dir.at("disk");
        format(&path, megabytes, &[]);
        Disk { path, _dir: dir }
    }
}

/// Makes an ext4 file system of so many MiB in a file.
pub fn format(path: &Path, megabytes: u64, options: &[&str]) {
    File::create(path).unwrap().set_len(megabytes << 20).unwrap();
    // Else the kernel writes tables in the background, which would be taken for the agent's doing.
    const AT_ONCE: &str = "lazy_itable_init=0,lazy_journal_init=0";
    ok(Command::new("mkfs.ext4").args(["-q", "-F", "-b", "4096", "-E", AT_ONCE]).args(options).arg(path));
}

impl Machine {
    /// What the kernel says of the agent's memory under this name, in kB. Unlike `status`, in which each thread may
    /// owe 64 pages, this is counted at once.
    pub fn memory(&mut self, name: &str) -> u64 {
        number(&self.ok(&format!("grep ^{name}: /proc/$(cat {PIDFILE})/smaps_rollup")), 1)
    }

    /// What was written so far, and is on the disk by now.
    pub fn written(&mut self) -> Written {
        const SECTOR: u64 = 512;
        let stat = self.ok("sync; cat /sys/block/vda/stat");
        let io = self.ok(&format!("grep ^write_bytes: /proc/$(cat {PIDFILE})/io"));
        Written { disk: number(&stat, 6) * SECTOR, agent: number(&io, 1) }
    }

    /// Since the kernel began.
    pub fn uptime(&mut self) -> Duration {
        seconds_in(&self.ok("echo up after $(cut -d ' ' -f 1 /proc/uptime)"))
    }

    /// Waits until it does so by itself, which ends the emulator.
    pub fn reboots(self) {
        let ended = self.console.ends();
        assert!(ended.status.success(), "{ended:?}");
    }

    /// As a power cut.
    pub fn cut_off(self) {
        self.console.cut_off();
    }
}

impl Deref for Machine {
    type Target = Console;

    fn deref(&self) -> &Console {
        &self.console
    }
}

impl DerefMut for Machine {
    fn deref_mut(&mut self) -> &mut Console {
        &mut self.console
    }
}

/// Of `... after 4.20 s ...`.
fn seconds_in(line: &str) -> Duration {
    let number = line.split(" after ").nth(1).and_then(|rest| rest.split(' ').next());
    let seconds = number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    Duration::from_secs_f64(seconds)
}

/// The number that is this word of a line.
fn number(line: &str, word: usize) -> u64 {
    let number = line.split_whitespace().nth(word).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("expected a number as word {word} of {line:?}"))
}

pub fn ok(command: &mut Command) {
    let status = command.status();
    let status = status
        .unwrap_or_else(|error| panic!("{command:?}: {error}: `scripts/install-tools boot` installs it"));
    assert!(status.success(), "{command:?}: {status}");
}
