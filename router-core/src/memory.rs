//! Memory budgets that requests and answers share, and the container's limit from which their
//! defaults follow.
//!
//! A holder pays for bytes that have arrived, never for announced bytes. Small holders may use the
//! whole budget; large ones leave an eighth of it free, so that small requests are still admitted
//! under pressure. One of several keys may hold at most half of it, so that its slow readers and
//! senders leave room for others. Nobody waits for memory: a holder that waited with half of its bytes would keep
//! the memory for which others wait.
//!
//! This module does not allocate: whoever holds bytes accounts for them here and drops the guard
//! with them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Up to so many bytes a holder is small.
pub const SMALL: usize = 256 << 10;

/// The budget if no memory limit is known.
const UNLIMITED_DEFAULT: usize = 256 << 20;

/// No default is smaller, however small the container.
const LEAST_DEFAULT: usize = 16 << 20;

/// A number of bytes that many holders share.
#[derive(Debug)]
pub struct Budget {
    most: AtomicUsize,
    held: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(most: usize) -> Self {
        Self { most: AtomicUsize::new(most), held: AtomicUsize::new(0) }
    }

    /// Sets the size of the budget; held bytes stay held.
    pub fn resize(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Size in bytes.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// A holder of nothing yet.
    pub fn holder(self: &Arc<Self>) -> Held {
        self.holder_of(None)
    }

    /// A holder of nothing yet, whose bytes also count against what one of several keys may hold.
    pub fn holder_of(self: &Arc<Self>, share: Option<&Arc<Share>>) -> Held {
        Held { budget: Arc::clone(self), share: share.cloned(), bytes: AtomicUsize::new(0) }
    }
}

/// The part of a budget that one of several keys holds: at most half of it.
#[derive(Debug, Default)]
pub struct Share(AtomicUsize);

impl Share {
    /// The number of bytes that the key holds.
    pub fn held(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn grow(&self, more: usize, most: usize) -> Result<(), MemoryShort> {
        let grown = |held: usize| held.checked_add(more).filter(|held| *held <= most);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, grown).map(drop).map_err(|_| MemoryShort)
    }

    fn release(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The part of each budget that one of several keys holds.
#[derive(Debug, Default)]
pub struct Shares {
    /// Of the memory for request bodies.
    pub bodies: Arc<Share>,
    /// Of the memory for answers.
    pub responses: Arc<Share>,
}

/// The budget has no space for so many bytes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the router's memory for requests and answers is in use; try again")]
pub struct MemoryShort;

/// Bytes held of a budget, returned when this is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<Budget>,
    share: Option<Arc<Share>>,
    bytes: AtomicUsize,
}

impl Held {
    /// Holds so many bytes more.
    ///
    /// # Errors
    /// The bytes do not fit; nothing has changed.
    pub fn grow(&self, more: usize) -> Result<(), MemoryShort> {
        let own = self.bytes.load(Ordering::Relaxed).saturating_add(more);
        let most = self.budget.most();
        let most = if own <= SMALL { most } else { most - most / 8 };
        if let Some(share) = &self.share {
            share.grow(more, self.budget.most() / 2)?;
        }
        let grown = |held: usize| held.checked_add(more).filter(|held| *held <= most);
        let order = Ordering::Relaxed;
        if self.budget.held.fetch_update(order, order, grown).is_err() {
            self.share.iter().for_each(|share| share.release(more));
            return Err(MemoryShort);
        }
        self.bytes.fetch_add(more, order);
        Ok(())
    }

    /// Gives back what it holds; the bytes themselves have been dropped.
    pub fn release(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.give_back(bytes);
    }

    /// Another holder of nothing yet, of the same budget and for the same key.
    #[must_use]
    pub fn another(&self) -> Self {
        self.budget.holder_of(self.share.as_ref())
    }

