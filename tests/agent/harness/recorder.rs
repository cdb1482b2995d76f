//! A camera program that hands over again what was not acknowledged, until it is.

use super::{Board, DEADLINE, Segment, Source, Stored, seeded, sha256};
use cloudtalker::engine::rng::Rng;
use serde_json::json;
use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, mpsc},
};

/// What it records, and where it hands that over.
pub struct Recorder {
    dir: PathBuf,
    input_sock: PathBuf,
    rng: Rng,
    /// Of its last capture.
    time: u64,
    occasions: Arc<Occasions>,
    /// Hears of each answer.
    answers: mpsc::Sender<Answer>,
}

/// A segment, and how often it was refused.
pub struct Handed {
    pub segment: Segment,
    pub refusals: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Acked,
    Refused,
}

/// What recorders wait for: captures to be made, and lives of the agent, counted.
#[derive(Default)]
pub struct Occasions {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    captures: u64,
    life: u32,
    is_enough: bool,
}

impl Occasions {
    /// So many captures more are to be made.
    pub fn add_captures(&self, captures: u64) {
        self.change(|state| state.captures += captures);
    }

    /// The agent takes captures again.
    pub fn begin_life(&self) {
        self.change(|state| state.life += 1);
    }

    /// Recorders finish what they are at, and end.
    pub fn enough(&self) {
        self.change(|state| state.is_enough = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    /// Waits for a capture to be made; false if it is enough.
    fn take_capture(&self) -> bool {
        let is_idle = |state: &mut State| state.captures == 0 && !state.is_enough;
        let mut state = self.changed.wait_while(self.state.lock().unwrap(), is_idle).unwrap();
        if !state.is_enough {
            state.captures -= 1;
        }
        !state.is_enough
    }

    fn life(&self) -> u32 {
        self.state.lock().unwrap().life
    }

    fn wait_for_another(&self, life: u32) {
        let state = self.state.lock().unwrap();
        let is_same = |state: &mut State| state.life == life;
        let (state, waited) = self.changed.wait_timeout_while(state, DEADLINE, is_same).unwrap();
        drop(state);
        assert!(!waited.timed_out(), "the agent closed a connection, but lives");
    }
}

impl Recorder {
    /// Its captures have times from this one on: two recorders of one board begin far apart.
    pub fn new(
        board: &Board,
        seed: u64,
        time: u64,
        occasions: Arc<Occasions>,
        answers: mpsc::Sender<Answer>,
    ) -> Recorder {
        let (dir, input_sock) = (board.capture_dir(), board.input_sock());
        Recorder { dir, input_sock, rng: Rng::new(seed), time, occasions, answers }
    }

    /// Makes one capture after the other until it is enough. Gives all that was handed over: everything is
    /// acknowledged by then.
    pub fn run(mut self) -> Vec<Handed> {
        let mut acked = Vec::new();
        while self.occasions.take_capture() {
            self.time += 1;
            let count = 1 + self.below(4);
            let mut owed: VecDeque<Recording> = (0..count).map(|seg_no| self.film(seg_no)).collect();
            while !owed.is_empty() {
                let life = self.occasions.life();
                if self.hand_over(&mut owed, &mut acked).is_err() {
                    self.occasions.wait_for_another(life);
                }
            }
        }
        acked
    }

    fn film(&mut self, seg_no: u64) -> Recording {
        const MOST: u64 = 40_000;
        const RARELY: u64 = 600_000;
        let most = if self.below(20) == 0 { RARELY } else { MOST };
        let length = 1 + usize::try_from(self.below(most)).unwrap();
        let path = self.dir.join(format!("pir.{}.{seg_no}.mp4", self.time));
        Recording::new(path, seg_no, seeded(self.rng.bits(), length))
    }

    /// One connection. What is acknowledged moves from one list to the other, even where the rest fails.
    fn hand_over(&mut self, owed: &mut VecDeque<Recording>, acked: &mut Vec<Handed>) -> io::Result<()> {
        let mut source = Source::try_at(&self.input_sock)?;
        let at_once = if self.below(2) == 0 { owed.len() } else { 1 };
        while !owed.is_empty() {
            let said = at_once.min(owed.len());
            for Recording { handed: Handed { segment, .. }, content } in owed.range(..said) {
                put(&segment.path, content)?;
                source.try_say(json!({"segment": segment.path, "ack": true}).to_string())?;
            }
            for _ in 0..said {
                let is_acked = source.try_answer()?["ok"] == true;
                let mut recording = owed.pop_front().expect("each answer is for one that was said");
                if is_acked {
                    // The camera's own name for it is its own affair.
                    let _ = fs::remove_file(&recording.handed.segment.path);
                    acked.push(recording.handed);
                } else {
                    recording.handed.refusals += 1;
                    owed.push_back(recording);
                }
                // Nobody counts any more once it is enough.
                let _ = self.answers.send(if is_acked { Answer::Acked } else { Answer::Refused });
            }
        }
        Ok(())
    }

    fn below(&mut self, end: u64) -> u64 {
        self.rng.bits() % end
    }
}

/// A segment as it was filmed, whatever becomes of its file.
struct Recording {
    handed: Handed,
    content: Vec<u8>,
}

impl Recording {
    fn new(path: PathBuf, seg_no: u64, content: Vec<u8>) -> Recording {
        let stored = Stored {
            seg_no: u32::try_from(seg_no).unwrap(),
            bytes: content.len() as u64,
            sha256: sha256(&content),
        };
        Recording { handed: Handed { segment: Segment { path, stored }, refusals: 0 }, content }
    }
}

/// Makes a file, where it is not there whole. In place of one that a power cut has torn comes another file: the spool
/// may have a name for the former.
fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let _ = fs::remove_file(path);
    fs::write(path, content)
}
