//! A JSON value that follows a JSON schema, as structured outputs promise.
//!
//! Covers what strict schemas may hold: objects, arrays, the plain types, `enum`, `const`,
//! `anyOf`, type lists and local `$ref`s. Whatever else a schema says (patterns, formats) is not
//! honoured. Recursive schemas end at a fixed depth with the shortest value that fits.

use crate::dice::Dice;
use serde_json::{Map, Value, json};

/// Maximum nesting of a value.
const DEPTH: usize = 12;

/// A value for `schema`.
pub fn of(schema: &Value, dice: &mut Dice) -> Value {
    Maker { root: schema, dice }.make(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    dice: &'a mut Dice,
}

impl Maker<'_> {
    fn make(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > DEPTH {
            return Value::Null;
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return self.dice.pick(values).cloned().unwrap_or(Value::Null);
        }
        if let Some(target) = self.referred(schema) {
            return self.make(&target, depth + 1);
        }
        for list in ["anyOf", "oneOf", "allOf"] {
            if let Some(options) = schema.get(list).and_then(Value::as_array) {
                return self.any_of(options, depth);
            }
        }
        match kind(schema, depth) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => self.string(schema),
            "integer" => json!(self.integer(schema)),
            "number" => {
                let whole = self.integer(schema);
                serde_json::Number::from_f64(bounded(schema, whole))
                    .map_or(json!(whole), Value::Number)
            }
            "boolean" => json!(self.dice.roll().is_multiple_of(2)),
            _ => Value::Null,
        }
    }

    fn referred(&self, schema: &Value) -> Option<Value> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer).cloned()
    }

    /// Deep down the null of an optional value is taken, else the first option.
    fn any_of(&mut self, options: &[Value], depth: usize) -> Value {
        let is_null = |option: &&Value| option.get("type") == Some(&json!("null"));
        let nullable = options.iter().find(is_null).filter(|_| depth > DEPTH / 2);
        match nullable.or_else(|| options.first()) {
            Some(option) => self.make(option, depth + 1),
            None => Value::Null,
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut object = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            object.insert(name.clone(), self.make(property, depth + 1));
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &Value, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        let wished = if depth > DEPTH / 2 { 0 } else { 1 + self.dice.roll() % 2 };
        let most = schema.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let items = schema.get("items").cloned().unwrap_or_else(|| json!({"type": "string"}));
        (0..wished.min(most).max(least).min(64)).map(|_| self.make(&items, depth + 1)).collect()
    }

    fn string(&mut self, schema: &Value) -> Value {
        const WORDS: [&str; 6] = ["alpha", "bravo", "delta", "sierra", "tango", "victor"];
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(1);
        let most = schema.get("maxLength").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let word = self.dice.pick(&WORDS).copied().unwrap_or_default();
        let length = u64::try_from(word.len()).unwrap_or(0).max(least).min(most).min(4_096);
        let length = usize::try_from(length).unwrap_or(0);
        Value::String(word.chars().cycle().take(length).collect())
    }

    fn integer(&mut self, schema: &Value) -> i64 {
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|least| least + 1));
        let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|most| most - 1));
        let wished = i64::try_from(1 + self.dice.roll() % 9).unwrap_or(1);
        wished.max(least.unwrap_or(i64::MIN)).min(most.unwrap_or(i64::MAX))
    }
}

/// A number inside fractional bounds, which the integer may miss.
#[expect(clippy::cast_precision_loss, reason = "any number of that size will do")]
fn bounded(schema: &Value, wished: i64) -> f64 {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let number = (wished as f64).max(bound("minimum").unwrap_or(f64::MIN));
    number.min(bound("maximum").unwrap_or(f64::MAX))
}

fn kind(schema: &Value, depth: usize) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let nullable = depth > DEPTH / 2 && kinds.contains(&json!("null"));
            let first = kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
            if nullable { "null" } else { first.unwrap_or("null") }
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 9},
                "age": {"type": "integer", "minimum": 18, "maximum": 20},
                "ratio": {"type": "number", "minimum": 0, "maximum": 0.5},
                "kind": {"enum": ["a", "b"]},
                "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
                "address": {"$ref": "#/$defs/address"},
                "note": {"type": ["string", "null"]},
                "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            },
            "$defs": {"address": {"type": "object", "properties": {"city": {"const": "Seoul"}}}},
        });
        for seed in 0..50 {
            let value = of(&schema, &mut Dice::new(seed, b""));
            assert!(value["name"].as_str().unwrap().len() >= 9);
            assert!((18..=20).contains(&value["age"].as_i64().unwrap()));
            assert!((0.0..=0.5).contains(&value["ratio"].as_f64().unwrap()));
            assert!(["a", "b"].contains(&value["kind"].as_str().unwrap()));
            assert!(value["tags"].as_array().unwrap().len() >= 3);
            assert!(value["tags"][0].is_boolean());
            assert_eq!(value["address"]["city"], "Seoul");
            assert!(value["note"].is_string() && value["either"].is_i64());
        }
    }

    #[test]
    fn recursion_ends() {
        let schema = json!({
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        });
        assert!(of(&schema, &mut Dice::new(1, b"")).to_string().len() < 1_000);
    }
}
