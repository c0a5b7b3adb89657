//! `size`: how many PTUs to buy, by replaying a trace at the sizes that Azure sells, coarse to fine.

use indicatif::ProgressBar;
use router_core::model::PtuSize;
use router_core::task::Task;
use serde::Serialize;

use crate::printout::Printout;
use crate::simulation::bound;
use crate::simulation::routed;
use crate::simulation::stage::Pool;
use crate::simulation::stage::Scale;
use crate::simulation::stage::Stage;
use crate::simulation::stage::StageFault;
use crate::simulation_args::Size;

use crate::failure::Failure;
use crate::report_page::Line;
use crate::report_page::PageKit;
use crate::report_page::Plot;
use crate::report_page::page;
use crate::simulate::DefaultConfig;
use crate::simulate::stage;
use crate::simulate::style;
use crate::simulate::trace_of;
use crate::sweep;
use crate::sweep::Costs;

/// No more sizes than this are considered; if more are sold, every second one, or every third.
const MOST_SIZES: u32 = 10_000;

/// Sizes whose cost is within this share of the cheapest are as good.
const NEARLY: f64 = 1.02;

/// Result of one size over the trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Sized {
    ptu: u32,
    ptu_usd: f64,
    payg_usd: f64,
    total_usd: f64,
    utilization: f64,
    added_p50_ms: f64,
    added_p99_ms: f64,
    visible_failures: usize,
}

/// Output of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    ptu_hourly_usd: f64,
    hours: f64,
    calls: usize,
    cheapest_ptu: u32,
    within_2_percent: [u32; 2],
    sizes: Vec<Sized>,
}

impl Costs for Sized {
    fn usd(&self) -> f64 {
        self.total_usd
    }
}

/// Searches for the cheapest size and reports.
pub(crate) fn run(
    size: &Size,
    default: DefaultConfig<'_>,
    kit: &PageKit,
) -> Result<Printout, Failure> {
    let trace = trace_of(&size.scenario)?;
    // At the mean demand: whatever the configuration says, this many PTUs are fully used.
    let level = stage(&size.scenario, default, &trace.arrivals, Scale::Load(1.0))?;
    let pool = provisioned(&level)?;
    let mean: f64 = pool.tanks.iter().map(|tank| tank.settings.ptu).sum();
    let sold = sold(&level, pool, size.regional)?;
    let sizes = sizes(sold, size.most.unwrap_or_else(|| whole(2.0 * mean)));
    let hours = level.span.as_secs_f64() / 3_600.0;
    let bar = ProgressBar::no_length().with_style(style("sizes"));
    let play = |ptu: u32| {
        let scale = Scale::Ptu(f64::from(ptu));
        let stage = stage(&size.scenario, default, &trace.arrivals, scale)?;
        let all = bound::all_pay_as_you_go(&stage);
        let figures = routed::play(&stage, &|_| {})?.figures(&stage, all, 0.0);
        let ptu_usd = f64::from(ptu) * size.ptu_hourly_usd * hours;
        bar.inc(1);
        Ok::<_, Failure>(Sized {
            ptu,
            ptu_usd,
            payg_usd: figures.payg_usd,
            total_usd: ptu_usd + figures.payg_usd,
            utilization: figures.utilization,
            added_p50_ms: figures.added_p50_ms,
            added_p99_ms: figures.added_p99_ms,
            visible_failures: figures.visible_failures,
        })
    };
    let found = sweep::sweep(&sizes, NEARLY, &play)?;
    bar.finish_and_clear();
    let Some((cheapest_ptu, within_2_percent)) = best(&found) else {
        return Err(Failure::NoRequest);
    };
    let report = Report {
        model: pool.model.to_string(),
        ptu_hourly_usd: size.ptu_hourly_usd,
        hours,
        calls: level.calls.len(),
        cheapest_ptu,
        within_2_percent,
        sizes: found,
    };
    if let Some(path) = &size.html {
        std::fs::write(path, page(kit, "How many PTUs?", &table(&report), &plots(&report)))?;
    }
    let printout = if size.json { Printout::json(&report) } else { Printout::of(table(&report)) };
    Ok(Printout { remarks: trace.remarks(), ..printout })
}

/// The pool that is sized.
fn provisioned(stage: &Stage) -> Result<&Pool, Failure> {
    let pool = stage.pools.iter().find(|pool| pool.task == Task::Chat && !pool.tanks.is_empty());
    Ok(pool.ok_or(StageFault::NotProvisioned)?)
}

/// In which sizes the pool's model is sold.
fn sold(stage: &Stage, pool: &Pool, regional: bool) -> Result<PtuSize, StageFault> {
    let model = stage.config.catalog.model(pool.model.as_str());
    let sizes = model.and_then(|model| model.ptu?.sizes);
    let sizes = sizes.ok_or_else(|| StageFault::NoSizes { model: pool.model.clone() })?;
    Ok(if regional { sizes.regional } else { sizes.global })
}

