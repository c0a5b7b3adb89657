//! Routes requests to OpenAI models on Azure by task, cost and latency.
//!
//! For each request the crate scores whether the task needs reasoning, chooses the model of that role, orders the deployments that
//! may serve it (provisioned throughput before pay-as-you-go, never outside the residency), sends the request, and falls back
//! within the same request if a deployment returns 429 or fails.
//!
//! # Send requests
//! [`ModelRouter`] takes a body and returns a [`Response`]. The configuration is the TOML of the server.
//!
#![cfg_attr(feature = "http-client", doc = "```no_run")]
#![cfg_attr(not(feature = "http-client"), doc = "```ignore")]
//! use router_core::{ChatCall, Config, Day, ModelRouter};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load(&["router.toml".into()], Day::try_from("2026-11-23")?)?;
//! let registry = prometheus::Registry::new();
//! let router = ModelRouter::new(&config, &registry)?;
//! let body = r#"{"model":"auto","messages":[{"role":"user","content":"Hello!"}]}"#;
//! match router.chat(ChatCall::of_body(body)).await {
//!     Ok(response) => println!("{} {:?}", response.status, response.headers.get("x-router-deployment")),
//!     Err(error) => println!("{} {error}", error.status()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - [`Response`] and [`RouteError`] convert into `http::Response`; the error defines its status, headers and body.
//! - Dropping the future of [`ModelRouter::chat`], or the body of its response, cancels the call upstream.
//! - Metrics go to the `prometheus::Registry` that the program passes in. One registry serves one router.
//! - An [`Observer`] sees the [`RequestRecord`] of every request: attempts, tokens, cost, and how it ended.
//!
//! # Serve HTTP
//! [`ModelRouter::http_service`] is a `tower::Service<http::Request<B>>`. `axum` mounts it with `nest_service("/v1", service)`, and
//! tower layers (authentication, timeout, limit, trace) go around it. A layer in front defines who asks: it adds a [`Caller`] and its
//! [`Rights`] to the request's extensions.
//!
//! # Decide only
//! [`decide()`] is a pure function: the same request, rules, snapshot and moment give the same [`Decision`]. It does no I/O, reads no
//! clock and draws no random number. With `default-features = false` the crate contains only this half, and the rules that classify
//! answers.
//!
//! ```
//! use router_core::{Ask, ChatRequest, Config, Day, Hints, Moment, Rights, Sender, Snapshot, Ties, decide};
//!
//! let today = Day::try_from("2026-11-23")?;
//! let config = Config::from_toml(
//!     r#"
//!     [roles]
//!     reasoning.models = ["o1"]
//!     chat.models = ["gpt-4o"]
//!     [endpoints.main]
//!     url = "https://example.openai.azure.com"
//!     api = "azure_v1"
//!     anonymous = true
//!     [deployments.fast]
//!     endpoint = "main"
//!     model = "gpt-4o"
//!     billing = "pay_as_you_go"
//!     area = "global"
//!     [deployments.thorough]
//!     endpoint = "main"
//!     model = "o1"
//!     billing = "pay_as_you_go"
//!     area = "global"
//!     "#,
//!     today,
//! )?;
//! let body = r#"{"model":"auto","messages":[{"role":"user","content":"Prove that the square root of 2 is irrational."}]}"#;
//! let request = ChatRequest::parse(body.as_bytes())?;
//! let (hints, rights) = (Hints::default(), Rights::default());
//! let ask = Ask {
//!     request: &request,
//!     path_model: None,
//!     hints: &hints,
//!     rights: &rights,
//!     sender: Sender::default(),
//!     ties: Ties::default(),
//! };
//! let moment = Moment { now: tokio::time::Instant::now(), today };
//! let decision = decide(ask, &config.rules()?, &Snapshot::default(), moment)?;
//! assert_eq!(decision.plan?.first.name.as_str(), "thorough");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Replace a part
//! - [`Scorer`] scores the task; `ModelRouter::with_scorer` takes one.
//! - [`Upstream`] sends an attempt; `ModelRouter::with_upstream` takes one. Tests run without a network this way.
//!
//! The programs in `examples/` show each of these, and the project's tests run them.
//!
//! # Features
//! - `http-client` (default): everything that sends.
//! - `redis`: replicas that share what they know over Redis.
//! - `schema`: the JSON Schema of the configuration.
//! - `train`: training and measuring the task scorer.
#![cfg_attr(
    not(feature = "http-client"),
    expect(
        dead_code,
        unused_imports,
        reason = "the half that sends uses more than the half that decides"
    )
)]

