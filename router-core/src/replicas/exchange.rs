//! The place where replicas exchange state: Redis, or a process's memory in tests.
//!
//! One sync is one round trip. Everything that a sync writes is a total, an absolute time or a value
//! by key, so that repeating it after an unclear failure changes nothing.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The future of an operation.
pub type Answer<'e, T> = Pin<Box<dyn Future<Output = Result<T, ExchangeFault>> + Send + 'e>>;

/// The reason why an operation failed. The text holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExchangeFault(pub Box<str>);

/// The data that a sync writes, and the position from which it reads. Times are microseconds of the exchange's clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Push {
    /// A name that identifies the run of this process.
    pub run: Box<str>,
    /// The time of the exchange's clock, nearly; 0 while it is not known. Then only `values` and `spent` are written.
    pub micros: u64,
    /// The position in the stream of changes up to which this process has read; `None` to read from its start.
    pub read: Option<Box<str>>,
    /// An entry for the stream of changes.
    pub change: Option<Box<str>>,
    /// Cooldowns by their names, with their ends. A later end that the exchange already holds stays.
    pub cooldowns: Vec<(Box<str>, u64)>,
    /// Names of cooldowns that are over early.
    pub recovered: Vec<Box<str>>,
    /// True to announce this run for the time of `ttl`, and to count the runs.
    pub beat: bool,
    /// After this time without a beat a run is gone.
    pub ttl: Duration,
    /// The spending of keys, by run and key.
    pub spent: Vec<(Box<str>, Box<str>)>,
    /// Names of spending figures of a month that is over.
    pub ended: Vec<Box<str>>,
    /// True to read all spending figures.
    pub all_spent: bool,
    /// Values by key, which expire after 30 days; `None` deletes the key.
    pub values: Vec<(Box<str>, Option<Box<str>>)>,
}

/// The data that a sync reads after it has written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pull {
    /// The time of the exchange's clock.
    pub micros: u64,
    /// The position in the stream up to which this process has now read.
    pub read: Option<Box<str>>,
    /// The changes since, this process's own included.
    pub changes: Vec<Entry>,
    /// True if there are more.
    pub more: bool,
    /// All cooldowns that are not over yet, with their ends.
    pub cooldowns: Vec<(Box<str>, u64)>,
    /// The number of runs; `None` without a beat.
    pub replicas: Option<usize>,
    /// All spending figures; `None` if they were not requested.
    pub spent: Option<Vec<(Box<str>, Box<str>)>>,
    /// The number of spending figures; `None` without a beat.
    pub spent_count: Option<u64>,
}

/// An entry of the stream of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The run that wrote it.
    pub run: Box<str>,
    /// Time of the write.
    pub micros: u64,
    /// Its text.
    pub text: Box<str>,
}

/// The place where replicas exchange state.
pub trait Exchange: Debug + Send + Sync {
    /// Writes and reads in one round trip.
    fn sync<'e>(&'e self, push: &'e Push) -> Answer<'e, Pull>;

    /// The values of keys, in the order of the keys.
    fn find<'e>(&'e self, keys: &'e [Box<str>]) -> Answer<'e, Vec<Option<Box<str>>>>;

    /// Claims a key: true for the first caller of all replicas, false for any other.
    fn claim<'e>(&'e self, key: &'e str) -> Answer<'e, bool>;
}
