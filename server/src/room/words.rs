//! What rooms speak of, checked and made harmless where it comes in.

use ring::digest;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::{fmt, sync::LazyLock};
use subtle::ConstantTimeEq;

/// Letters of a name that people gave themselves. More would not fit over a picture.
const NAME_MAX: usize = 100;
/// Bytes of an annotation: each receiver gets it.
pub const ANNOTATION_MAX: usize = 16 << 10;

/// A token, or what else is only told to those who know it already.
///
/// Compared by digest and in constant time: neither where two differ nor how long they are can be measured.
#[derive(Clone)]
pub struct Secret {
    text: String,
    digest: [u8; 32],
}

/// What a sender calls itself, with `& < > " '` escaped, without control characters, trimmed, and never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustomName(String);

/// HTML over a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Annotation(String);

/// What an annotation may say of its looks.
const LOOKS: [&str; 29] = [
    "background",
    "background-color",
    "border",
    "border-radius",
    "bottom",
    "box-sizing",
    "color",
    "display",
    "font",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "height",
    "left",
    "line-height",
    "margin",
    "max-height",
    "max-width",
    "opacity",
    "overflow",
    "padding",
    "position",
    "right",
    "text-align",
    "text-shadow",
    "top",
    "white-space",
    "width",
];

/// Whether a style loads nothing, and does not put itself over the page. Whoever writes escapes hides something.
fn is_calm(style: &str) -> bool {
    let style = style.to_ascii_lowercase();
    !["url", "image", "fixed", "sticky", "\\"].iter().any(|word| style.contains(word))
}

/// Whether a picture is to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// It is.
    #[default]
    Shown,
    /// It is not, but its feed goes on.
    Hidden,
}

/// What a picture's place is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelativeTo {
    /// The canvas beneath it, and its scale.
    Canvas,
    /// The window.
    Window,
}

/// Where a picture is, and how large: corner, x, y, width, height and perhaps z, as the controller wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    relative_to: RelativeTo,
    params: Vec<String>,
}

/// What a receiver does with a picture: `{command, params}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Shows or hides it.
    Visibility(Visibility),
    /// Places it.
    Geometry(Geometry),
}

/// A feed as receivers are told of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Janus' number of it.
    pub feed_id: u64,
    /// `{command, params}`
    pub visibility: Directive,
    /// `{command, params}`
    pub geometry: Directive,
    /// HTML over it.
    pub annotation: Option<Annotation>,
}

impl Secret {
    /// Keeps a secret.
    pub fn of(text: &str) -> Secret {
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        Secret {
            text: text.to_owned(),
            digest: digest.as_ref().try_into().expect("a SHA-256 is 32 bytes long"),
        }
    }

    /// The secret itself, for those who may know it.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.digest.ct_eq(&other.digest).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl CustomName {
    /// A name as a sender wrote it; none where nothing is left of it.
    pub fn parse(text: &str) -> Option<CustomName> {
        // A line break would forge a notification.
        let text: String =
            text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        let text: String = text.trim().chars().take(NAME_MAX).collect();
        let escaped = text.trim_end().chars().fold(String::new(), |mut escaped, letter| {
            match letter {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#039;"),
                letter => escaped.push(letter),
            }
            escaped
        });
        (!escaped.is_empty()).then_some(CustomName(escaped))
    }
}

impl fmt::Display for CustomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Annotation {
    /// Without anything that could run, load or leave its place.
    pub fn sanitised(html: &str) -> Annotation {
        static SANITISER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
            let mut sanitiser = ammonia::Builder::default();
            sanitiser
                .add_generic_attributes(["style"])
                .filter_style_properties(LOOKS.into())
                .attribute_filter(|_, name, value| (name != "style" || is_calm(value)).then(|| value.into()));
            sanitiser
        });
        Annotation(SANITISER.clean(html).to_string())
    }

    /// As it was written, by somebody who may run what they like on every receiver.
    pub fn trusted(html: &str) -> Annotation {
        Annotation(html.to_owned())
    }

    /// The HTML.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Visibility {
    /// The wire's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Visibility::Shown => "show",
            Visibility::Hidden => "hide",
        }
    }
}

impl RelativeTo {
    /// What people and the database call it.
    pub fn word(self) -> &'static str {
        match self {
            RelativeTo::Canvas => "canvas",
            RelativeTo::Window => "window",
        }
    }

    /// What [`RelativeTo::word`] said.
    pub fn from_word(word: &str) -> Option<RelativeTo> {
        [RelativeTo::Canvas, RelativeTo::Window].into_iter().find(|known| known.word() == word)
    }

    fn as_str(self) -> &'static str {
        match self {
            RelativeTo::Canvas => "set_geometry_relative_to_canvas",
            RelativeTo::Window => "set_geometry_relative_to_window",
        }
    }
}

