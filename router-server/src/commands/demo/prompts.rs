//! The prompts of the demo's callers: both tasks, both languages, in the forms that real clients
//! send.

use std::borrow::Cow;

use router_core::task::Task;
use serde::Deserialize;
use serde_json::{Value, json};

/// One prompt a line.
const LINES: &str = include_str!("prompts.jsonl");

/// One prompt.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Prompt {
    /// The last user message.
    pub(super) text: Cow<'static, str>,
    /// Its language.
    pub(super) lang: Language,
    task: Word,
    #[serde(default)]
    shape: Shape,
    /// Earlier turns, the user's first.
    #[serde(default)]
    before: Vec<String>,
}

/// A language of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Language {
    /// English.
    #[serde(rename = "en")]
    English,
    /// Korean.
    #[serde(rename = "ko")]
    Korean,
}

impl Language {
    /// Both, for tables.
    pub(super) const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// Its name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Korean => "Korean",
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Reasoning,
    Chat,
}

/// The shape of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shape {
    #[default]
    Plain,
    Stream,
    Turns,
    Tools,
    Schema,
}

impl Prompt {
    /// The task that a person would call it.
    pub(super) fn task(&self) -> Task {
        match self.task {
            Word::Reasoning => Task::Reasoning,
            Word::Chat => Task::Chat,
        }
    }

    /// The request as a client sends it. An answer's length is capped, as careful callers do: without a cap a
    /// provisioned deployment reserves room for thousands of tokens.
    pub(super) fn body(&self) -> Value {
        let mut messages =
            vec![json!({"role": "system", "content": "You are a helpful assistant."})];
        let roles = ["user", "assistant"].into_iter().cycle();
        let turns = self.before.iter().zip(roles);
        messages.extend(turns.map(|(said, role)| json!({"role": role, "content": said})));
        messages.push(json!({"role": "user", "content": self.text}));
        let mut body = json!({"model": "auto", "messages": messages, "max_tokens": 160});
        if self.task() == Task::Reasoning {
            body = json!({"model": "auto", "messages": messages, "max_completion_tokens": 1_200});
        }
        let more = match self.shape {
            Shape::Plain | Shape::Turns => json!({}),
            Shape::Stream => json!({"stream": true, "stream_options": {"include_usage": true}}),
            Shape::Tools => json!({"tools": [{"type": "function", "function": {
                "name": "look_up",
                "description": "Looks up a fact of the moment.",
                "parameters": {
                    "type": "object",
                    "properties": {"what": {"type": "string"}},
                    "required": ["what"],
                },
            }}]}),
            Shape::Schema => json!({"response_format": {"type": "json_schema", "json_schema": {
                "name": "result",
                "strict": true,
                "schema": {
                    "type": "object",
                    "properties": {"result": {"type": "string"}},
                    "required": ["result"],
                    "additionalProperties": false,
                },
            }}}),
        };
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        body
    }
}

/// All prompts, in the order of the file.
pub(super) fn all() -> Vec<Prompt> {
    // A line that cannot be read is left out here and found by the test below.
    LINES.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use router_core::chat::ChatRequest;

    use super::*;

    #[test]
    fn every_line_is_a_distinct_prompt_and_both_tasks_are_asked_in_both_languages() {
        let prompts = all();
        assert_eq!(prompts.len(), LINES.lines().count());
        let texts: HashSet<&str> = prompts.iter().map(|prompt| &*prompt.text).collect();
        assert_eq!(texts.len(), prompts.len());
        assert!(texts.len() >= 60);
        for language in Language::ALL {
            for task in Task::ALL {
                let wanted = |prompt: &&Prompt| prompt.lang == language && prompt.task() == task;
                assert!(prompts.iter().filter(wanted).count() >= 10, "{language:?} {task}");
            }
        }
    }

    #[test]
    fn every_body_is_a_chat_request() {
        for prompt in all() {
            let body = prompt.body().to_string();
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            assert_eq!(request.stream(), prompt.shape == Shape::Stream);
            assert_eq!(request.messages().len(), prompt.before.len() + 2);
        }
    }
}
