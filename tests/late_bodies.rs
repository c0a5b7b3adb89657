//! A refusal decided from the head alone: a client that sends its body a moment later reads it, and
//! the connection stays usable.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::keys::{key, with_keys};
use crate::support::{Bench, Layout};

const BODY: &[u8] = br#"{"model":"chat","messages":[]}"#;

/// Sends bytes and reads what comes back at once.
async fn exchanged(socket: &mut TcpStream, sent: &[u8]) -> String {
    socket.write_all(sent).await.unwrap();
    let mut read = vec![0; 4096];
    let count = timeout(Duration::from_secs(10), socket.read(&mut read)).await.unwrap().unwrap();
    String::from_utf8_lossy(&read[..count]).into_owned()
}

/// Sends a head and later its body, then a second request over the same connection.
async fn check(bench: &Bench, first_line: &str, header: &str, status: &str) {
    let address = bench.server.addr();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let head = format!(
        "{first_line} HTTP/1.1\r\nhost: {address}\r\n{header}content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // Long enough for a router that answers by the head alone to close the connection.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = exchanged(&mut socket, BODY).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{first_line} {header}: {answer}");
    let next = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let next = exchanged(&mut socket, next.as_bytes()).await;
    assert!(next.starts_with("HTTP/1.1 200 "), "{first_line}: {next}");
}

#[tokio::test]
async fn a_client_that_sends_its_body_later_reads_the_refusal() {
    let bench = Layout::pair().start().await;
    check(&bench, "POST /v1/nothing", "", "404").await;
    check(&bench, "DELETE /v1/models/chat", "", "405").await;
    check(&bench, "POST /v1/chat/completions", "origin: http://other.example.com\r\n", "403").await;
    check(&bench, "POST /v1/chat/completions", "x-router-task: other\r\n", "400").await;
    let bench = with_keys(Layout::pair(), &["team"]).start().await;
    check(&bench, "POST /v1/chat/completions", "authorization: Bearer other\r\n", "401").await;
    let known = format!("authorization: Bearer {}\r\n", key("team"));
    check(&bench, "POST /v1/nothing", &known, "404").await;
}
