//! Remembers which endpoint can decrypt which encrypted item.
//!
//! Encrypted reasoning can be decrypted by the resource that created it, by all of its models, and
//! by no other. A request that brings such items back belongs there, whether or not the service
//! stores anything. Each content is remembered as a hash with its endpoint, for all callers:
//! whoever brings the content back already has it. The number is bounded, the oldest are forgotten
//! first, and replicas share them like stored responses.
//!
//! Not done here: waiting for that endpoint (`fallback/readers.rs`), and removing items that cannot
//! be decrypted (`chat/encrypted.rs`).

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crate::chat::ContentHash;
use crate::deployment::EndpointName;
use crate::replicas::Outgoing;

/// The time for which services keep stored responses, which conversations of this kind replace.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Remembers which endpoint can decrypt which item. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct EncryptedItems {
    shelf: Arc<RwLock<Shelf>>,
    /// Shares the entries with other replicas.
    outgoing: Option<Arc<Outgoing>>,
}

type Shelf = moka::sync::Cache<ContentHash, EndpointName>;

fn shelf(most: u64) -> Shelf {
    moka::sync::Cache::builder().max_capacity(most).time_to_live(KEPT).build()
}

impl EncryptedItems {
    /// Remembers at most this many.
    pub(crate) fn new(most: u64) -> Self {
        Self { shelf: Arc::new(RwLock::new(shelf(most))), outgoing: None }
    }

    /// The same, and keeps new entries for other replicas.
    #[must_use]
    pub(crate) fn sharing(self, outgoing: Arc<Outgoing>) -> Self {
        Self { outgoing: Some(outgoing), ..self }
    }

    /// Limits the number of entries from now on; present ones stay as far as they fit.
    pub(crate) fn resize(&self, most: u64) {
        let mut current = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if current.policy().max_capacity() != Some(most) {
            let resized = shelf(most);
            current.iter().for_each(|(hash, endpoint)| resized.insert(*hash, endpoint));
            *current = resized;
        }
    }

    fn shelf(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// This endpoint can read the content.
    pub(crate) fn remember(&self, content: ContentHash, endpoint: &EndpointName) {
        if self.shelf().get(&content).as_ref() == Some(endpoint) {
            return;
        }
        if let Some(outgoing) = &self.outgoing {
            outgoing.set(&kept_key(content), Some(endpoint.as_str()));
        }
        self.shelf().insert(content, endpoint.clone());
    }

    /// The key under which replicas keep a content's endpoint; `None` if it is known here.
    pub(crate) fn key_elsewhere(&self, content: ContentHash) -> Option<Box<str>> {
        (!self.shelf().contains_key(&content)).then(|| kept_key(content).into())
    }

    /// The shared record of a content; an unreadable one counts as unknown.
    pub(crate) fn hear(&self, content: ContentHash, kept: &str) {
        if let Ok(endpoint) = EndpointName::try_from(kept) {
            self.shelf().insert(content, endpoint);
        }
    }

    /// Endpoints that can decrypt each of these contents.
    pub(crate) fn readers(&self, contents: &[ContentHash]) -> Readers {
        if contents.is_empty() {
            return Readers::default();
        }
        let shelf = self.shelf();
        Readers(contents.iter().map(|content| (*content, shelf.get(content))).collect())
    }
}

fn kept_key(content: ContentHash) -> String {
    format!("encrypted:{content}")
}

/// Endpoints that can decrypt each encrypted content of a request, in the order of its items; `None` if unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Readers(Vec<(ContentHash, Option<EndpointName>)>);

impl Readers {
    /// The endpoint that can read the newest content of which anything is known.
    pub(crate) fn endpoint(&self) -> Option<&EndpointName> {
        self.0.iter().rev().find_map(|(_, endpoint)| endpoint.as_ref())
    }

    /// The contents that this endpoint surely cannot read.
    pub(crate) fn unreadable_at(&self, endpoint: &EndpointName) -> Vec<ContentHash> {
        let elsewhere = |reader: &EndpointName| reader != endpoint;
        let contents = self.0.iter();
        let contents = contents.filter(|(_, reader)| reader.as_ref().is_some_and(elsewhere));
        contents.map(|(content, _)| *content).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: &str) -> EndpointName {
        EndpointName::try_from(name).unwrap()
    }

    #[test]
    fn the_newest_known_content_decides_and_the_others_are_told() {
        let items = EncryptedItems::new(10);
        let [old, unknown, new] = ["a", "b", "c"].map(ContentHash::of);
        items.remember(old, &endpoint("kr"));
        items.remember(new, &endpoint("us"));
        let readers = items.readers(&[old, new, unknown]);
        assert_eq!(readers.endpoint(), Some(&endpoint("us")));
        assert_eq!(readers.unreadable_at(&endpoint("us")), [old]);
        assert_eq!(readers.unreadable_at(&endpoint("eu")), [old, new]);
        assert_eq!(items.readers(&[unknown]).endpoint(), None);
        assert!(items.readers(&[unknown]).unreadable_at(&endpoint("eu")).is_empty());
        assert_eq!(items.readers(&[]), Readers::default());
    }

    #[test]
    fn replicas_hear_once_of_what_one_remembers() {
        let outgoing = Arc::new(Outgoing::default());
        let (here, there) =
            (EncryptedItems::new(10).sharing(Arc::clone(&outgoing)), EncryptedItems::new(10));
        let content = ContentHash::of("a");
        here.remember(content, &endpoint("kr"));
        here.remember(content, &endpoint("kr"));
        let values = outgoing.oldest(9);
        let [(key, value)] = &values[..] else { panic!("{values:?}") };
        assert_eq!(there.key_elsewhere(content).as_ref(), Some(key));
        there.hear(content, "NOT A NAME");
        assert_eq!(there.readers(&[content]).endpoint(), None);
        there.hear(content, value.as_deref().unwrap());
        assert_eq!(there.readers(&[content]).endpoint(), Some(&endpoint("kr")));
        assert_eq!(there.key_elsewhere(content), None, "it is known now");
    }

    #[test]
    fn no_more_are_remembered_than_asked() {
        let items = EncryptedItems::new(5);
        for number in 0..50 {
            items.remember(ContentHash::of(&number.to_string()), &endpoint("kr"));
        }
        items.shelf().run_pending_tasks();
        assert!(items.shelf().entry_count() <= 5);
        let clone = items.clone();
        items.resize(10);
        clone.remember(ContentHash::of("x"), &endpoint("kr"));
        assert_eq!(items.readers(&[ContentHash::of("x")]).endpoint(), Some(&endpoint("kr")));
    }
}
