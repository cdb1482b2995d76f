//! What the board has to offer: a place for captures.

use super::report::{Outcome, Report, Subject};
use crate::{
    config::Config,
    shell::{
        lock::{self, LockError},
        medium::Medium,
        upkeep,
    },
    tools::text::size,
};
use rustix::{
    fs::statvfs,
    process::{Uid, geteuid},
};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Looks at the state directory, which an agent that is there has already, and at where the camera records.
pub fn look(config: &Config, is_there: bool, report: &mut Report) {
    let dir = &config.spool.state_dir;
    report.tell(Subject::StateDir, state_dir(dir, is_there));
    // Where it is still to be made, it will be on the same file system as this.
    let there = upkeep::nearest(dir);
    report.tell(Subject::Flash, flash(there, Medium::of(there)));
    match space(there) {
        Ok(space) => {
            let (max, min_free) = (config.spool.max, config.spool.min_free);
            report.tell(Subject::FreeSpace, free_space(space.free, min_free));
            let space = Space { free: space.free.saturating_add(held(&dir.join("spool"))), ..space };
            report.tell(Subject::Quota, quota(max, min_free, space));
        }
        Err(error) => {
            report.tell(Subject::FreeSpace, untold(there, "its space", &error));
            report.skip(&[Subject::Quota], Subject::FreeSpace);
        }
    }
    let removes = config.spool.delete_uploaded;
    let may_remove = |dir: &Path| if removes { upkeep::may_make_in(dir) } else { Ok(()) };
    report.tell(Subject::CaptureDirs, capture_dirs(&config.spool.capture_dirs, may_remove));
}

fn state_dir(dir: &Path, is_there: bool) -> Outcome {
    let (shown, user) = (dir.display(), user());
    match fs::metadata(dir) {
        Ok(about) if !about.is_dir() => Outcome::Failed(format!(
            "expected a directory at {shown}, but something else is there: remove it, or give another --state_dir"
        )),
        Ok(_) if !is_there && File::open(dir).is_ok_and(|dir| lock::is_held(&dir)) => {
            Outcome::Failed(LockError::Taken(dir.to_owned()).to_string())
        }
        Ok(about) => match probe(dir) {
            Ok(()) => owned(dir, about.uid()),
            Err(error) => {
                Outcome::Failed(format!("{shown} takes no files of {user}: {error}; {}", cure(error.kind())))
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = upkeep::nearest(dir);
            match upkeep::may_make_in(parent) {
                Ok(()) => Outcome::Fine(format!("{shown} is not there yet, and can be made by {user}")),
                Err(error) => Outcome::Failed(format!(
                    "{shown} is not there, and can't be made by {user} in {}: {error}; make it and give it to the \
                     agent's user (mkdir, chown), or give another --state_dir",
                    parent.display()
                )),
            }
        }
        Err(error) => {
            Outcome::Failed(format!("{shown} can't be looked at by {user}: {error}; {}", cure(error.kind())))
        }
    }
}

/// It takes our files. Those of an agent that runs as another user it may not take, least of all where we are root.
fn owned(dir: &Path, owner: u32) -> Outcome {
    let (shown, user) = (dir.display(), user());
    if owner == geteuid().as_raw() {
        return Outcome::Fine(format!("{shown} takes files of {user}"));
    }
    let owner = named(Uid::from_raw(owner));
    Outcome::Doubtful(format!(
        "{shown} takes files of {user}, but is {owner}'s, and whether the agent may do there what it needs this does not \
         tell: run this as the agent's user (su -s /bin/sh USER)"
    ))
}

/// Writes a file down to the card, and removes it. Asking for permissions would not tell of a card that is broken.
fn probe(dir: &Path) -> io::Result<()> {
    let (path, mut file) = upkeep::new_beside(&dir.join(".check"))?;
    let written = file.write_all(b"cloudtalker check\n").and_then(|()| file.sync_all());
    let removed = fs::remove_file(&path);
    written.and(removed)
}

fn cure(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PermissionDenied => {
            "give it to the agent's user (chown), or run this as that user, or give another --state_dir"
        }
        ErrorKind::ReadOnlyFilesystem => "mount it for writing, or give another --state_dir",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "remove something, or give another --state_dir",
        _ => "is the card whole, and mounted?",
    }
}

