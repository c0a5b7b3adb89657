//! Walks one request along the whole line: parse, decide, send, record. The only file that sees all of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use crate::capacity::Cause;
use crate::capacity::Timing;
use crate::chat::ChatRequest;
use crate::chat::Usage;
use crate::chat::restream::restream;
use crate::chat::tokens;
use crate::clock;
use crate::config::Config;
use crate::decision::Ask;
use crate::decision::Decision;
use crate::decision::Moment;
use crate::decision::Rules;
use crate::decision::decide;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::error::RouteError;
use crate::fallback::Answered;
use crate::fallback::Delivered;
use crate::fallback::Errand;
use crate::fallback::Fallback;
use crate::fallback::Limits;
use crate::fallback::NoAnswer;
use crate::fallback::Step;
use crate::fallback::StreamEnd;
use crate::fallback::relay::How;
use crate::metrics::Account;
use crate::metrics::Metrics;
use crate::metrics::StandingCollector;
use crate::policy::Asked;
use crate::policy::Hints;
use crate::response::Body;
use crate::response::ByteStream;
use crate::response::Response;
use crate::response::as_event_stream;
use crate::response::passed;
use crate::response::tell_adapted;
use crate::response::tell_attempts;
use crate::response::tell_cost;
use crate::response::tell_decision;
use crate::response::tell_overhead;
use crate::selection::Exclusion;
use crate::selection::Place;
use crate::state::CapacityState;
use crate::state::Cooldowns;
use crate::state::InProcess;
use crate::task::Classifier;
use crate::task::KeywordScorer;
use crate::task::Reason;
use crate::task::Task;
use crate::units::Tokens;
use crate::upstream::ClientFault;
use crate::upstream::HttpUpstream;
use crate::upstream::Upstream;

/// Routes chat requests. Cloning is cheap; clones share everything.
#[derive(Debug)]
pub struct ModelRouter<U = HttpUpstream>(Arc<Inner<U>>);

impl<U> Clone for ModelRouter<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<U> {
    rules: Rules,
    state: Arc<dyn CapacityState>,
    fallback: Fallback<U>,
    metrics: Metrics,
}

/// A chat completion to be routed.
#[derive(Debug, Clone)]
pub struct ChatCall {
    /// The body.
    pub body: Bytes,
    /// The caller's headers. Read are those of [`Hints`] and of tracing; none is passed on wholesale.
    pub headers: HeaderMap,
    /// The deployment named in the path, as Azure clients do; it wins over the body's model.
    pub path_model: Option<String>,
    /// When the request came; the deadline counts from here.
    pub received: Instant,
}

impl ChatCall {
    /// A call that has come now, without headers: for programs that embed the router.
    pub fn of_body(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            headers: HeaderMap::new(),
            path_model: None,
            received: Instant::now(),
        }
    }
}

