//! Every error body the emulator answers with, in Azure's or OpenAI's own words.
//!
//! **Source:** observed bodies and Microsoft's error pages; a `code` is a string, a number in a
//! string, or null, and `type` may be null or absent, exactly as real services vary. Nothing of a
//! request is repeated except the names of parameters and deployments.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A refusal: status and body.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The JSON body.
    pub body: Value,
}

impl Refusal {
    /// Azure's gateway form: only `code` and `message`.
    fn azure(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, body: json!({"error": {"code": code, "message": message.into()}}) }
    }

    /// The model's form: `message`, `type`, `param`, `code`.
    fn model(
        status: StatusCode,
        kind: &str,
        param: Option<&str>,
        code: Option<&str>,
        message: &str,
    ) -> Self {
        let body =
            json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
        Self { status, body }
    }

    /// 400, about one parameter.
    pub fn bad_request(param: &str, code: &str, message: impl Into<String>) -> Self {
        Self::model(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            Some(param),
            Some(code),
            &message.into(),
        )
    }

    /// 400: the model is not offered in the service tier.
    pub fn no_such_tier(tier: &str) -> Self {
        let message = format!("Invalid service_tier argument: '{tier}' is not available here.");
        let param = Some("service_tier");
        Self::model(StatusCode::BAD_REQUEST, "invalid_request_error", param, None, &message)
    }

    /// 400: the model does not know the parameter.
    pub fn unsupported_parameter(param: &str, instead: Option<&str>) -> Self {
        let advice = instead.map_or_else(String::new, |other| format!(" Use '{other}' instead."));
        let message =
            format!("Unsupported parameter: '{param}' is not supported with this model.{advice}");
        Self::bad_request(param, "unsupported_parameter", message)
    }

    /// 400: the model knows the parameter but not the value. `value` is quoted by the caller.
    pub fn unsupported_value(param: &str, value: &str, supported: &str) -> Self {
        let message = format!(
            "Unsupported value: '{param}' does not support {value} with this model. {supported}"
        );
        Self::bad_request(param, "unsupported_value", message.trim_end())
    }

    /// 400: a required parameter is missing.
    pub fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::bad_request(param, "missing_required_parameter", message)
    }

    /// 400: the body is no JSON object.
    pub fn no_json() -> Self {
        Self::model(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            None,
            None,
            "We could not parse the JSON body of your request. The API expects a JSON payload.",
        )
    }

    /// 400: the prompt does not fit.
    pub fn context_length(limit: u64, found: u64) -> Self {
        let message = format!(
            "This model's maximum context length is {limit} tokens. However, your messages \
             resulted in {found} tokens. Please reduce the length of the messages."
        );
        Self::bad_request("messages", "context_length_exceeded", message)
    }

    /// 400: the prompt tripped the content filter.
    pub fn content_filter() -> Self {
        let category = || json!({"filtered": false, "severity": "safe"});
        let results = json!({
            "hate": category(), "self_harm": category(), "sexual": category(),
            "violence": {"filtered": true, "severity": "medium"},
            "jailbreak": {"detected": false, "filtered": false},
        });
        let message = "The response was filtered due to the prompt triggering Azure OpenAI's \
                       content management policy. Please modify your prompt and retry. To learn \
                       more about our content filtering policies please read our documentation: \
                       https://go.microsoft.com/fwlink/?linkid=2198766";
        let body = json!({"error": {
            "message": message, "type": null, "param": "prompt", "code": "content_filter",
            "status": 400,
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": results,
            },
        }});
        Self { status: StatusCode::BAD_REQUEST, body }
    }

    /// 400: an encrypted item was made by another resource. Only the start of the content is repeated, as Azure does.
    pub fn invalid_encrypted_content(content: &str) -> Self {
        let start: String = content.chars().take(4).collect();
        let message = format!(
            "The encrypted content {start}... could not be verified. Reason: Encrypted content \
             could not be decrypted or parsed."
        );
        Self::model(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            None,
            Some("invalid_encrypted_content"),
            &message,
        )
    }

    /// 400: hidden reasoning was brought to a model that has none.
    pub fn reasoning_items() -> Self {
        let message = "Reasoning input items can only be provided to a reasoning or computer use \
                       model. Remove reasoning items from your input and try again.";
        Self::model(StatusCode::BAD_REQUEST, "invalid_request_error", Some("input"), None, message)
    }

    /// 400: `previous_response_id` is unknown here.
    pub fn previous_response_not_found(id: &str) -> Self {
        let message = format!("Previous response with id '{id}' not found.");
        Self::bad_request("previous_response_id", "previous_response_not_found", message)
    }

    /// 401: wrong or missing key.
    pub fn unauthorized() -> Self {
        Self::azure(
            StatusCode::UNAUTHORIZED,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to \
             provide a valid key for an active subscription and use a correct regional API \
             endpoint for your resource.",
        )
    }

    /// 401 on OpenAI's own path.
    pub fn invalid_api_key() -> Self {
        Self::model(
            StatusCode::UNAUTHORIZED,
            "invalid_request_error",
            None,
            Some("invalid_api_key"),
            "Incorrect API key provided.",
        )
    }

    /// 401: a valid token whose principal lacks the role.
    pub fn missing_role() -> Self {
        Self::azure(
            StatusCode::UNAUTHORIZED,
            "PermissionDenied",
            "The principal `00000000-0000-0000-0000-000000000000` lacks the required data action \
             `Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action` to \
             perform `POST /openai/deployments/{deployment-id}/chat/completions` operation.",
        )
    }

    /// 403: the network rules of the resource.
    pub fn forbidden() -> Self {
        Self::azure(
            StatusCode::FORBIDDEN,
            "403",
            "Access denied due to Virtual Network/Firewall rules.",
        )
    }

    /// 404: no such deployment.
    pub fn deployment_not_found() -> Self {
        Self::azure(
            StatusCode::NOT_FOUND,
            "DeploymentNotFound",
            "The API deployment for this resource does not exist. If you created the deployment \
             within the last 5 minutes, please wait a moment and try again.",
        )
    }

    /// 404: no such model, on OpenAI's own path.
    pub fn model_not_found(model: &str) -> Self {
        Self::model(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            None,
            Some("model_not_found"),
            &format!("The model `{model}` does not exist or you do not have access to it."),
        )
    }

    /// 404: wrong path or api-version.
    pub fn resource_not_found() -> Self {
        Self::azure(StatusCode::NOT_FOUND, "404", "Resource not found")
    }

    /// 404: no such stored response.
    pub fn response_not_found(id: &str) -> Self {
        Self::model(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            None,
            None,
            &format!("Response with id '{id}' not found."),
        )
    }

    /// 400: the model does not serve the operation (a Responses-only model asked for chat).
    pub fn operation_unsupported() -> Self {
        Self::azure(
            StatusCode::BAD_REQUEST,
            "OperationNotSupported",
            "The requested operation does not work with the specified model. Please choose \
             different model and try again.",
        )
    }

    /// 408.
    pub fn timeout() -> Self {
        Self::azure(StatusCode::REQUEST_TIMEOUT, "Timeout", "The operation was timeout.")
    }

    /// 410: the model is retired.
    pub fn gone() -> Self {
        Self::azure(
            StatusCode::GONE,
            "ModelRetired",
            "The model of this deployment has been retired. Please deploy a supported model.",
        )
    }

    /// 431: too many custom headers.
    pub fn too_many_headers() -> Self {
        Self::azure(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "431",
            "Request header fields too large: at most 10 custom headers are allowed.",
        )
    }

    /// 500.
    pub fn server_error() -> Self {
        Self::server_side(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// 503.
    pub fn unavailable() -> Self {
        Self::server_side(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// 529, which some gateways answer when overloaded.
    pub fn overloaded() -> Self {
        let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        Self::model(
            status,
            "server_error",
            None,
            None,
            "That model is currently overloaded with other requests.",
        )
    }

    fn server_side(status: StatusCode) -> Self {
        let message = "The server had an error while processing your request. Sorry about that! \
                       You can retry your request, or contact us through an Azure support request \
                       if the error persists. (Please include the request ID in your message.)";
        Self::model(status, "server_error", None, None, message)
    }
}

/// The events with which a running stream can fail.
pub fn event(message: &str) -> Value {
    json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}})
}
