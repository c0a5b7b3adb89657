//! From nothing to a configuration that loads: `import`, `init`, `check` and `explain`, through the program as an operator
//! would use them. The recorded listings in `azure/` have the form that the Azure command line prints, with names, ids and
//! people replaced.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Settings};
use serde_json::Value;

/// The program in an empty folder, without proxies and without secrets.
fn program(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_router-server"));
    command.args(words).current_dir(folder).stdin(Stdio::null()).env_remove("AZURE_OPENAI_API_KEY");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn said(folder: &Path, words: &[&str]) -> String {
    let output = program(folder, words);
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn recorded(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/azure").join(name);
    path.to_str().unwrap().to_owned()
}

/// Imports recorded files into ./router.toml and checks it: the configuration, and the report of the check.
#[track_caller]
fn imported(files: &[&str]) -> (String, Value) {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<String> = files.iter().map(|name| recorded(name)).collect();
    let mut words = vec!["import", "azure"];
    words.extend(files.iter().map(String::as_str));
    words.extend(["--out", "router.toml"]);
    said(folder.path(), &words);
    let report = said(folder.path(), &["check", "--json"]);
    let written = std::fs::read_to_string(folder.path().join("router.toml")).unwrap();
    for private in ["someone", "00000000-0000", "rg-models"] {
        assert!(!written.contains(private), "{private}");
    }
    // Neither secrets nor a network are needed to see what it would do.
    let explained = said(folder.path(), &["explain", "--text", "√2가 무리수임을 증명해 주세요."]);
    assert!(explained.contains("reasoning"), "{explained}");
    (written, serde_json::from_str(&report).unwrap())
}

#[test]
fn a_resource_in_korea_becomes_a_configuration() {
    let (written, report) = imported(&["korea_account.json", "korea_deployments.json"]);
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(report["deployments"].as_array().unwrap().len(), 4);
    for line in [
        "region = \"koreacentral\"",
        "sku = \"ProvisionedManaged\"\nptu = 50",
        "requests_per_minute = 2700\ntokens_per_minute = 450000",
        "[roles.reasoning]\nmodels = [\"gpt-5.2\"]",
        "[roles.chat]\nmodels = [\"gpt-4o-2024-11-20\"]",
        "# nightly of contoso-kr: left out: its type GlobalBatch serves no requests online",
    ] {
        assert!(written.contains(line), "{line}\n---\n{written}");
    }
    let area = |name: &str| {
        let all = report["deployments"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap()["area"].clone()
    };
    assert_eq!(area("gpt_4o_ptu"), "region:koreacentral");
    assert_eq!(area("gpt_4o"), "global");
}

#[test]
fn two_resources_keep_their_names_apart() {
    let (written, report) = imported(&["two_accounts.json", "two_deployments.json"]);
    assert_eq!(report["ok"], true, "{report:#}");
    for line in [
        "[endpoints.contoso_sweden]\nurl = \"https://Contoso-Sweden.openai.azure.com\"",
        "[endpoints.contoso_sweden.identity]\nkind = \"instance_metadata\"",
        "api_key = { env = \"AZURE_OPENAI_API_KEY_CONTOSO_EAST\" }",
        "region = \"eastus2\"",
        "[deployments.chat]\nendpoint = \"contoso_sweden\"",
        "[deployments.chat_2]\nendpoint = \"contoso_east\"",
        "sku = \"DataZoneStandard\"\ntokens_per_minute = 300000 # assumed",
        "# Azure itself spills what it refuses over to chat-spill.",
        "enabled = false # Azure was not done with it",
        "left out: no record of the model DeepSeek-V3.1",
        "[roles.reasoning]\nmodels = [\"gpt-5.5\", \"gpt-5.6-sol\"",
    ] {
        assert!(written.contains(line), "{line}\n---\n{written}");
    }
}

#[test]
fn a_listing_alone_is_enough_where_no_region_is_needed() {
    let (written, report) = imported(&["rest_deployments.json"]);
    assert_eq!(report["ok"], true, "{report:#}");
    assert!(
        written.contains("# Assumed: the address of fabrikam follows from its name"),
        "{written}"
    );
    assert!(written.contains("[deployments.o1_prod]"), "{written}");
    assert!(written.contains("azure_deployment = \"O1-Prod\""), "{written}");
    assert!(written.contains("[roles.reasoning]\nmodels = [\"o1\"]"), "{written}");
}

#[test]
fn what_needs_a_region_says_which_command_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path(), &["import", "azure", &recorded("korea_deployments.json")]);
    let complaint = text(&output.stderr);
    assert!(complaint.contains("az cognitiveservices account show"), "{complaint}");
    let output = program(folder.path(), &["import", "azure", &recorded("../setup_commands.rs")]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("no JSON; add -o json"), "{}", text(&output.stderr));
}

#[test]
fn init_writes_the_usual_file_once_and_check_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = ["--endpoint", "https://contoso.openai.azure.com"];
    let mut words = vec!["init", "--non-interactive"];
    let without = program(folder.path(), &words);
    assert!(text(&without.stderr).contains("--endpoint is missing"));
    assert!(
        text(&program(folder.path(), &["check"]).stderr).contains("no router.toml in this folder")
    );
    words.extend(endpoint);
    words.extend(["--chat", "gpt-4o=chat-prod", "--ptu", "gpt-4o-ptu=15"]);
    said(folder.path(), &words);
    let checked = said(folder.path(), &["check"]);
    assert!(checked.contains("gpt_4o_ptu"), "{checked}");
    assert!(!checked.contains('\u{1b}'), "no colours beside a terminal");
    let again = program(folder.path(), &words);
    assert!(!again.status.success(), "a file that is there is not overwritten");
}

