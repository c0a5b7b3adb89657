//! One request to a model, from its path to its answer.
//!
//! In order: credential, body, deployment, script, what the model accepts, admission, answer. Each
//! step that refuses ends it, and only an admitted request costs anything.

use super::connection::Reset;
use super::deployed::Deployed;
use super::deployed::Lease;
use super::head;
use super::intake::Page;
use super::media;
use super::media::Media;
use super::sending;
use super::shared;
use super::shared::Shared;
use crate::accept;
use crate::answer::speak;
use crate::dice::Dice;
use crate::script::step::Changes;
use crate::script::step::Reply;
use crate::script::step::Step;
use crate::tier::TierName;
use crate::wire::chat;
use crate::wire::chat::Envelope;
use crate::wire::chunks;
use crate::wire::completions;
use crate::wire::encrypted;
use crate::wire::error::Refusal;
use crate::wire::filter::Filter;
use crate::wire::request::Ask;
use crate::wire::response_events;
use crate::wire::responses;
use crate::wire::said::Finish;
use crate::wire::said::Said;
use crate::wire::said::Usage;
use crate::wire::sse::Event;
use crate::wire::sse::Pace;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;

/// URL style of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `/openai/deployments/{name}/...?api-version=`
    Dated,
    /// `/openai/v1/...`
    V1,
    /// `/v1/...`, as OpenAI itself has it.
    OpenAi,
}

/// Operation of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Chat,
    Completions,
    Responses,
    Embeddings,
    Media(Media),
}

impl Operation {
    /// Name in Azure's messages.
    pub(crate) const fn azure_name(self) -> &'static str {
        match self {
            Self::Chat => "ChatCompletions_Create",
            Self::Completions => "Completions_Create",
            Self::Responses => "Responses_Create",
            Self::Embeddings => "Embeddings_Create",
            Self::Media(media) => media.azure_name(),
        }
    }
}

/// A request that has found its deployment.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) shared: Arc<Shared>,
    pub(crate) deployed: Arc<Deployed>,
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    pub(crate) request_id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) body: Value,
}

/// Answers one request. `deployment` is the one that the path names, if it does.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    deployment: Option<String>,
    request: Request,
    operation: Operation,
    dialect: Dialect,
) -> Response {
    let (parts, body) = request.into_parts();
    // The intake has read it already: this cannot fail and copies nothing.
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let dated = parts.uri.query().is_some_and(|query| query.contains("api-version="));
    if dialect == Dialect::Dated && !dated {
        return head::refused(&Refusal::resource_not_found());
    }
    if let Some(refusal) = credential(&shared, &parts.headers, dialect) {
        return head::refused(&refusal);
    }
    let form = matches!(operation, Operation::Media(_)).then(|| media::form(&bytes)).flatten();
    let Some(body) = form.or_else(|| object(&bytes)) else {
        return head::refused(&Refusal::no_json());
    };
    let deployed = match find(&shared, deployment.as_deref(), &body, dialect) {
        Ok(deployed) => Arc::clone(deployed),
        Err(refusal) => return head::refused(&refusal),
    };
    if let Some(page) = parts.extensions.get::<Page>() {
        page.reached(&deployed.settings.name);
    }
    let request_id = shared.new_id("emulated-");
    let headers = parts.headers;
    let reached =
        Reached { shared, deployed, dialect, operation, request_id, headers, bytes, body };
    let response = scripted(&reached).await;
    if response.extensions().get::<Reset>().is_none() {
        reached.deployed.answered(response.status().as_u16());
    }
    response
}

/// The refusal of a bad credential.
pub(crate) fn credential(
    shared: &Shared,
    headers: &HeaderMap,
    dialect: Dialect,
) -> Option<Refusal> {
    let refusal = || match dialect {
        Dialect::OpenAi => Refusal::invalid_api_key(),
        Dialect::Dated | Dialect::V1 => Refusal::unauthorized(),
    };
    (!shared.admits(headers)).then(refusal)
}

fn object(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object)
}

fn find<'a>(
    shared: &'a Shared,
    path: Option<&str>,
    body: &Value,
    dialect: Dialect,
) -> Result<&'a Arc<Deployed>, Refusal> {
    let name = path.or_else(|| body.get("model").and_then(Value::as_str));
    let name = name.ok_or_else(|| Refusal::missing("model"))?;
    match dialect {
        Dialect::Dated | Dialect::V1 => {
            shared.deployment(name).ok_or_else(Refusal::deployment_not_found)
        }
        Dialect::OpenAi => {
            shared.deployment_or_model(name).ok_or_else(|| Refusal::model_not_found(name))
        }
    }
}