fn flash(dir: &Path, medium: io::Result<Medium>) -> Outcome {
    let shown = dir.display();
    match medium {
        Ok(Medium::Lasting) => Outcome::Fine(format!("the file system of {shown} outlasts a power cut")),
        Ok(Medium::Memory(kind)) => Outcome::Failed(format!(
            "{shown} is on {kind}, which a power cut empties: give a --state_dir on flash or disk"
        )),
        Ok(Medium::Unseen) => Outcome::Doubtful(format!(
            "{shown} is on an overlay, and it is not seen from here what that is kept on: a power cut empties it where that \
             is memory; if so, give a --state_dir on flash or disk"
        )),
        Err(error) => untold(dir, "its kind", &error),
    }
}

fn untold(dir: &Path, what: &str, error: &io::Error) -> Outcome {
    let (shown, cure) = (dir.display(), cure(error.kind()));
    Outcome::Failed(format!("the file system of {shown} does not tell {what}: {error}; {cure}"))
}

/// Of a file system, in bytes.
#[derive(Clone, Copy)]
struct Space {
    /// What anybody may use of what is free.
    free: u64,
    /// What anybody may use where nothing else is there.
    total: u64,
}

fn space(dir: &Path) -> io::Result<Space> {
    let about = statvfs(dir)?;
    let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
    let kept_for_root = about.f_bfree.saturating_sub(about.f_bavail);
    Ok(Space { free: bytes(about.f_bavail), total: bytes(about.f_blocks.saturating_sub(kept_for_root)) })
}

/// What would be free without the files there, in bytes. Of one that has another name, too, nothing; nor of what can't be
/// read.
fn held(dir: &Path) -> u64 {
    const BLOCK: u64 = 512;
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes = entries.filter_map(|entry| {
        let about = entry.metadata().ok()?;
        match () {
            () if about.is_dir() => Some(held(&entry.path())),
            () if about.nlink() == 1 => Some(about.blocks().saturating_mul(BLOCK)),
            () => None,
        }
    });
    bytes.sum()
}

fn free_space(free: u64, min_free: u64) -> Outcome {
    let (is_free, floor) = (size(free), size(min_free));
    if free < min_free {
        return Outcome::Failed(format!(
            "{is_free}, but {floor} stay free (--min_free), so that each new capture displaces an old one or is \
             turned away: remove something, or lower --min_free"
        ));
    }
    Outcome::Fine(format!("{is_free}, of which {floor} stay free (--min_free)"))
}

/// Of a file system on which what captures hold already counts as free.
fn quota(max: Option<u64>, min_free: u64, Space { free, total }: Space) -> Outcome {
    let Some(max) = max else {
        return Outcome::Fine(format!("none (--spool_max): all but {} is for captures", size(min_free)));
    };
    let (fits, has_now) = (total.saturating_sub(min_free), free.saturating_sub(min_free));
    if total == 0 {
        return Outcome::Doubtful(format!(
            "the file system does not tell its size: {} (--spool_max) may fit or not",
            size(max)
        ));
    }
    if fits == 0 {
        return Outcome::Failed(format!(
            "{} that stay free (--min_free) leave nothing of {}: lower --min_free",
            size(min_free),
            size(total)
        ));
    }
    if max > fits {
        return Outcome::Failed(format!(
            "{} (--spool_max) and {} that stay free (--min_free) do not fit into {}: lower --spool_max to {} or less",
            size(max),
            size(min_free),
            size(total),
            size(fits)
        ));
    }
    if max > has_now {
        return Outcome::Doubtful(format!(
            "{} (--spool_max) is more than the {} that captures can have beside what else is there and what stays free \
             (--min_free), where each new one displaces an old one: lower --spool_max, or remove something",
            size(max),
            size(has_now)
        ));
    }
    Outcome::Fine(format!("{} (--spool_max) of {}", size(max), size(total)))
}

