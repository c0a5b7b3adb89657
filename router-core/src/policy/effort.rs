//! The effort of a role: none of its own, one for all requests, or a ladder of efforts by the benefit of reasoning.
//!
//! It applies to requests that set no effort. `chat/adapt.rs` fits the effort to the model that answers.

use std::sync::Arc;

use crate::model::Effort;

/// The effort of a role, for requests that set none.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum RoleEffort {
    /// The model's own default.
    #[default]
    OfModel,
    /// The same for all requests.
    Fixed(Effort),
    /// By the benefit of reasoning.
    Ladder(EffortLadder),
}

impl RoleEffort {
    /// The effort at a benefit from 0 to 1, if the role has one. Without a benefit, a ladder gives its middle level.
    pub fn at(&self, benefit: Option<f32>) -> Option<Effort> {
        match self {
            Self::OfModel => None,
            Self::Fixed(effort) => Some(*effort),
            Self::Ladder(ladder) => Some(ladder.at(benefit)),
        }
    }

    /// True if the effort depends on the benefit.
    pub(crate) fn is_ladder(&self) -> bool {
        matches!(self, Self::Ladder(_))
    }
}

/// Levels of effort in ascending order, each with the benefit from which it applies.
///
/// ```
/// use router_core::model::Effort;
/// use router_core::policy::EffortLadder;
/// let levels = [Effort::Low, Effort::Medium, Effort::High];
/// let ladder = EffortLadder::try_new(&levels, &[0.2, 0.5]).unwrap();
/// assert_eq!(ladder.at(Some(0.1)), Effort::Low);
/// assert_eq!(ladder.at(Some(0.2)), Effort::Medium);
/// assert_eq!(ladder.at(Some(0.9)), Effort::High);
/// assert_eq!(EffortLadder::try_new(&levels, &[0.5, 0.2]), None);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EffortLadder {
    lowest: Effort,
    steps: Arc<[Step]>,
}

/// A level above the lowest.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    from_benefit: f32,
    effort: Effort,
}

impl EffortLadder {
    /// A ladder of two or more ascending levels, with one cut point between each pair of neighbours; `None` unless cut points
    /// ascend within 0 to 1.
    pub fn try_new(levels: &[Effort], cuts: &[f32]) -> Option<Self> {
        let (lowest, higher) = levels.split_first()?;
        let fits = !higher.is_empty()
            && higher.len() == cuts.len()
            && levels.is_sorted_by(|one, next| one < next)
            && cuts.is_sorted_by(|one, next| one < next)
            && cuts.iter().all(|cut| (0.0..=1.0).contains(cut));
        let step = |(effort, cut): (&Effort, &f32)| Step { from_benefit: *cut, effort: *effort };
        fits.then(|| Self { lowest: *lowest, steps: higher.iter().zip(cuts).map(step).collect() })
    }

    /// Cut points for so many levels if config gives none.
    ///
    /// **Source:** the benefits of the development rows that need reasoning: about as many lie between each two cut points.
    pub(crate) fn usual_cuts(levels: usize) -> Vec<f32> {
        const LEAST: f32 = 0.05;
        const MOST: f32 = 0.45;
        let count = u8::try_from(levels.saturating_sub(1)).unwrap_or(u8::MAX);
        let part = |cut: u8| f32::from(cut) / f32::from(count + 1);
        (1..=count).map(|cut| (MOST - LEAST).mul_add(part(cut), LEAST)).collect()
    }

    /// The level at a benefit from 0 to 1; the middle one without a benefit.
    pub fn at(&self, benefit: Option<f32>) -> Effort {
        let middle = self.steps.len().div_ceil(2);
        let passed = benefit.map_or(middle, |benefit| {
            self.steps.iter().take_while(|step| step.from_benefit <= benefit).count()
        });
        let step = passed.checked_sub(1).and_then(|last| self.steps.get(last));
        step.map_or(self.lowest, |step| step.effort)
    }

    /// The levels, lowest first, each with the benefit from which it applies.
    pub fn levels(&self) -> impl Iterator<Item = (f32, Effort)> {
        let higher = self.steps.iter().map(|step| (step.from_benefit, step.effort));
        std::iter::once((0.0, self.lowest)).chain(higher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_cuts_fit_every_ladder() {
        for count in 2..=Effort::ALL.len() {
            let levels = &Effort::ALL[..count];
            let ladder = EffortLadder::try_new(levels, &EffortLadder::usual_cuts(count)).unwrap();
            assert_eq!(ladder.at(Some(0.0)), levels[0]);
            assert_eq!(ladder.at(Some(1.0)), levels[count - 1]);
            assert_eq!(ladder.levels().count(), count);
        }
    }

    #[test]
    fn a_ladder_without_a_benefit_gives_its_middle_and_a_fixed_effort_itself() {
        let levels = [Effort::Low, Effort::Medium, Effort::High];
        let ladder = EffortLadder::try_new(&levels, &[0.2, 0.5]).unwrap();
        assert_eq!(RoleEffort::Ladder(ladder).at(None), Some(Effort::Medium));
        assert_eq!(RoleEffort::Fixed(Effort::High).at(Some(0.0)), Some(Effort::High));
        assert_eq!(RoleEffort::OfModel.at(Some(1.0)), None);
        for (levels, cuts) in [
            (&levels[..1], &[][..]),
            (&levels[..], &[0.5][..]),
            (&levels[..2], &[1.5][..]),
            (&[Effort::High, Effort::Low][..], &[0.5][..]),
        ] {
            assert_eq!(EffortLadder::try_new(levels, cuts), None, "{levels:?} {cuts:?}");
        }
    }
}
