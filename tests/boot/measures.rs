//! What was measured, as a table.

use crate::arch::Arch;
use std::{
    fmt,
    io::{self, Write},
    ops::{Div, Sub},
    time::Duration,
};

#[derive(Default)]
pub struct Measures(Vec<Measure>);

pub struct Measure {
    what: String,
    figure: String,
    /// What it should be, and whether it is.
    aim: Option<(&'static str, bool)>,
}

/// Bytes that went to a disk.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// In all, with what the file system adds.
    pub disk: u64,
    /// By the agent's calls, in whole pages.
    pub agent: u64,
}

impl Measures {
    pub fn add(&mut self, what: &str, figure: String) -> &mut Measure {
        self.0.push(Measure { what: what.to_owned(), figure, aim: None });
        self.0.last_mut().expect("it was pushed")
    }

    pub fn tell(&self, arch: Arch) {
        let rows = self.0.iter().map(|measure| format!("{measure}\n"));
        let table = format!("\n{}\n{}\n", arch.name(), rows.collect::<String>());
        // Not by eprintln, which is kept back where a test ends well.
        io::stderr().write_all(table.as_bytes()).unwrap();
    }
}

impl Measure {
    pub fn aim(&mut self, aim: &'static str, is_met: bool) {
        self.aim = Some((aim, is_met));
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measure { what, figure, aim } = self;
        write!(f, "{what}: {figure}")?;
        match aim {
            Some((aim, true)) => write!(f, "; as aimed at: {aim}"),
            Some((aim, false)) => write!(f, "; MISSED: {aim}"),
            None => Ok(()),
        }
    }
}

impl Sub for Written {
    type Output = Written;

    fn sub(self, former: Written) -> Written {
        Written { disk: self.disk - former.disk, agent: self.agent - former.agent }
    }
}

impl Div<u64> for Written {
    type Output = Written;

    fn div(self, by: u64) -> Written {
        Written { disk: self.disk / by, agent: self.agent / by }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, of which the agent asked for {}", self.disk, self.agent)
    }
}

pub fn seconds(span: Duration) -> String {
    format!("{:.2} s", span.as_secs_f64())
}
