//! `calibrate`: finds the threshold for a given share of reasoning requests, from the scores in
//! request logs.

use router_core::clock;
use router_core::config::Config;
use router_core::record::ReferencePrices;
use router_core::task::Signals;
use serde::Serialize;

use crate::calibration::Cut;
use crate::calibration::Scores;
use crate::calibration::as_f64;
use crate::calibration::hidden_reasoning;
use crate::calibration::prices_of;
use crate::calibration::recorded_prices;
use crate::calibration::scored;
use crate::printout::Printout;
use crate::tuning_args::Calibrate;
use router_core::log_line::Log;

use crate::failure::Failure;

/// Shares that are shown beside the wished one.
const SHARES: [f64; 8] = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5];

/// A score counts as near to the threshold within this distance.
const NEAR: f64 = 0.05;

/// Fewer scores than these tell little of the next ones.
const FEW: usize = 200;

/// A threshold and what it does with the requests of the log.
#[derive(Debug, Clone, Copy, Serialize)]
struct Effect {
    threshold: f64,
    reasoning: usize,
    share: f64,
    pay_as_you_go_usd: f64,
}

/// Output of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    requests: usize,
    scored: usize,
    target_share: f64,
    present: Option<Effect>,
    found: Effect,
    served_usd: f64,
    hidden_reasoning_tokens: u64,
    unpriced: usize,
    near: usize,
    within_hysteresis: usize,
    sampling_error: f64,
    table: Vec<Effect>,
    warnings: Vec<String>,
}

/// Reads the logs, finds the threshold and tells what it would do.
pub(crate) fn run(calibrate: &Calibrate) -> Result<Printout, Failure> {
    let log = Log::read(&calibrate.log)?;
    let config = match calibrate.config.as_slice() {
        [] => None,
        files => Some(Config::load(files, clock::day(clock::wall()))?),
    };
    let report = report(calibrate, &log, config.as_ref())?;
    Ok(if calibrate.json {
        Printout::json(&report)
    } else {
        Printout::of(text(&report, config.is_some()))
    })
}

fn report(calibrate: &Calibrate, log: &Log, config: Option<&Config>) -> Result<Report, Failure> {
    let hidden = hidden_reasoning(&log.requests);
    let scores = match config {
        Some(config) => {
            let yardsticks = ReferencePrices::of(&config.policy, &config.catalog);
            let prices = |request: &_| prices_of(&yardsticks, hidden, request);
            Scores::new(scored(&log.requests, prices).collect::<Vec<_>>())
        }
        None => Scores::new(scored(&log.requests, recorded_prices)),
    };
    if scores.count() == 0 {
        return Err(Failure::NothingScored);
    }
    let effect = |threshold: f64| Effect {
        threshold,
        reasoning: scores.reaching(threshold),
        share: as_f64(scores.reaching(threshold)) / as_f64(scores.count()),
        pay_as_you_go_usd: scores.cost(threshold),
    };
    let at = |share: f64| {
        let Cut { threshold, .. } = scores.cut(share);
        effect(threshold)
    };
    let found = at(calibrate.target_share);
    let signals = config.map_or_else(Signals::default, |config| config.scoring.signals);
    let present = config.map(config_threshold).or_else(|| last_threshold(log));
    let served = log.requests.iter().filter(|request| request.decision.score.is_some());
    let share = found.share;
    let mut report = Report {
        requests: log.requests.len(),
        scored: scores.count(),
        target_share: calibrate.target_share,
        present: present.map(effect),
        found,
        // The sum of an empty list is -0.
        served_usd: 0.0
            + served.filter_map(|request| request.outcome.pay_as_you_go_usd).sum::<f64>(),
        hidden_reasoning_tokens: hidden,
        unpriced: scores.unpriced(),
        near: scores.near(found.threshold, NEAR),
        within_hysteresis: scores.near_in_log_odds(found.threshold, signals.hysteresis),
        sampling_error: 1.96 * (share * (1.0 - share) / as_f64(scores.count())).sqrt(),
        table: SHARES.map(at).to_vec(),
        warnings: Vec::new(),
    };
    report.warnings = warnings(&report, log, config.is_some());
    Ok(report)
}

