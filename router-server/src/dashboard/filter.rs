//! Selects requests by key, deployment and task.

use super::cell::Group;
use super::entry::Entry;
use super::names::{Id, Names};

/// The task of requests whose caller named the model.
const NAMED: &str = "named";

/// Selects requests; an absent name selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) key: Option<Box<str>>,
    pub(crate) deployment: Option<Box<str>>,
    pub(crate) task: Option<Box<str>>,
}

/// A filter by ids. An unknown name selects nothing.
#[derive(Debug)]
pub(super) struct Chosen<'f> {
    key: Wanted,
    deployment: Wanted,
    task: Option<&'f str>,
}

/// The ids that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    One(Id),
    /// The history does not know the name.
    Unknown,
}

impl Wanted {
    fn of(name: Option<&str>, names: &Names) -> Self {
        let Some(name) = name else { return Self::All };
        names.find(name).map_or(Self::Unknown, Self::One)
    }

    fn has(self, id: Id) -> bool {
        self == Self::All || self == Self::One(id)
    }
}

impl Filter {
    /// True if a request passes the filter.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        let same = |wanted: &Option<Box<str>>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == value)
        };
        same(&self.key, entry.key())
            && same(&self.deployment, entry.deployment())
            && same(&self.task, Some(entry.task().unwrap_or(NAMED)))
    }

    /// The filter by the ids of a history's names.
    pub(super) fn chosen<'f>(&'f self, names: &Names) -> Chosen<'f> {
        Chosen {
            key: Wanted::of(self.key.as_deref(), names),
            deployment: Wanted::of(self.deployment.as_deref(), names),
            task: self.task.as_deref(),
        }
    }
}

impl Chosen<'_> {
    /// True if a group passes the filter.
    pub(super) fn has(&self, group: Group) -> bool {
        self.key.has(group.key)
            && self.has_deployment(group.deployment)
            && self.task.is_none_or(|task| task == group.task().unwrap_or(NAMED))
    }

    /// True if a deployment passes the filter.
    pub(super) fn has_deployment(&self, id: Id) -> bool {
        self.deployment.has(id)
    }
}
