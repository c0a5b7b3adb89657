//! Interns the names of keys, teams, deployments and causes, so that the history repeats no text.
//!
//! Names come from the configuration and from the router's own words, never from callers. Names beyond [`MOST`], which takes
//! many reloads, count as `others`.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// An interned name.
pub(super) type Id = u16;

/// No name: a caller without a key, a request that no deployment answered.
pub(super) const NONE: Id = 0;

/// Names beyond the bound, and groups that were folded together.
pub(super) const OTHERS: Id = 1;

const MOST: usize = 4_096;

/// The interned names, indexed by their ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<Box<str>>", into = "Vec<Box<str>>")]
pub(super) struct Names {
    known: Vec<Box<str>>,
    places: HashMap<Box<str>, Id>,
}

impl Default for Names {
    fn default() -> Self {
        Self::from(vec!["".into(), "others".into()])
    }
}

impl From<Vec<Box<str>>> for Names {
    fn from(mut known: Vec<Box<str>>) -> Self {
        known.truncate(MOST);
        let places = (0..).zip(&known).map(|(id, name)| (name.clone(), id)).collect();
        Self { known, places }
    }
}

impl From<Names> for Vec<Box<str>> {
    fn from(names: Names) -> Self {
        names.known
    }
}

impl Names {
    /// The id of a name, which is added if it is new.
    pub(super) fn id(&mut self, name: &str) -> Id {
        if let Some(id) = self.places.get(name) {
            return *id;
        }
        match Id::try_from(self.known.len()) {
            Ok(id) if self.known.len() < MOST => {
                self.known.push(name.into());
                self.places.insert(name.into(), id);
                id
            }
            _ => OTHERS,
        }
    }

    /// The id of a known name.
    pub(super) fn find(&self, name: &str) -> Option<Id> {
        self.places.get(name).copied()
    }

    /// The name of an id.
    pub(super) fn name(&self, id: Id) -> &str {
        self.known.get(usize::from(id)).map_or("others", |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_number_each_and_are_bounded() {
        let mut names = Names::default();
        let first = names.id("billing");
        assert_eq!((names.id("billing"), names.name(first)), (first, "billing"));
        assert_eq!((names.id(""), names.find("search")), (NONE, None));
        for number in 0..MOST {
            names.id(&number.to_string());
        }
        assert_eq!(names.id("one too many"), OTHERS);
        assert_eq!(names.find("billing"), Some(first));
    }
}
