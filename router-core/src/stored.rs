//! Remembers which deployment created a stored response, and for which caller.
//!
//! A stored response exists only at the deployment that created it, and belongs only to its caller.
//! Its id leads to both, and so do the ids of its items and of its conversation. The number of ids
//! is bounded; the oldest are forgotten first. An unknown id is looked up at an endpoint only if
//! config allows it ([`Unknown`]), because that could let callers read what is not theirs.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crate::ledger::Team;
use crate::replicas::Outgoing;
use crate::units::DeploymentName;

/// Caller of a request. All callers without a key count as one.
///
/// Two callers are equal if their keys have one name: what a key has stored stays its own when it joins another team.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    key: Option<Arc<str>>,
    team: Option<Arc<Team>>,
}

impl Caller {
    /// The caller that shows the key of this name.
    pub fn named(key: &str) -> Self {
        Self { key: Some(key.into()), team: None }
    }

    /// The same as a member of a team.
    #[must_use]
    pub fn of_team(self, team: Option<Arc<Team>>) -> Self {
        Self { team, ..self }
    }

    /// The name of its key; `None` without one.
    pub fn name(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The team of its key.
    pub fn team(&self) -> Option<&Arc<Team>> {
        self.team.as_ref()
    }
}

impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Caller {}

impl Hash for Caller {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// Nothing stored under this id is known, or it is another caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {what} with id `{}` is stored here", shown(id))]
pub struct UnknownResponse {
    /// The id asked for.
    pub id: String,
    /// The kind of object that it should name.
    pub what: Stored,
}

/// Stored object, and the place of its id in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// A response, named by the path.
    Response,
    /// A response that a request follows.
    Previous,
    /// An item of a response.
    Item,
    /// A conversation.
    Conversation,
    /// An object that the path names: a chat completion, a conversation, a file ..
    Object,
}

/// A collection of objects that upstreams store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Collection {
    /// Responses.
    #[default]
    Responses,
    /// Chat completions that were made with `store`.
    ChatCompletions,
    /// Conversations of the Responses API.
    Conversations,
    /// One that config lets pass through: `files`, `vector_stores` ..
    PassedThrough(Arc<str>),
}

impl Collection {
    /// The path below the API's base.
    pub fn path(&self) -> &str {
        match self {
            Self::Responses => "responses",
            Self::ChatCompletions => "chat/completions",
            Self::Conversations => "conversations",
            Self::PassedThrough(path) => path,
        }
    }

    /// Name of such objects in errors.
    pub fn object(&self) -> Stored {
        match self {
            Self::Responses => Stored::Response,
            Self::ChatCompletions | Self::Conversations | Self::PassedThrough(_) => Stored::Object,
        }
    }
}

impl Stored {
    /// The field that named it; `None` if the path did.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::Response | Self::Object => None,
            Self::Previous => Some("previous_response_id"),
            Self::Item => Some("input"),
            Self::Conversation => Some("conversation"),
        }
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Response | Self::Previous => "response",
            Self::Item => "item",
            Self::Conversation => "conversation",
            Self::Object => "object",
        })
    }
}

/// The caller gets its own word back, but not a page of it.
fn shown(id: &str) -> String {
    id.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

/// Owner of a stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// This caller's, at this deployment.
    Caller(DeploymentName),
    /// Another caller's.
    Another,
    /// Not known here.
    Unknown,
}

/// Treatment of an id that this router does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It is not found: a request upstream could let a caller read another's object.
    #[default]
    Refuse,
    /// The endpoint that can have it is asked.
    Ask,
}

impl Unknown {
    /// The word used in config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Ask => "ask",
        }
    }

    /// The choice of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Refuse, Self::Ask].into_iter().find(|unknown| unknown.as_str() == word)
    }
}

/// Time for which services keep stored responses.
///
/// **Source:** `OpenAI` and Microsoft, "Responses API": 30 days.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// An id longer than this is not remembered; those of services have some sixty letters.
const LONGEST_ID: usize = 256;

/// Remembers which deployment created which stored response. Clones share everything.
#[derive(Debug, Clone)]
pub struct StoredResponses {
    shelf: Arc<RwLock<Shelf>>,
    /// Shares the entries with other replicas.
    outgoing: Option<Arc<Outgoing>>,
}

type Shelf = moka::sync::Cache<Box<str>, Owner>;

fn shelf(most: u64) -> Shelf {
    moka::sync::Cache::builder().max_capacity(most).time_to_live(KEPT).build()
}

#[derive(Debug, Clone)]
struct Owner {
    deployment: DeploymentName,
    caller: Caller,
}

impl StoredResponses {
    /// Remembers at most this many.
    pub fn new(most: u64) -> Self {
        Self { shelf: Arc::new(RwLock::new(shelf(most))), outgoing: None }
    }

    /// The same, and keeps new entries for other replicas.
    #[must_use]
    pub fn sharing(self, outgoing: Arc<Outgoing>) -> Self {
        Self { outgoing: Some(outgoing), ..self }
    }

    /// Limits the number of entries from now on; present ones stay as far as they fit.
    pub fn resize(&self, most: u64) {
        let mut current = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if current.policy().max_capacity() != Some(most) {
            let resized = shelf(most);
            current.iter().for_each(|(id, owner)| resized.insert((*id).clone(), owner));
            *current = resized;
        }
    }

