//! All connections of a server: their maximum number, and which one is closed for a new one.
//!
//! It opens and closes no sockets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use router_core::memory::soft_limit;
use tokio::time::Instant;

use crate::bound_gauges::Count;
use crate::connection::Connection;

/// The most connections if the limit of open files allows more.
const MOST: usize = 10_000;
/// No default is smaller.
const LEAST: usize = 8;

/// The default limit of connections: three quarters of the files that this process may open. The rest is for
/// connections to upstreams, for logs, and for those that give way.
pub(crate) fn default_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    soft_limit(&limits, "Max open files").map_or(MOST, |files| (files / 4 * 3).clamp(LEAST, MOST))
}

/// The connections of a server.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// Their number, shared with the metrics.
    count: Count,
    next: u64,
    all: HashMap<u64, Arc<Connection>>,
}

impl Crowd {
    /// No connections yet.
    pub(crate) fn new(count: Count) -> Self {
        Self { count, ..Self::default() }
    }

    /// Their number.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    fn changed(&self) {
        self.count.used.store(self.all.len(), Ordering::Relaxed);
    }

    /// Takes a connection in; gives the number by which it leaves.
    pub(crate) fn enter(&mut self, connection: &Arc<Connection>) -> u64 {
        self.next += 1;
        self.all.insert(self.next, Arc::clone(connection));
        self.changed();
        self.next
    }

    /// It has ended.
    pub(crate) fn leave(&mut self, number: u64) {
        self.all.remove(&number);
        self.changed();
    }

    /// From now on no connection takes a further request.
    pub(crate) fn stop(&self) {
        self.all.values().for_each(|connection| connection.stop());
    }

    /// True if there is room for one more among `most`. If there is none, the most dispensable connection gives way; false
    /// if requests are under way on all.
    pub(crate) fn make_room(&mut self, most: usize) -> bool {
        self.count.most.store(most, Ordering::Relaxed);
        self.all.len() < most || self.dismiss()
    }

    /// Closes the most dispensable connection; false if requests are under way on all.
    pub(crate) fn dismiss(&mut self) -> bool {
        let idle = self.all.iter().filter_map(|(number, one)| Some((one.dispensable()?, *number)));
        let Some((_, number)) = idle.min() else { return false };
        if let Some(connection) = self.all.remove(&number) {
            connection.close();
        }
        self.changed();
        true
    }
}

/// Lines of the log about one cause: at most one a second, with how often it happened since the last.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    last: Option<Instant>,
    count: u64,
}

impl Seldom {
    /// It has happened; how often since the last line, if there shall be another.
    pub(crate) fn happened(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        let due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= SECOND);
        due.then(|| {
            self.last = Some(now);
            std::mem::take(&mut self.count)
        })
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_connection_without_a_request_gives_way_first_then_the_one_that_is_idle_longest() {
        let mut crowd = Crowd::default();
        let mut enter = || {
            let connection = Arc::new(Connection::new(Instant::now(), Arc::default()));
            (crowd.enter(&connection), connection)
        };
        let (_, used) = enter();
        drop(used.begin(None));
        let (_, busy) = enter();
        let answer = busy.begin(None);
        let (_, silent) = enter();
        assert!(crowd.make_room(4));
        assert_eq!(crowd.all.len(), 3);
        assert!(crowd.make_room(3));
        silent.closing().await;
        assert!(crowd.make_room(2));
        used.closing().await;
        assert!(!crowd.make_room(1), "a request is under way");
        drop(answer);
        assert!(crowd.make_room(1));
        busy.closing().await;
    }

    #[test]
    fn a_line_a_second_says_how_often() {
        let (mut seldom, now) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.happened(now), Some(1));
        assert!((0..84).all(|_| seldom.happened(now).is_none()));
        assert_eq!(seldom.happened(now + SECOND), Some(85));
    }
}
