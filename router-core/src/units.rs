//! Validated numbers and names: token counts, sums of money, prices, days, names.
//!
//! Distinct types prevent adding a price to a token count, and a name is never empty. This module
//! does not know what the values are used for; a rule that needs another module belongs to that
//! module.

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

/// A share of a whole: from 0 to 1, never NaN.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Ratio(f64);

impl Ratio {
    /// The ratio, or `None` outside 0 to 1.
    pub fn try_new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// The share as a float.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// A day of the calendar, in UTC: what a retirement is dated by.
///
/// ```
/// use router_core::units::Day;
/// let retires = Day::try_from("2026-11-19")?;
/// assert!(retires < Day::try_from("2026-11-20")?);
/// assert_eq!(Day::of_unix_seconds(1_795_046_400).to_string(), "2026-11-19");
/// # Ok::<(), router_core::units::NameFault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    year: u16,
    month: u8,
    of_month: u8,
}

impl Day {
    /// The day on which a moment lies, given in seconds since 1970. Years after 65,535 count as that year.
    ///
    /// **Source:** Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "month and day are small by the arithmetic"
    )]
    pub fn of_unix_seconds(seconds: u64) -> Self {
        let days = seconds / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Self {
            year: u16::try_from(year).unwrap_or(u16::MAX),
            month: month as u8,
            of_month: day as u8,
        }
    }

    /// The first day of its month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        Self { of_month: 1, ..self }
    }

    /// The first day of the month after its own.
    #[must_use]
    pub fn first_of_next_month(self) -> Self {
        match self.month {
            12 => Self { year: self.year.saturating_add(1), month: 1, of_month: 1 },
            month => Self { month: month + 1, of_month: 1, ..self },
        }
    }

    /// The day after it.
    #[must_use]
    pub fn next(self) -> Self {
        let tomorrow = Self { of_month: self.of_month + 1, ..self };
        let next = self.first_of_next_month();
        if next.number() > tomorrow.number() { tomorrow } else { next }
    }

    /// The days from `earlier` to this day; negative where it is the earlier one.
    ///
    /// ```
    /// use router_core::units::Day;
    /// let (winter, spring) = (Day::try_from("2028-02-27")?, Day::try_from("2028-03-01")?);
    /// assert_eq!((spring.days_since(winter), winter.days_since(spring)), (3, -3));
    /// # Ok::<(), router_core::units::NameFault>(())
    /// ```
    pub fn days_since(self, earlier: Self) -> i64 {
        self.number() - earlier.number()
    }

    /// A number that grows by one each day. **Source:** as above, `days_from_civil`.
    fn number(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let month = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.of_month) - 1;
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
    }
}

/// Reads `2026-11-19`.
impl TryFrom<&str> for Day {
    type Error = NameFault;
    fn try_from(text: &str) -> Result<Self, NameFault> {
        let fault = NameFault { allowed: "a day is written as 2026-11-19" };
        let mut parts = text.splitn(3, '-');
        let mut next = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length)?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u16>().ok())?
        };
        let (Some(year), Some(month), Some(day)) = (next(4), next(2), next(2)) else {
            return Err(fault);
        };
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        match (u8::try_from(month), u8::try_from(day)) {
            (Ok(month), Ok(day)) if (1..=days).contains(&u16::from(day)) => {
                Ok(Self { year, month, of_month: day })
            }
            _ => Err(fault),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}-{:02}", self.year, self.month, self.of_month)
    }
}

/// Why a text is not a name. The caller knows the kind and place of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{allowed}")]
pub struct NameFault {
    /// The expected form, in words.
    pub allowed: &'static str,
}

macro_rules! name {
    ($(#[$docs:meta])* $name:ident, $allowed:literal, $rule:expr) => {
        $(#[$docs])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameFault;
            fn try_from(text: &str) -> Result<Self, NameFault> {
                let rule: fn(char) -> bool = $rule;
                if !text.is_empty() && text.len() <= 128 && text.chars().all(rule) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameFault { allowed: $allowed })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        /// Lets maps keyed by the name be asked with plain text.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// Our name of a deployment: 1 to 128 of `a-z`, `0-9` and `_`, so that a shell can export it.
    ///
    /// ```
    /// use router_core::units::DeploymentName;
    /// assert!(DeploymentName::try_from("kr_ptu").is_ok());
    /// assert!(DeploymentName::try_from("kr-ptu").is_err());
    /// ```
    DeploymentName,
    "a name is 1 to 128 of a-z, 0-9 and _",
    |letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
);

name!(
    /// The name of a key: 1 to 128 of `a-z`, `0-9` and `_`, so that a shell can export it.
    KeyName,
    "a name is 1 to 128 of a-z, 0-9 and _",
    |letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
);

name!(
    /// A model's name as its maker writes it: 1 to 128 of letters, digits, `.`, `_`, `-` and `:`.
    ModelName,
    "a model name is 1 to 128 of letters, digits, '.', '_', '-' and ':'",
    |letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | ':')
);

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

    #[test]
    fn names_keep_their_rules() {
        for (text, deployment, model) in [
            ("kr_ptu", true, true),
            ("gpt-4o", false, true),
            ("gpt-5.6-sol", false, true),
            ("", false, false),
            ("한국", false, false),
            ("a b", false, false),
        ] {
            assert_eq!(DeploymentName::try_from(text).is_ok(), deployment, "{text}");
            assert_eq!(ModelName::try_from(text).is_ok(), model, "{text}");
        }
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        for (text, next) in [
            ("2024-02-28", "2024-02-29"),
            ("2024-02-29", "2024-03-01"),
            ("2026-04-30", "2026-05-01"),
            ("2026-12-31", "2027-01-01"),
        ] {
            assert_eq!(Day::try_from(text).unwrap().next().to_string(), next);
        }
        for (text, is_day) in [
            ("2024-02-29", true),
            ("2025-02-29", false),
            ("2026-13-01", false),
            ("2026-04-31", false),
            ("2026-4-3", false),
            ("+026-04-03", false),
            ("2026-04-03T", false),
        ] {
            assert_eq!(Day::try_from(text).is_ok(), is_day, "{text}");
        }
        assert_eq!(Day::of_unix_seconds(951_782_400).to_string(), "2000-02-29");
        assert_eq!(Day::of_unix_seconds(0).to_string(), "1970-01-01");
    }

    #[test]
    fn ratios_stay_inside_zero_to_one() {
        assert!(Ratio::try_new(f64::NAN).is_none());
        assert!(Ratio::try_new(1.0).is_some());
        assert!(Ratio::try_new(-0.1).is_none());
    }
}
