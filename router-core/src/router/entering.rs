//! Admits requests by their heads, before their bodies are read, and holds their keys' slots.
//!
//! Not done here: checks that need the body, such as tokens and money (`charging.rs`).

use std::sync::Arc;

use tokio::time::Instant;

use crate::clock;
use crate::decision::Moment;
use crate::error::RouteError;
use crate::ledger::Slot;
use crate::memory::Budget;
use crate::upstream::Upstream;

use super::audit;
use super::call::{ChatCall, StoredCall};
use super::model_router::ModelRouter;
use super::open_request::OpenRequest;

impl<U: Upstream> ModelRouter<U> {
    /// The budget of all answers that are not streamed; a router that takes this one's place goes on with it.
    pub fn response_memory(&self) -> &Arc<Budget> {
        self.fallback().response_memory()
    }

    /// Lets a request in by its head alone: its key's rate of requests, and whether the key has a slot free. `share` is how
    /// many slots a key without a bound of its own may hold. The request counts against the rate from here on, unless it is
    /// refused before anything is sent.
    ///
    /// # Errors
    /// The limit that leaves no room; observers and metrics know of the refusal.
    pub fn enter(&self, call: &mut ChatCall, share: Option<u64>) -> Result<(), RouteError> {
        let Some(key) = call.caller.name() else { return Ok(()) };
        match self.ledger().enter(key, &call.allowance, share, now()) {
            Ok(entry) => {
                call.entry = Some(Arc::new(entry));
                Ok(())
            }
            Err(reached) => Err(self.refuse(call, reached.into())),
        }
    }

    /// Takes one of the key's slots for a request that was let in; free again when it is dropped. `None` without a key.
    ///
    /// # Errors
    /// All were taken since; observers and metrics know of the refusal.
    pub fn occupy(&self, call: &ChatCall) -> Result<Option<Slot>, RouteError> {
        let slot = call.entry.as_ref().map(|entry| entry.occupy(now())).transpose();
        slot.map_err(|reached| self.refuse(call, reached.into()))
    }

    /// Tells observers and metrics of a request that is refused before it is routed.
    pub fn refuse(&self, call: &ChatCall, error: RouteError) -> RouteError {
        let inner = self.inner();
        let mut open = OpenRequest::new(call, &inner.observers, &inner.metrics);
        audit::refused(&inner.metrics, &error, &call.caller, &call.rights, &call.headers);
        open.refused(error.kind());
        error
    }

    /// Lets a call of a stored response in, with a slot of its key; `None` without a key.
    ///
    /// # Errors
    /// The key's rate of requests or its slots leave no room.
    pub fn enter_stored(
        &self,
        call: &mut StoredCall,
        share: Option<u64>,
    ) -> Result<Option<Slot>, RouteError> {
        let Some(key) = call.caller.name() else { return Ok(None) };
        let entry = self.ledger().enter(key, &call.allowance, share, now());
        let entered = entry.and_then(|entry| {
            let slot = entry.occupy(now())?;
            // It needs no tokens, so that nothing is set aside for it.
            entry.count();
            call.entry = Some(Arc::new(entry));
            Ok(Some(slot))
        });
        entered.map_err(|reached| {
            let error = RouteError::from(reached);
            self.metrics().refused(error.kind());
            error
        })
    }
}

fn now() -> Moment {
    Moment { now: Instant::now(), today: clock::day(clock::wall()) }
}
