//! An entry of the stream of changes, as text: usage of keys, conversations that moved, and used
//! quota.
//!
//! One fact per line, its fields separated by spaces. A line that cannot be read is skipped, so
//! replicas of two versions can work together. Reading an entry twice changes nothing: usage and
//! quota are totals of the writing run, and times are those of the exchange's clock.

use std::fmt::Write;

use crate::capacity::CacheAffinity;
use crate::capacity::Conversation;
use crate::capacity::Taken;
use crate::state::Move;
use crate::units::DeploymentName;
use crate::units::Tokens;

use super::shared_clock::SharedClock;
use super::usage_report::UsageReport;

/// An entry of the stream of changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Change {
    /// The usage of keys that changed.
    pub(super) usage: Vec<UsageReport>,
    /// Conversations and the deployments that now hold their prompt caches.
    pub(super) moved: Vec<Move>,
    /// The used quota of deployments.
    pub(super) quotas: Vec<QuotaUse>,
}

/// The totals that a run has sent to a deployment since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QuotaUse {
    pub(super) deployment: DeploymentName,
    /// The total that this run reported before.
    pub(super) from: Taken,
    /// The total now.
    pub(super) to: Taken,
}

impl Change {
    pub(super) fn is_empty(&self) -> bool {
        self.usage.is_empty() && self.moved.is_empty() && self.quotas.is_empty()
    }

    /// The entry as text.
    pub(super) fn written(&self, clock: &SharedClock) -> String {
        let mut text = String::new();
        for report in &self.usage {
            text.push_str("k ");
            report.write(&mut text);
            text.push('\n');
        }
        for (conversation, home) in &self.moved {
            let CacheAffinity { deployment, until, prefix, spilled } = home;
            let (number, until) = (conversation.number(), clock.micros(*until));
            let (prefix, spilled) = (prefix.0, u8::from(*spilled));
            // Writing to a string does not fail.
            writeln!(text, "h {number:x} {deployment} {until} {prefix} {spilled}")
                .unwrap_or_default();
        }
        for QuotaUse { deployment, from, to } in &self.quotas {
            let (Taken { requests, tokens }, before) = (*to, *from);
            let (had_requests, had_tokens) = (before.requests, before.tokens);
            writeln!(text, "q {deployment} {had_requests} {had_tokens} {requests} {tokens}")
                .unwrap_or_default();
        }
        text
    }

    /// Reads an entry; lines that cannot be read are skipped.
    pub(super) fn read(text: &str, clock: &SharedClock) -> Self {
        let mut change = Self::default();
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap_or_default();
            match kind {
                "k" => change.usage.extend(UsageReport::read(rest)),
                "h" => change.moved.extend(read_move(rest, clock)),
                "q" => change.quotas.extend(read_quota(rest)),
                _ => {}
            }
        }
        change
    }
}

fn read_move(line: &str, clock: &SharedClock) -> Option<Move> {
    let mut fields = line.split(' ');
    let conversation = Conversation::numbered(u64::from_str_radix(fields.next()?, 16).ok()?);
    let deployment = DeploymentName::try_from(fields.next()?).ok()?;
    let until = clock.local(fields.next()?.parse().ok()?)?;
    let prefix = Tokens(fields.next()?.parse().ok()?);
    let spilled = fields.next()? == "1";
    Some((conversation, CacheAffinity { deployment, until, prefix, spilled }))
}

fn read_quota(line: &str) -> Option<QuotaUse> {
    let mut fields = line.split(' ');
    let deployment = DeploymentName::try_from(fields.next()?).ok()?;
    let mut count = || fields.next()?.parse().ok();
    let from = Taken { requests: count()?, tokens: count()? };
    let to = Taken { requests: count()?, tokens: count()? };
    Some(QuotaUse { deployment, from, to })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;

    const MICROS: u64 = 1_700_000_000_000_000;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (number, until, prefix, spilled) in (any::<u64>(), 0u64..9_000_000, 0u64..9_000, any::<bool>()),
            counts in prop::array::uniform4(any::<u64>()),
        ) {
            let base = Instant::now();
            let clock = SharedClock::new(base, MICROS);
            let deployment = DeploymentName::try_from("kr_ptu").unwrap();
            let until = base + Duration::from_micros(until);
            let home =
                CacheAffinity { deployment: deployment.clone(), until, prefix: Tokens(prefix), spilled };
            let [first, second, third, fourth] = counts;
            let from = Taken { requests: first, tokens: second };
            let to = Taken { requests: third, tokens: fourth };
            let change = Change {
                usage: vec![UsageReport::read("team 2026-11-30 1 2 3 4 5 6").unwrap()],
                moved: vec![(Conversation::numbered(number), home)],
                quotas: vec![QuotaUse { deployment, from, to }],
            };
            prop_assert_eq!(Change::read(&change.written(&clock), &clock), change);
        }

        #[test]
        fn no_text_makes_it_fail(text in "([khq] )?[ a-z0-9.\n-]{0,60}") {
            Change::read(&text, &SharedClock::new(Instant::now(), MICROS));
        }
    }

    #[test]
    fn lines_of_a_later_version_are_skipped() {
        let clock = SharedClock::new(Instant::now(), MICROS);
        let text = format!("v 2\nz 1 2 3\nq one 1 2 3 4 more\nh 1 one {MICROS} 5 0 more\nq BAD\n");
        let read = Change::read(&text, &clock);
        assert_eq!((read.quotas.len(), read.moved.len(), read.usage.len()), (1, 1, 0));
        // A time of another age is no time.
        assert!(Change::read("h 1 one 7 5 0\n", &clock).is_empty());
    }
}
