//! Collections of stored objects: chat completions, conversations, and what config passes through. Creates an object where
//! the caller may, lists what is the caller's, and keeps bodies from naming what is another's.
//!
//! An object belongs to the key that created it. Calls of one object are led to its deployment in `stored_call.rs`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::chat::ChatRequest;
use crate::chat::Operation;
use crate::decision::Refusal;
use crate::decision::residency_of;
use crate::deployment::Deployment;
use crate::error::RouteError;
use crate::fallback::Step;
use crate::policy::Hints;
use crate::response::Body;
use crate::response::Response;
use crate::stored::Collection;
use crate::stored::Holder;
use crate::stored::Stored;
use crate::stored::UnknownResponse;
use crate::task::Task;
use crate::upstream::Upstream;

use super::call::StoredCall;
use super::model_router::ModelRouter;
use super::stored_call::unknown;
use super::unknown::places_of;

/// The most pages of one endpoint that are read for one page of the caller's.
const MOST_PAGES: usize = 10;

impl<U: Upstream> ModelRouter<U> {
    /// One deployment of each endpoint that can have objects of the collection, those of the chat role's models first.
    pub(super) fn places(&self, call: &StoredCall, hints: &Hints) -> Vec<Arc<Deployment>> {
        let rules = self.rules();
        let objects = self.fallback().limits().objects_endpoint.as_ref();
        let mut places = places_of(rules, &call.rights, hints, |deployment| {
            let abilities = &deployment.model.abilities;
            match &call.collection {
                Collection::Responses | Collection::Conversations => {
                    abilities.responses && deployment.api.serves_responses()
                }
                Collection::ChatCompletions => abilities.chat_completions,
                Collection::PassedThrough(_) => Some(&deployment.endpoint) == objects,
            }
        });
        let models = &rules.policy.role(Task::Chat).models;
        places.sort_by_key(|place| !models.contains(&place.model.name));
        places
    }

    /// Creates an object or lists those of the caller.
    pub(super) async fn of_collection(
        &self,
        call: &StoredCall,
        hints: &Hints,
        trail: &mut Vec<Step>,
    ) -> Result<Response, RouteError> {
        let places = self.places(call, hints);
        if call.method == Method::GET {
            return self.listed(call, hints, &places, trail).await;
        }
        let Some(place) = places.first() else { return Err(self.nowhere(call, hints)) };
        let response = self.stored_at(call, hints, place, trail).await?;
        if let (true, Body::Full(body)) = (response.status.is_success(), &response.body) {
            for id in ids_of_created(body) {
                self.stored_responses().remember(&id, &place.name, &call.caller);
            }
        }
        Ok(response)
    }

    /// No endpoint may store it: the residency leaves none, or none serves it.
    fn nowhere(&self, call: &StoredCall, hints: &Hints) -> RouteError {
        let residency = residency_of(&self.rules().policy, &call.rights, hints);
        if residency.is_bound() {
            let models = call.collection.path().to_owned();
            return Refusal::Residency { models, residency }.into();
        }
        unknown(call).into()
    }

    /// Lists endpoint after endpoint. Whoever shows a key sees its own objects alone.
    async fn listed(
        &self,
        call: &StoredCall,
        hints: &Hints,
        places: &[Arc<Deployment>],
        trail: &mut Vec<Step>,
    ) -> Result<Response, RouteError> {
        let after = parameter(&call.rest, "after");
        let owner = after.as_deref().and_then(|id| self.stored_responses().owner(id, &call.caller));
        let first = owner.and_then(|owner| {
            let endpoint = self.rules().catalog.deployment(owner.as_str())?.endpoint.clone();
            places.iter().position(|place| place.endpoint == endpoint)
        });
        let first = first.unwrap_or(0);
        for (at, place) in places.iter().enumerate().skip(first) {
            let last_place = at + 1 == places.len();
            let mut page_call = call.clone();
            if at > first {
                page_call.rest = with_after(&call.rest, None);
            }
            for _ in 0..MOST_PAGES {
                let mut page = self.stored_at(&page_call, hints, place, trail).await?;
                let Body::Full(body) = &page.body else { return Ok(page) };
                let Some(list) = List::read(body).filter(|_| page.status.is_success()) else {
                    return Ok(page);
                };
                let next = list.next.clone();
                let kept = list.kept(|id| self.is_own(id, call), !last_place);
                if !kept.is_empty || (next.is_none() && last_place) {
                    page.body = Body::Full(kept.body);
                    return Ok(page);
                }
                let Some(next) = next else { break };
                page_call.rest = with_after(&call.rest, Some(&next));
            }
        }
        let empty = json!({"object": "list", "data": [], "has_more": false});
        let (status, headers) = (StatusCode::OK, json_headers());
        Ok(Response { status, headers, body: Body::Full(empty.to_string().into()) })
    }

    fn is_own(&self, id: &str, call: &StoredCall) -> bool {
        let holder = self.stored_responses().holder(id, &call.caller);
        matches!(holder, Holder::Caller(_))
            || (call.caller.name().is_none() && holder == Holder::Unknown)
    }

