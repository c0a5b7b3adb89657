//! What happened second by second: where requests went, what they saved, how full provisioned deployments were.
//!
//! All rings are as long as each other, so that the same place is the same second. A deployment that config brings later has
//! nothing in the seconds before; one that is gone is forgotten when its last second leaves.

use std::collections::BTreeMap;

use router_core::units::DeploymentName;

use super::outcome::{Outcome, WAYS};
use super::ring::Ring;

/// The seconds that are kept: a quarter of an hour.
pub(super) const SECONDS: usize = 900;

/// What happened in one second, wherever it went.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Step {
    /// Requests that ended, by their way.
    pub(super) ways: [u32; WAYS],
    /// Dollars saved: against pay-as-you-go, against reasoning.
    pub(super) saved: [f64; 2],
}

impl Step {
    /// One more request ended.
    pub(super) fn count(&mut self, way: Outcome) {
        for (known, count) in Outcome::ALL.into_iter().zip(&mut self.ways) {
            *count += u32::from(known == way);
        }
    }
}

/// How full a provisioned deployment was in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Level {
    /// 1.0 is full.
    pub(super) utilization: f64,
    /// In normalized tokens.
    pub(super) tokens: f64,
    /// How many 429s it gave.
    pub(super) throttled: u32,
}

/// The last seconds.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) steps: Ring<Step>,
    pub(super) levels: BTreeMap<DeploymentName, Ring<Option<Level>>>,
}

impl Default for Series {
    fn default() -> Self {
        Self { steps: Ring::new(SECONDS), levels: BTreeMap::new() }
    }
}

impl Series {
    /// One second more.
    pub(super) fn push(&mut self, step: Step, levels: &BTreeMap<DeploymentName, Level>) {
        let before = self.steps.len();
        for name in levels.keys() {
            self.levels.entry(name.clone()).or_insert_with(|| {
                let mut ring = Ring::new(SECONDS);
                (0..before).for_each(|_| ring.push(None));
                ring
            });
        }
        self.steps.push(step);
        for (name, ring) in &mut self.levels {
            ring.push(levels.get(name).copied());
        }
        self.levels.retain(|_, ring| ring.iter().any(Option::is_some));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DeploymentName {
        DeploymentName::try_from(text).unwrap()
    }

    fn levels(names: &[&str]) -> BTreeMap<DeploymentName, Level> {
        names.iter().map(|text| (name(text), Level::default())).collect()
    }

    #[test]
    fn deployments_that_come_and_go_keep_their_seconds() {
        let mut series = Series::default();
        series.push(Step::default(), &levels(&["one"]));
        series.push(Step::default(), &levels(&["one", "two"]));
        series.push(Step::default(), &levels(&["two"]));
        let known =
            |text: &str| -> Vec<bool> { series.levels[text].iter().map(Option::is_some).collect() };
        assert_eq!(known("one"), [true, true, false]);
        assert_eq!(known("two"), [false, true, true]);
    }

    #[test]
    fn memory_is_bounded_and_what_is_gone_is_forgotten() {
        let mut series = Series::default();
        series.push(Step::default(), &levels(&["gone"]));
        for _ in 0..SECONDS {
            series.push(Step::default(), &levels(&["here"]));
        }
        assert_eq!(series.steps.len(), SECONDS);
        assert_eq!(series.levels.keys().map(DeploymentName::as_str).collect::<Vec<_>>(), ["here"]);
        assert_eq!(series.levels["here"].len(), SECONDS);
    }

    #[test]
    fn a_step_counts_each_way_in_its_own_place() {
        let mut step = Step::default();
        for way in Outcome::ALL {
            step.count(way);
        }
        step.count(Outcome::Held);
        assert_eq!(step.ways, [1, 2, 1, 1, 1, 1]);
    }
}
