//! Limits of a key or a team, and the error when one is used up.

use std::fmt;
use std::time::Duration;

use crate::units::Day;
use crate::units::Tokens;
use crate::units::Usd;

/// Holder of a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Payer {
    /// The caller's key.
    #[default]
    Key,
    /// The team of the caller's key.
    Team,
}

impl fmt::Display for Payer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Key => "this key",
            Self::Team => "this key's team",
        })
    }
}

/// Limits of a key or a team; by default there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Holder of these limits.
    pub payer: Payer,
    /// Requests to models begun in any 60 seconds.
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompts and answers in any 60 seconds.
    pub tokens_per_minute: Option<u64>,
    /// Running requests at once.
    pub max_in_flight: Option<u64>,
    /// Budget of a UTC day.
    pub daily_budget: Option<Usd>,
    /// Budget of a UTC month.
    pub monthly_budget: Option<Usd>,
}

/// Remainder of one rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Amount allowed in any 60 seconds.
    pub limit: u64,
    /// Amount left now.
    pub remaining: u64,
    /// Time until the whole amount is available again if nothing more is used.
    pub resets: Duration,
}

/// Remainders of a key's rate limits; `None` for a limit it does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RatesLeft {
    /// Requests.
    pub requests: Option<Left>,
    /// Tokens, minus the reservations of running requests.
    pub tokens: Option<Left>,
}

impl RatesLeft {
    /// Remainders of an unused key.
    pub(super) fn untouched(allowance: &Allowance) -> Self {
        let all = |limit| Left { limit, remaining: limit, resets: Duration::ZERO };
        Self {
            requests: allowance.requests_per_minute.map(all),
            tokens: allowance.tokens_per_minute.map(all),
        }
    }
}

/// A time for which a budget is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// A day of UTC.
    Day,
    /// A month of UTC.
    Month,
}

impl Span {
    /// Both, for tables and labels.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// The word used in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The first day of the next span of this kind.
    pub fn renews(self, today: Day) -> Day {
        match self {
            Self::Day => today.next(),
            Self::Month => today.first_of_next_month(),
        }
    }

    fn adjective(self) -> &'static str {
        match self {
            Self::Day => "daily",
            Self::Month => "monthly",
        }
    }
}

/// A key has used what it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    /// The rate of requests is used up.
    #[error("rate limit reached for this key: {limit} requests per minute; try again in {} ms", ms(*wait))]
    Requests {
        /// Requests allowed per minute.
        limit: u64,
        /// Until one more fits.
        wait: Duration,
    },
    /// The rate of tokens is used up.
    #[error("rate limit reached for this key: {limit} tokens per minute, {needed} needed; try again in {} ms", ms(*wait))]
    Tokens {
        /// Tokens allowed per minute.
        limit: u64,
        /// Tokens that this request reserves.
        needed: Tokens,
        /// Until they fit.
        wait: Duration,
    },
    /// The prompt alone is more than it may use in a minute.
    #[error(
        "the request is too large for this key: {limit} tokens per minute, {needed} in the prompt alone"
    )]
    TooLarge {
        /// Most tokens allowed.
        limit: u64,
        /// Tokens of the prompt.
        needed: Tokens,
    },
    /// The limit of concurrent requests is reached.
    #[error("this key may have {limit} concurrent requests; try again when one has finished")]
    InFlight {
        /// Concurrent requests allowed.
        limit: u64,
    },
    /// The rest of the budget is reserved for running requests.
    #[error("the rest of {payer}'s {} budget is reserved for running requests; try again when one has finished", span.adjective())]
    Held {
        /// The key or the team.
        payer: Payer,
        /// Period of the budget.
        span: Span,
    },
    /// Its budget is spent.
    #[error("{payer}'s {} budget of {budget} USD is spent; the next begins on {renewed} at 00:00 UTC", span.adjective())]
    Budget {
        /// The key or the team.
        payer: Payer,
        /// Period of the budget.
        span: Span,
        /// Amount of the budget.
        budget: Usd,
        /// The first day of the next one.
        renewed: Day,
    },
}

/// Whole milliseconds, rounded up: a caller that waits this long must not return too early.
fn ms(wait: Duration) -> u128 {
    wait.as_micros().div_ceil(1_000)
}

/// Suggested wait if the end of the running requests is unknown.
const SOON: Duration = Duration::from_secs(1);

impl LimitReached {
    /// Suggested wait; `None` if waiting does not help or takes too long.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Requests { wait, .. } | Self::Tokens { wait, .. } => Some(*wait),
            Self::InFlight { .. } | Self::Held { .. } => Some(SOON),
            Self::TooLarge { .. } | Self::Budget { .. } => None,
        }
    }

    /// The word for labels: which limit it was.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Requests { .. } => "requests",
            Self::Tokens { .. } | Self::TooLarge { .. } => "tokens",
            Self::InFlight { .. } => "in_flight",
            Self::Held { .. } | Self::Budget { .. } => "budget",
        }
    }

    /// True if a budget is spent rather than a rate exceeded.
    pub fn is_spent(&self) -> bool {
        matches!(self, Self::Budget { .. })
    }
}
