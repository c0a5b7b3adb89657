//! What replicas do to the state of this process: what they tell is put in, what it has to tell is taken out.
//!
//! Only [`InProcess`] decides for requests; this changes what it knows. No lock is held for longer than one deployment takes.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::units::DeploymentName;

use super::delta::Delta;
use super::in_process::InProcess;

/// A provisioned deployment's level, and what calls under way here will give back of it; normalized tokens.
pub(super) type Bucket = (DeploymentName, f64, f64);

impl InProcess {
    /// What is to be told of each deployment; from now on it counts as told.
    pub(super) fn untold(&self) -> Vec<(DeploymentName, Vec<Delta>)> {
        let untold = self.slots.iter().map(|slot| {
            let mut chronicle = slot.chronicle.lock().unwrap_or_else(PoisonError::into_inner);
            (slot.name.clone(), chronicle.take())
        });
        untold.filter(|(_, news)| !news.is_empty()).collect()
    }

    /// Puts in what another replica told of a deployment. One that config does not know here is ignored.
    pub(super) fn hear(&self, deployment: &DeploymentName, news: &[Delta], now: Instant) {
        let Some(slot) = self.slot(deployment) else { return };
        let mut standing = slot.lock();
        let mut chronicle = slot.chronicle.lock().unwrap_or_else(PoisonError::into_inner);
        for one in news {
            chronicle.hear(now, &mut standing, *one);
        }
    }

    /// The levels of all provisioned deployments.
    pub(super) fn buckets(&self, now: Instant) -> Vec<Bucket> {
        let twins = self.slots.iter().filter_map(|slot| {
            let twin = slot.lock().twin?;
            Some((slot.name.clone(), twin.level(now), twin.spare()))
        });
        twins.collect()
    }

    /// Takes over levels that another replica saw `ago`, where ours are lower.
    pub(super) fn adopt(&self, buckets: &[Bucket], ago: Duration, now: Instant) {
        for (deployment, level, _) in buckets {
            let Some(slot) = self.slot(deployment) else { continue };
            if let Some(twin) = &mut slot.lock().twin {
                twin.adopt(now, level - twin.drift().rate() * ago.as_secs_f64());
            }
        }
    }

    /// Leaves so much room to replicas whose turn comes before ours.
    pub(super) fn leave(&self, room: Duration) {
        for slot in &self.slots {
            if let Some(twin) = &mut slot.lock().twin {
                twin.leave(room.as_secs_f64());
            }
        }
    }
}
