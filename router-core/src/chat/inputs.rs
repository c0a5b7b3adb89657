//! The inputs of embeddings and legacy completions: a text, a list of token ids, or a list of
//! either.
//!
//! Each input is independent, so a model's limit applies to each input and not to their sum. Token
//! ids are counted, texts are estimated. Inputs of any other form count as zero here; the upstream
//! judges them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::units::Tokens;

use super::body::{Field, RequestFault};
use super::operation::Operation;
use super::tokens::estimate;

/// The most inputs of one request for embeddings, and the most tokens of all of them together.
///
/// **Source:** `OpenAI` and Microsoft, reference of "Create embeddings".
const MOST_INPUTS: u64 = 2_048;
const MOST_TOKENS: u64 = 300_000;

/// The letters that a token represents if only its id is known.
const LETTERS_PER_TOKEN: u64 = 4;

/// Tokens, partly counted and partly estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weight {
    counted: u64,
    estimated: u64,
}

impl Weight {
    /// Tokens that were estimated from a text.
    pub fn estimated(tokens: Tokens) -> Self {
        Self { counted: 0, estimated: tokens.0 }
    }

    fn counted(tokens: u64) -> Self {
        Self { counted: tokens, estimated: 0 }
    }

    /// The likely number.
    pub(crate) fn likely(self) -> Tokens {
        Tokens(self.counted.saturating_add(self.estimated))
    }

    /// Lower bound: an estimate may be a third too high.
    pub fn least(self) -> Tokens {
        Tokens(self.counted.saturating_add(self.estimated.saturating_mul(2) / 3))
    }

    fn plus(self, other: Self) -> Self {
        Self {
            counted: self.counted.saturating_add(other.counted),
            estimated: self.estimated.saturating_add(other.estimated),
        }
    }
}

/// The inputs of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Number of inputs.
    pub count: u64,
    /// The longest of them.
    pub longest: Weight,
    /// All together.
    pub total: Weight,
    /// The characters of all together.
    pub characters: u64,
}

impl Inputs {
    /// The inputs of a request; `None` of an operation that has turns.
    ///
    /// # Errors
    /// There are more inputs, or more tokens, than any model takes in one request for embeddings.
    pub(super) fn of(
        operation: Operation,
        fields: &[Field<'_>],
    ) -> Result<Option<Self>, RequestFault> {
        let name = match operation {
            Operation::Embeddings => "input",
            Operation::Completions => "prompt",
            Operation::Chat
            | Operation::Responses
            | Operation::InputTokens
            | Operation::Compact
            | Operation::Passed(_) => return Ok(None),
        };
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            return Ok(None);
        };
        let inputs: Self = serde_json::from_str(field.value.get()).unwrap_or_default();
        let fault = |problem: String| Err(RequestFault::new(name, problem));
        if operation == Operation::Embeddings && inputs.count > MOST_INPUTS {
            return fault(format!("expected at most {MOST_INPUTS} inputs, found {}", inputs.count));
        }
        if operation == Operation::Embeddings && inputs.total.least().0 > MOST_TOKENS {
            let found = inputs.total.likely();
            return fault(format!(
                "expected at most {MOST_TOKENS} tokens in all inputs together, found about {found}"
            ));
        }
        Ok(Some(inputs))
    }

    fn add(&mut self, weight: Weight, characters: u64) {
        self.count = self.count.saturating_add(1);
        self.total = self.total.plus(weight);
        self.characters = self.characters.saturating_add(characters);
        if weight.least() > self.longest.least() {
            self.longest = weight;
        }
    }

    fn add_ids(&mut self, ids: u64) {
        self.add(Weight::counted(ids), ids.saturating_mul(LETTERS_PER_TOKEN));
    }
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Whole)
    }
}

/// Reads the field.
struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Inputs;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, or a list of texts or tokens")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Inputs, E> {
        let mut inputs = Inputs::default();
        let Text { weight, characters } = Text::of(text);
        inputs.add(weight, characters);
        Ok(inputs)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Inputs, A::Error> {
        let mut inputs = Inputs::default();
        let mut ids = 0;
        while let Some(element) = list.next_element()? {
            match element {
                Element::Text(Text { weight, characters }) => inputs.add(weight, characters),
                Element::Ids(ids) => inputs.add_ids(ids),
                Element::Id => ids += 1,
                Element::Other => inputs.add(Weight::default(), 0),
            }
        }
        // Ids without a list of their own are one input.
        if ids > 0 {
            inputs.add_ids(ids);
        }
        Ok(inputs)
    }
}

/// A text, weighed.
struct Text {
    weight: Weight,
    characters: u64,
}

impl Text {
    fn of(text: &str) -> Self {
        let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        Self { weight: Weight::estimated(estimate(text)), characters }
    }
}

/// An element of the field's list.
enum Element {
    Text(Text),
    Id,
    Ids(u64),
    Other,
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, a token or a list of tokens")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Element, E> {
        Ok(Element::Text(Text::of(text)))
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Element, E> {
        Ok(Element::Id)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Element, E> {
        Ok(Element::Id)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Element, E> {
        Ok(Element::Id)
    }
    fn visit_unit<E: Error>(self) -> Result<Element, E> {
        Ok(Element::Other)
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Element, E> {
        Ok(Element::Other)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
        let mut ids = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            ids += 1;
        }
        Ok(Element::Ids(ids))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Element::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::ChatRequest;
    use super::*;

    fn read(operation: Operation, value: &str) -> Result<Option<Inputs>, RequestFault> {
        let name = if operation == Operation::Embeddings { "input" } else { "prompt" };
        let body = format!(r#"{{"model":"m","{name}":{value}}}"#);
        Ok(ChatRequest::read(operation, body.as_bytes())?.inputs().copied())
    }

    #[track_caller]
    fn check(value: &str, count: u64, longest: u64, total: u64) {
        for operation in [Operation::Embeddings, Operation::Completions] {
            let found = read(operation, value).unwrap().unwrap();
            let found = (found.count, found.longest.likely().0, found.total.likely().0);
            assert_eq!(found, (count, longest, total), "{value}");
        }
    }

    #[test]
    fn texts_and_lists_of_tokens_are_inputs_each() {
        let hello = estimate("안녕하세요").0;
        check(r#""안녕하세요""#, 1, hello, hello);
        check(r#"["안녕하세요","\uc548\ub155\ud558\uc138\uc694",""]"#, 3, hello, 2 * hello);
        check("[100257,5,7]", 1, 3, 3);
        check("[[1,2,3],[4]]", 2, 3, 4);
        check("[]", 0, 0, 0);
        check("{}", 0, 0, 0);
        check(r#"[{"image":"x"},null]"#, 2, 0, 0);
        assert_eq!(read(Operation::Chat, "[]").unwrap_err().field, "messages");
    }

    #[test]
    fn bounds_are_those_of_embeddings() {
        let list = |one: &str, count: usize| format!("[{}]", vec![one; count].join(","));
        for (value, fits) in [
            (list("[1]", 2_048), true),
            (list("[1]", 2_049), false),
            (list(&list("1", 3_000), 100), true),
            (list(&list("1", 3_001), 100), false),
            (list("\"The quick brown fox.\"", 2_048), true),
        ] {
            let read = read(Operation::Embeddings, &value);
            assert_eq!(read.is_ok(), fits, "{read:?}");
            assert!(read.err().is_none_or(|fault| fault.field == "input"));
        }
        assert!(read(Operation::Completions, &list("[1]", 2_049)).is_ok());
    }
}
