//! The two architectures, and where what is theirs lies.

use std::{
    env,
    path::{Path, PathBuf},
};

#[derive(Clone, Copy, Debug)]
pub enum Arch {
    Armv7,
    Aarch64,
}

impl Arch {
    pub fn name(self) -> &'static str {
        match self {
            Arch::Armv7 => "armv7",
            Arch::Aarch64 => "aarch64",
        }
    }

    /// The agent's program, as it is released.
    pub fn program(self) -> PathBuf {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist");
        let dir = env::var_os("CLOUDTALKER_DIST").map_or(built, PathBuf::from);
        let program = dir.join(format!("cloudtalker-{}", self.name()));
        assert!(program.exists(), "there is no {}: `make cross` builds it", program.display());
        program
    }

    pub fn emulator(self) -> &'static str {
        match self {
            Arch::Armv7 => "qemu-system-arm",
            Arch::Aarch64 => "qemu-system-aarch64",
        }
    }

    /// The cores of a Raspberry Pi 2 and 3.
    pub fn cpu(self) -> &'static str {
        match self {
            Arch::Armv7 => "cortex-a7",
            Arch::Aarch64 => "cortex-a53",
        }
    }

    /// Kernel, modules and BusyBox, as `scripts/install-tools boot` leaves them.
    pub fn tools(self) -> PathBuf {
        let tools = env::var_os("TOOLS").expect("TOOLS says where `scripts/install-tools boot` has left what it fetched; `make test-boot` sets it");
        let dir = Path::new(&tools).join("boot").join(self.name());
        assert!(
            dir.join("vmlinuz").exists(),
            "there is no kernel in {}: `scripts/install-tools boot` fetches it",
            dir.display()
        );
        dir
    }
}
