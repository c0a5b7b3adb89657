//! `simulate`: replays a trace in virtual time, with the router and with other policies.

use indicatif::{ProgressBar, ProgressStyle};
use router_core::clock;
use router_core::config::{Config, ConfigFaults};
use serde::Serialize;

use crate::overload_page;
use crate::printout::Printout;
use crate::report_page::PageKit;
use crate::simulate_page;
use crate::simulation::bound;
use crate::simulation::generate;
use crate::simulation::omniscient;
use crate::simulation::overload;
use crate::simulation::overload_figures;
use crate::simulation::reference;
use crate::simulation::routed;
use crate::simulation::stage::Scale;
use crate::simulation::stage::Stage;
use crate::simulation::tally::Figures;
use crate::simulation::tally::Tally;
use crate::simulation::trace;
use crate::simulation::trace::Arrival;
use crate::simulation::trace::Trace;
use crate::simulation::workload;
use crate::simulation_args::PolicyName;
use crate::simulation_args::Scenario;
use crate::simulation_args::Simulate;

use crate::failure::Failure;

/// The configuration of a command without `--config`.
pub(crate) type DefaultConfig<'c> = &'c (dyn Fn() -> Result<Config, ConfigFaults> + Sync);

/// Output of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    all_payg_usd: f64,
    bound_usd: f64,
    policies: Vec<Figures>,
}

/// Replays the trace and reports.
pub(crate) fn run(
    simulate: &Simulate,
    default: DefaultConfig<'_>,
    kit: &PageKit,
) -> Result<Printout, Failure> {
    let scenario = &simulate.scenario;
    let trace = trace_of(scenario)?;
    if simulate.overload.no_spill {
        return overloaded(simulate, default, &trace, kit);
    }
    let stage = stage(scenario, default, &trace.arrivals, Scale::Load(simulate.load))?;
    let names: &[PolicyName] =
        if simulate.compare { &PolicyName::ALL } else { std::slice::from_ref(&simulate.policy) };
    let tallies = names.iter().map(|name| play(&stage, *name)).collect::<Result<Vec<_>, _>>()?;
    let (all_payg_usd, bound_usd) = (bound::all_pay_as_you_go(&stage), bound::bound(&stage));
    let figures = tallies.iter().map(|tally| tally.figures(&stage, all_payg_usd, bound_usd));
    let report = Report { all_payg_usd, bound_usd, policies: figures.collect() };
    if let Some(path) = &simulate.html {
        let page = simulate_page::page(kit, &stage, &tallies, &table(&stage, &report));
        std::fs::write(path, page)?;
    }
    let printout =
        if simulate.json { Printout::json(&report) } else { Printout::of(table(&stage, &report)) };
    Ok(Printout { remarks: trace.remarks(), ..printout })
}

/// Output of `--json` with `--no-spill`.
#[derive(Debug, Serialize)]
struct OverloadReport {
    load: f64,
    omniscient_goodput_share: f64,
    policies: Vec<overload_figures::Figures>,
}

/// Compares queue orders without pay-as-you-go.
fn overloaded(
    simulate: &Simulate,
    default: DefaultConfig<'_>,
    trace: &Trace,
    kit: &PageKit,
) -> Result<Printout, Failure> {
    let load = simulate.overload.overload.unwrap_or(simulate.load);
    let scenario = &simulate.scenario;
    let stage = stage(scenario, default, &trace.arrivals, Scale::Load(load))?;
    let stage = overload::without_spill(stage);
    let play = |policy| overload::play(&stage, policy, &simulate.overload, scenario.seed);
    let played = overload::Policy::ALL.map(play).into_iter().collect::<Result<Vec<_>, _>>()?;
    let policies = played.iter().map(|played| played.figures.clone()).collect();
    let omniscient_goodput_share = omniscient::goodput(&stage, &simulate.overload);
    let report = OverloadReport { load, omniscient_goodput_share, policies };
    if let Some(path) = &simulate.html {
        let (span, room) = (stage.span, overload::room(&stage));
        let plays = overload_page::Plays { played: &played, span, room };
        std::fs::write(path, overload_page::page(kit, plays, &overload_table(&report)))?;
    }
    let printout =
        if simulate.json { Printout::json(&report) } else { Printout::of(overload_table(&report)) };
    Ok(Printout { remarks: trace.remarks(), ..printout })
}

