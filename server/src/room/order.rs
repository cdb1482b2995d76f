//! What a controller orders, by lines on standard input: a word, a slot, and what belongs to it.
//!
//! | line | what it does |
//! |---|---|
//! | `activate_slot SLOT TOKEN [ANNOTATION]` | lets whoever has the token send in the slot |
//! | `refresh_token SLOT TOKEN` | another token; who sends already goes on |
//! | `deactivate_slot SLOT` | nobody may send in it; its sender is disconnected |
//! | `set_annotation SLOT HTML`, `remove_annotation SLOT` | what is to be read over the picture |
//! | `set_bitrate_limit SLOT BPS` | bit/s at most; 0 or less is no limit |
//! | `set_geometry_relative_to_canvas SLOT CORNER X Y W H [Z]`, `…_window` | where the picture is |
//! | `hide SLOT`, `show SLOT` | whether it is to be seen |
//! | `edit_pin PIN` | another pin of the room in Janus |
//!
//! CORNER is `l` or `r`, then `t` or `b`. Lines are read as the original reads them: of a number that ought to be whole
//! what follows its digits is left out, and of a line what follows its parameters. A line that can't be meant is told in
//! the log, and nothing comes of it.

use super::words::{ANNOTATION_MAX, Geometry, RelativeTo, Secret, Visibility};
use std::fmt;

/// Bytes of a token or a pin. What is longer was pasted by mistake.
const SECRET_MAX: usize = 256;

/// What a controller orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Something about a slot.
    Slot(usize, SlotOrder),
    /// Another pin of the room in Janus.
    EditPin(Secret),
}

/// What a controller orders about a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotOrder {
    /// Whoever has the token may send; with an annotation, perhaps, which is HTML as it came.
    Activate(Secret, Option<String>),
    /// Another token.
    RefreshToken(Secret),
    /// Nobody may send.
    Deactivate,
    /// HTML as it came.
    SetAnnotation(String),
    /// No annotation.
    RemoveAnnotation,
    /// Bit/s at most; 0 is no limit.
    SetBitrateLimit(u64),
    /// Where its picture is.
    SetGeometry(Geometry),
    /// Whether it is to be seen.
    SetVisibility(Visibility),
}

/// Why a line is no order. Its text never has a token in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderError {
    /// The first word is none of ours.
    Unknown(String),
    /// Its parameters are not what was expected.
    Parameters(&'static str, String),
}

impl Order {
    /// The order of a line; none where it is empty.
    pub fn parse(line: &str) -> Result<Option<Order>, OrderError> {
        let Some((word, rest)) = word(line) else { return Ok(None) };
        let Some(word) = WORDS.into_iter().find(|known| *known == word) else {
            return Err(OrderError::Unknown(word.chars().take(40).collect()));
        };
        let of_slot = |(slot, rest)| Ok(Order::Slot(slot, SlotOrder::parse(word, rest)?));
        let order = match word {
            "edit_pin" => secret("a pin", rest).map(|(pin, _)| Order::EditPin(pin)),
            // What stands in the slot's place may be the token.
            "activate_slot" | "refresh_token" => slot(rest, |_| "something else".into()).and_then(of_slot),
            _ => slot(rest, |came| format!("{came:?}")).and_then(of_slot),
        };
        order.map(Some).map_err(|why| OrderError::Parameters(word, why))
    }
}

/// What a line may have been meant to say otherwise than it is read, to be told in the log.
pub fn doubt(line: &str, order: &Order) -> Option<String> {
    match order {
        Order::Slot(_, SlotOrder::SetBitrateLimit(limit)) => {
            let came = line.split_whitespace().nth(2)?;
            let is_whole = came.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
            (!is_whole).then(|| format!("set_bitrate_limit: {came:?} counts as {limit} bit/s"))
        }
        Order::EditPin(pin) if *pin == Secret::of("none") => Some(
            "edit_pin: the pin is the word \"none\" now, which in a link says that there is no pin".into(),
        ),
        Order::EditPin(_) | Order::Slot(..) => None,
    }
}

/// The first words that there are.
const WORDS: [&str; 11] = [
    "activate_slot",
    "refresh_token",
    "deactivate_slot",
    "set_annotation",
    "remove_annotation",
    "set_bitrate_limit",
    "set_geometry_relative_to_canvas",
    "set_geometry_relative_to_window",
    "hide",
    "show",
    "edit_pin",
];

