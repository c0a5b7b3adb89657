//! Runs a simulation through the router itself: the same code that serves requests, from bytes to
//! bytes, in virtual time.
//!
//! Tokio's clock is paused: when every task waits, it jumps to the next moment at which one can
//! continue. With one thread and the stage's seed as the only source of randomness, two runs of one
//! stage agree.

use std::future::Future;
use std::time::Duration;

use azure_emulator::bucket::BucketFault;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;
use prometheus::Registry;
use router_core::chat::tokens;
use router_core::config::Config;
use router_core::router::{BuildFault, ChatCall, ModelRouter};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::simulation_args::PolicyName;

use super::cloud::Cloud;
use super::stage::Stage;
use super::tally::{Fate, ServedBy, Tally};
use super::workload::Call;

/// The reason why a stage cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PlayFault {
    /// The router cannot be built.
    #[error(transparent)]
    Build(#[from] BuildFault),
    /// A provisioned deployment holds nothing.
    #[error(transparent)]
    Bucket(#[from] BucketFault),
    /// The system gives no thread or runtime.
    #[error("virtual time: {0}")]
    System(#[from] std::io::Error),
}

/// Plays the stage through the router. `progress` hears after each call how many have come.
///
/// It takes a thread of its own, so that it may be called from anywhere.
///
/// # Errors
/// The router cannot be built of the stage's configuration.
pub fn play(stage: &Stage, progress: &(dyn Fn(u64) + Sync)) -> Result<Tally, PlayFault> {
    in_virtual_time(|| all(stage, progress))
}

/// Does it on a thread of its own whose time jumps.
pub(super) fn in_virtual_time<T: Send, F: Future<Output = Result<T, PlayFault>>>(
    work: impl FnOnce() -> F + Send,
) -> Result<T, PlayFault> {
    std::thread::scope(|scope| {
        let played = scope.spawn(|| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_time().start_paused(true).build()?;
            runtime.block_on(work())
        });
        played.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Begins each piece of work at its time from now on, and gives what came of it to `ended`.
pub(super) async fn at_their_times<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    work: impl Iterator<Item = (Duration, F)>,
    progress: &(dyn Fn(u64) + Sync),
    mut ended: impl FnMut(T),
) {
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    for (number, (at, work)) in (0..).zip(work) {
        tokio::time::sleep_until(began + at).await;
        under_way.spawn(work);
        progress(number);
        while let Some(Ok(done)) = under_way.try_join_next() {
            ended(done);
        }
    }
    while let Some(done) = under_way.join_next().await {
        match done {
            Ok(done) => ended(done),
            Err(fault) => {
                if let Ok(panic) = fault.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}

async fn all(stage: &Stage, progress: &(dyn Fn(u64) + Sync)) -> Result<Tally, PlayFault> {
    let began = Instant::now();
    let cloud = Cloud::new(stage.clone(), began)?;
    let router = router(&stage.config, cloud.clone())?;
    let mut endings = vec![Ending::default(); stage.calls.len()];
    let told = |(index, ending): (usize, Ending)| {
        if let Some(place) = endings.get_mut(index) {
            *place = ending;
        }
    };
    let calls = stage.calls.iter().copied().enumerate();
    let work = calls.map(|(index, call)| (call.at, one(router.clone(), index, call)));
    at_their_times(work, progress, told).await;
    let meter = cloud.meter();
    let fates = meter.spent.iter().zip(&endings).map(|(spent, ending)| Fate {
        sent: spent.sent,
        by: if ending.answered { spent.by } else { ServedBy::Nobody },
        added: ending.added,
        truncated: ending.truncated,
        usd: spent.usd,
        provisioned_tokens: spent.provisioned_tokens,
    });
    let fates = fates.collect();
    Ok(Tally { policy: PolicyName::Router, fates, refusals: meter.refusals })
}

pub(super) fn router(config: &Config, cloud: Cloud) -> Result<ModelRouter<Cloud>, BuildFault> {
    let rules = config.rules()?;
    Ok(ModelRouter::with_upstream(rules, config.limits.clone(), cloud, &Registry::new())?)
}

/// Outcome as the caller sees it.
#[derive(Debug, Clone, Copy, Default)]
struct Ending {
    answered: bool,
    truncated: bool,
    added: Duration,
}

async fn one(router: ModelRouter<Cloud>, index: usize, call: Call) -> (usize, Ending) {
    let received = Instant::now();
    let asked = ChatCall {
        headers: headers(index, &call),
        received,
        ..ChatCall::of_body(body(index, &call))
    };
    let mut ending = Ending::default();
    if let Ok(response) = router.chat(asked).await {
        let mut seen = response.status.is_success();
        let body = match response.body {
            router_core::response::Body::Full(body) => body,
            router_core::response::Body::Stream(mut stream) => {
                let mut all = Vec::new();
                while let Some(Ok(bytes)) = stream.next().await {
                    all.extend_from_slice(&bytes);
                }
                seen &= memmem::find(&all, b"\"error\":").is_none();
                all.into()
            }
        };
        // A call's answer is never longer than its own cap, so that no cap of the caller's can have ended it.
        ending.truncated = memmem::find(&body, b"\"finish_reason\":\"length\"").is_some();
        ending.answered = seen;
    }
    ending.added = received.elapsed().saturating_sub(call.ideal());
    (index, ending)
}

pub(super) fn headers(index: usize, call: &Call) -> HeaderMap {
    let task = HeaderValue::from_static(call.task.as_str());
    HeaderMap::from_iter([
        (HeaderName::from_static("x-request-id"), HeaderValue::from(index)),
        (HeaderName::from_static("x-router-task"), task),
    ])
}

/// A chat request of about so many tokens by the router's estimate. Every call is a conversation of its own.
pub fn body(index: usize, call: &Call) -> Bytes {
    body_for("auto", index, call)
}

/// The same for a model by its name.
pub(super) fn body_for(model: &str, index: usize, call: &Call) -> Bytes {
    let mut text = format!("{NAMED}{index}:");
    let frame = tokens::estimate(&text).0 + 4;
    let hundred = tokens::estimate(&WORD.repeat(100)).0.max(1);
    let words = call.estimate.saturating_sub(frame) * 100 / hundred;
    text.push_str(&WORD.repeat(usize::try_from(words).unwrap_or(usize::MAX).min(1 << 24)));
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": text}]});
    if let Value::Object(fields) = &mut body {
        if let Some(cap) = call.cap {
            fields.insert("max_tokens".to_owned(), cap.into());
        }
        if call.streamed {
            fields.insert("stream".to_owned(), true.into());
            fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
    }
    body.to_string().into()
}

const WORD: &str = " word";

/// A call's number stands behind this in its text.
const NAMED: &str = "Call ";

/// The number of the call that has this text.
pub(super) fn number_in(text: &str) -> Option<usize> {
    text.strip_prefix(NAMED)?.split(':').next()?.parse().ok()
}