#[test]
fn faults_are_json_as_well() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("router.toml"),
        "[server]\nlisten = 3\n[roles.chat]\nmodels = [\"gpt-9\"]\n",
    )
    .unwrap();
    let output = program(folder.path(), &["check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let faults = report["faults"].as_array().unwrap();
    let fault = faults.iter().find(|fault| fault["key"] == "server.listen").unwrap();
    assert_eq!(fault["origin"], "router.toml");
    assert_eq!(fault["problem"], "must be an address and a port such as 127.0.0.1:8080, found `3`");
}

#[test]
fn check_refuses_a_guessable_key_and_a_running_router_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let sound = lived("http://127.0.0.1:9");
    let hash = router_server::key_hash("sk-1234");
    let path = folder.path().join("router.toml");
    std::fs::write(&path, format!("{sound}\n[keys.team]\nhashes = [\"{hash}\"]\n")).unwrap();
    let output = program(folder.path(), &["check", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["ok"]), (Some(1), &Value::Bool(false)));
    let faults = report["faults"].as_array().unwrap();
    let fault = faults.iter().find(|fault| fault["key"] == "keys.team.hashes").unwrap();
    assert!(fault["problem"].as_str().unwrap().contains("key new"), "{fault}");
    // Commands that use the configuration without checking it continue.
    said(folder.path(), &["explain", "--text", "Hello"]);
}

/// A configuration whose deployments are there, under another name, of another model, and behind a missing secret.
fn lived(url: &str) -> String {
    let deployment = |key: &str, lines: &str| {
        format!("[deployments.{key}]\nendpoint = \"here\"\nsku = \"GlobalStandard\"\n{lines}\n")
    };
    [
        format!("[endpoints.here]\nurl = \"{url}\"\napi = \"azure_v1\"\nanonymous = true\n"),
        format!("[endpoints.locked]\nurl = \"{url}\"\napi = \"azure_v1\"\napi_key = {{ env = \"AZURE_OPENAI_API_KEY\" }}\n"),
        deployment("there", "model = \"gpt-4o\""),
        deployment("thinking", "model = \"o1\""),
        deployment("missing", "model = \"gpt-5.2\""),
        deployment("other", "model = \"gpt-4.1\"\nazure_deployment = \"gpt-4o\""),
        deployment("locked", "model = \"gpt-4o-mini\"").replace("\"here\"", "\"locked\""),
        "[roles]\nreasoning.models = [\"o1\"]\nchat.models = [\"gpt-4o\"]\n".to_owned(),
    ]
    .concat()
}

