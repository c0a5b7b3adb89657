//! The page of `simulate --html`: utilization, spill rate, waits and cost over time, one line per
//! policy.

use crate::simulation::stage::Stage;
use crate::simulation::tally::Fate;
use crate::simulation::tally::ServedBy;
use crate::simulation::tally::Tally;
use crate::simulation::tally::milliseconds;
use crate::simulation::tally::share;
use crate::simulation::workload::as_f64;

use crate::report_page::Line;
use crate::report_page::PageKit;
use crate::report_page::Plot;
use crate::report_page::page as page_of;

/// Into how many parts the time is cut.
const PARTS: u32 = 60;

/// The page; `table` stands above the plots.
pub(crate) fn page(kit: &PageKit, stage: &Stage, tallies: &[Tally], table: &str) -> String {
    let lines = |points: fn(&Stage, &Tally) -> Vec<(f64, f64)>| -> Vec<Line> {
        let line = |tally: &Tally| Line::new(tally.policy.as_str(), points(stage, tally));
        tallies.iter().map(line).collect()
    };
    let plots = [
        Plot {
            title: "Utilization: tokens served by provisioned deployments",
            across: "minutes",
            up: "% of what they can serve",
            lines: lines(utilization),
        },
        Plot {
            title: "Spill rate: calls served by pay-as-you-go",
            across: "minutes",
            up: "% of calls",
            lines: lines(spills),
        },
        Plot {
            title: "Cumulative cost on pay-as-you-go",
            across: "minutes",
            up: "US dollars",
            lines: lines(cost),
        },
        Plot {
            title: "What was added to the answer's time, shortest first; longer than a second is drawn as a second",
            across: "% of calls",
            up: "milliseconds",
            lines: lines(waits),
        },
    ];
    page_of(kit, "Simulation", table, &plots)
}

/// Sums over the calls of each part of the time, each at its end in minutes.
fn parts(
    stage: &Stage,
    tally: &Tally,
    value: impl Fn(&Fate) -> f64,
) -> impl Iterator<Item = (f64, f64)> {
    let length = stage.span.as_secs_f64() / f64::from(PARTS);
    let mut sums = vec![0.0; usize::try_from(PARTS).unwrap_or(0)];
    for (fate, call) in tally.fates.iter().zip(stage.calls.iter()) {
        let at = if fate.by == ServedBy::Nobody { call.at } else { fate.sent };
        // Answers that end after the span count in its last part.
        let part = (0..PARTS).rfind(|part| at.as_secs_f64() >= f64::from(*part) * length);
        let part = part.and_then(|part| usize::try_from(part).ok()).unwrap_or(0);
        if let Some(sum) = sums.get_mut(part) {
            *sum += value(fate);
        }
    }
    (1..=PARTS).map(move |part| f64::from(part) * length / 60.0).zip(sums)
}

fn utilization(stage: &Stage, tally: &Tally) -> Vec<(f64, f64)> {
    let rate: f64 = stage.pools.iter().map(crate::simulation::stage::Pool::rate).sum();
    let room = rate * stage.span.as_secs_f64() / f64::from(PARTS);
    let served = parts(stage, tally, |fate| fate.provisioned_tokens);
    served.map(|(at, tokens)| (at, 100.0 * share(tokens, room))).collect()
}

fn spills(stage: &Stage, tally: &Tally) -> Vec<(f64, f64)> {
    let spilled = |fate: &Fate| if fate.by == ServedBy::PayAsYouGo { 1.0 } else { 0.0 };
    let all = parts(stage, tally, |_| 1.0);
    let spilled = parts(stage, tally, spilled);
    all.zip(spilled).map(|((at, all), (_, part))| (at, 100.0 * share(part, all))).collect()
}

fn cost(stage: &Stage, tally: &Tally) -> Vec<(f64, f64)> {
    let mut paid = 0.0;
    let added = parts(stage, tally, |fate| fate.usd).map(|(at, usd)| {
        paid += usd;
        (at, paid)
    });
    std::iter::once((0.0, 0.0)).chain(added).collect()
}

/// One policy that waits a minute must not flatten the others to a line.
const LONGEST_DRAWN_MS: f64 = 1_000.0;

fn waits(_: &Stage, tally: &Tally) -> Vec<(f64, f64)> {
    let waits = tally.waits();
    let count = as_f64(u64::try_from(waits.len()).unwrap_or(u64::MAX));
    // A thousand points are as fine as the plot.
    let step = waits.len().div_ceil(1_000).max(1);
    let numbered = (1_u64..).zip(waits).step_by(step);
    let drawn = |wait| milliseconds(wait).min(LONGEST_DRAWN_MS);
    numbered.map(|(rank, wait)| (100.0 * as_f64(rank) / count, drawn(wait))).collect()
}
