//! The view of a chat request: parsed fields over the bytes of the body.
//!
//! The body is parsed once. Texts are borrowed wherever JSON escapes allow. Unknown fields are
//! skipped, not copied; they reach the upstream byte for byte because the body itself is forwarded.
//! Only what routing needs is validated here; the upstream judges whether a value suits a model.
//!
//! Not done here: parsing the JSON (`body.rs`), and the meaning of its fields (`scalars.rs`).

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::value::RawValue;

use crate::units::Tokens;

use super::body::{Field, RawBody, RequestFault};
use super::denied;
use super::encrypted::{ContentHash, Hidden};
use super::form::Form;
use super::input::Reference;
use super::inputs::Inputs;
use super::message::Message;
use super::offered_tools;
use super::operation::Operation;
use super::scalars::Scalars;

/// The requested format of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResponseFormat {
    /// Free text, also if nothing was asked.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of a given schema ("structured outputs").
    JsonSchema,
}

/// A request to a model: a view over its body, most often that of a chat completion.
///
/// ```
/// use router_core::chat::ChatRequest;
/// let body = br#"{"model":"auto","messages":[{"role":"user","content":"Hi"}],"x_own":1}"#;
/// let request = ChatRequest::parse(body)?;
/// assert_eq!(request.model(), Some("auto"));
/// assert_eq!(request.messages().len(), 1);
/// assert_eq!(request.raw("x_own"), Some("1"));
///
/// let fault = ChatRequest::parse(br#"{"messages":[{"content":"Hi"}]}"#).unwrap_err();
/// assert_eq!(fault.field, "messages[0]");
/// # Ok::<(), router_core::chat::RequestFault>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChatRequest<'a> {
    operation: Operation,
    body: &'a [u8],
    /// The owner of the same bytes, so that they can be sent on without a copy; `None` if it is not known.
    shared: Option<&'a Bytes>,
    messages: Vec<Message<'a>>,
    references: Vec<Reference<'a>>,
    hidden: Hidden,
    item_tools: Vec<&'a RawValue>,
    /// All top-level fields but the conversation, in the order of the body.
    fields: Vec<Field<'a>>,
    scalars: Scalars<'a>,
    /// The fields of a form; `None` of JSON.
    form: Option<Form>,
    /// Input of an operation without turns.
    inputs: Option<Inputs>,
}

impl<'a> ChatRequest<'a> {
    /// Reads the body of a chat request.
    ///
    /// # Errors
    /// Names the first field that is not what a chat request has there: text that is not JSON, a body that is not an
    /// object, `messages` missing or empty, a message without a role, a field of the wrong type, or a field that is
    /// given twice: at the top any, further down each that routing reads.
    pub fn parse(body: &'a [u8]) -> Result<Self, RequestFault> {
        Self::read(Operation::Chat, body)
    }

    /// Reads a body of any operation. In the Responses API the conversation is `instructions` and `input`.
    ///
    /// ```
    /// use router_core::chat::{ChatRequest, Operation, Role};
    /// let body = br#"{"model":"auto","instructions":"Be brief.","input":"Hi","previous_response_id":"resp_1"}"#;
    /// let request = ChatRequest::read(Operation::Responses, body)?;
    /// assert_eq!(request.messages().iter().map(|message| message.role).collect::<Vec<_>>(), [Role::System, Role::User]);
    /// assert_eq!(request.previous_response(), Some("resp_1"));
    /// # Ok::<(), router_core::chat::RequestFault>(())
    /// ```
    ///
    /// # Errors
    /// Like [`Self::parse`], for the bodies of the given operation.
    pub fn read(operation: Operation, body: &'a [u8]) -> Result<Self, RequestFault> {
        let text = simdutf8::compat::from_utf8(body)
            .map_err(|fault| RequestFault::new("body", format!("expected UTF-8 text: {fault}")))?;
        let RawBody { messages, references, hidden, item_tools, fields } =
            RawBody::read(operation.read_as(), text)?;
        let lists = fields.iter().filter(|field| field.name == "tools");
        let lists = lists.map(|field| ("tools", field.value));
        for (at, list) in lists.chain(item_tools.iter().map(|list| ("input.tools", *list))) {
            offered_tools::check(list.get(), at)?;
        }
        if operation == Operation::Chat {
            let messages = messages
                .as_ref()
                .ok_or_else(|| RequestFault::new("messages", "expected a list of messages"))?;
            if messages.is_empty() {
                let problem = "expected at least one message, found none";
                return Err(RequestFault::new("messages", problem));
            }
        }
        let scalars = Scalars::read(operation, &fields)?;
        let inputs = Inputs::of(operation, &fields)?;
        let messages = messages.unwrap_or_default();
        Ok(Self {
            operation,
            body,
            shared: None,
            messages,
            references,
            hidden,
            item_tools,
            fields,
            scalars,
            form: None,
            inputs,
        })
    }

