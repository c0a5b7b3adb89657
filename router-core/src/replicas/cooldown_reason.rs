//! Reasons of cooldowns: read from and applied to a deployment's state, and written as names.
//!
//! A name is the deployment, the reason and its number, if any, separated by spaces. Names that
//! cannot be read are skipped, so replicas of two versions can work together.

use tokio::time::Instant;

use crate::capacity::DeploymentState;
use crate::capacity::Ends;
use crate::capacity::TooLarge;
use crate::model::ServiceTier;
use crate::units::DeploymentName;
use crate::units::Tokens;

/// The reason why a deployment is in cooldown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CooldownReason {
    Throttled(ServiceTier),
    Unavailable,
    /// After this many faults in a row.
    Fault(u32),
    Misconfigured,
    /// For requests from this size on.
    TooLarge(Tokens),
    /// A provisioned deployment answered 429.
    Full,
}

impl CooldownReason {
    /// The cooldowns in a deployment's state, with their ends.
    pub(super) fn all(state: &DeploymentState) -> impl Iterator<Item = (Self, Instant)> + use<> {
        let Ends { throttled, tiers, unavailable, fault, misconfigured } = state.cooldown.ends();
        let [priority, flex] = tiers;
        let faults = state.cooldown.faults();
        let large = state.large.map(|TooLarge { from, until }| (Self::TooLarge(from), until));
        let full = state.twin.and_then(|twin| twin.refused_until());
        let timed = [
            (Self::Throttled(ServiceTier::Standard), throttled),
            (Self::Throttled(ServiceTier::Priority), priority),
            (Self::Throttled(ServiceTier::Flex), flex),
            (Self::Unavailable, unavailable),
            (Self::Fault(faults), fault),
            (Self::Misconfigured, misconfigured),
            (Self::Full, full),
        ];
        timed.into_iter().filter_map(|(reason, end)| Some((reason, end?))).chain(large)
    }

    /// Applies a cooldown that another replica learned. When it has passed, this one sends `turns` turns after the other.
    pub(super) fn apply(
        self,
        state: &mut DeploymentState,
        until: Instant,
        turns: f64,
        now: Instant,
    ) {
        let mut ends = Ends::default();
        let mut faults = 0;
        let [priority, flex] = &mut ends.tiers;
        match self {
            Self::Throttled(ServiceTier::Priority) => *priority = Some(until),
            Self::Throttled(ServiceTier::Flex) => *flex = Some(until),
            Self::Throttled(_) => {
                ends.throttled = Some(until);
                state.reopening.throttled_elsewhere(now, until, turns);
            }
            Self::Unavailable => ends.unavailable = Some(until),
            Self::Fault(count) => (ends.fault, faults) = (Some(until), count),
            Self::Misconfigured => ends.misconfigured = Some(until),
            Self::TooLarge(from) => {
                let held = state.large.filter(|held| held.until > now);
                let from = held.map_or(from, |held| held.from.min(from));
                let until = held.map_or(until, |held| held.until.max(until));
                state.large = Some(TooLarge { from, until });
            }
            Self::Full => {
                if let Some(twin) = &mut state.twin {
                    twin.refused_elsewhere(now, until, turns);
                }
            }
        }
        state.cooldown.merge(now, ends, faults);
    }

    /// True if both are one cooldown, whose number of faults may differ.
    pub(super) fn is_same(self, other: Self) -> bool {
        matches!((self, other), (Self::Fault(_), Self::Fault(_))) || self == other
    }

    /// The name of this cooldown of a deployment.
    pub(super) fn name(self, deployment: &DeploymentName) -> Box<str> {
        match self {
            Self::Throttled(ServiceTier::Priority) => format!("{deployment} throttled priority"),
            Self::Throttled(ServiceTier::Flex) => format!("{deployment} throttled flex"),
            Self::Throttled(_) => format!("{deployment} throttled"),
            Self::Unavailable => format!("{deployment} unavailable"),
            Self::Fault(faults) => format!("{deployment} fault {faults}"),
            Self::Misconfigured => format!("{deployment} misconfigured"),
            Self::TooLarge(from) => format!("{deployment} too_large {}", from.0),
            Self::Full => format!("{deployment} full"),
        }
        .into()
    }

    /// Reads a name; `None` if it is none.
    pub(super) fn read(name: &str) -> Option<(DeploymentName, Self)> {
        let mut words = name.split(' ');
        let deployment = DeploymentName::try_from(words.next()?).ok()?;
        let reason = match (words.next()?, words.next()) {
            ("throttled", None) => Self::Throttled(ServiceTier::Standard),
            ("throttled", Some("priority")) => Self::Throttled(ServiceTier::Priority),
            ("throttled", Some("flex")) => Self::Throttled(ServiceTier::Flex),
            ("unavailable", None) => Self::Unavailable,
            ("fault", Some(faults)) => Self::Fault(faults.parse().ok()?),
            ("misconfigured", None) => Self::Misconfigured,
            ("too_large", Some(from)) => Self::TooLarge(Tokens(from.parse().ok()?)),
            ("full", None) => Self::Full,
            _ => return None,
        };
        Some((deployment, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_others_are_skipped() {
        let deployment = DeploymentName::try_from("payg").unwrap();
        for reason in [
            CooldownReason::Throttled(ServiceTier::Standard),
            CooldownReason::Throttled(ServiceTier::Priority),
            CooldownReason::Throttled(ServiceTier::Flex),
            CooldownReason::Unavailable,
            CooldownReason::Fault(3),
            CooldownReason::Misconfigured,
            CooldownReason::TooLarge(Tokens(5)),
            CooldownReason::Full,
        ] {
            let name = reason.name(&deployment);
            assert_eq!(CooldownReason::read(&name), Some((deployment.clone(), reason)), "{name}");
        }
        for odd in ["", "payg", "payg later", "BAD full", "payg fault", "payg fault x"] {
            assert_eq!(CooldownReason::read(odd), None, "{odd}");
        }
    }
}
