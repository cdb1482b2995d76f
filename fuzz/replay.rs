//! Runs a body of a fuzz target over the inputs that the fuzzer once found interesting. Both trees' tests use it.

use std::{collections::BTreeSet, fs, panic, path::Path};

/// A target's name, and its body.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Runs the body over each file of its corpus in this `fuzz` directory.
pub(crate) fn replay(fuzz: &Path, (name, body): Target) {
    let corpus = fuzz.join("corpus").join(name);
    let entries = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let outcome = panic::catch_unwind(|| body(&bytes));
        assert!(outcome.is_ok(), "{} shows a fault of {name}", path.display());
        count += 1;
    }
    assert!(count > 0, "{} is empty", corpus.display());
}

/// Fails where a target of this crate is not replayed, or is not the call of its body: no other test compiles it.
pub(crate) fn expect_all(fuzz: &Path, krate: &str, targets: &[Target]) {
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let files = fs::read_dir(fuzz.join("fuzz_targets")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let ours =
        paths.filter(|path| fs::read_to_string(path).unwrap().contains(&format!("use {krate}::fuzz;")));
    let ours: BTreeSet<String> =
        ours.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let replayed: BTreeSet<String> = targets.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(ours, replayed);
    for name in ours {
        let text = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        let call = format!("libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::{name}(bytes));");
        assert_eq!(text, format!("#![no_main]\nuse {krate}::fuzz;\n{call}\n"));
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not in the manifest"
        );
    }
}
