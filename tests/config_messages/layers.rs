//! Layers of a configuration: files, the environment, secrets, and the values that win.

use router_core::config::Layers;
use router_core::policy::RoleEffort;
use router_server::Config;

use super::{SOUND, check, load, today, warnings};

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
    let faults = Config::of_layers(&layers).unwrap_err().to_string();
    assert_eq!(faults, "no/such.toml: cannot be read: no such file or directory");
}

#[test]
fn later_layers_win_key_by_key() {
    let later = "[deployments.kr_ptu]\nptu = 100\n[roles.chat]\neffort = \"low\"\n";
    let layers = [("a.toml", SOUND), ("b.toml", later)];
    let key = ("SEOUL_KEY", "k");
    let size = |config: &Config| {
        let deployment = config.router.catalog.deployment("kr_ptu").unwrap().clone();
        match deployment.billing {
            router_core::deployment::Billing::Provisioned(size) => size.ptu,
            router_core::deployment::Billing::PayAsYouGo(_) => 0.0,
        }
    };
    let config = load(&layers, &[key]).unwrap();
    assert!((size(&config) - 100.0).abs() < f64::EPSILON);
    assert_eq!(config.router.policy.chat.models.len(), 1, "the list of the first file is kept");
    assert_ne!(config.router.policy.chat.effort, RoleEffort::OfModel);
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
    assert_ne!(
        config.router.policy.chat.effort,
        RoleEffort::OfModel,
        "an empty variable counts as unset"
    );
    assert_eq!(config.router.policy.aliases["korean"].as_ref(), "deployment:kr_ptu");
    assert_eq!(config.server.listen.port(), 9);
    assert_eq!(config.router.warnings, Vec::new());
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
