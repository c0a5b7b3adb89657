//! Reads the fields that the emulator uses from the body of either operation.
//!
//! Chat completions and the Responses API say the same things in different places; [`Ask`] holds
//! them once, so that admission, caching and answering need not care. Whether the model accepts
//! the request is another question, see `accept`.

use super::tokens;
use serde_json::Value;

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// JSON schema of its arguments; null when none is given.
    pub parameters: Value,
}

/// The caller's choice of tools: none, some, or one by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// The model's own choice.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// Required format of the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Format {
    /// Prose.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that follows this schema.
    Schema(Value),
}

/// Instructions to the emulator itself, which are part of no real API.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Tokens of visible text.
    pub output_tokens: Option<u64>,
    /// Hidden tokens.
    pub reasoning_tokens: Option<u64>,
    /// The text itself.
    pub text: Option<String>,
}

/// A request, read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ask {
    /// Every text the model reads, tools first, in order.
    pub prompt: String,
    /// Number of messages.
    pub messages: u64,
    /// Number of images.
    pub images: u64,
    /// The text of the last user message.
    pub last_user: String,
    /// True if the conversation ends with a tool's result.
    pub after_tool: bool,
    /// The output cap, by whichever name.
    pub cap: Option<u64>,
    /// Choices asked for, at least 1.
    pub choices: u64,
    /// True if the answer is to be streamed.
    pub stream: bool,
    /// True if a stream ends with its usage.
    pub include_usage: bool,
    /// The effort, if named.
    pub effort: Option<String>,
    /// Callable functions.
    pub tools: Vec<Tool>,
    /// The caller's choice among them.
    pub tool_choice: ToolChoice,
    /// Form of the text.
    pub format: Format,
    /// Wishes in the `metadata` of the body.
    pub wishes: Wishes,
}

impl Ask {
    /// Reads a body of chat completions.
    pub fn of_chat(body: &Value) -> Self {
        let mut ask = Self::shared(body);
        ask.cap = whole(body, "max_completion_tokens").or_else(|| whole(body, "max_tokens"));
        ask.choices = whole(body, "n").unwrap_or(1).max(1);
        ask.include_usage =
            body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        ask.effort = text(body, "reasoning_effort");
        ask.tools =
            array(body, "tools").filter_map(|tool| function(tool.get("function")?)).collect();
        ask.tool_choice = tool_choice(body.get("tool_choice"), "/function/name");
        ask.format = match body.pointer("/response_format/type").and_then(Value::as_str) {
            Some("json_object") => Format::JsonObject,
            Some("json_schema") => schema(body.pointer("/response_format/json_schema/schema")),
            _ => Format::Text,
        };
        ask.read_tools();
        for message in array(body, "messages") {
            ask.read_message(message);
        }
        ask
    }

    /// Reads a body of the Responses API.
    pub fn of_responses(body: &Value) -> Self {
        let mut ask = Self::shared(body);
        ask.cap = whole(body, "max_output_tokens");
        ask.choices = 1;
        ask.effort = body.pointer("/reasoning/effort").and_then(Value::as_str).map(str::to_owned);
        ask.tools = array(body, "tools").filter_map(function).collect();
        ask.tool_choice = tool_choice(body.get("tool_choice"), "/name");
        ask.format = match body.pointer("/text/format/type").and_then(Value::as_str) {
            Some("json_object") => Format::JsonObject,
            Some("json_schema") => schema(body.pointer("/text/format/schema")),
            _ => Format::Text,
        };
        ask.read_tools();
        if let Some(instructions) = text(body, "instructions") {
            ask.read_text(&instructions);
            ask.messages += 1;
        }
        match body.get("input") {
            Some(Value::String(input)) => {
                ask.last_user.clone_from(input);
                ask.read_text(input);
                ask.messages += 1;
            }
            _ => array(body, "input").for_each(|item| ask.read_message(item)),
        }
        ask
    }

    /// Reads a body of legacy completions, whose prompt is a text or several.
    pub fn of_completions(body: &Value) -> Self {
        let mut ask = Self::shared(body);
        ask.cap = whole(body, "max_tokens");
        ask.choices = whole(body, "n").unwrap_or(1).max(1);
        ask.include_usage =
            body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        let single = body.get("prompt").and_then(Value::as_str);
        for prompt in single.into_iter().chain(array(body, "prompt").filter_map(Value::as_str)) {
            prompt.clone_into(&mut ask.last_user);
            ask.read_text(prompt);
        }
        ask
    }

    /// Tokens of the prompt.
    pub fn prompt_tokens(&self) -> u64 {
        tokens::count(&self.prompt)
            + self.messages * tokens::PER_MESSAGE
            + self.images * tokens::PER_IMAGE
            + tokens::PRIMING
    }

