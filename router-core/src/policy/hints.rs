//! Parses the request headers with which a caller controls routing.
//!
//! The names are the public interface and appear in no other module of the library. An unknown
//! value is an error, never a guess: a caller who misspells a residency must learn it before
//! anything is sent.

use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderValue;

use crate::deployment::Area;
use crate::task::Task;

use super::feature_headers::{CompanionHint, NAMING};

/// The caller's preference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Preference {
    /// The cheapest first.
    Cost,
    /// The quickest first.
    Fast,
    /// Models in the order of config, then the cheaper, then the quicker.
    #[default]
    Balanced,
}

impl Preference {
    /// All, for tables and labels.
    pub const ALL: [Self; 3] = [Self::Cost, Self::Fast, Self::Balanced];

    /// The word used in config, headers and model names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Fast => "fast",
            Self::Balanced => "balanced",
        }
    }

    /// The preference of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preference| preference.as_str() == word)
    }
}

/// The urgency of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A caller waits for the answer.
    #[default]
    Interactive,
    /// No caller waits: it leaves provisioned capacity first.
    Batch,
}

impl Priority {
    /// Both, for tables and labels.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Batch];

    /// The word used in config and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Batch => "batch",
        }
    }

    /// The priority of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == word)
    }
}

/// The caller's headers; `None` for what they do not set.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Hints {
    /// `x-router-task`: the task; wins over the score.
    pub task: Option<Task>,
    /// `x-router-prefer`: cost, fast or balanced.
    pub prefer: Option<Preference>,
    /// `x-router-residency`: an area in which the request must be processed.
    pub residency: Option<Area>,
    /// `x-router-priority`: whether somebody waits.
    pub priority: Option<Priority>,
    /// `x-router-max-wait-ms`: how long the request may wait for a provisioned deployment.
    pub max_wait: Option<Duration>,
    /// `x-router-session`: the conversation that the request belongs to.
    pub session: Option<Box<str>>,
    /// Second deployments that Azure's feature headers name.
    pub companions: Vec<CompanionHint>,
    /// `x-stainless-read-timeout`, else `x-stainless-timeout`, in seconds, as the official clients send them: how long the
    /// caller itself waits.
    pub caller_timeout: Option<Duration>,
}

/// A header whose value we do not understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {header}: expected {expected}")]
pub struct HintFault {
    /// The header's name.
    pub header: &'static str,
    /// The allowed values.
    pub expected: String,
}

/// A request header that steers.
#[derive(Debug, Clone, Copy)]
pub struct RequestHeader {
    /// Its name.
    pub name: &'static str,
    /// The values that it may have.
    pub values: &'static str,
    /// Its effect.
    pub meaning: &'static str,
}

const fn header(name: &'static str, values: &'static str, meaning: &'static str) -> RequestHeader {
    RequestHeader { name, values, meaning }
}

/// All request headers that steer: what the reference page lists.
pub const REQUEST_HEADERS: &[RequestHeader] = &[
    header("x-router-task", "`reasoning`, `chat`", "The task, in place of the score."),
    header(
        "x-router-prefer",
        "`cost`, `fast`, `balanced`",
        "The preference among the deployments that may serve.",
    ),
    header(
        "x-router-residency",
        "an area, such as `geo:kr`",
        "Where the request may be processed.",
    ),
    header(
        "x-router-priority",
        "`interactive`, `batch`",
        "`interactive` if a caller waits for the answer; batch requests give up provisioned capacity first.",
    ),
    header(
        "x-router-max-wait-ms",
        "0 to 86400000",
        "The longest wait for a full provisioned deployment, in milliseconds.",
    ),
    header(
        "x-router-session",
        "1 to 256 characters",
        "The conversation; its turns prefer the deployment that holds their prompt cache.",
    ),
    header(
        "x-stainless-read-timeout",
        "seconds",
        "The official clients' own timeout; no attempt takes longer.",
    ),
    header("x-stainless-timeout", "seconds", "The same; the read timeout wins if both are sent."),
];

