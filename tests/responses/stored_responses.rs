//! Stored responses, items and conversations go to the deployment that has them.

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Settings};
use reqwest::Method;
use router_core::chat::Operation;
use router_core::router::{ChatCall, StoredCall};
use router_core::stored::{Caller, Collection};
use serde_json::{Value, json};

use crate::support::memory::{Canned, InMemory, bytes_of};
use crate::support::{Answer, Bench};

use super::{pair, respond};

/// A router before two resources, each with a gpt-4o of its own.
async fn two_resources() -> (Bench, Emulator) {
    let other = Settings::new().seed(9).deployment(Deployment::pay_as_you_go(
        "far",
        "gpt-4o",
        QuotaSettings::new(1_000_000, 1_000_000_000),
    ));
    let other = Emulator::start(other).await.unwrap();
    let bench = pair()
        .text("endpoints.other.url", other.url())
        .text("endpoints.other.api", "azure_v1")
        .set("endpoints.other.anonymous", true)
        .text("deployments.far.endpoint", "other")
        .text("deployments.far.model", "gpt-4o")
        .text("deployments.far.azure_deployment", "far")
        .text("deployments.far.billing", "pay_as_you_go")
        .text("deployments.far.area", "zone:eu")
        .start()
        .await;
    (bench, other)
}

async fn stored(bench: &Bench, method: Method, path: &str) -> Answer {
    Answer::of(bench.client.request(method, bench.url(path))).await
}

#[tokio::test]
async fn a_stored_response_leads_back_to_the_deployment_that_made_it() {
    let (bench, other) = two_resources().await;
    for streamed in [false, true] {
        let body = json!({"model": "deployment:far", "input": "Say hello.", "stream": streamed});
        let first = respond(&bench, &body).await;
        assert_eq!((first.status, first.deployment()), (200, Some("far")), "{first:?}");
        let id = if streamed {
            first.events()[0]["response"]["id"].as_str().unwrap().to_owned()
        } else {
            first.json()["id"].as_str().unwrap().to_owned()
        };
        // gpt-4o would go to the provisioned deployment, but that does not know the response.
        let next = json!({"model": "gpt-4o", "input": "And again?", "previous_response_id": id});
        let next = respond(&bench, &next).await;
        assert_eq!((next.status, next.deployment()), (200, Some("far")), "{next:?}");
        for (method, tail) in [
            (Method::GET, ""),
            (Method::GET, "/input_items?limit=2"),
            (Method::GET, "/input_items?api%2Dversion=x&order=asc"),
            (Method::POST, "/cancel"),
            (Method::DELETE, ""),
        ] {
            let path = format!("/v1/responses/{id}{tail}");
            let answer = stored(&bench, method.clone(), &path).await;
            assert_eq!(
                (answer.status, answer.deployment()),
                (200, Some("far")),
                "{path} {answer:?}"
            );
            let entry = other.journal().last().cloned().unwrap();
            assert_eq!(entry.method, method.as_str());
            assert!(entry.path.starts_with("/openai/v1/responses/"), "{}", entry.path);
            let query =
                tail.split_once('?').map(|(_, query)| query.trim_start_matches("api%2Dversion=x&"));
            assert_eq!(entry.query.as_deref(), query);
        }
        // A deleted response is unknown, and nothing is sent.
        let before = other.journal().len();
        let gone = stored(&bench, Method::GET, &format!("/v1/responses/{id}")).await;
        assert_eq!((gone.status, gone.code().as_str()), (404, "response_not_found"));
        assert_eq!(other.journal().len(), before);
    }
}