impl Geometry {
    /// A place in words: corner (`lt`, `rt`, `lb` or `rb`), x, y, width and height, and perhaps z; more words are left out.
    /// The error says what was expected and what came.
    pub fn parse(relative_to: RelativeTo, words: &[&str]) -> Result<Geometry, String> {
        const SIZES: [&str; 4] = ["x", "y", "a width", "a height"];
        let (&corner, numbers) = words.split_first().ok_or("expected a corner, but none came")?;
        if !["lt", "lb", "rt", "rb"].contains(&corner) {
            return Err(format!("expected a corner, lt, rt, lb or rb, but came {corner:?}"));
        }
        for (position, name) in SIZES.into_iter().enumerate() {
            let text = *numbers.get(position).ok_or(format!("expected {name} in pixels, but none came"))?;
            let is_size = position >= 2;
            if !is_number(text) || (is_size && text.starts_with('-')) {
                return Err(format!("expected {name} in pixels, but came {text:?}"));
            }
        }
        if let Some(z) = numbers.get(SIZES.len()).filter(|z| !is_number(z)) {
            return Err(format!("expected z, a number, but came {z:?}"));
        }
        let params = words.iter().take(1 + SIZES.len() + 1).map(|&word| word.to_owned()).collect();
        Ok(Geometry { relative_to, params })
    }

    /// What it is counted from.
    pub fn relative_to(&self) -> RelativeTo {
        self.relative_to
    }

    /// Its words.
    pub fn params(&self) -> &[String] {
        &self.params
    }
}

impl Default for Geometry {
    /// Small, in the canvas' lower right corner.
    fn default() -> Geometry {
        let params = ["rb", "0", "0", "320", "240"].map(str::to_owned).to_vec();
        Geometry { relative_to: RelativeTo::Canvas, params }
    }
}

/// A number as programs print it, with all its digits, and perhaps an exponent; no word.
fn is_number(text: &str) -> bool {
    const LENGTH: usize = 32;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b".-+eE".contains(&byte));
    text.len() <= LENGTH && is_plain && text.parse().is_ok_and(f64::is_finite)
}

impl Serialize for Directive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (command, params) = match self {
            Directive::Visibility(visibility) => (visibility.as_str(), [].as_slice()),
            Directive::Geometry(geometry) => (geometry.relative_to.as_str(), geometry.params.as_slice()),
        };
        let mut directive = serializer.serialize_struct("Directive", 2)?;
        directive.serialize_field("command", command)?;
        directive.serialize_field("params", params)?;
        directive.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_on_one_line() {
        for (written, kept) in [
            ("Ada", Some("Ada")),
            ("  Ada \n", Some("Ada")),
            ("<b>&\"'", Some("&lt;b&gt;&amp;&quot;&#039;")),
            ("a\nremove_feed 1\r\0b", Some("a remove_feed 1  b")),
            (" \t ", None),
            ("", None),
        ] {
            assert_eq!(CustomName::parse(written).map(|name| name.0).as_deref(), kept, "{written:?}");
        }
        let long = CustomName::parse(&"ä".repeat(10 * NAME_MAX)).unwrap();
        assert_eq!(long.0.chars().count(), NAME_MAX);
    }

    #[test]
    fn annotations_keep_their_looks_and_lose_what_runs() {
        for (written, kept) in [
            ("<b>Ada</b>, <i>Berlin</i>", "<b>Ada</b>, <i>Berlin</i>"),
            ("<script>alert(1)</script>Ada", "Ada"),
            ("<b onclick=\"alert(1)\">Ada</b>", "<b>Ada</b>"),
            ("<a href=\"javascript:alert(1)\">Ada</a>", "<a rel=\"noopener noreferrer\">Ada</a>"),
            ("<iframe src=\"//evil.example\"></iframe>Ada", "Ada"),
            ("a < b", "a &lt; b"),
            (
                "<p style=\"position:absolute;bottom:0;background:rgba(0, 0, 0, 0.75);z-index:9\">Ada</p>",
                "<p style=\"position:absolute;bottom:0;background:rgba(0, 0, 0, 0.75)\">Ada</p>",
            ),
            ("<p style=\"position: FIXED\">Ada</p>", "<p>Ada</p>"),
            ("<p style=\"position: f\\69xed\">Ada</p>", "<p>Ada</p>"),
            ("<p style=\"background: url(//evil.example/a)\">Ada</p>", "<p>Ada</p>"),
            ("<p style=\"background: image-set('//evil.example/a' 1x)\">Ada</p>", "<p>Ada</p>"),
        ] {
            assert_eq!(Annotation::sanitised(written).as_str(), kept, "{written}");
        }
        assert_eq!(Annotation::trusted("<script>").as_str(), "<script>");
    }

    #[test]
    fn a_secret_is_not_printed_and_equals_itself_alone() {
        let secret = Secret::of("s3cret");
        assert!(!format!("{secret:?}").contains("s3cret"));
        assert_eq!(secret, Secret::of("s3cret"));
        assert_ne!(secret, Secret::of("s3cret "));
        assert_ne!(secret, Secret::of(""));
    }

    #[test]
    fn a_place_is_told_as_it_was_written() {
        let words = ["lt", "-10", "0.5", "320", "240", "3"];
        let place = Directive::Geometry(Geometry::parse(RelativeTo::Window, &words).unwrap());
        let told = serde_json::json!({ "command": "set_geometry_relative_to_window", "params": words });
        assert_eq!(serde_json::to_value(place).unwrap(), told);
    }
}
