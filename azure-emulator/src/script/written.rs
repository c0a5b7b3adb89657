//! Steps as they are written in JSON, for scripts that arrive over HTTP.
//!
//! One object a step: at most one of `throttled_ms`, `answer`, `error`, `reset`, `hang` says what
//! the step does (none: an ordinary answer), everything else changes it. Unknown names are
//! refused, so that a misspelt fault is not silently an ordinary answer.

use super::step::Step;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// `{"throttled_ms": 400, "times": 3}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    throttled_ms: Option<u64>,
    answer: Option<WrittenAnswer>,
    error: Option<String>,
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    hang: bool,
    times: Option<u64>,
    #[serde(default)]
    forever: bool,
    delay_ms: Option<u64>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    without_headers: Vec<String>,
    model: Option<String>,
    output_tokens: Option<u64>,
    text: Option<String>,
    #[serde(default)]
    stream: WrittenStream,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAnswer {
    status: u16,
    #[serde(default)]
    body: serde_json::Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenStream {
    slow_first_token_ms: Option<u64>,
    cut_after: Option<usize>,
    end_after: Option<usize>,
    stall_after: Option<usize>,
    error_event_after: Option<usize>,
    malformed_after: Option<usize>,
    pause_after: Option<WrittenPause>,
    split: Vec<usize>,
    /// Any of `no_content_type`, `crlf`, `comments`, `async_filter`.
    odd: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPause {
    events: usize,
    ms: u64,
}

/// Reads the steps of `{"deployment": "...", "steps": [..]}`.
///
/// # Errors
/// Fault of a step, for the author of the script.
pub fn steps(written: &serde_json::Value) -> Result<Vec<Step>, String> {
    let steps = written.as_array().ok_or("steps: expected a list")?;
    let step = |(index, step): (usize, &serde_json::Value)| {
        WrittenStep::deserialize(step)
            .map_err(|fault| fault.to_string())
            .and_then(WrittenStep::into_step)
            .map_err(|fault| format!("steps[{index}]: {fault}"))
    };
    steps.iter().enumerate().map(step).collect()
}

impl WrittenStep {
    fn into_step(self) -> Result<Step, String> {
        let mut step = self.base()?;
        for (name, value) in &self.headers {
            step = step.header(name, value);
        }
        for name in &self.without_headers {
            step = step.without_header(name);
        }
        if let Some(times) = self.times {
            step = step.times(times);
        }
        if self.forever {
            step = step.forever();
        }
        if let Some(delay_ms) = self.delay_ms {
            step = step.delay(Duration::from_millis(delay_ms));
        }
        if let Some(model) = &self.model {
            step = step.model(model);
        }
        if let Some(count) = self.output_tokens {
            step = step.output_tokens(count);
        }
        if let Some(text) = &self.text {
            step = step.text(text);
        }
        self.stream.change(step)
    }

    fn base(&self) -> Result<Step, String> {
        let mut bases = Vec::new();
        if let Some(wait_ms) = self.throttled_ms {
            bases.push(Step::throttled_ms(wait_ms));
        }
        if let Some(answer) = &self.answer {
            let body = match (&answer.body, answer.body.as_str()) {
                (serde_json::Value::Null, _) => String::new(),
                (_, Some(text)) => text.to_owned(),
                (json, None) => json.to_string(),
            };
            bases.push(Step::answer(answer.status, [], body));
        }
        if let Some(error) = &self.error {
            bases.push(named(error)?);
        }
        if self.reset {
            bases.push(Step::reset());
        }
        if self.hang {
            bases.push(Step::hang());
        }
        let base = bases.pop().unwrap_or_else(Step::normal);
        if bases.is_empty() {
            Ok(base)
        } else {
            Err("only one of throttled_ms, answer, error, reset, hang".to_owned())
        }
    }
}

/// Something that goes wrong after so many events with content.
type Change = fn(Step, usize) -> Step;

impl WrittenStream {
    fn change(&self, mut step: Step) -> Result<Step, String> {
        if let Some(ms) = self.slow_first_token_ms {
            step = step.slow_first_token(Duration::from_millis(ms));
        }
        let breaks: [(Option<usize>, Change); 5] = [
            (self.cut_after, Step::cut_after),
            (self.end_after, Step::end_after),
            (self.stall_after, Step::stall_after),
            (self.error_event_after, Step::error_event_after),
            (self.malformed_after, Step::malformed_after),
        ];
        for (after, change) in breaks {
            if let Some(after) = after {
                step = change(step, after);
            }
        }
        if let Some(pause) = &self.pause_after {
            step = step.pause_after(pause.events, Duration::from_millis(pause.ms));
        }
        if !self.split.is_empty() {
            step = step.split(self.split.iter().copied());
        }
        for odd in &self.odd {
            step = match odd.as_str() {
                "no_content_type" => step.no_content_type(),
                "crlf" => step.crlf(),
                "comments" => step.comments(),
                "async_filter" => step.async_filter(),
                other => return Err(format!("stream.odd: unknown name {other:?}")),
            };
        }
        Ok(step)
    }
}

fn named(error: &str) -> Result<Step, String> {
    Ok(match error {
        "unauthorized" => Step::unauthorized(),
        "missing_role" => Step::missing_role(),
        "forbidden" => Step::forbidden(),
        "deployment_not_found" => Step::deployment_not_found(),
        "timeout" => Step::timeout(),
        "gone" => Step::gone(),
        "server_error" => Step::server_error(),
        "unavailable" => Step::unavailable(),
        "overloaded" => Step::overloaded(),
        "content_filter" => Step::content_filter(),
        "context_length" => Step::context_length(),
        "system_capacity" => Step::system_capacity(),
        "filtered_answer" => Step::filtered_answer(),
        other => return Err(format!("error: unknown name {other:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_are_read() {
        let read = steps(&json!([
            {"throttled_ms": 400, "times": 3},
            {"answer": {"status": 418, "body": {"tea": true}}, "headers": {"retry-after": "-1"}},
            {"error": "gone", "forever": true},
            {"stream": {"cut_after": 2, "odd": ["crlf"], "split": [1, 7]}, "delay_ms": 5},
        ]));
        let expected = vec![
            Step::throttled_ms(400).times(3),
            Step::answer(418, [("retry-after", "-1")], r#"{"tea":true}"#),
            Step::gone().forever(),
            Step::normal().delay(Duration::from_millis(5)).cut_after(2).split([1, 7]).crlf(),
        ];
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn mistakes_are_named() {
        let check = |written: serde_json::Value, part: &str| {
            let fault = steps(&written).unwrap_err();
            assert!(fault.contains(part), "{fault}");
        };
        check(json!({}), "expected a list");
        check(json!([{"thortled_ms": 1}]), "steps[0]: unknown field");
        check(json!([{"error": "gone"}, {"error": "lost"}]), "steps[1]: error: unknown name");
        check(json!([{"reset": true, "hang": true}]), "only one of");
        check(json!([{"stream": {"odd": ["lf"]}}]), "stream.odd");
    }
}
