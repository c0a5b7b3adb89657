//! Edits a request so that the chosen model accepts it, although it was written for another model.
//!
//! Every edit follows from the model's record, never from its name, and every changed field is
//! reported, so that the caller can see it. Capabilities that a model lacks (images, tools,
//! schemas) are not stripped here: such a model was excluded before.
//!
//! **Source:** Microsoft, "Azure OpenAI reasoning models", the tables of API and feature support and of parameters that
//! are not supported.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::model::Effort;
use crate::model::ModelRecord;
use crate::model::ServiceTier;
use crate::units::Tokens;

use super::encrypted::ContentHash;
use super::form::Form;
use super::operation::Operation;
use super::request::ChatRequest;
use super::splice::Splice;

/// Properties of the deployment to which a request is adapted.
#[derive(Debug, Clone, Copy)]
pub struct Target<'t> {
    /// The record of its model.
    pub record: &'t ModelRecord,
    /// The name that the body must carry as `model`; `None` if the address names the deployment.
    pub model_field: Option<&'t str>,
    /// True if `stream_options` is known there.
    pub stream_options: bool,
    /// The effort of the role, for a request that sets none.
    pub effort: Option<Effort>,
    /// True if the router chose the model: a cap that the caller set was then meant for the answer alone, not for hidden
    /// reasoning that it could not foresee.
    pub chosen: bool,
    /// Fields that the deployment refused before, against its record.
    pub refused: &'t [&'static str],
    /// A tighter cap to send in place of the caller's; it is no change that the caller sees, because an answer that it
    /// cuts off is asked again.
    pub tight: Option<Tokens>,
    /// The service tier that the router chose; `None` if the caller's own field goes on unchanged.
    pub service_tier: Option<ServiceTier>,
    /// Encrypted contents that it cannot read.
    pub unreadable: &'t [ContentHash],
    /// The `prompt_cache_key` of a request that has none; it changes nothing that the caller asked for, so it is no change.
    pub cache_key: Option<&'t str>,
}

impl<'t> Target<'t> {
    /// All fields to leave out: those that the model refuses by its record, and those that the deployment refused.
    pub(super) fn all_refused(self) -> impl Iterator<Item = &'static str> + 't {
        self.record.refuses.iter().chain(self.refused).copied()
    }
}

/// A body fit for a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapted {
    /// The body to send.
    pub body: Bytes,
    /// The fields that were changed or left out, in the caller's words.
    pub changed: Vec<&'static str>,
    /// True if the caller wants a stream and the model cannot: we stream its complete answer.
    pub restream: bool,
    /// True if we requested usage for a stream whose caller did not: that chunk is removed.
    pub(crate) withhold_usage: bool,
}

/// The field that names the service tier.
pub const SERVICE_TIER: &str = "service_tier";

/// Fits a request to a deployment; without need of change the body is the caller's own, byte for byte.
pub fn adapt(request: &ChatRequest<'_>, target: Target<'_>) -> Adapted {
    match request.form() {
        Some(form) => of_form(request, form, target),
        None => fit(request, target).written(),
    }
}

/// Changes that [`adapt`] would make, and whether it would restream; the body is not written.
pub fn changes(request: &ChatRequest<'_>, target: Target<'_>) -> (Vec<&'static str>, bool) {
    if request.is_form() {
        return (Vec::new(), false);
    }
    let Fitted { changed, restream, .. } = fit(request, target);
    (changed, restream)
}

/// A request with the edits that a deployment needs.
pub(super) struct Fitted<'r, 'a> {
    splice: Splice<'r, 'a>,
    changed: Vec<&'static str>,
    request: &'r ChatRequest<'a>,
    restream: bool,
    withhold_usage: bool,
}

impl Fitted<'_, '_> {
    fn written(self) -> Adapted {
        let Self { splice, changed, request, restream, withhold_usage } = self;
        let body = if splice.is_empty() { request.whole() } else { splice.apply() };
        Adapted { body, changed, restream, withhold_usage }
    }
}

fn fit<'r, 'a>(request: &'r ChatRequest<'a>, target: Target<'_>) -> Fitted<'r, 'a> {
    let mut edit = Edit { splice: Splice::of(request), changed: Vec::new(), request };
    if let Some(name) = target.model_field.filter(|name| request.model() != Some(name)) {
        edit.splice.set("model", quoted(name));
    }
    edit.cache_key(target);
    if let Some(tier) = target.service_tier {
        edit.service_tier(tier);
    }
    match request.operation() {
        Operation::Chat => edit.chat(target),
        Operation::Responses | Operation::InputTokens => edit.responses(target),
        Operation::Completions => edit.completions(target),
        Operation::Compact | Operation::Embeddings | Operation::Passed(_) => {
            target.all_refused().for_each(|name| edit.leave_out(name));
            edit.unchanged()
        }
    }
}

/// A form, written again from its fields, with the name that the deployment must be called by.
fn of_form(request: &ChatRequest<'_>, form: &Form, target: Target<'_>) -> Adapted {
    let body = form.written(request.body(), target.model_field);
    Adapted { body, changed: vec![], restream: false, withhold_usage: false }
}

