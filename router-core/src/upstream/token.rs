//! Caches the token of an identity, renews it before it expires, and never fetches it twice at the
//! same time.
//!
//! While a token is valid, at most one request fetches the next one, and the others continue with
//! the old one; a failed fetch then harms nobody and is not repeated for a while. Only without a
//! valid token do requests wait, all for the same fetch, and all get the same error. The source
//! performs the fetch; time comes from tokio.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

/// A token is fetched again so long before it ends, or after half of its life where that is later.
///
/// **Source:** Azure's SDK for Rust, `azure_identity`: 300 s.
const EARLY: Duration = Duration::from_secs(300);
/// A request that holds a good token waits no longer than this for the next one.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a failed fetch, a valid token is used for this long without another attempt.
const PAUSE: Duration = Duration::from_secs(10);

/// A token as the header that carries it, and how long it lives.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) lifetime: Duration,
}

/// The reason why there is no token; it names no secret and no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenFault {
    /// A secret or a setting cannot be read.
    #[error("{0}")]
    Unread(String),
    /// The issuer cannot be reached, or answered too late.
    #[error("the identity service cannot be reached")]
    Unreachable,
    /// It refuses.
    #[error("the identity service answers {status}{}", word.as_ref().map(|word| format!(": {word}")).unwrap_or_default())]
    Refused {
        /// The status.
        status: u16,
        /// Its word for it.
        word: Option<String>,
    },
    /// It answered with something else than a token.
    #[error("the identity service answers without a token")]
    Unreadable,
}

/// Source of tokens.
pub(super) trait TokenSource: Send + Sync {
    /// Fetches a new one.
    fn fetch(&self) -> impl Future<Output = Result<Token, TokenFault>> + Send;
}

/// The token of one identity.
#[derive(Debug)]
pub(super) struct Keeper<S> {
    source: S,
    kept: Mutex<Kept>,
    /// Held by the one who fetches.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    token: Option<Good>,
    /// Number of ended fetches, and the error of the last one if it failed.
    fetches: u64,
    fault: Option<TokenFault>,
}

#[derive(Debug, Clone)]
struct Good {
    header: HeaderValue,
    ends: Instant,
    renew: Instant,
}

impl<S: TokenSource> Keeper<S> {
    /// Nothing is fetched before it is asked for.
    pub(super) fn new(source: S) -> Self {
        Self { source, kept: Mutex::default(), flight: tokio::sync::Mutex::new(()) }
    }

    /// Source of its tokens.
    pub(super) fn source(&self) -> &S {
        &self.source
    }

    /// A token that still holds.
    ///
    /// # Errors
    /// There is none, and none can be fetched.
    pub(super) async fn token(&self) -> Result<HeaderValue, TokenFault> {
        let now = Instant::now();
        let (good, seen) = {
            let kept = self.kept();
            (kept.token.clone().filter(|good| good.ends > now), kept.fetches)
        };
        let Some(good) = good else { return self.next(seen).await };
        if good.renew <= now
            && let Ok(flight) = self.flight.try_lock()
        {
            // The fetch logs its own failure; the old token stays valid.
            drop(tokio::time::timeout(PATIENCE, self.fetch()).await);
            drop(flight);
            self.postpone();
            return Ok(self.kept().token.as_ref().map_or(good.header, |good| good.header.clone()));
        }
        Ok(good.header)
    }

    /// Another token than this one, which was refused.
    ///
    /// # Errors
    /// None can be fetched.
    pub(super) async fn instead_of(
        &self,
        refused: &HeaderValue,
    ) -> Result<HeaderValue, TokenFault> {
        let seen = {
            let mut kept = self.kept();
            match &kept.token {
                Some(good) if good.header != refused => return Ok(good.header.clone()),
                Some(_) | None => kept.token = None,
            }
            kept.fetches
        };
        self.next(seen).await
    }

    /// Result of the next fetch, whether this caller or another one performs it.
    async fn next(&self, seen: u64) -> Result<HeaderValue, TokenFault> {
        let flight = self.flight.lock().await;
        {
            let kept = self.kept();
            let good = kept.token.as_ref().filter(|good| good.ends > Instant::now());
            match (good, &kept.fault) {
                (Some(good), _) => return Ok(good.header.clone()),
                (None, Some(fault)) if kept.fetches != seen => return Err(fault.clone()),
                (None, _) => {}
            }
        }
        let fetched = self.fetch().await;
        drop(flight);
        fetched
    }

