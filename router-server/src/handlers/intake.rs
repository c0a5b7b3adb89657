//! Admits a request: first by its head (type, length, the key's rate and slots), then its body
//! (JSON, or a form on passed-through paths), then a slot of the router and one of its key.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use router_core::chat::Operation;
use router_core::ledger::Slot;
use router_core::memory::{Held, Share};
use router_core::router::ChatCall;
use tokio::time::Instant;

use crate::app_state::AppState;
use crate::auth;
use crate::problem::Problem;
use crate::server_state::Permit;
use crate::upload;
use crate::upload::UploadLimits;

/// UTF-8's, which some editors and libraries put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The parts of a request's path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    /// The deployment that it names.
    pub(crate) model: Option<String>,
    /// The path below the API's base, where it is passed through.
    pub(crate) passed: Option<Arc<str>>,
}

/// The slots that a request holds: one of the router and, with a key, one of the key. They travel with the response and are
/// free when its last byte is in the socket.
#[derive(Debug, Clone)]
pub(crate) struct Occupied {
    _permit: Arc<Permit>,
    _slot: Option<Arc<Slot>>,
}

impl Occupied {
    pub(crate) fn new(permit: Permit, slot: Option<Slot>) -> Self {
        Self { _permit: Arc::new(permit), _slot: slot.map(Arc::new) }
    }
}

/// Takes a request in, whatever path it came by.
pub(crate) async fn call(
    shared: &AppState,
    request: Request,
    asked: Asked,
) -> Result<(ChatCall, Occupied), Problem> {
    let (parts, body) = request.into_parts();
    let mut call = by_head(shared, parts, asked)?;
    let share = call.entry.as_ref().and_then(|entry| Some(&entry.memory()?.bodies));
    let (bytes, held) = received(shared, &call.headers, body, share).await?;
    (call.body, call.held) = (bytes, Some(held));
    let Some(permit) = shared.admit() else { return Err(Problem::overloaded()) };
    let slot = shared.router.occupy(&call);
    let slot = slot.map_err(|error| Problem::of(&error, shared.expose))?;
    // The clock starts when the request is here: a slow line of the caller's is not our time.
    call.received = Instant::now();
    Ok((call, Occupied::new(permit, slot)))
}

/// The call as its head describes it, without the body.
fn by_head(shared: &AppState, parts: Parts, asked: Asked) -> Result<ChatCall, Problem> {
    let bearer = auth::bearer(&parts.extensions)?;
    let mut call = ChatCall {
        operation: asked.operation,
        headers: parts.headers,
        path_model: asked.model,
        caller: bearer.caller.clone(),
        rights: Arc::clone(&bearer.rights),
        allowance: bearer.allowance,
        passed: asked.passed,
        disclosure: parts.extensions.get().cloned().unwrap_or_default(),
        ..ChatCall::of_body(Bytes::new())
    };
    check_type(&call.headers, asked.operation, shared.keyring.asks())?;
    check_length(shared, &call.headers)?;
    if !shared.has_room() {
        return Err(Problem::overloaded());
    }
    let entered = shared.router.enter(&mut call, shared.share);
    entered.map_err(|error| Problem::of(&error, shared.expose))?;
    Ok(call)
}

/// Receives a body within the bounds of memory and rate; the room that it takes is given back with the second value. `share`
/// is what the caller's key holds, if it may hold only a share.
pub(super) async fn received(
    shared: &AppState,
    headers: &HeaderMap,
    body: Body,
    share: Option<&Arc<Share>>,
) -> Result<(Bytes, Arc<Held>), Problem> {
    let limits = UploadLimits {
        most: shared.max_body_bytes,
        bytes_per_second: shared.min_upload_bytes_per_second,
    };
    let held = Arc::new(shared.process.bounds.bodies.holder_of(share));
    let announced = upload::announced(headers);
    let mut body = upload::receive(body, announced, limits, &held).await?;
    if body.starts_with(BYTE_ORDER_MARK) {
        body.advance(BYTE_ORDER_MARK.len());
    }
    Ok((body, held))
}

pub(super) fn check_length(shared: &AppState, headers: &HeaderMap) -> Result<(), Problem> {
    let most = shared.max_body_bytes;
    if upload::announced(headers) > most { Err(Problem::too_large(most)) } else { Ok(()) }
}

/// JSON, or, where callers show a key, nothing said: curl without a header sends `application/x-www-form-urlencoded`, which
/// says as little. Without keys the type must be declared, because a browser sends any site's `text/plain` unasked.
pub(super) fn check_type(
    headers: &HeaderMap,
    operation: Operation,
    keyed: bool,
) -> Result<(), Problem> {
    let said = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim());
    let encoded = said(CONTENT_ENCODING).is_some_and(|word| !word.eq_ignore_ascii_case("identity"));
    if encoded {
        return Err(Problem::encoded());
    }
    let Some(kind) = said(CONTENT_TYPE) else {
        return if keyed { Ok(()) } else { Err(Problem::not_json()) };
    };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Plain text is what `fetch` says of any string.
    let unsaid = matches!(kind.as_str(), "" | "text/plain" | "application/x-www-form-urlencoded");
    let json = (unsaid && keyed)
        || matches!(kind.as_str(), "application/json" | "text/json")
        || (kind.starts_with("application/") && kind.ends_with("+json"))
        || (operation.is_passed() && kind == "multipart/form-data");
    if json { Ok(()) } else { Err(Problem::not_json()) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(name: http::HeaderName, value: &'static str, taken: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(check_type(&headers, Operation::Chat, true).is_ok(), taken, "{value}");
    }

    #[test]
    fn json_in_all_its_spellings_is_taken() {
        check(CONTENT_TYPE, "application/json", true);
        check(CONTENT_TYPE, "Application/JSON; charset=utf-8", true);
        check(CONTENT_TYPE, "application/vnd.api+json", true);
        check(CONTENT_TYPE, "application/x-www-form-urlencoded", true);
        check(CONTENT_TYPE, "multipart/form-data; boundary=x", false);
        check(CONTENT_TYPE, "text/plain;charset=UTF-8", true);
        check(CONTENT_TYPE, "text/html", false);
        check(CONTENT_ENCODING, "identity", true);
        check(CONTENT_ENCODING, "gzip", false);
        assert!(check_type(&HeaderMap::new(), Operation::Chat, true).is_ok());
        let form = HeaderValue::from_static("multipart/form-data; boundary=x");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, form)]);
        assert!(check_type(&headers, Operation::Passed(None), true).is_ok());
        assert!(check_type(&headers, Operation::Passed(None), false).is_ok());
    }

    #[test]
    fn without_keys_the_type_must_be_declared() {
        for (kind, taken) in [
            ("application/json; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(check_type(&headers, Operation::Chat, false).is_ok(), taken, "{kind}");
        }
        assert!(check_type(&HeaderMap::new(), Operation::Chat, false).is_err());
    }
}
