//! The JSON Schema of the configuration, for editors and for checks before deployment.
//!
//! It is derived from the raw configuration, so it knows every key and type and cannot become
//! outdated. Ranges, and names that must match, are verified only by the check of the
//! configuration.

use schemars::JsonSchema;
use schemars::Schema;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use super::raw::Raw;

/// The JSON Schema (2020-12) of the configuration: its keys, what they mean, and the kind of each value.
///
/// ```
/// let schema = router_core::config::schema();
/// assert_eq!(schema["additionalProperties"], false);
/// assert!(schema["properties"]["deployments"].is_object());
/// ```
pub fn schema() -> Value {
    schema_of::<Raw>("Configuration of the model router")
}

/// The JSON Schema of tables that a program adds to the configuration.
pub fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schemars::schema_for!(T);
    schema.insert("title".to_owned(), title.into());
    RecursiveTransform(as_written).transform(&mut schema);
    schema.to_value()
}

/// A value that is not set is missing in TOML and never null; its default stands in the description.
fn as_written(schema: &mut Schema) {
    schema.remove("default");
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(kinds)) = schema.get_mut("anyOf") {
        kinds.retain(|kind| kind.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = kinds.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            only.into_iter().for_each(|(key, value)| drop(schema.insert(key, value)));
        }
    }
}
