//! Parses and scores large requests on the blocking pool, few at a time, so that they do not delay
//! others.
//!
//! Small requests run where they are: switching threads costs more than they do.

use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::memory::SMALL;

/// Parses and scores large requests.
#[derive(Debug)]
pub(super) struct Bulk(Arc<Semaphore>);

impl Default for Bulk {
    /// Half of the processors at a time, at least one.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Arc::new(Semaphore::new((processors / 2).max(1))))
    }
}

impl Bulk {
    /// Does the work for a request of so many bytes, when its turn has come. Work that has begun keeps its turn until it is
    /// done, even if nobody awaits it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if bytes <= SMALL {
            return work();
        }
        // It is never closed; if it were, nothing would be bounded and nothing lost.
        let turn = Arc::clone(&self.0).acquire_owned().await;
        let done = spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        match done.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime shuts down, and drops this request next.
            Err(Err(_)) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::ThreadId;

    use super::*;

    fn here() -> ThreadId {
        std::thread::current().id()
    }

    #[tokio::test]
    async fn large_requests_leave_the_thread_that_serves_and_small_ones_stay() {
        let bulk = Bulk::default();
        assert_eq!(bulk.run(SMALL, here).await, here());
        assert_ne!(bulk.run(SMALL + 1, here).await, here());
    }

    #[tokio::test]
    async fn a_turn_is_kept_until_the_work_is_done_although_nobody_awaits_it() {
        let bulk = Bulk(Arc::new(Semaphore::new(1)));
        let (go_on, waits) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let work = move || {
            assert!(begun.send(()).is_ok());
            assert!(waits.recv().is_err());
        };
        tokio::select! {
            () = bulk.run(SMALL + 1, work) => {}
            _ = begins => {}
        }
        assert_eq!(bulk.0.available_permits(), 0);
        drop(go_on);
        bulk.run(SMALL + 1, || ()).await;
    }
}
