//! Selects and orders the service tiers that serve a request.
//!
//! The caller's own `service_tier` decides; the standard tier stands in for one that has no capacity. A request that names
//! none goes in the standard tier first and in the priority tier if that is throttled; with `prefer = "fast"` the other
//! way round. Batch work goes in the flex tier first, then in the standard one.
//!
//! Not done here: which tiers a deployment offers (`config`), and what they cost (`deployment/pricing.rs`).

use crate::chat::ChatRequest;
use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::model::ServiceTier;
use crate::policy::Preference;
use crate::policy::Priority;

use super::constraints::Exclusion;
use super::needs::Needs;

/// The tiers of one request.
///
/// ```
/// use router_core::model::ServiceTier::{Flex, Priority, Standard};
/// use router_core::policy::Preference::{Balanced, Fast};
/// use router_core::policy::Priority::{Batch, Interactive};
/// use router_core::selection::TierOrder;
/// let order = |asked, prefer, priority| TierOrder::new(asked, prefer, priority).tiers();
/// assert_eq!(order(None, Balanced, Interactive), [Some(Standard), Some(Priority)]);
/// assert_eq!(order(None, Fast, Interactive), [Some(Priority), Some(Standard)]);
/// assert_eq!(order(None, Fast, Batch), [Some(Flex), Some(Standard)]);
/// assert_eq!(order(Some(Priority), Balanced, Batch), [Some(Priority), Some(Standard)]);
/// assert_eq!(order(Some(Standard), Fast, Interactive), [Some(Standard), None]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierOrder {
    first: ServiceTier,
    second: Option<ServiceTier>,
    /// True if the caller named a tier other than the standard one.
    named: bool,
}

impl TierOrder {
    /// The tiers of a request that names `asked` in its body.
    pub fn new(asked: Option<ServiceTier>, prefer: Preference, priority: Priority) -> Self {
        use ServiceTier::{Flex, Standard};
        let of = |first, second| Self { first, second, named: false };
        match (asked, priority, prefer) {
            (Some(tier @ (ServiceTier::Priority | Flex)), ..) => {
                Self { named: true, ..of(tier, Some(Standard)) }
            }
            (Some(Standard | ServiceTier::Batch | ServiceTier::Other), ..) => of(Standard, None),
            (None, Priority::Batch, _) => of(Flex, Some(Standard)),
            (None, Priority::Interactive, Preference::Fast) => {
                of(ServiceTier::Priority, Some(Standard))
            }
            (None, Priority::Interactive, Preference::Balanced | Preference::Cost) => {
                of(Standard, Some(ServiceTier::Priority))
            }
        }
    }

    /// The same, read from the request. Only text is made in tiers.
    pub fn of(request: &ChatRequest<'_>, prefer: Preference, priority: Priority) -> Self {
        let word = request.raw("service_tier").and_then(|raw| serde_json::from_str(raw).ok());
        let asked = word.and_then(|word: String| ServiceTier::named(&word));
        let asked =
            if request.operation().is_scored() { asked } else { Some(ServiceTier::Standard) };
        Self::new(asked, prefer, priority)
    }

    /// The tiers, the first to try first.
    pub fn tiers(self) -> [Option<ServiceTier>; 2] {
        [Some(self.first), self.second]
    }

    /// The place of a plan's entry among the tiers: 0 for the first. A deployment that lists no tiers sends the caller's own.
    pub(super) fn place(self, deployment: &Deployment) -> u8 {
        let standard_first = self.named || self.first == ServiceTier::Standard;
        match deployment.service_tier {
            None => u8::from(!standard_first),
            Some(tier) => u8::from(tier != self.first),
        }
    }

    /// True if the caller named the tier of this entry.
    pub(super) fn is_named(self, deployment: &Deployment) -> bool {
        self.named && deployment.service_tier == Some(self.first)
    }

    /// The reason why an entry of a plan does not serve the request; `None` if it does.
    pub(super) fn exclusion(self, deployment: &Deployment, needs: &Needs) -> Option<Exclusion> {
        let tier = deployment.service_tier?;
        if !self.tiers().contains(&Some(tier)) {
            return Some(Exclusion::ServiceTier("is not for this request"));
        }
        let longest = deployment.model.priority_max_prompt;
        let too_long = longest.is_some_and(|longest| needs.longest.least() > longest);
        if tier == ServiceTier::Priority && too_long {
            return Some(Exclusion::ServiceTier("takes no prompt of this length"));
        }
        let usage = Usage { prompt: needs.prompt, tier, ..Usage::default() };
        let unpriced =
            tier.is_special() && pricing::pay_as_you_go_cost(deployment, &usage).is_none();
        unpriced.then_some(Exclusion::ServiceTier("has no known price for this request"))
    }
}
