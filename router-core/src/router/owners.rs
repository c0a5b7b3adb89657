//! Asks the other replicas who made what a request needs, where it is not known here. Nothing that is known is asked for, so
//! most requests wait for nobody; those that do wait at most as long as config allows.

use crate::chat::ChatRequest;
use crate::state::Replicas;
use crate::stored::StoredResponses;

/// The most ids that are asked for at once; those that a request follows come first.
const MOST: usize = 64;

/// For all that a request names.
pub(super) async fn owners_elsewhere(
    request: &ChatRequest<'_>,
    stored: &StoredResponses,
    replicas: Option<&Replicas>,
) {
    let Some(replicas) = replicas else { return };
    let ids = request.previous_response().into_iter().chain(request.conversation());
    let ids = ids.chain(request.references().iter().map(|reference| &*reference.id));
    ask(ids, stored, replicas).await;
}

/// For one stored response.
pub(super) async fn owner_elsewhere(id: &str, stored: &StoredResponses, replicas: &Replicas) {
    ask([id].into_iter(), stored, replicas).await;
}

async fn ask<'i>(
    ids: impl Iterator<Item = &'i str>,
    stored: &StoredResponses,
    replicas: &Replicas,
) {
    let unknown = ids.filter_map(|id| Some((id, stored.key_elsewhere(id)?)));
    let (ids, keys): (Vec<_>, Vec<_>) = unknown.take(MOST).unzip();
    if keys.is_empty() {
        return;
    }
    for (id, kept) in ids.into_iter().zip(replicas.find(&keys).await) {
        if let Some(kept) = kept {
            stored.hear(id, &kept);
        }
    }
}