/// A file can be removed by whom its directory lets write.
fn capture_dirs(dirs: &[PathBuf], may_remove: impl Fn(&Path) -> io::Result<()>) -> Outcome {
    for dir in dirs {
        // What is in it can be reached, too.
        let why = match fs::metadata(dir.join(".")) {
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                format!(
                    "{} may not be entered by {}: {error}; let the agent's user in",
                    dir.display(),
                    user()
                )
            }
            Err(error) => {
                let shown = dir.display();
                format!(
                    "expected a directory at {shown}, but: {error}; make it, or give another --capture_dir"
                )
            }
        };
        return Outcome::Failed(why);
    }
    for dir in dirs {
        if let Err(error) = may_remove(dir) {
            return Outcome::Doubtful(format!(
                "files are taken from {}, and stay there, as {} may not remove them (--delete_uploaded): {error}; let the \
                 agent's user write to that directory",
                dir.display(),
                user()
            ));
        }
    }
    match dirs {
        [] => Outcome::Fine("none (--capture_dir): files may lie anywhere".into()),
        dirs => {
            let shown: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
            Outcome::Fine(format!("files are taken from {}", shown.join(", ")))
        }
    }
}

/// Who runs this.
pub fn user() -> String {
    named(geteuid())
}

fn named(user: Uid) -> String {
    match user {
        uid if uid.is_root() => "root".into(),
        uid => format!("user {}", uid.as_raw()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::is, *};
    use std::process;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_a_killed_check_of_the_same_number_has_left_is_no_fault_of_the_card() {
        let dir = std::env::temp_dir().join(format!("cloudtalker-probe-{}", process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(format!(".check.{}", process::id())), "cloudtalker ch").unwrap();
        is(&state_dir(&dir, false), "fine: ");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir(&dir).unwrap();
    }

    #[test]
    fn space_is_weighed_against_what_stays_free() {
        is(&free_space(64 * MIB, 64 * MIB), "fine: 64.0 MiB, of which 64.0 MiB stay free");
        is(&free_space(64 * MIB - 1, 64 * MIB), "failed: 63.9 MiB, but 64.0 MiB stay free (--min_free)");
    }

    #[test]
    fn a_quota_fits_what_the_file_system_has_beside_what_stays_free() {
        let nothing = Space { free: 0, total: 0 };
        let empty = Space { free: 100 * MIB, total: 100 * MIB };
        is(&quota(None, 64 * MIB, nothing), "fine: none (--spool_max)");
        is(&quota(Some(36 * MIB), 64 * MIB, empty), "fine: 36.0 MiB (--spool_max) of 100.0 MiB");
        let told = quota(Some(36 * MIB + 1), 64 * MIB, empty);
        is(
            &told,
            "failed: 36.0 MiB (--spool_max) and 64.0 MiB that stay free (--min_free) do not fit into 100.0 MiB",
        );
        assert!(told.to_string().ends_with("lower --spool_max to 36.0 MiB or less"), "{told}");
        is(&quota(Some(u64::MAX), u64::MAX, empty), "failed: ");
        is(&quota(Some(MIB), MIB, nothing), "doubtful: the file system does not tell its size");
        let told = quota(Some(MIB), 100 * MIB, empty).to_string();
        assert!(
            told.ends_with("that stay free (--min_free) leave nothing of 100.0 MiB: lower --min_free"),
            "{told}"
        );
        let shared = Space { free: 80 * MIB, total: 100 * MIB };
        is(&quota(Some(16 * MIB), 64 * MIB, shared), "fine: 16.0 MiB (--spool_max) of 100.0 MiB");
        is(
            &quota(Some(36 * MIB), 64 * MIB, shared),
            "doubtful: 36.0 MiB (--spool_max) is more than the 16.0 MiB that captures can have",
        );
    }

    #[test]
    fn what_captures_hold_is_what_would_be_free_without_them() {
        let dir = std::env::temp_dir().join(format!("cloudtalker-room-won-{}", process::id()));
        fs::create_dir_all(dir.join("1.pir")).unwrap();
        assert_eq!(held(&dir.join("nowhere")), 0);
        let (one, other) = (dir.join("1.pir/0.mp4"), dir.join("1.pir/1.mp4"));
        fs::write(&one, [1; 64 * 1024]).unwrap();
        let alone = held(&dir);
        assert!((64 * 1024..80 * 1024).contains(&alone), "{alone}");
        fs::hard_link(&one, &other).unwrap();
        assert_eq!(held(&dir), 0, "the camera's own name keeps it");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_system_that_forgets_is_no_place_for_captures() {
        let dir = Path::new("/state");
        is(&flash(dir, Ok(Medium::Lasting)), "fine: ");
        is(&flash(dir, Ok(Medium::Unseen)), "doubtful: /state is on an overlay");
        is(
            &flash(dir, Ok(Medium::Memory("tmpfs"))),
            "failed: /state is on tmpfs, which a power cut empties: give a --state_dir",
        );
        let told = flash(dir, Err(ErrorKind::Unsupported.into()));
        is(&told, "failed: the file system of /state does not tell its kind: ");
        assert!(told.to_string().ends_with("is the card whole, and mounted?"), "{told}");
    }

    #[test]
    fn a_place_for_recordings_that_does_not_do_has_a_cure() {
        let dirs = |dirs: &[&str]| {
            let may_remove = |dir: &Path| match dir.ends_with("self") {
                true => Err(ErrorKind::PermissionDenied.into()),
                false => Ok(()),
            };
            capture_dirs(&dirs.iter().map(PathBuf::from).collect::<Vec<_>>(), may_remove)
        };
        is(&dirs(&[]), "fine: none (--capture_dir)");
        is(&dirs(&["/", "/proc"]), "fine: files are taken from /, /proc");
        is(
            &dirs(&["/", "/nowhere"]),
            "failed: expected a directory at /nowhere, but: No such file or directory",
        );
        is(&dirs(&["/proc/version"]), "failed: expected a directory at /proc/version, but: Not a directory");
        let told = dirs(&["/", "/proc/self"]);
        is(&told, "doubtful: files are taken from /proc/self, and stay there, as ");
        assert!(told.to_string().ends_with("let the agent's user write to that directory"), "{told}");
    }

    #[test]
    fn what_is_there_of_a_path_is_found() {
        assert_eq!(upkeep::nearest(Path::new("/nowhere/at/all")), Path::new("/"));
        assert_eq!(upkeep::nearest(Path::new("nowhere")), Path::new("."));
    }

    #[test]
    fn a_directory_of_somebody_else_says_little_of_the_agent() {
        let (dir, user) = (Path::new("/state"), geteuid().as_raw());
        is(&owned(dir, user), "fine: /state takes files of ");
        let told = owned(dir, user + 1);
        is(&told, "doubtful: /state takes files of ");
        assert!(told.to_string().contains(&format!("but is user {}'s", user + 1)), "{told}");
    }

    #[test]
    fn a_directory_that_another_agent_has_is_told_and_stays_locked() {
        let dir = std::env::temp_dir().join(format!("cloudtalker-held-{}", process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        let held = lock::take(&dir).unwrap();
        let told = state_dir(&dir, false);
        is(&told, "failed: ");
        assert!(
            told.to_string()
                .ends_with("another agent has this state directory; stop it, or give --state_dir")
        );
        is(&state_dir(&dir, true), "fine: ");
        drop(held);
        // A process that another test begins at this moment has it until it is another program.
        while lock::is_held(&File::open(&dir).unwrap()) {
            std::thread::yield_now();
        }
        is(&state_dir(&dir, false), "fine: ");
        fs::remove_dir(&dir).unwrap();
    }
}