/// Lets the script have its say first.
async fn scripted(reached: &Reached) -> Response {
    let step = reached.deployed.next_step().unwrap_or_else(Step::normal);
    let changes = step.changes();
    if !step.waits().is_zero() {
        tokio::time::sleep(step.waits()).await;
    }
    let mut response = match step.reply() {
        Reply::Ordinary => match reached.operation {
            Operation::Embeddings => super::embedding::answer(reached),
            Operation::Media(kind) => media::answer(reached, kind),
            Operation::Chat | Operation::Completions | Operation::Responses => {
                ordinary(reached, changes).await.unwrap_or_else(|refused| refused)
            }
        },
        Reply::Canned { status, body } => {
            head::respond(*status, head::of(reached, head::JSON), Body::from(body.clone()))
        }
        Reply::Hang => std::future::pending().await,
        Reply::Reset => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Reset);
            response
        }
    };
    head::changed(response.headers_mut(), changes);
    response
}

/// The answer of a model; `Err` is a refusal.
async fn ordinary(reached: &Reached, changes: &Changes) -> Result<Response, Response> {
    let settings = &reached.deployed.settings;
    let refused = |refusal: &Refusal| {
        let headers = head::of(reached, head::JSON);
        head::respond(refusal.status.as_u16(), headers, Body::from(refusal.body.to_string()))
    };
    let ask = read(reached, changes);
    let accepted = match reached.operation {
        Operation::Responses => accept::responses(&settings.profile, &reached.body, &ask)
            .and_then(|()| previous(reached))
            .and_then(|()| encrypted::check(&reached.shared.resource, &reached.body)),
        Operation::Completions | Operation::Embeddings | Operation::Media(_) => Ok(()),
        Operation::Chat => accept::chat(&settings.profile, &reached.body, &ask),
    };
    accepted.map_err(|refusal| refused(&refusal))?;
    let start = Instant::now();
    let word = reached.body.get("service_tier").and_then(Value::as_str);
    let tier = reached.deployed.asked_tier(word).map_err(|refusal| refused(&refusal))?;
    let admitted = match tier {
        Some((name, tier)) => reached
            .deployed
            .admit_in(start, name, tier, &ask)
            .map(|(lease, name)| (lease, Some(name))),
        None => reached.deployed.admit(start, &ask).map(|lease| (lease, None)),
    };
    let (lease, tier) =
        admitted.map_err(|why| head::throttled(reached, why, reached.deployed.gauge(start)))?;
    let latency = tier
        .and_then(|name| reached.deployed.tier(name))
        .map_or(settings.latency, |tier| tier.latency);
    let mut dice = Dice::new(reached.shared.settings.seed, settings.name.as_bytes());
    dice = Dice::new(dice.roll(), &reached.bytes);
    let mut choices = speak::answer(&settings.voice, &settings.profile, &ask, &mut dice);
    if changes.filtered {
        choices.iter_mut().for_each(cut_by_filter);
    }
    let (prompt, cached) = lease.prompt();
    let usage = Usage::of(prompt, cached, &choices);
    let envelope =
        Envelope { service_tier: tier.map(TierName::as_str), ..envelope(reached, changes) };
    let answered = Answered { envelope, choices, usage };
    let pace = Pace {
        first_token: latency.first_token.saturating_add(changes.slow_first_token),
        ..latency
    };
    let sending = Sending { reached, changes, start, pace, lease };
    Ok(if ask.stream {
        sending.stream(&answered, ask.include_usage).await
    } else {
        sending.whole(&answered).await
    })
}

/// Reads the request, with what headers and script wish of the answer.
fn read(reached: &Reached, changes: &Changes) -> Ask {
    let mut ask = match reached.operation {
        Operation::Chat => Ask::of_chat(&reached.body),
        Operation::Responses => Ask::of_responses(&reached.body),
        Operation::Completions | Operation::Embeddings | Operation::Media(_) => {
            Ask::of_completions(&reached.body)
        }
    };
    let header = |name: &str| reached.headers.get(name)?.to_str().ok()?.parse().ok();
    let wishes = &mut ask.wishes;
    wishes.output_tokens =
        changes.output_tokens.or(header("x-emulator-output-tokens")).or(wishes.output_tokens);
    wishes.reasoning_tokens = header("x-emulator-reasoning-tokens").or(wishes.reasoning_tokens);
    if let Some(text) = &changes.text {
        wishes.text = Some(text.clone());
    }
    ask
}

