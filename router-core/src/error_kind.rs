//! Every `error.code` of the router in one table: its HTTP status, who is responsible, and what it means. The library, the
//! server, the reference page and the API's description all read it.
//!
//! Not done here: messages and headers (`error`). An upstream's own codes pass to callers unchanged and are not listed.

use http::StatusCode;

/// The side responsible for an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller asked for what cannot be.
    Caller,
    /// Our own config.
    Router,
    /// The model service.
    Upstream,
}

/// Defines the enum, the list of its variants, and one accessor for each column.
macro_rules! kinds {
    ($($kind:ident, $code:literal, $status:ident, $side:ident, $meaning:literal;)*) => {
        /// A kind of error: the `code` of the caller's error, and a word for labels and logs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $(#[doc = $meaning] $kind,)*
        }

        impl Kind {
            /// All kinds, by status, then by name.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The word for `error.code`, labels and logs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// The HTTP status: the official clients choose their exception by it.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// The responsible side.
            pub const fn side(self) -> Side {
                match self { $(Self::$kind => Side::$side,)* }
            }

            /// The situation in which a caller receives it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)* }
            }
        }
    };
}

#[rustfmt::skip]
kinds! {
    StreamInterrupted, "stream_interrupted", OK, Upstream, "The upstream failed after the stream's head was sent: the last event is the error.";
    ContextLengthExceeded, "context_length_exceeded", BAD_REQUEST, Caller, "The prompt is longer than the context window of every model that may serve it.";
    HostedToolNotAllowed, "hosted_tool_not_allowed", BAD_REQUEST, Caller, "The request uses a hosted tool, which may process data elsewhere, and `residency.hosted_tools` forbids that.";
    InvalidHeader, "invalid_header", BAD_REQUEST, Caller, "An `x-router-*` header has an unknown value.";
    InvalidPath, "invalid_path", BAD_REQUEST, Caller, "The path is not UTF-8.";
    InvalidRequest, "invalid_request", BAD_REQUEST, Caller, "The body is invalid for the operation; `param` names the field.";
    ModelNotAtOwner, "model_not_at_owner", BAD_REQUEST, Caller, "The stored response belongs to a resource that does not serve the named model.";
    PreviousResponseNotFound, "previous_response_not_found", BAD_REQUEST, Caller, "The `previous_response_id` is unknown, or belongs to another key.";
    ResidencyUnsatisfiable, "residency_unsatisfiable", BAD_REQUEST, Caller, "No deployment of the model is inside the residency.";
    UnsupportedByModel, "unsupported_by_model", BAD_REQUEST, Caller, "No model that may serve the request supports a feature that it uses, such as tools or images.";
    UnsupportedParameter, "unsupported_parameter", BAD_REQUEST, Caller, "The model does not accept a field, and the configuration forbids changing the request.";
    InvalidApiKey, "invalid_api_key", UNAUTHORIZED, Caller, "No key, or an unknown, expired or disabled one.";
    FieldNotAllowed, "field_not_allowed", FORBIDDEN, Caller, "The request contains a field of the key's `deny_fields`.";
    HostNotAllowed, "host_not_allowed", FORBIDDEN, Caller, "`Host` is neither this machine nor in `server.hosts`; checked without keys.";
    NotAllowedForKey, "not_allowed_for_key", FORBIDDEN, Caller, "The key does not allow this.";
    OriginNotAllowed, "origin_not_allowed", FORBIDDEN, Caller, "The request comes from a web page of another origin; checked without keys.";
    ResidencyNotAllowed, "residency_not_allowed", FORBIDDEN, Caller, "The header names an area outside the key's residency.";
    ModelNotFound, "model_not_found", NOT_FOUND, Caller, "The model does not exist, or the key may not use it.";
    ModelRetired, "model_retired", NOT_FOUND, Caller, "Every deployment of the model has retired.";
    ObjectNotFound, "object_not_found", NOT_FOUND, Caller, "The chat completion, conversation, file or other object is unknown, or belongs to another key.";
    ResponseNotFound, "response_not_found", NOT_FOUND, Caller, "The stored object is unknown, or belongs to another key.";
    UnknownPath, "unknown_path", NOT_FOUND, Caller, "No such path.";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, Caller, "The path exists for other methods; see `allow`.";
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, Caller, "The body did not arrive completely and in time.";
    RequestTooLarge, "request_too_large", PAYLOAD_TOO_LARGE, Caller, "The body is longer than `server.max_body_bytes`.";
    UnsupportedEncoding, "unsupported_encoding", UNSUPPORTED_MEDIA_TYPE, Caller, "The body is compressed.";
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, Caller, "The body's content type is not served.";
    CapacityExhausted, "capacity_exhausted", TOO_MANY_REQUESTS, Upstream, "Every deployment is full; `retry-after-ms` is the shortest wait.";
    CapacityInResidencyExhausted, "capacity_in_residency_exhausted", TOO_MANY_REQUESTS, Upstream, "Every deployment inside the residency is full; `retry-after-ms` is the shortest wait.";
    InsufficientQuota, "insufficient_quota", TOO_MANY_REQUESTS, Caller, "The key's budget is spent.";
    RateLimitExceeded, "rate_limit_exceeded", TOO_MANY_REQUESTS, Caller, "The key's rate or concurrency limit is reached.";
    RequestExceedsQuota, "request_exceeds_quota", TOO_MANY_REQUESTS, Caller, "The request by itself exceeds the quota of every deployment: a retry does not help.";
    InternalError, "internal_error", INTERNAL_SERVER_ERROR, Router, "The router failed. This is a bug.";
    WebsocketNotSupported, "websocket_not_supported", NOT_IMPLEMENTED, Caller, "WebSocket connections are not served.";
    UpstreamFailed, "upstream_failed", BAD_GATEWAY, Upstream, "Every attempt failed; the message names the causes by deployment.";
    UpstreamMisconfigured, "upstream_misconfigured", BAD_GATEWAY, Router, "Every deployment refuses the router's credential or does not exist; the log names them.";
    DeploymentDisabled, "deployment_disabled", SERVICE_UNAVAILABLE, Router, "The configuration disables the deployment.";
    IdentityProviderUnavailable, "identity_provider_unavailable", SERVICE_UNAVAILABLE, Upstream, "The public keys of the token's issuer cannot be read; retry.";
    RouterOverloaded, "router_overloaded", SERVICE_UNAVAILABLE, Router, "The router has reached its limit of concurrent requests or memory; retry.";
    UpstreamUnavailable, "upstream_unavailable", SERVICE_UNAVAILABLE, Upstream, "Every deployment is unavailable after a fault; `retry-after-ms` is the shortest wait.";
    UpstreamTimeout, "upstream_timeout", GATEWAY_TIMEOUT, Upstream, "No deployment answered in time.";
}

