//! Decides which connection a request to an upstream uses, how long connections live, and when they
//! are considered dead.
//!
//! A connection pool belongs to a client, and a client cannot drop a connection that it believes
//! alive. Connections are therefore replaced by generations: a new client takes the new requests,
//! the old one is dropped, and its connections close when their last response ends. This happens at
//! the end of a generation's life, so that DNS changes take effect, and after a response that never
//! came, so that no later request uses the same dead connection.
//!
//! If all connections are HTTP/1.1, one client holds them. An HTTP/2 client would send everything
//! over one connection, where one unread response delays the others. It is therefore exclusive: it
//! serves one request at a time, and a request that finds all clients busy gets another one.
//!
//! A connection is driven by the runtime that opened it, so each runtime has its own clients: a
//! request never waits for a thread other than its own.
//!
//! Not done here: creating a client (`dial.rs`), and noticing that a response does not come
//! (`fallback`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::runtime::Id;
use tokio::time::Instant;

/// An attempt may have opened its generation shortly after it began.
const OPENING: Duration = Duration::from_secs(1);

/// Limits on the use of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// No request starts on a connection older than this.
    pub(super) max_age: Duration,
    /// True if a client serves one request at a time.
    pub(super) exclusive: bool,
}

/// The clients of one upstream, each the owner of its connections.
pub(super) struct Generations<C> {
    terms: Terms,
    make: Box<dyn Fn() -> Option<C> + Send + Sync>,
    live: Mutex<Vec<Generation<C>>>,
}

#[derive(Debug)]
struct Generation<C> {
    client: C,
    made: Instant,
    /// The runtime that drives its connections; `None` outside any.
    runtime: Option<Id>,
    /// Cloned for each request in flight.
    slot: Slot,
}

/// A request's claim on a client, given up when it is dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot(Arc<()>);

impl Slot {
    /// A response body that keeps the place until it is dropped.
    pub(super) fn held_by<T>(self, body: impl Stream<Item = T>) -> impl Stream<Item = T> {
        // The closure owns the place.
        body.inspect(move |_| debug_assert!(Arc::strong_count(&self.0) > 0))
    }
}

impl<C> std::fmt::Debug for Generations<C> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Generations").field("terms", &self.terms).finish_non_exhaustive()
    }
}

impl<C: Clone> Generations<C> {
    /// Clients are made when they are needed.
    pub(super) fn new(terms: Terms, make: impl Fn() -> Option<C> + Send + Sync + 'static) -> Self {
        Self { terms, make: Box::new(make), live: Mutex::default() }
    }

    /// The client for the next request of this runtime; `None` if none can be made.
    pub(super) fn pick(&self, now: Instant) -> Option<(C, Slot)> {
        let runtime = Handle::try_current().ok().map(|handle| handle.id());
        let mut live = self.live();
        live.retain(|generation| now < generation.made + self.terms.max_age);
        // The first ones serve most, so that those made for a burst fall idle and lose their connections.
        let free = |generation: &&Generation<C>| {
            generation.runtime == runtime
                && (!self.terms.exclusive || Arc::strong_count(&generation.slot.0) == 1)
        };
        if let Some(Generation { client, slot, .. }) = live.iter().find(free) {
            return Some((client.clone(), slot.clone()));
        }
        let client = (self.make)()?;
        let slot = Slot::default();
        live.push(Generation { client: client.clone(), made: now, runtime, slot: slot.clone() });
        Some((client, slot))
    }

    /// A client whose connection is new, for one request whose connection died under it. Other connections are well, and stay.
    pub(super) fn fresh(&self) -> Option<C> {
        (self.make)()
    }

    /// The response to an attempt that began at `began` never came: later requests use new connections.
    pub(super) fn fell_silent(&self, began: Instant) {
        self.live().retain(|generation| generation.made > began + OPENING);
    }

    fn live(&self) -> MutexGuard<'_, Vec<Generation<C>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const AGE: Duration = Duration::from_secs(600);

    /// Clients are numbered from 0.
    fn numbered(exclusive: bool) -> Generations<usize> {
        let made = AtomicUsize::new(0);
        let make = move || Some(made.fetch_add(1, Ordering::Relaxed));
        Generations::new(Terms { max_age: AGE, exclusive }, make)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_serves_until_its_age() {
        let generations = numbered(false);
        let start = Instant::now();
        let at = |after: Duration| generations.pick(start + after).unwrap().0;
        assert_eq!([at(Duration::ZERO), at(Duration::from_secs(599))], [0, 0]);
        assert_eq!([at(AGE), at(AGE + AGE / 2), at(AGE + AGE)], [1, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_ends_the_client_it_was_on_and_no_later_one() {
        let generations = numbered(false);
        let began = Instant::now();
        assert_eq!(generations.pick(began).unwrap().0, 0);
        let later = began + Duration::from_secs(60);
        generations.fell_silent(began);
        assert_eq!(generations.pick(later).unwrap().0, 1);
        generations.fell_silent(began + Duration::from_secs(30));
        assert_eq!(generations.pick(later).unwrap().0, 1, "made after that attempt");
    }

    #[tokio::test(start_paused = true)]
    async fn an_exclusive_client_serves_one_request_at_a_time() {
        let generations = numbered(true);
        let now = Instant::now();
        let picked: Vec<_> = (0..3).map(|_| generations.pick(now).unwrap()).collect();
        let clients: Vec<usize> = picked.iter().map(|(client, _)| *client).collect();
        assert_eq!(clients, [0, 1, 2]);
        drop(picked);
        assert_eq!(generations.pick(now).unwrap().0, 0);
    }

    #[test]
    fn each_runtime_has_clients_of_its_own() {
        let generations = numbered(false);
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (one, other) = (runtime(), runtime());
        let now = Instant::now();
        let pick = || generations.pick(now).unwrap().0;
        let picked = [&one, &other, &one, &other].map(|runtime| runtime.block_on(async { pick() }));
        assert_eq!(picked, [0, 1, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fresh_client_leaves_the_others_alone() {
        for exclusive in [false, true] {
            let generations = numbered(exclusive);
            let now = Instant::now();
            assert_eq!(generations.pick(now).unwrap().0, 0);
            assert_eq!(generations.fresh(), Some(1));
            assert_eq!(generations.pick(now).unwrap().0, 0);
        }
    }
}