/// Why a router cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildFault {
    /// The upstreams cannot be set up.
    #[error(transparent)]
    Client(#[from] ClientFault),
    /// The registry holds a metric of ours already.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What the caller of a slow stream is told before there is an answer.
#[derive(Debug)]
struct Promise {
    headers: HeaderMap,
}

impl ModelRouter<HttpUpstream> {
    /// A router over HTTP, by config.
    ///
    /// # Errors
    /// A credential cannot be read, or the registry serves another router already.
    pub fn new(config: &Config, registry: &prometheus::Registry) -> Result<Self, BuildFault> {
        let connect = config.limits.connect_timeout;
        let upstream = HttpUpstream::new(&config.catalog, &config.endpoints, connect)?;
        let rules = rules_of(config);
        Self::with_upstream(rules, config.limits.clone(), upstream, registry)
            .map_err(BuildFault::from)
    }
}

/// The rules that a config sets.
fn rules_of(config: &Config) -> Rules {
    let scorer = Arc::new(KeywordScorer);
    Rules {
        classifier: Classifier::new(scorer, config.scoring.signals.clone()),
        policy: config.policy.clone(),
        catalog: config.catalog.clone(),
    }
}

impl<U: Upstream> ModelRouter<U> {
    /// A router over any upstream.
    ///
    /// # Errors
    /// The registry serves another router already.
    pub fn with_upstream(
        rules: Rules,
        limits: Limits,
        upstream: U,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let cooldowns = Cooldowns {
            fault: limits.fault_cooldown,
            fault_max: limits.fault_cooldown_max,
            misconfigured: limits.misconfigured_cooldown,
        };
        let state: Arc<dyn CapacityState> = Arc::new(InProcess::new(&rules.catalog, cooldowns));
        let metrics = Metrics::register(registry)?;
        StandingCollector::register(registry, Arc::clone(&state), &rules.catalog)?;
        let fallback = Fallback::new(upstream, Arc::clone(&state), limits);
        Ok(Self(Arc::new(Inner { rules, state, fallback, metrics })))
    }

    /// One chat completion, from bytes to response.
    ///
    /// Dropping the future, or the stream of the response, cancels what is under way upstream.
    ///
    /// # Errors
    /// Nothing could be sent, or no deployment answered. An answer of the upstream that is the caller's own fault (a
    /// content filter's 400, say) is a [`Response`] with that status.
    pub async fn chat(&self, call: ChatCall) -> Result<Response, RouteError> {
        let hold = self.0.fallback.limits().hold;
        let promise = Arc::new(OnceLock::new());
        let mut work = Box::pin(Arc::clone(&self.0).answer(call, Arc::clone(&promise)));
        tokio::select! {
            biased;
            answer = &mut work => return answer,
            () = tokio::time::sleep(hold) => {}
        }
        match promise.get() {
            Some(Promise { headers }) => {
                Ok(late(headers.clone(), work, self.0.fallback.limits().heartbeat))
            }
            None => work.await,
        }
    }

    /// The decision alone; nothing is sent.
    ///
    /// # Errors
    /// The call cannot be understood, or names a model that does not exist here.
    pub fn route(&self, call: &ChatCall) -> Result<Decision, RouteError> {
        let request = ChatRequest::parse(&call.body)?;
        let hints = Hints::from_headers(&call.headers)?;
        self.0.decide(&request, call.path_model.as_deref(), &hints)
    }

    /// The features that weighed most in the score of a call, heaviest first; none where it is no chat request.
    pub fn reasons(&self, call: &ChatCall, most: usize) -> Vec<Reason> {
        let request = ChatRequest::parse(&call.body);
        request.map(|request| self.0.rules.classifier.reasons(&request, most)).unwrap_or_default()
    }

    /// All names that a caller can ask for.
    pub fn names(&self) -> Vec<String> {
        Asked::allowed(&self.0.rules.policy.aliases, &self.0.rules.catalog)
    }

    /// True while at least one deployment may be used: none of its config or rights is known to be wrong.
    pub fn ready(&self) -> bool {
        let now = Instant::now();
        self.0.rules.catalog.deployments().iter().any(|deployment| {
            let cooling = self.0.state.standing(&deployment.name).cooling(now);
            cooling.is_none_or(|(cause, _)| cause != Cause::Misconfigured)
        })
    }

    /// What decisions go by.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }
}

impl<U: Upstream> tower::Service<ChatCall> for ModelRouter<U> {
    type Response = Response;
    type Error = RouteError;
    type Future = BoxFuture<'static, Result<Response, RouteError>>;

    fn poll_ready(
        &mut self,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), RouteError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: ChatCall) -> Self::Future {
        let router = self.clone();
        Box::pin(async move { router.chat(call).await })
    }
}

/// The headers of tracing that pass to the upstream.
const TRACE: [&str; 3] = ["traceparent", "tracestate", "x-request-id"];

