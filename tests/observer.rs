//! Observers see each request once, however it ends, with its decision and its result.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use router_core::record::{Observer, RequestEnd, RequestRecord};
use router_core::response::Body;
use router_core::router::ChatCall;
use router_core::stored::Caller;
use router_core::task::Task;
use router_core::trace::RequestSpan;
use router_core::upstream::{Attempt, Unreachable};
use serde_json::json;

use crate::support::memory::{Canned, InMemory};
use crate::support::{Layout, question};

/// Records all calls.
#[derive(Debug, Default)]
struct Keeper(Mutex<Vec<RequestRecord>>);

impl Observer for Keeper {
    fn closed(&self, record: &RequestRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
    }
}

impl Keeper {
    /// The only request there was.
    fn only(&self) -> RequestRecord {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(told.len(), 1, "{told:?}");
        told[0].clone()
    }
}

fn observed(
    script: impl Fn(&Attempt, usize) -> Result<Canned, Unreachable> + Send + Sync + 'static,
) -> (InMemory, Arc<Keeper>) {
    let router = InMemory::new(&Layout::pair(), script);
    let keeper = Arc::new(Keeper::default());
    router.router.observe(Arc::<Keeper>::clone(&keeper));
    (router, keeper)
}

fn busy_ptu(attempt: &Attempt) -> Canned {
    if attempt.deployment.billing.is_provisioned() {
        return Canned::of(429, "{}").header("retry-after-ms", "5000");
    }
    Canned::good(attempt)
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_tells_tokens_cost_and_what_it_would_have_cost_elsewhere() {
    let (router, keeper) = observed(|attempt, _| Ok(Canned::good(attempt)));
    let mut call = ChatCall::of_body(question("chat", json!({"max_tokens": 7})).to_string());
    call.caller = Caller::named("billing");
    call.headers.insert("x-request-id", "abc".parse().unwrap());
    router.read(call).await.unwrap();
    let record = keeper.only();
    assert_eq!((record.ended.error(), record.fallback_cause()), (None, None));
    assert_eq!(record.caller, Caller::named("billing"));
    assert_eq!(record.request_id.as_deref(), Some("abc"));
    assert_eq!(record.max_output.map(|cap| cap.0), Some(7));
    assert_eq!(record.decided.unwrap().task, Some(Task::Chat));
    assert_eq!(record.attempts.len(), 1);
    let answer = record.answer.unwrap();
    assert_eq!((answer.deployment.name.as_str(), answer.status), ("chat_ptu", 200));
    let usage = answer.usage.unwrap();
    assert_eq!((usage.prompt.0, usage.completion.0), (10, 1));
    let dollars = |cost: Option<router_core::units::Usd>| cost.unwrap().to_string();
    assert_eq!(dollars(answer.cost), "0.000000", "provisioned: free at the margin");
    // gpt-4o: 10 * 2.5 + 1 * 10; o1: 10 * 15 + 1 * 60, in millionths.
    assert_eq!(dollars(answer.instead.pay_as_you_go), "0.000035");
    assert_eq!(dollars(answer.instead.reasoning), "0.000210");
    assert_eq!(dollars(answer.instead.chat), "0.000035");
    assert_eq!(record.total, Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_tells_its_cause_and_every_attempt() {
    for streamed in [false, true] {
        let (router, keeper) = observed(|attempt, _| Ok(busy_ptu(attempt)));
        let body = question("chat", json!({"stream": streamed}));
        router.ask(&body, &[("x-router-max-wait-ms", "0")]).await.unwrap();
        let record = keeper.only();
        assert_eq!((record.ended.error(), record.streamed), (None, streamed));
        let went: Vec<_> = record
            .attempts
            .iter()
            .map(|step| (step.deployment.name.as_str(), step.ended.as_str()))
            .collect();
        assert_eq!(went, [("chat_ptu", "throttled"), ("chat_payg", "served")]);
        assert_eq!(record.fallback_cause(), Some("throttled"));
        assert_eq!(record.answer.unwrap().usage.unwrap().estimated, streamed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_is_told_whatever_stage_its_request_is_in() {
    // Before the answer.
    let (router, keeper) = observed(|attempt, _| {
        Ok(Canned { delay: Duration::from_secs(30), ..Canned::good(attempt) })
    });
    let body = question("chat", json!({}));
    let asked = tokio::time::timeout(Duration::from_secs(3), router.ask(&body, &[])).await;
    assert!(asked.is_err());
    let record = keeper.only();
    assert_eq!(
        (record.ended.error(), record.total),
        (Some("caller_hung_up"), Duration::from_secs(3))
    );
    assert!(record.decided.is_some() && record.answer.is_none());
    // In the middle of a stream.
    let (router, keeper) = observed(|attempt, _| {
        Ok(Canned { pause: Duration::from_secs(9), ..Canned::good(attempt) })
    });
    let body = question("chat", json!({"stream": true})).to_string();
    let response = router.router.chat(ChatCall::of_body(body)).await.unwrap();
    let Body::Stream(mut stream) = response.body else { panic!("no stream") };
    assert!(stream.next().await.is_some());
    assert!(keeper.0.lock().unwrap().is_empty(), "it is still under way");
    drop(stream);
    let record = keeper.only();
    assert_eq!(record.ended, RequestEnd::HungUp);
    assert!(record.answer.unwrap().usage.unwrap().estimated);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_with_its_reason() {
    let (router, keeper) = observed(|_, _| Ok(Canned::of(400, r#"{"error":{"message":"no"}}"#)));
    router.ask(&question("chat", json!({})), &[]).await.unwrap();
    let record = keeper.only();
    let answer = record.answer.unwrap();
    assert_eq!((record.ended.error(), answer.status, answer.usage), (Some("rejected"), 400, None));

    let (router, keeper) = observed(|_, _| Err(Unreachable::Connect));
    router.ask(&question("chat", json!({})), &[]).await.unwrap_err();
    let record = keeper.only();
    assert_eq!((record.ended.error(), record.answer.is_none()), (Some("upstream_failed"), true));
    assert_eq!(record.attempts.len(), 2);

    let (router, keeper) = observed(|attempt, _| Ok(Canned::good(attempt)));
    router.ask(&json!({"messages": 3}), &[]).await.unwrap_err();
    let record = keeper.only();
    assert_eq!((record.ended.error(), record.decided.is_none()), (Some("invalid_request"), true));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_known_by_the_id_it_went_out_under_those_that_were_outrun_too() {
    let layout = Layout::pair().set("limits.hedge_quantile", 0.99);
    // Forty quick answers, from which it is known what is slow.
    let router = InMemory::new(&layout, |attempt, number| {
        let slow = number >= 40 && attempt.deployment.billing.is_provisioned();
        let delay = Duration::from_millis(if slow { 9_000 } else { 100 });
        Ok(Canned { delay, ..Canned::good(attempt) })
    });
    let body = question("chat", json!({"stream": true}));
    for _ in 0..40 {
        router.ask(&body, &[]).await.unwrap();
    }
    let keeper = Arc::new(Keeper::default());
    router.router.observe(Arc::<Keeper>::clone(&keeper));
    let mut call = ChatCall::of_body(body.to_string());
    call.span = Some(RequestSpan::begin(&call.headers, |_| true));
    router.read(call).await.unwrap();
    let record = keeper.only();
    let went: Vec<_> = record
        .attempts
        .iter()
        .map(|step| (step.deployment.name.as_str(), step.ended.as_str(), step.span.unwrap()))
        .collect();
    let [(first, "outrun", outrun), (second, "served", served)] = went.as_slice() else {
        panic!("{went:?}")
    };
    let trace = record.span.unwrap().trace();
    let arrived = &router.arrived()[40..];
    for (arrived, (name, id)) in arrived.iter().zip([(first, outrun), (second, served)]) {
        assert_eq!(arrived.deployment, **name);
        assert_eq!(arrived.traceparent.as_ref().unwrap(), format!("00-{trace}-{id}-03").as_str());
    }
    assert_eq!(arrived.len(), 2);
    let late = record.attempts[1].began - record.attempts[0].began;
    assert!(late >= Duration::from_millis(100), "{late:?}");
}
