//! Tests of a connection's state.

use super::*;

const WRITE_IDLE: Duration = Duration::from_secs(60);

fn check(connection: &Connection, expected: Verdict) {
    assert_eq!(connection.check(Instant::now(), WRITE_IDLE), expected);
}

async fn later(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_ten_seconds_for_its_first_head_and_two_minutes_between_requests() {
    let connection = Arc::new(Connection::new(Instant::now(), Arc::default()));
    check(&connection, Verdict::Keep(Instant::now() + FIRST_HEAD));
    later(10).await;
    check(&connection, Verdict::Close);
    let answer = connection.begin(None);
    later(500).await;
    check(&connection, Verdict::Keep(Instant::now() + LOOK));
    assert_eq!(connection.dispensable(), None);
    let since = Instant::now();
    drop(answer);
    assert_eq!(connection.dispensable(), Some((true, since)));
    later(119).await;
    check(&connection, Verdict::Keep(Instant::now() + LOOK));
    later(1).await;
    check(&connection, Verdict::Retire);
}

#[tokio::test(start_paused = true)]
async fn only_a_reader_that_accepts_nothing_is_disconnected() {
    let connection = Arc::new(Connection::new(Instant::now(), Arc::default()));
    let answer = connection.begin(None);
    let piece = answer.hand_over(Bytes::from_static(b"x"));
    later(59).await;
    check(&connection, Verdict::Keep(Instant::now() + LOOK));
    later(1).await;
    check(&connection, Verdict::Close);
    drop(piece);
    answer.reader_is_next(false);
    later(600).await;
    check(&connection, Verdict::Keep(Instant::now() + LOOK));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_reset_alone_before_its_connection_is_closed() {
    let connection = Arc::new(Connection::new(Instant::now(), Arc::default()));
    let reset = Arc::new(Notify::new());
    let answer = connection.begin(Some(Arc::clone(&reset)));
    answer.reader_is_next(true);
    later(60).await;
    check(&connection, Verdict::Keep(Instant::now() + LOOK));
    reset.notified().await;
    later(15).await;
    check(&connection, Verdict::Close);
    drop(answer);
    check(&connection, Verdict::Keep(Instant::now() + LOOK));
}
