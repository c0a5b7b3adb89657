//! Lists of models, as OpenAI and the two Azure styles write them.

use serde_json::{Value, json};

/// A model as OpenAI and Azure v1 list it.
pub fn openai_model(id: &str, created: u64) -> Value {
    json!({"id": id, "object": "model", "created": created, "owned_by": "system"})
}

/// A model as Azure's dated path lists it.
pub fn azure_model(id: &str, created: u64, chat: bool) -> Value {
    json!({
        "id": id, "object": "model", "status": "succeeded", "created_at": created,
        "lifecycle_status": "generally-available",
        "capabilities": {
            "fine_tune": false, "inference": true, "completion": chat, "chat_completion": chat,
            "embeddings": !chat,
        },
        "deprecation": {},
    })
}

/// A list of anything.
pub fn list(data: &[Value]) -> Value {
    json!({"object": "list", "data": data})
}
