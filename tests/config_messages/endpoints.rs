//! Messages about endpoints: addresses, files, identities.

use router_server::Config;

use super::{SOUND, check, today, warnings};

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
fn openai_hosts_stand_for_their_area() {
    let deployment = |host: &str, area: &str| {
        let text = format!(
            "[endpoints.o]\nurl = \"https://{host}/v1\"\napi = \"openai\"\napi_key = {{ env = \"K\" }}\n\
             [deployments.d]\nendpoint = \"o\"\nmodel = \"gpt-5.1\"\nbilling = \"pay_as_you_go\"\n{area}\n\
             [roles]\nreasoning.models = [\"gpt-5.1\"]\nchat.models = [\"gpt-5.1\"]\n"
        );
        Config::from_toml(&text, today())
            .map(|config| (config.router.catalog.deployment("d").unwrap().area.to_string(), config))
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
        let endpoint = &config.router.endpoints["o"];
        assert_eq!(endpoint.base.as_ref(), format!("https://{host}"));
        let bearer = router_core::upstream::Credential::Bearer;
        assert_eq!(
            endpoint.credential,
            bearer(router_core::upstream::SecretSource::Environment("K".into()))
        );
        let deployment = config.router.catalog.deployment("d").unwrap();
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
        format!("{:?}", config.router.catalog.deployment("d").unwrap().api)
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
