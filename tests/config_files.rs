//! Every file in `configs/` loads, and the example names every key there is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use router_core::config::Layers;
use router_core::deployment::{Area, Billing, Provisioned};
use router_core::fallback::Limits;
use router_core::stored::Unknown;
use router_core::task::Signals;
use router_core::units::{Day, ModelName, Usd};
use router_server::Config;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs")
}

fn today() -> Day {
    Day::try_from("2026-11-23").unwrap()
}

fn load(name: &str) -> Config {
    let files = vec![folder().join(name)];
    let loaded = Config::of_layers(&Layers { files, environment: Vec::new(), today: today() });
    loaded.map_err(|faults| faults.to_string()).unwrap()
}

/// The names of the TOML files in a folder of `configs/`, with that folder before them.
fn toml_files(inside: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder().join(inside)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let toml = names.filter(|name| name.rsplit('.').next() == Some("toml"));
    toml.map(|name| format!("{inside}{name}")).collect()
}

/// The pages of the documentation show them in full, so what a reader copies is what loads here.
#[test]
fn every_recipe_loads_and_is_on_its_page() {
    let pages = [
        ("cookbook/", include_str!("../docs/cookbook.md"), 6),
        ("migration/", include_str!("../docs/migration.md"), 2),
    ];
    for (inside, page, least) in pages {
        let recipes = toml_files(inside);
        assert!(recipes.len() >= least, "{recipes:?}");
        for name in &recipes {
            assert!(!load(name).router.catalog.deployments().is_empty(), "{name}");
            let text = std::fs::read_to_string(folder().join(name)).unwrap();
            let (_, shown) = text.split_once("\n\n").unwrap();
            assert!(page.contains(&format!("```toml\n{shown}```")), "its page differs: {name}");
        }
    }
}

#[test]
fn every_shipped_configuration_loads() {
    let names = toml_files("");
    let shipped = [
        "design_card",
        "example",
        "korea_ptu",
        "learned",
        "local",
        "service_tiers",
        "successors",
        "three_regions",
    ];
    for name in shipped.map(|name| format!("{name}.toml")) {
        let name = name.as_str();
        assert!(names.contains(name), "{name}");
    }
    for name in &names {
        assert!(!load(name).router.catalog.deployments().is_empty(), "{name}");
    }
}

#[test]
fn nothing_of_the_korean_configuration_leaves_korea() {
    let config = load("korea_ptu.toml");
    for deployment in config.router.catalog.deployments() {
        assert!(deployment.area.lies_inside(Area::Geography("kr")), "{}", deployment.name);
    }
    assert!(!config.router.policy.residency.allows(Area::Global));
}

#[test]
fn the_design_card_falls_back_from_provisioned_to_pay_as_you_go() {
    let config = load("design_card.toml");
    for (role, model) in
        [(&config.router.policy.reasoning, "o1"), (&config.router.policy.chat, "gpt-4o")]
    {
        assert_eq!(role.models.first().map(ModelName::as_str), Some(model));
        let of_model = config
            .router
            .catalog
            .deployments()
            .iter()
            .filter(|one| one.model.name.as_str() == model);
        let billings: BTreeSet<&str> = of_model.map(|one| one.billing.as_str()).collect();
        assert_eq!(billings, BTreeSet::from(["pay_as_you_go", "provisioned"]), "{model}");
    }
}

#[test]
fn no_shipped_configuration_warns_of_anything_but_time_and_credentials() {
    for name in
        ["design_card.toml", "korea_ptu.toml", "learned.toml", "local.toml", "three_regions.toml"]
    {
        for warning in load(name).router.warnings {
            let text = warning.to_string();
            let known =
                ["retire on", "is not set", "no such file", "paid by the token", "requests wait"];
            assert!(known.iter().any(|words| text.contains(words)), "{text}");
        }
    }
}

/// The example with every commented-out key switched on: `# key = value` at the start of a line.
fn uncommented() -> String {
    let text = std::fs::read_to_string(folder().join("example.toml")).unwrap();
    let mut lines = Vec::new();
    for line in text.lines() {
        let key =
            line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).filter(|(key, _)| {
                key.chars().all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '_'))
            });
        lines.push(if key.is_some() { line.trim_start_matches("# ") } else { line });
    }
    lines.join("\n")
}

/// Table headers of the example by kind, and the keys written under each.
fn written() -> BTreeMap<String, BTreeSet<String>> {
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut kind = String::new();
    for line in uncommented().lines() {
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            kind = kind_of(header);
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#'))
        {
            kinds.entry(kind.clone()).or_default().insert(key.to_owned());
            let inner = value.strip_prefix("{ ").and_then(|rest| rest.split(" }").next());
            for pair in inner.into_iter().flat_map(|inner| inner.split(", ")) {
                let inner = pair.split(" = ").next().unwrap_or_default();
                kinds.entry(format!("{kind}.{key}")).or_default().insert(inner.to_owned());
            }
        }
    }
    kinds
}

/// `deployments.kr_gpt52` -> `deployments.NAME`.
fn kind_of(header: &str) -> String {
    let named =
        ["endpoints", "deployments", "models", "roles", "rules", "keys", "identity_providers"];
    let mut parts: Vec<&str> = header.split('.').collect();
    if let [first, name, ..] = parts.as_mut_slice()
        && named.contains(first)
    {
        *name = "NAME";
    }
    parts.join(".")
}

