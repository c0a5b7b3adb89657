//! Logistic regression pulled towards a prior, to the optimum: for some hundred to some ten thousand rows.
//!
//! Newton's method; each step is solved by conjugate gradients, so no matrix is stored. One thread and one order of
//! addition: the same rows give the same weights to the last bit.
//!
//! Not done here: what the features are (`correct.rs`).

/// Newton steps; the fit settles in fewer.
const STEPS: usize = 25;
/// Steps of conjugate gradients in each.
const INNER: usize = 40;
/// Share of the gradient's first length at which it counts as zero.
const SETTLED: f64 = 1e-5;

/// A row: the features that are not zero, and what is wanted, from 0 to 1.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// Number and value of each feature.
    pub(super) features: Vec<(usize, f64)>,
    /// The target.
    pub(super) wanted: f64,
}

impl Point {
    /// The sum of this row's features, each times its weight.
    pub(super) fn sum(&self, weights: &[f64]) -> f64 {
        let at = |number: usize| weights.get(number).copied().unwrap_or_default();
        self.features.iter().map(|&(number, value)| at(number) * value).sum()
    }

    /// The probability of the target under `weights`.
    pub(super) fn probability(&self, weights: &[f64]) -> f64 {
        probability(self.sum(weights))
    }

    /// Adds this row's features, each times `factor`.
    fn add(&self, factor: f64, sums: &mut [f64]) {
        for &(number, value) in &self.features {
            if let Some(sum) = sums.get_mut(number) {
                *sum += factor * value;
            }
        }
    }
}

/// The weights without any row, and the force that pulls each towards them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pull<'p> {
    /// The weights without any row.
    pub(super) prior: &'p [f64],
    /// The force on each.
    pub(super) force: &'p [f64],
}

/// The weights that make the rows most likely under the pull.
pub(super) fn fit(points: &[&Point], pull: Pull<'_>) -> Vec<f64> {
    let mut weights = pull.prior.to_vec();
    let mut first: Option<f64> = None;
    for _ in 0..STEPS {
        let (slope, bends) = slope(points, &weights, pull);
        let length = dot(&slope, &slope).sqrt();
        if length <= SETTLED * *first.get_or_insert(length) {
            break;
        }
        let step = solve(points, &bends, pull, &slope);
        let before = loss(points, &weights, pull);
        let mut share = 1.0;
        let moved = |share: f64| -> Vec<f64> {
            weights.iter().zip(&step).map(|(weight, step)| weight - share * step).collect()
        };
        let mut next = moved(share);
        // A full step overshoots only far from the optimum.
        while loss(points, &next, pull) > before && share > 1e-3 {
            share *= 0.5;
            next = moved(share);
        }
        weights = next;
    }
    weights
}

/// The probability of log-odds.
pub(super) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The surprise of `wanted` after `found`, in nats.
pub(super) fn surprise(found: f64, wanted: f64) -> f64 {
    let found = found.clamp(1e-6, 1.0 - 1e-6);
    -(wanted * found.ln() + (1.0 - wanted) * (1.0 - found).ln())
}

fn loss(points: &[&Point], weights: &[f64], pull: Pull<'_>) -> f64 {
    let rows = points.iter().map(|one| surprise(one.probability(weights), one.wanted));
    let pulled = weights.iter().zip(pull.prior).zip(pull.force);
    let pulled = pulled.map(|((weight, prior), force)| force * (weight - prior) * (weight - prior));
    rows.sum::<f64>() + 0.5 * pulled.sum::<f64>()
}

/// The gradient, and the curvature of each row.
fn slope(points: &[&Point], weights: &[f64], pull: Pull<'_>) -> (Vec<f64>, Vec<f64>) {
    let pulled = weights.iter().zip(pull.prior).zip(pull.force);
    let mut slope: Vec<f64> =
        pulled.map(|((weight, prior), force)| force * (weight - prior)).collect();
    let mut bends = Vec::with_capacity(points.len());
    for one in points {
        let found = one.probability(weights);
        one.add(found - one.wanted, &mut slope);
        bends.push(found * (1.0 - found));
    }
    (slope, bends)
}

/// The curvature times a direction.
fn bent(points: &[&Point], bends: &[f64], pull: Pull<'_>, along: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = along.iter().zip(pull.force).map(|(one, force)| one * force).collect();
    for (one, bend) in points.iter().zip(bends) {
        one.add(bend * one.sum(along), &mut all);
    }
    all
}

/// The direction whose curvature is the gradient.
fn solve(points: &[&Point], bends: &[f64], pull: Pull<'_>, slope: &[f64]) -> Vec<f64> {
    let mut found = vec![0.0; slope.len()];
    let mut rest = slope.to_vec();
    let mut along = rest.clone();
    let mut length = dot(&rest, &rest);
    let enough = length * 1e-8;
    for _ in 0..INNER {
        if length <= enough {
            break;
        }
        let curve = bent(points, bends, pull, &along);
        let step = length / dot(&along, &curve).max(f64::MIN_POSITIVE);
        for ((found, rest), (along, curve)) in
            found.iter_mut().zip(&mut rest).zip(along.iter().zip(&curve))
        {
            *found += step * along;
            *rest -= step * curve;
        }
        let next = dot(&rest, &rest);
        for (along, rest) in along.iter_mut().zip(&rest) {
            *along = rest + next / length * *along;
        }
        length = next;
    }
    found
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(all: &[(f64, f64)]) -> Vec<Point> {
        let one =
            |&(value, wanted): &(f64, f64)| Point { features: vec![(0, 1.0), (1, value)], wanted };
        all.iter().map(one).collect()
    }

    #[test]
    fn the_line_behind_the_rows_is_found() {
        let share = |value: f64| probability(2.0 * value - 1.0);
        let all: Vec<(f64, f64)> =
            [-2.0, -1.0, 0.0, 0.5, 1.0, 3.0].iter().map(|&value| (value, share(value))).collect();
        let points = points(&all);
        let points: Vec<&Point> = points.iter().collect();
        let found = fit(&points, Pull { prior: &[0.0, 0.0], force: &[1e-9, 1e-9] });
        assert!((found[0] + 1.0).abs() < 1e-3 && (found[1] - 2.0).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn a_strong_pull_keeps_the_prior_and_rows_that_part_cleanly_stay_finite() {
        let points = points(&[(1.0, 1.0), (2.0, 1.0), (-1.0, 0.0), (-2.0, 0.0)]);
        let points: Vec<&Point> = points.iter().collect();
        let pulled = fit(&points, Pull { prior: &[0.5, -0.25], force: &[1e6, 1e6] });
        assert!((pulled[0] - 0.5).abs() < 1e-3 && (pulled[1] + 0.25).abs() < 1e-3, "{pulled:?}");
        let free = fit(&points, Pull { prior: &[0.0, 0.0], force: &[0.01, 0.01] });
        assert!(free[1] > 1.0 && free.iter().all(|weight| weight.is_finite()), "{free:?}");
    }
}
