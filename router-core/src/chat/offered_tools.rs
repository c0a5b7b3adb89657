//! Identifies tools that the service runs itself, which can process data outside the deployment's
//! area.
//!
//! Only tool types known to run at the caller count as not hosted, because any other type may be
//! newer than this list. A stored prompt may contain tools that the router cannot see, so it counts
//! as hosted.
//!
//! A tool can stand in the list of a request and in that of an item of its input, and may name a model of its own.
//!
//! Not done here: whether a request may use them (`decision.rs`, `policy/rights.rs`).

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::body::RequestFault;
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
    by_field.map(|(_, name)| Box::from(*name)).or_else(|| lists(request).find_map(of_list))
}

/// The lists of tools of a request and of the items of its input.
fn lists<'r>(request: &'r ChatRequest<'_>) -> impl Iterator<Item = &'r str> {
    let given = request.raw("tools").filter(|raw| *raw != "null");
    given.into_iter().chain(request.item_tools().iter().map(|raw| raw.get()))
}

/// The models that the tools of a request name for themselves.
pub(super) fn models(request: &ChatRequest<'_>) -> Vec<Box<str>> {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(borrow)]
        model: Option<Cow<'a, str>>,
    }
    let lists = lists(request).filter_map(|list| serde_json::from_str::<Vec<&RawValue>>(list).ok());
    let named = |tool: &RawValue| {
        let tool: Tool<'_> = serde_json::from_str(tool.get()).ok()?;
        tool.model.map(|model| Box::from(&*model))
    };
    lists.flatten().filter_map(named).collect()
}

/// The names of the offered tools; the kind of a tool that has none, such as `web_search`.
pub(super) fn names<'r>(request: &'r ChatRequest<'_>) -> Vec<Cow<'r, str>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Option<Cow<'a, str>>,
    }
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        name: Option<Cow<'a, str>>,
        #[serde(borrow)]
        function: Option<Named<'a>>,
    }
    let functions = request.raw("functions").filter(|raw| *raw != "null");
    let lists = lists(request).chain(functions);
    let tools = lists.filter_map(|list| serde_json::from_str::<Vec<&RawValue>>(list).ok());
    let named = |tool: &'r RawValue| {
        let tool: Tool<'r> = serde_json::from_str(tool.get()).ok()?;
        tool.function.and_then(|function| function.name).or(tool.name).or(tool.kind)
    };
    tools.flatten().filter_map(named).collect()
}

/// Refuses a tool that gives one of the fields by which it is judged twice: the service could go by the other value.
pub(super) fn check(list: &str, field: &str) -> Result<(), RequestFault> {
    #[derive(Deserialize)]
    struct Tool {
        #[serde(rename = "type", default)]
        _kind: IgnoredAny,
        #[serde(rename = "model", default)]
        _model: IgnoredAny,
    }
    let Ok(tools) = serde_json::from_str::<Vec<&RawValue>>(list) else { return Ok(()) };
    for (at, tool) in tools.iter().enumerate() {
        let fault = serde_json::from_str::<Tool>(tool.get()).err().map(|fault| fault.to_string());
        if fault.is_some_and(|fault| fault.starts_with("duplicate field")) {
            let problem = "`type` or `model` is given twice";
            return Err(RequestFault::new(format!("{field}[{at}]"), problem));
        }
    }
    Ok(())
}

fn of_list(tools: &str) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    // The service may still read what cannot be read here.
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
    fn tools_are_named_in_every_form() {
        let body = r#"{"messages":[{"role":"user","content":"x"}],"functions":[{"name":"old"}],"tools":[
            {"type":"function","function":{"name":"run_\u0073ql"}}, {"type":"web_search"}, 7]}"#;
        let request = ChatRequest::read(Operation::Chat, body.as_bytes()).unwrap();
        assert_eq!(request.tool_names(), ["run_sql", "web_search", "old"]);
        let body = r#"{"input":"x","tools":[{"type":"function","name":"find"}]}"#;
        let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
        assert_eq!(request.tool_names(), ["find"]);
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
        check(responses, r#""tools":[{"type":"m\u0063p"}]"#, Some("mcp"));
        check(responses, r#""prompt":{"id":"pmpt_1"}"#, Some("prompt"));
        check(Operation::Chat, r#""web_search_options":{}"#, Some("web_search_options"));
        check(Operation::Chat, r#""data_sources":[{}]"#, Some("data_sources"));
        check(Operation::Chat, r#""functions":[{"name":"f"}]"#, None);
    }

    #[test]
    fn tools_of_items_count_and_so_do_the_models_that_tools_name() {
        let read = |fields: &str| {
            let body = format!(r#"{{"model":"m",{fields}}}"#);
            let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
            (request.hosted_tool(), request.tool_models())
        };
        let brought = r#""input":[{"role":"user","content":"x"},
            {"type":"additional_tools","tools":[{"type":"function"},{"type":"web_search"}]}]"#;
        assert_eq!(read(brought).0.as_deref(), Some("web_search"));
        let none = r#""input":[{"type":"tool_search_output","tools":[{"type":"function"}]},{"tools":null}]"#;
        assert_eq!(read(none), (None, vec![]));
        let drawn = r#""tools":[{"type":"image_generation","model":"gpt-image-1"},{"type":"function"}],
            "input":[{"type":"additional_tools","tools":[{"type":"image_generation","model":"gpt-image-2"},5]}]"#;
        assert_eq!(read(drawn).1.join(" "), "gpt-image-1 gpt-image-2");
    }

    #[test]
    fn a_tool_that_says_its_type_or_model_twice_is_refused() {
        for (operation, fields, at) in [
            (
                Operation::Responses,
                r#""tools":[{"type":"function"},{"type":"function","type":"mcp"}]"#,
                "tools[1]",
            ),
            (
                Operation::Responses,
                r#""tools":[{"model":"a","type":"mcp","mod\u0065l":"b"}]"#,
                "tools[0]",
            ),
            (
                Operation::Responses,
                r#""input":[{"tools":[{"type":"a","type":"b"}]}]"#,
                "input.tools[0]",
            ),
            (Operation::Chat, r#""tools":[{"type":"function","type":"custom"}]"#, "tools[0]"),
        ] {
            let body = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{fields}}}"#);
            let fault = ChatRequest::read(operation, body.as_bytes()).unwrap_err();
            assert_eq!(fault.field, at, "{fault}");
        }
        let nested = r#"{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"type":"x"}}]}"#;
        assert!(ChatRequest::parse(nested.as_bytes()).is_ok());
    }
}
