//! The messages for a faulty configuration, word for word.

mod deployments;
mod endpoints;
mod keys;
mod layers;
mod routing;

use std::path::Path;

use router_core::config::Layers;
use router_core::units::Day;
use router_server::Config;

const SOUND: &str = r#"
[endpoints.seoul]
url = "https://seoul.openai.azure.com"
api = "azure_v1"
api_key = { env = "SEOUL_KEY" }

[deployments.kr_ptu]
endpoint = "seoul"
model = "gpt-5.2"
billing = "provisioned"
area = "region:koreacentral"
ptu = 50

[roles]
reasoning = { models = ["gpt-5.2"] }
chat = { models = ["gpt-5.2"] }
"#;

fn today() -> Day {
    Day::try_from("2026-11-23").unwrap()
}

/// Loads files written into an empty folder; the folder's path is cut from what comes back.
fn load(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let paths = files.iter().map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    let layers = Layers {
        files: paths.collect(),
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        today: today(),
    };
    Config::of_layers(&layers).map_err(|faults| shortened(&faults.to_string(), folder.path()))
}

fn shortened(text: &str, folder: &Path) -> String {
    text.replace(&format!("{}/", folder.display()), "")
}

#[track_caller]
fn check(files: &[(&str, &str)], environment: &[(&str, &str)], expected: &str) {
    let faults = load(files, environment).unwrap_err();
    assert_eq!(faults, expected.trim(), "\n--- found:\n{faults}\n---");
}

fn warnings(text: &str) -> Vec<String> {
    let config = load(&[("a.toml", text)], &[("SEOUL_KEY", "k")]).unwrap();
    config
        .router
        .warnings
        .iter()
        .map(|warning| warning.to_string().rsplit("a.toml: ").next().unwrap().into())
        .collect()
}

#[test]
fn the_sound_configuration_loads_without_a_warning() {
    assert_eq!(warnings(SOUND), Vec::<String>::new());
}

/// Two layers with a fault in nearly every line; the third are three variables.
const BASE: &str = r#"
[server]
listen = "0.0.0.0:8080"
max_in_flight = 0
lisen = 3
hosts = ["https://router.example.com"]
cors_origins = ["https://app.example.com/"]

[routing]
threshold = 1.5
signals.hysteresis = -1
prefer = "cheap"
residency = "korea"

[endpoints.seoul]
url = "seoul.openai.azure.com"
api = "azur"
api_key = "sk-this-must-not-be-shown"

[endpoints.dated]
url = "https://user:secret-word@dated.openai.azure.com"
api = "azure"
api_key = { env = "sk-not-a-name-0123456789" }
bearer = { file = "/x" }

[endpoints.plain]
url = "https://plain.openai.azure.com"
api = "azure"
anonymous = true

[deployments.kr-ptu]
endpoint = "seoul"
model = "gpt-4o"
billing = "provisioned"
area = "region:seoul"
ptu = 0

[deployments.unknown]
endpoint = "tokyo"
model = "gpt-4oo"
billing = "free"

[deployments.rate]
endpoint = "plain"
model = "gpt-6-sol"
billing = "provisioned"
area = "global"
ptu = "fifty"
tokens_per_minute = 7
"#;

const TOP: &str = r#"
[models."gpt-4o"]
max_output_tokens = 16384.5
retires = "2027-02-30"

[models.mine]
efforts = ["low", "hard"]
usd_per_million_tokens = { input = 1, cached_input = 2 }

[roles.chat]
models = ["gpt-4o", "gpt-3"]
on_unavailable = "downgrade"

[aliases]
auto = "chat"
"gpt-4" = "gpt-3"

[limits]
deadline_ms = 0
fault_cooldown_ms = 120000
"#;

#[test]
fn every_fault_of_every_layer_is_told_at_once() {
    let environment = [
        ("ROUTER__LIMITS__IDLE_TIMEOUT_MS", "long"),
        ("ROUTER__SERVER__EXPOSE", "some"),
        ("ROUTER__NONSENSE__KEY", "1"),
    ];
    let expected = include_str!("../config_faults.txt");
    check(&[("base.toml", BASE), ("top.toml", TOP)], &environment, expected);
}

