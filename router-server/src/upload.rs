//! Receives a request's body, within the configured length and rate, and within the memory budget
//! of all bodies.
//!
//! Memory grows with the bytes that have arrived; an announced length reserves none. The content is
//! not inspected here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use router_core::memory::Held;
use tokio::time::{Instant, timeout_at};

use crate::problem::Problem;

/// Over how long the rate of a body is measured. The first byte has as long.
const PERIOD: Duration = Duration::from_secs(10);
/// The least growth of a buffer that a body outgrows.
const STEP: usize = 64 << 10;

/// The limits of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadLimits {
    /// The longest body, in bytes.
    pub(crate) most: usize,
    /// The slowest rate, in bytes per second.
    pub(crate) bytes_per_second: usize,
}

/// The length that a head announces; zero if it announces none.
pub(crate) fn announced(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

/// Receives a body whose bytes are held of a budget.
pub(crate) async fn receive(
    body: Body,
    announced: usize,
    limits: UploadLimits,
    held: &Arc<Held>,
) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let least = limits.bytes_per_second.saturating_mul(10);
    let (mut period, mut before) = (Instant::now() + PERIOD, 0);
    let mut whole: Vec<u8> = Vec::new();
    loop {
        let Ok(next) = timeout_at(period, chunks.next()).await else {
            if whole.len() - before < least {
                return Err(Problem::body_missing());
            }
            (period, before) = (period + PERIOD, whole.len());
            continue;
        };
        let Some(chunk) = next else { return Ok(whole.into()) };
        let chunk = chunk.map_err(|_| Problem::body_missing())?;
        let needed = whole.len() + chunk.len();
        if needed > limits.most {
            return Err(Problem::too_large(limits.most));
        }
        if needed > whole.capacity() {
            // Twice of what has arrived, and never more than was announced.
            let larger = needed.max(whole.len().saturating_mul(2).max(STEP));
            let larger = if announced >= needed { larger.min(announced) } else { larger };
            held.grow(larger - whole.capacity()).map_err(|_| Problem::overloaded())?;
            whole.reserve_exact(larger - whole.len());
        }
        whole.extend_from_slice(&chunk);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use router_core::memory::Budget;

    use super::*;

    const LIMITS: UploadLimits = UploadLimits { most: 100, bytes_per_second: 2 };

    async fn check(body: Body, announced: usize, expected: Result<usize, Problem>) {
        let budget = Arc::new(Budget::new(1 << 20));
        let held = Arc::new(budget.holder());
        let found = receive(body, announced, LIMITS, &held).await.map(|body| body.len());
        assert_eq!(found, expected);
    }

    /// So many bytes every so many seconds.
    fn dripping(bytes: usize, seconds: u64, times: usize) -> Body {
        let drops = stream::iter(0..times).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes]))
        });
        Body::from_stream(drops)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_received_up_to_the_limit_and_not_further() {
        check(Body::from("12345"), 0, Ok(5)).await;
        check(Body::from("12345"), 5, Ok(5)).await;
        check(Body::from(vec![b'x'; 101]), 0, Err(Problem::too_large(100))).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_flowing_may_take_as_long_as_it_takes_and_one_that_stops_may_not() {
        check(dripping(10, 4, 10), 0, Ok(100)).await;
        check(dripping(1, 4, 20), 0, Err(Problem::body_missing())).await;
        check(
            Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()),
            50,
            Err(Problem::body_missing()),
        )
        .await;
        let began = Instant::now();
        let stops = dripping(90, 1, 1).into_data_stream().chain(stream::pending());
        check(Body::from_stream(stops), 0, Err(Problem::body_missing())).await;
        assert!(began.elapsed() < 2 * PERIOD + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn twenty_megabytes_that_flow_for_sixty_seven_seconds_are_received_whole() {
        let held = Arc::new(Arc::new(Budget::new(64 << 20)).holder());
        let limits = UploadLimits { most: 32 << 20, bytes_per_second: 1_024 };
        let began = Instant::now();
        let upload = dripping(300_000, 1, 67);
        let body = receive(upload, 67 * 300_000, limits, &held).await.unwrap();
        assert_eq!((body.len(), began.elapsed().as_secs()), (20_100_000, 67));
    }

    /// Otherwise many large bodies at once would refuse each other to the last one.
    #[tokio::test(start_paused = true)]
    async fn a_refused_body_gives_its_memory_back_before_its_rest_arrives() {
        let budget = Arc::new(Budget::new(200 << 10));
        let held = Arc::new(budget.holder());
        let limits = UploadLimits { most: 1 << 30, bytes_per_second: 1 };
        let large =
            Body::from_stream(dripping(90 << 10, 1, 3).into_data_stream().chain(stream::pending()));
        let began = Instant::now();
        // The third part does not fit.
        assert_eq!(receive(large, 0, limits, &held).await, Err(Problem::overloaded()));
        assert_eq!(began.elapsed().as_secs(), 3);
        drop(held);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_taken_for_what_arrives_and_not_for_what_is_announced() {
        let budget = Arc::new(Budget::new(1 << 20));
        let held = Arc::new(budget.holder());
        let limits = UploadLimits { most: 1 << 30, bytes_per_second: 1 };
        let body = receive(dripping(1_000, 1, 3), 1 << 29, limits, &held).await.unwrap();
        assert_eq!(body.len(), 3_000);
        assert!((3_000..=2 * STEP).contains(&budget.held()), "{}", budget.held());
        let more = Arc::new(budget.holder());
        let refused = receive(Body::from(vec![b'x'; 1 << 20]), 0, limits, &more).await;
        assert_eq!(refused, Err(Problem::overloaded()));
        drop((held, more));
        assert_eq!(budget.held(), 0);
    }
}
