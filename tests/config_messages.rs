//! The messages for a faulty configuration, word for word.

use std::path::Path;

use router_core::config::{Config, Layers};
use router_core::policy::RoleEffort;
use router_core::units::Day;

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
    layers.check().map_err(|faults| shortened(&faults.to_string(), folder.path()))
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
    let expected = include_str!("config_faults.txt");
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
fn service_tiers_need_a_price_and_should_be_on_offer() {
    let payg = |model: &str, tiers: &str, more: &str| {
        format!(
            "[deployments.a]\nendpoint = \"seoul\"\nmodel = \"{model}\"\nbilling = \"pay_as_you_go\"\n\
             area = \"global\"\ntiers = {tiers}\n{more}"
        )
    };
    let faulty = |tiers: &str, expected: &str| {
        check(&[("a.toml", SOUND), ("b.toml", &payg("gpt-4o", tiers, ""))], &[], expected);
    };
    faulty(
        "[]",
        "b.toml: deployments.a.tiers: must list at least one of default, priority and flex",
    );
    faulty(
        r#"["default", "batch"]"#,
        "b.toml: deployments.a.tiers: must be a list of default, priority and flex, found `batch`",
    );
    faulty(r#"["default", "default"]"#, "b.toml: deployments.a.tiers: lists default twice");
    faulty(
        r#"["flex"]"#,
        "b.toml: deployments.a.tiers: no price of gpt-4o in flex is known: give it in \
         models.gpt-4o.usd_per_million_tokens.flex",
    );
    check(
        &[("a.toml", SOUND), ("b.toml", "[deployments.kr_ptu]\ntiers = [\"default\"]\n")],
        &[],
        "b.toml: deployments.kr_ptu.tiers: only with billing = \"pay_as_you_go\"",
    );
    let warnings = |model: &str, tiers: &str, area: &str| {
        let text = payg(model, tiers, "").replace("global", area);
        let config = load(&[("a.toml", SOUND), ("b.toml", &text)], &[]).unwrap();
        let all = config.warnings.iter().map(|warning| warning.problem.as_str());
        all.filter(|problem| problem.contains("offered in")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(warnings("gpt-5.6-sol", r#"["default", "priority", "flex"]"#, "global"), "");
    assert_eq!(
        warnings("gpt-4o", r#"["priority"]"#, "global"),
        "gpt-4o is not known to be offered in priority at Azure"
    );
    assert_eq!(
        warnings("gpt-5.6-sol", r#"["priority", "flex"]"#, "zone:us"),
        "flex is offered in global, found zone:us"
    );
}

#[test]
fn deployments_that_share_a_quota_must_agree_on_it() {
    let text = "[deployments.defaults]\nendpoint = \"seoul\"\nmodel = \"gpt-4o\"\nsku = \"GlobalStandard\"\n\
        quota_pool = \"east\"\n[deployments.kr_ptu]\nbilling = \"provisioned\"\n\
        [deployments.a]\nrequests_per_minute = 60\n[deployments.b]\n\
        [deployments.c]\nrequests_per_minute = 90\nmodel = \"gpt-5.2\"\n[deployments.d]\nquota_pool = \"E\"\n";
    check(
        &[("a.toml", SOUND), ("b.toml", text)],
        &[],
        "b.toml: deployments.d.quota_pool: a name is 1 to 128 of a-z, 0-9 and _; found `E`\n\
         b.toml: deployments.kr_ptu.quota_pool: only with billing = \"pay_as_you_go\"\n\
         b.toml: deployments.c.quota_pool: east is also a's, which has another model\n\
         b.toml: deployments.c.quota_pool: east is also a's, which has another requests_per_minute",
    );
}

#[test]
fn a_request_log_and_an_observing_router_are_checked_as_all_else() {
    let faulty = "[request_log]\nmax_bytes = 1\nkeep = 0\n[routing]\nmode = \"watch\"\ndefault_role = \"both\"\n";
    check(
        &[("a.toml", SOUND), ("b.toml", faulty)],
        &[],
        "b.toml: request_log.max_bytes: must be at least 65536, found 1\n\
         b.toml: request_log.keep: must be at least 1, found 0\n\
         b.toml: request_log.max_bytes: needs request_log.path, which is missing\n\
         b.toml: request_log.keep: needs request_log.path, which is missing\n\
         b.toml: routing.default_role: must be reasoning or chat, found `both`\n\
         b.toml: routing.mode: must be route or observe, found `watch`",
    );
    check(
        &[("a.toml", SOUND), ("b.toml", "[request_log]\npath = \"/\"\n")],
        &[],
        "b.toml: request_log.path: must be the path of a file",
    );
}

#[test]
fn ways_to_an_endpoint_and_files_of_the_listener_are_checked() {
    let text = format!(
        "{SOUND}\n[server.tls]\ncertificate = \"\"\nclient_ca = 7\n[endpoints.other]\n\
         url = \"https://o.azure.com\"\napi = \"azure_v1\"\nanonymous = true\nca_file = \"\"\n\
         proxy = \"http://me:hidden@proxy:3128\"\n"
    );
    check(
        &[("a.toml", &text)],
        &[("SEOUL_KEY", "k"), ("ROUTER__ENDPOINTS__SEOUL__PROXY", "socks5://proxy:1080")],
        "a.toml: server.tls.client_ca: must be a path in quotes, found `7`\n\
         a.toml: server.tls.certificate: must be the path of a file, found nothing\n\
         a.toml: server.tls.key: missing; must be the path of a PEM file\n\
         a.toml: endpoints.other.proxy: must be none, or a URL such as http://proxy.example:3128; a user or password has \
         its place in the variable HTTPS_PROXY\n\
         ROUTER__ENDPOINTS__SEOUL__PROXY: must be none, or a URL such as http://proxy.example:3128; found neither http nor \
         https, or no host",
    );
}

#[test]
fn a_file_that_cannot_be_read_hides_no_other_file() {
    check(
        &[
            ("a.toml", "[server]\nlisten = \n"),
            ("b.toml", "[server]\n[server]\n"),
            ("c.toml", "x = 1"),
        ],
        &[],
        "a.toml: line 2, column 10: invalid string, expected `\"`, `'`\n\
         b.toml: line 2, column 1: invalid table header, duplicate key `server` in document root\n\
         c.toml: x: unknown key; known here are server, request_log, routing, residency, roles, rules, aliases, endpoints, deployments, models, passthrough, limits, capacity, keys, identity_providers, teams, stored, replicas, notify, traces",
    );
    let layers =
        Layers { files: vec!["no/such.toml".into()], environment: Vec::new(), today: today() };
    let faults = layers.check().unwrap_err().to_string();
    assert_eq!(faults, "no/such.toml: cannot be read: no such file or directory");
}

#[test]
fn later_layers_win_key_by_key() {
    let later = "[deployments.kr_ptu]\nptu = 100\n[roles.chat]\neffort = \"low\"\n";
    let layers = [("a.toml", SOUND), ("b.toml", later)];
    let key = ("SEOUL_KEY", "k");
    let size = |config: &Config| {
        let deployment = config.catalog.deployment("kr_ptu").unwrap().clone();
        match deployment.billing {
            router_core::deployment::Billing::Provisioned(size) => size.ptu,
            router_core::deployment::Billing::PayAsYouGo(_) => 0.0,
        }
    };
    let config = load(&layers, &[key]).unwrap();
    assert!((size(&config) - 100.0).abs() < f64::EPSILON);
    assert_eq!(config.policy.chat.models.len(), 1, "the list of the first file is kept");
    assert_ne!(config.policy.chat.effort, RoleEffort::OfModel);
    let environment = [
        key,
        ("ROUTER__DEPLOYMENTS__KR_PTU__PTU", "150"),
        ("ROUTER__ROLES__CHAT__EFFORT", ""),
        ("ROUTER__ALIASES__KOREAN", "deployment:kr_ptu"),
        ("ROUTER__ENDPOINTS__SEOUL__API_KEY", "{ env = SEOUL_KEY }"),
        ("ROUTER__SERVER__LISTEN", "127.0.0.1:9"),
        ("ROUTERS__SERVER__LISTEN", "not ours"),
    ];
    let config = load(&layers, &environment).unwrap();
    assert!((size(&config) - 150.0).abs() < f64::EPSILON);
    assert_ne!(config.policy.chat.effort, RoleEffort::OfModel, "an empty variable counts as unset");
    assert_eq!(config.policy.aliases["korean"].as_ref(), "deployment:kr_ptu");
    assert_eq!(config.server.listen.port(), 9);
    assert_eq!(config.warnings, Vec::new());
}

#[test]
fn a_key_says_everything_that_is_wrong_with_it() {
    let (one, two) = ("1f".repeat(32), "2e".repeat(32));
    let third = "3d".repeat(32);
    let text = format!(
        "{SOUND}\n[keys.team]\nhashes = [\"sha256:{one}\", \"sha256:{two}\", \"sha256:{}\"]\nroles = [\"boss\"]\n\
         models = [\"gpt-9\"]\ndeployments = [\"us_ptu\"]\nresidency = \"korea\"\npriority = \"high\"\nprefer = \"\"\n\
         requests_per_minute = 0\nmax_in_flight = -1\ndaily_budget_usd = 5\nmonthly_budget_usd = 2.5\nexpires = \"soon\"\n\
         [keys.other]\nhashes = [\"sha256:{one}\"]\nroles = []\n[keys.none]\n[teams.a]\ndaily_budget_usd = 0\n[teams.B]\n[keys.tagged]\nteam = \"ops\"\ntags = [\"\"]\n\
         hashes = [\"sha256:{third}\"]\n[keys.A]\nhashes = [\"sha256:{two}\"]\n",
        "0g".repeat(32)
    );
    check(
        &[("a.toml", &text)],
        &[("SEOUL_KEY", "k")],
        "a.toml: teams.B: a name is 1 to 100 of a-z, 0-9 and _
a.toml: teams.a.daily_budget_usd: must be at least 0.01, found 0
a.toml: keys.A: a name is 1 to 128 of a-z, 0-9 and _
a.toml: keys.none.hashes: missing; must list at least one hash, as `router-server key new` prints it
a.toml: keys.other.roles: must list reasoning, chat or both
a.toml: keys.tagged.team: no table [teams.NAME] for `ops`; there are: a
a.toml: keys.tagged.tags: must be words of 1 to 64 letters; found ``
a.toml: keys.team.hashes: one of them is a hash of keys.other too
a.toml: keys.team.hashes: one of them is a hash of keys.A too
a.toml: keys.team.hashes: must be sha256: and 64 hexadecimal digits, as `router-server key hash` prints them; never the key itself
a.toml: keys.team.expires: a day is written as 2026-11-19; found `soon`
a.toml: keys.team.roles: must be reasoning or chat, found `boss`
a.toml: keys.team.models: no deployment serves `gpt-9`; served are: gpt-5.2
a.toml: keys.team.deployments: no deployment `us_ptu`; there are: kr_ptu
a.toml: keys.team.residency: must be `global`, `zone:us`, `zone:eu`, `geo:` and a country such as `geo:kr`, or `region:` and an Azure region such as `region:koreacentral`; found `korea`
a.toml: keys.team.priority: must be interactive or batch, found `high`
a.toml: keys.team.prefer: must be cost, fast or balanced, found ``
a.toml: keys.team.requests_per_minute: must be at least 1, found 0
a.toml: keys.team.max_in_flight: must be at least 1, found -1
a.toml: keys.team.daily_budget_usd: must be at most monthly_budget_usd, which is 2.500000; found 5.000000",
    );
}

#[test]
fn keys_that_do_nothing_are_warned_about() {
    let hash = "1f".repeat(32);
    let told = |more: &str| {
        warnings(&format!(
            "{SOUND}\n[keys.team]\nhashes = [\"sha256:{hash}\"]\noperator = true\n{more}\n"
        ))
    };
    assert_eq!(told("residency = \"geo:kr\"\nmax_in_flight = 3"), Vec::<String>::new());
    assert_eq!(
        warnings(&format!("{SOUND}\n[keys.team]\nhashes = [\"sha256:{hash}\"]\n")),
        ["keys: none has operator = true: nobody may see /metrics, /v1/route and /"]
    );
    assert_eq!(
        told("residency = \"zone:eu\""),
        ["keys.team: no deployment is inside models, deployments and residency together"]
    );
    assert_eq!(
        told("expires = 2026-11-22\n[server]\nallow_anonymous = true"),
        [
            "server.allow_anonymous: means nothing where there are keys: every caller must show one",
            "keys.team.expires: 2026-11-22 is over: it is not accepted",
        ]
    );
    let unpriced = "daily_budget_usd = 1.0\n[models.mine]\ncontext_window_tokens = 1000\nmax_output_tokens = 1000\n\
        [deployments.free]\nendpoint = \"seoul\"\nmodel = \"mine\"\nbilling = \"pay_as_you_go\"\narea = \"global\"";
    assert_eq!(
        told(unpriced),
        ["keys.team: free has no price: its answers count nothing in the budget"]
    );
}

#[test]
fn a_day_may_be_written_without_quotes() {
    let text = format!("{SOUND}\n[models.\"gpt-5.2\"]\nretires = 2026-12-01\n");
    let told = warnings(&text);
    assert_eq!(
        told,
        ["deployments.kr_ptu.model: gpt-5.2 is due to retire on 2026-12-01, in 8 days"]
    );
}

#[test]
fn every_missing_secret_is_a_warning() {
    let shared =
        "[replicas]\nurl = \"redis://127.0.0.1:1/\"\npassword = { env = \"NO_PASSWORD\" }\n";
    let traced = "[traces]\nendpoint = \"http://127.0.0.1:1\"\nheaders = { authorization = { file = \"/no/such/file\" } }\n";
    assert_eq!(
        warnings(&format!("{SOUND}{shared}{traced}")),
        [
            "replicas.password: environment variable NO_PASSWORD is not set",
            "traces.headers.authorization: file /no/such/file: no such file or directory"
        ]
    );
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

#[test]
fn openai_hosts_stand_for_their_area() {
    let deployment = |host: &str, area: &str| {
        let text = format!(
            "[endpoints.o]\nurl = \"https://{host}/v1\"\napi = \"openai\"\napi_key = {{ env = \"K\" }}\n\
             [deployments.d]\nendpoint = \"o\"\nmodel = \"gpt-5.1\"\nbilling = \"pay_as_you_go\"\n{area}\n\
             [roles]\nreasoning.models = [\"gpt-5.1\"]\nchat.models = [\"gpt-5.1\"]\n"
        );
        Config::from_toml(&text, today())
            .map(|config| (config.catalog.deployment("d").unwrap().area.to_string(), config))
            .map_err(|faults| faults.to_string())
    };
    for (host, area) in [
        ("api.openai.com", "global"),
        ("us.api.openai.com", "zone:us"),
        ("EU.api.openai.com", "zone:eu"),
        ("ae.api.openai.com", "geo:ae"),
    ] {
        let (found, config) = deployment(host, "").unwrap();
        assert_eq!(found, area);
        let endpoint = &config.endpoints["o"];
        assert_eq!(endpoint.base.as_ref(), format!("https://{host}"));
        let bearer = router_core::upstream::Credential::Bearer;
        assert_eq!(
            endpoint.credential,
            bearer(router_core::upstream::SecretSource::Environment("K".into()))
        );
        let deployment = config.catalog.deployment("d").unwrap();
        assert_eq!(deployment.azure_deployment.as_ref(), "gpt-5.1", "the model's id, not our key");
    }
    assert_eq!(
        deployment("api.openai.com", "area = \"zone:eu\"").unwrap_err(),
        "deployments.d.area: the endpoint's host processes in global, which does not lie in zone:eu"
    );
    assert_eq!(
        deployment("llm.example.com", "").unwrap_err(),
        "deployments.d.area: missing; must be where it processes: global, zone:eu, geo:kr or region:koreacentral"
    );
}

#[test]
fn what_follows_from_the_host_and_from_a_single_endpoint_need_not_be_written() {
    let config = |endpoint: &str, deployment: &str| {
        let text = format!(
            "[endpoints.main]\n{endpoint}\napi_key = {{ env = \"K\" }}\n\
             [deployments.d]\nmodel = \"gpt-5.4\"\n{deployment}\n\
             [roles]\nreasoning = {{ models = [\"gpt-5.4\"] }}\nchat = {{ models = [\"gpt-5.4\"] }}"
        );
        Config::from_toml(&text, today()).map_err(|faults| faults.to_string())
    };
    let api = |endpoint: &str, deployment: &str| {
        let config = config(endpoint, deployment).unwrap();
        format!("{:?}", config.catalog.deployment("d").unwrap().api)
    };
    let standard = "sku = \"GlobalStandard\"";
    assert_eq!(api("url = \"https://a.openai.azure.com\"", standard), "AzureV1");
    assert_eq!(api("url = \"https://A.Services.AI.Azure.com/\"", standard), "AzureV1");
    assert!(
        api("url = \"https://a.openai.azure.com\"\napi_version = \"2024-10-21\"", standard)
            .contains("2024-10-21")
    );
    assert_eq!(api("url = \"https://api.openai.com\"", ""), "OpenAi");
    assert_eq!(
        config("url = \"https://llm.example.com\"", standard).unwrap_err(),
        "endpoints.main.api: missing; must be azure, azure_v1 or openai"
    );
    // A host that only looks like Azure's is nobody's default.
    assert!(config("url = \"https://openai.azure.com.example.com\"", standard).is_err());
    assert_eq!(
        config("url = \"https://a.openai.azure.com\"", "").unwrap_err(),
        "deployments.d.sku: missing; must be one of GlobalStandard, DataZoneStandard, Standard, GlobalProvisionedManaged, \
         DataZoneProvisionedManaged, ProvisionedManaged, DeveloperTier, or set billing and area"
    );
    let second = format!(
        "{standard}\n[endpoints.other]\nurl = \"https://b.openai.azure.com\"\nanonymous = true"
    );
    assert_eq!(
        config("url = \"https://a.openai.azure.com\"", &second).unwrap_err(),
        "deployments.d.endpoint: missing; must be the name of an endpoint"
    );
}

#[test]
fn an_identity_says_what_it_lacks_and_what_it_cannot_use() {
    let faults = |identity: &str| {
        let by = SOUND.replace("api_key = { env = \"SEOUL_KEY\" }", identity);
        let faults = Config::from_toml(&by, today()).map_err(|faults| faults.to_string());
        faults
            .err()
            .unwrap_or_default()
            .replace("endpoints.seoul.", "..")
            .replace("endpoints.seoul:", "..:")
    };
    let words = "must be instance_metadata, app_service, workload or client_secret";
    for (identity, expected) in [
        ("identity = { kind = \"workload\" }", String::new()),
        ("identity = { kind = \"instance_metadata\", client_id = \"c-1\" }", String::new()),
        ("identity = {}", format!("..identity.kind: missing; {words}")),
        ("identity.kind = \"managed\"", format!("..identity.kind: {words}, found `managed`")),
        (
            "identity.kind = \"client_secret\"",
            "..identity.tenant_id: missing; must be an id of Entra ID\n\
             ..identity.client_id: missing; must be an id of Entra ID\n\
             ..identity.secret: missing; must be { env = \"NAME\" } or { file = \"/path\" }"
                .to_owned(),
        ),
        (
            "identity = { kind = \"instance_metadata\", tenant_id = \"t\", token_file = \"/t\", secret.env = \"S\" }",
            "..identity.tenant_id: is not allowed where kind is instance_metadata\n\
             ..identity.token_file: is not allowed where kind is instance_metadata\n\
             ..identity.secret: is not allowed where kind is instance_metadata"
                .to_owned(),
        ),
        (
            "identity = { kind = \"workload\", scope = \"ai.azure.com\", client_id = \"a b\", url = \"login\" }",
            "..identity.scope: must be a resource and /.default, such as https://ai.azure.com/.default\n\
             ..identity.url: must be scheme, host and an optional path\n\
             ..identity.client_id: must be an id of Entra ID: letters, digits, - and ."
                .to_owned(),
        ),
        (
            "identity.kind = \"workload\"\nanonymous = true",
            "..: must have exactly one of api_key, bearer, identity and anonymous = true".to_owned(),
        ),
        (
            "identity = { kinds = 1, kind = \"workload\" }",
            "..identity.kinds: unknown key; did you mean kind?; known here are kind, scope, tenant_id, client_id, token_file, secret, url"
                .to_owned(),
        ),
    ] {
        assert_eq!(faults(identity), expected, "{identity}");
    }
}

#[test]
fn variables_that_an_identity_counts_on_and_plain_http_are_warned_about() {
    let by = SOUND.replace(
        "api_key = { env = \"SEOUL_KEY\" }",
        "identity = { kind = \"workload\", tenant_id = \"t-1\", url = \"http://login.example.com\" }",
    );
    let found = warnings(&by);
    for expected in [
        "endpoints.seoul.identity.url: plain http beyond this machine: tokens and secrets travel unencrypted",
        "endpoints.seoul.identity: environment variable AZURE_CLIENT_ID is not set",
        "endpoints.seoul.identity: environment variable AZURE_FEDERATED_TOKEN_FILE is not set",
    ] {
        assert!(found.iter().any(|warning| warning.ends_with(expected)), "{expected}: {found:#?}");
    }
    assert_eq!(found.len(), 3, "{found:#?}");
}

/// Two deployments of an endpoint in Seoul; `lines` are those of the first.
fn typed(lines: &str, defaults: &str) -> String {
    format!(
        "[endpoints.seoul]\nurl = \"https://seoul.openai.azure.com\"\napi = \"azure_v1\"\nregion = \"koreacentral\"\n\
         api_key = {{ env = \"SEOUL_KEY\" }}\n[deployments.defaults]\n{defaults}\n\
         [deployments.one]\nmodel = \"gpt-5.2\"\n{lines}\n[deployments.two]\nmodel = \"gpt-4o\"\n\
         [roles]\nreasoning = {{ models = [\"gpt-5.2\"] }}\nchat = {{ models = [\"gpt-4o\"] }}\n"
    )
}

const PLAIN: &str = "endpoint = \"seoul\"\nsku = \"GlobalStandard\"";

#[test]
fn an_azure_type_stands_in_place_of_billing_and_area() {
    let read = |lines: &str| {
        let text = typed(lines, PLAIN);
        let config = load(&[("a.toml", &text)], &[("SEOUL_KEY", "k")])?;
        let one = config.catalog.deployment("one").unwrap();
        Ok::<_, String>(format!("{} {}", one.billing.as_str(), one.area))
    };
    assert_eq!(read(""), Ok("pay_as_you_go global".to_owned()), "inherited");
    let provisioned = |sku: &str| read(&format!("sku = \"{sku}\"\nptu = 50"));
    assert_eq!(provisioned("ProvisionedManaged"), Ok("provisioned region:koreacentral".into()));
    assert_eq!(provisioned("globalprovisionedmanaged"), Ok("provisioned global".into()));
    let own = "billing = \"pay_as_you_go\"\narea = \"zone:eu\"";
    assert_eq!(read(own), Ok("pay_as_you_go zone:eu".into()), "its own words replace the type");
    for (lines, fault) in [
        (
            "sku = \"DataZoneStandard\"",
            "deployments.one.sku: DataZoneStandard processes in a data zone, and the resource's region is in none; see endpoints.seoul.region",
        ),
        ("sku = \"GlobalBatch\"", "deployments.one.sku: GlobalBatch serves no requests online"),
        (
            "sku = \"Big\"",
            "deployments.one.sku: must be one of GlobalStandard, DataZoneStandard, Standard, GlobalProvisionedManaged, DataZoneProvisionedManaged, ProvisionedManaged, DeveloperTier, found `Big`",
        ),
        (
            "sku = \"Standard\"\narea = \"global\"",
            "deployments.one.area: not together with sku, which says it",
        ),
    ] {
        assert_eq!(read(lines), Err(format!("a.toml: {fault}")));
    }
}

#[test]
fn defaults_hold_for_deployments_that_say_nothing_and_are_none_themselves() {
    let text = typed("max_in_flight = 3", &format!("{PLAIN}\nmax_in_flight = 9"));
    let config = load(&[("a.toml", &text)], &[("SEOUL_KEY", "k")]).unwrap();
    let most = |name: &str| config.catalog.deployment(name).unwrap().max_in_flight;
    assert_eq!((most("one"), most("two")), (Some(3), Some(9)));
    assert_eq!(config.catalog.deployments().len(), 2);
    let two = config.catalog.deployment("two").unwrap();
    assert_eq!(two.azure_deployment.as_ref(), "gpt-4o", "Azure's name is the model's by default");
    let faulty = typed("", "endpoint = \"seoul\"\nskuu = \"GlobalStandard\"");
    let faults = load(&[("a.toml", &faulty)], &[]).unwrap_err();
    assert!(faults.starts_with("a.toml: deployments.defaults.skuu: unknown key"), "{faults}");
}

#[test]
fn what_misses_its_partner_is_advised_of() {
    let advice = |text: &str| warnings(text).join("\n");
    let reasoning = SOUND.replace("gpt-5.2", "gpt-5");
    let found = advice(&reasoning);
    assert!(found.contains("roles.chat.effort: gpt-5 reasons with effort medium"), "{found}");
    assert!(found.ends_with("set \"minimal\""), "{found}");
    let bound = format!("{SOUND}\n[routing]\nresidency = \"geo:kr\"\n");
    let found = advice(&bound);
    assert!(
        found.contains("roles.chat.models: no pay-as-you-go deployment inside geo:kr"),
        "{found}"
    );
    let several = format!(
        "{SOUND}\n[replicas]\ncount = 2\n[keys.team]\nhashes = [\"sha256:{}\"]\noperator = true\nmonthly_budget_usd = 9\n",
        "1f".repeat(32)
    );
    let found = advice(&several);
    assert!(found.contains("replicas.url: missing: each router knows only its own"), "{found}");
    assert!(
        found.contains("keys.team.monthly_budget_usd: each of 2 routers counts its own"),
        "{found}"
    );
    let old = SOUND
        .replace("\"azure_v1\"", "\"azure\"\napi_version = \"2023-05-15\"")
        .replace("gpt-5.2", "gpt-4o");
    let found = advice(&old);
    assert!(
        found.contains("api_version: tools need 2023-12-01 or later, found 2023-05-15"),
        "{found}"
    );
    assert!(found.contains("structured outputs need 2024-08-01 or later"), "{found}");
    let twice = SOUND.replace(
        "[roles]",
        "[deployments.other]\nendpoint = \"seoul\"\nmodel = \"gpt-5.2\"\nbilling = \"pay_as_you_go\"\narea = \"global\"\n[roles]",
    );
    let found = advice(&twice);
    assert!(
        found.contains("deployments.other.azure_deployment: gpt-5.2 is also kr_ptu's"),
        "{found}"
    );
}

/// Rules after the sound configuration.
fn ruled(rules: &str) -> String {
    format!("{SOUND}\n{rules}")
}

#[test]
fn faulty_rules_are_named_with_what_is_allowed() {
    let text = ruled(
        r#"
[rules.a]
when = { keys = ["web"], operations = ["embeddings"], turn_words = [" "], min_turn_chars = 9, max_turn_chars = 3 }
set = { task = "hard", role = "chat", effort = "huge", model = "gpt-9" }

[rules.b]
order = 3
when.header = { name = "authorization", value = "x", prefix = "y" }
when.instructions_hash = ["256:xyz"]

[rules.c]
order = 3
set.prefer = "cheap"
"#,
    );
    let expected = r"
a.toml: rules.a.order: missing; must be 1 to 10000; lower ones are tried first
a.toml: rules.a.when.keys: no key `web`; there are: none
a.toml: rules.a.when.operations: must be chat, responses, input_tokens or compact, found `embeddings`
a.toml: rules.a.when.turn_words: an entry is 1 to 256 bytes that are not all blank; found ` `
a.toml: rules.a.when.min_turn_chars: must be at most max_turn_chars, which is 3; found 9
a.toml: rules.a.set.role: must not be set together with task
a.toml: rules.a.set.model: no deployment serves `gpt-9`; there are: gpt-5.2
a.toml: rules.a.set.task: must be reasoning or chat, found `hard`
a.toml: rules.a.set.effort: must be one of none, minimal, low, medium, high, xhigh, max, found `huge`
a.toml: rules.b.when.header.name: carries credentials, which a configuration must not hold; use keys
a.toml: rules.b.when.header: must have exactly one of value, prefix and present = true
a.toml: rules.b.when.instructions_hash: must be a number of characters from 1 to 8192, a colon and 16 hexadecimal digits, as `router-server explain` prints them; found `256:xyz`
a.toml: rules.b.set: missing; must set at least one of task, role, model, effort and prefer
a.toml: rules.c.order: is also the order of rules.b: the first match counts
a.toml: rules.c.when: missing; must have at least one of keys, operations, header, tools, instructions_hash, instructions_words, turn_words, question_words, min_turn_chars, max_turn_chars, min_prompt_tokens and max_prompt_tokens
a.toml: rules.c.set.prefer: must be cost, fast or balanced, found `cheap`
";
    check(&[("a.toml", &text)], &[], expected);
}

#[test]
fn unreachable_and_overlapping_rules_are_warned_of() {
    let text = ruled(
        r#"
[rules.sums]
order = 1
when.turn_words = ["sum"]
set.task = "chat"

[rules.totals]
order = 2
when = { turn_words = ["the sum of"], max_turn_chars = 200 }
set.task = "reasoning"

[rules.short]
order = 3
when.max_turn_chars = 40
set.task = "reasoning"

[rules.long]
order = 4
when.min_turn_chars = 4_000
set.effort = "high"
"#,
    );
    let expected = [
        "rules.totals: is never used: rules.sums (order 1) matches all its requests",
        "rules.short: overlaps rules.sums, which takes precedence",
    ];
    assert_eq!(warnings(&text), expected);
}

#[test]
fn the_choice_and_ladders_of_effort_are_checked() {
    let roles = |reasoning: &str, routing: &str| {
        let chat = r#"chat = { models = ["gpt-5.2"] }"#;
        let (before, _) = SOUND.split_once("[roles]").unwrap();
        let reasoning = format!(r#"reasoning = {{ models = ["gpt-5.2"], effort = {reasoning} }}"#);
        format!("{before}\n[roles]\n{reasoning}\n{chat}\n[routing]\n{routing}\n")
    };
    for (effort, expected) in [
        ("7", r#": must be an effort in quotes or { from = "low", to = "high" }, found `7`"#),
        (
            r#"{ from = "low" }"#,
            ".to: missing; must be one of none, minimal, low, medium, high, xhigh, max",
        ),
        (
            r#"{ from = "high", to = "low" }"#,
            ".from: must be less than to, which is `low`; found `high`",
        ),
        (
            r#"{ from = "low", to = "most" }"#,
            ".to: must be one of none, minimal, low, medium, high, xhigh, max, found `most`",
        ),
        (
            r#"{ from = "low", to = "high", cuts = [0.4, 0.2] }"#,
            ".cuts: must be 2 ascending numbers from 0 to 1, between low, medium, high",
        ),
        (
            r#"{ from = "low", until = "high" }"#,
            ".until: unknown key; known here are from, to, cuts",
        ),
    ] {
        let faults = load(&[("a.toml", &roles(effort, ""))], &[]).unwrap_err();
        assert!(faults.contains(&format!("a.toml: roles.reasoning.effort{expected}")), "{faults}");
    }
    let faults =
        load(&[("a.toml", &roles(r#""low""#, "choose = \"luck\"\nanswer_value_usd = -1"))], &[]);
    let expected = "a.toml: routing.choose: must be type, benefit or value, found `luck`\n\
        a.toml: routing.answer_value_usd: must be at least 0, found -1";
    assert_eq!(faults.unwrap_err(), expected);
    let unused = warnings(&roles(r#"{ from = "low", to = "high" }"#, "benefit_threshold = 0.3"));
    assert_eq!(unused, ["routing.benefit_threshold: has no effect unless choose = \"benefit\""]);
}