    /// Characters of the prompt, which is what pay-as-you-go counts.
    pub fn prompt_chars(&self) -> u64 {
        u64::try_from(self.prompt.chars().count()).unwrap_or(u64::MAX)
    }

    fn shared(body: &Value) -> Self {
        let wish = |name: &str| body.get("metadata").and_then(|metadata| metadata.get(name));
        let count = |name: &str| {
            let wish = wish(name)?;
            wish.as_u64().or_else(|| wish.as_str()?.parse().ok())
        };
        Self {
            stream: body.get("stream") == Some(&Value::Bool(true)),
            wishes: Wishes {
                output_tokens: count("emulator_output_tokens"),
                reasoning_tokens: count("emulator_reasoning_tokens"),
                text: wish("emulator_text").and_then(Value::as_str).map(str::to_owned),
            },
            ..Self::default()
        }
    }

    fn read_text(&mut self, text: &str) {
        self.prompt.push_str(text);
        self.prompt.push('\n');
    }

    fn read_tools(&mut self) {
        for tool in self.tools.clone() {
            self.read_text(&tool.name);
            self.read_text(&tool.parameters.to_string());
        }
    }

    /// A chat message, or an item of the Responses API's input.
    fn read_message(&mut self, message: &Value) {
        self.messages += 1;
        let mut said = String::new();
        for content in ["content", "output", "arguments"] {
            match message.get(content) {
                Some(Value::String(text)) => said.push_str(text),
                Some(Value::Array(parts)) => {
                    for part in parts {
                        if part.get("text").is_none() && is_image(part) {
                            self.images += 1;
                        }
                        said.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        let role = message.get("role").and_then(Value::as_str);
        let kind = message.get("type").and_then(Value::as_str);
        self.after_tool = role == Some("tool") || kind == Some("function_call_output");
        self.read_text(&said);
        if role == Some("user") {
            self.last_user = said;
        }
    }
}

/// True if a content part is an image, in either operation's spelling.
pub fn is_image(part: &Value) -> bool {
    matches!(part.get("type").and_then(Value::as_str), Some("image_url" | "input_image"))
}

/// The items of a list in `body`; none when it is no list.
pub fn array<'a>(body: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    body.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn whole(body: &Value, name: &str) -> Option<u64> {
    body.get(name)?.as_u64()
}

fn text(body: &Value, name: &str) -> Option<String> {
    body.get(name)?.as_str().map(str::to_owned)
}

fn schema(schema: Option<&Value>) -> Format {
    schema.map_or(Format::JsonObject, |schema| Format::Schema(schema.clone()))
}

fn function(tool: &Value) -> Option<Tool> {
    let name = tool.get("name")?.as_str()?.to_owned();
    Some(Tool { name, parameters: tool.get("parameters").cloned().unwrap_or(Value::Null) })
}

fn tool_choice(choice: Option<&Value>, name: &str) -> ToolChoice {
    match choice {
        Some(Value::String(word)) if word == "none" => ToolChoice::None,
        Some(Value::String(word)) if word == "required" => ToolChoice::Required,
        Some(named) => named
            .pointer(name)
            .and_then(Value::as_str)
            .map_or(ToolChoice::Auto, |name| ToolChoice::Named(name.to_owned())),
        None => ToolChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn chat_is_read() {
        let ask = Ask::of_chat(&json!({
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [
                    {"type": "text", "text": "무엇이 보이나요?"},
                    {"type": "image_url", "image_url": {"url": "data:"}},
                ]},
            ],
            "max_tokens": 7, "stream": true, "stream_options": {"include_usage": true},
            "tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "metadata": {"emulator_output_tokens": "12"},
        }));
        assert_eq!((ask.messages, ask.images, ask.cap, ask.choices), (2, 1, Some(7), 1));
        assert_eq!(ask.last_user, "무엇이 보이나요?");
        assert!(ask.stream && ask.include_usage && !ask.after_tool);
        assert_eq!(ask.tool_choice, ToolChoice::Named("look".to_owned()));
        assert_eq!(ask.wishes.output_tokens, Some(12));
        assert!(ask.prompt_tokens() > 765);
    }

    #[test]
    fn responses_are_read_as_text_or_items() {
        let plain = Ask::of_responses(&json!({"input": "hello", "max_output_tokens": 9}));
        assert_eq!((plain.last_user.as_str(), plain.cap), ("hello", Some(9)));
        let items = Ask::of_responses(&json!({
            "instructions": "be brief",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "look it up"}]},
                {"type": "function_call_output", "call_id": "c", "output": "found"},
            ],
            "reasoning": {"effort": "high"},
            "text": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        }));
        assert_eq!((items.last_user.as_str(), items.messages), ("look it up", 3));
        assert!(items.after_tool);
        assert_eq!(items.effort.as_deref(), Some("high"));
        assert_eq!(items.format, Format::Schema(json!({"type": "object"})));
    }
}