impl SlotOrder {
    fn parse(word: &'static str, rest: &str) -> Result<SlotOrder, String> {
        let placed = |relative_to| {
            let words: Vec<&str> = rest.split_whitespace().collect();
            Geometry::parse(relative_to, &words).map(SlotOrder::SetGeometry)
        };
        match word {
            "activate_slot" => {
                let (token, rest) = secret("a token", rest)?;
                let html = if rest.is_empty() { None } else { Some(annotation(rest)?) };
                Ok(SlotOrder::Activate(token, html))
            }
            "refresh_token" => secret("a token", rest).map(|(token, _)| SlotOrder::RefreshToken(token)),
            "set_annotation" => annotation(rest).map(SlotOrder::SetAnnotation),
            "set_bitrate_limit" => limit(rest).map(SlotOrder::SetBitrateLimit),
            "set_geometry_relative_to_canvas" => placed(RelativeTo::Canvas),
            "set_geometry_relative_to_window" => placed(RelativeTo::Window),
            "deactivate_slot" => Ok(SlotOrder::Deactivate),
            "remove_annotation" => Ok(SlotOrder::RemoveAnnotation),
            "hide" => Ok(SlotOrder::SetVisibility(Visibility::Hidden)),
            "show" => Ok(SlotOrder::SetVisibility(Visibility::Shown)),
            word => Err(format!("{word} is not about a slot")),
        }
    }
}

/// A token or a pin, as a controller or a person gives it.
pub fn checked_secret(name: &str, text: &str) -> Result<Secret, String> {
    let is_word =
        !text.is_empty() && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    if !is_word {
        return Err(format!("expected {name} without spaces in it"));
    }
    if text.len() > SECRET_MAX {
        return Err(format!("expected {name} of {SECRET_MAX} bytes at most, but came {}", text.len()));
    }
    Ok(Secret::of(text))
}

/// HTML, as a controller or a person gives it.
pub fn annotation(html: &str) -> Result<String, String> {
    if html.is_empty() {
        return Err("expected an annotation, but none came: remove_annotation takes one away".into());
    }
    if html.len() > ANNOTATION_MAX {
        return Err(format!(
            "expected an annotation of {ANNOTATION_MAX} bytes at most, but came {}",
            html.len()
        ));
    }
    Ok(html.to_owned())
}

fn slot(rest: &str, came: impl FnOnce(&str) -> String) -> Result<(usize, &str), String> {
    let (number, rest) = word(rest).ok_or("expected a slot's number, but none came")?;
    let slot = whole(number).and_then(|number| usize::try_from(number).ok());
    let slot = slot.ok_or_else(|| format!("expected a slot's number, but came {}", came(number)))?;
    Ok((slot, rest))
}

fn secret<'a>(name: &str, rest: &'a str) -> Result<(Secret, &'a str), String> {
    let (text, rest) = word(rest).ok_or(format!("expected {name}, but none came"))?;
    Ok((checked_secret(name, text)?, rest))
}

/// Below 0 counts as 0.
fn limit(rest: &str) -> Result<u64, String> {
    let (number, _) = word(rest).ok_or("expected bit/s, but none came")?;
    let limit = whole(number).ok_or_else(|| format!("expected bit/s, but came {number:?}"))?;
    Ok(limit.max(0).unsigned_abs())
}