impl<U: Upstream> Inner<U> {
    fn decide(
        &self,
        request: &ChatRequest<'_>,
        path_model: Option<&str>,
        hints: &Hints,
    ) -> Result<Decision, RouteError> {
        let moment = Moment { now: Instant::now(), today: clock::day(clock::wall()) };
        let ask = Ask { request, path_model, hints };
        Ok(decide(ask, &self.rules, &self.state.snapshot(), moment)?)
    }

    async fn answer(
        self: Arc<Self>,
        call: ChatCall,
        promise: Arc<OnceLock<Promise>>,
    ) -> Result<Response, RouteError> {
        let in_flight = self.metrics.enter();
        let answer = self.attempt(call, &promise, in_flight).await;
        if let Err(error) = &answer {
            self.metrics.refused(error.kind());
        }
        answer
    }

    async fn attempt(
        self: &Arc<Self>,
        call: ChatCall,
        promise: &OnceLock<Promise>,
        in_flight: crate::metrics::InFlight,
    ) -> Result<Response, RouteError> {
        let began = Instant::now();
        let ChatCall { body, headers, path_model, received } = call;
        let request = ChatRequest::parse(&body)?;
        let hints = Hints::from_headers(&headers)?;
        let decision = self.decide(&request, path_model.as_deref(), &hints)?;
        self.metrics.decided(&decision);
        let plan = decision.plan.as_ref().map_err(Clone::clone)?;
        let mut told = HeaderMap::with_capacity(20);
        tell_decision(&mut told, &decision);
        if request.stream() {
            // Nobody else sets it, so that it is set here is all that can come of it.
            drop(promise.set(Promise { headers: told.clone() }));
        }
        let limits = self.fallback.limits();
        let patience = hints.caller_timeout.map_or(limits.deadline, |own| own.min(limits.deadline));
        let role = decision.task().map(|task| self.rules.policy.role(task));
        let errand = Errand {
            request: &request,
            plan,
            effort: role.and_then(|role| role.effort),
            reject_unsupported: self.rules.policy.reject_unsupported,
            first_byte: self.first_byte(&decision, &plan.first),
            deadline: received + patience,
            trace: trace(&headers),
        };
        let decided = began.elapsed();
        match self.fallback.walk(errand).await {
            Err(NoAnswer { fault, trail }) => {
                self.metrics.attempted(&trail);
                Err(self.sending_fault(fault, &decision))
            }
            Ok(answered) => {
                let upstream: Duration = answered.trail.iter().map(|step| step.took).sum();
                let overhead = began.elapsed().saturating_sub(upstream).max(decided);
                self.metrics.overhead(overhead);
                tell_overhead(&mut told, overhead);
                let finish = Finish { router: self, decision: &decision, request: &request, began };
                Ok(finish.respond(answered, told, in_flight))
            }
        }
    }

    /// A reasoning model takes minutes where a chat model takes seconds; the role's limit, else the model's kind.
    fn first_byte(&self, decision: &Decision, first: &Deployment) -> Duration {
        let task = decision.task().unwrap_or(if first.model.reasons() {
            Task::Reasoning
        } else {
            Task::Chat
        });
        self.rules.policy.role(task).first_byte_timeout
    }

    fn sending_fault(
        &self,
        fault: crate::fallback::SendingFault,
        decision: &Decision,
    ) -> RouteError {
        let now = Instant::now();
        // Of those that the request may use, whether or not the plan held them.
        let pool = decision.candidates.iter().filter(|candidate| {
            matches!(
                candidate.place,
                Place::In(_) | Place::Out(Exclusion::Cooling { .. } | Exclusion::InFlight)
            )
        });
        let wait = pool
            .filter_map(|candidate| self.state.standing(&candidate.deployment.name).cooling(now))
            .filter(|(cause, _)| *cause != Cause::Misconfigured)
            .map(|(_, until)| until - now)
            .min();
        let bound = decision
            .candidates
            .iter()
            .any(|candidate| candidate.place == Place::Out(Exclusion::Residency));
        RouteError::Sending { fault, wait, bound }
    }
}

