//! The page of `replay --html`: cost and spills over time, and the times of answers, one line per configuration.

use std::time::Duration;

use router_core::record::RequestRecord;
use router_core::units::Usd;
use tokio::time::Instant;

use crate::calibration::as_f64;
use crate::report_page::Line;
use crate::report_page::PageKit;
use crate::report_page::Plot;
use crate::report_page::page as page_of;
use crate::simulation::replay::Replayed;
use crate::simulation::tally::milliseconds;

/// Points of a line.
const POINTS: usize = 200;

/// The curves of one configuration.
#[derive(Debug)]
pub(crate) struct Drawn {
    name: String,
    cost: Vec<(f64, f64)>,
    paid_by_token: Vec<(f64, f64)>,
    times: Vec<(f64, f64)>,
}

impl Drawn {
    /// From the records of a log under a configuration.
    pub(crate) fn of(name: &str, played: &Replayed) -> Self {
        let mut records: Vec<&RequestRecord> = played.records.iter().collect();
        records.sort_by_key(|record| record.received);
        let first = records.first().map(|record| record.received);
        let minutes = |record: &RequestRecord| {
            let first: Instant = first.unwrap_or(record.received);
            record.received.saturating_duration_since(first).as_secs_f64() / 60.0
        };
        let (mut usd, mut answered, mut by_token) = (Usd::ZERO, 0_usize, 0_usize);
        let (mut cost, mut share) = (Vec::new(), Vec::new());
        for record in &records {
            if let Some(answer) = &record.answer {
                usd += answer.cost.unwrap_or_default();
                answered += 1;
                let provisioned = answer.deployment.billing.is_provisioned();
                by_token += usize::from(!provisioned || answer.spilled_over);
            }
            let percent = 100.0 * as_f64(by_token) / as_f64(answered.max(1));
            cost.push((minutes(record), usd.as_f64()));
            share.push((minutes(record), percent));
        }
        let mut times: Vec<Duration> = played
            .records
            .iter()
            .filter(|record| record.ended.error().is_none())
            .map(|record| record.total)
            .collect();
        times.sort_unstable();
        let ranked = |(rank, time): (usize, &Duration)| {
            (100.0 * as_f64(rank + 1) / as_f64(times.len()), milliseconds(*time))
        };
        Self {
            name: name.to_owned(),
            cost: thinned(&cost),
            paid_by_token: thinned(&share),
            times: thinned(&times.iter().enumerate().map(ranked).collect::<Vec<_>>()),
        }
    }
}

/// Evenly chosen points, the first and the last among them.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let chosen = points.iter().enumerate().filter(|(at, _)| at % stride == 0 || *at == last);
    chosen.map(|(_, point)| *point).collect()
}

/// The page; `table` stands above the plots.
pub(crate) fn page(kit: &PageKit, all: &[Drawn], table: &str) -> String {
    let lines = |points: fn(&Drawn) -> &Vec<(f64, f64)>| -> Vec<Line> {
        all.iter().map(|drawn| Line::new(&drawn.name, points(drawn).clone())).collect()
    };
    let plots = [
        Plot {
            title: "Cumulative cost on pay-as-you-go",
            across: "minutes",
            up: "US dollars",
            lines: lines(|drawn| &drawn.cost),
        },
        Plot {
            title: "Answers of pay-as-you-go so far",
            across: "minutes",
            up: "% of answers",
            lines: lines(|drawn| &drawn.paid_by_token),
        },
        Plot {
            title: "Time of the answers, shortest first",
            across: "% of answers",
            up: "milliseconds",
            lines: lines(|drawn| &drawn.times),
        },
    ];
    page_of(kit, "Replay", table, &plots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinned_lines_keep_both_ends() {
        let points: Vec<(f64, f64)> = (0..1_001).map(|at| (f64::from(at), 1.0)).collect();
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS + 1, "{}", thin.len());
        assert_eq!((thin[0].0, thin[thin.len() - 1].0), (0.0, 1_000.0));
        assert!(thinned(&[]).is_empty());
    }
}
