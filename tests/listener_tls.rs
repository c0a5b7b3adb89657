//! A TLS listener: both versions of HTTP, client certificates, and files that change while it runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use azure_emulator::Step;
use reqwest::{Certificate, Client, Identity, Version};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::tls::{Authority, Files, Pair};
use crate::support::{Bench, Layout, PATIENCE, checked, question};

/// A router with a certificate, and who made it.
struct Secured {
    authority: Authority,
    files: Files,
    pair: Pair,
    layout: Layout,
}

impl Secured {
    fn new() -> Self {
        let (authority, files) = (Authority::new(), Files::new());
        let pair = authority.pair();
        let certificate = files.write("tls.crt", &pair.certificate);
        let key = files.write("tls.key", &pair.key);
        let layout = Layout::pair()
            .text("server.tls.certificate", certificate.to_str().unwrap())
            .text("server.tls.key", key.to_str().unwrap());
        Self { authority, files, pair, layout }
    }

    fn client(&self) -> reqwest::ClientBuilder {
        let authority = Certificate::from_pem(self.authority.pem().as_bytes()).unwrap();
        Client::builder().timeout(PATIENCE).tls_certs_only([authority])
    }

    /// Both sides, and a caller that believes the authority.
    async fn start(&self) -> Bench {
        let mut bench = self.layout.clone().start().await;
        bench.client = self.client().build().unwrap();
        bench
    }

    /// The files as the router would read them now.
    fn reload(&self, bench: &Bench) -> Result<(), String> {
        let config = checked(&self.layout.toml(bench.emulator.url()));
        bench.server.reload(config).map_err(|fault| fault.to_string())
    }

