//! A trace of calls and times, read from a file of token counts or from a request log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use router_core::task::Task;
use router_core::units::Day;

use router_core::log_line::Log;
use router_core::log_line::LoggedRequest;

/// One request of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// When, from the first request on.
    pub at: Duration,
    /// The prompt's tokens.
    pub prompt: u64,
    /// The part of them that came from the cache.
    pub cached: u64,
    /// The prompt's tokens as the router counted them; `None` if the trace does not say.
    pub estimate: Option<u64>,
    /// The tokens that the answer has where no cap ends it.
    pub output: u64,
    /// The caller's cap on the answer.
    pub cap: Option<u64>,
    /// True if a stream was asked for; `None` if the trace does not say.
    pub streamed: Option<bool>,
    /// The task; `None` if the trace does not say.
    pub task: Option<Task>,
}

/// Contents of a trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// The requests, in the order of time.
    pub arrivals: Vec<Arrival>,
    /// Lines without tokens or conversation, which cannot be replayed.
    pub left_out: usize,
}

impl Trace {
    /// One line for the terminal if lines were skipped.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let skipped = self.left_out;
        let remark = || format!("left out: {skipped} lines without tokens or words");
        (skipped > 0).then(remark).into_iter().collect()
    }
}

/// The reason why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceFault {
    /// The file cannot be read.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("{}: line {line}: {expected}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// Expected value.
        expected: &'static str,
    },
    /// There is nothing to replay.
    #[error("{}: expected at least two requests, at different times", path.display())]
    Short {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a trace; what kind of file it is shows at its first letter.
///
/// # Errors
/// The file cannot be read, a line is malformed, or it holds fewer than two requests.
pub fn read(path: &Path) -> Result<Trace, TraceFault> {
    let file = |cause| TraceFault::File { path: path.to_owned(), cause };
    let text = std::fs::read_to_string(path).map_err(file)?;
    let parsed = if text.trim_start().starts_with('{') { of_log(&text) } else { of_csv(&text) };
    let malformed =
        |(line, expected)| TraceFault::Line { path: path.to_owned(), line: line + 1, expected };
    let mut trace = parsed.map_err(malformed)?;
    trace.arrivals = from_first(trace.arrivals);
    if trace.arrivals.last().is_none_or(|last| last.at.is_zero()) {
        return Err(TraceFault::Short { path: path.to_owned() });
    }
    Ok(trace)
}

type Malformed = (usize, &'static str);

/// Puts arrivals in order and counts time from the first one.
fn from_first(mut arrivals: Vec<Arrival>) -> Vec<Arrival> {
    arrivals.sort_by_key(|arrival| arrival.at);
    let first = arrivals.first().map_or(Duration::ZERO, |arrival| arrival.at);
    for arrival in &mut arrivals {
        arrival.at -= first;
    }
    arrivals
}

const COLUMNS: [&str; 3] = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

/// **Source:** the header line of `AzureLLMInferenceTrace_conv.csv` in Azure/AzurePublicDataset.
fn of_csv(text: &str) -> Result<Trace, Malformed> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let header = lines.next().map(|(_, line)| line.trim().split(',').collect::<Vec<_>>());
    if header.as_deref() != Some(&COLUMNS) {
        return Err((0, "expected TIMESTAMP,ContextTokens,GeneratedTokens, or a line of JSON"));
    }
    let arrivals = lines
        .map(|(number, line)| row(line).ok_or((number, "expected a time and two counts of tokens")))
        .collect::<Result<_, _>>()?;
    Ok(Trace { arrivals, left_out: 0 })
}

fn row(line: &str) -> Option<Arrival> {
    let mut cells = line.trim().split(',');
    let at = since_epoch(cells.next()?)?;
    let prompt = cells.next()?.parse().ok()?;
    let output = cells.next()?.parse().ok()?;
    let (cached, estimate) = (0, None);
    Some(Arrival { at, prompt, cached, estimate, output, cap: None, streamed: None, task: None })
}

/// `2023-11-16 18:15:46.6805900`, in UTC; a `T` or a final `Z` changes nothing.
fn since_epoch(text: &str) -> Option<Duration> {
    let (date, time) = text.trim().trim_end_matches('Z').split_once([' ', 'T'])?;
    let days = Day::try_from(date).ok()?.days_since(Day::of_unix_seconds(0));
    let mut parts = time.splitn(3, ':');
    let hours: u64 = parts.next()?.parse().ok().filter(|hours| *hours < 24)?;
    let minutes: u64 = parts.next()?.parse().ok().filter(|minutes| *minutes < 60)?;
    let seconds: f64 =
        parts.next()?.parse().ok().filter(|seconds| (0.0..61.0).contains(seconds))?;
    let days = u64::try_from(days).ok()?;
    Some(
        Duration::from_secs(days * 86_400 + hours * 3_600 + minutes * 60)
            + Duration::from_secs_f64(seconds),
    )
}

fn of_log(text: &str) -> Result<Trace, Malformed> {
    let unread = |number| (number - 1, "expected a line of a request log: JSON with at_unix_ms");
    let log = Log::parse(text).map_err(unread)?;
    let arrivals: Vec<Arrival> = log.requests.iter().filter_map(of_request).collect();
    let left_out = log.requests.len() - arrivals.len() + log.torn;
    Ok(Trace { arrivals, left_out })
}

/// `None` if nobody answered, or if there is no answer in words: nothing is known to play.
fn of_request(request: &LoggedRequest) -> Option<Arrival> {
    let (prompt, output) = request.tokens().filter(|_| request.is_conversation())?;
    Some(Arrival {
        at: Duration::from_millis(request.at_unix_ms),
        prompt,
        cached: request.outcome.cached_tokens.unwrap_or(0).min(prompt),
        estimate: request.decision.estimated_prompt_tokens,
        output,
        cap: request.max_tokens,
        streamed: request.streamed,
        task: request.task(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_trace_counts_from_its_first_request() {
        let text = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
                    2023-11-16 23:59:59.5000000,374,44\r\n2023-11-17 00:00:00.7500000,396,109\r\n";
        let arrivals = from_first(of_csv(text).unwrap().arrivals);
        let second = arrivals[1];
        assert_eq!((second.prompt, second.output, second.cap), (396, 109, None));
        assert_eq!(second.at, Duration::from_millis(1_250));
    }

    #[test]
    fn a_request_log_says_more() {
        let text = r#"{"at_unix_ms":1700000000500,"prompt_tokens":9,"cached_tokens":5,"completion_tokens":4,"task":"reasoning","streamed":true,"max_tokens":64,"later":1}
            {"at_unix_ms":1700000000000,"prompt_tokens":1,"completion_tokens":2,"task":null,"estimated_prompt_tokens":3}

            {"at_unix_ms":1700000000001,"error":"full"}
            {"at_unix_ms":1700000000001,"operation":"embeddings","prompt_tokens":1,"completion_tokens":0}
            {"at_unix_ms":17000"#;
        let trace = of_log(text).unwrap();
        assert_eq!((trace.arrivals.len(), trace.left_out), (2, 3));
        let arrivals = from_first(trace.arrivals);
        assert_eq!((arrivals[0].cached, arrivals[0].estimate), (0, Some(3)));
        assert_eq!(arrivals[1].cached, 5);
        assert_eq!(arrivals[0].task, None);
        let second = arrivals[1];
        assert_eq!(second.at, Duration::from_millis(500));
        assert_eq!((second.cap, second.streamed), (Some(64), Some(true)));
        assert_eq!(second.task, Some(Task::Reasoning));
    }

    #[test]
    fn a_fault_names_its_line() {
        let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,2\nnonsense\n";
        assert_eq!(of_csv(text).unwrap_err().0, 2);
        assert_eq!(of_csv("a,b\n1,2\n").unwrap_err().0, 0);
        assert_eq!(of_log("{\"at_unix_ms\":1}\n{\"prompt_tokens\":1}\n").unwrap_err().0, 1);
        for time in ["2023-11-16", "2023-13-01 00:00:00", "2023-11-16 24:00:00", "x y"] {
            assert_eq!(since_epoch(time), None, "{time}");
        }
    }
}
