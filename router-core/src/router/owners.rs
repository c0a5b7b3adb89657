//! Asks the other replicas for the owner of a stored object, and for the reader of an encrypted
//! item, if this one does not know them.
//!
//! Known objects are never looked up, so most requests do not wait. Those that do wait at most as
//! long as config allows.

use crate::chat::ChatRequest;
use crate::chat::ContentHash;
use crate::encrypted_items::EncryptedItems;
use crate::replicas::Replicas;
use crate::stored::StoredResponses;

/// The most values that are asked for at once; those of what a request follows come first, then the newest items.
const MOST: usize = 64;

/// An object to look up.
enum Wanted<'i> {
    Stored(&'i str),
    Encrypted(ContentHash),
}

/// For all that a request names or brings back.
pub(super) async fn owners_elsewhere(
    request: &ChatRequest<'_>,
    stored: &StoredResponses,
    encrypted: &EncryptedItems,
    replicas: Option<&Replicas>,
) {
    let Some(replicas) = replicas else { return };
    let ids = request.previous_response().into_iter().chain(request.conversation());
    let ids = ids.chain(request.references().iter().map(|reference| &*reference.id));
    let ids = ids.filter_map(|id| Some((Wanted::Stored(id), stored.key_elsewhere(id)?)));
    let contents = request.encrypted().iter().rev().filter_map(|content| {
        Some((Wanted::Encrypted(*content), encrypted.key_elsewhere(*content)?))
    });
    let (wanted, keys): (Vec<_>, Vec<_>) = ids.chain(contents).take(MOST).unzip();
    if keys.is_empty() {
        return;
    }
    for (wanted, kept) in wanted.into_iter().zip(replicas.find(&keys).await) {
        match (wanted, kept) {
            (Wanted::Stored(id), Some(kept)) => stored.hear(id, &kept),
            (Wanted::Encrypted(content), Some(kept)) => encrypted.hear(content, &kept),
            (Wanted::Stored(_) | Wanted::Encrypted(_), None) => {}
        }
    }
}

/// For one stored response.
pub(super) async fn owner_elsewhere(id: &str, stored: &StoredResponses, replicas: &Replicas) {
    let Some(key) = stored.key_elsewhere(id) else { return };
    if let Some(Some(kept)) = replicas.find(&[key]).await.into_iter().next() {
        stored.hear(id, &kept);
    }
}
