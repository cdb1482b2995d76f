//! Lines that fit a terminal, and how they look.

use super::Look;

/// How a text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Doubtful,
    Bad,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Bold => "\x1b[1m",
            Style::Dim => "\x1b[2m",
            Style::Good => "\x1b[32m",
            Style::Doubtful => "\x1b[33m",
            Style::Bad => "\x1b[1;31m",
        }
    }
}

/// A line that fits: what is too much is cut, and that is seen.
pub struct Line {
    look: Look,
    /// What it tells is old: everything is dim.
    is_stale: bool,
    pub text: String,
    /// Columns that are taken.
    taken: usize,
}

impl Line {
    pub fn new(look: Look, is_stale: bool) -> Line {
        Line { look, is_stale, text: String::new(), taken: 0 }
    }

    pub fn put(&mut self, style: Style, text: &str) {
        self.put_within(self.look.columns, style, text);
    }

    /// As `put`, up to this column.
    pub fn put_within(&mut self, limit: usize, style: Style, text: &str) {
        let text = self.cut(limit.saturating_sub(self.taken), text);
        let style = if self.is_stale { Style::Dim } else { style };
        let is_styled = self.look.has_colours && style != Style::Plain && !text.is_empty();
        self.taken += width(&text);
        match is_styled {
            true => self.text.extend([style.code(), &text, "\x1b[0m"]),
            false => self.text.push_str(&text),
        }
    }

    pub fn pad_to(&mut self, column: usize) {
        let spaces = column.min(self.look.columns).saturating_sub(self.taken);
        self.text.extend(std::iter::repeat_n(' ', spaces));
        self.taken += spaces;
    }

    fn cut(&self, room: usize, text: &str) -> String {
        let known = |letter: char| if self.look.has_unicode || letter.is_ascii() { letter } else { '?' };
        let letters = || text.chars().map(known);
        if letters().map(columns).sum::<usize>() <= room {
            return letters().collect();
        }
        let mut left = room;
        let fits = |letter: &char| {
            let is_last = left <= columns(*letter);
            left = left.saturating_sub(columns(*letter));
            !is_last
        };
        let mut cut: String = letters().take_while(fits).collect();
        if room > 0 {
            cut.push(if self.look.has_unicode { '…' } else { '~' });
        }
        cut
    }
}

pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The columns that a letter takes. Beyond the alphabets some take two, and none takes more.
pub fn columns(letter: char) -> usize {
    match letter {
        '█' | '▌' | '░' | '…' => 1,
        letter if letter < '\u{1100}' => 1,
        _ => 2,
    }
}