/// The whole number that a word begins with, as JavaScript's parseInt has it, but for `+5` and `0x10`. One that is too large is
/// the largest.
fn whole(word: &str) -> Option<i64> {
    let (is_negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    let number = if end == 0 { return None } else { digits[..end].parse().unwrap_or(i64::MAX) };
    Some(if is_negative { -number } else { number })
}

/// The first word, and what comes after it without the spaces around it; none where there is nothing but spaces.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    Some((word, rest.trim_start()))
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderError::Unknown(word) => {
                write!(f, "expected one of {}, but came {word:?}", WORDS.join(", "))
            }
            OrderError::Parameters(word, why) => write!(f, "{word}: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot_order(line: &str) -> (usize, SlotOrder) {
        match Order::parse(line) {
            Ok(Some(Order::Slot(slot, order))) => (slot, order),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_line_with_good_parameters_is_its_order() {
        let token = || Secret::of("t0ken");
        let canvas =
            |words: &[&str]| SlotOrder::SetGeometry(Geometry::parse(RelativeTo::Canvas, words).unwrap());
        let window =
            |words: &[&str]| SlotOrder::SetGeometry(Geometry::parse(RelativeTo::Window, words).unwrap());
        for (line, expected) in [
            ("activate_slot 0 t0ken", (0, SlotOrder::Activate(token(), None))),
            ("  activate_slot\t0  t0ken \r", (0, SlotOrder::Activate(token(), None))),
            (
                "activate_slot 3 t0ken <b>Ada  L</b>",
                (3, SlotOrder::Activate(token(), Some("<b>Ada  L</b>".into()))),
            ),
            ("refresh_token 1 t0ken", (1, SlotOrder::RefreshToken(token()))),
            ("deactivate_slot 1", (1, SlotOrder::Deactivate)),
            ("set_annotation 1 <i>a  b</i>", (1, SlotOrder::SetAnnotation("<i>a  b</i>".into()))),
            ("remove_annotation 1", (1, SlotOrder::RemoveAnnotation)),
            ("set_bitrate_limit 1 256000", (1, SlotOrder::SetBitrateLimit(256_000))),
            ("set_bitrate_limit 1 0", (1, SlotOrder::SetBitrateLimit(0))),
            ("set_bitrate_limit 1 -5", (1, SlotOrder::SetBitrateLimit(0))),
            (
                "set_geometry_relative_to_canvas 2 lt 10 -20 320 240",
                (2, canvas(&["lt", "10", "-20", "320", "240"])),
            ),
            (
                "set_geometry_relative_to_window 2 rb 0 0 320.5 240 7",
                (2, window(&["rb", "0", "0", "320.5", "240", "7"])),
            ),
            ("refresh_token 1 t0ken x", (1, SlotOrder::RefreshToken(token()))),
            ("set_bitrate_limit 1 64000.5 now", (1, SlotOrder::SetBitrateLimit(64_000))),
            ("set_bitrate_limit 1 99999999999999999999", (1, SlotOrder::SetBitrateLimit(i64::MAX as u64))),
            (
                "set_geometry_relative_to_canvas 2 rb 106.66666666667 1e-05 320 240 3.0 x",
                (2, canvas(&["rb", "106.66666666667", "1e-05", "320", "240", "3.0"])),
            ),
            ("hide 0 now", (0, SlotOrder::SetVisibility(Visibility::Hidden))),
            ("show 1x", (1, SlotOrder::SetVisibility(Visibility::Shown))),
            ("hide 4", (4, SlotOrder::SetVisibility(Visibility::Hidden))),
            ("show 4", (4, SlotOrder::SetVisibility(Visibility::Shown))),
        ] {
            assert_eq!(slot_order(line), expected, "{line}");
        }
        assert_eq!(Order::parse("edit_pin 1234"), Ok(Some(Order::EditPin(Secret::of("1234")))));
        assert_eq!(Order::parse(" \t\r"), Ok(None));
    }

    #[test]
    fn every_line_with_bad_parameters_says_what_was_expected_and_no_token() {
        let too_long = format!("activate_slot 0 {}", "t0ken".repeat(100));
        let endless = format!("set_annotation 0 {}", "a".repeat(ANNOTATION_MAX + 1));
        for (line, why) in [
            ("dance 1", "expected one of activate_slot, "),
            ("activate_slots 0 t0ken", "but came \"activate_slots\""),
            ("activate_slot", "activate_slot: expected a slot's number, but none came"),
            ("activate_slot t0ken 0", "expected a slot's number, but came something else"),
            ("hide -1", "expected a slot's number, but came \"-1\""),
            ("activate_slot 0", "activate_slot: expected a token, but none came"),
            (&too_long, "expected a token of 256 bytes at most, but came 500"),
            ("refresh_token 0", "refresh_token: expected a token, but none came"),
            ("deactivate_slot", "expected a slot's number, but none came"),
            ("set_annotation 1", "expected an annotation, but none came"),
            (&endless, "expected an annotation of 16384 bytes at most, but came 16385"),
            ("set_bitrate_limit 1", "expected bit/s, but none came"),
            ("set_bitrate_limit 1 fast", "expected bit/s, but came \"fast\""),
            ("set_geometry_relative_to_canvas 1", "expected a corner, but none came"),
            ("set_geometry_relative_to_canvas 1 tl 0 0 1 1", "lt, rt, lb or rb, but came \"tl\""),
            ("set_geometry_relative_to_window 1 lt 0 0 1", "expected a height in pixels, but none came"),
            ("set_geometry_relative_to_window 1 lt 0 0 -1 1", "expected a width in pixels, but came \"-1\""),
            ("set_geometry_relative_to_window 1 lt NaN 0 1 1", "expected x in pixels, but came \"NaN\""),
            ("set_geometry_relative_to_window 1 lt 0 1e999 1 1", "expected y in pixels, but came \"1e999\""),
            ("set_geometry_relative_to_window 1 lt 0 0 1 1 z", "expected z, a number, but came \"z\""),
            ("hide", "hide: expected a slot's number"),
            ("edit_pin", "edit_pin: expected a pin, but none came"),
            ("\u{7f}ELF\0\0", "expected one of"),
        ] {
            let error = Order::parse(line).unwrap_err().to_string();
            assert!(error.contains(why), "{line}: {error}");
            assert!(!error.contains("t0ken"), "{error}");
        }
    }
}