    /// Fails if a body is not JSON or a form, has a field that the key may not send, or names objects of another key. A form is
    /// written again from its fields.
    pub(super) fn check_body(&self, call: &mut StoredCall) -> Result<(), RouteError> {
        if call.body.is_empty() {
            return Ok(());
        }
        let form = call.content_type.as_ref().and_then(|kind| kind.to_str().ok());
        let form = form.filter(|kind| kind.to_ascii_lowercase().starts_with("multipart/"));
        let operation = Operation::Passed(None);
        let body = call.body.clone();
        if let Some(form) = form {
            let request = ChatRequest::read_form(operation, form, &body)?;
            call.rights.check_fields(&request)?;
            call.content_type = request.form_content_type();
            call.body = request.form_written().unwrap_or_default();
            return Ok(());
        }
        let request = ChatRequest::read(operation, &body)?;
        call.rights.check_fields(&request)?;
        if call.caller.name().is_none() {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let mut named = Vec::new();
        named_objects(&body, &mut named);
        for (id, what) in named {
            if !matches!(self.stored_responses().holder(&id, &call.caller), Holder::Caller(_)) {
                return Err(UnknownResponse { id, what }.into());
            }
        }
        Ok(())
    }
}

fn json_headers() -> http::HeaderMap {
    let json = http::HeaderValue::from_static("application/json");
    http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)])
}

/// The ids of an object that was created, and of the file that came of an upload.
fn ids_of_created(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let ids = [body.get("id"), body.get("file").and_then(|file| file.get("id"))];
    ids.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Objects that a body refers to: items by reference, files and vector stores.
fn named_objects(value: &Value, found: &mut Vec<(String, Stored)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| named_objects(item, found)),
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "item_reference")
                && let Some(id) = fields.get("id").and_then(Value::as_str)
            {
                found.push((id.to_owned(), Stored::Item));
            }
            for (name, inside) in fields {
                let ids: Vec<&str> = match (name.as_str(), inside) {
                    ("file_id" | "vector_store_id", Value::String(id)) => vec![id],
                    ("file_ids" | "vector_store_ids", Value::Array(ids)) => {
                        ids.iter().filter_map(Value::as_str).collect()
                    }
                    _ => {
                        named_objects(inside, found);
                        continue;
                    }
                };
                found.extend(ids.into_iter().map(|id| (id.to_owned(), Stored::Object)));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A page of an upstream's list.
struct List {
    body: Value,
    /// The id after which the next page begins; `None` on the last one.
    next: Option<String>,
}

/// The rest of a page.
struct Kept {
    body: Bytes,
    is_empty: bool,
}

impl List {
    fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let data = body.get("data")?.as_array()?;
        let more = body.get("has_more").and_then(Value::as_bool).unwrap_or(false);
        let last = data.last().and_then(|item| item.get("id")).and_then(Value::as_str);
        let next = last.filter(|_| more).map(str::to_owned);
        Some(Self { body, next })
    }

    /// The page with the objects that pass; `more` if another endpoint follows.
    fn kept(mut self, passes: impl Fn(&str) -> bool, more: bool) -> Kept {
        let more = more || self.next.is_some();
        let mut is_empty = true;
        if let Value::Object(fields) = &mut self.body {
            let mut ends = [Value::Null, Value::Null];
            if let Some(Value::Array(data)) = fields.get_mut("data") {
                data.retain(|item| item.get("id").and_then(Value::as_str).is_some_and(&passes));
                is_empty = data.is_empty();
                let id = |item: Option<&Value>| item.and_then(|item| item.get("id")).cloned();
                ends = [id(data.first()), id(data.last())].map(Option::unwrap_or_default);
            }
            for (name, value) in ["first_id", "last_id"].into_iter().zip(ends) {
                if fields.contains_key(name) {
                    fields.insert(name.to_owned(), value);
                }
            }
            fields.insert("has_more".to_owned(), more.into());
        }
        Kept { body: self.body.to_string().into(), is_empty }
    }
}

/// A parameter of the query.
fn parameter(rest: &str, name: &str) -> Option<String> {
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let found = form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}

/// The same query with another `after`, or without one.
fn with_after(rest: &str, after: Option<&str>) -> String {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut written = form_urlencoded::Serializer::new(String::new());
    for (name, value) in
        form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "after")
    {
        written.append_pair(&name, &value);
    }
    if let Some(after) = after {
        written.append_pair("after", after);
    }
    format!("{path}?{}", written.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_what_passes_and_says_whether_more_follows() {
        let body = br#"{"object":"list","data":[{"id":"a"},{"id":"b"},{"id":"c"}],"first_id":"a","last_id":"c","has_more":true}"#;
        let list = List::read(body).unwrap();
        assert_eq!(list.next.as_deref(), Some("c"));
        let kept = list.kept(|id| id == "b", false);
        let value: Value = serde_json::from_slice(&kept.body).unwrap();
        assert!(!kept.is_empty);
        assert_eq!(
            value,
            json!({"object":"list","data":[{"id":"b"}],"first_id":"b","last_id":"b","has_more":true})
        );
        assert!(List::read(b"{}").is_none());
    }

    #[test]
    fn objects_of_a_body_are_found_at_any_depth() {
        let body = json!({"items": [{"type": "item_reference", "id": "msg_1"}],
            "tools": [{"vector_store_ids": ["vs_1"]}], "file_ids": ["file_1"], "x": {"file_id": "file_2"}});
        let mut found = Vec::new();
        named_objects(&body, &mut found);
        let mut ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["file_1", "file_2", "msg_1", "vs_1"]);
    }

    #[test]
    fn pages_follow_by_their_last_id() {
        assert_eq!(with_after("?limit=2&after=a", Some("b c")), "?limit=2&after=b+c");
        assert_eq!(with_after("?after=a", None), "?");
        assert_eq!(parameter("?limit=2&after=x", "after").as_deref(), Some("x"));
    }
}
