//! Reproducible randomness: seeded numbers, and lengths drawn from them.
//!
//! An answer depends only on the seed and the request, never on the order in which requests arrive,
//! so two runs with one seed agree however their requests interleave. The quality of the numbers
//! matters little; a dependency would cost more than these lines.

/// A stream of numbers fixed by its seed (the `SplitMix64` generator).
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Dice for `seed` and whatever else shall decide the outcome.
    pub fn new(seed: u64, about: &[u8]) -> Self {
        Self { state: seed ^ fingerprint(about) }
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number of 0 to 1, 1 itself never.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in f64")]
    pub fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of `all`; `None` when there is nothing to choose from.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let index = self.roll().checked_rem(count)?;
        all.get(usize::try_from(index).ok()?)
    }
}

/// A stable hash (FNV-1a, 64 bit): the standard library's may change between releases.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Distribution of token counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lengths {
    /// Always the same.
    Fixed(u64),
    /// Any length of `min` to `max`, both included, equally likely.
    Uniform {
        /// The shortest.
        min: u64,
        /// The longest.
        max: u64,
    },
    /// Log-normal, as real answers roughly are: many short ones, a few very long ones.
    Skewed {
        /// Half of all lengths are below it.
        median: u64,
        /// Standard deviation of the length's logarithm; 0.8 looks like chat traffic.
        spread: f64,
    },
}

impl Lengths {
    /// One length, by the dice.
    pub fn draw(self, dice: &mut Dice) -> u64 {
        match self {
            Self::Fixed(length) => length,
            Self::Uniform { min, max } => {
                let span = max.saturating_sub(min).saturating_add(1);
                min + dice.roll().checked_rem(span).unwrap_or(0)
            }
            Self::Skewed { median, spread } => {
                // Twelve uniform numbers less six are nearly a standard normal one.
                let normal = (0..12).map(|_| dice.share()).sum::<f64>() - 6.0;
                scaled(median, (spread * normal).exp()).max(1)
            }
        }
    }
}

/// `count` times `factor`, rounded; never negative.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "token counts are far below 2^52, and a cast of a float saturates"
)]
pub fn scaled(count: u64, factor: f64) -> u64 {
    (count as f64 * factor).round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_one_outcome() {
        let draw = |seed, about: &[u8]| {
            let mut dice = Dice::new(seed, about);
            (0..5).map(|_| dice.roll()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, b"a"), draw(1, b"a"));
        assert_ne!(draw(1, b"a"), draw(2, b"a"));
        assert_ne!(draw(1, b"a"), draw(1, b"b"));
    }

    #[test]
    fn lengths_keep_their_shape() {
        let mut dice = Dice::new(7, b"");
        let mut draw = |lengths: Lengths| {
            let mut drawn: Vec<u64> = (0..2_000).map(|_| lengths.draw(&mut dice)).collect();
            drawn.sort_unstable();
            drawn
        };
        assert!(draw(Lengths::Fixed(3)).iter().all(|length| *length == 3));
        let uniform = draw(Lengths::Uniform { min: 5, max: 9 });
        assert_eq!((uniform[0], uniform[1_999]), (5, 9));
        let skewed = draw(Lengths::Skewed { median: 100, spread: 0.8 });
        assert!((90..=110).contains(&skewed[1_000]), "median {}", skewed[1_000]);
        assert!(skewed[1_980] > 400, "99th percentile {}", skewed[1_980]);
    }

    #[test]
    fn nothing_to_pick_from() {
        assert_eq!(Dice::new(0, b"").pick::<u8>(&[]), None);
    }
}