    fn shelf(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A deployment has stored a response of this caller.
    pub fn remember(&self, id: &str, deployment: &DeploymentName, caller: &Caller) {
        if is_plain(id) {
            let owner = Owner { deployment: deployment.clone(), caller: caller.clone() };
            if let Some(outgoing) = &self.outgoing {
                outgoing.set(&kept_key(id), Some(&owner.written()));
            }
            self.shelf().insert(id.into(), owner);
        }
    }

    /// The key under which replicas keep an id; `None` if it is known here, or could not be remembered.
    pub(crate) fn key_elsewhere(&self, id: &str) -> Option<Box<str>> {
        (is_plain(id) && !self.knows(id)).then(|| kept_key(id).into())
    }

    /// The shared record of an id; an unreadable one counts as unknown.
    pub(crate) fn hear(&self, id: &str, kept: &str) {
        if let Some(owner) = Owner::read(kept) {
            self.shelf().insert(id.into(), owner);
        }
    }

    /// The deployment that has the response; `None` if it is not known or another caller's.
    pub fn owner(&self, id: &str, caller: &Caller) -> Option<DeploymentName> {
        self.shelf().get(id).filter(|owner| owner.caller == *caller).map(|owner| owner.deployment)
    }

    /// Owner of an id, as far as this process knows.
    pub fn holder(&self, id: &str, caller: &Caller) -> Holder {
        match self.shelf().get(id) {
            Some(owner) if owner.caller == *caller => Holder::Caller(owner.deployment),
            Some(_) => Holder::Another,
            None => Holder::Unknown,
        }
    }

    /// True if the id is known, for any owner.
    pub fn knows(&self, id: &str) -> bool {
        self.shelf().contains_key(id)
    }

    /// The response was deleted.
    pub fn forget(&self, id: &str) {
        self.shelf().invalidate(id);
        if let Some(outgoing) = self.outgoing.as_ref().filter(|_| is_plain(id)) {
            outgoing.set(&kept_key(id), None);
        }
    }
}

impl Owner {
    /// The deployment, and behind a space the caller if there is one: both are names of config.
    fn written(&self) -> String {
        let Self { deployment, caller } = self;
        let caller = caller.name().into_iter().map(|name| format!(" {name}"));
        caller.fold(deployment.to_string(), |text, caller| text + &caller)
    }

    fn read(text: &str) -> Option<Self> {
        let (deployment, caller) = match text.split_once(' ') {
            Some((deployment, caller)) => (deployment, Caller::named(caller)),
            None => (text, Caller::default()),
        };
        Some(Self { deployment: DeploymentName::try_from(deployment).ok()?, caller })
    }
}

/// True for an id that may become part of an address.
pub(crate) fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    id.len() <= LONGEST_ID && id.bytes().all(plain)
}

fn kept_key(id: &str) -> String {
    format!("stored:{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_its_callers_alone() {
        let stored = StoredResponses::new(10);
        let deployment = DeploymentName::try_from("kr_ptu").unwrap();
        let (one, other) = (Caller::named("one"), Caller::default());
        stored.remember("resp_1", &deployment, &one);
        assert_eq!(stored.owner("resp_1", &one), Some(deployment.clone()));
        assert_eq!(stored.owner("resp_1", &other), None);
        assert_eq!(stored.holder("resp_1", &one), Holder::Caller(deployment.clone()));
        assert_eq!(stored.holder("resp_1", &other), Holder::Another);
        assert_eq!(stored.holder("resp_2", &one), Holder::Unknown);
        assert!(stored.knows("resp_1") && !stored.knows("resp_2"));
        assert_eq!(stored.owner("resp_2", &one), None);
        stored.forget("resp_1");
        assert_eq!(stored.owner("resp_1", &one), None);
        for odd in ["x".repeat(LONGEST_ID + 1), "a/../b".to_owned(), "a?b".to_owned()] {
            stored.remember(&odd, &deployment, &one);
            assert_eq!(stored.owner(&odd, &one), None, "{odd}");
        }
    }

    #[test]
    fn what_one_replica_remembers_another_hears() {
        let outgoing = Arc::new(Outgoing::default());
        let (here, there) =
            (StoredResponses::new(10).sharing(Arc::clone(&outgoing)), StoredResponses::new(10));
        let deployment = DeploymentName::try_from("kr_ptu").unwrap();
        for (id, caller) in [("resp_1", Caller::named("one")), ("resp_2", Caller::default())] {
            here.remember(id, &deployment, &caller);
            let key = there.key_elsewhere(id).unwrap();
            let values = outgoing.oldest(9);
            let [(shared, value)] = &values[..] else { panic!("{values:?}") };
            assert_eq!(*shared, key);
            outgoing.delivered(&values);
            there.hear(id, value.as_deref().unwrap());
            assert_eq!(there.owner(id, &caller), Some(deployment.clone()));
            assert_eq!(there.owner(id, &Caller::named("other")), None);
            assert_eq!(there.key_elsewhere(id), None, "it is known now");
        }
        here.forget("resp_1");
        assert_eq!(outgoing.oldest(9)[0].1, None);
        there.hear("resp_3", "NOT A NAME");
        assert!(!there.knows("resp_3"));
        assert_eq!(there.key_elsewhere("a/b"), None);
    }

    #[test]
    fn no_more_are_remembered_than_asked() {
        let stored = StoredResponses::new(5);
        let deployment = DeploymentName::try_from("d").unwrap();
        for number in 0..50 {
            stored.remember(&number.to_string(), &deployment, &Caller::default());
        }
        stored.shelf().run_pending_tasks();
        assert!(stored.shelf().entry_count() <= 5);
        let (before, clone) = (Caller::default(), stored.clone());
        let known = |stored: &StoredResponses| {
            (0..50u32).filter(|number| stored.owner(&number.to_string(), &before).is_some()).count()
        };
        let all = known(&stored);
        stored.resize(10);
        clone.remember("another", &deployment, &before);
        assert_eq!(known(&stored), all);
        assert!(stored.knows("another"), "a clone writes into the same");
    }
}