/// The words for items that were left out of an `input`.
pub const LEFT_OUT_ITEMS: [&str; 2] = super::adapt_responses::LEFT_OUT_ITEMS;

/// The fields of which parts may be left out.
const PARTED: [&str; 2] = ["reasoning", "text"];

/// A field that is named by a part of it: the field, and the part.
fn parts(name: &'static str) -> Option<(&'static str, &'static str)> {
    PARTED.into_iter().find_map(|outer| Some((outer, name.strip_prefix(outer)?.strip_prefix('.')?)))
}

/// A text as JSON. Nearly every name is written as it is.
pub(super) fn quoted(text: &str) -> String {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if !text.bytes().all(plain) {
        return serde_json::Value::from(text).to_string();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    quoted.push_str(text);
    quoted.push('"');
    quoted
}

pub(super) struct Edit<'r, 'a> {
    pub(super) splice: Splice<'r, 'a>,
    pub(super) changed: Vec<&'static str>,
    pub(super) request: &'r ChatRequest<'a>,
}

impl<'r, 'a> Edit<'r, 'a> {
    /// Fits a request for legacy completions.
    fn completions(mut self, target: Target<'_>) -> Fitted<'r, 'a> {
        target.all_refused().for_each(|name| self.leave_out(name));
        let stream_options = target.stream_options && !target.refused.contains(&"stream_options");
        let withhold_usage = self.stream(false, stream_options);
        self.fitted(false, withhold_usage)
    }

    /// The body as received, except for the edits so far.
    fn unchanged(self) -> Fitted<'r, 'a> {
        self.fitted(false, false)
    }

    /// Adds the key by which the service finds the cache of the conversation.
    fn cache_key(&mut self, target: Target<'_>) {
        const FIELD: &str = "prompt_cache_key";
        let takes = matches!(self.request.operation(), Operation::Chat | Operation::Responses);
        if let Some(key) = target.cache_key
            && takes
            && !self.given(FIELD)
            && !target.refused.contains(&FIELD)
        {
            self.splice.set(FIELD, quoted(key));
        }
    }

    pub(super) fn fitted(self, restream: bool, withhold_usage: bool) -> Fitted<'r, 'a> {
        let Self { splice, changed, request } = self;
        Fitted { splice, changed, request, restream, withhold_usage }
    }

    /// True if the caller gave the field a value; null counts as none.
    pub(super) fn given(&self, name: &str) -> bool {
        self.request.raw(name).is_some_and(|raw| raw != "null")
    }

    pub(super) fn leave_out(&mut self, name: &'static str) {
        if let Some((outer, inner)) = parts(name) {
            self.leave_out_part(name, outer, inner);
        } else if self.given(name) && !name.contains('.') && self.splice.remove(name) {
            self.changed.push(name);
        }
    }

    /// Leaves out a part of a field; what else the field says stays.
    fn leave_out_part(&mut self, name: &'static str, outer: &'static str, inner: &str) {
        let current = self.splice.current(outer);
        let parsed = current.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
        let Some(mut fields) = parsed else { return };
        if fields.remove(inner).is_some_and(|value| !value.is_null()) {
            self.splice.set(outer, Value::Object(fields).to_string());
            self.changed.push(name);
        }
    }

    pub(super) fn set(&mut self, name: &'static str, json: String) {
        self.splice.set(name, json);
        self.changed.push(name);
    }

    /// Tells that a part of a field was changed.
    pub(super) fn note(&mut self, name: &'static str) {
        self.changed.push(name);
    }

    /// Leaves a field out unless it has been changed already.
    pub(super) fn leave_out_once(&mut self, name: &'static str) {
        if !self.changed.contains(&name) {
            self.leave_out(name);
        }
    }

    /// Asks for a service tier. It is reported with the answer, not as a change: it changes the price and the speed alone. A
    /// request that names none goes in the standard tier as it came.
    fn service_tier(&mut self, tier: ServiceTier) {
        let named = self.request.raw(SERVICE_TIER).and_then(|raw| serde_json::from_str(raw).ok());
        let named = named.and_then(|word: String| ServiceTier::named(&word));
        let online = named.is_none_or(|named| ServiceTier::ONLINE.contains(&named));
        if online && named.unwrap_or_default() != tier {
            self.splice.set(SERVICE_TIER, quoted(tier.as_str()));
        }
    }

    /// Fits the stream fields; true where usage is asked for on our own account.
    pub(super) fn stream(&mut self, restream: bool, stream_options: bool) -> bool {
        if restream {
            self.splice.remove("stream");
            self.splice.remove("stream_options");
            return false;
        }
        if !stream_options {
            self.leave_out("stream_options");
            return false;
        }
        if !self.request.stream() || self.request.include_usage() {
            return false;
        }
        let mut options = self
            .request
            .raw("stream_options")
            .and_then(|raw| serde_json::from_str::<serde_json::Map<_, _>>(raw).ok())
            .unwrap_or_default();
        options.insert("include_usage".to_owned(), serde_json::Value::Bool(true));
        self.splice.set("stream_options", serde_json::Value::Object(options).to_string());
        true
    }
}

#[cfg(test)]
mod tests;
