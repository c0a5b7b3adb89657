//! Objects stored without this router, and models named together with stored objects: a call goes
//! to the only endpoint that can have the object, within its caller's rights and residency, or is
//! refused with a reason.

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Settings};
use reqwest::Method;
use serde_json::{Value, json};

use crate::keys::{key, with_keys};
use crate::support::{Answer, Bench, Layout};

/// gpt-4o and o1 at the emulator of the bench, gpt-4o and gpt-4.1 at the other.
fn layout(other: &Emulator) -> Layout {
    let far = |layout: Layout, name: &str, model: &str| {
        let key = |field: &str| format!("deployments.{name}.{field}");
        layout
            .text(&key("endpoint"), "other")
            .text(&key("model"), model)
            .text(&key("billing"), "pay_as_you_go")
            .text(&key("area"), "zone:eu")
            .text(&key("azure_deployment"), name)
    };
    let layout = Layout::pair()
        .text("endpoints.azure.api_version", "2025-04-01-preview")
        .text("endpoints.other.url", other.url())
        .text("endpoints.other.api", "azure_v1")
        .set("endpoints.other.anonymous", true);
    far(far(layout, "far", "gpt-4o"), "far_41", "gpt-4.1")
}

async fn other() -> Emulator {
    let payg = |name: &str, model: &str| {
        Deployment::pay_as_you_go(name, model, QuotaSettings::new(1_000_000, 1_000_000_000))
    };
    let settings = Settings::new().seed(9);
    let settings = settings.deployment(payg("far", "gpt-4o")).deployment(payg("far_41", "gpt-4.1"));
    Emulator::start(settings).await.unwrap()
}

