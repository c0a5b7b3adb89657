//! Days of the calendar in UTC, without times and time zones.

use std::fmt;

use super::NameFault;

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

    /// Year, month and day of the month.
    pub fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.of_month)
    }

    /// The first day of its month.
    #[must_use]
    pub(crate) fn first_of_month(self) -> Self {
        Self { of_month: 1, ..self }
    }

    /// The first day of the month after its own.
    #[must_use]
    pub(crate) fn first_of_next_month(self) -> Self {
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

    /// The days from `earlier` to this day; negative if it is the earlier one.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