// In the order of the path: a module imports only from modules listed earlier.
// validated numbers and names
#[doc(hidden)]
pub mod units;
// the wall clock, read in one place
#[doc(hidden)]
pub mod clock;
// model records: parameters, capabilities, prices
#[doc(hidden)]
pub mod model;
// error codes: status, type, side at fault
#[doc(hidden)]
pub mod error_kind;
// requests and responses
#[doc(hidden)]
pub mod chat;
// classifies the task
#[doc(hidden)]
pub mod task;
// the catalog: deployments, areas, prices
#[doc(hidden)]
pub mod deployment;
// chooses the models
#[doc(hidden)]
pub mod policy;
// the capacity of deployments
#[doc(hidden)]
pub mod capacity;
// filters and orders deployments
#[doc(hidden)]
pub mod selection;
// all of these as one pure function
#[doc(hidden)]
pub mod decision;
// memory budgets
#[doc(hidden)]
pub mod memory;
// limits and usage of keys
#[doc(hidden)]
pub mod ledger;
// the state of deployments
#[doc(hidden)]
pub mod state;
// shares state between replicas
#[doc(hidden)]
pub mod replicas;
// queues of full deployments
#[cfg(feature = "http-client")]
#[doc(hidden)]
pub mod waiting;
// owners of stored responses
#[doc(hidden)]
pub mod stored;
// endpoints that can decrypt an item
#[cfg(feature = "http-client")]
mod encrypted_items;
// trace context
#[doc(hidden)]
pub mod trace;
// sends to one deployment and classifies the response
#[doc(hidden)]
pub mod upstream;
// walks the plan within a deadline
#[doc(hidden)]
pub mod fallback;
// the caller's response
#[cfg(feature = "http-client")]
#[doc(hidden)]
pub mod response;
// errors of a request
#[doc(hidden)]
pub mod error;
// answers and errors as http::Response
#[cfg(feature = "http-client")]
mod http_response;
// the record of a request
#[cfg(feature = "http-client")]
#[doc(hidden)]
pub mod record;
// the record as one line of JSON
#[cfg(feature = "http-client")]
#[doc(hidden)]
pub mod log_line;
// configuration files -> checked settings
#[doc(hidden)]
pub mod config;
// metrics
#[cfg(feature = "http-client")]
mod metrics;
// takes a request along the whole path
#[cfg(feature = "http-client")]
#[doc(hidden)]
pub mod router;
// the router as a service over HTTP requests
#[cfg(feature = "http-client")]
mod http_service;

// The public API: what a program that embeds the router uses. The modules behind it are internal.

// Requests, and what a decision goes by.
pub use capacity::{DeploymentState, Snapshot};
pub use chat::{ChatRequest, Message, Operation, RequestFault, Usage};
pub use config::{Config, ConfigFaults, Layers, ScorerFault};
pub use decision::{Ask, Decision, MatchedRule, Moment, Rules, SetBy, Ties, Tradeoff, decide};
pub use deployment::{Area, Billing, Deployment, Residency};
pub use error::RouteError;
pub use error_kind::{Kind as ErrorKind, Side};
pub use ledger::Allowance;
pub use policy::{
    Choose, Hints, Preference, Priority, ReasoningValue, Rights, Sender, UnknownModel,
};
pub use selection::{Candidate, Exclusion, Plan, Refusal};
pub use stored::Caller;
pub use task::{
    Assessment, Classifier, LinearScorer, OtherLanguages, Reason, Score, Scorer, SegmentCounts,
    Signals, Task,
};
pub use units::{Day, DeploymentName, ModelName, Tokens, Usd};
pub use upstream::{Circumstances, Outcome, Throttle, judge};
#[cfg(feature = "http-client")]
pub use {
    fallback::{Ended, Note, Step},
    http_service::HttpService,
    record::{Answer, Decided, Observer, RequestEnd, RequestRecord},
    replicas::Replicas,
    response::{Body, BrokenOff, ByteStream, Response},
    router::{BuildFault, ChatCall, ModelRouter},
    upstream::{Attempt, HttpUpstream, Reply, ReplyBody, Unreachable, Upstream},
};

/// Compiles the example of the page on embedding.
#[cfg(all(doctest, feature = "http-client"))]
#[doc = include_str!("../../docs/embed.md")]
struct Embed;

/// Compiles the README's example.
#[cfg(all(doctest, feature = "http-client"))]
#[doc = include_str!("../../README.md")]
struct Readme;
