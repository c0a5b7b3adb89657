//! `key`, and what the other commands say of keys: through the program, as an operator would.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn program(words: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_router-server"));
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    running.wait_with_output().unwrap()
}

fn said(words: &[&str], input: &str) -> String {
    let output = program(words, input);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const REST: &str = r#"
[endpoints.azure]
url = "http://127.0.0.1:9"
api = "azure_v1"
anonymous = true
[deployments.payg]
endpoint = "azure"
model = "gpt-4o"
billing = "pay_as_you_go"
area = "global"
[deployments.seoul]
endpoint = "azure"
model = "gpt-4o"
billing = "pay_as_you_go"
area = "region:koreacentral"
[roles]
reasoning.models = ["gpt-4o"]
chat.models = ["gpt-4o"]
"#;

#[test]
fn what_is_made_is_pasted_checked_and_explained() {
    let made = said(&["key", "new", "--name", "billing"], "");
    let key = made.lines().next().unwrap();
    assert_eq!(made.matches(key).count(), 1, "it is shown once");
    let table = made.find("[keys.billing]").unwrap();
    let hash = said(&["key", "hash"], &format!("{key}\n"));
    assert!(made.contains(hash.trim()), "{made}\n{hash}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.toml");
    let keys = made.get(table..).unwrap();
    std::fs::write(&path, format!("{keys}residency = \"geo:kr\"\n{REST}")).unwrap();
    let path = path.to_str().unwrap();
    let checked = said(&["check", "--config", path], "");
    assert!(
        checked.contains("keys             billing") && checked.contains("no faults"),
        "{checked}"
    );

    let explain = ["explain", "--config", path, "--text", "hello", "--json"];
    let plan = |more: &[&str]| {
        let told = said(&[&explain[..], more].concat(), "");
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        told.get("plan").unwrap().as_array().unwrap().len()
    };
    assert_eq!(plan(&[]), 2);
    assert_eq!(plan(&["--key", "billing"]), 1);
    for (more, words) in [
        (&["--key", "sales"][..], "no [keys.sales] in the configuration"),
        (&["--key", "billing", "--header", "x-router-residency: zone:eu"][..], "bound to geo:kr"),
    ] {
        let output = program(&[&explain[..], more].concat(), "");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(words), "{told}");
    }
}

#[test]
fn what_is_no_key_or_no_name_is_refused_and_not_repeated() {
    let output = program(&["key", "hash"], "hunter2\n");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("at least 22 letters"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(program(&["key", "new", "--name", "My Team"], "").status.code(), Some(2));
}

#[test]
fn a_key_with_rights_goes_into_a_file_that_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("router.toml");
    std::fs::write(&file, REST.trim_end()).unwrap();
    let path = file.to_str().unwrap();
    let rights = ["--roles", "chat", "--residency", "geo:kr", "--requests-per-minute", "600"];
    let budget = ["--monthly-budget-usd", "1000", "--operator", "--json", "--append", path];
    let words = [["key", "new", "--name", "billing"].as_slice(), &rights, &budget].concat();
    let made: serde_json::Value = serde_json::from_str(&said(&words, "")).unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(!written.contains(made["key"].as_str().unwrap()), "the key itself is in no file");
    assert!(written.contains(made["hash"].as_str().unwrap()));
    for line in ["operator = true", "roles = [\"chat\"]", "monthly_budget_usd = 1000.0"] {
        assert!(written.contains(line), "{line}: {written}");
    }
    assert!(said(&["check", "--config", path], "").contains("billing"));
    // The same name again, and a right that no configuration takes: the file stays as it is.
    for more in [["--name", "billing"], ["--roles", "boss"]] {
        let refused =
            program(&[["key", "new"].as_slice(), &more, &["--append", path]].concat(), "");
        assert!(!refused.status.success(), "{more:?}");
        let told = String::from_utf8(refused.stderr).unwrap();
        let taken = "[keys.billing] is there already; choose another --name";
        assert!(told.starts_with(path), "it names the file: {told}");
        assert_eq!(told.contains(taken), more[1] == "billing", "{told}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    let key = made["key"].as_str().unwrap();
    let hashed = said(&["key", "hash", "--name", "other"], &format!("{key}\n"));
    assert!(hashed.starts_with("[keys.other]\nhashes = [\"sha256:"), "{hashed}");
}
