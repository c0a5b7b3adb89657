//! Measures the load of each worker and selects the one that takes a fresh connection.
//!
//! A connection stays with its worker until it closes, so the choice is made once, when it is accepted. What counts first is
//! how much the workers have to do: running requests, and fresh connections whose first request is about to come. Idle
//! connections cost nothing and decide only between workers that are equally busy.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Load of one worker. Each worker writes it on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Load {
    /// Running requests, and connections that have not begun their first one.
    busy: AtomicUsize,
    connections: AtomicUsize,
}

impl Load {
    /// A connection is taken on; its first request counts from now.
    pub(crate) fn accepted(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection has closed.
    pub(crate) fn closed(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request begins that does not count yet.
    pub(crate) fn begun(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has ended, or a connection closes without one.
    pub(crate) fn ended(&self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    fn measure(&self) -> (usize, usize) {
        (self.busy.load(Ordering::Relaxed), self.connections.load(Ordering::Relaxed))
    }
}

/// The least busy of these loads.
pub(crate) fn least<'l, T: 'l>(
    loads: impl IntoIterator<Item = &'l T>,
    of: impl Fn(&T) -> &Load,
) -> Option<&'l T> {
    loads.into_iter().min_by_key(|load| of(load).measure())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_to_the_worker_with_the_fewest_requests_then_with_the_fewest_connections() {
        let loads: [Load; 2] = Default::default();
        let check = |expected: usize| {
            let found = least(&loads, |load| load).unwrap();
            assert_eq!(std::ptr::from_ref(found), std::ptr::from_ref(&loads[expected]));
        };
        check(0);
        loads[0].accepted();
        check(1);
        loads[1].accepted();
        check(0);
        // Its request has ended, and its connection is kept open.
        loads[1].ended();
        check(1);
        loads[0].ended();
        loads[0].accepted();
        loads[0].ended();
        check(1);
        loads[1].begun();
        check(0);
        loads[1].ended();
        loads[0].closed();
        loads[0].closed();
        check(0);
    }

    #[test]
    fn a_burst_of_fresh_connections_is_spread_evenly() {
        let loads: [Load; 4] = Default::default();
        loads[3].begun();
        (0..403).for_each(|_| least(&loads, |load| load).unwrap().accepted());
        assert_eq!(loads.each_ref().map(|load| load.measure().1), [101, 101, 101, 100]);
    }
}
