//! Turns sums into probabilities: a line in log-odds for each language, fitted on held-out sums.
//!
//! Sums of rows that trained are too sure; those of held-out sources are as sure as new traffic will find them.
//!
//! **Source:** J. Platt: Probabilistic outputs for support vector machines (1999), without his prior: there are
//! thousands of rows of each class.

use crate::task::Task;
use crate::task::model::Calibration;

/// Newton steps; the fit has two unknowns and settles in a few.
const STEPS: usize = 30;

/// A held-out sum, its label, and how much it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) sum: f32,
    pub(super) task: Task,
    pub(super) count: f32,
}

/// The line that makes the sums most likely; the line that changes nothing where a class is missing.
pub(super) fn fit(held: &[Held]) -> Calibration {
    let has = |task| held.iter().any(|one| one.task == task);
    if !Task::ALL.into_iter().all(has) {
        return Calibration::NONE;
    }
    let (mut slope, mut offset) = (1.0_f64, 0.0_f64);
    for _ in 0..STEPS {
        let (mut gs, mut go, mut ss, mut so, mut oo) = (0.0, 0.0, 1e-12, 0.0, 1e-12);
        for one in held {
            let (sum, count) = (f64::from(one.sum), f64::from(one.count));
            let found = 1.0 / (1.0 + (-(slope * sum + offset)).exp());
            let wanted = f64::from(u8::from(one.task == Task::Reasoning));
            let error = count * (found - wanted);
            let bend = count * found * (1.0 - found);
            gs += error * sum;
            go += error;
            ss += bend * sum * sum;
            so += bend * sum;
            oo += bend;
        }
        let determinant = ss * oo - so * so;
        if determinant.abs() < 1e-20 {
            break;
        }
        slope -= (oo * gs - so * go) / determinant;
        offset -= (ss * go - so * gs) / determinant;
    }
    if !(slope.is_finite() && offset.is_finite() && slope > 0.0) {
        return Calibration::NONE;
    }
    Calibration { slope: super::learn::narrow(slope), offset: super::learn::narrow(offset) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_behind_the_labels_is_found() {
        // Labels in the proportions of log-odds 2 * sum - 1.
        let mut held = Vec::new();
        for sum in [-1.0_f32, -0.5, 0.0, 0.5, 1.0, 1.5] {
            let share = 1.0 / (1.0 + (-(2.0 * sum - 1.0)).exp());
            held.push(Held { sum, task: Task::Reasoning, count: share });
            held.push(Held { sum, task: Task::Chat, count: 1.0 - share });
        }
        let line = fit(&held);
        assert!((line.slope - 2.0).abs() < 1e-3 && (line.offset + 1.0).abs() < 1e-3, "{line:?}");
        assert_eq!(fit(&held[..1]), Calibration::NONE);
    }
}
