//! Decides whether the model calls a tool, and with which arguments.
//!
//! Required and named choices are obeyed. With `auto`, a real model decides freely; the emulator
//! calls a function if the last user message contains a word of its name ("what is the *weather* in
//! Seoul" calls `get_weather`), so that a caller's words decide.

use super::instance;
use crate::dice::Dice;
use crate::wire::request::Ask;
use crate::wire::request::Tool;
use crate::wire::request::ToolChoice;
use crate::wire::said::ToolCall;
use serde_json::json;

/// Parts of names that say nothing about the subject.
const GENERIC: [&str; 10] =
    ["find", "call", "tool", "func", "function", "with", "from", "fetch", "make", "query"];

/// The call that answers `ask`; `None` when it is answered in words.
pub fn choose(ask: &Ask, dice: &mut Dice) -> Option<ToolCall> {
    let tool = match &ask.tool_choice {
        ToolChoice::None => None,
        ToolChoice::Named(name) => ask.tools.iter().find(|tool| tool.name == *name),
        ToolChoice::Required => {
            ask.tools.iter().find(|tool| is_meant(tool, ask)).or_else(|| ask.tools.first())
        }
        ToolChoice::Auto if ask.after_tool => None,
        ToolChoice::Auto => ask.tools.iter().find(|tool| is_meant(tool, ask)),
    }?;
    let arguments =
        if tool.parameters.is_object() { instance::of(&tool.parameters, dice) } else { json!({}) };
    Some(ToolCall {
        id: format!("call_{:016x}", dice.roll()),
        name: tool.name.clone(),
        arguments: arguments.to_string(),
    })
}

fn is_meant(tool: &Tool, ask: &Ask) -> bool {
    let text = ask.last_user.to_lowercase();
    words(&tool.name)
        .iter()
        .any(|word| word.len() >= 4 && !GENERIC.contains(&word.as_str()) && text.contains(word))
}

/// `getWeather` and `get_weather` are both `get`, `weather`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter.is_uppercase() || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(choice: ToolChoice, text: &str, after_tool: bool) -> Option<String> {
        let tool = |name: &str| Tool {
            name: name.to_owned(),
            parameters: json!({"type": "object", "properties": {"city": {"type": "string"}}}),
        };
        let ask = Ask {
            tools: vec![tool("lookUp"), tool("get_weather")],
            tool_choice: choice,
            last_user: text.to_owned(),
            after_tool,
            ..Ask::default()
        };
        choose(&ask, &mut Dice::new(1, b"")).map(|call| {
            let arguments: serde_json::Value = serde_json::from_str(&call.arguments).unwrap();
            assert!(arguments["city"].is_string());
            call.name
        })
    }

    #[test]
    fn calls_when_told_or_when_the_subject_is_named() {
        let weather = Some("get_weather".to_owned());
        assert_eq!(called(ToolChoice::Auto, "What is the Weather in Seoul?", false), weather);
        assert_eq!(called(ToolChoice::Auto, "hello, get me", false), None);
        assert_eq!(called(ToolChoice::Auto, "weather", true), None, "a result has come in");
        assert_eq!(called(ToolChoice::None, "weather", false), None);
        assert_eq!(called(ToolChoice::Required, "hello", false), Some("lookUp".to_owned()));
        let named = ToolChoice::Named("get_weather".to_owned());
        assert_eq!(called(named, "hello", false), weather);
    }
}