fn trace(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    TRACE
        .into_iter()
        .filter_map(|name| Some((HeaderName::from_static(name), headers.get(name)?.clone())))
        .collect()
}

/// Turns an answer into the response, and closes the account when it ends.
struct Finish<'f, 'a, U> {
    router: &'f Arc<Inner<U>>,
    decision: &'f Decision,
    request: &'f ChatRequest<'a>,
    began: Instant,
}

impl<U: Upstream> Finish<'_, '_, U> {
    fn respond(
        &self,
        answered: Answered,
        told: HeaderMap,
        in_flight: crate::metrics::InFlight,
    ) -> Response {
        let Answered { deployment, delivery, adapted, restream: again, trail } = answered;
        let metrics = &self.router.metrics;
        metrics.attempted(&trail);
        metrics.adapted(&deployment, &adapted);
        let mut headers = passed(&delivery.headers);
        headers.extend(told);
        let fallback = self.fallback_cause(&deployment, &trail);
        tell_attempts(&mut headers, &deployment, &trail, fallback);
        tell_adapted(&mut headers, &adapted);
        let status = delivery.status;
        match delivery.body {
            Delivered::Full(body, answer) => {
                let usage = answer.usage.unwrap_or_default();
                if status.is_success() {
                    self.router.check_model(&deployment, answer.model.as_deref());
                    let known = answer.usage.is_some();
                    let cost = known.then(|| pricing::marginal_cost(&deployment, &usage)).flatten();
                    tell_cost(&mut headers, cost);
                    let total = self.began.elapsed();
                    let timing = Timing { first: total, total };
                    let account = Account {
                        deployment: &deployment,
                        usage,
                        cost,
                        timing,
                        streamed: false,
                        error: "",
                    };
                    metrics.answered(&account);
                }
                drop(in_flight);
                whole(
                    status,
                    headers,
                    body,
                    again && status.is_success(),
                    self.request.include_usage(),
                )
            }
            Delivered::Stream(mut relay) => {
                as_event_stream(&mut headers);
                let close = self.closing(&deployment, in_flight);
                relay.on_end(close);
                let stream = ByteStream::new(*relay);
                Response { status, headers, body: Body::Stream(stream) }
            }
        }
    }

    /// Why the deployment wished most did not answer: its own attempt's end, or the wait it had asked for before.
    fn fallback_cause(&self, deployment: &Deployment, trail: &[Step]) -> Option<&'static str> {
        let first = trail.first()?;
        let (from, cause) = if first.deployment.name == deployment.name {
            let skipped = self.decision.candidates.iter().find(|candidate| {
                candidate.deployment.billing.is_provisioned()
                    && !deployment.billing.is_provisioned()
                    && matches!(
                        candidate.place,
                        Place::Out(Exclusion::Cooling { .. } | Exclusion::InFlight)
                    )
            })?;
            (&skipped.deployment, "cooling")
        } else {
            (&first.deployment, first.ended.as_str())
        };
        self.router.metrics.fell_back(from, deployment, cause);
        Some(cause)
    }

    /// Closes the account of a stream when it has ended, however it did.
    fn closing(
        &self,
        deployment: &Arc<Deployment>,
        in_flight: crate::metrics::InFlight,
    ) -> impl FnOnce(&StreamEnd) + Send + 'static + use<U> {
        let (router, deployment) = (Arc::clone(self.router), Arc::clone(deployment));
        let (began, prompt) = (self.began, self.decision.needs.prompt);
        let first = began.elapsed();
        move |end| {
            router.check_model(&deployment, end.model.as_deref());
            let usage = end.usage.unwrap_or_else(|| estimated(prompt, end.content_bytes));
            let cost = pricing::marginal_cost(&deployment, &usage);
            let (ended, error) = match end.how {
                How::Whole => ("whole", ""),
                How::Interrupted => ("interrupted", "stream_interrupted"),
                How::HungUp => ("hung_up", "caller_hung_up"),
            };
            let timing = Timing { first, total: began.elapsed() };
            let account =
                Account { deployment: &deployment, usage, cost, timing, streamed: true, error };
            router.metrics.stream_ended(&deployment, ended);
            router.metrics.answered(&account);
            drop(in_flight);
        }
    }
}

