//! The Responses API: whole, streamed, stored.

use super::support::*;
use serde_json::{Value, json};

#[tokio::test]
async fn whole_stored_and_forgotten() {
    let emulator = started().await;
    for path in
        ["/v1/responses", "/openai/v1/responses", "/openai/responses?api-version=2025-03-01"]
    {
        let url = format!("{}{path}", emulator.url());
        let (bare, query) = path
            .split_once('?')
            .map_or((path, String::new()), |(bare, query)| (bare, format!("?{query}")));
        let post = |body: Value| client().post(&url).json(&body).send();
        let answer = post(json!({"model": "payg", "input": "hello"})).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["output"][0]["content"][0]["type"], "output_text");
        assert_eq!(answer["usage"]["output_tokens"], 24);
        let id = answer["id"].as_str().unwrap();

        let stored = format!("{}{bare}/{id}{query}", emulator.url());
        let found: Value = client().get(&stored).send().await.unwrap().json().await.unwrap();
        assert_eq!(found, answer);
        let next = post(json!({"model": "payg", "input": "on", "previous_response_id": id}));
        assert_eq!(next.await.unwrap().status(), 200);
        assert_eq!(client().delete(&stored).send().await.unwrap().status(), 200);
        assert_eq!(client().get(&stored).send().await.unwrap().status(), 404);
        let next = post(json!({"model": "payg", "input": "on", "previous_response_id": id}));
        assert_eq!(error_of(next.await.unwrap()).await.1["code"], "previous_response_not_found");
    }
}

#[tokio::test]
async fn streamed_with_named_events() {
    let emulator = started().await;
    let url = format!("{}/openai/v1/responses", emulator.url());
    let request = json!({"model": "o3", "input": "hello", "stream": true});
    let (stream, clean) = drained(client().post(url).json(&request).send().await.unwrap()).await;
    assert!(clean && !stream.contains("[DONE]"));
    let names: Vec<&str> = stream.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names[..2], ["response.created", "response.in_progress"]);
    assert_eq!(names.last(), Some(&"response.completed"));
    assert!(names.contains(&"response.output_text.delta"));
    let events = events(&stream);
    for (index, (event, name)) in events.iter().zip(&names).enumerate() {
        assert_eq!(event["sequence_number"], index);
        assert_eq!(event["type"], *name);
    }
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    let whole = &events.last().unwrap()["response"];
    assert_eq!(whole["output"][0]["type"], "reasoning");
    assert_eq!(whole["output"][1]["content"][0]["text"], text);
    assert_eq!(whole["usage"]["output_tokens_details"]["reasoning_tokens"], 64);
}

#[tokio::test]
async fn a_cap_makes_it_incomplete() {
    let emulator = started().await;
    let url = format!("{}/v1/responses", emulator.url());
    let request = json!({"model": "payg", "input": "hello", "max_output_tokens": 16});
    let answer: Value =
        client().post(url).json(&request).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["status"], "incomplete");
    assert_eq!(answer["incomplete_details"]["reason"], "max_output_tokens");
}
