//! The page of `simulate --no-spill --html`: who is answered, when and how fast, one line per policy.

use std::time::Duration;

use crate::simulation::overload::Played;
use crate::simulation::overload_figures::Fate;
use crate::simulation::overload_figures::Outcome;
use crate::simulation::tally::milliseconds;
use crate::simulation::tally::share;
use crate::simulation::workload::as_f64;

use crate::report_page::Line;
use crate::report_page::PageKit;
use crate::report_page::Plot;
use crate::report_page::page as page_of;

/// The parts into which the time is divided.
const PARTS: u32 = 60;

/// The points of a line, from left to right.
type Points = Vec<(f64, f64)>;

/// The plays to draw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plays<'p> {
    pub(crate) played: &'p [Played],
    /// From the first request to the last.
    pub(crate) span: Duration,
    /// Normalized tokens that the PTUs serve in the span.
    pub(crate) room: f64,
}

/// The page; `table` stands above the plots.
pub(crate) fn page(kit: &PageKit, plays: Plays<'_>, table: &str) -> String {
    let lines = |points: fn(Plays<'_>, &[Outcome]) -> Points| -> Vec<Line> {
        let line = |one: &Played| Line::new(one.figures.policy, points(plays, &one.outcomes));
        plays.played.iter().map(line).collect()
    };
    let plots = [
        Plot {
            title: "Goodput: tokens of answers that arrived in time",
            across: "minutes",
            up: "% of what the PTUs can serve",
            lines: lines(goodput),
        },
        Plot {
            title: "Requests that are answered in time, by arrival",
            across: "minutes",
            up: "% of requests",
            lines: lines(answered),
        },
        Plot {
            title: "Clients that disconnect before an answer or a refusal, by arrival",
            across: "minutes",
            up: "% of requests",
            lines: lines(gave_up),
        },
        Plot {
            title: "Time to a whole answer, shortest first",
            across: "% of answers",
            up: "seconds",
            lines: lines(times),
        },
    ];
    page_of(kit, "Simulation without pay-as-you-go", table, &plots)
}

/// Sums over the outcomes of each part of the time, each at its end in minutes.
fn parts(
    span: Duration,
    outcomes: &[Outcome],
    value: impl Fn(&Outcome) -> Option<(Duration, f64)>,
) -> impl Iterator<Item = (f64, f64)> {
    let length = span.as_secs_f64() / f64::from(PARTS);
    let mut sums = vec![0.0; usize::try_from(PARTS).unwrap_or(0)];
    for (at, value) in outcomes.iter().filter_map(value) {
        // What ends after the span counts in its last part.
        let part = (0..PARTS).rfind(|part| at.as_secs_f64() >= f64::from(*part) * length);
        let part = part.and_then(|part| usize::try_from(part).ok()).unwrap_or(0);
        if let Some(sum) = sums.get_mut(part) {
            *sum += value;
        }
    }
    (1..=PARTS).map(move |part| f64::from(part) * length / 60.0).zip(sums)
}

fn goodput(plays: Plays<'_>, outcomes: &[Outcome]) -> Points {
    let room = plays.room / f64::from(PARTS);
    let good = parts(plays.span, outcomes, |outcome| match outcome.fate {
        Fate::Answered(took) => Some((outcome.at + took, outcome.tokens)),
        Fate::Refused(_) | Fate::GaveUp => None,
    });
    good.map(|(at, tokens)| (at, 100.0 * share(tokens, room))).collect()
}

/// The share of requests with this end, by arrival.
fn ends(plays: Plays<'_>, outcomes: &[Outcome], is: fn(Fate) -> bool) -> Points {
    let all = parts(plays.span, outcomes, |outcome| Some((outcome.at, 1.0)));
    let some = parts(plays.span, outcomes, |outcome| {
        Some((outcome.at, if is(outcome.fate) { 1.0 } else { 0.0 }))
    });
    all.zip(some).map(|((at, all), (_, some))| (at, 100.0 * share(some, all))).collect()
}

fn answered(plays: Plays<'_>, outcomes: &[Outcome]) -> Points {
    ends(plays, outcomes, |fate| matches!(fate, Fate::Answered(_)))
}

fn gave_up(plays: Plays<'_>, outcomes: &[Outcome]) -> Points {
    ends(plays, outcomes, |fate| fate == Fate::GaveUp)
}

fn times(_: Plays<'_>, outcomes: &[Outcome]) -> Points {
    let mut times: Vec<Duration> = outcomes
        .iter()
        .filter_map(|outcome| match outcome.fate {
            Fate::Answered(took) => Some(took),
            Fate::Refused(_) | Fate::GaveUp => None,
        })
        .collect();
    times.sort_unstable();
    let count = as_f64(u64::try_from(times.len()).unwrap_or(u64::MAX));
    // A thousand points are as fine as the plot.
    let step = times.len().div_ceil(1_000).max(1);
    let numbered = (1_u64..).zip(times).step_by(step);
    numbered
        .map(|(rank, took)| (100.0 * as_f64(rank) / count, milliseconds(took) / 1_000.0))
        .collect()
}
