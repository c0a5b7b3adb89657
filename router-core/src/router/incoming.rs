//! A parsed request: the call, its view, its hints, and the endpoints that can decrypt its
//! encrypted items.
//!
//! Not done here: deciding (`model_router.rs`), and asking other replicas (`owners.rs`).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use yoke::{Yoke, Yokeable};

use crate::capacity::Asker;
use crate::capacity::CapClass;
use crate::capacity::Conversation;
use crate::chat::ChatRequest;
use crate::encrypted_items::Readers;
use crate::error::RouteError;
use crate::policy::CacheKey;
use crate::policy::Hints;

use super::call::ChatCall;

/// A request that has been read, with the call that it borrows from: it can move to another thread.
pub(super) type OwnedIncoming = Yoke<Incoming<'static>, Arc<ChatCall>>;

/// Reads a call that is kept with what was read.
pub(super) fn read(call: Arc<ChatCall>, max_messages: usize) -> Result<OwnedIncoming, RouteError> {
    Yoke::try_attach_to_cart(call, |call| Incoming::read(call, max_messages))
}

/// A request that has been read.
#[derive(Debug, Yokeable)]
pub(super) struct Incoming<'c> {
    pub(super) call: &'c ChatCall,
    pub(super) request: ChatRequest<'c>,
    pub(super) hints: Hints,
    /// The endpoints known to decrypt its items.
    pub(super) readers: Readers,
    /// Hashed once: decision, attempts and cache ask for it.
    asker: OnceLock<Asker>,
}

impl<'c> Incoming<'c> {
    /// Reads a call; who can read its encrypted items is to be looked up.
    pub(super) fn read(call: &'c ChatCall, max_messages: usize) -> Result<Self, RouteError> {
        let request = call.request(max_messages)?;
        call.rights.check_fields(&request)?;
        call.rights.check_tools(&request)?;
        let hints = call.hints()?;
        let (readers, asker) = (Readers::default(), OnceLock::new());
        Ok(Self { call, request, hints, readers, asker })
    }

    /// The `prompt_cache_key` that is sent if the caller sends none.
    pub(super) fn cache_key(&self, wanted: CacheKey) -> Option<Box<str>> {
        match wanted {
            CacheKey::Off => None,
            CacheKey::Derive => Some(self.asker().cache_key()),
        }
    }

    /// The conversation, and the caller if it is known. The hash keeps names out of memory and logs.
    pub(super) fn asker(&self) -> Asker {
        *self.asker.get_or_init(|| self.hashed())
    }

    fn hashed(&self) -> Asker {
        let mut caller = DefaultHasher::new();
        (&self.call.caller, self.request.user()).hash(&mut caller);
        let conversation = Conversation::of(&self.request, self.hints.session.as_deref());
        let class = CapClass::of(self.request.max_output());
        let mut key = DefaultHasher::new();
        self.call.caller.hash(&mut key);
        Asker { conversation, caller: caller.finish(), key: key.finish(), class }
    }
}
