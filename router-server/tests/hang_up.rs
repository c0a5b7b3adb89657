//! The program `serve`: SIGHUP makes it read its files again, and SIGTERM still ends it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of a test program stop at the first surprise")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SOUND: &str = r#"
[server]
listen = "127.0.0.1:0"
log = "json"
watch_ms = 0
[endpoints.here]
url = "http://127.0.0.1:9"
api = "azure_v1"
anonymous = true
[deployments.chat_payg]
endpoint = "here"
model = "gpt-4o"
azure_deployment = "chat_payg"
billing = "pay_as_you_go"
area = "global"
[roles]
reasoning.models = ["gpt-4o"]
chat.models = ["gpt-4o"]
"#;

/// The program and its log, line by line.
struct Program {
    child: Child,
    log: BufReader<std::process::ChildStdout>,
}

impl Program {
    fn serve(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_router-server"))
            .args(["serve", "--unready-ms", "0", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stdout.take().unwrap());
        Self { child, log }
    }

    /// The next line of the log that says this.
    fn line(&mut self, message: &str) -> serde_json::Value {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "it ended before {message:?}");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if line.get("message").is_some_and(|said| said == message) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(name).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The body of `GET path`.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_files_are_read_again_at_the_signal_and_only_then() {
    let path = std::env::temp_dir().join(format!("hang-up-{}.toml", std::process::id()));
    std::fs::write(&path, SOUND).unwrap();
    let mut program = Program::serve(&path);
    let listening = program.line("listening");
    let address = listening.get("address").unwrap().as_str().unwrap().to_owned();
    let version = listening.get("version").unwrap().clone();
    program.signal("-HUP");
    assert_eq!(program.line("configuration reloaded").get("version"), Some(&version));
    std::fs::write(&path, SOUND.replace("listen = ", "max_in_flight = 7\nlisten = ")).unwrap();
    assert!(get(&address, "/readyz?verbose").contains(version.as_str().unwrap()));
    program.signal("-HUP");
    let reloaded = program.line("configuration reloaded");
    let now = reloaded.get("version").unwrap().as_str().unwrap();
    assert_ne!(now, version.as_str().unwrap());
    assert!(get(&address, "/readyz?verbose").contains(now));
    std::fs::write(&path, "nonsense = 1").unwrap();
    program.signal("-HUP");
    let kept = program.line("the last good configuration stays in use");
    assert_eq!(kept.get("version").unwrap(), now);
    assert!(get(&address, "/metrics").contains("model_router_config_last_reload_successful 0"));
    std::fs::remove_file(&path).unwrap();
    program.signal("-TERM");
    program.line("stopped");
    assert!(program.child.wait().unwrap().success());
}
