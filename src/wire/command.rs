//! What the camera program is told: one datagram each, exactly these texts.

use std::fmt;

/// A command to the camera program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Watch for motion from now on.
    Arm,
    /// Watch no longer.
    Disarm,
    /// Record one capture now.
    Capture,
}

impl Command {
    /// Every command.
    pub const ALL: [Command; 3] = [Command::Arm, Command::Disarm, Command::Capture];

    /// The datagram's whole content.
    pub fn datagram(self) -> &'static [u8] {
        match self {
            Command::Arm => br#"{"command":"arm"}"#,
            Command::Disarm => br#"{"command":"disarm"}"#,
            Command::Capture => br#"{"command":"capture"}"#,
        }
    }

    /// The command's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Command::Arm => "arm",
            Command::Disarm => "disarm",
            Command::Capture => "capture",
        }
    }

    /// The command that a word names.
    pub fn from_word(word: &str) -> Option<Command> {
        Command::ALL.into_iter().find(|command| command.as_str() == word)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_the_originals_text() {
        assert_eq!(Command::Arm.datagram(), b"{\"command\":\"arm\"}");
        for command in Command::ALL {
            let text: serde_json::Value = serde_json::from_slice(command.datagram()).unwrap();
            assert_eq!(text["command"], command.as_str());
            assert_eq!(Command::from_word(command.as_str()), Some(command));
        }
    }
}
