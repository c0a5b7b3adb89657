//! Messages about deployments: types, tiers, quotas, defaults.

use super::{SOUND, check, load, warnings};

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
        let all = config.router.warnings.iter().map(|warning| warning.problem.as_str());
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
        let one = config.router.catalog.deployment("one").unwrap();
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
    let most = |name: &str| config.router.catalog.deployment(name).unwrap().max_in_flight;
    assert_eq!((most("one"), most("two")), (Some(3), Some(9)));
    assert_eq!(config.router.catalog.deployments().len(), 2);
    let two = config.router.catalog.deployment("two").unwrap();
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