#[tokio::test]
async fn stored_items_and_conversations_lead_back_as_well() {
    let (bench, other) = two_resources().await;
    for streamed in [false, true] {
        let talk = format!("conv_{streamed}");
        let body = json!({"model": "deployment:far", "input": "Say hello.", "stream": streamed,
            "conversation": {"id": talk}});
        let first = respond(&bench, &body).await;
        assert_eq!((first.status, first.deployment()), (200, Some("far")), "{first:?}");
        let done = |event: &Value| event["type"] == "response.output_item.done";
        let item = if streamed {
            first.events().iter().find(|event| done(event)).unwrap()["item"]["id"].clone()
        } else {
            first.json()["output"][0]["id"].clone()
        };
        for next in [
            json!({"input": [{"type": "item_reference", "id": item}, {"role": "user", "content": "And?"}]}),
            json!({"input": [{"type": "reasoning", "id": item, "summary": []}, {"role": "user", "content": "And?"}]}),
            json!({"input": "And?", "conversation": talk}),
            json!({"input": "And?", "conversation": {"id": talk}}),
        ] {
            let mut body = json!({"model": "gpt-4o", "stream": streamed});
            body.as_object_mut().unwrap().extend(next.as_object().unwrap().clone());
            let next = respond(&bench, &body).await;
            assert_eq!((next.status, next.deployment()), (200, Some("far")), "{body} {next:?}");
        }
    }
    // An object that was not stored here belongs to nobody; a request that does not need it is routed as usual.
    let before = other.journal().len() + bench.emulator.journal().len();
    let body = json!({"model": "gpt-4o", "input": [{"type": "item_reference", "id": "msg_x"}]});
    let unknown = respond(&bench, &body).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "response_not_found"));
    assert_eq!(unknown.json()["error"]["param"], "input");
    assert_eq!(other.journal().len() + bench.emulator.journal().len(), before);
    for body in [
        json!({"model": "gpt-4o", "input": [{"type": "reasoning", "id": "rs_x", "summary": []}]}),
        json!({"model": "gpt-4o", "input": "hi", "conversation": "conv_x"}),
    ] {
        assert_eq!(respond(&bench, &body).await.deployment(), Some("chat_ptu"), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_or_a_conversation_is_its_callers_alone() {
    let answer = r#"{"id":"resp_1","object":"response","status":"completed","model":"gpt-4o","output":[{"type":"message","id":"msg_1","content":[]}]}"#;
    let router = InMemory::new(&pair(), move |_, _| Ok(Canned::of(200, answer)));
    let ask = async |caller: &str, body: Value| {
        let mut call = ChatCall::of(Operation::Responses, body.to_string());
        call.caller = Caller::named(caller);
        router.read(call).await.map(|_| ()).map_err(|error| error.kind().as_str())
    };
    assert_eq!(ask("one", json!({"model": "gpt-4o", "input": "hi"})).await, Ok(()));
    let item = json!({"model": "gpt-4o", "input": [{"type": "item_reference", "id": "msg_1"}]});
    assert_eq!(ask("one", item.clone()).await, Ok(()));
    assert_eq!(ask("other", item).await, Err("response_not_found"));
    // An unknown conversation may belong to any key; requesting it does not change its owner.
    let talk = json!({"model": "gpt-4o", "input": "hi", "conversation": "conv_1"});
    for caller in ["one", "other", "one"] {
        assert_eq!(ask(caller, talk.clone()).await, Err("response_not_found"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_stream_that_is_read_again_does_not_end_in_silence() {
    let begun = "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\"}}\n\n";
    let said = "data: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"hi\"}\n\n";
    let end = "data: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_1\"}}\n\n";
    // Made whole, then read again and cut off.
    let router = InMemory::new(&pair(), move |_, number| {
        let pieces = [begun, said, end];
        Ok(Canned::stream(if number == 0 { &pieces } else { &pieces[..2] }))
    });
    let body = json!({"model": "gpt-4o", "input": "hi", "stream": true}).to_string();
    let (_, made) = router.read(ChatCall::of(Operation::Responses, body)).await.unwrap();
    assert_eq!(made, [begun, said, end].concat());
    let again = StoredCall {
        rest: "?stream=true".to_owned(),
        ..StoredCall::of(Collection::Responses, Method::GET, "resp_1")
    };
    let response = router.router.stored(again).await.unwrap();
    let text = String::from_utf8(bytes_of(response).await.1.to_vec()).unwrap();
    assert!(text.starts_with(&[begun, said].concat()), "{text}");
    assert!(text.contains("event: error") && text.contains("stream_interrupted"), "{text}");
}

#[tokio::test]
async fn a_follow_up_is_thought_about_as_hard_as_what_it_follows() {
    let bench = pair()
        .payg("thinker", "gpt-5.2")
        .set("roles.reasoning.models", r#"["gpt-5.2"]"#)
        .text("roles.reasoning.effort", "high")
        .start()
        .await;
    let hard = "Prove by induction that the sum of the first n odd numbers is n squared.";
    let first = respond(&bench, &json!({"model": "auto", "input": hard})).await;
    assert_eq!(first.deployment(), Some("thinker"), "{first:?}");
    let id = first.json()["id"].as_str().unwrap().to_owned();
    for (model, effort) in [
        (json!("auto"), json!("high")),
        (Value::Null, json!("high")),
        (json!("gpt-5.2"), Value::Null),
    ] {
        let next = json!({"model": model, "input": "Why?", "previous_response_id": id});
        let next = respond(&bench, &next).await;
        assert_eq!((next.status, next.deployment()), (200, Some("thinker")), "{next:?}");
        let sent = bench.asked("thinker").last().unwrap().json().unwrap();
        assert_eq!(sent["reasoning"]["effort"], effort, "{model}");
    }
}

#[tokio::test]
async fn a_response_that_is_not_known_here_is_not_asked_for() {
    let bench = pair().start().await;
    let unknown = stored(&bench, Method::GET, "/openai/responses/resp_x?api-version=v").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "response_not_found"));
    let body = json!({"model": "gpt-4o", "input": "hi", "previous_response_id": "resp_x"});
    let unknown = respond(&bench, &body).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "previous_response_not_found"));
    assert_eq!(unknown.json()["error"]["param"], "previous_response_id");
    let body = json!({"model": "gpt-4o", "input": "hi", "previous_response_id": ""});
    let answer = respond(&bench, &body).await;
    assert_eq!(answer.status, 200, "an empty id names nothing");
    assert_eq!(answer.header("x-router-adapted"), Some("previous_response_id"));
    // A response that was not to be stored is unknown, too.
    let body = json!({"model": "gpt-4o", "input": "hi", "store": false});
    let id = respond(&bench, &body).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/responses/{id}");
    let before = bench.emulator.journal().len();
    assert_eq!(stored(&bench, Method::GET, &path).await.status, 404);
    assert_eq!(bench.emulator.journal().len(), before);
}

#[tokio::test]
async fn stored_responses_obey_the_residency() {
    let (bench, other) = two_resources().await;
    let body = json!({"model": "deployment:far", "input": "Say hello."});
    let id = respond(&bench, &body).await.json()["id"].as_str().unwrap().to_owned();
    let before = other.journal().len();
    let get = bench.client.get(bench.url(&format!("/v1/responses/{id}")));
    let read = Answer::of(get.header("x-router-residency", "geo:kr")).await;
    assert_eq!((read.status, read.code().as_str()), (400, "residency_unsatisfiable"));
    let next = json!({"model": "gpt-4o", "input": "hi", "previous_response_id": id});
    let next = bench.client.post(bench.url("/v1/responses")).json(&next);
    let next = Answer::of(next.header("x-router-residency", "geo:kr")).await;
    assert_eq!((next.status, next.code().as_str()), (400, "residency_unsatisfiable"));
    let body = json!({"model": "gpt-4o", "input": "hi", "store": true});
    let kept = bench.client.post(bench.url("/v1/responses")).json(&body);
    let kept = Answer::of(kept.header("x-router-residency", "zone:eu")).await;
    assert_eq!((kept.status, kept.deployment()), (200, Some("far")));
    assert_eq!(other.journal().len(), before + 1);
}