#[test]
fn no_secret_found_in_a_wrong_place_is_shown() {
    for endpoint in [
        r#"api_key = "sk-hidden""#,
        r#"api_key = { env = "sk-hidden" }"#,
        r#"api_key = { env = "0123456789abcdef0123456789abhidden" }"#,
        r#"api_key = ["sk-hidden"]"#,
        r#"bearer = "sk-hidden""#,
        "api_key = { env = \"X\" }\nurl = \"https://u:hidden@r.openai.azure.com\"",
        "api_key = { env = \"X\" }\nurl = \"https://r.openai.azure.com?api-key=hidden\"",
        "api_key = { env = \"sk-hidden",
        "[keys.k]\nhashes = [\"mr_hidden\"]",
        "[keys.k]\nhashes = \"mr_hidden\"",
        "[keys.k]\nhashes = { mr_hidden = 1 }",
        "[keys.k]\nhashes = [[\"mr_hidden\"]]",
    ] {
        let text = format!("[endpoints.seoul]\n{endpoint}\n");
        let faults = load(&[("a.toml", &text)], &[]).unwrap_err();
        assert!(!faults.contains("hidden"), "{endpoint}: {faults}");
        assert!(faults.contains("a.toml: "), "{faults}");
    }
    let faults = load(&[("a.toml", SOUND)], &[("ROUTER__ENDPOINTS__SEOUL__API_KEY", "sk-hidden")]);
    let faults = faults.unwrap_err();
    assert!(faults.starts_with("ROUTER__ENDPOINTS__SEOUL__API_KEY: must be"), "{faults}");
    assert!(!faults.contains("hidden"), "{faults}");
}

#[test]
fn warnings_tell_what_somebody_should_look_at() {
    let changed = |from: &str, to: &str| {
        assert!(SOUND.contains(from), "{from}");
        warnings(&SOUND.replacen(from, to, 1))
    };
    assert_eq!(
        changed("ptu = 50", "ptu = 60"),
        [
            "deployments.kr_ptu.ptu: gpt-5.2 in region:koreacentral is sold from 50 PTU in steps of 50, found 60"
        ]
    );
    assert_eq!(
        changed("https://", "http://"),
        [
            "endpoints.seoul.url: plain http beyond this machine: prompts and the key travel unencrypted"
        ]
    );
    assert_eq!(
        changed("https://seoul.openai.azure.com", "http://[::1]:8090"),
        Vec::<String>::new()
    );
    assert_eq!(
        changed("SEOUL_KEY", "OTHER_KEY"),
        ["endpoints.seoul.api_key: environment variable OTHER_KEY is not set"]
    );
    assert_eq!(
        changed("{ env = \"SEOUL_KEY\" }", "{ file = \"/no/such/key\" }"),
        ["endpoints.seoul.api_key: file /no/such/key: no such file or directory"]
    );
    assert_eq!(
        changed("[roles]", "[routing]\nresidency = \"zone:eu\"\n[roles]"),
        [
            "roles.reasoning.models: none has a deployment inside routing.residency, zone:eu",
            "roles.chat.models: none has a deployment inside routing.residency, zone:eu",
        ]
    );
    assert_eq!(
        changed("[roles]", "[aliases]\n\"gpt-5.2\" = \"auto\"\n[roles]"),
        ["aliases.\"gpt-5.2\": hides the model of that name; it now means `auto`"]
    );
    assert_eq!(
        changed(
            "[roles]",
            "[endpoints.spare]\nurl = \"https://b.azure.com\"\napi = \"azure_v1\"\nanonymous = true\n[roles]"
        ),
        ["endpoints.spare: no deployment uses it"]
    );
    let o1 = "[deployments.o1]\nendpoint = \"dated\"\nmodel = \"o1\"\nbilling = \"pay_as_you_go\"\narea = \"global\"\n\
              [endpoints.dated]\nurl = \"https://a.azure.com\"\napi = \"azure\"\napi_version = \"2024-10-21\"\nanonymous = true\n[roles]";
    assert_eq!(
        changed("[roles]", o1),
        [
            "deployments.o1.model: o1 was due to retire on 2026-11-19; its successor is gpt-5.6-sol",
            "deployments.o1.api_version: o1 asks for 2024-12-01 or later, found 2024-10-21",
        ]
    );
}
