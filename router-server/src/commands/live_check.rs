//! `check --live`: sends one short request to each deployment and reports the upstream's answer.
//!
//! It calls the upstream directly, without policy, fallback and capacity model. It prints names,
//! codes and figures, neither prompt nor answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use router_core::chat::Operation;
use router_core::deployment::{Catalog, Deployment};
use router_core::model::{CapField, ModelRecord};
use router_core::upstream::{
    Attempt, Call, Credential, HttpUpstream, Reading, Unreachable, Upstream, read,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::config::Config;
use crate::console;
use crate::console::Paint;
use crate::console::Tone;

/// Deployments asked at once.
const AT_ONCE: usize = 8;
/// Timeout of one request. A reasoning model needs some seconds even for a word.
const PATIENCE: Duration = Duration::from_secs(60);
/// No answer to one word is longer.
const MOST_BYTES: usize = 1 << 20;
/// Room for an answer, and for a little thought.
const MOST_TOKENS: u64 = 64;

/// Result of one deployment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    name: String,
    configured: String,
    credential: &'static str,
    verdict: Verdict,
    status: Option<u16>,
    took: Duration,
    /// The model that answered.
    model: Option<String>,
    /// The upstream's code and what it says.
    fault: Option<(String, String)>,
    tier: Option<String>,
    headers: BTreeMap<&'static str, String>,
}

/// Meaning of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is there, as configured.
    Fine,
    /// It is there, and full at the moment.
    Full,
    /// Another model answered.
    OtherModel,
    /// The upstream knows no such deployment, or its model has retired.
    NotThere,
    /// The credential is refused or cannot be read.
    NoAccess,
    /// Anything else was answered.
    Refused,
    /// Nothing was answered.
    Unreachable,
    /// Nothing short can be asked of such a model, or it is disabled.
    NotAsked,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Full => "full",
            Self::OtherModel => "other_model",
            Self::NotThere => "not_there",
            Self::NoAccess => "no_access",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::NotAsked => "not_asked",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Fine => Tone::Good,
            Self::Full | Self::NotAsked => Tone::Careful,
            Self::OtherModel
            | Self::NotThere
            | Self::NoAccess
            | Self::Refused
            | Self::Unreachable => Tone::Bad,
        }
    }
}

/// Headers that say what a deployment may take.
const LIMITS: [&str; 5] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "azure-openai-deployment-utilization",
];

/// Asks every deployment, several at once; in the order of the configuration.
pub(super) async fn ask(config: &Config) -> Vec<Found> {
    let all = config.router.catalog.deployments().iter().map(|deployment| one(config, deployment));
    stream::iter(all).buffered(AT_ONCE).collect().await
}

async fn one(config: &Config, deployment: &Arc<Deployment>) -> Found {
    let mut found = blank(config, deployment);
    let Some((operation, body)) = question(deployment).filter(|_| deployment.enabled) else {
        return found;
    };
    // One of its own for each: a secret that is missing hides no other deployment.
    let alone = Catalog::new([Deployment::clone(deployment)]);
    let upstream =
        HttpUpstream::new(&alone, &config.router.endpoints, config.router.limits.connections());
    let upstream = match upstream {
        Ok(upstream) => upstream,
        Err(fault) => {
            found.verdict = Verdict::NoAccess;
            found.fault = Some(("credential".to_owned(), fault.to_string()));
            return found;
        }
    };
    let attempt = Attempt {
        deployment: Arc::clone(deployment),
        call: Call::Operation(operation),
        body: Bytes::from(body.to_string()),
        streamed: false,
        trace: trace(),
    };
    let began = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, whole(&upstream, attempt)).await;
    found.took = began.elapsed();
    match answer.unwrap_or(Err(Unreachable::Timeout)) {
        Ok((status, headers, body)) => found.judge(status, &headers, &body),
        Err(fault) => {
            found.verdict = Verdict::Unreachable;
            found.fault = Some(("unreachable".to_owned(), fault.to_string()));
        }
    }
    found
}

async fn whole(
    upstream: &HttpUpstream,
    attempt: Attempt,
) -> Result<(StatusCode, HeaderMap, Bytes), Unreachable> {
    let reply = upstream.send(attempt).await?;
    let bounds =
        Reading { most: MOST_BYTES, idle: PATIENCE, quiet_until: tokio::time::Instant::now() };
    let body = read(reply.body, bounds).await?;
    Ok((reply.status, reply.headers, body))
}

/// By this name the upstream's own logs show where the request came from.
fn trace() -> Vec<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_static("router-server-check");
    vec![(HeaderName::from_static("x-request-id"), value)]
}

fn blank(config: &Config, deployment: &Deployment) -> Found {
    let endpoint = config.router.endpoints.get(&deployment.endpoint);
    Found {
        name: deployment.name.to_string(),
        configured: deployment.model.name.to_string(),
        credential: endpoint.map_or("none", |endpoint| match &endpoint.credential {
            Credential::Anonymous => "none",
            Credential::ApiKey(_) => "api_key",
            Credential::Bearer(_) => "bearer",
            Credential::Identity(_) => "entra_id",
        }),
        verdict: Verdict::NotAsked,
        status: None,
        took: Duration::ZERO,
        model: None,
        fault: None,
        tier: None,
        headers: BTreeMap::new(),
    }
}

