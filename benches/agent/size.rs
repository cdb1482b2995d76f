//! The program's size, and what each crate has in it.
//!
//! Code is told apart by the names of functions, in a program that is built the same way but keeps them: a generic function
//! counts where it is written, or where the type is from that it is written for. What has no such name is the rest:
//! constants, tables for unwinding, relocations.

use crate::{
    Plan,
    report::{Report, Row},
};
use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

/// Crates with less code than this are summed up.
const SMALL: u64 = 4_000;
const OURS: &str = "cloudtalker";

pub fn measure(_plan: &Plan, report: &mut Report) {
    let program = env::var("CLOUDTALKER_BIN").expect("`make bench` names the program");
    let size = fs::metadata(program).unwrap().len();
    let named = with_names();
    let (mut crates, mut small) = (BTreeMap::<String, u64>::new(), 0);
    for (name, bytes) in functions(&named) {
        *crates.entry(crate_of(&name)).or_default() += bytes;
    }
    let code: u64 = crates.values().sum();
    report.add(Row::new(
        "size of the program for this machine",
        format!("{:.2} MB, of which {:.2} MB are code", size as f64 / 1e6, code as f64 / 1e6),
    ));
    crates.retain(|_, bytes| {
        let is_large = *bytes >= SMALL;
        small += if is_large { 0 } else { *bytes };
        is_large
    });
    report.crates = crates.into_iter().collect();
    report.crates.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    report.crates.push(("all others".to_owned(), small));
    report.crates.push(("what is no code".to_owned(), size - code));
}

/// The same program, not stripped. Gives where it is.
fn with_names() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = dir.join("target/bench/named");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--locked", "--bin", OURS, "--config", "profile.release.strip=false"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(dir)
        .status();
    assert!(status.unwrap().success(), "the program is built with names");
    target.join("release").join(OURS).to_str().expect("paths are text").to_owned()
}

fn functions(program: &str) -> Vec<(String, u64)> {
    let output =
        Command::new("nm").args(["--print-size", "--demangle", "--defined-only", program]).output().unwrap();
    assert!(output.status.success(), "nm reads the program");
    let text = String::from_utf8_lossy(&output.stdout);
    let function = |line: &str| {
        // Address, size, kind, name: 00000000000aa5f0 0000000000000123 t ring::digest::Context::update
        let mut words = line.splitn(4, ' ');
        let (_, size, kind, name) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let is_code = matches!(kind, "t" | "T" | "w" | "W");
        is_code.then(|| Some((name.to_owned(), u64::from_str_radix(size, 16).ok()?)))?
    };
    text.lines().filter_map(function).collect()
}

/// `<&mut ring::digest::Context as core::fmt::Debug>::fmt` is ring's; what has no path is C's.
fn crate_of(name: &str) -> String {
    let first = name.trim_start_matches(['<', '&', '*', '[', '(', ' ']).trim_start_matches("mut ");
    let first = first.trim_start_matches("const ").trim_start_matches("dyn ");
    let path = first.split(['<', '>', ' ', ',', ')', ';']).next().unwrap_or(first);
    match path.split_once("::") {
        Some((name, _)) if name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_') => {
            name.to_owned()
        }
        Some(_) | None if name.starts_with("ring_core") => "ring".to_owned(),
        Some(_) | None => "C and assembler".to_owned(),
    }
}
