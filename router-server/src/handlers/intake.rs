//! Takes a request's body in: JSON (or, where it is passed through, a form), not compressed, no longer than config allows,
//! and whole within a minute.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use router_core::chat::Operation;
use router_core::router::{ChatCall, Disclosure};
use tokio::time::{Instant, timeout};

use crate::gate;
use crate::problem::Problem;

/// A caller that takes longer to send its body holds room that others wait for.
const LONGEST_UPLOAD: Duration = Duration::from_secs(60);
/// UTF-8's, which some editors and libraries put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// How long what is refused is read on.
const LINGER: Duration = Duration::from_secs(2);

/// What the path of a request says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    /// The deployment that it names.
    pub(crate) model: Option<String>,
    /// The path below the API's base, where it is passed through.
    pub(crate) passed: Option<Arc<str>>,
}

/// Reads a request, whatever path it came by.
pub(crate) async fn call(request: Request, asked: Asked, most: usize) -> Result<ChatCall, Problem> {
    let (parts, body) = request.into_parts();
    let bearer = gate::bearer(&parts.extensions)?;
    check_type(&parts.headers, asked.operation)?;
    let body = timeout(LONGEST_UPLOAD, read(body, announced(&parts.headers), most)).await;
    let mut body = body.map_err(|_| Problem::body_missing())??;
    if body.starts_with(BYTE_ORDER_MARK) {
        body.advance(BYTE_ORDER_MARK.len());
    }
    // The clock starts when the request is here: a slow line of the caller's is not our time.
    Ok(ChatCall {
        operation: asked.operation,
        body,
        headers: parts.headers,
        path_model: asked.model,
        received: Instant::now(),
        caller: bearer.caller.clone(),
        rights: Arc::clone(&bearer.rights),
        allowance: bearer.allowance,
        passed: asked.passed,
        span: None,
        disclosure: Disclosure::default(),
    })
}

/// JSON, or nothing said: curl without a header sends `application/x-www-form-urlencoded`, which says as little.
fn check_type(headers: &HeaderMap, operation: Operation) -> Result<(), Problem> {
    let said = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim());
    let encoded = said(CONTENT_ENCODING).is_some_and(|word| !word.eq_ignore_ascii_case("identity"));
    if encoded {
        return Err(Problem::encoded());
    }
    let Some(kind) = said(CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Plain text is what `fetch` says of any string.
    let json = matches!(kind.as_str(), "" | "application/json" | "text/json" | "text/plain")
        || kind == "application/x-www-form-urlencoded"
        || (kind.starts_with("application/") && kind.ends_with("+json"))
        || (operation == Operation::Passed && kind == "multipart/form-data");
    if json { Ok(()) } else { Err(Problem::not_json()) }
}

fn announced(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

/// The body; keeps no more than the limit, whatever length was announced.
async fn read(body: Body, announced: usize, most: usize) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let kept = if announced > most { None } else { keep(&mut chunks, announced, most).await? };
    if kept.is_none() {
        drop(timeout(LINGER, discard(chunks, most.saturating_mul(2))).await);
    }
    kept.ok_or_else(|| Problem::too_large(most))
}

/// All chunks; `None` where they are more than the limit.
async fn keep(
    chunks: &mut BodyDataStream,
    announced: usize,
    most: usize,
) -> Result<Option<Bytes>, Problem> {
    let mut whole = BytesMut::with_capacity(announced);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::body_missing())?;
        if whole.len() + chunk.len() > most {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole.freeze()))
}

/// Many clients read no answer before they have sent all: a connection closed under their hands looks like a fault of
/// the network, and they send it all again. So a body somewhat too long is let in and thrown away.
async fn discard(mut chunks: BodyDataStream, most: usize) {
    let mut seen = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        seen += chunk.len();
        if seen > most {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(name: http::HeaderName, value: &'static str, taken: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(check_type(&headers, Operation::Chat).is_ok(), taken, "{value}");
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
        assert!(check_type(&HeaderMap::new(), Operation::Chat).is_ok());
        let form = HeaderValue::from_static("multipart/form-data; boundary=x");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, form)]);
        assert!(check_type(&headers, Operation::Passed).is_ok());
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_not_further() {
        let whole = read(Body::from("12345"), 0, 5).await.unwrap();
        assert_eq!(whole, "12345");
        assert_eq!(read(Body::from("123456"), 0, 5).await, Err(Problem::too_large(5)));
        assert_eq!(read(Body::from("1"), 6, 5).await, Err(Problem::too_large(5)));
    }
}