/// What a stream used that did not say so: the prompt as scanned, the answer by its bytes.
fn estimated(prompt: Tokens, content_bytes: usize) -> Usage {
    let completion =
        Tokens(u64::try_from(content_bytes).unwrap_or(u64::MAX).div_ceil(tokens::BYTES_PER_TOKEN));
    Usage { prompt, completion, estimated: true, ..Usage::default() }
}

impl<U> Inner<U> {
    /// A deployment can turn into another model: Azure upgrades some in place.
    fn check_model(&self, deployment: &Deployment, answered: Option<&str>) {
        let configured = deployment.model.name.as_str();
        let Some(answered) = answered else { return };
        // A dated version of the same model is the same model: gpt-4o-2024-11-20.
        let version = answered.strip_prefix(configured);
        let same = version.is_some_and(|rest| rest.is_empty() || rest.starts_with("-20"));
        if !same {
            self.metrics.mismatched(deployment);
            tracing::warn!(deployment = %deployment.name, configured, "another model answered");
        }
    }
}

/// A whole answer, as it came or streamed on.
fn whole(
    status: StatusCode,
    mut headers: HeaderMap,
    body: Bytes,
    again: bool,
    include_usage: bool,
) -> Response {
    let events = if again { restream(&body, include_usage) } else { None };
    let body = match events {
        Some(events) => {
            as_event_stream(&mut headers);
            Body::Stream(ByteStream::new(stream::iter([events])))
        }
        None => Body::Full(body),
    };
    Response { status, headers, body }
}

type Work = std::pin::Pin<Box<dyn Future<Output = Result<Response, RouteError>> + Send>>;

/// A stream whose answer is still awaited: comments keep the connection alive; what comes of it follows.
fn late(mut headers: HeaderMap, work: Work, heartbeat: Duration) -> Response {
    as_event_stream(&mut headers);
    let waiting = stream::unfold((Some(work), true), move |(work, at_once)| async move {
        let mut work = work?;
        if at_once {
            return Some((Piece::Bytes(KEEP_ALIVE), (Some(work), false)));
        }
        tokio::select! {
            biased;
            answer = &mut work => Some((Piece::Answer(Box::new(answer)), (None, false))),
            () = tokio::time::sleep(heartbeat) => {
                Some((Piece::Bytes(KEEP_ALIVE), (Some(work), false)))
            }
        }
    });
    let body = waiting.flat_map(Piece::into_stream);
    Response { status: StatusCode::OK, headers, body: Body::Stream(ByteStream::new(body)) }
}

const KEEP_ALIVE: &str = ": keep-alive\n\n";

enum Piece {
    Bytes(&'static str),
    Answer(Box<Result<Response, RouteError>>),
}

impl Piece {
    fn into_stream(self) -> stream::BoxStream<'static, Bytes> {
        match self {
            Self::Bytes(text) => stream::iter([Bytes::from_static(text.as_bytes())]).boxed(),
            Self::Answer(answer) => match *answer {
                Ok(Response { body: Body::Stream(stream), .. }) => {
                    stream.filter_map(|item| async { item.ok() }).boxed()
                }
                // The status has gone out as 200: what was refused can only be told as an event.
                Ok(Response { body: Body::Full(body), .. }) => {
                    let body = String::from_utf8_lossy(&body).replace(['\r', '\n'], " ");
                    stream::iter([Bytes::from(format!("data: {body}\n\n"))]).boxed()
                }
                Err(error) => {
                    stream::iter([Bytes::from(format!("data: {}\n\n", error.body()))]).boxed()
                }
            },
        }
    }
}
