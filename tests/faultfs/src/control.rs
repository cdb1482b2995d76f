//! How a test commands the file system: one connection, a command a line, each answered by one line, `ok …` or
//! `no: …`. With the connection ends the file system.
//!
//! | command | what it does | answer |
//! |---|---|---|
//! | `cut N` | N changes from now the power is cut: nothing is answered any more | at once |
//! | `wait cut` | | when it is, with the operation at which it was |
//! | `power` | | `on` or `cut` |
//! | `up SEED` | programs hear EIO, and find what the power cut left | at once, with what was lost |
//! | `hold` | from now on every fsync waits | at once |
//! | `wait held` | | when one waits, with how many |
//! | `release` | those that wait are done, and none is held any more | at once, with how many |
//! | `fail FAULT N` | one operation in N fails: `ENOSPC`, `EIO` or `EROFS` | at once |
//! | `fail none` | | at once |
//! | `count` | | how often each operation was asked for |

use crate::faults::{Failing, Fault};
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Cut(u64),
    AwaitCut,
    Power,
    Up(u64),
    Hold,
    AwaitHeld,
    Release,
    Fail(Option<Failing>),
    Count,
}

impl FromStr for Control {
    type Err = String;

    fn from_str(line: &str) -> Result<Control, String> {
        let number = |word: &str| word.parse::<u64>().map_err(|error| format!("{word:?}: {error}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["cut", changes] => Ok(Control::Cut(number(changes)?)),
            ["wait", "cut"] => Ok(Control::AwaitCut),
            ["power"] => Ok(Control::Power),
            ["up", seed] => Ok(Control::Up(number(seed)?)),
            ["hold"] => Ok(Control::Hold),
            ["wait", "held"] => Ok(Control::AwaitHeld),
            ["release"] => Ok(Control::Release),
            ["fail", "none"] => Ok(Control::Fail(None)),
            ["fail", fault, one_in] => {
                let (fault, one_in) = (fault.parse::<Fault>()?, number(one_in)?.max(1));
                Ok(Control::Fail(Some(Failing { fault, one_in })))
            }
            ["count"] => Ok(Control::Count),
            _ => Err(format!("expected cut, wait, power, up, hold, release, fail or count, got {line:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_understood_and_others_refused() {
        assert_eq!("cut 12".parse(), Ok(Control::Cut(12)));
        let failing = Failing { fault: Fault::NoSpace, one_in: 4 };
        assert_eq!("fail ENOSPC 4".parse(), Ok(Control::Fail(Some(failing))));
        for line in ["", "cut", "cut x", "fail EPERM 1", "wait", "hold on"] {
            assert!(line.parse::<Control>().is_err(), "{line}");
        }
    }
}