impl Kind {
    /// The `error.type` that the official clients know.
    ///
    /// ```
    /// use router_core::error_kind::Kind;
    /// assert_eq!(Kind::UpstreamFailed.error_type(), "server_error");
    /// ```
    pub fn error_type(self) -> &'static str {
        match self.status() {
            _ if self == Self::InsufficientQuota => "insufficient_quota",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            // The head of a stream has gone out as 200.
            status if status.is_server_error() || status.is_success() => "server_error",
            _ => "invalid_request_error",
        }
    }
}

impl Kind {
    /// True if a request that ends this way counts as unanswered: it was valid and allowed, and no deployment answered it.
    /// Mistakes of callers, limits of keys and callers that leave do not count.
    ///
    /// ```
    /// use router_core::error_kind::Kind;
    /// assert!(Kind::CapacityExhausted.is_unanswered());
    /// assert!(!Kind::InsufficientQuota.is_unanswered() && !Kind::InvalidRequest.is_unanswered());
    /// ```
    pub fn is_unanswered(self) -> bool {
        match self.side() {
            Side::Upstream | Side::Router => true,
            Side::Caller => self == Self::ModelRetired,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_holds_each_code_once() {
        let order: Vec<_> = Kind::ALL.iter().map(|kind| (kind.status(), kind.as_str())).collect();
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{order:?}");
        let names: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
