//! Logs warnings about failed attempts: the first of each cause at once, then at most one line per
//! second, with a count.
//!
//! A cause is a deployment and the outcome of an attempt at it. A 429 is not a fault; only metrics
//! count it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::units::DeploymentName;
use crate::upstream::Upstream;

use super::step::{Ended, Step};
use super::walk::Fallback;

/// Between two lines of one cause.
const PAUSE: Duration = Duration::from_secs(1);

/// More causes than this are not told apart: each has its own line. They are deployments of config times our own words.
const MOST: usize = 10_000;

/// The warnings so far, by cause.
#[derive(Debug, Default)]
pub(super) struct Warnings(Mutex<HashMap<(DeploymentName, &'static str), Since>>);

/// Since the last line of a cause.
#[derive(Debug)]
struct Since {
    told: Instant,
    /// Attempts that failed without a line.
    untold: u64,
}

impl<U: Upstream> Fallback<U> {
    /// An attempt outside a walk has ended; a fault is warned of.
    pub(crate) fn warn_of(&self, step: &Step) {
        if let Ended::Misconfigured(status) = step.ended {
            tracing::error!(
                deployment = %step.deployment.name,
                status,
                code = step.said.code.as_deref(),
                "the deployment refuses us: its config or rights are wrong, or its model has retired"
            );
        }
        self.warnings.attempted(Some(step));
    }
}

impl Warnings {
    /// An attempt has ended; a fault is warned of.
    pub(super) fn attempted(&self, step: Option<&Step>) {
        let Some(step) = step.filter(|step| step.ended.is_fault()) else { return };
        let Some(count) = self.count(step, Instant::now()) else { return };
        tracing::warn!(
            deployment = %step.deployment.name,
            outcome = step.ended.as_str(),
            status = step.said.status,
            code = step.said.code.as_deref(),
            count,
            "an attempt failed"
        );
    }

    /// The number of attempts in the next line; `None` if it is too early for one.
    fn count(&self, step: &Step, now: Instant) -> Option<u64> {
        let cause = (step.deployment.name.clone(), step.ended.as_str());
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match causes.get_mut(&cause) {
            Some(since) if now < since.told + PAUSE => {
                since.untold += 1;
                None
            }
            Some(since) => {
                since.told = now;
                Some(std::mem::take(&mut since.untold) + 1)
            }
            None => {
                if causes.len() < MOST {
                    causes.insert(cause, Since { told: now, untold: 0 });
                }
                Some(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::deployment::sample;
    use crate::upstream::Said;

    #[test]
    fn one_line_a_second_for_each_cause_with_a_count() {
        let (warnings, began) = (Warnings::default(), Instant::now());
        let step = |name: &str, ended| {
            let deployment = Arc::new(sample::pay_as_you_go(name, "gpt-4o"));
            let (took, said) = (Duration::ZERO, Said::default());
            Step { deployment, ended, began, took, span: None, said }
        };
        let count = |step: &Step, ms| warnings.count(step, began + Duration::from_millis(ms));
        let connect = step("one", Ended::Connect);
        assert_eq!(count(&connect, 0), Some(1));
        assert_eq!(count(&connect, 1), None);
        assert_eq!(count(&connect, 999), None);
        assert_eq!(count(&step("one", Ended::Timeout), 999), Some(1), "another cause");
        assert_eq!(count(&step("two", Ended::Connect), 999), Some(1), "another deployment");
        assert_eq!(count(&connect, 1_000), Some(3));
        assert_eq!(count(&connect, 5_000), Some(1));
    }
}
