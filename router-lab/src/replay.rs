//! `replay`: one request log under one or two configurations, side by side.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::ProgressBar;
use router_core::clock;
use router_core::config::Config;
use router_core::deployment::Billing;
use router_core::fallback::Note;
use router_core::record::RequestRecord;
use router_core::task::Task;
use serde::Serialize;

use crate::calibration::as_f64;
use crate::printout::Printout;
use crate::replay_page;
use crate::replay_page::Drawn;
use crate::report_page::PageKit;
use crate::simulation::replay;
use crate::simulation::replay::Replayed;
use crate::simulation::stage::Stage;
use crate::simulation::tally::milliseconds;
use crate::simulation::tally::quantile;
use crate::simulation::tally::share;
use crate::tuning_args::Replay;
use router_core::log_line::Log;
use router_core::log_line::LoggedRequest;

use crate::failure::Failure;
use crate::simulate::style;

/// Result of one configuration for the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Figures {
    config: String,
    reasoning_share: f64,
    chat_share: f64,
    named_share: f64,
    pay_as_you_go_usd: f64,
    ptu_usd: Option<f64>,
    total_usd: f64,
    ptu: f64,
    ptu_used_share: f64,
    provisioned_share: f64,
    fallbacks: usize,
    upstream_429s: usize,
    held: usize,
    held_p99_ms: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    failures: usize,
    failures_by_cause: BTreeMap<&'static str, usize>,
    answers_by_deployment: BTreeMap<String, usize>,
}

/// Output of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    requests: usize,
    played: usize,
    hours: f64,
    configs: Vec<Figures>,
}

/// Plays the log under each configuration and reports.
pub(crate) fn run(args: &Replay, kit: &PageKit) -> Result<Printout, Failure> {
    let log = Log::read(&args.log)?;
    let requests = replay::playable(&log.requests);
    if requests.is_empty() {
        return Err(Failure::NothingPlayable);
    }
    let sides = [&args.config, &args.vs];
    let today = clock::day(clock::wall());
    // Both are read before either is played: a fault should not wait for minutes.
    let configs = sides.into_iter().filter(|files| !files.is_empty()).map(|files| {
        let config = Config::load(files, today)?;
        Ok((name(files), config))
    });
    let configs = configs.collect::<Result<Vec<_>, Failure>>()?;
    let (mut figures, mut drawn) = (Vec::new(), Vec::new());
    let mut hours = 0.0;
    for (name, config) in configs {
        let played = play(&requests, config, &name)?;
        hours = played.stage.span.as_secs_f64() / 3_600.0;
        if args.html.is_some() {
            drawn.push(Drawn::of(&name, &played));
        }
        figures.push(Figures::of(name, &played, args.ptu_hourly_usd.map(|usd| usd * hours)));
    }
    let report =
        Report { requests: log.requests.len(), played: requests.len(), hours, configs: figures };
    if let Some(path) = &args.html {
        std::fs::write(path, replay_page::page(kit, &drawn, &table(&report)))?;
    }
    Ok(if args.json { Printout::json(&report) } else { Printout::of(table(&report)) })
}

fn play(requests: &[&LoggedRequest], config: Config, name: &str) -> Result<Replayed, Failure> {
    let length = u64::try_from(requests.len()).unwrap_or(u64::MAX);
    let bar = ProgressBar::new(length).with_style(style(&format!("requests under {name}")));
    let played = replay::replay(requests, config, &|done| bar.set_position(done))?;
    bar.finish_and_clear();
    Ok(played)
}

/// A configuration goes by the names of its files.
fn name(files: &[PathBuf]) -> String {
    let names = files.iter().map(|path| {
        let name = path.file_stem().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    });
    names.collect::<Vec<_>>().join("+")
}

impl Figures {
    fn of(config: String, played: &Replayed, usd_for_each_ptu: Option<f64>) -> Self {
        let records = &played.records;
        let part = |which: &dyn Fn(&RequestRecord) -> bool| {
            as_f64(records.iter().filter(|record| which(record)).count()) / as_f64(records.len())
        };
        let of_task = |task| part(&|record| task_of(record) == task);
        let provisioned = |record: &RequestRecord| {
            let answer = record.answer.as_ref().filter(|_| record.ended.error().is_none());
            answer.is_some_and(|it| it.deployment.billing.is_provisioned() && !it.spilled_over)
        };
        let (ptu, rate) = provisioned_of(&played.stage);
        let totals =
            sorted(records.iter().filter(|it| it.ended.error().is_none()).map(|it| it.total));
        let held = sorted(records.iter().map(held).filter(|held| !held.is_zero()));
        let at = |sorted: &[Duration], percent| milliseconds(quantile(sorted, percent));
        let ptu_usd = usd_for_each_ptu.map(|usd| usd * ptu);
        let failures = failures(records);
        Self {
            config,
            reasoning_share: of_task(Some(Task::Reasoning)),
            chat_share: of_task(Some(Task::Chat)),
            named_share: of_task(None),
            pay_as_you_go_usd: played.usd,
            ptu_usd,
            total_usd: played.usd + ptu_usd.unwrap_or(0.0),
            ptu,
            ptu_used_share: share(
                played.provisioned_tokens,
                rate * played.stage.span.as_secs_f64(),
            ),
            provisioned_share: part(&provisioned),
            fallbacks: records.iter().filter(|record| record.fallback.is_some()).count(),
            upstream_429s: usize::try_from(played.refusals).unwrap_or(usize::MAX),
            held: held.len(),
            held_p99_ms: at(&held, 99),
            p50_ms: at(&totals, 50),
            p95_ms: at(&totals, 95),
            p99_ms: at(&totals, 99),
            failures: failures.values().sum(),
            failures_by_cause: failures,
            answers_by_deployment: answers(records),
        }
    }
}

