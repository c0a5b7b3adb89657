//! Embeddings: vectors that mean nothing, but are the same for the same text and have length 1.

use crate::dice::Dice;
use serde_json::{Value, json};

/// The texts (or lists of token ids) of a request's `input`.
pub fn inputs(body: &Value) -> Vec<Value> {
    match body.get("input") {
        Some(Value::Array(items)) if items.iter().all(Value::is_number) => {
            vec![Value::Array(items.clone())]
        }
        Some(Value::Array(items)) => items.clone(),
        Some(Value::Null) | None => Vec::new(),
        Some(single) => vec![single.clone()],
    }
}

/// The whole answer. `base64` packs vectors as the official clients ask for.
pub fn body(model: &str, inputs: &[Value], dimensions: usize, base64: bool, tokens: u64) -> Value {
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(&input.to_string(), dimensions);
            let embedding = if base64 { json!(packed(&vector)) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    json!({
        "object": "list", "data": data, "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

/// Default vector length of `model`.
pub fn default_dimensions(model: &str) -> usize {
    if model == "text-embedding-3-large" { 3_072 } else { 1_536 }
}

fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut dice = Dice::new(0, text.as_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "single precision is what is sent")]
    let raw: Vec<f32> = (0..dimensions).map(|_| (dice.share() - 0.5) as f32).collect();
    let length = raw.iter().map(|part| part * part).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    raw.into_iter().map(|part| part / length).collect()
}

/// Little-endian single precision, in base64.
fn packed(vector: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|part| part.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let six = usize::try_from(bits >> (18 - 6 * position) & 63).unwrap_or(0);
            let letter = ALPHABET.get(six).copied().unwrap_or(b'=');
            text.push(if position > group.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_text_same_unit_vector() {
        let (one, again) = (vector("a", 64), vector("a", 64));
        assert_eq!(one, again);
        assert_ne!(one, vector("b", 64));
        let length: f32 = one.iter().map(|part| part * part).sum();
        assert!((length - 1.0).abs() < 1e-4);
    }

    #[test]
    fn packed_as_base64_of_little_endian_floats() {
        assert_eq!(packed(&[1.0]), "AACAPw==");
        assert_eq!(packed(&[1.0, -2.0, 0.5]), "AACAPwAAAMAAAAA/");
    }

    #[test]
    fn one_or_many_inputs() {
        assert_eq!(inputs(&json!({"input": "a"})).len(), 1);
        assert_eq!(inputs(&json!({"input": ["a", "b"]})).len(), 2);
        assert_eq!(inputs(&json!({"input": [1, 2, 3]})).len(), 1);
        assert_eq!(inputs(&json!({})).len(), 0);
    }
}
