//! Finds the cheapest of many sizes: a coarse sweep first, then finer ones around the cheapest size and around both ends of the
//! range that costs nearly as little. The sizes of one sweep are played on all processors.
//!
//! It assumes that costs have one valley: a lower one between two sizes of the coarse sweep that are both expensive is missed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Sizes of the first sweep.
const COARSE: usize = 9;

/// Sizes between two neighbours in a later sweep.
const FINER: usize = 3;

/// A played size with a cost.
pub(crate) trait Costs {
    /// In US dollars.
    fn usd(&self) -> f64;
}

/// Plays sizes until none is left between the cheapest one and its neighbours, nor between the ends of the range within `nearly`
/// times its cost and the sizes beyond. Returns the played sizes in order.
///
/// # Errors
/// A size cannot be played.
pub(crate) fn sweep<T: Costs + Send, E: Send>(
    sizes: &[u32],
    nearly: f64,
    play: &(dyn Fn(u32) -> Result<T, E> + Sync),
) -> Result<Vec<T>, E> {
    let mut played: BTreeMap<usize, T> = BTreeMap::new();
    let mut wanted = between(0, sizes.len().saturating_sub(1), COARSE - 2);
    wanted.extend([0, sizes.len().saturating_sub(1)].iter().filter(|_| !sizes.is_empty()));
    while !wanted.is_empty() {
        for (place, done) in all(sizes, &wanted, play) {
            played.insert(place, done?);
        }
        wanted = finer(&played, nearly);
    }
    Ok(played.into_values().collect())
}

/// Up to `most` places strictly between two others, evenly spread.
fn between(low: usize, high: usize, most: usize) -> BTreeSet<usize> {
    let gap = high.saturating_sub(low);
    let count = most.min(gap.saturating_sub(1));
    (1..=count).map(|step| low + gap * step / (count + 1)).filter(|place| *place > low).collect()
}

/// The places of the next sweep; none if the search is over.
fn finer<T: Costs>(played: &BTreeMap<usize, T>, nearly: f64) -> BTreeSet<usize> {
    let Some((&best, cheapest)) =
        played.iter().min_by(|(_, one), (_, other)| one.usd().total_cmp(&other.usd()))
    else {
        return BTreeSet::new();
    };
    let bound = cheapest.usd() * nearly;
    let mut wanted = BTreeSet::new();
    let mut split = |low: usize, high: usize, most| wanted.extend(between(low, high, most));
    let (mut inside, mut first) = (best, true);
    for (&place, done) in played.range(..best).rev() {
        if first || done.usd() > bound {
            split(place, inside, if first { FINER } else { 1 });
        }
        first = false;
        if done.usd() > bound {
            break;
        }
        inside = place;
    }
    (inside, first) = (best, true);
    for (&place, done) in played.range(best + 1..) {
        if first || done.usd() > bound {
            split(inside, place, if first { FINER } else { 1 });
        }
        first = false;
        if done.usd() > bound {
            break;
        }
        inside = place;
    }
    wanted
}

/// Plays these places on all processors.
fn all<T: Send, E: Send>(
    sizes: &[u32],
    places: &BTreeSet<usize>,
    play: &(dyn Fn(u32) -> Result<T, E> + Sync),
) -> Vec<(usize, Result<T, E>)> {
    let work: Vec<(usize, u32)> =
        places.iter().filter_map(|place| Some((*place, *sizes.get(*place)?))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let one = || {
        while let Some((place, size)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let played = play(*size);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((*place, played));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(work.len());
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(one);
        }
        one();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Cost(u32, f64);

    impl Costs for Cost {
        fn usd(&self) -> f64 {
            self.1
        }
    }

    /// A valley at `lowest` over sizes from 0 to 5,000 in steps of 5; also the number of sizes played.
    fn valley(lowest: u32) -> (Vec<Cost>, usize) {
        let sizes: Vec<u32> = (0..=1_000).map(|step| step * 5).collect();
        let count = AtomicUsize::new(0);
        let play = |size: u32| {
            count.fetch_add(1, Ordering::Relaxed);
            let away = f64::from(size.abs_diff(lowest));
            Ok::<_, ()>(Cost(size, 100.0 + away * away / 1_000.0))
        };
        let played = sweep(&sizes, 1.02, &play).unwrap();
        (played, count.into_inner())
    }

    #[test]
    fn the_cheapest_and_both_ends_are_found_with_few_plays() {
        for lowest in [0, 5, 1_235, 2_500, 4_995, 5_000] {
            let (played, count) = valley(lowest);
            let best = played.iter().min_by(|one, other| one.1.total_cmp(&other.1)).unwrap();
            assert_eq!(best.0, lowest);
            assert!(count < 60, "{count} plays for {lowest}");
            assert!(played.is_sorted_by_key(|cost| cost.0));
            // Within 2 % is up to 44 away: the nearest sizes are 40 (inside) and 45 (outside).
            for (inside, outside) in [(40_i64, 45_i64), (-40, -45)] {
                let known = |away: i64| {
                    let size = i64::from(lowest) + away;
                    !(0..=5_000).contains(&size)
                        || played.iter().any(|cost| i64::from(cost.0) == size)
                };
                assert!(known(inside) && known(outside), "{lowest}: {played:?}");
            }
        }
    }

    #[test]
    fn few_sizes_are_all_played_and_a_fault_ends_the_search() {
        let play = |size: u32| Ok::<_, ()>(Cost(size, f64::from(size)));
        let sizes = [0, 15, 20];
        assert_eq!(sweep(&sizes, 1.02, &play).unwrap().len(), 3);
        assert_eq!(sweep(&[7], 1.02, &play).unwrap().len(), 1);
        assert_eq!(sweep(&[], 1.02, &play).unwrap().len(), 0);
        let broken = |size: u32| if size == 15 { Err("no") } else { Ok(Cost(size, 1.0)) };
        assert_eq!(sweep(&sizes, 1.02, &broken).unwrap_err(), "no");
    }
}