    /// The same view over bytes that others may hold too: an unchanged body is sent on without a copy.
    #[cfg(feature = "http-client")]
    #[must_use]
    pub(crate) fn sharing(self, body: &'a Bytes) -> Self {
        debug_assert_eq!(self.body, body);
        Self { shared: Some(body), ..self }
    }

    /// The whole body, to be sent as it came.
    pub(super) fn whole(&self) -> Bytes {
        self.shared.map_or_else(|| Bytes::copy_from_slice(self.body), Bytes::clone)
    }

    /// Reads a form (`multipart/form-data`) that is passed through: its fields, of which one may name the model.
    ///
    /// # Errors
    /// The form is not well formed, or another parser could read it differently.
    #[cfg(feature = "http-client")]
    pub(crate) fn read_form(
        operation: Operation,
        content_type: &str,
        body: &'a [u8],
    ) -> Result<Self, RequestFault> {
        let form = super::form_parser::read(content_type, body)?;
        let model = form.text(super::form::MODEL, body).map(Into::into);
        let scalars = Scalars { model, ..Scalars::default() };
        let (messages, references, fields) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            operation,
            body,
            shared: None,
            messages,
            references,
            hidden: Hidden::default(),
            item_tools: Vec::new(),
            fields,
            scalars,
            form: Some(form),
            inputs: None,
        })
    }

    /// The operation that it is a request of.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The body as it came.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The messages, oldest first; of a chat request never empty.
    pub fn messages(&self) -> &[Message<'a>] {
        &self.messages
    }

    /// The model that the caller named; `None` if it is absent or null.
    pub fn model(&self) -> Option<&str> {
        self.scalars.model.as_deref()
    }

    /// True if the answer is to be streamed.
    pub fn stream(&self) -> bool {
        self.scalars.stream
    }

    /// True if the caller asked for usage at the end of the stream.
    pub fn include_usage(&self) -> bool {
        self.scalars.include_usage
    }

    /// The cap on the answer's length, whichever of the two fields names it; the newer one wins.
    pub fn max_output(&self) -> Option<Tokens> {
        self.scalars.max_completion_tokens.or(self.scalars.max_tokens).map(Tokens)
    }

    /// The number of requested answers; 1 if absent.
    pub fn n(&self) -> u64 {
        self.scalars.n.unwrap_or(1)
    }

    /// The requested reasoning effort, as written.
    pub fn reasoning_effort(&self) -> Option<&str> {
        self.scalars.reasoning_effort.as_deref()
    }

    /// The caller's own name for its user.
    pub fn user(&self) -> Option<&str> {
        self.scalars.user.as_deref()
    }

    /// The caller's key for the prompt cache.
    pub fn prompt_cache_key(&self) -> Option<&str> {
        self.scalars.prompt_cache_key.as_deref()
    }

    /// The requested format of the answer.
    pub fn response_format(&self) -> ResponseFormat {
        self.scalars.response_format
    }

    /// True if tools or functions are offered to the model.
    pub fn offers_tools(&self) -> bool {
        self.scalars.tools
    }

    /// True if the answer is to be stored: on request, and in the Responses API unless declined.
    pub(crate) fn stores(&self) -> bool {
        self.scalars.store.unwrap_or(self.operation == Operation::Responses)
    }

    /// True if the answer is to be made in the background: the first response does not hold it.
    pub fn background(&self) -> bool {
        self.scalars.background
    }

    /// The stored response that this one follows.
    pub fn previous_response(&self) -> Option<&str> {
        self.scalars.previous_response.as_deref()
    }

    /// The stored conversation that this request goes on with.
    pub fn conversation(&self) -> Option<&str> {
        self.scalars.conversation.as_deref()
    }

    /// The stored items that the conversation needs.
    pub fn references(&self) -> &[Reference<'a>] {
        &self.references
    }

    /// The encrypted contents of its items, in their order: the resource that made one can read it, and no other.
    pub fn encrypted(&self) -> &[ContentHash] {
        &self.hidden.encrypted
    }

    /// True if hidden reasoning is among its items, encrypted or stored.
    pub fn holds_reasoning(&self) -> bool {
        self.hidden.reasoning
    }

    /// Number of images in the messages.
    pub fn images(&self) -> usize {
        self.messages.iter().map(Message::images).sum()
    }

    /// Tokens of the messages' files and sound, estimated by size.
    pub fn attached(&self) -> Tokens {
        self.messages.iter().map(Message::attached).sum()
    }

    /// A top-level field as it was written; `None` if it is absent or the conversation.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.field(name).map(|field| field.value.get())
    }

    /// True for a form, false for JSON.
    pub(crate) fn is_form(&self) -> bool {
        self.form.is_some()
    }

    /// The fields of a form.
    pub(super) fn form(&self) -> Option<&Form> {
        self.form.as_ref()
    }

    /// The form, written again from its fields; `None` of JSON.
    #[cfg(feature = "http-client")]
    pub(crate) fn form_written(&self) -> Option<Bytes> {
        Some(self.form.as_ref()?.written(self.body, None))
    }

    /// The content type under which [`mod@super::adapt`] writes a form; `None` of JSON.
    pub(crate) fn form_content_type(&self) -> Option<HeaderValue> {
        self.form.as_ref().and_then(Form::content_type)
    }

    /// Input of an operation without turns (embeddings, legacy completions).
    pub fn inputs(&self) -> Option<&Inputs> {
        self.inputs.as_ref()
    }

    /// Hosted tool that the service would run for this request, as the caller names it.
    ///
    /// Only known tools run at the caller. Any other kind counts as hosted, so that a new one does not slip through.
    pub(crate) fn hosted_tool(&self) -> Option<Box<str>> {
        offered_tools::first(self)
    }

    /// The names of the tools that it offers; the kind of a tool without a name.
    pub(crate) fn tool_names(&self) -> Vec<Cow<'_, str>> {
        offered_tools::names(self)
    }

    /// The models that its tools name for themselves.
    pub(crate) fn tool_models(&self) -> Vec<Box<str>> {
        offered_tools::models(self)
    }

    /// The lists of tools that items of its input bring.
    pub(super) fn item_tools(&self) -> &[&'a RawValue] {
        &self.item_tools
    }

    /// The first of some fields that the body has at any depth, null excepted. Each is a name, or several joined by dots:
    /// `prompt.id` is the field `id` of an object `prompt`, wherever that lies.
    pub(crate) fn denied_field<'f>(
        &self,
        denied: impl Iterator<Item = &'f str>,
    ) -> Option<&'f str> {
        denied::first(self, denied)
    }

    pub(super) fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.name == name)
    }
}

#[cfg(test)]
mod tests;
