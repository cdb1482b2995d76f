//! Segments as a flash card, a power cut or an attacker leaves them.

use crate::studio::{AAC, FRAGMENTED, H264, H265, Studio};
use cloudtalker_server::library::join::{Fault, JoinError, Part, join};
use std::fs;

/// A small stream of numbers that is the same in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// Damages the bytes as a flash card, a power cut or an attacker would.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        const EXTREMES: [u32; 8] = [0, 1, 7, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, u32::MAX];
        // Indices and tables are at one of the ends.
        let near_an_end = |seeded: &mut Self, len: usize| {
            let at = seeded.below(len.min(1500));
            if seeded.below(2) == 0 { at } else { len - 1 - at }
        };
        for _ in 0..=self.below(3) {
            let len = bytes.len();
            if len < 8 {
                return;
            }
            let at = if self.below(3) == 0 { self.below(len) } else { near_an_end(self, len) };
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.below(256) as u8,
                2 | 3 => {
                    let at = at.min(len - 4);
                    bytes[at..at + 4].copy_from_slice(&EXTREMES[self.below(EXTREMES.len())].to_be_bytes());
                }
                4 => bytes.truncate(at),
                _ => drop(bytes.drain(at..(at + self.below(16)).min(len))),
            }
        }
    }
}

#[test]
fn damaged_segments_give_a_video_or_a_reason() {
    const ROUNDS: usize = 3000;
    let studio = Studio::new();
    let tiny =
        |name, options: &[&[&str]]| fs::read(studio.film_with_sound(name, "64x48", "5", options)).unwrap();
    let segments = [
        tiny("0.mp4", &[H264, AAC, &["-bf", "2", "-movflags", "faststart"]]),
        tiny("1.mp4", &[H264, AAC, FRAGMENTED]),
        tiny("2.ts", &[H264, AAC]),
        tiny("3.mp4", &[H265, AAC, &["-tag:v", "hvc1"]]),
    ];
    let (mut videos, mut reasons) = (0, 0);
    for seed in 0..ROUNDS {
        let mut seeded = Seeded(seed as u64);
        let whole = &segments[seed % segments.len()];
        let mut damaged = whole.clone();
        seeded.damage(&mut damaged);
        let parts =
            [Part { seg_no: 0, file: whole.as_slice() }, Part { seg_no: 1, file: damaged.as_slice() }];
        let mut out = Vec::new();
        match join(&parts, &mut out) {
            Ok(joined) => {
                assert_eq!(joined.bytes, out.len() as u64, "seed {seed}");
                videos += 1;
            }
            Err(JoinError::Part { fault: Fault::Read(error), .. }) => panic!("seed {seed}: {error}"),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                reasons += 1;
            }
        }
    }
    assert!(videos > ROUNDS / 10 && reasons > ROUNDS / 10, "{videos} videos, {reasons} reasons");
}