    /// The TLS configuration of callers that trust the authority.
    fn client_config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let authority = self.authority.pem();
        roots
            .add(rustls::pki_types::pem::PemObject::from_pem_slice(authority.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    /// A connection of its own.
    async fn connect(&self, bench: &Bench) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(bench.server.addr()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(self.client_config()).connect(name, stream).await.unwrap()
    }

    /// The first message of a handshake.
    fn hello(&self) -> Vec<u8> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = rustls::ClientConnection::new(self.client_config(), name).unwrap();
        let mut hello = Vec::new();
        connection.write_tls(&mut hello).unwrap();
        hello
    }
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// The status of a path, asked on a connection that stays open.
async fn asked_on(stream: &mut TlsStream<TcpStream>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = vec![0; 4_096];
    let count = timeout(PATIENCE, stream.read(&mut read)).await.unwrap().unwrap();
    String::from_utf8_lossy(&read[..count]).lines().next().unwrap_or_default().to_owned()
}

async fn status(client: &Client, bench: &Bench, version: Version, body: &Value) -> u16 {
    let url = bench.url("/v1/chat/completions");
    let response = client.post(url).version(version).json(body).send().await.unwrap();
    assert_eq!(response.version(), version);
    response.status().as_u16()
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let secured = Secured::new();
    let bench = secured.start().await;
    assert!(bench.server.url().starts_with("https://"));
    for streamed in [false, true] {
        let answer = bench.ask_in_form("gpt-4o", streamed).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let body = question("gpt-4o", json!({}));
    assert_eq!(status(&bench.client, &bench, Version::HTTP_2, &body).await, 200);
    let old = secured.client().http1_only().build().unwrap();
    assert_eq!(status(&old, &bench, Version::HTTP_11, &body).await, 200);
}

#[tokio::test]
async fn plain_http_is_not_answered() {
    let bench = Secured::new().start().await;
    let plain = format!("http://{}/healthz", bench.server.addr());
    assert!(bench.client.get(plain).send().await.is_err());
    assert_eq!(bench.get("/healthz").await.status, 200, "and harms nobody");
}

#[tokio::test]
async fn a_changed_pair_serves_the_next_handshake_and_cuts_no_connection() {
    let secured = Secured::new();
    let bench = secured.start().await;
    let mut open = secured.connect(&bench).await;
    assert_eq!(shown(&open), secured.pair.chain()[0]);
    let next = secured.authority.pair();
    // A stream that is under way ends under the old pair.
    bench.emulator.script(
        "chat_ptu",
        Step::normal().text("one two").pause_after(1, Duration::from_millis(200)),
    );
    let stream = async { bench.ask_in_form("gpt-4o", true).await };
    let change = async {
        assert!(bench.emulator.wait_for(|entries| !entries.is_empty(), PATIENCE).await);
        secured.files.write("tls.crt", &next.certificate);
        secured.files.write("tls.key", &next.key);
        secured.reload(&bench).unwrap();
    };
    let expires = "model_router_tls_certificate_expires_timestamp_seconds";
    // 4096-01-01, which is what certificates of these tests end at.
    assert!((bench.metric(expires).await - 67_090_118_400.0).abs() < 1.0);
    let (answer, ()) = tokio::join!(stream, change);
    assert!(answer.text.contains("[DONE]"), "{}", answer.text);
    assert_eq!(shown(&secured.connect(&bench).await), next.chain()[0]);
    assert_eq!(asked_on(&mut open, "/healthz").await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_broken_pair_keeps_the_last_good_one() {
    let secured = Secured::new();
    let bench = secured.start().await;
    let other = secured.authority.pair();
    for (name, text, expected) in [
        ("tls.key", &*other.key, "server.tls.key: {path} does not fit "),
        (
            "tls.key",
            "",
            "server.tls.key: {path} must hold a private key without a password in PEM form, found none",
        ),
        (
            "tls.crt",
            &other.key,
            "server.tls.certificate: {path} must hold a certificate in PEM form, found none",
        ),
    ] {
        let path = secured.files.write(name, text);
        let fault = secured.reload(&bench).unwrap_err();
        assert!(fault.starts_with(&expected.replace("{path}", path.to_str().unwrap())), "{fault}");
        assert!(!fault.contains("-----"), "{fault}");
        assert_eq!(shown(&secured.connect(&bench).await), secured.pair.chain()[0]);
        assert!(bench.metric("model_router_config_last_reload_successful").await < 0.5);
        secured.files.write("tls.crt", &secured.pair.certificate);
        secured.files.write("tls.key", &secured.pair.key);
        secured.reload(&bench).unwrap();
        assert!(bench.metric("model_router_config_last_reload_successful").await > 0.5);
    }
}

#[tokio::test]
async fn the_files_are_followed_without_being_asked() {
    let secured = Secured::new();
    let emulator = azure_emulator::Emulator::start(azure_emulator::Settings::new()).await.unwrap();
    let layout = secured.layout.clone().set("server.watch_ms", 20);
    let file = secured.files.write("router.toml", &layout.toml(emulator.url()));
    let config = checked(&layout.toml(emulator.url()));
    let files = router_server::Follow::new(&[file]).unwrap().with_files_of(&config);
    let server = router_server::start(&config).await.unwrap();
    let mut bench = Bench::new(emulator, server);
    bench.client = secured.client().build().unwrap();
    let next = secured.authority.pair();
    let taken = async {
        secured.files.write("tls.crt", &next.certificate);
        secured.files.write("tls.key", &next.key);
        let until = Instant::now() + PATIENCE;
        while shown(&secured.connect(&bench).await) != next.chain()[0] {
            assert!(Instant::now() < until, "the new pair is not taken");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = taken => {}
        () = bench.server.follow(files) => panic!("it follows for as long as it is awaited"),
    }
}

#[tokio::test]
async fn callers_show_certificates_where_they_must() {
    let secured = Secured::new();
    let callers = Authority::new();
    let path = secured.files.write("callers.pem", &callers.pem());
    let layout = secured.layout.clone().text("server.tls.client_ca", path.to_str().unwrap());
    let bench = layout.start().await;
    let as_caller = |pair: &Pair| {
        let identity = format!("{}{}", pair.certificate, pair.key);
        let identity = Identity::from_pem(identity.as_bytes()).unwrap();
        secured.client().identity(identity).build().unwrap()
    };
    let known = as_caller(&callers.pair()).get(bench.url("/healthz")).send().await.unwrap();
    assert_eq!(known.status().as_u16(), 200);
    for stranger in [secured.client().build().unwrap(), as_caller(&secured.authority.pair())] {
        assert!(stranger.get(bench.url("/healthz")).send().await.is_err());
    }
}

#[tokio::test]
async fn files_that_cannot_serve_are_told_before_anything_listens() {
    let secured = Secured::new();
    let start = |key: &str, path: &Path| {
        let layout = secured.layout.clone().text(key, path.to_str().unwrap());
        let config = checked(&layout.toml("http://127.0.0.1:1"));
        async move { router_server::start(&config).await.unwrap_err().to_string() }
    };
    let missing = secured.files.write("tls.key", "").with_file_name("missing");
    let fault = start("server.tls.certificate", &missing).await;
    assert!(
        fault.starts_with("server.tls.certificate: ") && fault.contains("cannot be read"),
        "{fault}"
    );
    let empty = secured.files.write("empty", "nothing");
    let expected = "must hold authorities' certificates in PEM form, found none";
    secured.files.write("tls.key", &secured.pair.key);
    let fault = start("server.tls.client_ca", &empty).await;
    assert!(fault.starts_with("server.tls.client_ca: ") && fault.ends_with(expected), "{fault}");
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_closed_with_the_time_for_the_first_head() {
    let secured = Secured::new();
    let bench = secured.start().await;
    let hello = secured.hello();
    // Nothing, one byte, half of the first message, and all of it without what follows the answer.
    let starts = [&[][..], &hello[..1], &hello[..hello.len() / 2], &hello];
    let mut stopped = Vec::new();
    for start in starts {
        let mut stream = TcpStream::connect(bench.server.addr()).await.unwrap();
        stream.write_all(start).await.unwrap();
        stopped.push(async move {
            let mut read = Vec::new();
            // An end or a reset: either way it is closed.
            timeout(PATIENCE, stream.read_to_end(&mut read)).await.map(drop)
        });
    }
    let silent = async {
        let mut stream = secured.connect(&bench).await;
        timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.map(drop)
    };
    let (stopped, silent) = tokio::join!(futures_util::future::join_all(stopped), silent);
    for (start, closed) in starts.iter().zip(stopped) {
        assert_eq!(closed, Ok(()), "after {} bytes of a handshake", start.len());
    }
    assert_eq!(silent, Ok(()), "after a handshake");
    assert_eq!(asked_on(&mut secured.connect(&bench).await, "/healthz").await, "HTTP/1.1 200 OK");
}
