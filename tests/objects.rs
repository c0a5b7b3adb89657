//! Stored objects other than responses: chat completions, conversations, files; counting tokens and compacting; the paths of Azure
//! AI Inference. Each object is its key's alone.

use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::{Value, json};

use crate::keys::{key, with_keys};
use crate::support::scripted::{Asked, Says, Scripted};
use crate::support::{Answer, Layout, PATIENCE, checked};

/// An upstream that keeps what is created, and notes every call.
#[derive(Debug, Default)]
struct Store {
    objects: Mutex<Vec<Value>>,
    calls: Mutex<Vec<String>>,
}

impl Store {
    fn answer(&self, asked: &Asked) -> Says {
        let path = asked.path.strip_prefix("/openai/v1/").unwrap_or(&asked.path);
        self.calls.lock().unwrap().push(format!("{} {path}?{}", asked.method, asked.query));
        let mut objects = self.objects.lock().unwrap();
        let named = |name: &str| {
            let id = format!("{name}_{}", objects.len() + 1);
            json!({"id": id, "object": name, "metadata": asked.json["metadata"]})
        };
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4});
        match (asked.method.as_str(), path) {
            ("POST", "chat/completions") => {
                let mut made = named("chatcmpl");
                made["model"] = "gpt-4o".into();
                made["choices"] =
                    json!([{"index": 0, "message": {"role": "assistant", "content": "hi"}}]);
                made["usage"] = usage;
                objects.push(made.clone());
                Says::json(200, &made)
            }
            ("POST", "conversations" | "files" | "vector_stores") => {
                let made = named(&path.replace('/', "_"));
                objects.push(made.clone());
                Says::json(200, &made)
            }
            ("POST", "responses/input_tokens") => {
                Says::json(200, &json!({"object": "response.input_tokens", "input_tokens": 11}))
            }
            ("POST", "responses/compact") => Says::json(
                200,
                &json!({"id": "resp_c", "object": "response.compaction", "output": []}),
            ),
            ("GET", "chat/completions" | "files") => {
                let last = objects.last().map(|one| one["id"].clone());
                let list =
                    json!({"object": "list", "data": *objects, "last_id": last, "has_more": false});
                Says::json(200, &list)
            }
            ("DELETE", _) => Says::json(200, &json!({"deleted": true})),
            _ => Says::json(200, &json!({"object": "something", "path": path, "sent": asked.json})),
        }
    }

    fn last(&self) -> String {
        self.calls.lock().unwrap().last().cloned().unwrap_or_default()
    }

    fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

struct Scene {
    store: Arc<Store>,
    _upstream: Scripted,
    server: router_server::Running,
    client: reqwest::Client,
}

impl Scene {
    async fn start(layout: Layout) -> Self {
        let store = Arc::new(Store::default());
        let script = Arc::clone(&store);
        let upstream = Scripted::start(move |asked| script.answer(asked)).await;
        let layout =
            layout.text("endpoints.azure.api", "azure_v1").without("endpoints.azure.api_version");
        let server = router_server::start(&checked(&layout.toml(upstream.url()))).await.unwrap();
        let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { store, _upstream: upstream, server, client }
    }

    async fn call(&self, name: &str, method: Method, path: &str, body: Value) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.server.url()));
        let request = if body.is_null() { request } else { request.json(&body) };
        let request = if name.is_empty() { request } else { request.bearer_auth(key(name)) };
        Answer::of(request).await
    }

    /// Creates an object; its id.
    async fn created(&self, name: &str, path: &str, body: Value) -> String {
        let answer = self.call(name, Method::POST, path, body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }
}

fn stored() -> Value {
    json!({"model": "gpt-4o", "store": true, "messages": [{"role": "user", "content": "hi"}]})
}

