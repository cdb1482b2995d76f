//! A picture of connections a second, and its figures.

use std::{fmt::Write, time::Duration};

/// How a herd came back.
pub struct Return {
    pub what: &'static str,
    /// When the server was there again, from the loss of the sessions on.
    pub server: Duration,
    /// When each had its next session, from the loss of the former one on.
    pub after: Vec<Duration>,
}

impl Return {
    /// When the first and the last came, in seconds.
    pub fn span(&self) -> (f64, f64) {
        let seconds = self.after.iter().map(Duration::as_secs_f64);
        seconds.fold((f64::INFINITY, 0.0), |(first, last), second| (first.min(second), last.max(second)))
    }

    /// Connections in the busiest second, counted from the first connection on.
    pub fn peak(&self) -> usize {
        self.by_second().into_iter().max().unwrap_or(0)
    }

    /// Connections a second, between the server's return and the last of them.
    fn mean(&self) -> f64 {
        let (_, last) = self.span();
        self.after.len() as f64 / (last - self.server.as_secs_f64()).max(1.0)
    }

    /// The busiest second over the mean.
    pub fn peak_over_mean(&self) -> f64 {
        self.peak() as f64 / self.mean()
    }

    fn by_second(&self) -> Vec<usize> {
        let (first, last) = self.span();
        let mut seconds = vec![0; (last - first) as usize + 1];
        for after in &self.after {
            seconds[(after.as_secs_f64() - first) as usize] += 1;
        }
        seconds
    }
}

const WIDTH: f64 = 720.0;
const MARGIN: f64 = 48.0;
const PANEL: f64 = 150.0;
/// Of the bars in a panel; the rest is for words.
const HEIGHT: f64 = 90.0;

/// A panel for each return. Its colours are those of the page that it stands in.
pub fn svg(returns: &[Return]) -> String {
    let agents = returns.first().map_or(0, |back| back.after.len());
    let height = PANEL * returns.len() as f64 + 36.0;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<style>
text {{ fill: #333 }} .bar {{ fill: #2a78d6 }} .mean {{ stroke: #b3541e; stroke-dasharray: 4 3 }} .axis {{ stroke: #888 }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} .bar {{ fill: #6cb0ff }} .mean {{ stroke: #f0a060 }} }}
</style>
<text x="{MARGIN}" y="20" font-size="14">Connections a second, as {agents} agents return (dashed: the mean)</text>
"##
    );
    for (number, back) in returns.iter().enumerate() {
        panel(&mut svg, back, 36.0 + PANEL * number as f64);
    }
    svg + "</svg>\n"
}

fn panel(svg: &mut String, back: &Return, top: f64) {
    let (first, _) = back.span();
    let seconds = back.by_second();
    let (bottom, right) = (top + 22.0 + HEIGHT, WIDTH - MARGIN);
    // From the loss of the sessions on, so that the wait shows, too.
    let across = |second: f64| MARGIN + second / (first + seconds.len() as f64) * (right - MARGIN);
    let peak = back.peak();
    let up = |count: f64| count / peak as f64 * HEIGHT;
    let mean = back.mean();
    let mut line =
        |text: std::fmt::Arguments<'_>| writeln!(svg, "{text}").expect("a string takes everything");

    let (what, ratio) = (back.what, back.peak_over_mean());
    line(format_args!(
        r#"<text x="{MARGIN}" y="{:.0}">{what}: peak {ratio:.1} times the mean</text>"#,
        top + 12.0
    ));
    for (second, &count) in seconds.iter().enumerate() {
        let (x, next) = (across(first + second as f64), across(first + second as f64 + 1.0));
        let (y, width, height) = (bottom - up(count as f64), (next - x) * 0.9, up(count as f64));
        line(format_args!(
            r#"<rect class="bar" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }
    let (from, level) = (across(back.server.as_secs_f64()), bottom - up(mean));
    line(format_args!(r#"<path class="mean" d="M{from:.1} {level:.1}H{right}"/>"#));
    line(format_args!(r#"<path class="axis" d="M{MARGIN} {bottom}H{right}"/>"#));
    line(format_args!(
        r#"<text x="{:.0}" y="{:.1}" text-anchor="end">{peak}</text>"#,
        MARGIN - 6.0,
        bottom - HEIGHT + 9.0
    ));
    for (second, anchor) in [(0.0, "start"), (first, "middle"), (first + seconds.len() as f64, "end")] {
        let (x, y) = (across(second), bottom + 16.0);
        line(format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{second:.0} s</text>"#));
    }
}
