//! What a directory's file system is kept on: memory, or something that outlasts a power cut.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

// From linux/magic.h.
const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;
const OVERLAY: u32 = 0x794c_7630;

/// What a power cut does to what is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// It is still there afterwards.
    Lasting,
    /// It is gone.
    Memory(&'static str),
    /// An overlay, of which it is not seen from here where it keeps what is written.
    Unseen,
}

impl Medium {
    /// That of a directory.
    pub fn of(dir: &Path) -> io::Result<Medium> {
        Ok(match file_system(dir)? {
            TMPFS => Medium::Memory("tmpfs"),
            RAMFS => Medium::Memory("ramfs"),
            OVERLAY => match upper(dir).and_then(|upper| file_system(&upper)) {
                Ok(TMPFS | RAMFS) => Medium::Memory("an overlay in memory"),
                Ok(OVERLAY) | Err(_) => Medium::Unseen,
                Ok(_) => Medium::Lasting,
            },
            _ => Medium::Lasting,
        })
    }
}

fn file_system(path: &Path) -> io::Result<u32> {
    // The field is as wide as the machine's words, and signed.
    Ok(rustix::fs::statfs(path)?.f_type as u32)
}

/// Where an overlay keeps what is written, as whoever mounted it named it.
fn upper(dir: &Path) -> io::Result<PathBuf> {
    let device = fs::metadata(dir)?.dev();
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    // Some mount's name may be in any script; not the one that is looked for, or it is not found.
    let mounts = fs::read("/proc/self/mountinfo")?;
    upper_in(&String::from_utf8_lossy(&mounts), &device).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// By proc_pid_mountinfo(5): `ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS [FIELD...] - TYPE SOURCE OPTIONS`, the last ones with
/// commas between, and in octal what would else be taken for a mark.
fn upper_in(mountinfo: &str, device: &str) -> Option<PathBuf> {
    let mut mounts = mountinfo.lines().filter(|line| line.split(' ').nth(2) == Some(device));
    let options = mounts.next()?.split_once(" - ")?.1.split(' ').nth(2)?;
    let upper = options.split(',').find_map(|option| option.strip_prefix("upperdir="))?;
    let upper = PathBuf::from(OsString::from_vec(unescaped(upper.as_bytes())));
    // From where else it leads, nobody knows.
    upper.is_absolute().then_some(upper)
}

/// `\040` is a space.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let (byte, left) = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), after)
            }
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = left;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        22 1 0:20 / / rw,noatime - overlay overlayfs:/overlay rw,lowerdir=/,upperdir=/overlay/upper,workdir=/overlay/work\n\
        23 22 31:6 / /overlay rw,noatime shared:1 - jffs2 /dev/mtdblock6 rw\n\
        24 22 0:21 / /my\\040mount rw - overlay none rw,upperdir=/my\\040card\\054\\134/up,workdir=/w\n\
        25 22 0:22 / /read ro - overlay none ro,lowerdir=/a:/b\n\
        26 22 0:23 / /near rw - overlay none rw,lowerdir=a,upperdir=b,workdir=c\n";

    #[test]
    fn an_overlay_says_where_it_keeps_what_is_written() {
        for (device, upper) in [
            ("0:20", Some("/overlay/upper")),
            ("0:21", Some("/my card,\\/up")),
            // Nothing is written there, and it depends on who asks, and it is no overlay, and it is not there.
            ("0:22", None),
            ("0:23", None),
            ("31:6", None),
            ("0:2", None),
        ] {
            assert_eq!(upper_in(MOUNTS, device).as_deref(), upper.map(Path::new), "{device}");
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for (text, bytes) in
            [("", ""), ("a\\", "a\\"), ("\\04", "\\04"), ("\\400", "\\400"), ("\\134040", "\\040")]
        {
            assert_eq!(unescaped(text.as_bytes()), bytes.as_bytes(), "{text}");
        }
    }
}
