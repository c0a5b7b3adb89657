//! Keeps large requests from holding up others: they are parsed and scored beside the threads that serve, few at a time.
//!
//! Small requests run where they are: a switch of threads costs more than they do. On a runtime of one thread all do, as
//! there is no other thread to serve on.

use tokio::runtime::Handle;
use tokio::runtime::RuntimeFlavor;
use tokio::sync::Semaphore;

use crate::memory::SMALL;

/// Parses and scores large requests.
#[derive(Debug)]
pub(super) struct Bulk(Semaphore);

impl Default for Bulk {
    /// As many at a time as half of the processors, but one.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Semaphore::new((processors / 2).max(1)))
    }
}

impl Bulk {
    /// Does the work for a request of so many bytes, when its turn has come.
    pub(super) async fn run<T>(&self, bytes: usize, work: impl FnOnce() -> T) -> T {
        if bytes <= SMALL {
            return work();
        }
        // It is never closed; if it were, nothing would be bounded and nothing lost.
        let turn = self.0.acquire().await;
        let done = aside(bytes, work);
        drop(turn);
        done
    }
}

/// Does the work for a request of so many bytes; a large one on this thread alone, whose other tasks move to another.
pub(super) fn aside<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let many = Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if bytes > SMALL && many { tokio::task::block_in_place(work) } else { work() }
}
