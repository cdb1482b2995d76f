//! Chance, from one seed: identities and jitter.

use crate::wire::Id;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). It hides no secret:
/// identities need only differ, delays need only spread.
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same sequence.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A new identity.
    pub fn id(&mut self) -> Id {
        Id(self.bits())
    }

    /// A span between nothing and `limit`, each as likely.
    pub fn up_to(&mut self, limit: Duration) -> Duration {
        // 53 bits are what an f64 holds exactly.
        limit.mul_f64((self.bits() >> 11) as f64 / (1u64 << 53) as f64)
    }
}