fn overload_table(report: &OverloadReport) -> String {
    let mut lines = vec![
        format!(
            "demand {:.2} times the capacity, no pay-as-you-go; an omniscient policy reaches {:.1} % goodput",
            report.load,
            report.omniscient_goodput_share * 100.0
        ),
        String::new(),
        format!(
            "{:<12} {:>9} {:>9} {:>8} {:>8} {:>8} {:>11} {:>11} {:>9} {:>11} {:>8} {:>11}",
            "policy",
            "goodput %",
            "answered",
            "429",
            "gave up",
            "wasted %",
            "answer p50",
            "answer p90",
            "idle p90",
            "429 p50 ms",
            "fairness",
            "recovery ms"
        ),
    ];
    lines.extend(report.policies.iter().map(|figures| {
        format!(
            "{:<12} {:>9.1} {:>9} {:>8} {:>8} {:>8.2} {:>11.0} {:>11.0} {:>9.0} {:>11.0} {:>8.3} {:>11.0}",
            figures.policy,
            figures.goodput_share * 100.0,
            figures.answered,
            figures.refused,
            figures.gave_up,
            figures.wasted_share * 100.0,
            figures.answer_p50_ms,
            figures.answer_p90_ms,
            figures.idle_p90_ms,
            figures.refusal_p50_ms,
            figures.fairness,
            figures.recovery_ms
        )
    }));
    lines.push(String::new());
    lines.push(
        "goodput: tokens of answers that arrived in time, of what the PTUs can serve; wasted: tokens for clients that hung up;\n\
         idle p90: answer p90 if each of these requests had an idle deployment to itself;\n\
         fairness: Jain's index of what each key got of its max-min fair share; recovery: the last refusal or delay of\n\
         more than a second after the load has fallen to half the capacity"
            .to_owned(),
    );
    lines.join("\n")
}

/// The trace of a scenario, read from its file or generated.
pub(crate) fn trace_of(scenario: &Scenario) -> Result<Trace, Failure> {
    match (&scenario.trace, scenario.generate) {
        (Some(path), _) => Ok(trace::read(path)?),
        (None, Some(kind)) => {
            Ok(Trace { arrivals: generate::generate(kind, scenario.seed), left_out: 0 })
        }
        (None, None) => Err(Failure::NoRequest),
    }
}

/// The stage of a scenario.
pub(crate) fn stage(
    scenario: &Scenario,
    default: DefaultConfig<'_>,
    arrivals: &[Arrival],
    scale: Scale,
) -> Result<Stage, Failure> {
    let config = if scenario.config.is_empty() {
        default()?
    } else {
        Config::load(&scenario.config, clock::day(clock::wall()))?
    };
    let calls = workload::calls(arrivals, scenario);
    let mut stage = Stage::set(config, calls, scale, scenario.window)?;
    stage.utilization_header = scenario.utilization_header;
    Ok(stage)
}

/// Plays a stage; the progress shows on a terminal.
pub(crate) fn play(stage: &Stage, policy: PolicyName) -> Result<Tally, Failure> {
    if policy != PolicyName::Router {
        return Ok(reference::replay(stage, policy).map_err(routed::PlayFault::from)?);
    }
    let length = u64::try_from(stage.calls.len()).unwrap_or(u64::MAX);
    let bar = ProgressBar::new(length).with_style(style("calls"));
    let tally = routed::play(stage, &|done| bar.set_position(done))?;
    bar.finish_and_clear();
    Ok(tally)
}

/// A bar that counts these.
pub(crate) fn style(counted: &str) -> ProgressStyle {
    let shown = format!("{{bar:40}} {{pos}}/{{len}} {counted}, {{eta}} left");
    ProgressStyle::with_template(&shown).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn table(stage: &Stage, report: &Report) -> String {
    let mut lines = vec![format!(
        "{} calls in {:.0} s; all on pay-as-you-go: ${:.2}; at least to be paid: ${:.2}",
        stage.calls.len(),
        stage.span.as_secs_f64(),
        report.all_payg_usd,
        report.bound_usd
    )];
    for pool in &stage.pools {
        let ptu: f64 = pool.tanks.iter().map(|tank| tank.settings.ptu).sum();
        if let Some(tank) = pool.tanks.first() {
            let (model, window) = (&pool.model, tank.settings.window.as_secs_f64());
            lines.push(format!("{model}: {ptu:.1} PTU, {window} s of drain are 100 %"));
        }
    }
    lines.push(String::new());
    lines.push(format!(
        "{:<13} {:>10} {:>8} {:>12} {:>9} {:>9} {:>10} {:>10} {:>10}",
        "policy",
        "paid usd",
        "saved %",
        "PTU used %",
        "429/call",
        "failures",
        "truncated",
        "p50 ms",
        "p99 ms"
    ));
    for figures in &report.policies {
        lines.push(format!(
            "{:<13} {:>10.3} {:>8.2} {:>12.2} {:>9.4} {:>9} {:>10} {:>10.0} {:>10.0}",
            figures.policy,
            figures.payg_usd,
            figures.saving_share * 100.0,
            figures.utilization * 100.0,
            figures.upstream_429_per_arrival,
            figures.visible_failures,
            figures.visible_truncations,
            figures.added_p50_ms,
            figures.added_p99_ms
        ));
    }
    let possible = report.all_payg_usd - report.bound_usd;
    if possible > 0.0 {
        let knowing = (report.all_payg_usd - bound::all_knowing(stage)) / possible * 100.0;
        lines.push(format!(
            "{:<13} {:>10.3} {knowing:>8.2}",
            "(all-knowing)",
            bound::all_knowing(stage)
        ));
    }
    lines.push(String::new());
    lines.push(
        "saved: of what these PTUs could save at most; p50, p99: added to the answer's time;\n\
         all-knowing: if every answer's length were known and nothing else reserved"
            .to_owned(),
    );
    lines.join("\n")
}
