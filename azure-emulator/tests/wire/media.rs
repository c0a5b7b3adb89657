//! Images, speech, transcriptions, moderations: small answers in the right form.

use super::support::*;
use serde_json::{Value, json};

#[tokio::test]
async fn each_answers_in_every_dialect_and_needs_its_field() {
    let emulator = started().await;
    for (path, field) in
        [("images/generations", "prompt"), ("audio/speech", "input"), ("moderations", "input")]
    {
        for base in ["/v1", "/openai/v1", "/openai/deployments/payg"] {
            let query = if base.ends_with("payg") { "?api-version=2024-10-21" } else { "" };
            let url = format!("{}{base}/{path}{query}", emulator.url());
            let good = client().post(&url).json(&json!({"model": "payg", field: "x"}));
            let good = good.send().await.unwrap();
            assert_eq!(good.status(), 200, "{url}");
            let json = good.headers()["content-type"].as_bytes().starts_with(b"application/json");
            assert_eq!(json, path != "audio/speech", "{url}");
            let bad = client().post(&url).json(&json!({"model": "payg"})).send().await.unwrap();
            assert_eq!(error_of(bad).await.0, 400, "{url}");
        }
    }
    assert_eq!(emulator.requests_to("payg").len(), 18);
}

#[tokio::test]
async fn a_form_names_its_model() {
    let emulator = started().await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\npayg\r\n--b\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nsound\r\n--b--\r\n";
    let url = format!("{}/v1/audio/transcriptions", emulator.url());
    let request =
        client().post(url).header("content-type", "multipart/form-data; boundary=b").body(form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["text"], "hello");
}
