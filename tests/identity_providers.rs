//! Tokens of identity providers in place of keys: whom they let in as which key, which are refused, and how often the issuer
//! is asked for its public keys.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::join_all;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use router_core::clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::keys::{ask_as, with_keys};
use crate::support::scripted::{Asked, Says, Scripted};
use crate::support::{Answer, Bench, Layout, PATIENCE, checked, question};

const AUDIENCE: &str = "api://model-router";

/// A key of an issuer: what signs, and what is published.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    id: &'static str,
}

impl Signer {
    fn ec(id: &'static str) -> Self {
        let pair = KeyPair::generate().unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        Self { key, algorithm: Algorithm::ES256, id }
    }

    fn rsa(id: &'static str) -> Self {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        // The key of PKCS#1 stands behind the 26 bytes with which PKCS#8 begins.
        let key = EncodingKey::from_rsa_der(&pair.serialize_der()[26..]);
        Self { key, algorithm: Algorithm::RS256, id }
    }

    fn published(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        // As Entra ID publishes them: without an algorithm.
        jwk.common.key_algorithm = None;
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["use"] = "sig".into();
        jwk
    }

    fn header(&self) -> Header {
        Header { kid: Some(self.id.to_owned()), ..Header::new(self.algorithm) }
    }

    fn sign(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.key).unwrap()
    }
}

#[derive(Default)]
struct Published {
    url: OnceLock<String>,
    keys: Mutex<Vec<Value>>,
    /// The number of reads of the keys.
    reads: AtomicUsize,
    down: AtomicBool,
}

impl Published {
    fn answer(&self, asked: &Asked) -> Says {
        let url = self.url.get().unwrap();
        if self.down.load(Ordering::SeqCst) {
            return Says::json(503, &json!({}));
        }
        match asked.path.as_str() {
            "/tenant/.well-known/openid-configuration" => {
                let issuer = format!("{url}/tenant");
                Says::json(200, &json!({"issuer": issuer, "jwks_uri": format!("{url}/keys")}))
            }
            "/keys" => {
                self.reads.fetch_add(1, Ordering::SeqCst);
                Says::json(200, &json!({"keys": *self.keys.lock().unwrap()}))
            }
            _ => Says::json(404, &json!({})),
        }
    }
}

/// An issuer over a socket of its own.
struct Issuer {
    published: Arc<Published>,
    upstream: Scripted,
}

impl Issuer {
    async fn start(signers: &[&Signer]) -> Self {
        let published = Arc::new(Published::default());
        let answering = Arc::clone(&published);
        let upstream = Scripted::start(move |asked| answering.answer(asked)).await;
        published.url.set(upstream.url().to_owned()).unwrap();
        let issuer = Self { published, upstream };
        issuer.publish(signers);
        issuer
    }

    fn publish(&self, signers: &[&Signer]) {
        *self.published.keys.lock().unwrap() =
            signers.iter().map(|signer| signer.published()).collect();
    }

    fn down(&self, down: bool) {
        self.published.down.store(down, Ordering::SeqCst);
    }

    fn reads(&self) -> usize {
        self.published.reads.load(Ordering::SeqCst)
    }

    fn name(&self) -> String {
        format!("{}/tenant", self.upstream.url())
    }

