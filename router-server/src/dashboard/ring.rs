//! A bounded list: a push beyond the bound drops the oldest value.

use std::collections::VecDeque;

/// The last values pushed, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Ring<T> {
    values: VecDeque<T>,
    most: usize,
}

impl<T> Ring<T> {
    /// A ring of at most `most` values, which takes memory as they come.
    pub(super) fn new(most: usize) -> Self {
        Self { values: VecDeque::new(), most }
    }

    pub(super) fn push(&mut self, value: T) {
        while self.values.len() >= self.most.max(1) {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.values.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut ring = Ring::new(3);
        (1..=5).for_each(|value| ring.push(value));
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [3, 4, 5]);
    }
}
