use super::*;
use std::time::Duration;

const SEEDS: u64 = 200;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_529_842_538)
}

fn name(name: &str) -> &OsStr {
    OsStr::new(name)
}

fn disk() -> Disk {
    Disk::new(1_000_000)
}

fn file(disk: &mut Disk, dir: Ino, called: &str, bytes: &[u8]) -> Ino {
    let ino = disk.create(dir, name(called), now()).unwrap();
    disk.write(ino, 0, bytes, now()).unwrap();
    ino
}

fn content(disk: &Disk, dir: Ino, called: &str) -> Option<Vec<u8>> {
    let ino = disk.lookup(dir, name(called)).ok()?;
    Some(disk.read(ino, 0, 1_000).unwrap().to_vec())
}

/// What this leaves of a disk after a power cut, for each of many seeds.
fn outcomes<T: Ord>(prepare: impl Fn(&mut Disk), look: impl Fn(&Disk) -> T) -> BTreeSet<T> {
    let outcome = |seed| {
        let mut disk = disk();
        prepare(&mut disk);
        disk.power_cycle(&mut Rng::new(seed));
        look(&disk)
    };
    (0..SEEDS).map(outcome).collect()
}

#[test]
fn what_was_synced_with_its_name_stays() {
    let prepare = |disk: &mut Disk| {
        let ino = file(disk, ROOT, "a", b"whole");
        disk.sync(ino).unwrap();
        disk.sync(ROOT).unwrap();
    };
    assert_eq!(outcomes(prepare, |disk| content(disk, ROOT, "a")), [Some(b"whole".to_vec())].into());
}

#[test]
fn contents_without_a_name_go_and_names_without_contents_stay() {
    let synced = |disk: &mut Disk| {
        let ino = file(disk, ROOT, "a", b"x");
        disk.sync(ino).unwrap();
    };
    assert_eq!(outcomes(synced, |disk| content(disk, ROOT, "a")), [None, Some(b"x".to_vec())].into());
    let named = |disk: &mut Disk| {
        file(disk, ROOT, "a", b"x");
        disk.sync(ROOT).unwrap();
    };
    let expected = [vec![], vec![0], b"x".to_vec()].map(Some);
    assert_eq!(outcomes(named, |disk| content(disk, ROOT, "a")), expected.into());
}

#[test]
fn a_write_is_torn_but_what_was_synced_of_it_is_not() {
    let prepare = |disk: &mut Disk| {
        let ino = file(disk, ROOT, "a", b"12");
        disk.sync(ino).unwrap();
        disk.sync(ROOT).unwrap();
        disk.write(ino, 2, b"34", now()).unwrap();
    };
    let expected = [b"12".to_vec(), b"123".to_vec(), b"1234".to_vec(), b"12\0\0".to_vec()].map(Some);
    assert_eq!(outcomes(prepare, |disk| content(disk, ROOT, "a")), expected.into());
}

#[test]
fn a_rename_that_was_not_synced_leaves_either_name_or_both_or_none() {
    let prepare = |disk: &mut Disk| {
        let ino = file(disk, ROOT, "a", b"x");
        disk.sync(ino).unwrap();
        disk.rename((ROOT, name("a")), (ROOT, name("b"))).unwrap();
    };
    let look = |disk: &Disk| ["a", "b"].map(|called| content(disk, ROOT, called).is_some());
    // Its creation and its rename are lost each on its own.
    assert_eq!(outcomes(prepare, look), [[false, false], [true, false], [false, true]].into());
}

#[test]
fn a_file_moved_into_a_synced_directory_is_there_alone() {
    let prepare = |disk: &mut Disk| {
        let from = disk.make_dir(ROOT, name("from")).unwrap();
        let to = disk.make_dir(ROOT, name("to")).unwrap();
        disk.sync(ROOT).unwrap();
        let ino = file(disk, from, "a", b"x");
        disk.sync(ino).unwrap();
        disk.rename((from, name("a")), (to, name("a"))).unwrap();
        disk.sync(to).unwrap();
    };
    let look = |disk: &Disk| {
        ["from", "to"].map(|dir| {
            let dir = disk.lookup(ROOT, name(dir)).unwrap();
            content(disk, dir, "a").is_some()
        })
    };
    assert_eq!(outcomes(prepare, look), [[false, true]].into());
}

