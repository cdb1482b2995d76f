//! The engine's state tables: each state, each input, and what follows, written out for people to read.
//!
//! `session.txt`, `capture.txt`, `segment.txt` and `pace.txt` are what the engine did when they were last looked at. A change of
//! policy shows as a change of theirs: `UPDATE_SNAPSHOTS=1 cargo test --test states` writes them anew, and the
//! difference belongs into the commit.

#![allow(clippy::unwrap_used)]

mod acts;
mod capture;
mod pace;
#[path = "../scene/mod.rs"]
mod scene;
mod segment;
mod session;

use scene::Scene;
use std::{env, fmt::Write, fs, path::Path};

/// A way into a state, or an input, with its name.
type Act<'a> = (&'a str, Box<dyn Fn(&mut Scene) + 'a>);

/// Every state and every input of one machine.
struct Table<'a> {
    /// What it is about, and how it is to be read.
    title: &'a str,
    states: Vec<Act<'a>>,
    inputs: Vec<Act<'a>>,
    /// The state, as the engine has it.
    state: fn(&Scene) -> String,
}

impl Table<'_> {
    /// Each state is reached anew for each input. Inputs that lead to the same have one row.
    fn write(&self) -> String {
        let mut text = format!("{}\n", self.title.trim());
        for (name, reach) in &self.states {
            let begin = || {
                let mut scene = Scene::new();
                reach(&mut scene);
                scene.outputs.clear();
                scene
            };
            let before = (self.state)(&begin());
            let mut rows: Vec<Row> = Vec::new();
            for (input, act) in &self.inputs {
                let mut scene = begin();
                act(&mut scene);
                let (state, outputs) = ((self.state)(&scene), scene.told());
                match rows.iter_mut().find(|row| (&row.state, &row.outputs) == (&state, &outputs)) {
                    Some(row) => row.inputs.push(input),
                    None => rows.push(Row { inputs: vec![input], state, outputs }),
                }
            }
            rows.sort_by_key(|row| row.state == before && row.outputs.is_empty());
            write!(text, "\n## {name}\n\n{before}\n\n{}", aligned(&rows, &before)).unwrap();
        }
        text
    }
}

struct Row<'a> {
    inputs: Vec<&'a str>,
    state: String,
    outputs: String,
}

/// Rows as lines. The widths are fixed, so that a change of one row is a change of one line.
fn aligned(rows: &[Row], before: &str) -> String {
    const STATE: usize = 58;
    const OUTPUTS: usize = 100;
    let line = |state: &str, outputs: &str, inputs: &str| {
        format!("| {state:<STATE$} | {outputs:<OUTPUTS$} | {inputs}\n")
    };
    let mut text = line("state", "outputs", "inputs") + &line(&"-".repeat(STATE), &"-".repeat(OUTPUTS), "-");
    for Row { inputs, state, outputs } in rows {
        let stays = state == before;
        let inputs =
            if stays && outputs.is_empty() { "everything else".to_owned() } else { inputs.join(" / ") };
        text += &line(if stays { "" } else { state }, outputs, &inputs);
    }
    text
}

/// Compares a table with what a person last looked at.
#[track_caller]
fn assert_as_before(name: &str, table: &Table) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/states").join(name);
    let now = table.write();
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &now).unwrap();
        return;
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    let missing = |of: &str, from: &str, mark: char| -> String {
        let lines = of.lines().filter(|line| !from.lines().any(|other| other == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect()
    };
    assert!(
        before == now,
        "the engine does not do what tests/states/{name} says:\n{}{}\
         where that is meant, UPDATE_SNAPSHOTS=1 cargo test --test states writes it anew",
        missing(&before, &now, '-'),
        missing(&now, &before, '+'),
    );
}