#[tokio::test]
async fn a_stored_chat_completion_is_read_changed_listed_and_deleted_by_its_key_alone() {
    let scene = Scene::start(with_keys(Layout::pair(), &["one", "two"])).await;
    let id = scene.created("one", "/v1/chat/completions", stored()).await;
    let other = scene.created("two", "/v1/chat/completions", stored()).await;
    let path = format!("/v1/chat/completions/{id}");
    for (method, tail, body) in [
        (Method::GET, "", Value::Null),
        (Method::GET, "/messages?limit=2", Value::Null),
        (Method::POST, "", json!({"metadata": {"a": "b"}})),
    ] {
        let before = scene.store.count();
        let refused =
            scene.call("two", method.clone(), &format!("{path}{tail}"), body.clone()).await;
        assert_eq!((refused.status, refused.code().as_str()), (404, "object_not_found"));
        assert_eq!(scene.store.count(), before, "nothing is sent");
        let answer =
            scene.call("one", method.clone(), &format!("{path}{tail}"), body.clone()).await;
        assert_eq!(answer.status, 200, "{method} {tail}: {answer:?}");
        let sent = format!("{method} chat/completions/{id}{}", tail.split('?').next().unwrap());
        assert!(scene.store.last().starts_with(&sent), "{}", scene.store.last());
        if method == Method::POST {
            assert_eq!(answer.json()["sent"], body);
        }
    }
    for (name, own) in [("one", &id), ("two", &other)] {
        let list = scene.call(name, Method::GET, "/v1/chat/completions?limit=5", Value::Null).await;
        let list = list.json();
        let ids: Vec<&str> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap())
            .collect();
        assert_eq!((ids.as_slice(), &list["last_id"]), ([own.as_str()].as_slice(), &json!(own)));
    }
    assert_eq!(scene.call("one", Method::DELETE, &path, Value::Null).await.status, 200);
    assert_eq!(scene.call("one", Method::GET, &path, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_completion_that_is_not_stored_is_no_object() {
    let scene = Scene::start(with_keys(Layout::pair(), &["one"])).await;
    let mut body = stored();
    body["store"] = false.into();
    let id = scene.created("one", "/v1/chat/completions", body).await;
    let path = format!("/v1/chat/completions/{id}");
    let read = scene.call("one", Method::GET, &path, Value::Null);
    assert_eq!(read.await.status, 404);
}

#[tokio::test]
async fn a_conversation_is_created_and_used_by_its_key_alone() {
    let scene = Scene::start(with_keys(Layout::pair(), &["one", "two"])).await;
    let id = scene.created("one", "/v1/conversations", json!({"metadata": {"a": "b"}})).await;
    let items = json!({"items": [{"type": "message", "role": "user", "content": "hi"}]});
    for base in ["/v1", "/openai/v1"] {
        let path = format!("{base}/conversations/{id}");
        for (method, tail, body) in [
            (Method::GET, "", Value::Null),
            (Method::POST, "", json!({"metadata": {}})),
            (Method::POST, "/items", items.clone()),
            (Method::GET, "/items/msg_1", Value::Null),
            (Method::DELETE, "/items/msg_1", Value::Null),
        ] {
            let path = format!("{path}{tail}");
            assert_eq!(scene.call("two", method.clone(), &path, body.clone()).await.status, 404);
            assert_eq!(scene.call("one", method, &path, body).await.status, 200, "{path}");
        }
    }
    // An item of another key must not be copied into it.
    let foreign = json!({"items": [{"type": "item_reference", "id": "msg_of_another"}]});
    let items = format!("/v1/conversations/{id}/items");
    let copied = scene.call("one", Method::POST, &items, foreign);
    assert_eq!(copied.await.status, 404);
    for odd in ["/items//x", "/items/.hidden", "/items/%2fx"] {
        let path = format!("/v1/conversations/{id}{odd}");
        let before = scene.store.count();
        let status = scene.call("one", Method::GET, &path, Value::Null).await.status;
        assert!((400..500).contains(&status), "{path}: {status}");
        assert_eq!(scene.store.count(), before, "{path}");
    }
}

#[tokio::test]
async fn files_pass_only_by_config_and_belong_to_their_key() {
    let layout = with_keys(Layout::pair(), &["one", "two"]);
    let without = Scene::start(layout.clone()).await;
    let refused = without.call("one", Method::GET, "/v1/files", Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (404, "unknown_path"));
    let layout = layout.set("passthrough.objects", r#"["files", "vector_stores"]"#);
    let scene = Scene::start(layout).await;
    let form = "--XyZ\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--XyZ\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\ntext\r\n--XyZ--\r\n";
    let upload = scene.client.post(format!("{}/v1/files", scene.server.url())).body(form);
    let upload = upload.header("content-type", "multipart/form-data; boundary=XyZ");
    let made = Answer::of(upload.bearer_auth(key("one"))).await;
    assert_eq!(made.status, 200, "{made:?}");
    let file = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        scene
            .call("one", Method::GET, &format!("/v1/files/{file}/content"), Value::Null)
            .await
            .status,
        200
    );
    assert_eq!(
        scene
            .call("two", Method::GET, &format!("/v1/files/{file}/content"), Value::Null)
            .await
            .status,
        404
    );
    // A vector store of another key's file is refused.
    let with_file = json!({"file_ids": [file]});
    let refused = scene.call("two", Method::POST, "/v1/vector_stores", with_file.clone()).await;
    assert_eq!((refused.status, refused.code().as_str()), (404, "object_not_found"));
    scene.created("one", "/v1/vector_stores", with_file).await;
    let listed = scene.call("two", Method::GET, "/v1/files", Value::Null).await;
    assert_eq!(listed.json()["data"], json!([]));
}

#[tokio::test]
async fn tokens_are_counted_and_conversations_compacted_at_the_model_that_would_answer() {
    let scene = Scene::start(Layout::pair()).await;
    for (model, expected) in [("gpt-4o", "gpt-4o"), ("auto", "gpt-4o"), ("reasoning", "o1")] {
        let body = json!({"model": model, "input": "hello"});
        let answer = scene.call("", Method::POST, "/v1/responses/input_tokens", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["input_tokens"], 11);
        assert_eq!(answer.header("x-router-model"), Some(expected), "{model}");
        assert!(scene.store.last().starts_with("POST responses/input_tokens?"));
    }
    let body = json!({"model": "gpt-4o", "input": [{"role": "user", "content": "hello"}]});
    let compacted = scene.call("", Method::POST, "/openai/v1/responses/compact", body).await;
    assert_eq!(compacted.json()["object"], "response.compaction", "{compacted:?}");
}

#[tokio::test]
async fn counting_another_keys_response_is_refused() {
    let scene = Scene::start(with_keys(Layout::pair(), &["one"])).await;
    let body = json!({"model": "gpt-4o", "input": "x", "previous_response_id": "resp_of_another"});
    for path in ["/v1/responses/input_tokens", "/v1/responses/compact"] {
        let refused = scene.call("one", Method::POST, path, body.clone()).await;
        assert_eq!(refused.code(), "previous_response_not_found", "{path}");
    }
    assert_eq!(scene.store.count(), 0);
}

#[tokio::test]
async fn a_client_of_azure_ai_inference_finds_its_paths() {
    let scene = Scene::start(Layout::pair()).await;
    for path in ["/info", "/models/info?api-version=2024-05-01-preview"] {
        let info = scene.call("", Method::GET, path, Value::Null).await.json();
        assert_eq!(info["model_type"], "chat-completion", "{path}");
    }
    let path = "/models/chat/completions?api-version=2024-05-01-preview";
    let answer = scene.call("", Method::POST, path, stored()).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hi", "{answer:?}");
}