/// A response that the other resource stored, made without the router.
async fn made(bench: &Bench, other: &Emulator) -> String {
    let url = format!("{}/openai/v1/responses", other.url());
    let body = json!({"model": "far", "input": "Say hello."});
    let answer = Answer::of(bench.client.post(url).json(&body)).await;
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn stored(bench: &Bench, method: Method, id: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = bench.client.request(method, bench.url(&format!("/v1/responses/{id}")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

async fn respond(bench: &Bench, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let mut request = bench.client.post(bench.url("/v1/responses")).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

/// Only the other resource lies inside it.
const EU: [(&str, &str); 1] = [("x-router-residency", "zone:eu")];
/// Neither does.
const KR: [(&str, &str); 1] = [("x-router-residency", "geo:kr")];

#[tokio::test]
async fn a_get_asks_each_endpoint_in_turn() {
    let other = other().await;
    let bench = layout(&other).start().await;
    let id = made(&bench, &other).await;
    let asked = |emulator: &Emulator| emulator.journal().len();
    let before = asked(&other);
    let read = stored(&bench, Method::GET, &id, &[]).await;
    assert_eq!((read.status, read.json()["id"].as_str()), (200, Some(&*id)), "{read:?}");
    assert_eq!(read.deployment(), Some("far"));
    assert_eq!((asked(&bench.emulator), asked(&other)), (1, before + 1));
    // Known from now on: a follow-up and a delete go there at once.
    let next = json!({"model": "gpt-4o", "input": "And?", "previous_response_id": id});
    let next = respond(&bench, &next, &[]).await;
    assert_eq!((next.status, next.deployment()), (200, Some("far")), "{next:?}");
    assert_eq!(stored(&bench, Method::DELETE, &id, &[]).await.status, 200);
    assert_eq!(asked(&bench.emulator), 1);
    // A response that no endpoint has.
    let unknown = stored(&bench, Method::GET, "resp_unknown", &[]).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "response_not_found"));
    assert_eq!(asked(&bench.emulator), 2);
}

#[tokio::test]
async fn of_several_endpoints_only_reading_asks() {
    let other = other().await;
    let bench = layout(&other).start().await;
    let id = made(&bench, &other).await;
    let before = other.journal().len();
    let deleted = stored(&bench, Method::DELETE, &id, &[]).await;
    assert_eq!((deleted.status, deleted.code().as_str()), (404, "response_not_found"));
    let next = json!({"model": "gpt-4o", "input": "And?", "previous_response_id": id});
    let next = respond(&bench, &next, &[]).await;
    assert_eq!((next.status, next.code().as_str()), (400, "previous_response_not_found"));
    assert_eq!((bench.emulator.journal().len(), other.journal().len()), (0, before));
}

#[tokio::test]
async fn what_one_endpoint_alone_can_have_goes_there() {
    let other = other().await;
    let bench = layout(&other).start().await;
    for follow in ["previous_response_id", "item_reference", "conversation"] {
        let id = made(&bench, &other).await;
        let mut next = json!({"model": "auto", "input": "And?"});
        match follow {
            "item_reference" => next["input"] = json!([{"type": "item_reference", "id": id}]),
            field => next[field] = json!(id),
        }
        let answer = respond(&bench, &next, &EU).await;
        assert_eq!((answer.status, answer.deployment()), (200, Some("far")), "{follow} {answer:?}");
    }
    let id = made(&bench, &other).await;
    for method in [Method::GET, Method::DELETE] {
        let answer = stored(&bench, method, &id, &EU).await;
        assert_eq!((answer.status, answer.deployment()), (200, Some("far")), "{answer:?}");
    }
    assert!(bench.emulator.journal().is_empty());
}

#[tokio::test]
async fn nothing_is_asked_outside_the_residency_or_the_rights() {
    let other = other().await;
    let bench = layout(&other).start().await;
    let id = made(&bench, &other).await;
    let before = other.journal().len();
    let read = stored(&bench, Method::GET, &id, &KR).await;
    assert_eq!((read.status, read.code().as_str()), (404, "response_not_found"), "{read:?}");
    assert_eq!((bench.emulator.journal().len(), other.journal().len()), (0, before));
}

#[tokio::test]
async fn with_keys_nothing_is_asked_unless_config_says_so() {
    let other = other().await;
    let keyed =
        || with_keys(layout(&other), &["all", "far"]).set("keys.far.deployments", "[\"far\"]");
    let bench = keyed().start().await;
    let id = made(&bench, &other).await;
    let read = async |bench: &Bench, name: &str| {
        let bearer = format!("Bearer {}", key(name));
        let answer = stored(bench, Method::GET, &id, &[("authorization", &bearer)]).await;
        (answer.status, answer.deployment().map(str::to_owned))
    };
    for name in ["all", "far"] {
        assert_eq!(read(&bench, name).await, (404, None), "{name}");
    }
    assert!(bench.emulator.journal().is_empty());
    let bench = keyed().text("stored.unknown", "ask").start().await;
    // A key that may use one endpoint looks up nowhere else; the first to ask does not become the owner.
    for name in ["far", "far"] {
        assert_eq!(read(&bench, name).await, (200, Some("far".to_owned())), "{name}");
    }
    assert!(bench.emulator.journal().is_empty());
    assert_eq!(read(&bench, "all").await, (200, Some("far".to_owned())));
    let bearer = format!("Bearer {}", key("far"));
    let next = json!({"model": "gpt-4o", "input": "And?", "previous_response_id": id});
    let next = respond(&bench, &next, &[("authorization", &bearer)]).await;
    assert_eq!((next.status, next.deployment()), (200, Some("far")), "{next:?}");
}

#[tokio::test]
async fn a_model_named_with_what_is_stored_is_honoured_or_refused() {
    let other = other().await;
    let bench = layout(&other).start().await;
    let made = json!({"model": "deployment:far", "input": "Say hello."});
    let id = respond(&bench, &made, &[]).await.json()["id"].as_str().unwrap().to_owned();
    let refused = (400, Some("model_not_at_owner"));
    for (model, expected) in [
        // Nothing named: back to who made it.
        (Value::Null, (200, Some("far"))),
        (json!("auto"), (200, Some("far"))),
        (json!("chat"), (200, Some("far"))),
        // The same model, whichever deployment of it.
        (json!("gpt-4o"), (200, Some("far"))),
        (json!("chat_payg"), (200, Some("far"))),
        // Another model at the same endpoint.
        (json!("gpt-4.1"), (200, Some("far_41"))),
        (json!("deployment:far_41"), (200, Some("far_41"))),
        // A model or a deployment that is not there.
        (json!("o1"), refused),
        (json!("deployment:chat_payg"), refused),
        (json!("no-such-model"), (404, Some("model_not_found"))),
    ] {
        let next = json!({"model": model, "input": "And?", "previous_response_id": id});
        let answer = respond(&bench, &next, &[]).await;
        let code = if answer.status == 200 {
            answer.deployment().unwrap_or_default().to_owned()
        } else {
            answer.code()
        };
        assert_eq!((answer.status, Some(code.as_str())), expected, "{model} {answer:?}");
    }
    assert!(bench.emulator.journal().is_empty());
}