#[test]
fn a_removal_that_was_not_synced_may_not_have_been() {
    let prepare = |disk: &mut Disk| {
        let ino = file(disk, ROOT, "a", b"x");
        disk.sync(ino).unwrap();
        disk.sync(ROOT).unwrap();
        disk.remove(ROOT, name("a")).unwrap();
    };
    assert_eq!(outcomes(prepare, |disk| content(disk, ROOT, "a")), [None, Some(b"x".to_vec())].into());
}

#[test]
fn a_directory_takes_its_names_with_it() {
    let prepare = |disk: &mut Disk| {
        let dir = disk.make_dir(ROOT, name("dir")).unwrap();
        let ino = file(disk, dir, "a", b"x");
        disk.sync(ino).unwrap();
        disk.sync(dir).unwrap();
    };
    let look = |disk: &Disk| disk.lookup(ROOT, name("dir")).ok().map(|dir| content(disk, dir, "a"));
    assert_eq!(outcomes(prepare, look), [None, Some(Some(b"x".to_vec()))].into());
}

#[test]
fn links_are_names_of_one_file() {
    let mut disk = disk();
    let ino = file(&mut disk, ROOT, "a", b"x");
    disk.link(ino, ROOT, name("b")).unwrap();
    assert_eq!((disk.lookup(ROOT, name("b")), disk.facts(ino).unwrap().links), (Ok(ino), 2));
    assert_eq!(disk.link(ino, ROOT, name("a")), Err(DiskError::Exists));
    // As rename(2) has it.
    disk.rename((ROOT, name("a")), (ROOT, name("b"))).unwrap();
    assert_eq!(disk.facts(ino).unwrap().links, 2);
    disk.remove(ROOT, name("a")).unwrap();
    assert_eq!(content(&disk, ROOT, "b"), Some(b"x".to_vec()));
}

#[test]
fn a_rename_takes_the_place_of_what_can_go() {
    let mut disk = disk();
    file(&mut disk, ROOT, "a", b"new");
    file(&mut disk, ROOT, "b", b"old");
    let dir = disk.make_dir(ROOT, name("dir")).unwrap();
    disk.rename((ROOT, name("a")), (ROOT, name("b"))).unwrap();
    assert_eq!(content(&disk, ROOT, "b"), Some(b"new".to_vec()));
    assert_eq!(disk.rename((ROOT, name("b")), (ROOT, name("dir"))), Err(DiskError::IsDir));
    assert_eq!(disk.rename((ROOT, name("dir")), (ROOT, name("b"))), Err(DiskError::NotDir));
    file(&mut disk, dir, "c", b"");
    assert_eq!(disk.remove_dir(ROOT, name("dir")), Err(DiskError::NotEmpty));
    assert_eq!(disk.remove(ROOT, name("dir")), Err(DiskError::IsDir));
}

#[test]
fn nothing_is_made_in_a_directory_that_has_gone() {
    let mut disk = disk();
    let dir = disk.make_dir(ROOT, name("dir")).unwrap();
    disk.remove_dir(ROOT, name("dir")).unwrap();
    assert_eq!(disk.create(dir, name("a"), now()), Err(DiskError::NotFound));
}

#[test]
fn a_full_disk_takes_nothing_more_until_names_go() {
    let mut disk = Disk::new(10);
    let ino = file(&mut disk, ROOT, "a", b"12345678");
    assert_eq!(disk.write(ino, 8, b"901", now()), Err(DiskError::NoSpace));
    assert_eq!(content(&disk, ROOT, "a"), Some(b"12345678".to_vec()));
    assert_eq!(disk.free(), 2);
    disk.remove(ROOT, name("a")).unwrap();
    assert_eq!(disk.free(), 10);
}