#[tokio::test]
async fn live_says_of_each_deployment_what_its_upstream_says() {
    let quick =
        Latency { first_token: std::time::Duration::from_millis(1), tokens_per_second: 20_000.0 };
    let quota = QuotaSettings::new(1_000, 1_000_000);
    let emulated =
        ["gpt-4o", "o1"].map(|name| Deployment::pay_as_you_go(name, name, quota).latency(quick));
    let settings = emulated.into_iter().fold(Settings::new().seed(7), Settings::deployment);
    let emulator = Emulator::start(settings).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("router.toml"), lived(emulator.url())).unwrap();
    let at = folder.path().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        [program(&at, &["check", "--live", "--json"]), program(&at, &["check", "--live"])]
    });
    let [json, plain] = output.await.unwrap();
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json.status.code(), &report["ok"]), (Some(1), &Value::Bool(false)));
    let live = report["live"].as_array().unwrap();
    let of = |name: &str| live.iter().find(|one| one["deployment"] == name).unwrap();
    for (name, verdict, status) in [
        ("there", "ok", 200),
        ("thinking", "ok", 200),
        ("missing", "not_there", 404),
        ("other", "other_model", 200),
    ] {
        assert_eq!(of(name)["verdict"], verdict, "{name}: {:#}", of(name));
        assert_eq!(of(name)["status"], status, "{name}");
    }
    assert_eq!(of("missing")["code"], "DeploymentNotFound");
    assert_eq!(of("there")["headers"]["x-ratelimit-limit-requests"], "1000");
    assert!(of("there")["latency_ms"].is_u64());
    let locked = of("locked");
    assert_eq!(
        (&locked["verdict"], &locked["credential"]),
        (&"no_access".into(), &"api_key".into())
    );
    assert!(locked["message"].as_str().unwrap().contains("AZURE_OPENAI_API_KEY"), "{locked}");
    let told = text(&plain.stdout);
    assert!(told.contains("missing: not_there: DeploymentNotFound: "), "{told}");
    let complaint = text(&plain.stderr);
    assert!(complaint.contains("3 of 5 deployments do not answer as configured"), "{complaint}");
    let asked = emulator.requests_to("gpt-4o").len();
    assert_eq!(asked, 4, "one request each, twice: `there` and `other`");
}

/// A newcomer's mistakes: each message names what was wrong, where, and what helps.
#[test]
fn mistakes_of_the_first_hour_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let write = |name: &str, text: &str| std::fs::write(place.join(name), text).unwrap();
    let refused = |words: &[&str], expected: &str| {
        let output = program(place, words);
        let told = text(&output.stderr);
        assert!(!output.status.success() && told.contains(expected), "{words:?}: {told}");
    };
    refused(
        &["serve"],
        "no --config FILE, and no router.toml in this folder; `router-server init`",
    );
    refused(&["serve", "--config", "nope.toml"], "nope.toml: cannot be read: no such file");
    refused(&["explain"], "expected --text, or a chat completion request on standard input");
    refused(&["import", "azure", "nope.json"], "nope.json: cannot be read");
    refused(&["import", "azure"], "standard input: ");
    let init = [
        "init",
        "--non-interactive",
        "--endpoint",
        "https://a.openai.azure.com",
        "--chat",
        "gpt-5.4",
    ];
    let init = [init.as_slice(), &["--reasoning", "gpt-5.6-sol"]].concat();
    said(place, &init);
    refused(
        &init,
        "router.toml: is there already and is not replaced; name another file with --out",
    );
    refused(&["serve"], "endpoints.azure: environment variable AZURE_OPENAI_API_KEY is not set");
    let written = std::fs::read_to_string(place.join("router.toml")).unwrap();
    for (change, expected) in [
        (("model = ", "modle = "), "modle: unknown key; did you mean model?"),
        (
            ("model = ", "ptu = \"50\"\nmodel = "),
            "ptu: must be a whole number without quotes, found \"50\"",
        ),
        (
            ("[roles.chat]", "[server]\nlisten = 8080\n[roles.chat]"),
            "server.listen: must be an address and a port",
        ),
    ] {
        write("wrong.toml", &written.replace(change.0, change.1));
        refused(&["check", "--config", "wrong.toml"], expected);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = format!("[server]\nlisten = \"{address}\"\n");
    let anonymous =
        written.replace("api_key = { env = \"AZURE_OPENAI_API_KEY\" }", "anonymous = true");
    write("taken.toml", &format!("{listen}{anonymous}"));
    let expected =
        format!("server.listen: cannot listen at {address}: another program listens there");
    refused(&["serve", "--config", "taken.toml"], &expected);
}
