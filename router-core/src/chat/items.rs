//! Lists the items of a response, which a later request may reference by id or return with their
//! encrypted content.
//!
//! It reads ids and hashes, no text. In a stream, each item is reported once, when it is complete.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::encrypted::ContentHash;
use super::message::Text;

/// An item of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: Option<Box<str>>,
    /// Content that only the resource which created it can decrypt.
    pub encrypted: Option<ContentHash>,
}

/// The items in the output of a whole response, or in a list of a response's items; none if the answer is neither.
///
/// ```
/// use router_core::chat::items::of_answer;
/// let answer = br#"{"id":"resp_1","output":[{"type":"reasoning","id":"rs_1"},{"type":"message","id":"msg_1"}]}"#;
/// let ids: Vec<_> = of_answer(answer).into_iter().filter_map(|item| item.id).collect();
/// assert_eq!(ids.join(" "), "rs_1 msg_1");
/// ```
pub fn of_answer(answer: &[u8]) -> Vec<Item> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(default, borrow, alias = "data")]
        output: Vec<&'a RawValue>,
    }
    let whole: Option<Whole<'_>> = serde_json::from_slice(answer).ok();
    let output = whole.map(|whole| whole.output).unwrap_or_default();
    output.into_iter().filter_map(|item| read(item.get())).collect()
}

/// The item that an event of a stream says is done.
pub fn of_event(event: &[u8]) -> Option<Item> {
    #[derive(Deserialize)]
    struct Done<'a> {
        #[serde(borrow)]
        item: &'a RawValue,
    }
    const KIND: &[u8] = b"response.output_item.done";
    memmem::find(event, KIND)?;
    let mut lines = event.split(|byte| matches!(byte, b'\n' | b'\r'));
    let data = lines.find_map(|line| line.strip_prefix(b"data:"))?;
    let done: Done<'_> = serde_json::from_slice(data).ok()?;
    read(done.item.get())
}

fn read(item: &str) -> Option<Item> {
    #[derive(Deserialize)]
    struct Read<'a> {
        #[serde(borrow)]
        id: Option<Text<'a>>,
        #[serde(borrow)]
        encrypted_content: Option<Text<'a>>,
    }
    let Read { id, encrypted_content } = serde_json::from_str(item).ok()?;
    let encrypted = encrypted_content.map(|Text(content)| ContentHash::of(&content));
    Some(Item { id: id.map(|Text(id)| id.into()), encrypted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_id(id: &str) -> Item {
        Item { id: Some(id.into()), encrypted: None }
    }

    #[test]
    fn an_item_is_told_when_it_is_done_and_by_no_other_event() {
        let done = "event: response.output_item.done\ndata: {\"item\":{\"id\":\"msg_1\",\"type\":\"message\"}}\n\n";
        assert_eq!(of_event(done.as_bytes()), Some(of_id("msg_1")));
        for other in [
            "event: response.output_item.added\ndata: {\"item\":{\"id\":\"msg_1\"}}\n\n",
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"response.output_item.done\"}\n\n",
            "event: response.output_item.done\n\n",
        ] {
            assert_eq!(of_event(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_response_has_no_items_and_an_odd_one_hides_no_other() {
        for answer in ["", "[]", "{}", r#"{"output":5}"#] {
            assert!(of_answer(answer.as_bytes()).is_empty(), "{answer}");
        }
        assert_eq!(of_answer(br#"{"output":[5,{"id":7},{"id":"msg_1"}]}"#), [of_id("msg_1")]);
    }

    #[test]
    fn encrypted_content_is_told_as_its_hash() {
        let item = r#"{"type":"reasoning","id":"rs_1","encrypted_content":"gAAA"}"#;
        let expected = Item { encrypted: Some(ContentHash::of("gAAA")), ..of_id("rs_1") };
        let event = format!("event: response.output_item.done\ndata: {{\"item\":{item}}}\n\n");
        assert_eq!(of_event(event.as_bytes()), Some(expected.clone()));
        assert_eq!(of_answer(format!("{{\"output\":[{item}]}}").as_bytes()), [expected]);
    }
}