/// The shortest request that a model answers; `None` for one that makes images or sound.
fn question(deployment: &Deployment) -> Option<(Operation, Value)> {
    let record = &deployment.model;
    let model = &*deployment.azure_deployment;
    let abilities = &record.abilities;
    if abilities.embeddings {
        return Some((Operation::Embeddings, json!({"model": model, "input": "ping"})));
    }
    if abilities.chat_completions {
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": "ping"}]});
        let field = match record.cap_field {
            CapField::MaxCompletionTokens => "max_completion_tokens",
            CapField::Either => "max_tokens",
        };
        set(&mut body, field, MOST_TOKENS.into());
        if let Some(effort) = least_effort(record) {
            set(&mut body, "reasoning_effort", effort);
        }
        return Some((Operation::Chat, body));
    }
    abilities.responses.then(|| {
        let mut body = json!({"model": model, "input": "ping", "max_output_tokens": MOST_TOKENS, "store": false});
        if let Some(effort) = least_effort(record) {
            set(&mut body, "reasoning", json!({"effort": effort}));
        }
        (Operation::Responses, body)
    })
}

fn least_effort(record: &ModelRecord) -> Option<Value> {
    let least = record.efforts.as_ref()?.accepted.iter().min()?;
    Some(least.as_str().into())
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = body {
        fields.insert(name.to_owned(), value);
    }
}

impl Found {
    /// True unless somebody has to change something.
    pub(super) fn is_fine(&self) -> bool {
        matches!(self.verdict, Verdict::Fine | Verdict::Full | Verdict::NotAsked)
    }

    fn judge(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
        self.status = Some(status.as_u16());
        for name in LIMITS {
            if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
                self.headers.insert(name, short(value));
            }
        }
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(short);
        self.model = text(body.get("model"));
        self.tier = text(body.get("service_tier"));
        if let Some(error) = body.get("error") {
            let code = error.get("code").filter(|code| !code.is_null()).or(error.get("type"));
            let code = code.map(|code| code.as_str().map_or_else(|| code.to_string(), short));
            let message = text(error.get("message")).unwrap_or_default();
            self.fault = Some((code.unwrap_or_default(), message));
        }
        self.verdict = match status.as_u16() {
            200..=299 if self.is_of_model() => Verdict::Fine,
            200..=299 => Verdict::OtherModel,
            429 => Verdict::Full,
            401 | 403 => Verdict::NoAccess,
            404 | 410 => Verdict::NotThere,
            _ => Verdict::Refused,
        };
    }

    /// True if the answer's model is the configured one, a dated version of it, or not named.
    fn is_of_model(&self) -> bool {
        let Some(model) = self.model.as_deref() else { return true };
        let version = |whole: &str, name: &str| {
            whole == name || whole.strip_prefix(name).is_some_and(|rest| rest.starts_with("-20"))
        };
        version(model, &self.configured) || version(&self.configured, model)
    }

    /// Its report as JSON. The names are a public interface.
    pub(super) fn json(&self) -> Value {
        let fault = self.fault.as_ref();
        json!({
            "deployment": self.name,
            "verdict": self.verdict.as_str(),
            "status": self.status,
            "code": fault.map(|(code, _)| code),
            "message": fault.map(|(_, message)| message),
            "configured_model": self.configured,
            "model": self.model,
            "service_tier": self.tier,
            "credential": self.credential,
            "latency_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "headers": self.headers,
        })
    }

    fn row(&self) -> Vec<String> {
        let dash = || "-".to_owned();
        let limit = |name: &str| self.headers.get(name).cloned().unwrap_or_else(dash);
        vec![
            self.name.clone(),
            self.verdict.as_str().to_owned(),
            self.status.map_or_else(dash, |status| status.to_string()),
            format!("{} ms", self.took.as_millis()),
            self.model.clone().unwrap_or_else(dash),
            limit("x-ratelimit-limit-requests"),
            limit("x-ratelimit-limit-tokens"),
            limit("azure-openai-deployment-utilization"),
            self.tier.clone().unwrap_or_else(dash),
            self.credential.to_owned(),
        ]
    }
}

/// A header or a word of the upstream's, cut to a readable length.
fn short(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

/// The report as text.
pub(super) fn text(all: &[Found], paint: Paint) -> String {
    let heading = [
        "deployment",
        "verdict",
        "status",
        "latency",
        "answered by",
        "rpm",
        "tpm",
        "utilization",
        "tier",
        "credential",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(Found::row));
    let mut lines = vec![console::table(&rows, paint)];
    for found in all.iter().filter(|found| found.verdict != Verdict::Fine) {
        let why = match (&found.fault, found.verdict) {
            (Some((code, message)), _) => format!("{code}: {message}"),
            (None, Verdict::OtherModel) => format!(
                "configured is {}, and {} answered",
                found.configured,
                found.model.as_deref().unwrap_or("another")
            ),
            (None, Verdict::NotAsked) => "disabled, or it serves no short requests".to_owned(),
            (None, _) => continue,
        };
        let verdict = paint.tone(found.verdict.tone(), found.verdict.as_str());
        lines.push(format!("{}: {verdict}: {why}", found.name));
    }
    lines.join("\n")
}
