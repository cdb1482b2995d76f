//! A test card: colour bars, a clock, a label and a moving bar.

use std::array;

pub(crate) const WIDTH: usize = 320;
pub(crate) const HEIGHT: usize = 240;
/// The side of a macroblock in luma samples; those of its two chroma blocks are half as long.
pub(crate) const MACROBLOCK: usize = 16;
const BLOCK: usize = MACROBLOCK / 2;

/// One macroblock's samples as `I_PCM` sends them: luma, Cb, Cr, each row by row.
pub(crate) type Macroblock = [u8; MACROBLOCK * MACROBLOCK + 2 * BLOCK * BLOCK];

/// Luma, Cb and Cr in the range of BT.601.
type Colour = [u8; 3];

const BLACK: Colour = [16, 128, 128];
const GREY: Colour = [64, 128, 128];
const WHITE: Colour = [235, 128, 128];
/// Colours at 75 %, from the brightest to the darkest.
const BARS: [Colour; 8] = [
    [180, 128, 128],
    [162, 44, 142],
    [131, 156, 44],
    [112, 72, 58],
    [84, 184, 198],
    [65, 100, 212],
    [35, 212, 114],
    BLACK,
];

/// A picture in YUV 4:2:0.
pub(crate) struct Picture {
    luma: Plane,
    chroma: [Plane; 2],
}

impl Picture {
    /// The card as it is at `unix_ms` milliseconds after 1970. The bar moves one macroblock every 200 ms, so that
    /// most of a picture stays as it was.
    pub(crate) fn test_card(unix_ms: u64, label: &str) -> Self {
        const STEP_MS: u64 = 200;
        const COLUMNS: usize = WIDTH / MACROBLOCK;

        let mut card = Self::filled(BLACK);
        for (index, colour) in BARS.into_iter().enumerate() {
            card.fill(
                Area { x: index * WIDTH / BARS.len(), y: 0, width: WIDTH / BARS.len(), height: 112 },
                colour,
            );
        }
        card.write(20, 124, 6, &clock(unix_ms / 1000));
        card.write(20, 180, 2, label);
        let column = (unix_ms / STEP_MS % COLUMNS as u64) as usize;
        card.fill(Area { x: 0, y: 208, width: WIDTH, height: 32 }, GREY);
        card.fill(Area { x: column * MACROBLOCK, y: 208, width: MACROBLOCK, height: 32 }, WHITE);
        card
    }

    /// From the upper left, row by row.
    pub(crate) fn macroblocks(&self) -> impl Iterator<Item = Macroblock> {
        (0..HEIGHT / MACROBLOCK).flat_map(move |row| {
            (0..WIDTH / MACROBLOCK).map(move |column| {
                let chroma = self.chroma.iter().flat_map(move |plane| plane.block(column, row, BLOCK));
                let mut samples = self.luma.block(column, row, MACROBLOCK).chain(chroma);
                array::from_fn(|_| samples.next().expect("the planes are whole macroblocks"))
            })
        })
    }

    /// All samples, plane by plane, as raw video files hold them.
    #[cfg(test)]
    pub(crate) fn planes(self) -> impl Iterator<Item = u8> {
        [self.luma].into_iter().chain(self.chroma).flat_map(|plane| plane.samples)
    }

    fn filled([luma, cb, cr]: Colour) -> Self {
        Self {
            luma: Plane::filled(WIDTH, HEIGHT, luma),
            chroma: [cb, cr].map(|it| Plane::filled(WIDTH / 2, HEIGHT / 2, it)),
        }
    }

    fn fill(&mut self, area: Area, [luma, cb, cr]: Colour) {
        self.luma.fill(&area, luma);
        for (plane, sample) in self.chroma.iter_mut().zip([cb, cr]) {
            plane.fill(&area.halved(), sample);
        }
    }

    /// Writes white on black, a letter's dot being `scale` samples wide. Characters without a glyph stay blank.
    fn write(&mut self, x: usize, y: usize, scale: usize, text: &str) {
        for (index, character) in text.chars().enumerate() {
            let left = x + index * (GLYPH_WIDTH + 1) * scale;
            for (row, dots) in glyph(character).into_iter().enumerate() {
                for column in (0..GLYPH_WIDTH).filter(|column| dots >> (GLYPH_WIDTH - 1 - column) & 1 == 1) {
                    let area =
                        Area { x: left + column * scale, y: y + row * scale, width: scale, height: scale };
                    self.luma.fill(&area, WHITE[0]);
                }
            }
        }
    }
}

struct Area {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Area {
    fn halved(&self) -> Self {
        Self { x: self.x / 2, y: self.y / 2, width: self.width / 2, height: self.height / 2 }
    }
}

struct Plane {
    width: usize,
    samples: Vec<u8>,
}

impl Plane {
    fn filled(width: usize, height: usize, sample: u8) -> Self {
        Self { width, samples: vec![sample; width * height] }
    }

    fn fill(&mut self, area: &Area, sample: u8) {
        for row in self.samples.chunks_exact_mut(self.width).skip(area.y).take(area.height) {
            row[area.x..area.x + area.width].fill(sample);
        }
    }

    fn block(&self, column: usize, row: usize, side: usize) -> impl Iterator<Item = u8> {
        let rows = self.samples.chunks_exact(self.width).skip(row * side).take(side);
        rows.flat_map(move |row| row[column * side..(column + 1) * side].iter().copied())
    }
}

fn clock(unix: u64) -> String {
    format!("{:02}:{:02}:{:02}", unix / 3600 % 24, unix / 60 % 60, unix % 60)
}

const GLYPH_WIDTH: usize = 5;

/// Seven rows of five dots.
fn glyph(character: char) -> [u8; 7] {
    match character {
        '0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '3' => [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
        '4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '6' => [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
        '8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
        ':' => [0b00000, 0b00100, 0b00100, 0b00000, 0b00100, 0b00100, 0b00000],
        'A' => [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        'C' => [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110],
        'E' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
        'G' => [0b01110, 0b10001, 0b10000, 0b10111, 0b10001, 0b10001, 0b01110],
        'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        'M' => [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001],
        'N' => [0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001],
        'P' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000, 0b10000],
        'R' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001],
        'S' => [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110],
        'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
        'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        _ => [0; 7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_changes_the_clock_and_the_bar_alone() {
        let changed = |from, to| {
            let (from, to) = (Picture::test_card(from, "CAP 0"), Picture::test_card(to, "CAP 0"));
            from.macroblocks().zip(to.macroblocks()).filter(|(from, to)| from != to).count()
        };
        assert_eq!(changed(0, 199), 0);
        assert_eq!(changed(0, 200), 4, "two columns of two macroblocks");
        assert!((5..30).contains(&changed(0, 1000)));
    }

    #[test]
    fn the_clock_shows_the_time_of_day_in_utc() {
        assert_eq!(clock(1_529_842_538), "12:15:38");
        assert_eq!(clock(86_399), "23:59:59");
    }
}
