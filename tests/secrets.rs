//! Keys and prompts never appear: not in response headers, errors, metrics, or log lines at any
//! level.

use std::path::PathBuf;

use azure_emulator::Step;
use serde_json::json;

use crate::support::{Answer, Bench, Layout, logs};

/// A file with a key, gone when it is dropped.
#[derive(Debug)]
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str, key: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, format!("{key}\n")).unwrap();
        Self(path)
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

async fn with_key(file: &KeyFile, accepted: &str) -> Bench {
    Layout::pair()
        .without("endpoints.azure.anonymous")
        .set("endpoints.azure.api_key", format_args!("{{ file = '{}' }}", file.0.display()))
        .settings(|settings| settings.api_key(accepted))
        .start()
        .await
}

/// Nothing that was kept holds any of these words.
async fn assert_hidden(bench: &Bench, answers: &[Answer], words: &[&str]) {
    let metrics = bench.get("/metrics").await.text;
    let logged = logs::lines();
    assert!(logged.iter().any(|line| line.contains("\"request\"")), "requests are logged");
    for word in words {
        assert!(!metrics.contains(word), "a metric shows {word}");
        let line = logged.iter().find(|line| line.contains(word));
        assert!(line.is_none(), "a line shows {word}: {line:?}");
        for answer in answers {
            let headers = format!("{:?}", answer.headers);
            assert!(!headers.contains(word), "a header shows {word}: {answer:?}");
            let told = answer.status == 200 || !answer.text.contains(word);
            assert!(told, "an error shows {word}: {answer:?}");
        }
    }
    assert!(!format!("{:?}", bench.server).contains(words[0]), "debug output shows {}", words[0]);
}

#[tokio::test]
async fn a_key_is_used_and_never_shown() {
    let key = "sk-hidden-0f0f0f0f-key";
    let file = KeyFile::new("right-key", key);
    let bench = with_key(&file, key).await;
    let mut answers =
        vec![bench.ask("chat", json!({})).await, bench.ask_in_form("chat", true).await];
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    for step in [Step::reset(), Step::server_error(), Step::content_filter(), Step::throttled_ms(5)]
    {
        bench.emulator.script("chat_ptu", step.clone());
        bench.emulator.script("chat_payg", step);
        answers.push(bench.ask("chat", json!({})).await);
    }
    assert_hidden(&bench, &answers, &[key]).await;
}

#[tokio::test]
async fn a_wrong_key_is_told_to_the_log_as_401_and_never_shown() {
    let key = "sk-wrong-1e1e1e1e-key";
    let file = KeyFile::new("wrong-key", key);
    let bench = with_key(&file, "another").await;
    let answers = [bench.ask("chat", json!({})).await];
    assert_eq!(answers[0].code(), "upstream_misconfigured");
    assert_hidden(&bench, &answers, &[key]).await;
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_named_by_its_place() {
    let layout = Layout::pair()
        .without("endpoints.azure.anonymous")
        .set("endpoints.azure.api_key", "{ file = \"/nowhere/at/all\" }");
    let config = crate::support::checked(&layout.toml("http://127.0.0.1:9"));
    let fault = router_server::start(&config).await.unwrap_err().to_string();
    assert!(fault.contains("/nowhere/at/all") && fault.contains("endpoints.azure"), "{fault}");
}

#[tokio::test]
async fn prompts_answers_and_names_that_callers_make_up_never_show() {
    let bench = Layout::pair().start().await;
    let prompt = "Zauberwort-prompt";
    let body = |model: &str| {
        json!({
            "model": model,
            "user": "Zauberwort-user",
            "metadata": {"note": "Zauberwort-metadata"},
            "messages": [{"role": "user", "content": format!("Tell me {prompt} 비밀문장")}],
        })
    };
    let mut answers = Vec::new();
    for step in [
        Step::normal().text("Zauberwort-answer"),
        Step::reset(),
        Step::server_error(),
        Step::unsupported_parameter("user"),
        Step::throttled_ms(5),
    ] {
        bench.emulator.script("chat_ptu", step);
        answers.push(bench.chat(&body("chat")).await);
    }
    bench.emulator.script("chat_ptu", Step::normal().text("Zauberwort-answer").cut_after(1));
    let mut streamed = body("chat");
    streamed["stream"] = true.into();
    answers.push(bench.chat(&streamed).await);
    let residency = bench.request(&body("auto")).header("x-router-residency", "Zauberwort-header");
    answers.push(Answer::of(residency).await);
    let broken = format!(
        "{{\"messages\": [{{\"role\":\"user\",\"content\":\"{prompt}\"}}], \"stream\": \"{prompt}\"}}"
    );
    for text in [broken.clone(), broken.replace(']', "")] {
        let request = bench.client.post(bench.url("/v1/chat/completions"));
        answers
            .push(Answer::of(request.header("content-type", "application/json").body(text)).await);
    }
    let path = bench.client.post(bench.url("/Zauberwort-path")).body("x");
    Answer::of(path).await;
    // A name that does not exist is reported only to its caller.
    bench.chat(&body("Zauberwort-model")).await;
    assert_hidden(&bench, &answers, &["Zauberwort", "비밀문장"]).await;
}
