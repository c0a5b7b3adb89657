//! Adds the fields of Azure's content filter to answers.
//!
//! **Source:** Azure OpenAI docs, "content filter" and "content streaming". The emulator's filter
//! never finds anything by itself; a script can make it.

use serde_json::{Value, json};

/// Mode of content filtering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// Not at all, as on OpenAI's own API.
    Absent,
    /// Results come with the content they are about: Azure's default.
    #[default]
    Synchronous,
    /// Results come later, in chunks of their own that have no `delta`.
    Asynchronous,
}

/// Results for text that is harmless.
pub fn safe() -> Value {
    let category = || json!({"filtered": false, "severity": "safe"});
    json!({"hate": category(), "self_harm": category(), "sexual": category(), "violence": category()})
}

/// Results for a completion that was cut for violence.
pub fn filtered() -> Value {
    let mut results = safe();
    if let Some(violence) = results.get_mut("violence") {
        *violence = json!({"filtered": true, "severity": "medium"});
    }
    results
}

/// `prompt_filter_results` of a harmless prompt.
pub fn prompt_results() -> Value {
    let mut results = safe();
    if let Some(results) = results.as_object_mut() {
        results.insert("jailbreak".to_owned(), json!({"detected": false, "filtered": false}));
    }
    json!([{"prompt_index": 0, "content_filter_results": results}])
}