/// The keys that a table knows, by the fault that a key unknown to all gets.
fn known(kind: &str) -> BTreeSet<String> {
    let header = if kind.starts_with("roles") { "roles.chat".to_owned() } else { kind.to_owned() };
    let faults = Config::from_toml(&format!("[{header}]\nno_such_key = 1\n"), today()).unwrap_err();
    let fault = faults.0.iter().find(|fault| fault.problem.starts_with("unknown key")).unwrap();
    let list = fault.problem.split("known here are ").nth(1).unwrap();
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_example_names_every_key_there_is() {
    let written = written();
    for kind in [
        "server",
        "request_log",
        "routing",
        "routing.signals",
        "replicas",
        "traces",
        "roles.NAME",
        "rules.NAME",
        "rules.NAME.when",
        "rules.NAME.set",
        "endpoints.NAME",
        "endpoints.NAME.identity",
        "deployments.NAME",
        "models.NAME",
        "models.NAME.usd_per_million_tokens",
        "models.NAME.usd_per_million_tokens.long_context",
        "models.NAME.usd_per_million_tokens.priority",
        "models.NAME.ptu",
        "limits",
        "keys.NAME",
        "identity_providers.NAME",
    ] {
        let tables: BTreeSet<String> = written
            .keys()
            .filter_map(|other| other.strip_prefix(&format!("{kind}.")))
            .filter(|rest| !rest.contains('.'))
            .map(str::to_owned)
            .collect();
        let found: BTreeSet<String> = written[kind].union(&tables).cloned().collect();
        assert_eq!(found, known(kind), "[{kind}]");
    }
    let secrets: BTreeSet<String> = ["api_key", "bearer"]
        .into_iter()
        .flat_map(|key| written[&format!("endpoints.NAME.{key}")].clone())
        .collect();
    assert_eq!(secrets, known("endpoints.NAME.api_key"));
    let mut tls = written["server.tls"].clone();
    tls.insert("client_ca".to_owned());
    assert_eq!(tls, known("server.tls"), "client_ca is told of in a comment");
    let tables: BTreeSet<String> =
        written.keys().filter_map(|kind| kind.split('.').next()).map(str::to_owned).collect();
    let all = Config::from_toml("no_such_key = 1", today()).unwrap_err().to_string();
    for table in tables {
        assert!(all.contains(&table), "{table}");
    }
}

#[test]
fn the_examples_values_are_the_defaults() {
    let sound = "[endpoints.e]\nurl = \"https://e.azure.com\"\napi = \"azure_v1\"\nanonymous = true\n\
        [deployments.d]\nendpoint = \"e\"\nmodel = \"gpt-5.2\"\nbilling = \"pay_as_you_go\"\narea = \"global\"\n\
        [roles]\nreasoning.models = [\"gpt-5.2\"]\nchat.models = [\"gpt-5.2\"]\n";
    let default = Config::from_toml(sound, today()).unwrap();
    let example = load("example.toml");
    assert_eq!(example.server, default.server);
    // The example has keys: an unknown id is refused. Without keys it is looked up.
    assert_eq!(example.router.limits, Limits::default());
    let limits = Limits { unknown_stored: Unknown::Ask, ..Limits::default() };
    assert_eq!(default.router.limits, limits);
    assert_eq!(example.router.policy.prefer, default.router.policy.prefer);
    assert_eq!(example.router.policy.mode, default.router.policy.mode);
    assert_eq!(example.router.policy.choice, default.router.policy.choice);
    assert_eq!(example.request_log, default.request_log);
    assert_eq!(example.router.policy.residency, default.router.policy.residency);
    assert_eq!(example.router.policy.strict_deployment, default.router.policy.strict_deployment);
    assert_eq!(example.router.policy.exclude_retired, default.router.policy.exclude_retired);
    assert_eq!(example.router.policy.reject_unsupported, default.router.policy.reject_unsupported);
    assert_eq!(
        example.router.policy.reasoning.on_unavailable,
        default.router.policy.reasoning.on_unavailable
    );
    assert_eq!(example.router.scoring.signals, default.router.scoring.signals);
    assert_eq!(example.router.scoring.signals, Signals::default());
    // Commented-out keys are valid as well, and those with a default show it.
    let text = uncommented()
        .replace("\nanonymous = false", "\n")
        .replace("effort = \"none\"", "")
        .replace("\nrole = \"chat\"", "\n");
    let all = Config::from_toml(&text, today()).map_err(|faults| faults.to_string()).unwrap();
    for (role, default) in [
        (&all.router.policy.chat, &default.router.policy.chat),
        (&all.router.policy.reasoning, &default.router.policy.reasoning),
    ] {
        assert_eq!(role.first_byte_timeout, default.first_byte_timeout);
        assert_eq!(role.on_unavailable, default.on_unavailable);
    }
    // A price has no default; the hour wins over the month.
    let size = |config: &Config| match config.router.catalog.deployment("kr_gpt52").unwrap().billing
    {
        Billing::Provisioned(size) => size,
        Billing::PayAsYouGo(_) => panic!("it is provisioned"),
    };
    assert_eq!(size(&all).usd_per_hour, Usd::of_dollars(50.0 * 0.9));
    assert_eq!(Provisioned { usd_per_hour: None, ..size(&all) }, size(&example));
}
