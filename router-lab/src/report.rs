//! `report`: what keys, teams, models and deployments used and cost, from request logs.

use router_core::log_line::Log;
use router_core::log_line::LoggedRequest;

use crate::failure::Failure;
use crate::printout::Printout;
use crate::report_args::Report;
use crate::report_forms;
use crate::report_forms::Sheet;
use crate::spending;

/// Reads the logs, adds up, and writes the report.
pub(crate) fn run(args: &Report) -> Result<Printout, Failure> {
    let log = Log::read(&args.log)?;
    let within = |request: &LoggedRequest| {
        let day = spending::day(request);
        args.since.is_none_or(|since| day >= since) && args.until.is_none_or(|until| day <= until)
    };
    let mut requests: Vec<LoggedRequest> =
        log.requests.into_iter().chain(log.settlements).filter(within).collect();
    requests.sort_by_key(|request| request.at_unix_ms);
    let day = |request: Option<&LoggedRequest>| request.map(|one| spending::day(one).to_string());
    let sheet = Sheet {
        columns: &args.by,
        groups: &spending::by(&requests, &args.by),
        total: &spending::total(&requests),
        days: day(requests.first()).zip(day(requests.last())),
    };
    let text = report_forms::written(&sheet, args.format);
    let mut remarks = Vec::new();
    if log.torn > 0 {
        remarks.push(format!("{} incomplete lines were left out", log.torn));
    }
    if sheet.total.unpriced > 0 {
        remarks.push(format!(
            "{} answers have no known price and are not in the cost: set prices in [models.NAME]",
            sheet.total.unpriced
        ));
    }
    let report = match &args.out {
        None => text.trim_end().to_owned(),
        Some(path) => {
            std::fs::write(path, text)?;
            format!(
                "{} requests in {} groups: {}",
                requests.len(),
                sheet.groups.len(),
                path.display()
            )
        }
    };
    Ok(Printout { report, remarks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_logs_of_all_pods() {
        let folder = tempfile::tempdir().unwrap();
        let line = |at: u64| format!("{{\"at_unix_ms\":{at}}}\n");
        for (pod, name, at) in [
            ("pod-a", "requests.jsonl", 3),
            ("pod-a", "requests.jsonl.1", 1),
            ("pod-b", "requests.jsonl", 2),
        ] {
            std::fs::create_dir_all(folder.path().join(pod)).unwrap();
            std::fs::write(folder.path().join(pod).join(name), line(at)).unwrap();
        }
        std::fs::create_dir(folder.path().join("lost+found")).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no log").unwrap();
        let log = Log::read(&[folder.path().to_owned()]).unwrap();
        let times: Vec<u64> = log.requests.iter().map(|request| request.at_unix_ms).collect();
        assert_eq!(times, [1, 2, 3]);
    }

    #[test]
    fn lines_of_the_router_itself_are_passed_over_and_others_are_not() {
        let own = r#"{"timestamp":"2026-11-29T08:38:47Z","level":"INFO","message":"listening"}"#;
        let read = |lines: &str| Log::parse(lines).map(|log| log.requests.len());
        assert_eq!(read(&format!("{own}\n{{\"at_unix_ms\":1}}\n{own}\n")), Ok(1));
        assert_eq!(read(&format!("{own}\n{{\"message\":\"of something else\"}}\n")), Err(2));
    }

    #[test]
    fn a_folder_without_logs_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Log::read(&[folder.path().to_owned()]).unwrap_err().to_string();
        assert!(fault.ends_with("no *.jsonl file in this folder"), "{fault}");
    }
}
