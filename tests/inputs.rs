//! Batches of embeddings and legacy completions: the model's limit applies to each input, token ids
//! are counted, and an error names the field.

use serde_json::{Value, json};

use crate::support::{Answer, Bench, Layout};

const EMBED: &str = "text-embedding-3-small";

fn layout() -> Layout {
    Layout::pair().payg("embed", EMBED).payg("instruct", "gpt-3.5-turbo-instruct")
}

async fn post(bench: &Bench, path: &str, body: &Value) -> Answer {
    Answer::of(bench.client.post(bench.url(path)).json(body)).await
}

fn ids(count: u32) -> Value {
    (100_000..100_000 + count).collect()
}

#[tokio::test]
async fn embeddings_take_what_the_service_takes() {
    let bench = layout().start().await;
    let text = "The quick brown fox jumps over the lazy dog near the river bank today. ".repeat(7);
    for (what, input) in [
        ("a text", json!(text)),
        ("2,048 texts of 105 tokens", json!(vec![&text; 2_048])),
        ("2 texts of 7,900 tokens", json!(vec![text.repeat(75); 2])),
        ("8,000 tokens", ids(8_000)),
        ("1,000 lists of 10 tokens", json!(vec![ids(10); 1_000])),
        ("36 lists of 8,192 tokens", json!(vec![ids(8_192); 36])),
    ] {
        let sent = bench.asked("embed").len();
        let answer = post(&bench, "/v1/embeddings", &json!({"model": EMBED, "input": input})).await;
        // The emulator has limits of its own; what counts is that the router passes the request on.
        assert_eq!(bench.asked("embed").len(), sent + 1, "{what}: {answer:?}");
    }
    let sent = bench.asked("embed").len();
    for (what, input, code) in [
        ("2,049 inputs", json!(vec!["a"; 2_049]), "invalid_request"),
        ("300,001 tokens", json!(vec![ids(3_001); 100]), "invalid_request"),
        ("one input of 8,193 tokens", json!([ids(8_193), [1]]), "context_length_exceeded"),
        ("one text of 21,000 tokens", json!(text.repeat(200)), "context_length_exceeded"),
    ] {
        let answer = post(&bench, "/v1/embeddings", &json!({"model": EMBED, "input": input})).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{what}: {answer:?}");
        assert_eq!(answer.json()["error"]["param"], "input", "{what}");
    }
    assert_eq!(bench.asked("embed").len(), sent);
}

#[tokio::test]
async fn lists_of_prompts_are_prompts_each() {
    let bench = layout().start().await;
    let model = "gpt-3.5-turbo-instruct";
    for (what, prompt) in
        [("20 prompts", json!(vec![ids(3_000); 20])), ("a prompt of ids", ids(3_000))]
    {
        let sent = bench.asked("instruct").len();
        let body = json!({"model": model, "prompt": prompt, "max_tokens": 5});
        let answer = post(&bench, "/v1/completions", &body).await;
        assert_eq!(bench.asked("instruct").len(), sent + 1, "{what}: {answer:?}");
    }
    let body = json!({"model": model, "prompt": [ids(100), ids(20_000)]});
    let answer = post(&bench, "/v1/completions", &body).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "context_length_exceeded"));
    assert_eq!(answer.json()["error"]["param"], "prompt");
}
