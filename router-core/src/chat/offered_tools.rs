//! Identifies tools that the service runs itself, which can process data outside the deployment's
//! area.
//!
//! Only tool types known to run at the caller count as not hosted, because any other type may be
//! newer than this list. A stored prompt may contain tools that the router cannot see, so it counts
//! as hosted.
//!
//! Not done here: whether a request may use them (`decision.rs`).

use std::borrow::Cow;

use serde::Deserialize;

use super::operation::Operation;
use super::request::ChatRequest;

/// The kinds of tools whose calls the caller runs.
///
/// **Source:** `OpenAI`, "Using tools": functions, custom tools, the local shell and patches are carried out by the caller;
/// web search, file search, code interpreter, image generation, remote MCP servers and computer use involve the service.
const AT_THE_CALLER: [&str; 4] = ["function", "custom", "local_shell", "apply_patch"];

/// Fields that are a hosted tool by themselves: web search and "on your data" of chat, stored prompts of responses.
const BY_FIELD: [(Operation, &str); 3] = [
    (Operation::Chat, "web_search_options"),
    (Operation::Chat, "data_sources"),
    (Operation::Responses, "prompt"),
];

/// The longest word of a caller that is repeated.
const LONGEST: usize = 64;

/// The first hosted tool of a request.
pub(super) fn first(request: &ChatRequest<'_>) -> Option<Box<str>> {
    let given = |name: &str| request.raw(name).filter(|raw| *raw != "null");
    let by_field = BY_FIELD.iter().find(|(operation, name)| {
        *operation == request.operation().read_as() && given(name).is_some()
    });
    by_field.map(|(_, name)| Box::from(*name)).or_else(|| given("tools").and_then(of_list))
}

fn of_list(tools: &str) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    // What cannot be read here may still be read by the service.
    let Ok(tools) = serde_json::from_str::<Vec<Tool<'_>>>(tools) else {
        return Some("of an unknown kind".into());
    };
    let hosted = tools.iter().find(|tool| !AT_THE_CALLER.contains(&tool.kind.as_ref()))?;
    let shown: String =
        hosted.kind.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
    Some(shown.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(operation: Operation, fields: &str, expected: Option<&str>) {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{fields}}}"#);
        let request = ChatRequest::read(operation, body.as_bytes()).unwrap();
        assert_eq!(request.hosted_tool().as_deref(), expected, "{body}");
    }

    #[test]
    fn all_but_the_callers_own_tools_are_hosted() {
        let responses = Operation::Responses;
        for kind in [
            "web_search",
            "web_search_preview_2025_03_11",
            "code_interpreter",
            "file_search",
            "mcp",
            "computer_use_preview",
            "image_generation",
            "shell",
            "of_tomorrow",
        ] {
            let tools =
                format!(r#""tools":[{{"type":"function","name":"f"}},{{"type":"{kind}"}}]"#);
            check(responses, &tools, Some(kind));
            check(Operation::Chat, &tools, Some(kind));
        }
        for kind in AT_THE_CALLER {
            check(responses, &format!(r#""tools":[{{"type":"{kind}"}}]"#), None);
        }
        check(responses, r#""tools":[]"#, None);
        check(responses, r#""tools":null,"prompt":null"#, None);
        check(responses, r#""tools":[{"name":"f"}]"#, Some("of an unknown kind"));
        check(
            responses,
            r#""tools":[{"type":"function","type":"mcp"}]"#,
            Some("of an unknown kind"),
        );
        check(responses, r#""tools":[{"type":"m\u0063p"}]"#, Some("mcp"));
        check(responses, r#""prompt":{"id":"pmpt_1"}"#, Some("prompt"));
        check(Operation::Chat, r#""web_search_options":{}"#, Some("web_search_options"));
        check(Operation::Chat, r#""data_sources":[{}]"#, Some("data_sources"));
        check(Operation::Chat, r#""functions":[{"name":"f"}]"#, None);
    }
}