impl Hints {
    /// Reads the hints of a request's headers.
    ///
    /// ```
    /// use router_core::policy::Hints;
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("x-router-max-wait-ms", "250".parse()?);
    /// assert_eq!(Hints::from_headers(&headers)?.max_wait.map(|wait| wait.as_millis()), Some(250));
    /// headers.insert("x-router-task", "poetry".parse()?);
    /// let fault = Hints::from_headers(&headers).unwrap_err();
    /// assert_eq!(fault.to_string(), "header x-router-task: expected reasoning or chat");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Names the first header with a value that is not allowed, and the allowed ones.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, HintFault> {
        // One walk over the names spares most requests a search for each.
        if !headers.keys().any(|name| is_hint(name.as_str())) {
            return Ok(Self::default());
        }
        let word = |name, expected: &str| one(headers, name, expected);
        let task = word("x-router-task", "reasoning or chat")?
            .map(|text| {
                Task::from_word(text).ok_or_else(|| fault("x-router-task", "reasoning or chat"))
            })
            .transpose()?;
        let prefer = word("x-router-prefer", "cost, fast or balanced")?
            .map(|text| {
                Preference::from_word(text)
                    .ok_or_else(|| fault("x-router-prefer", "cost, fast or balanced"))
            })
            .transpose()?;
        let residency = word("x-router-residency", "an area")?
            .map(|text| {
                Area::try_from(text).map_err(|area| HintFault {
                    header: "x-router-residency",
                    expected: area.to_string().replacen("expected ", "", 1),
                })
            })
            .transpose()?;
        let priority = word("x-router-priority", "interactive or batch")?
            .map(|text| {
                Priority::from_word(text)
                    .ok_or_else(|| fault("x-router-priority", "interactive or batch"))
            })
            .transpose()?;
        let whole = "a whole number of milliseconds, at most 86400000";
        let max_wait = word("x-router-max-wait-ms", whole)?
            .map(|text| {
                let milliseconds = text.parse::<u64>().ok().filter(|wait| *wait <= 86_400_000);
                milliseconds
                    .map(Duration::from_millis)
                    .ok_or_else(|| fault("x-router-max-wait-ms", whole))
            })
            .transpose()?;
        let session = word("x-router-session", "1 to 256 letters")?
            .map(|text| {
                let fits = !text.is_empty() && text.len() <= 256;
                fits.then(|| text.into())
                    .ok_or_else(|| fault("x-router-session", "1 to 256 letters"))
            })
            .transpose()?;
        let companions = companions(headers)?;
        let caller_timeout = caller_timeout(headers);
        Ok(Self {
            task,
            prefer,
            residency,
            priority,
            max_wait,
            session,
            companions,
            caller_timeout,
        })
    }
}

/// True of the headers that are read here.
fn is_hint(name: &str) -> bool {
    REQUEST_HEADERS.iter().any(|header| header.name == name) || NAMING.contains(&name)
}

/// The caller's own timeout. The header is not ours, so an odd value does not refuse the request.
fn caller_timeout(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get("x-stainless-read-timeout")
        .or_else(|| headers.get("x-stainless-timeout"))
        .and_then(|value| value.to_str().ok()?.parse::<f64>().ok())
        .filter(|seconds| (0.001..86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
}

fn companions(headers: &HeaderMap) -> Result<Vec<CompanionHint>, HintFault> {
    let mut companions = Vec::new();
    for header in NAMING {
        let name = one(headers, header, "the name of a deployment")?;
        let name = name.filter(|name| !name.is_empty());
        companions.extend(name.map(|name| CompanionHint { header, name: name.into() }));
    }
    Ok(companions)
}

fn fault(header: &'static str, expected: &str) -> HintFault {
    HintFault { header, expected: expected.to_owned() }
}

/// The one value of a header; given twice it would mean two things.
fn one<'h>(
    headers: &'h HeaderMap,
    header: &'static str,
    expected: &str,
) -> Result<Option<&'h str>, HintFault> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(fault(header, &format!("one value, {expected}")));
    }
    HeaderValue::to_str(value).map(|text| Some(text.trim())).map_err(|_| fault(header, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_is_read_and_every_wrong_value_named() {
        for (header, good, wrong) in [
            ("x-router-task", "reasoning", "hard"),
            ("x-router-prefer", "fast", "speed"),
            ("x-router-residency", "geo:kr", "korea"),
            ("x-router-priority", "batch", "low"),
            ("x-router-max-wait-ms", "0", "-1"),
            ("x-router-max-wait-ms", "86400000", "86400001"),
            ("x-router-session", "abc", ""),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header, HeaderValue::from_static(good));
            assert_ne!(Hints::from_headers(&headers).unwrap(), Hints::default(), "{header}");
            headers.append(header, HeaderValue::from_static(good));
            assert_eq!(Hints::from_headers(&headers).unwrap_err().header, header);
            headers.insert(header, HeaderValue::from_static(wrong));
            assert_eq!(Hints::from_headers(&headers).unwrap_err().header, header);
        }
    }

    #[test]
    fn a_strange_timeout_of_the_client_is_ignored() {
        for value in ["", "NaN", "-3", "inf", "1e300", "soon"] {
            let mut headers = HeaderMap::new();
            headers.insert("x-stainless-read-timeout", HeaderValue::from_static(value));
            assert_eq!(Hints::from_headers(&headers).unwrap().caller_timeout, None, "{value}");
        }
    }

    #[test]
    fn every_header_that_is_read_is_in_the_table_and_the_other_way_round() {
        let source = include_str!("hints.rs").split("#[cfg(test)]").next().unwrap();
        let source = source.split("impl Hints {").nth(1).unwrap();
        let read: std::collections::BTreeSet<_> =
            source.split('"').filter(|text| text.starts_with("x-")).collect();
        let listed = REQUEST_HEADERS.iter().map(|header| header.name).collect();
        assert_eq!(read, listed);
    }
}
