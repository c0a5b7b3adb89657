//! The place where replicas meet: what one brings there, what it finds, and how long either takes.
//!
//! A log that all append to and read on from where they were, a list of who is there, figures of what keys spent, and a
//! store of values by key. One call does all of it at once, but for finding values. Whoever implements it has a clock that all replicas share; theirs need not agree.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

/// What a call gives when it is over.
pub type Answer<'e, T> = Pin<Box<dyn Future<Output = Result<T, ExchangeFault>> + Send + 'e>>;

/// Why replicas could not meet. The text names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExchangeFault(pub Box<str>);

/// What a replica brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Push {
    /// Which replica it is: unlike any other, and any earlier run of the same.
    pub replica: Box<str>,
    /// What the shared clock says, nearly; 0 where it does not know.
    pub micros: u64,
    /// The place in the log up to which it has read; `None` where it begins at the end.
    pub read: Option<Box<str>>,
    /// What it has to tell, with a number that grows by one.
    pub batch: Option<(u64, Box<str>)>,
    /// True where it asks who is there.
    pub beat: bool,
    /// What it says of itself, for the list of who is there.
    pub report: Option<Box<str>>,
    /// Replicas that have been silent for so long that their reports may go.
    pub gone: Vec<Box<str>>,
    /// Figures of what keys spent, by their names, in place of what is kept there under these.
    pub spent: Vec<(Box<str>, Box<str>)>,
    /// The names of figures that are worth nothing any longer.
    pub ended: Vec<Box<str>>,
    /// True where it asks for all figures that are kept.
    pub all_spent: bool,
    /// Values for all by their keys; `None` where a key is to be forgotten.
    pub kept: Vec<(Box<str>, Option<Box<str>>)>,
}

/// What a replica finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pull {
    /// What the shared clock said, in microseconds.
    pub micros: u64,
    /// The place in the log up to which it has read now.
    pub read: Option<Box<str>>,
    /// What was told since, its own as well.
    pub batches: Vec<Batch>,
    /// True where there is more to read.
    pub more: bool,
    /// Who is there, by their own reports; of those who were not heard of lately too. `None` where it was not asked.
    pub reports: Option<Vec<Box<str>>>,
    /// All figures of what keys spent, by their names, its own as well; `None` where it was not asked.
    pub spent: Option<Vec<(Box<str>, Box<str>)>>,
    /// How many figures are kept, those brought now included; `None` where it was not asked who is there.
    pub spent_count: Option<u64>,
}

/// What a replica told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Which replica.
    pub replica: Box<str>,
    /// Its number: one that was seen is not heard again.
    pub number: u64,
    /// What it told.
    pub text: Box<str>,
}

/// The place where replicas meet.
pub trait Exchange: Debug + Send + Sync {
    /// Brings and takes, in one round trip.
    fn meet<'e>(&'e self, push: &'e Push) -> Answer<'e, Pull>;

    /// Finds values by their keys, in the order of the keys.
    fn find<'e>(&'e self, keys: &'e [Box<str>]) -> Answer<'e, Vec<Option<Box<str>>>>;

    /// Takes a key for this replica: true for the first one that asks, false for all others.
    fn claim<'e>(&'e self, key: &'e str) -> Answer<'e, bool>;
}
