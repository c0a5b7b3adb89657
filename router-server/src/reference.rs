//! Generates the reference page: error codes, operations, response headers and request headers, from the tables
//! that the code uses.
//!
//! It writes `docs/reference.md` as text and serves nothing.

use router_core::error_kind::Kind;
use router_core::policy::REQUEST_HEADERS;
use router_core::policy::feature_headers;
use router_core::response::RESPONSE_HEADERS;

use crate::operations::OPERATIONS;

/// Headers of the server itself, in addition to those of the library.
pub(crate) const SERVER_HEADERS: &[(&str, &str)] = &[
    ("x-request-id", "The caller's id of the request, or a generated one."),
    (
        "x-upstream-request-id",
        "The upstream's id of the request, if it sent one in `x-request-id`.",
    ),
    ("retry-after", "On a refusal: seconds to wait before a retry, at least 1."),
    ("retry-after-ms", "The same in milliseconds."),
    (
        "x-should-retry",
        "On a refusal: `true` if a retry can help, else `false`; the official clients obey it.",
    ),
    ("x-ratelimit-limit-requests", "The key's requests per minute."),
    ("x-ratelimit-remaining-requests", "How many of them remain."),
    ("x-ratelimit-reset-requests", "Time until all of them are available again, such as `59.99s`."),
    ("x-ratelimit-limit-tokens", "The key's tokens per minute."),
    ("x-ratelimit-remaining-tokens", "How many of them remain."),
    ("x-ratelimit-reset-tokens", "Time until all of them are available again, such as `59.99s`."),
];

const HEAD: &str = "# Reference\n\n\
    Error codes, operations, response headers and request headers. This page is made from the tables that the program uses:\n\
    `cargo run -p router-server --example reference > docs/reference.md`. A test fails if it is out of date.\n";

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut line = |text: std::fmt::Arguments<'_>| {
        page.push_str(&text.to_string());
        page.push('\n');
    };
    line(format_args!(
        "\n## Error codes\nEvery error body is `{{\"error\": {{\"message\", \"type\", \"param\", \"code\"}}}}`. An upstream's own"
    ));
    line(format_args!(
        "refusal passes with its own code and status.\n\n| status | `error.code` | meaning |\n| --- | --- | --- |"
    ));
    for kind in Kind::ALL {
        line(format_args!("| {} | `{}` | {} |", kind.status().as_u16(), kind, kind.meaning()));
    }
    line(format_args!(
        "\n## Operations\nPaths below `/v1` are also served below `/openai/v1` and without a base, except `/v1/usage` and `/v1/route`.\n\n\
         | method | path | what becomes of it | |\n| --- | --- | --- | --- |"
    ));
    for operation in OPERATIONS {
        let methods = operation.methods.replace(' ', ", ");
        let (support, note) = (operation.support.as_str(), operation.note);
        line(format_args!("| {methods} | `{}` | {support} | {note} |", operation.path));
    }
    line(format_args!(
        "\n## Response headers\nOn answers, and on refusals as far as they are known. Those marked \"all\" are hidden by"
    ));
    line(format_args!(
        "`server.expose = \"minimal\"`.\n\n| header | shown | meaning |\n| --- | --- | --- |"
    ));
    for header in RESPONSE_HEADERS {
        let shown = if header.internal { "all" } else { "always" };
        line(format_args!("| `{}` | {shown} | {} |", header.name, header.meaning));
    }
    for (name, meaning) in SERVER_HEADERS {
        line(format_args!("| `{name}` | always | {meaning} |"));
    }
    line(format_args!(
        "\n## Request headers\nAll are optional. A header narrows what the key allows and never widens it; a value that is not"
    ));
    line(format_args!(
        "known is a 400 `invalid_header`.\n\n| header | values | meaning |\n| --- | --- | --- |"
    ));
    for header in REQUEST_HEADERS {
        line(format_args!("| `{}` | {} | {} |", header.name, header.values, header.meaning));
    }
    line(format_args!(
        "\n## Headers of Azure's features\nThey pass to the upstream; a name of a deployment is looked up as a model is.\n"
    ));
    for name in feature_headers::names() {
        line(format_args!("- `{name}`"));
    }
    page
}