    async fn fetch(&self) -> Result<HeaderValue, TokenFault> {
        let fetched = self.source.fetch().await;
        let now = Instant::now();
        let mut kept = self.kept();
        kept.fetches += 1;
        match fetched {
            Ok(Token { header, lifetime }) => {
                let renew = now + lifetime.saturating_sub(EARLY).max(lifetime / 2);
                let good = Good { header: header.clone(), ends: now + lifetime, renew };
                kept.token = Some(good);
                kept.fault = None;
                Ok(header)
            }
            Err(fault) => {
                kept.fault = Some(fault.clone());
                Err(fault)
            }
        }
    }

    /// After a fetch that brought nothing, the next early one waits.
    fn postpone(&self) {
        let now = Instant::now();
        if let Some(good) = &mut self.kept().token
            && good.renew <= now
        {
            good.renew = now + PAUSE;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use futures_util::future::join_all;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Hands out numbered tokens that live an hour, each after a second, or what is scripted.
    #[derive(Debug, Default)]
    struct Scripted {
        fetched: Mutex<u32>,
        faults: Mutex<VecDeque<TokenFault>>,
    }

    impl TokenSource for Arc<Scripted> {
        async fn fetch(&self) -> Result<Token, TokenFault> {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let count = {
                let mut fetched = self.fetched.lock().unwrap();
                *fetched += 1;
                *fetched
            };
            match self.faults.lock().unwrap().pop_front() {
                Some(fault) => Err(fault),
                None => Ok(Token { header: value(count), lifetime: 60 * MINUTE }),
            }
        }
    }

    fn value(count: u32) -> HeaderValue {
        HeaderValue::from_str(&format!("Bearer token-{count}")).unwrap()
    }

    fn keeper() -> (Arc<Scripted>, Keeper<Arc<Scripted>>) {
        let source = Arc::new(Scripted::default());
        (Arc::clone(&source), Keeper::new(source))
    }

    fn fetched(source: &Scripted) -> u32 {
        *source.fetched.lock().unwrap()
    }

    async fn many(keeper: &Keeper<Arc<Scripted>>) -> Vec<Result<HeaderValue, TokenFault>> {
        join_all((0..50).map(|_| keeper.token())).await
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_wait_for_one_fetch() {
        let (source, keeper) = keeper();
        assert_eq!(many(&keeper).await, vec![Ok(value(1)); 50]);
        tokio::time::advance(54 * MINUTE).await;
        assert_eq!(many(&keeper).await, vec![Ok(value(1)); 50]);
        assert_eq!(fetched(&source), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_fetched_anew_before_it_ends_by_one_and_the_others_do_not_wait() {
        let (source, keeper) = keeper();
        keeper.token().await.unwrap();
        tokio::time::advance(55 * MINUTE + Duration::from_secs(1)).await;
        let found = many(&keeper).await;
        assert_eq!(found.iter().filter(|found| **found == Ok(value(2))).count(), 1);
        assert_eq!(found.iter().filter(|found| **found == Ok(value(1))).count(), 49);
        assert_eq!((many(&keeper).await, fetched(&source)), (vec![Ok(value(2)); 50], 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_fetch_that_fails_harms_nobody_until_the_token_ends() {
        let (source, keeper) = keeper();
        keeper.token().await.unwrap();
        source.faults.lock().unwrap().extend([TokenFault::Unreachable, TokenFault::Unreadable]);
        tokio::time::advance(56 * MINUTE).await;
        for _ in 0..5 {
            assert_eq!(keeper.token().await, Ok(value(1)));
        }
        assert_eq!(fetched(&source), 2, "one try, then a pause");
        tokio::time::advance(5 * MINUTE).await;
        assert_eq!(many(&keeper).await, vec![Err(TokenFault::Unreadable); 50], "one fault for all");
        assert_eq!(fetched(&source), 3);
        assert_eq!(keeper.token().await, Ok(value(4)), "the next request tries again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_replaced_once_for_all_who_used_it() {
        let (source, keeper) = keeper();
        let first = keeper.token().await.unwrap();
        let found = join_all((0..50).map(|_| keeper.instead_of(&first))).await;
        assert_eq!(found, vec![Ok(value(2)); 50]);
        assert_eq!(fetched(&source), 2);
        assert_eq!(keeper.instead_of(&first).await, Ok(value(2)));
        assert_eq!(fetched(&source), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_gives_up_leaves_the_fetch_to_the_next() {
        let (source, keeper) = keeper();
        let given_up = tokio::time::timeout(Duration::from_millis(500), keeper.token()).await;
        assert!(given_up.is_err());
        assert_eq!((keeper.token().await, fetched(&source)), (Ok(value(1)), 1));
    }
}
