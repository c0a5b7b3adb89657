//! The program as a child process: proxies from its environment, files that `check` reads, and `probe`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// One deployment at `url`.
fn config(url: &str, more: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nlog = \"json\"\n[roles]\nreasoning.models = [\"gpt-4o\"]\n\
         chat.models = [\"gpt-4o\"]\n[endpoints.azure]\nurl = \"{url}\"\napi = \"azure_v1\"\nanonymous = true\n{more}\n\
         [deployments.chat_payg]\nendpoint = \"azure\"\nmodel = \"gpt-4o\"\n\
         azure_deployment = \"chat_payg\"\nbilling = \"pay_as_you_go\"\narea = \"global\"\n"
    )
}

/// The program, without the proxies of the test environment.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_router-server"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

/// A router as a process; it ends with the test.
struct Router {
    process: Child,
    addr: SocketAddr,
    /// Its log, line by line.
    log: Receiver<String>,
    _folder: tempfile::TempDir,
}

impl Router {
    fn start(config: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_with(config, environment, &[])
    }

    fn start_with(config: &str, environment: &[(&str, &str)], more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = program(&["serve", "--config", path.to_str().unwrap()]);
        let mut process = command.args(more).envs(environment.iter().copied()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (told, log) = channel();
        let listening = lines.by_ref().map(Result::unwrap).find(|line| {
            told.send(line.clone()).unwrap();
            line.contains("\"listening\"")
        });
        let line: serde_json::Value = serde_json::from_str(&listening.unwrap()).unwrap();
        let addr = line.get("address").unwrap().as_str().unwrap().parse().unwrap();
        // The pipe must be read to its end, or the program stops at a full one.
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| drop(told.send(line)));
        });
        Self { process, addr, log, _folder: folder }
    }

    /// The head of the answer to a question.
    fn ask(&self) -> String {
        let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}"#;
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Answers every connection with a 503 and reports the first line of the request.
fn listener() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (told, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            drop(stream.write_all(
                b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            ));
            if told.send(line).is_err() {
                return;
            }
        }
    });
    (addr, asked)
}

#[test]
fn proxies_of_the_environment_are_used() {
    let (proxy, asked) = listener();
    let proxy = format!("http://{proxy}");
    for (url, variable, expected) in [
        (
            "http://upstream.test",
            "HTTP_PROXY",
            "POST http://upstream.test/openai/v1/chat/completions",
        ),
        ("https://upstream.test", "HTTPS_PROXY", "CONNECT upstream.test:443"),
        ("https://upstream.test", "all_proxy", "CONNECT upstream.test:443"),
    ] {
        let router = Router::start(&config(url, ""), &[(variable, &proxy)]);
        let answer = router.ask();
        assert!(answer.starts_with("HTTP/1.1 50"), "{answer}");
        let line = asked.recv_timeout(PATIENCE).unwrap();
        assert!(line.starts_with(expected), "{variable}: {line}");
    }
}

#[test]
fn hosts_that_need_no_proxy_are_reached_without() {
    let (proxy, asked_of_proxy) = listener();
    let (upstream, asked) = listener();
    let proxy = format!("http://{proxy}");
    let url = format!("http://{upstream}");
    let excepted = [("HTTP_PROXY", &*proxy), ("NO_PROXY", "other.test,127.0.0.1")];
    let by_config = [("HTTP_PROXY", &*proxy)];
    for (more, environment) in [("", &excepted[..]), ("proxy = \"none\"", &by_config[..])] {
        let router = Router::start(&config(&url, more), environment);
        let answer = router.ask();
        assert!(answer.starts_with("HTTP/1.1 50"), "{answer}");
        let line = asked.recv_timeout(PATIENCE).unwrap();
        assert!(line.starts_with("POST /openai/v1/chat/completions"), "{line}");
    }
    assert!(asked_of_proxy.try_recv().is_err());
}

#[test]
fn no_level_of_the_log_names_an_endpoint() {
    let (upstream, asked) = listener();
    let url = format!("http://localhost:{}", upstream.port());
    let router = Router::start_with(&config(&url, ""), &[], &["--log", "trace"]);
    assert!(router.ask().starts_with("HTTP/1.1 50"));
    asked.recv_timeout(PATIENCE).unwrap();
    let mut request = None;
    while request.is_none() {
        let line = router.log.recv_timeout(PATIENCE).unwrap();
        assert!(!line.contains("localhost"), "{line}");
        assert!(!line.contains(&upstream.to_string()), "{line}");
        request = line.contains("\"request\"").then_some(line);
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn check_reads_the_files_of_certificates_and_tells_all_faults() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let ca_file = format!("ca_file = '{}'", write("ca.pem", &certificate));
    let tls = |key: &str| {
        let certificate = write("tls.crt", &certificate);
        format!("[server.tls]\ncertificate = '{certificate}'\nkey = '{key}'\n")
    };
    let text = |more: &str, tls: &str| config("https://upstream.test", more) + tls;
    let check =
        |text: &str| program(&["check", "--config", &write("router.toml", text)]).output().unwrap();
    let good = check(&text(&ca_file, &tls(&write("tls.key", &key))));
    assert!(good.status.success(), "{}", told(&good));
    let bad = check(&text("ca_file = 'no-such.pem'", &tls(&write("other.key", ""))));
    assert_eq!(bad.status.code(), Some(1));
    let said = told(&bad);
    assert!(said.contains("server.tls.key: ") && said.contains("found none"), "{said}");
    assert!(said.contains("endpoints.azure.ca_file: no-such.pem cannot be read: "), "{said}");
    // All files at once, together with faults of the configuration itself.
    let log = "[request_log]\npath = 'no-such-folder/requests.jsonl'\n";
    let keyless = tls(&write("other.key", "")).replace("key = ", "client_ca = 'no-ca.pem'\nkey = ");
    for (limits, expected) in [("", 4), ("[limits]\nhold_ms = 0\n", 4)] {
        let all = check(&(text("ca_file = 'no-such.pem'", &keyless) + log + limits));
        let said = told(&all);
        let mut named = vec!["request_log.path: ", "server.tls.key: ", "server.tls.client_ca: "];
        named.push(if limits.is_empty() { ".ca_file: " } else { "limits.hold_ms: " });
        assert!(named.iter().all(|name| said.contains(name)), "{said}");
        assert_eq!(
            said.lines().filter(|line| named.iter().any(|name| line.contains(name))).count(),
            expected
        );
    }
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let unfit = told(&check(&text("", &tls(&write("other.key", &other)))));
    assert!(unfit.contains("other.key does not fit "), "{unfit}");
}

#[test]
fn probe_asks_over_tls_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["router.example.com".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let tls = format!(
        "[server.tls]\ncertificate = '{}'\nkey = '{}'\n",
        certificate.display(),
        key.display()
    );
    let router = Router::start(&(config("http://127.0.0.1:9", "") + &tls), &[]);
    let address = router.addr.to_string();
    let over_tls = program(&["probe", &address, "--tls", "--ready"]).output().unwrap();
    assert!(over_tls.status.success(), "{}", told(&over_tls));
    assert_eq!(program(&["probe", &address]).output().unwrap().status.code(), Some(1));
}
