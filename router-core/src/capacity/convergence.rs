//! Test of the twin: the time until evidence corrects a wrong configuration or the use of others.

use std::time::Duration;

use azure_emulator::bucket::{Admission, Bucket, BucketSettings};
use tokio::time::Instant;

use super::size::Size;
use super::twin::{Ticket, Twin};
use crate::units::Tokens;

/// The size that a router derives from these settings.
pub(super) fn size(settings: &BucketSettings) -> Size {
    Size {
        rate: settings.ptu * settings.input_tpm_per_ptu / 60.0,
        window: settings.window,
        output_ratio: settings.output_ratio,
        missing_output: Tokens(settings.missing_max_tokens),
        cached_discount: settings.cached_discount,
    }
}

/// The utilization that the deployment reports in the head of each answer: none, that of this moment, or that of the
/// call's arrival. A refusal reports it as well.
#[derive(Clone, Copy, PartialEq)]
enum Header {
    Missing,
    Fresh,
    Old,
}

/// The differences between the deployment and its configuration.
#[derive(Clone, Copy)]
struct World {
    rate: f64,
    window: f64,
    others: f64,
    token_error: f64,
    header: Header,
}

const SAME: World =
    World { rate: 1.0, window: 1.0, others: 0.0, token_error: 0.0, header: Header::Missing };

/// A running call at the deployment.
struct ActiveCall {
    end: Instant,
    admission: Admission,
    ticket: Ticket,
    prompt: u64,
    completion: u64,
    reading: f64,
}

impl ActiveCall {
    fn end(&self, bucket: &mut Bucket, twin: &mut Twin, header: Header) {
        let Self { end, ticket, prompt, completion, .. } = *self;
        bucket.settle(end, &self.admission, prompt, 0, completion);
        match header {
            Header::Missing => {}
            Header::Fresh => twin.read(end, ticket, bucket.utilization(end)),
            Header::Old => twin.read(end, ticket, self.reading),
        }
        twin.accepted(end, ticket);
        let used = twin.size().normalized(Tokens(prompt), Tokens(0), Tokens(completion));
        twin.settle(end, ticket, used);
    }
}

/// Runs `minutes` of traffic at 1.3 times what the deployment has left, sent if the twin sees capacity (or probes), and
/// returns for each minute the share of the sent calls that were refused, and the used share of the capacity.
fn run(world: World, minutes: usize) -> Vec<(f64, f64)> {
    let start = Instant::now();
    let mut settings = BucketSettings::new(60.0 * world.rate, 2_500.0, 4.0);
    settings.window = Duration::from_secs(10).mul_f64(world.window);
    let mut bucket = Bucket::new(settings, start).unwrap();
    let config = BucketSettings::new(60.0, 2_500.0, 4.0);
    let mut twin = Twin::new(size(&config), start);
    let mut seed = 7u64;
    let mut dice = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
        (seed >> 33) % most
    };
    let left = bucket.rate() * (1.0 - world.others);
    let (mut out, mut open) = (Vec::new(), Vec::<ActiveCall>::new());
    let (mut sent, mut refused, mut used_in_minute) = (0.0, 0.0, 0.0);
    // 1,000 normalized tokens a call on average, 100 ms a step.
    let per_step = left * 0.1 * 1.3 / 1_000.0;
    let mut owed = 0.0;
    for step in 1..=minutes * 600 {
        let now = start + Duration::from_millis(100) * u32::try_from(step).unwrap();
        bucket.add(now, bucket.rate() * 0.1 * world.others);
        owed += per_step;
        for ended in open.extract_if(.., |call| call.end <= now) {
            ActiveCall { end: now, ..ended }.end(&mut bucket, &mut twin, world.header);
        }
        while owed >= 1.0 {
            owed -= 1.0;
            let (prompt, completion) = (dice(1_200), dice(200));
            let cap = completion + dice(200);
            if !twin.wait(now).is_zero() && !twin.doubts(now) {
                continue;
            }
            sent += 1.0;
            let seen = Tokens(prompt).as_f64() * (1.0 + world.token_error);
            let ticket = twin.admit(now, seen + 4.0 * Tokens(cap).as_f64());
            match bucket.admit(now, prompt, 0, Some(cap)) {
                Ok(admission) => {
                    used_in_minute += Tokens(prompt).as_f64() + 4.0 * Tokens(completion).as_f64();
                    let end = now + Duration::from_millis(300 + completion * 16);
                    let reading = bucket.utilization(now);
                    open.push(ActiveCall { end, admission, ticket, prompt, completion, reading });
                }
                Err(full) => {
                    refused += 1.0;
                    let told = (world.header != Header::Missing).then(|| bucket.utilization(now));
                    twin.refused(now, ticket, full.wait, told);
                }
            }
        }
        if step % 600 == 0 {
            out.push((refused / f64::max(sent, 1.0), used_in_minute / (left * 60.0)));
            (sent, refused, used_in_minute) = (0.0, 0.0, 0.0);
        }
    }
    out
}

/// The time until the copy is right again: the minute from which at most 5 % of the calls sent are refused and at least
/// 95 % of the capacity is used. `docs/simulate.md` repeats the table.
#[test]
fn evidence_brings_it_back() {
    let (fresh, old) = (Header::Fresh, Header::Old);
    for (name, world, from) in [
        ("nothing wrong", SAME, 0),
        ("rate half of config's", World { rate: 0.5, ..SAME }, 2),
        ("rate twice config's", World { rate: 2.0, ..SAME }, 0),
        ("window half of config's", World { window: 0.5, ..SAME }, 0),
        ("window twice config's", World { window: 2.0, ..SAME }, 3),
        ("prompts counted 10 % too high", World { token_error: 0.1, ..SAME }, 0),
        ("prompts counted 10 % too low", World { token_error: -0.1, ..SAME }, 0),
        ("others use 30 %", World { others: 0.3, ..SAME }, 2),
        ("header", World { header: fresh, ..SAME }, 0),
        ("rate half, header", World { rate: 0.5, header: fresh, ..SAME }, 2),
        ("rate twice, header", World { rate: 2.0, header: fresh, ..SAME }, 0),
        ("window half, header", World { window: 0.5, header: fresh, ..SAME }, 3),
        ("window twice, header", World { window: 2.0, header: fresh, ..SAME }, 3),
        ("others, header", World { others: 0.3, header: fresh, ..SAME }, 2),
        ("old header", World { header: old, ..SAME }, 0),
        ("rate half, old header", World { rate: 0.5, header: old, ..SAME }, 0),
        ("rate twice, old header", World { rate: 2.0, header: old, ..SAME }, 0),
        ("window half, old header", World { window: 0.5, header: old, ..SAME }, 0),
        ("window twice, old header", World { window: 2.0, header: old, ..SAME }, 2),
        ("others, old header", World { others: 0.3, header: old, ..SAME }, 2),
    ] {
        let minutes = run(world, 12);
        let right = |(refused, used): &(f64, f64)| *refused <= 0.05 && *used >= 0.95;
        let wrong = minutes.iter().rposition(|minute| !right(minute));
        assert_eq!(wrong.map_or(0, |at| at + 1), from, "{name}: {minutes:.3?}");
    }
}
