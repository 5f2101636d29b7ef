//! Seeded dice (SplitMix64): the same seed gives the same commands on every machine.

/// Dice.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    /// A limit below `sides`.
    pub(crate) fn size(&mut self, sides: u64) -> usize {
        usize::try_from(self.below(sides)).unwrap()
    }

    /// A number below `sides`, or none in half of the cases.
    pub(crate) fn maybe(&mut self, sides: u64) -> Option<u64> {
        (self.below(2) == 0).then(|| self.below(sides))
    }

    /// A few numbers below `sides`, doubles among them.
    pub(crate) fn some_of(&mut self, sides: u64) -> Vec<u64> {
        (0..self.below(5)).map(|_| self.below(sides)).collect()
    }
}