/// None, and the sizes sold up to `most`.
fn sizes(sold: PtuSize, most: u32) -> Vec<u32> {
    let step = sold.step.max(1);
    let count = most.saturating_sub(sold.min) / step + 1;
    let stride = step * count.div_ceil(MOST_SIZES);
    let sold = (0..MOST_SIZES).map(|index| sold.min + index * stride);
    std::iter::once(0).chain(sold.take_while(|size| *size <= most)).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
fn whole(number: f64) -> u32 {
    number.ceil() as u32
}

/// The cheapest size, and the smallest and largest of those around it that cost nearly as little.
fn best(sizes: &[Sized]) -> Option<(u32, [u32; 2])> {
    let cheapest = sizes.iter().min_by(|one, other| one.total_usd.total_cmp(&other.total_usd))?;
    let nearly = |size: &&Sized| size.total_usd <= cheapest.total_usd * NEARLY;
    let below = sizes.iter().rev().skip_while(|size| size.ptu > cheapest.ptu).take_while(nearly);
    let above = sizes.iter().skip_while(|size| size.ptu < cheapest.ptu).take_while(nearly);
    let smallest = below.last().map_or(cheapest.ptu, |size| size.ptu);
    let largest = above.last().map_or(cheapest.ptu, |size| size.ptu);
    Some((cheapest.ptu, [smallest, largest]))
}

fn plots(report: &Report) -> [Plot; 3] {
    let line = |name: &str, value: fn(&Sized) -> f64| {
        let points = report.sizes.iter().map(|size| (f64::from(size.ptu), value(size)));
        Line::new(name, points.collect())
    };
    let across = "PTU";
    [
        Plot {
            title: "Cost over the trace",
            across,
            up: "US dollars",
            lines: vec![
                line("total", |size| size.total_usd),
                line("pay-as-you-go", |size| size.payg_usd),
                line("PTU", |size| size.ptu_usd),
            ],
        },
        Plot {
            title: "Utilization",
            across,
            up: "% of what they can serve",
            lines: vec![line("utilization", |size| size.utilization * 100.0)],
        },
        Plot {
            title: "What was added to the answer's time",
            across,
            up: "milliseconds",
            lines: vec![
                line("99th percentile", |size| size.added_p99_ms),
                line("median", |size| size.added_p50_ms),
            ],
        },
    ]
}

/// About this many rows are shown.
const ROWS: usize = 20;

fn table(report: &Report) -> String {
    let [smallest, largest] = report.within_2_percent;
    let mut lines = vec![
        format!(
            "{}: {} calls in {:.2} h at ${} for a PTU-hour",
            report.model, report.calls, report.hours, report.ptu_hourly_usd
        ),
        String::new(),
        format!(
            "{:>6} {:>10} {:>10} {:>10} {:>8} {:>8} {:>8}",
            "PTU", "PTU usd", "payg usd", "total usd", "used %", "p50 ms", "p99 ms"
        ),
    ];
    let stride = report.sizes.len().div_ceil(ROWS).max(1);
    for (index, size) in report.sizes.iter().enumerate() {
        let marked = [report.cheapest_ptu, smallest, largest].contains(&size.ptu);
        if index % stride == 0 || marked {
            let mark = if size.ptu == report.cheapest_ptu { " <- cheapest" } else { "" };
            lines.push(format!(
                "{:>6} {:>10.2} {:>10.2} {:>10.2} {:>8.1} {:>8.0} {:>8.0}{mark}",
                size.ptu,
                size.ptu_usd,
                size.payg_usd,
                size.total_usd,
                size.utilization * 100.0,
                size.added_p50_ms,
                size.added_p99_ms
            ));
        }
    }
    lines.push(String::new());
    lines.push(format!(
        "cheapest: {} PTU; within 2 % of it: {smallest} to {largest}",
        report.cheapest_ptu
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_that_are_sold() {
        let sold = PtuSize { min: 15, step: 5 };
        assert_eq!(sizes(sold, 30), [0, 15, 20, 25, 30]);
        assert_eq!(sizes(sold, 14), [0]);
        let many = sizes(sold, 100_000);
        assert!(
            many.len() <= 10_001 && many.iter().skip(1).all(|size| sold.sells(f64::from(*size)))
        );
    }

    #[test]
    fn the_range_lies_around_the_cheapest() {
        let sized = |(ptu, total_usd): (u32, f64)| Sized {
            ptu,
            ptu_usd: 0.0,
            payg_usd: 0.0,
            total_usd,
            utilization: 0.0,
            added_p50_ms: 0.0,
            added_p99_ms: 0.0,
            visible_failures: 0,
        };
        let costs = [(0, 10.1), (15, 12.0), (20, 10.1), (25, 10.0), (30, 10.2), (35, 10.3)];
        let sizes: Vec<Sized> = costs.into_iter().map(sized).collect();
        // 0 is as cheap but not beside it: a size in between is not.
        assert_eq!(best(&sizes), Some((25, [20, 30])));
        assert_eq!(best(&[]), None);
    }
}
