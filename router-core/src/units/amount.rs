//! Token counts, sums of money, prices and ratios. Distinct types prevent adding a price to a token count.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// A count of tokens. Adding saturates: a counter that stops is better than one that wraps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tokens(pub u64);

impl Tokens {
    /// No tokens.
    pub const ZERO: Self = Self(0);

    /// The count as a float, for rates and averages; exact up to 2^53.
    #[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// `self - other`, and zero if that would be negative.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Tokens {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Tokens {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A sum of money in US dollars, kept in whole picodollars.
///
/// A price per million tokens with six decimals is a whole number of picodollars a token, so a sum over tokens is
/// exact: $0.005 per million, the smallest price in use, is 5,000 picodollars a token. The largest sum is 18.4
/// million dollars; adding saturates there.
///
/// ```
/// use router_core::units::{Tokens, Usd, UsdPerMillionTokens};
/// let price = UsdPerMillionTokens::try_new(2.5).ok_or("price out of range")?;
/// assert_eq!(price.of(Tokens(1_000)).to_string(), "0.002500");
/// assert_eq!(price.of(Tokens(400)) + price.of(Tokens(600)), price.of(Tokens(1_000)));
/// # Ok::<(), &'static str>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A sum of dollars; `None` if it is negative, not a number or above 18 million.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked in the line before"
    )]
    pub fn of_dollars(dollars: f64) -> Option<Self> {
        (0.0..=18_000_000.0).contains(&dollars).then(|| Self((dollars * 1e12).round() as u64))
    }

    /// The sum as a float of dollars, for metrics and reports.
    #[expect(clippy::cast_precision_loss, reason = "a report needs no more than 15 digits")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// A whole number of picodollars.
    pub fn of_picodollars(picodollars: u64) -> Self {
        Self(picodollars)
    }

    /// The sum in whole picodollars: exact, for what another process reads.
    pub fn picodollars(self) -> u64 {
        self.0
    }

    /// `self - other`, and zero if that would be negative.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum times a factor such as a data zone's 1.1, rounded to a picodollar; a factor below zero counts as zero.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a float cast saturates, and 15 digits of a bill are enough"
    )]
    pub fn scaled(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor).round() as u64)
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, Add::add)
    }
}

/// Dollars with six decimals, rounded half up.
impl fmt::Display for Usd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micro = self.0.saturating_add(500_000) / 1_000_000;
        write!(out, "{}.{:06}", micro / 1_000_000, micro % 1_000_000)
    }
}

/// A price: US dollars per million tokens, from 0 to 100,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsdPerMillionTokens(u64);

impl UsdPerMillionTokens {
    /// The price, or `None` if it is negative, not a number or above 100,000.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked in the line before"
    )]
    pub fn try_new(dollars: f64) -> Option<Self> {
        (0.0..=100_000.0).contains(&dollars).then(|| Self((dollars * 1e6).round() as u64))
    }

    /// Cost of `tokens` at this price.
    pub fn of(self, tokens: Tokens) -> Usd {
        Usd(self.0.saturating_mul(tokens.0))
    }

    /// The price in dollars per million tokens.
    #[expect(clippy::cast_precision_loss, reason = "prices stay far below 2^53")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_over_many_small_sums() {
        let price = UsdPerMillionTokens::try_new(0.0375).unwrap();
        let total: Usd = (0..1_000_000).map(|_| price.of(Tokens(1))).sum();
        assert_eq!(total, price.of(Tokens(1_000_000)));
        assert_eq!(total.to_string(), "0.037500");
        assert_eq!(Usd(499_999).to_string(), "0.000000");
        assert_eq!(Usd(500_000).to_string(), "0.000001");
    }

    #[test]
    fn a_price_outside_its_range_is_none() {
        for wrong in [-0.01, f64::NAN, f64::INFINITY, 100_000.1] {
            assert_eq!(UsdPerMillionTokens::try_new(wrong), None, "{wrong}");
        }
    }
}