    fn give_back(&self, bytes: usize) {
        self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
        self.share.iter().for_each(|share| share.release(bytes));
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The bytes, with the memory that they occupy: it is returned when the last reference is dropped.
    #[must_use]
    pub fn keep(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Kept { bytes, _held: self })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        self.give_back(bytes);
    }
}

struct Kept {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The default of a budget: a quarter of what this process may use, or 256 MiB if that is not limited.
pub fn default_budget() -> usize {
    limit().map_or(UNLIMITED_DEFAULT, |limit| (limit / 4).max(LEAST_DEFAULT))
}

/// The memory limit of this process: the least of its container's limit (cgroup, both versions) and half of its address
/// space's, of which allocators reserve much that they never use. `None` if neither is limited.
///
/// **Source:** Linux, "Control Group v2", `memory.max`; cgroup v1, `memory.limit_in_bytes`; proc(5), `limits`.
pub fn limit() -> Option<usize> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let root = Path::new("/sys/fs/cgroup");
    let of_groups = group_files(&groups).into_iter().filter_map(|file| {
        let text = std::fs::read_to_string(root.join(file)).ok()?;
        text.trim().parse::<usize>().ok()
    });
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    // Without a limit version 1 has a number close to the greatest.
    let real = |bytes: &usize| *bytes < usize::MAX / 4;
    let space = soft_limit(&limits, "Max address space").map(|space| space / 2);
    of_groups.chain(space).filter(real).min()
}

/// A soft limit of this process, by its name in `/proc/self/limits`; `None` if it is not limited.
pub fn soft_limit(limits: &str, name: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The files that can hold this process's limit, below the file system of cgroups. A container sees its own group as the
/// root.
fn group_files(groups: &str) -> Vec<String> {
    let mut files = vec!["memory.max".to_owned(), "memory/memory.limit_in_bytes".to_owned()];
    for line in groups.lines() {
        match line.splitn(3, ':').collect::<Vec<_>>().as_slice() {
            [_, "", path] => files.push(format!("{}/memory.max", path.trim_start_matches('/'))),
            [_, controllers, path] if controllers.split(',').any(|name| name == "memory") => {
                files.push(format!("memory{}/memory.limit_in_bytes", path.trim_end_matches('/')));
            }
            _ => {}
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_by_the_drop_and_small_holders_use_all_of_it() {
        let budget = Arc::new(Budget::new(8 << 20));
        let large = budget.holder();
        assert_eq!(large.grow(7 << 20), Ok(()));
        assert_eq!(large.grow(1), Err(MemoryShort), "an eighth is left to small ones");
        assert_eq!((large.bytes(), budget.held()), (7 << 20, 7 << 20), "a refusal changes nothing");
        let small: Vec<_> = (0..4).map(|_| budget.holder()).collect();
        assert!(small.iter().all(|one| one.grow(SMALL).is_ok()));
        assert_eq!(budget.holder().grow(1), Err(MemoryShort));
        drop(small);
        assert_eq!(budget.holder().grow(1), Ok(()));
        drop(large);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn one_of_several_keys_holds_at_most_half() {
        let budget = Arc::new(Budget::new(8 << 20));
        let share = Arc::new(Share::default());
        let one = budget.holder_of(Some(&share));
        assert_eq!(one.grow(3 << 20), Ok(()));
        let two = one.another();
        assert_eq!(two.grow((1 << 20) + 1), Err(MemoryShort));
        assert_eq!((share.held(), budget.held()), (3 << 20, 3 << 20), "a refusal changes nothing");
        assert_eq!(two.grow(1 << 20), Ok(()));
        let other = budget.holder();
        assert_eq!(other.grow(3 << 20), Ok(()));
        two.release();
        assert_eq!(other.grow((1 << 20) + 1), Err(MemoryShort), "an eighth is left to small ones");
        assert_eq!(other.grow(1 << 20), Ok(()));
        assert_eq!(two.grow(1 << 20), Err(MemoryShort));
        assert_eq!(share.held(), 3 << 20, "nor does a refusal by the budget");
        drop((one, two, other));
        assert_eq!((share.held(), budget.held()), (0, 0));
    }

    #[test]
    fn room_is_held_until_the_last_reference_is_dropped() {
        let budget = Arc::new(Budget::new(100));
        let held = budget.holder();
        held.grow(5).unwrap();
        let bytes = held.keep(Bytes::from_static(b"12345"));
        let part = bytes.slice(1..2);
        drop(bytes);
        assert_eq!((&part[..], budget.held()), (&b"2"[..], 5));
        drop(part);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn limits_are_read_as_the_system_writes_them() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            256                  4096                 files     \n\
                      Max address space         unlimited            unlimited            bytes     \n";
        assert_eq!(soft_limit(limits, "Max open files"), Some(256));
        assert_eq!(soft_limit(limits, "Max address space"), None);
        let files = group_files("4:memory:/docker/a\n0::/kube/b\n3:cpu,cpuacct:/\n");
        assert!(files.contains(&"memory/docker/a/memory.limit_in_bytes".to_owned()), "{files:?}");
        assert!(files.contains(&"kube/b/memory.max".to_owned()), "{files:?}");
        assert_eq!(files.len(), 4);
    }
}