/// Checks that the response which this one follows is stored here.
fn previous(reached: &Reached) -> Result<(), Refusal> {
    match reached.body.get("previous_response_id").and_then(Value::as_str) {
        Some(id) if reached.shared.stored.find(id).is_none() => {
            Err(Refusal::previous_response_not_found(id))
        }
        _ => Ok(()),
    }
}

fn cut_by_filter(said: &mut Said) {
    said.pieces.truncate(said.pieces.len() / 2);
    said.finish = Finish::ContentFilter;
    said.completion_tokens = said.reasoning_tokens + u64::try_from(said.pieces.len()).unwrap_or(0);
}

fn envelope(reached: &Reached, changes: &Changes) -> Envelope {
    let settings = &reached.deployed.settings;
    let prefix = match reached.operation {
        Operation::Chat => "chatcmpl-",
        Operation::Completions => "cmpl-",
        Operation::Responses => "resp_",
        Operation::Embeddings | Operation::Media(_) => "",
    };
    let filter = match reached.dialect {
        Dialect::OpenAi => Filter::Absent,
        Dialect::Dated | Dialect::V1 => changes.filter.unwrap_or(settings.filter),
    };
    Envelope {
        id: reached.shared.new_id(prefix),
        created: shared::created(),
        model: changes.model.clone().unwrap_or_else(|| settings.served_model.clone()),
        filter,
        service_tier: None,
    }
}

struct Answered {
    envelope: Envelope,
    choices: Vec<Said>,
    usage: Usage,
}

impl Answered {
    fn body(&self, reached: &Reached) -> Value {
        let Self { envelope, choices, usage } = self;
        match reached.operation {
            Operation::Responses => {
                let resource = &reached.shared.resource;
                responses::response(envelope, &reached.body, resource, choices, usage)
            }
            Operation::Completions => completions::completion(envelope, choices, usage),
            Operation::Chat | Operation::Embeddings | Operation::Media(_) => {
                chat::completion(envelope, choices, usage)
            }
        }
    }

    fn events(&self, reached: &Reached, include_usage: bool) -> Vec<Event> {
        let chunk_tokens = reached.deployed.settings.chunk_tokens;
        let Self { envelope, choices, usage } = self;
        match reached.operation {
            Operation::Responses => {
                let whole = self.body(reached);
                response_events::events(&whole, choices, chunk_tokens)
            }
            Operation::Completions => {
                completions::events(envelope, choices, chunk_tokens, usage, include_usage)
            }
            Operation::Chat | Operation::Embeddings | Operation::Media(_) => {
                chunks::events(envelope, choices, chunk_tokens, usage, include_usage)
            }
        }
    }
}

/// An admitted request, about to be answered.
struct Sending<'a> {
    reached: &'a Reached,
    changes: &'a Changes,
    start: Instant,
    pace: Pace,
    lease: Lease,
}

impl Sending<'_> {
    /// The whole answer, once it would have been written.
    async fn whole(mut self, answered: &Answered) -> Response {
        self.lease.writes(self.start, self.pace);
        let body = answered.body(self.reached);
        tokio::time::sleep_until(self.start + self.pace.after(answered.usage.completion)).await;
        self.lease.complete(&answered.usage);
        store(self.reached, &body);
        let mut headers = head::of(self.reached, head::JSON);
        head::gauge(&mut headers, self.reached, self.reached.deployed.gauge(Instant::now()));
        head::respond(200, headers, Body::from(body.to_string()))
    }

    /// A stream; its head leaves together with its first event.
    async fn stream(self, answered: &Answered, include_usage: bool) -> Response {
        let events = answered.events(self.reached, include_usage);
        let layout = self.changes.stream.apply(&events, &self.pace);
        if let Some(first) = layout.pieces.first() {
            tokio::time::sleep_until(self.start + first.after).await;
        }
        if self.reached.operation == Operation::Responses {
            store(self.reached, &answered.body(self.reached));
        }
        let mut headers = head::of(self.reached, head::EVENTS);
        head::gauge(&mut headers, self.reached, self.reached.deployed.gauge(Instant::now()));
        head::respond(200, headers, sending::body(layout, self.start, self.lease))
    }
}

/// Keeps a response for later, unless the caller wants it forgotten.
fn store(reached: &Reached, response: &Value) {
    let forget = reached.body.get("store") == Some(&Value::Bool(false));
    let id = response.get("id").and_then(Value::as_str);
    if let Some(id) = id.filter(|_| reached.operation == Operation::Responses && !forget) {
        reached.shared.stored.keep(id, response.clone());
    }
}
