//! Every `error.code` of the router, with its status and its meaning: what the reference page and the API's description are
//! made from. An upstream's own codes pass to callers unchanged and are not listed.

use http::StatusCode;

/// A code, its status, and when a caller gets it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorCode {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) meaning: &'static str,
}

const fn code(status: StatusCode, code: &'static str, meaning: &'static str) -> ErrorCode {
    ErrorCode { code, status, meaning }
}

/// By status, then by name.
pub(crate) const CODES: &[ErrorCode] = &[
    code(
        StatusCode::OK,
        "stream_interrupted",
        "The upstream broke off after the stream's head was sent: the last event says so.",
    ),
    code(
        StatusCode::BAD_REQUEST,
        "context_length_exceeded",
        "The prompt is longer than the context window of every model that may serve it.",
    ),
    code(
        StatusCode::BAD_REQUEST,
        "hosted_tool_not_allowed",
        "The request uses a hosted tool, which may process data elsewhere, and `residency.hosted_tools` forbids it.",
    ),
    code(
        StatusCode::BAD_REQUEST,
        "invalid_header",
        "A request header of the router has a value that it does not know.",
    ),
    code(StatusCode::BAD_REQUEST, "invalid_path", "The path is not UTF-8."),
    code(
        StatusCode::BAD_REQUEST,
        "invalid_request",
        "The body is not valid for the operation; `param` names the field.",
    ),
    code(
        StatusCode::BAD_REQUEST,
        "model_not_at_owner",
        "The stored response lies at a resource that does not serve the model that the request names.",
    ),
    code(
        StatusCode::BAD_REQUEST,
        "previous_response_not_found",
        "The `previous_response_id` is not known here, or belongs to another key.",
    ),
    code(
        StatusCode::BAD_REQUEST,
        "residency_unsatisfiable",
        "No deployment of the model lies inside the residency.",
    ),
    code(
        StatusCode::BAD_REQUEST,
        "unsupported_by_model",
        "No model that may serve the request has a feature that it uses, such as tools or images.",
    ),
    code(
        StatusCode::BAD_REQUEST,
        "unsupported_parameter",
        "The model does not take a field, and the configuration forbids changing the request.",
    ),
    code(
        StatusCode::UNAUTHORIZED,
        "invalid_api_key",
        "No key, an unknown one, or one that has expired.",
    ),
    code(
        StatusCode::FORBIDDEN,
        "field_not_allowed",
        "The request has a field that the key's `deny_fields` forbids.",
    ),
    code(
        StatusCode::FORBIDDEN,
        "host_not_allowed",
        "`Host` names another machine; checked where callers show no key.",
    ),
    code(StatusCode::FORBIDDEN, "not_allowed_for_key", "The key may not do this."),
    code(
        StatusCode::FORBIDDEN,
        "origin_not_allowed",
        "A web page of another site asks; checked where callers show no key.",
    ),
    code(
        StatusCode::FORBIDDEN,
        "residency_not_allowed",
        "The header asks for an area outside the key's residency.",
    ),
    code(
        StatusCode::NOT_FOUND,
        "model_not_found",
        "The model does not exist here, or the key may not use it.",
    ),
    code(StatusCode::NOT_FOUND, "model_retired", "Every deployment of the model has retired."),
    code(
        StatusCode::NOT_FOUND,
        "response_not_found",
        "The stored object is not known here, or belongs to another key.",
    ),
    code(StatusCode::NOT_FOUND, "unknown_path", "No such path."),
    code(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "The path exists, but not for this method; see `allow`.",
    ),
    code(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        "The body did not arrive whole and in time.",
    ),
    code(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request_too_large",
        "The body is longer than `server.max_body_bytes`.",
    ),
    code(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", "The body is compressed."),
    code(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The body's content type is not served.",
    ),
    code(
        StatusCode::TOO_MANY_REQUESTS,
        "capacity_exhausted",
        "Every deployment is full, for as long as `retry-after-ms` says.",
    ),
    code(
        StatusCode::TOO_MANY_REQUESTS,
        "capacity_in_residency_exhausted",
        "Every deployment inside the residency is full, for as long as `retry-after-ms` says.",
    ),
    code(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", "The key's budget is spent."),
    code(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limit_exceeded",
        "The key's rate, or its requests at once, are used up.",
    ),
    code(
        StatusCode::TOO_MANY_REQUESTS,
        "request_exceeds_quota",
        "The request alone is larger than the quota of every deployment: trying again does not help.",
    ),
    code(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "The router failed: a bug."),
    code(
        StatusCode::NOT_IMPLEMENTED,
        "websocket_not_supported",
        "WebSocket connections are not served.",
    ),
    code(
        StatusCode::BAD_GATEWAY,
        "upstream_failed",
        "Every attempt failed; the message names the causes by deployment.",
    ),
    code(
        StatusCode::BAD_GATEWAY,
        "upstream_misconfigured",
        "Every deployment refuses the router's own credential or address; the log names them.",
    ),
    code(
        StatusCode::SERVICE_UNAVAILABLE,
        "deployment_disabled",
        "The deployment is switched off in the configuration.",
    ),
    code(
        StatusCode::SERVICE_UNAVAILABLE,
        "router_overloaded",
        "The router serves as many requests as it may; try again.",
    ),
    code(
        StatusCode::SERVICE_UNAVAILABLE,
        "upstream_unavailable",
        "Every deployment asked to be left alone after a fault, for as long as `retry-after-ms` says.",
    ),
    code(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "No deployment answered in time."),
];

#[cfg(test)]
mod tests {
    use router_core::error::status_of;

    use super::*;

    fn status(code: &str) -> Option<StatusCode> {
        CODES.iter().find(|known| known.code == code).map(|known| known.status)
    }

    /// The words of a source that look like codes, its tests left out.
    fn words(source: &str) -> impl Iterator<Item = &str> {
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let word = |text: &&str| {
            text.contains('_') && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        source.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).filter(word)
    }

    #[test]
    fn every_code_in_the_sources_is_in_the_table() {
        // Words of `error.type`.
        const TYPES: [&str; 5] = [
            "rate_limit_error",
            "server_error",
            "invalid_request_error",
            "upstream_error",
            "previous_response_id",
        ];
        for source in [include_str!("problem.rs"), include_str!("../../router-core/src/error.rs")] {
            for word in words(source).filter(|word| !TYPES.contains(word)) {
                assert!(status(word).is_some(), "{word}: add it to codes.rs");
            }
        }
    }

    #[test]
    fn the_statuses_are_those_of_the_library() {
        for known in CODES {
            let of_library = status_of(known.code).unwrap_or(known.status);
            assert_eq!(of_library, known.status, "{}", known.code);
        }
    }

    #[test]
    fn the_table_is_in_order_and_holds_each_code_once() {
        let order: Vec<_> = CODES.iter().map(|known| (known.status, known.code)).collect();
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{order:?}");
        let names: std::collections::BTreeSet<_> = CODES.iter().map(|known| known.code).collect();
        assert_eq!(names.len(), CODES.len());
    }
}