    /// Claims of a token for the router, for the next hour, with more.
    fn claims(&self, more: &Value) -> Value {
        let mut claims = json!({"iss": self.name(), "aud": AUDIENCE, "exp": now() + 3_600});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    /// The keys `team`, which may only chat, `ops`, which is an operator's, and `off`; and one of another kind.
    fn layout(&self) -> Layout {
        let grants = r#"[
            { key = "team", claims = { azp = "team-app" } },
            { key = "ops", claims = { roles = "Router.Operate", tid = "t" } },
            { key = "off", claims = { azp = "off-app" } },
        ]"#;
        with_keys(Layout::pair(), &["static"])
            .set("keys.team.roles", r#"["chat"]"#)
            .set("keys.ops.operator", true)
            .set("keys.off.enabled", false)
            .text("identity_providers.entra.issuer", &self.name())
            .set("identity_providers.entra.audiences", format_args!("[{AUDIENCE:?}]"))
            .set("identity_providers.entra.grants", grants.replace('\n', " "))
    }
}

fn now() -> u64 {
    clock::wall().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn asked(bench: &Bench, model: &str, token: &str) -> Answer {
    Answer::of(bench.request(&question(model, json!({}))).bearer_auth(token)).await
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
}

#[tokio::test]
async fn a_token_has_the_rights_of_the_key_that_its_claims_grant() {
    let (ec, rsa) = (Signer::ec("ec"), Signer::rsa("rsa"));
    let issuer = Issuer::start(&[&ec, &rsa]).await;
    let bench = issuer.layout().start().await;
    assert_eq!(issuer.reads(), 0, "nothing is read before it is needed");
    for signer in [&ec, &rsa] {
        let team = signer.sign(&issuer.claims(&json!({"azp": "team-app"})));
        let all = join_all((0..10).map(|_| asked(&bench, "chat", &team))).await;
        assert!(all.iter().all(|answer| answer.status == 200), "{all:?}");
        assert_refused(&asked(&bench, "o1", &team).await, 404, "model_not_found");
        let metrics = bench.client.get(bench.url("/metrics")).bearer_auth(&team);
        assert_refused(&Answer::of(metrics).await, 403, "not_allowed_for_key");
        let roles =
            json!({"roles": ["Other", "Router.Operate"], "tid": "t", "aud": ["x", AUDIENCE]});
        let ops = signer.sign(&issuer.claims(&roles));
        let metrics = bench.client.get(bench.url("/metrics")).bearer_auth(&ops);
        let metrics = Answer::of(metrics).await;
        assert_eq!(metrics.status, 200);
        assert!(metrics.text.contains("model_router_key_requests_total{error=\"\",key=\"team\"}"));
        let roles = json!({"roles": ["Router.Operate"], "tid": "other"});
        let nobody = asked(&bench, "chat", &signer.sign(&issuer.claims(&roles))).await;
        assert_refused(&nobody, 403, "not_allowed_for_key");
        let off =
            asked(&bench, "chat", &signer.sign(&issuer.claims(&json!({"azp": "off-app"})))).await;
        assert_refused(&off, 401, "invalid_api_key");
    }
    assert_eq!(ask_as(&bench, "static", "chat").await.status, 200, "keys work as before");
    assert_eq!(issuer.reads(), 1, "one read serves all");
}

/// The challenge to a caller whose token was refused.
const INVALID: &str = r#"Bearer error="invalid_token""#;

#[tokio::test]
async fn no_forged_or_foreign_token_is_accepted() {
    let (signer, other) = (Signer::ec("a"), Signer::rsa("b"));
    let issuer = Issuer::start(&[&signer, &other]).await;
    let bench = issuer.layout().start().await;
    let sound = issuer.claims(&json!({"azp": "team-app"}));
    let without = |name: &str| {
        let mut claims = sound.clone();
        claims.as_object_mut().unwrap().remove(name);
        signer.sign(&claims)
    };
    let with = |name: &str, value: Value| {
        signer.sign(&issuer.claims(&json!({"azp": "team-app", name: value})))
    };
    let token = signer.sign(&sound);
    assert_eq!(asked(&bench, "chat", &token).await.status, 200);
    let parts: Vec<&str> = token.split('.').collect();
    let encoded = |json: Value| encode_part(json.to_string().as_bytes());
    let none = |alg: &str| format!("{}.{}.", encoded(json!({"alg": alg, "kid": "a"})), parts[1]);
    // Signed with what everybody knows of the key, as if it were a shared secret.
    let public = other.published()["n"].as_str().unwrap().to_owned();
    let secret = EncodingKey::from_secret(public.as_bytes()).unwrap();
    let confused = Header { kid: Some("b".into()), ..Header::new(Algorithm::HS256) };
    let forger = Signer::ec("a");
    let own_key = Header {
        jwk: Some(serde_json::from_value(forger.published()).unwrap()),
        ..forger.header()
    };
    let foreign_url =
        Header { jku: Some(format!("{}/keys", issuer.upstream.url())), ..forger.header() };
    let long = Header { kid: Some("k".repeat(300)), ..signer.header() };
    let unnamed = Header { kid: None, ..signer.header() };
    let refused = [
        none("none"),
        none("None"),
        encode(&confused, &sound, &secret).unwrap(),
        forger.sign(&sound),
        encode(&own_key, &sound, &forger.key).unwrap(),
        encode(&foreign_url, &sound, &forger.key).unwrap(),
        encode(&Header { kid: Some("b".into()), ..signer.header() }, &sound, &signer.key).unwrap(),
        encode(&long, &sound, &signer.key).unwrap(),
        encode(&unnamed, &sound, &signer.key).unwrap(),
        with("aud", json!("api://other")),
        with("aud", json!([])),
        with("iss", json!("https://issuer.example")),
        with("iss", json!(format!("{}/", issuer.name()))),
        with("exp", json!(now() - 120)),
        with("exp", json!("never")),
        with("nbf", json!(now() + 600)),
        without("aud"),
        without("exp"),
        without("iss"),
        format!("{}.{}.{}", parts[0], encoded(issuer.claims(&json!({"azp": "off-app"}))), parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        "eyJ.eyJ.x".to_owned(),
    ];
    for (nth, token) in refused.iter().enumerate() {
        let answer = asked(&bench, "chat", token).await;
        assert_refused(&answer, 401, "invalid_api_key");
        assert_eq!(answer.header("www-authenticate"), Some(INVALID), "{nth}: {token}");
        assert!(!answer.text.contains(token.as_str()));
    }
    assert_eq!(issuer.reads(), 1);
}

#[tokio::test]
async fn tokens_of_unknown_keys_read_the_keys_once() {
    let signer = Signer::ec("a");
    let issuer = Issuer::start(&[&signer]).await;
    let bench = issuer.layout().start().await;
    let sound = issuer.claims(&json!({"azp": "team-app"}));
    let token = signer.sign(&sound);
    assert_eq!(asked(&bench, "chat", &token).await.status, 200);
    // The first unknown key could be a new one of the issuer's. The others come too soon after it.
    let unknown = |nth: usize| Header { kid: Some(format!("unknown-{nth}")), ..signer.header() };
    let tokens = (0..40).map(|nth| encode(&unknown(nth), &sound, &signer.key).unwrap());
    let tokens: Vec<String> = tokens.collect();
    let answers = join_all(tokens.iter().map(|token| asked(&bench, "chat", token))).await;
    assert!(answers.iter().all(|answer| answer.status == 401));
    assert_eq!(issuer.reads(), 2);
    assert_eq!(asked(&bench, "chat", &token).await.status, 200, "others are not harmed");
}

/// Base64 as tokens have it.
fn encode_part(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(char::from(LETTERS[(group >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_found_and_one_that_it_has_withdrawn_is_not_accepted() {
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let bench = issuer.layout().start().await;
    let claims = issuer.claims(&json!({"azp": "team-app"}));
    assert_eq!(asked(&bench, "chat", &old.sign(&claims)).await.status, 200);
    issuer.publish(&[&new]);
    let token = new.sign(&claims);
    let answers = join_all((0..20).map(|_| asked(&bench, "chat", &token))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(issuer.reads(), 2);
    assert_refused(&asked(&bench, "chat", &old.sign(&claims)).await, 401, "invalid_api_key");
    assert_eq!(issuer.reads(), 2);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_read_is_a_503_and_keys_that_are_known_survive_a_reload() {
    let signer = Signer::ec("a");
    let issuer = Issuer::start(&[&signer]).await;
    issuer.down(true);
    let layout = issuer.layout();
    let bench = layout.clone().start().await;
    let token = signer.sign(&issuer.claims(&json!({"azp": "team-app"})));
    let answer = asked(&bench, "chat", &token).await;
    assert_refused(&answer, 503, "identity_provider_unavailable");
    assert_eq!(answer.header("x-should-retry"), Some("true"));
    assert_eq!(answer.header("retry-after-ms"), Some("2000"));
    assert_eq!(ask_as(&bench, "static", "chat").await.status, 200, "keys need no issuer");
    issuer.down(false);
    let began = Instant::now();
    while asked(&bench, "chat", &token).await.status != 200 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    issuer.down(true);
    let changed = layout.set("keys.team.requests_per_minute", 1_000);
    bench.server.reload(checked(&changed.toml(bench.emulator.url()))).unwrap();
    assert_eq!(asked(&bench, "chat", &token).await.status, 200);
    assert_eq!(issuer.reads(), 1);
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_gives_no_keys() {
    let signer = Signer::ec("a");
    let issuer = Issuer::start(&[&signer]).await;
    // Found below the same address, but it names `/tenant`.
    let other = format!("{}/tenant/", issuer.upstream.url());
    let bench = issuer.layout().text("identity_providers.entra.issuer", &other).start().await;
    let claims = issuer.claims(&json!({"azp": "team-app", "iss": other}));
    let answer = asked(&bench, "chat", &signer.sign(&claims)).await;
    assert_refused(&answer, 503, "identity_provider_unavailable");
    // With the address of the keys there is nothing to discover.
    let keys = format!("{}/keys", issuer.upstream.url());
    let direct = issuer
        .layout()
        .text("identity_providers.entra.issuer", &other)
        .text("identity_providers.entra.jwks_url", &keys)
        .start()
        .await;
    assert_eq!(asked(&direct, "chat", &signer.sign(&claims)).await.status, 200);
}
