//! The effect of an event on the state of its deployment.

use tokio::time::Instant;

use crate::capacity::DeploymentState;
use crate::capacity::TooLarge;

use super::event::Cooldowns;
use super::event::Event;

impl DeploymentState {
    /// Learns an event of this deployment.
    pub(super) fn learn(&mut self, event: Event, cooldowns: Cooldowns, now: Instant) {
        match event {
            Event::Ended { ticket, used } => {
                self.in_flight = self.in_flight.saturating_sub(1);
                match (&mut self.twin, used) {
                    (Some(twin), Some(used)) => twin.settle(now, ticket, used),
                    (Some(twin), None) => twin.withdraw(now, ticket),
                    (None, _) => {}
                }
            }
            Event::Admitted(ticket) => {
                if let Some(twin) = &mut self.twin {
                    twin.accepted(now, ticket);
                }
            }
            Event::Full { ticket, wait, utilization } => match &mut self.twin {
                Some(twin) => twin.refused(now, ticket, wait, utilization),
                None => self.cooldown.throttle(now, wait),
            },
            Event::Served(tier, timing) => {
                self.cooldown.serve(now);
                if !tier.is_special() {
                    self.latency.learn(now, timing);
                }
            }
            // Each deployment of an exhausted pool gets the event.
            Event::Throttled(tier, wait) | Event::PoolExhausted(tier, wait) => {
                self.cooldown.throttle_in(tier, now, wait);
                if !tier.is_special() {
                    self.reopening.throttled(now, wait);
                }
            }
            Event::Unavailable(wait) => self.cooldown.suspend(now, wait),
            Event::ExceedsQuota { load, limit } => self.quota.refused(now, &load, limit),
            Event::TooLarge(load, wait) => {
                let from = load.prompt + load.cap.unwrap_or_default();
                let held = self.large.filter(|large| large.until > now);
                let from = held.map_or(from, |large| large.from.min(from));
                self.large = Some(TooLarge { from, until: now + wait });
            }
            Event::Utilization(ticket, utilization) => {
                if let Some(twin) = &mut self.twin {
                    twin.read(now, ticket, utilization);
                }
            }
            Event::Quota(answered, reading) => {
                if let Some(ticket) = answered {
                    self.quota.learn(now, ticket.quota, &reading);
                }
                self.quota.read(now, &reading);
            }
            Event::Failed => self.cooldown.fail(now, cooldowns.fault, cooldowns.fault_max),
            Event::Misconfigured => self.cooldown.misconfigure(now, cooldowns.misconfigured),
        }
    }
}