/// The configured threshold as it is written.
fn config_threshold(config: &Config) -> f64 {
    (f64::from(config.scoring.signals.threshold.value()) * 1e7).round() / 1e7
}

fn last_threshold(log: &Log) -> Option<f64> {
    log.requests.iter().rev().find_map(|request| request.decision.threshold)
}

fn warnings(report: &Report, log: &Log, config: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if report.scored < FEW {
        warnings.push(format!(
            "only {} scored requests: the share of others may differ by {:.0} points",
            report.scored,
            100.0 * report.sampling_error
        ));
    }
    let off = (report.found.share - report.target_share).abs() * as_f64(report.scored);
    if off > 1.0 {
        warnings.push(format!(
            "many requests have one score: {:.1} % is the nearest share to {:.1} % that a threshold gives",
            100.0 * report.found.share,
            100.0 * report.target_share
        ));
    }
    let first = log.requests.iter().find_map(|request| request.decision.threshold);
    if first != last_threshold(log) {
        warnings.push("the threshold changed while this log was written".to_owned());
    }
    if report.unpriced > 0 {
        warnings.push(format!(
            "{} requests have no answer or no known price and are left out of the costs",
            report.unpriced
        ));
    }
    if report.hidden_reasoning_tokens == 0 {
        warnings.push(
            "no answer in this log has hidden reasoning: what more reasoning calls cost is told too low"
                .to_owned(),
        );
    } else if !config {
        warnings.push(format!(
            "reasoning answers have {} hidden tokens in the mean; they are in the costs with --config only",
            report.hidden_reasoning_tokens
        ));
    }
    warnings
}

fn text(report: &Report, config: bool) -> String {
    let Report { found, .. } = report;
    let mut lines = vec![format!("{} requests, {} of them scored", report.requests, report.scored)];
    lines.push(String::new());
    lines.push(format!(
        "{:<10}{:>10} {:>12} {:>14}",
        "", "threshold", "reasoning %", "usd, list price"
    ));
    if let Some(present) = &report.present {
        lines.push(row("present", present));
    }
    lines.push(row("wished", found));
    if let Some(present) = &report.present {
        let change = 100.0 * (found.pay_as_you_go_usd / present.pay_as_you_go_usd - 1.0);
        if change.is_finite() {
            lines.push(format!("{:<10}{change:>+38.1} %", "change"));
        }
    }
    lines.push(String::new());
    lines.push(format!("set it:   [routing] threshold = {}", found.threshold));
    lines.push(format!("          or ROUTER__ROUTING__THRESHOLD={}", found.threshold));
    lines.push(String::new());
    lines.extend(report.table.iter().map(|effect| row("", effect)));
    lines.push(String::new());
    let share = |count: usize| 100.0 * as_f64(count) / as_f64(report.scored);
    lines.push(format!(
        "{} scores ({:.1} %) lie within {NEAR} of it; on other requests of this kind the share is {:.1} % give or take {:.1}",
        report.near,
        share(report.near),
        100.0 * found.share,
        100.0 * report.sampling_error
    ));
    lines.push(format!(
        "how exact: a score holds the signals of its conversation; hysteresis alone is not played again, and {} scores ({:.1} %) \
         are near enough for it",
        report.within_hysteresis,
        share(report.within_hysteresis)
    ));
    lines.push(format!(
        "costs: tokens of the log at {} pay-as-you-go prices; as they were served: ${:.4}. `replay` plays provisioned \
         throughput too",
        if config { "the configuration's" } else { "the recorded" },
        report.served_usd
    ));
    lines.extend(report.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n")
}

fn row(label: &str, effect: &Effect) -> String {
    let Effect { threshold, share, pay_as_you_go_usd, .. } = effect;
    format!("{label:<10}{threshold:>10} {:>12.1} {pay_as_you_go_usd:>14.4}", 100.0 * share)
}
