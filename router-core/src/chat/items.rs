//! Which items a response holds: a later request may name them in place of what they say.
//!
//! Only ids are read. Of a stream each item is told whole once, when it is done.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::Text;

/// The ids of the items in the output of a whole response; none where the answer is no response.
///
/// ```
/// use router_core::chat::items::of_answer;
/// let answer = br#"{"id":"resp_1","output":[{"type":"reasoning","id":"rs_1"},{"type":"message","id":"msg_1"}]}"#;
/// assert_eq!(of_answer(answer).join(" "), "rs_1 msg_1");
/// ```
pub fn of_answer(answer: &[u8]) -> Vec<Box<str>> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(default, borrow)]
        output: Vec<&'a RawValue>,
    }
    let whole: Option<Whole<'_>> = serde_json::from_slice(answer).ok();
    let output = whole.map(|whole| whole.output).unwrap_or_default();
    output.into_iter().filter_map(|item| id_of(item.get())).collect()
}

/// The id of the item that an event of a stream says is done.
pub fn of_event(event: &[u8]) -> Option<Box<str>> {
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
    id_of(done.item.get())
}

fn id_of(item: &str) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        id: Text<'a>,
    }
    serde_json::from_str::<Item<'_>>(item).ok().map(|Item { id: Text(id) }| id.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_told_when_it_is_done_and_by_no_other_event() {
        let done = "event: response.output_item.done\ndata: {\"item\":{\"id\":\"msg_1\",\"type\":\"message\"}}\n\n";
        assert_eq!(of_event(done.as_bytes()).as_deref(), Some("msg_1"));
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
        assert_eq!(
            of_answer(br#"{"output":[5,{"id":7},{"id":"msg_1"}]}"#),
            [Box::<str>::from("msg_1")]
        );
    }
}