fn task_of(record: &RequestRecord) -> Option<Task> {
    record.decided.as_ref().and_then(|decided| decided.task)
}

fn held(record: &RequestRecord) -> Duration {
    record.notes.iter().map(Note::held).sum()
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times
}

fn failures(records: &[RequestRecord]) -> BTreeMap<&'static str, usize> {
    let mut causes = BTreeMap::new();
    for error in records.iter().filter_map(|record| record.ended.error()) {
        *causes.entry(error).or_default() += 1;
    }
    causes
}

fn answers(records: &[RequestRecord]) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for answer in records.iter().filter_map(|record| record.answer.as_ref()) {
        *answers.entry(answer.deployment.name.to_string()).or_default() += 1;
    }
    answers
}

/// Number of PTUs, and the normalized tokens per second that they serve.
fn provisioned_of(stage: &Stage) -> (f64, f64) {
    let (mut ptu, mut rate) = (0.0, 0.0);
    for deployment in stage.config.catalog.deployments() {
        if let Billing::Provisioned(known) = &deployment.billing {
            ptu += known.ptu;
            rate += known.rate.map_or(0.0, |rate| known.ptu * rate.input_tpm_per_ptu / 60.0);
        }
    }
    (ptu, rate)
}

/// A row of the table: its label, the decimals shown, the figure.
type Row = (&'static str, usize, fn(&Figures) -> f64);

const ROWS: [Row; 17] = [
    ("pay-as-you-go usd", 4, |it| it.pay_as_you_go_usd),
    ("ptu usd", 2, |it| it.ptu_usd.unwrap_or(0.0)),
    ("total usd", 4, |it| it.total_usd),
    ("reasoning %", 1, |it| 100.0 * it.reasoning_share),
    ("chat %", 1, |it| 100.0 * it.chat_share),
    ("named by callers %", 1, |it| 100.0 * it.named_share),
    ("ptu", 0, |it| it.ptu),
    ("ptu used %", 1, |it| 100.0 * it.ptu_used_share),
    ("served by ptu %", 1, |it| 100.0 * it.provisioned_share),
    ("fallbacks", 0, |it| as_f64(it.fallbacks)),
    ("429s of upstreams", 0, |it| as_f64(it.upstream_429s)),
    ("held", 0, |it| as_f64(it.held)),
    ("held p99 ms", 0, |it| it.held_p99_ms),
    ("p50 ms", 0, |it| it.p50_ms),
    ("p95 ms", 0, |it| it.p95_ms),
    ("p99 ms", 0, |it| it.p99_ms),
    ("failures", 0, |it| as_f64(it.failures)),
];

fn table(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} of {} requests played, {:.2} h of the log",
        report.played, report.requests, report.hours
    )];
    lines.push(String::new());
    let heads = report.configs.iter().map(|figures| format!("{:>16}", cut(&figures.config)));
    let change =
        if report.configs.len() == 2 { format!("{:>12}", "change") } else { String::new() };
    lines.push(format!("{:<20}{}{change}", "", heads.collect::<String>()));
    for (label, decimals, figure) in ROWS {
        let values: Vec<f64> = report.configs.iter().map(figure).collect();
        let shown = values.iter().map(|value| format!("{value:>16.decimals$}"));
        let line = format!("{label:<20}{}{}", shown.collect::<String>(), changed(&values));
        lines.push(line.trim_end().to_owned());
    }
    for figures in &report.configs {
        for (cause, count) in &figures.failures_by_cause {
            lines.push(format!("failures of {}: {cause} {count}", figures.config));
        }
    }
    lines.push(String::new());
    lines.push(
        "how exact: scores are the log's, only threshold and mode decide anew; hidden reasoning of requests that change their\n\
         model is estimated from the log; every model answers at one pace (300 ms, then 60 tokens a second), so that times\n\
         compare waits and lengths, not models; upstreams have no faults; prompt caches are as they were"
            .to_owned(),
    );
    lines.join("\n")
}

/// By how much the second differs from the first.
fn changed(values: &[f64]) -> String {
    match values {
        [before, after] if *before > 0.0 => format!("{:>+10.1} %", 100.0 * (after / before - 1.0)),
        _ => String::new(),
    }
}

fn cut(name: &str) -> String {
    name.chars().take(15).collect()
}
