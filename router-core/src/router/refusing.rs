//! Lists the deployments that refuse the router, with the upstream's code, for health checks and
//! error messages.
//!
//! Not done here: whether callers may see them (the server decides).

use crate::decision::Decision;
use crate::fallback::Fallback;
use crate::fallback::LastRefusal;
use crate::units::DeploymentName;
use crate::upstream::Upstream;

use super::model_router::ModelRouter;

/// More deployments than this are not named in one error.
const MOST: usize = 16;

impl<U: Upstream> ModelRouter<U> {
    /// The last refusal of the router by a deployment (401, 403, 404, 410); `None` if it has answered since.
    pub fn last_refusal(&self, deployment: &DeploymentName) -> Option<LastRefusal> {
        self.fallback().last_refusal(deployment)
    }
}

/// The refusals of the router by deployments that the request may use, in words.
pub(super) fn refusals<U: Upstream>(fallback: &Fallback<U>, decision: &Decision) -> String {
    let refused = decision.candidates.iter().filter_map(|candidate| {
        let name = &candidate.deployment.name;
        let why = candidate.may_refuse_the_router().then(|| fallback.last_refusal(name));
        Some(format!("{name}: {}", why.flatten()?))
    });
    refused.take(MOST).collect::<Vec<_>>().join("; ")
}
