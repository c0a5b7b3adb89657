//! Encrypted reasoning: content that only the resource which made it can read.
//!
//! Nothing is really encrypted. A content names its resource by a hash, so that another one refuses it as Azure does.
//!
//! **Source:** `OpenAI`, "Reasoning models", encrypted reasoning items; the 400 as users of Azure report it
//! (openai/codex#3573, #8100).

use super::error::Refusal;
use super::request::array;
use serde_json::Value;

/// Prefix of every encrypted content.
const START: &str = "gAAAAA";

/// Value of `include` that requests the content.
const INCLUDE: &str = "reasoning.encrypted_content";

/// True if the caller asked for encrypted reasoning.
pub fn is_wanted(body: &Value) -> bool {
    array(body, "include").any(|name| name.as_str() == Some(INCLUDE))
}

/// The content of an item, made by a resource.
pub fn content(resource: &str, item: &str) -> String {
    format!("{START}{:016x}{item}", hash(resource))
}

/// Refuses items that another resource made.
///
/// # Errors
/// The 400 `invalid_encrypted_content` for the first of them.
pub fn check(resource: &str, body: &Value) -> Result<(), Refusal> {
    let own = content(resource, "");
    let contents = array(body, "input").filter_map(|item| item.get("encrypted_content")?.as_str());
    match contents.into_iter().find(|content| !content.starts_with(&own)) {
        Some(content) => Err(Refusal::invalid_encrypted_content(content)),
        None => Ok(()),
    }
}

/// FNV-1a: stable, so that a resource reads its own items after a restart.
fn hash(text: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    text.bytes().fold(0xCBF2_9CE4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_resource_reads_its_own_items_and_no_others() {
        let body = |content: &str| json!({"input": [{"role": "user", "content": "x"}, {"type": "reasoning", "encrypted_content": content}]});
        assert_eq!(check("a", &body(&content("a", "rs_1"))), Ok(()));
        for foreign in [content("b", "rs_1"), "gAAAAA".to_owned(), String::new()] {
            let refusal = check("a", &body(&foreign)).unwrap_err();
            assert_eq!(refusal.body["error"]["code"], "invalid_encrypted_content");
        }
        assert_eq!(check("a", &json!({"input": "text"})), Ok(()));
        assert!(is_wanted(&json!({"include": ["x", INCLUDE]})) && !is_wanted(&json!({})));
    }
}
